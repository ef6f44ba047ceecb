"""Simulation of the whole service as real processes: kill -9 at seeded moments while orders come in.

`run` is what `make simulate` calls for this depth. Nothing is stubbed: HTTP, PostgreSQL with fsync, signals.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.simulation.process.schedule import schedule_of
from tests.simulation.process.storm import Outcome, storm

KILLS, SALES = 50, 2000


@dataclass(kw_only=True)
class Report:
    """What the seeds showed. `failures` is empty when every promise held."""

    outcomes: list[Outcome] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)  # by seed

    @property
    def counts(self) -> Counter[str]:
        """All seeds together."""
        return sum((outcome.verdict.counts for outcome in self.outcomes), Counter())

    def lines(self) -> list[str]:
        """The report for people, one line per seed and a total."""
        told = [_told(outcome) for outcome in self.outcomes]
        told += [f"seed {seed} FAILED: {why}" for seed, why in self.failures.items()]
        return [*told, f"{len(self.outcomes)} seeds with real processes, {len(self.failures)} failed"]


def run(
    seeds: Iterable[int],
    *,
    kills: int = KILLS,
    sales: int = SALES,
    tell: Callable[[str], None] = lambda _line: None,
) -> Report:
    """Run the seeds one after the other; `tell` hears of each as it ends."""
    report = Report()
    for seed in seeds:
        try:
            with storm(schedule_of(seed, kills=kills, sales=sales)) as running:
                outcome = running.run()
        except Exception:  # noqa: BLE001 - whatever goes wrong belongs into the report, with its seed
            report.failures[seed] = traceback.format_exc()
            tell(f"seed {seed} FAILED: {report.failures[seed]}")
            continue
        report.outcomes.append(outcome)
        if outcome.verdict.violations:
            report.failures[seed] = "; ".join(outcome.verdict.violations)
        tell(_told(outcome))
    return report


def _told(outcome: Outcome) -> str:
    """One seed in one line."""
    kills = ", ".join(f"{count} {part}" for part, count in sorted(outcome.kills.items()))
    evidence = "with" if outcome.schedule.order_evidence else "without"
    counts = ", ".join(f"{name} {count}" for name, count in sorted(outcome.verdict.counts.items()))
    violations = f"; VIOLATED: {'; '.join(outcome.verdict.violations)}" if outcome.verdict.violations else ""
    return (
        f"seed {outcome.schedule.seed} {evidence} read_orders: {sum(outcome.kills.values())} kills ({kills}) during "
        f"{outcome.schedule.orders} orders in {outcome.took_s:.0f} s; converged {outcome.converged_after_s:.1f} s "
        f"after the last order; {counts}{violations}"
    )
