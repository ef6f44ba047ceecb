"""How long `stockwright serve` takes until webhooks can be stored: on an empty home, and again."""

from time import perf_counter

from bench.report import Figure, Result
from tests.real_processes import Service, temporary_home

NAME = "start"
_TIMES, _QUICK_TIMES = 5, 1


def run(*, quick: bool) -> Result:
    """The first start makes the database; the others find it."""
    times = _QUICK_TIMES if quick else _TIMES
    with temporary_home() as home:
        service = Service(home=home)
        first_s = _start(service)
        again_s = [_start(service) for _ in range(times)]
    figures = (
        Figure(name="first start, with the making of the database", value=first_s, unit="s"),
        Figure(name=f"start again, fastest of {times}", value=min(again_s), unit="s"),
        Figure(name=f"start again, slowest of {times}", value=max(again_s), unit="s"),
    )
    conditions = "from the command to the first 200 of /readyz"
    return Result(name=NAME, title="starting", conditions=conditions, figures=figures)


def _start(service: Service) -> float:
    begun = perf_counter()
    try:
        service.start()
        return perf_counter() - begun
    finally:
        service.stop()
