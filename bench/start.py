"""How long `stockwright serve` takes until webhooks can be stored, on an empty home and again; and the demo."""

from time import perf_counter

from bench.report import Figure, Result
from tests.real_processes import Service, free_port, temporary_home

NAME = "start"
_TIMES, _QUICK_TIMES = 5, 1


def run(*, quick: bool) -> Result:
    """The first start makes the database; the others find it. The demo starts on an empty home, too."""
    times = _QUICK_TIMES if quick else _TIMES
    with temporary_home() as home:
        service = Service(home=home)
        first_s = _start(service)
        again_s = [_start(service) for _ in range(times)]
    with temporary_home() as home:
        begun = perf_counter()
        Service(home=home).command("demo", "--scripted", "--shop-port", str(free_port()))
        story_s = perf_counter() - begun
    figures = (
        Figure(name="first start, with the making of the database", value=first_s, unit="s"),
        Figure(name=f"start again, fastest of {times}", value=min(again_s), unit="s"),
        Figure(name=f"start again, slowest of {times}", value=max(again_s), unit="s"),
        Figure(name="the scripted demo, from the command to its end", value=story_s, unit="s"),
    )
    return Result(
        name=NAME,
        title="starting",
        conditions="from the command to the first 200 of /readyz",
        figures=figures,
    )


def _start(service: Service) -> float:
    begun = perf_counter()
    try:
        service.start()
        return perf_counter() - begun
    finally:
        service.stop()
