"""What many seeds have to show: failures with the command that repeats them, figures, faults by kind."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.simulation.core.faults import ALL_FAULTS
from tests.simulation.core.outside import ACTS

SHOWN_FAILURES = 10


@dataclass(kw_only=True)
class Report:
    """The outcome of many seeds. `failures` is empty when every invariant held."""

    seeds: int = 0
    took_s: float = 0.0
    failures: dict[int, str] = field(default_factory=dict)  # by seed
    figures: dict[str, str] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    mutant: str = ""  # which of our rules was broken on purpose

    @property
    def missing_kinds(self) -> list[str]:
        """Faults that never struck and acts that nobody did: a run of many seeds must have none."""
        faults = [kind for kind in ALL_FAULTS if not self.faults[kind]]
        return faults + [f"act {name}" for name in ACTS if not self.acts[name]]

    def lines(self) -> list[str]:
        """The report for people."""
        lines = [f"core depth: {self.seeds} seeds in {self.took_s:.0f} s, {len(self.failures)} failed"]
        lines += [f"  {name}: {value}" for name, value in self.figures.items()]
        if self.faults:
            lines.append(f"  faults injected: {counted(self.faults)}")
        if self.acts:
            lines.append(f"  what the outside did: {counted(self.acts)}")
        for seed, failure in sorted(self.failures.items())[:SHOWN_FAILURES]:
            lines.append(f"  seed {seed} FAILED: {failure}")
            lines.append(f"    replay: {replay_command(seed, mutant=self.mutant)}")
        return lines


def replay_command(seed: int, *, mutant: str = "") -> str:
    """The one command that runs a seed again and tells every step."""
    broken = f" --mutant {mutant}" if mutant else ""
    return f'make simulate ARGS="--depth core{broken} --seed {seed}"'


def counted(counts: Mapping[str, int]) -> str:
    """ "crash_after_send 12, read_failed 40"."""
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
