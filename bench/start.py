"""How long `stockwright serve` and `stockwright demo` take from the command on, on an empty home and again."""

import subprocess
import sys
from pathlib import Path
from time import perf_counter

from bench.report import Figure, Result
from tests.real_processes import (
    Service,
    clean_environment,
    end,
    free_port,
    temporary_demo_home,
    temporary_home,
    wait_until,
)

NAME = "start"
_TIMES, _QUICK_TIMES = 5, 1
_DEMO_LIMIT_S = 180.0
_FIRST_DEMO_S, _LATER_DEMO_S = 90.0, 6.0  # goals, as a newcomer waits


def run(*, quick: bool) -> Result:
    """The first start makes the database; the others find it. The demo starts on an empty home, too."""
    times = _QUICK_TIMES if quick else _TIMES
    with temporary_home() as home:
        service = Service(home=home)
        first_s = _start(service)
        again_s = [_start(service) for _ in range(times)]
    with temporary_demo_home() as home:
        demo_first_s = _start_demo(home)
        demo_again_s = [_start_demo(home) for _ in range(times)]
        begun = perf_counter()
        Service(home=home).command("demo", "--scripted", "--shop-port", str(free_port()))
        story_s = perf_counter() - begun
    figures = (
        Figure(name="first start, with the making of the database", value=first_s, unit="s"),
        Figure(name=f"start again, fastest of {times}", value=min(again_s), unit="s"),
        Figure(name=f"start again, slowest of {times}", value=max(again_s), unit="s"),
        Figure(
            name="the demo, ready for the first time", value=demo_first_s, unit="s", at_most=_FIRST_DEMO_S
        ),
        Figure(
            name=f"the demo, ready again, slowest of {times}",
            value=max(demo_again_s),
            unit="s",
            at_most=_LATER_DEMO_S,
        ),
        Figure(name="the scripted demo, from the command to its end", value=story_s, unit="s"),
    )
    return Result(
        name=NAME,
        title="starting",
        conditions="from the command to the first 200 of /readyz, or to the demo's word that it is ready",
        figures=figures,
        notes=("The demo's first time is without what `make demo` installs before it.",),
    )


def _start(service: Service) -> float:
    begun = perf_counter()
    try:
        service.start()
        return perf_counter() - begun
    finally:
        service.stop()


def _start_demo(home: Path) -> float:
    said = home / "said.txt"
    with said.open("wb") as output:
        begun = perf_counter()
        demo = subprocess.Popen(
            [sys.executable, "-m", "stockwright", "demo", "--shop-port", str(free_port())],
            env=clean_environment({"STOCKWRIGHT_HOME": str(home), "STOCKWRIGHT_PORT": str(free_port())}),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(
            lambda: "Ready in" in said.read_text() or demo.poll() is not None,
            limit_s=_DEMO_LIMIT_S,
            what="the demo is ready",
        )
        took_s = perf_counter() - begun
    finally:
        end(demo)
    if "Ready in" not in said.read_text():
        raise RuntimeError(f"The demo ended with status {demo.returncode}: {said.read_text()}")
    return took_s
