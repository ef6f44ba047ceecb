"""What a run of any depth has to show: seeds, failures with the command that repeats them, figures, faults.

Shared by all depths. A depth is a package beside this file with `run(seeds, *, workers) -> Report`
and `replay(seed) -> Report`, which tells the one run on the way.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

SHOWN_FAILURES = 10


@dataclass(kw_only=True)
class Report:
    """The outcome of many seeds at one depth."""

    depth: str
    seeds: int = 0
    took_s: float = 0.0
    failures: dict[int, str] = field(default_factory=dict)  # seed -> what did not hold
    figures: dict[str, str] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)  # kind -> how often it was injected
    missing: tuple[str, ...] = ()  # kinds of fault that should have been injected and never were

    @property
    def ok(self) -> bool:
        return not self.failures and not self.missing

    def told(self) -> str:
        """The whole report as text."""
        lines = [f"{self.depth}: {self.seeds} seeds in {self.took_s:.0f} s, {len(self.failures)} failed"]
        lines += [f"  {name}: {value}" for name, value in self.figures.items()]
        if self.faults:
            lines.append(f"  faults injected: {_counted(self.faults)}")
        if self.missing:
            lines.append(f"  NEVER INJECTED: {', '.join(self.missing)}: run more seeds or raise their rates")
        for seed, failure in sorted(self.failures.items())[:SHOWN_FAILURES]:
            lines.append(f"  FAILED seed {seed}: {failure}")
            lines.append(f"    repeat it with: {repeat_command(self.depth, seed)}")
        return "\n".join(lines)


def repeat_command(depth: str, seed: int) -> str:
    """The one command that runs a seed again and tells every step."""
    return f'make simulate ARGS="--depth {depth} --seed {seed}"'


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
