"""The process depth: the whole service as real processes, and kill -9 at seeded moments while orders come in.

Nothing is stubbed: HTTP, PostgreSQL with fsync, signals. Seeds repeat the orders and the kills, not the
machine's timing: a seed that failed once need not fail again.
"""

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable

from tests.real_processes import Part
from tests.simulation.process.schedule import schedule_of
from tests.simulation.process.storm import Outcome, storm
from tests.simulation.report import Report

__all__ = ["KILLS", "SALES", "replay", "run"]

KILLS, SALES = 50, 2000
DEPTH = "process"

_COUNTED = (
    "corrections",
    "webhooks answered 200",
    "webhooks not answered 200",
    "unknown",
    "unknown, settled by unchanged",
    "unknown, settled by orders",
    "unknown, settled by assumed",
    "unknown, settled by confirmed",
    "frozen",
    "wrong",
)


def run(
    seeds: Iterable[int],
    *,
    workers: int = 1,
    kills: int = KILLS,
    sales: int = SALES,
    tell: Callable[[str], None] = lambda line: print(line, flush=True),
) -> Report:
    """Run the seeds one after the other, for each has the whole machine; `tell` hears of each as it ends."""
    begun, outcomes, failures = time.monotonic(), list[Outcome](), dict[int, str]()
    for seed in seeds:
        try:
            with storm(schedule_of(seed, kills=kills, sales=sales)) as running:
                outcome = running.run()
        except Exception:  # noqa: BLE001 - whatever goes wrong belongs into the report, with its seed
            failures[seed] = traceback.format_exc()
            continue
        outcomes.append(outcome)
        if outcome.verdict.violations:
            failures[seed] = "; ".join(outcome.verdict.violations)
        tell(told(outcome))
    return _report(outcomes, failures, took_s=time.monotonic() - begun)


def replay(seed: int) -> Report:
    """The orders and kills of one seed once more."""
    return run([seed])


def _report(outcomes: list[Outcome], failures: dict[int, str], *, took_s: float) -> Report:
    counts = sum((outcome.verdict.counts for outcome in outcomes), Counter[str]())
    kills = sum((Counter(outcome.kills) for outcome in outcomes), Counter[Part]())
    figures = {
        "orders": str(sum(outcome.schedule.orders for outcome in outcomes)),
        **{name: str(counts[name]) for name in _COUNTED},
        "longest convergence": f"{max((one.converged_after_s for one in outcomes), default=0.0):.1f} s",
    }
    return Report(
        depth=DEPTH,
        seeds=len(outcomes) + sum(seed not in {one.schedule.seed for one in outcomes} for seed in failures),
        took_s=took_s,
        failures=failures,
        figures=figures,
        faults=Counter({f"kill -9 of the {part}": count for part, count in kills.items()}),
        missing=tuple(f"kill -9 of the {part}" for part in Part if outcomes and not kills[part]),
    )


def told(outcome: Outcome) -> str:
    """One seed in one line."""
    kills = ", ".join(f"{count} {part}" for part, count in sorted(outcome.kills.items()))
    evidence = "with" if outcome.schedule.order_evidence else "without"
    counts = ", ".join(f"{name}: {count}" for name, count in sorted(outcome.verdict.counts.items()))
    violations = f"; VIOLATED: {'; '.join(outcome.verdict.violations)}" if outcome.verdict.violations else ""
    return (
        f"  seed {outcome.schedule.seed} {evidence} read_orders: {sum(outcome.kills.values())} kills ({kills}) "
        f"during {outcome.schedule.orders} orders in {outcome.took_s:.0f} s; in step "
        f"{outcome.converged_after_s:.1f} s after the last order; {counts}{violations}"
    )
