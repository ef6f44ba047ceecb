"""The process depth: the whole service as real processes, and kill -9 at seeded moments while orders come in.

Nothing is stubbed: HTTP, PostgreSQL with fsync, signals. Seeds repeat the orders and the kills, not the
machine's timing: a seed that failed once need not fail again.
"""

import time
import traceback
from collections.abc import Callable, Iterable

from tests.simulation.process.report import Report, told
from tests.simulation.process.schedule import schedule_of
from tests.simulation.process.storm import storm

__all__ = ["KILLS", "SALES", "Report", "run"]

KILLS, SALES = 50, 2000


def run(
    seeds: Iterable[int], *, kills: int = KILLS, sales: int = SALES, tell: Callable[[str], None] = print
) -> Report:
    """Run the seeds one after the other, for each has the whole machine; `tell` hears of each as it ends."""
    report, begun = Report(asked_kills=kills, asked_sales=sales), time.monotonic()
    for seed in seeds:
        try:
            with storm(schedule_of(seed, kills=kills, sales=sales)) as running:
                outcome = running.run()
        except Exception:  # noqa: BLE001 - whatever goes wrong belongs into the report, with its seed
            report.failures[seed] = traceback.format_exc()
            tell(f"  seed {seed} failed: {report.failures[seed]}\n    again: {report.again(seed)}")
            continue
        report.outcomes.append(outcome)
        if outcome.verdict.violations:
            report.failures[seed] = "; ".join(outcome.verdict.violations)
        tell(told(outcome))
    report.took_s = time.monotonic() - begun
    return report
