"""The core depth: the real stock protocol with a simulated shop, clock, network, store and workers.

`run` counts many seeds over several processes, `replay` tells one. Nothing here is asserted.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation.core.faults import ALL_FAULTS
from tests.simulation.core.mutants import Mutant
from tests.simulation.core.scenario import scenario_of
from tests.simulation.core.simulation import Result, Simulation
from tests.simulation.report import Report

CHUNK = 100
ENOUGH_FOR_ALL_FAULTS = 2_000
"""Seeds from which on every kind of fault must have been injected at least once."""
LIMITS = ("assumed_wrong", "orders_misled", "orders_misled_on_lag", "joined_on_lag", "left_on_lag")


def run(seeds: range, *, workers: int) -> Report:
    """All seeds. Every broken invariant is in the report with its seed."""
    started_s = time.monotonic()
    results = list(_results(seeds, workers))
    report = Report(
        depth="core", seeds=len(results), failures={r.seed: r.failure for r in results if r.failure}
    )
    for result in results:
        report.faults.update(result.faults)
    report.took_s = time.monotonic() - started_s
    report.figures = _figures(results, report.took_s, workers)
    if len(results) >= ENOUGH_FOR_ALL_FAULTS:
        report.missing = tuple(kind for kind in ALL_FAULTS if not report.faults[kind])
    return report


def replay(seed: int, *, mutant: Mutant | None = None) -> Report:
    """One seed, told step by step on standard output."""
    started_s = time.monotonic()
    scenario = scenario_of(seed)
    print(scenario)
    chosen = mutant or Mutant(breaks="")
    result = Simulation(scenario, step=chosen.step, habits=chosen.habits, trace=print).run()
    failures = {seed: result.failure} if result.failure else {}
    took_s = time.monotonic() - started_s
    return Report(depth="core", seeds=1, failures=failures, faults=result.faults, took_s=took_s)


def _results(seeds: range, workers: int) -> Iterator[Result]:
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    if workers <= 1 or len(chunks) <= 1:
        for chunk in chunks:
            yield from _run_chunk(chunk)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for results in pool.map(_run_chunk, chunks):
            yield from results


def _run_chunk(seeds: range) -> list[Result]:
    return [Simulation(scenario_of(seed)).run() for seed in seeds]


def _figures(results: Iterable[Result], took_s: float, workers: int) -> dict[str, str]:
    results = list(results)
    events: Counter[str] = Counter()
    for result in results:
        events.update(result.events)
    calm = [result for result in results if result.calm_pools]
    calls, pools = sum(result.calm_calls for result in calm), sum(result.calm_pools for result in calm)
    booked = {name: count for name, count in sorted(events.items()) if name.startswith("booked_")}
    frozen = {name: count for name, count in sorted(events.items()) if name.startswith("frozen_")}
    return {
        "speed": f"{len(results) / max(took_s, 0.001):.0f} seeds/s with {workers} processes",
        "steps stored and judged": str(sum(result.steps for result in results)),
        "corrections opened": str(events["intents"]),
        "how they ended": _told(booked),
        "freezes": _told(frozen),
        "wrong by a written limit": _told({name: events[name] for name in LIMITS}),
        "worst convergence": f"{max((result.convergence_s for result in results), default=0):.0f} s after the faults",
        "calls per pool that one calm movement dirtied": f"{calls / max(pools, 1):.2f} of {len(calm)} runs",
    }


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
