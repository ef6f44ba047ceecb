"""The alerts depth: people in line for one variant, and kill -9 of the worker while they are mailed.

Nothing is stubbed: processes, PostgreSQL with fsync, SMTP. Each seed kills at other moments.
"""

import random
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.alert_processes import Line, people_in_line
from tests.real_processes import Part, wait_until

__all__ = ["KILLS", "PEOPLE", "Report", "run"]

KILLS, PEOPLE = 10, 10_000
_SETTINGS = {
    # An attempt without an answer is in doubt after 20 s and five of these, not after three minutes.
    "STOCKWRIGHT_SMTP_TIMEOUT_S": "2",
    "STOCKWRIGHT_SWEEP_EVERY_S": "2",
}
_LIMIT_S = 1500.0
_KILLED_ALONE = 4  # workers, after which the whole service is killed and started: supervisors lose patience


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one seed showed."""

    seed: int
    people: int
    kills: int
    sent: int
    unknown: int
    unknown_but_mailed: int  # of those: the sink has the mail
    took_s: float
    violations: tuple[str, ...]


@dataclass(kw_only=True)
class Report:
    """The outcomes of many seeds; `failures` is empty when every promise held."""

    asked_kills: int  # of each seed
    asked_people: int
    outcomes: list[Outcome] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)  # seed -> what did not hold

    def lines(self) -> list[str]:
        """All seeds, for people."""
        return [
            f"alerts: {len(self.outcomes)} seeds ended, {len(self.failures)} failed",
            *(f"  {told(outcome)}" for outcome in self.outcomes),
            *(
                f"  FAILED seed {seed}: {failure}\n    again: {self.again(seed)}"
                for seed, failure in sorted(self.failures.items())
            ),
        ]

    def again(self, seed: int) -> str:
        """The command that repeats a seed: its kills, not the machine's timing."""
        asked = f"--kills {self.asked_kills} --people {self.asked_people}"
        return f'make simulate ARGS="--depth alerts --seed {seed} {asked}"'


def run(
    seeds: Iterable[int], *, kills: int = KILLS, people: int = PEOPLE, tell: Callable[[str], None] = print
) -> Report:
    """Run the seeds one after the other; `tell` hears of each as it ends."""
    report = Report(asked_kills=kills, asked_people=people)
    for seed in seeds:
        try:
            outcome = _play(seed, kills=kills, people=people)
        except Exception:  # noqa: BLE001 - whatever goes wrong belongs into the report, with its seed
            report.failures[seed] = traceback.format_exc()
            tell(f"  seed {seed} failed: {report.failures[seed]}\n    again: {report.again(seed)}")
            continue
        report.outcomes.append(outcome)
        if outcome.violations:
            report.failures[seed] = "; ".join(outcome.violations)
        tell(f"  {told(outcome)}")
    return report


def told(outcome: Outcome) -> str:
    """One seed in one line."""
    return (
        f"seed {outcome.seed}: {outcome.people} people, {outcome.kills} kills of the worker, {outcome.took_s:.0f} s; "
        f"{outcome.sent} sent, {outcome.unknown} unknown (of which the sink has {outcome.unknown_but_mailed})"
    )


def _play(seed: int, *, kills: int, people: int) -> Outcome:
    rng = random.Random(f"alerts {seed}")
    moments = sorted(rng.uniform(0.02, 0.9) for _ in range(kills))
    with people_in_line(people, **_SETTINGS) as line:
        begun = time.monotonic()
        line.restock()
        for number, share in enumerate(moments, start=1):
            wait_until(
                lambda share=share: line.sink.count >= share * people, limit_s=_LIMIT_S, what="mails flow"
            )
            line.service.kill(Part.WORKER)
            if number % _KILLED_ALONE == 0:
                line.service.kill(Part.SERVICE)
                line.service.start()
        line.until_told(_LIMIT_S)
        return _judged(line, seed=seed, kills=kills, took_s=time.monotonic() - begun)


def _judged(line: Line, *, seed: int, kills: int, took_s: float) -> Outcome:
    states, taken = line.states(), line.sink.taken
    twice = sorted(email for email, times in taken.items() if times > 1)
    violations = [f"{len(twice)} people were mailed twice: {', '.join(twice[:5])}"] if twice else []
    unmailed = line.people - len(taken)
    if states["sent"] + states["unknown"] != line.people:
        violations.append(f"people are in the states {dict(states)}")
    if unmailed > states["unknown"]:
        violations.append(f"{unmailed} people have no mail, and only {states['unknown']} are in doubt")
    if found := line.disagreements():
        violations.append(f"{found} people, messages and notifications say different things")
    return Outcome(
        seed=seed,
        people=line.people,
        kills=kills,
        sent=states["sent"],
        unknown=states["unknown"],
        unknown_but_mailed=states["unknown"] - unmailed,
        took_s=took_s,
        violations=tuple(violations),
    )
