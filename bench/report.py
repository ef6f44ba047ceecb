"""Figures, the table that shows them, and the file that keeps them. Judges nothing but goals."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.machine import Machine, Moment

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number. Units stand in `unit`; `at_most` and `at_least` are goals."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def goal(self) -> str:
        """The goal in words, "" without one."""
        if self.at_most is not None:
            return f"<= {_short(self.at_most)}"
        return "" if self.at_least is None else f">= {_short(self.at_least)}"

    @property
    def verdict(self) -> str:
        """Whether the goal is met, "" without one."""
        too_high = self.at_most is not None and not self.value <= self.at_most
        too_low = self.at_least is not None and not self.value >= self.at_least
        return "" if not self.goal else "MISSED" if too_high or too_low else "met"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one benchmark found."""

    name: str
    title: str
    conditions: str  # what was running, how much of it, for how long
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0..1) of the values do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def spread(name: str, values_s: Sequence[float], **goals_ms: float) -> tuple[Figure, ...]:
    """p50, p99 and the longest of durations in seconds, as figures in milliseconds; goals by p50=, p99=, max=."""
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return tuple(
        Figure(
            name=f"{name}, {label}",
            value=percentile(values_s, share) * 1000,
            unit="ms",
            at_most=goals_ms.get(label),
        )
        for label, share in shares.items()
    )


def show(result: Result, moment: Moment) -> str:
    """The table of one result."""
    rows = [
        (figure.name, f"{_short(figure.value)} {figure.unit}".strip(), figure.goal, figure.verdict)
        for figure in result.figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    head = f"{result.name}: {result.title}\n  {result.conditions} (load before: {moment.load_1min})"
    return "\n".join([head, *(f"    {line}" for line in lines), *(f"  {note}" for note in result.notes)])


def keep(result: Result, moment: Moment, machine: Machine) -> Path:
    """Write bench/results/<name>.json; its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result.name}.json"
    content = {"machine": asdict(machine), "moment": asdict(moment), **asdict(result)}
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
