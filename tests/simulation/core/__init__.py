"""The core depth: the real stock protocol with a simulated shop, clock, network, store and workers.

`run` counts many seeds over several processes, `replay` tells one. Nothing here is asserted.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation.core.mutants import MUTANTS, Mutant
from tests.simulation.core.report import Report, counted, replay_command
from tests.simulation.core.scenario import scenario_of
from tests.simulation.core.simulation import Result, Simulation

CHUNK = 100
LIMITS = (
    "assumed_wrong",
    "half_applied_unseen",
    "orders_misled",
    "orders_misled_on_lag",
    "joined_on_lag",
    "left_on_lag",
)
"""Wrong stock that the oracle lets pass, each only where the shop's history shows its exact condition."""


def run(seeds: range, *, processes: int, tell: Callable[[str], None] = lambda _line: None) -> Report:
    """Play all seeds; `tell` hears of each failure as it is found."""
    started_s = time.monotonic()
    results = []
    for result in _results(seeds, processes):
        results.append(result)
        if result.failure:
            tell(f"seed {result.seed} FAILED: {result.failure}\n  {replay_command(result.seed)}")
    report = Report(seeds=len(results), took_s=time.monotonic() - started_s)
    report.failures = {result.seed: result.failure for result in results if result.failure}
    for result in results:
        report.faults.update(result.faults)
        report.acts.update(result.acts)
    report.figures = _figures(results, report.took_s, processes)
    return report


def replay(seed: int, *, mutant: str = "", tell: Callable[[str], None]) -> Report:
    """Play one seed, with one of our rules broken if so wished; `tell` hears of every step."""
    started_s = time.monotonic()
    scenario = scenario_of(seed)
    tell(str(scenario))
    chosen = MUTANTS[mutant] if mutant else Mutant(breaks="")
    result = Simulation(scenario, step=chosen.step, habits=chosen.habits, trace=tell).run()
    failures = {seed: result.failure} if result.failure else {}
    took_s = time.monotonic() - started_s
    return Report(
        seeds=1, failures=failures, faults=result.faults, acts=result.acts, took_s=took_s, mutant=mutant
    )


def told(seeds: range) -> Iterator[str]:
    """Every step of these seeds, as `replay` tells them, and what each led to."""
    for seed in seeds:
        lines: list[str] = []
        result = Simulation(scenario_of(seed), trace=lines.append).run()
        yield from lines
        yield f"{seed} {result.steps} {counted(result.faults)} {counted(result.acts)} {counted(result.events)}"


def _results(seeds: range, processes: int) -> Iterator[Result]:
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    if processes <= 1 or len(chunks) <= 1:
        for chunk in chunks:
            yield from _run_chunk(chunk)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        for results in executor.map(_run_chunk, chunks):
            yield from results


def _run_chunk(seeds: range) -> list[Result]:
    """Rubbish is collected once a chunk: looking for it all the time costs a tenth of the speed."""
    gc.disable()
    gc.freeze()
    try:
        return [_played(seed) for seed in seeds]
    finally:
        gc.enable()
        gc.collect()


def _played(seed: int) -> Result:
    simulation = Simulation(scenario_of(seed))
    result = simulation.run()
    simulation.forget()
    return result


def _figures(results: Iterable[Result], took_s: float, processes: int) -> dict[str, str]:
    results = list(results)
    events: Counter[str] = Counter()
    for result in results:
        events.update(result.events)
    calm = [result for result in results if result.calm_pools]
    calls, pools = sum(result.calm_calls for result in calm), sum(result.calm_pools for result in calm)
    booked = {name: count for name, count in sorted(events.items()) if name.startswith("booked_")}
    frozen = {name: count for name, count in sorted(events.items()) if name.startswith("frozen_")}
    return {
        "speed": f"{len(results) / max(took_s, 0.001):.0f} seeds/s with {processes} processes",
        "steps stored and judged": str(sum(result.steps for result in results)),
        "corrections opened": str(events["intents"]),
        "how they ended": counted(booked),
        "freezes": counted(frozen),
        "wrong by a written limit": _limits(events),
        "worst convergence after the faults": _worst_convergence(results),
        "calls per pool that one calm movement dirtied": f"{calls / max(pools, 1):.2f} of {len(calm)} runs",
    }


def _worst_convergence(results: Iterable[Result]) -> str:
    """A clock that was an hour ahead made promises that only its right time can keep: told apart."""
    steady, jumped = [0.0], [0.0]
    for result in results:
        (jumped if result.faults["clock_jump"] else steady).append(result.convergence_s)
    return f"{max(steady):.0f} s; {max(jumped):.0f} s where a clock had been wrong by an hour"


def _limits(events: Counter[str]) -> str:
    """`assumed_wrong` is what `settle` risks. Lags and misled orders are no matter of `on_unknown`."""
    names = [f"{name}_when_{mode}" for name in LIMITS for mode in ("settle", "certain")]
    return counted({name: events[name] for name in names if events[name]}) or "none"
