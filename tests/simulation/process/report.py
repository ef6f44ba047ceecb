"""What seeds with real processes showed, and how it is told. Judges nothing."""

from collections import Counter
from dataclasses import dataclass, field

from tests.real_processes import Part
from tests.simulation.process.storm import Outcome

_COUNTED = (
    "corrections",
    "webhooks answered 200",
    "webhooks not answered 200",
    "unknown",
    "unknown, first read too late",
    "unknown, settled by unchanged",
    "unknown, settled by orders",
    "unknown, settled by assumed",
    "unknown, settled by confirmed",
    "pools",
    "frozen",
    "frozen, undecidable",
    "wrong",
)


@dataclass(kw_only=True)
class Report:
    """The outcomes of many seeds; `failures` is empty when every promise held."""

    asked_kills: int  # of each seed
    asked_sales: int
    outcomes: list[Outcome] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)  # seed -> what did not hold
    took_s: float = 0.0

    @property
    def counts(self) -> Counter[str]:
        """What was counted, all seeds together."""
        return sum((outcome.verdict.counts for outcome in self.outcomes), Counter[str]())

    @property
    def kills(self) -> Counter[Part]:
        """How often each part was killed."""
        return sum((Counter(outcome.kills) for outcome in self.outcomes), Counter[Part]())

    def lines(self) -> list[str]:
        """All seeds together, for people."""
        counts = self.counts
        orders = sum(outcome.schedule.orders for outcome in self.outcomes)
        slowest_s = max((outcome.converged_after_s for outcome in self.outcomes), default=0.0)
        return [
            f"process: {len(self.outcomes)} seeds ended in {self.took_s:.0f} s, {len(self.failures)} failed",
            f"  {orders} orders, kill -9 of {_told(self.kills)}",
            *(f"  {name}: {counts[name]}" for name in _COUNTED),
            f"  longest time from the last order until all was in step or frozen: {slowest_s:.1f} s",
            *(
                f"  FAILED seed {seed}: {failure}\n    again: {self.again(seed)}"
                for seed, failure in sorted(self.failures.items())
            ),
        ]

    def again(self, seed: int) -> str:
        """The command that repeats a seed: its orders and kills, not the machine's timing."""
        asked = f"--kills {self.asked_kills} --sales {self.asked_sales}"
        return f'make simulate ARGS="--depth process --seed {seed} {asked}"'


def told(outcome: Outcome) -> str:
    """One seed in one line."""
    evidence = "with" if outcome.schedule.order_evidence else "without"
    spread = "" if outcome.schedule.may_freeze else ", orders spread, nothing may freeze"
    counts = ", ".join(f"{name}: {count}" for name, count in sorted(outcome.verdict.counts.items()))
    violations = f"; VIOLATED: {'; '.join(outcome.verdict.violations)}" if outcome.verdict.violations else ""
    return (
        f"  seed {outcome.schedule.seed} {evidence} read_orders{spread}: kill -9 of {_told(outcome.kills)} during "
        f"{outcome.schedule.orders} orders in {outcome.took_s:.0f} s; in step or frozen "
        f"{outcome.converged_after_s:.1f} s after the last order; {counts}{violations}"
    )


def _told(kills: Counter[Part]) -> str:
    return ", ".join(f"{part} {count}" for part, count in sorted(kills.items())) or "nothing"
