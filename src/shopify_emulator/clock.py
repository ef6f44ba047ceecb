"""Time for the bundled shop: a real clock for use over HTTP and one that tests move.

Also the agenda of things that happen later. Nothing here sleeps by itself or knows what it runs.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

START = datetime(2026, 11, 3, 15, 15, 42, tzinfo=UTC)


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware start; add tzinfo=UTC")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, by_s: float) -> None:
        """Moves time forward by `by_s` seconds; time never goes back."""
        if by_s < 0:
            raise ValueError(f"a clock cannot go back ({by_s} s)")
        self._now += timedelta(seconds=by_s)


@dataclass(order=True)
class _Entry:
    due: datetime
    turn: int
    act: Callable[[], None] = field(compare=False)


class Agenda:
    """Acts that are due at a moment of a clock, run in order of time, then of entry."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[_Entry] = []
        self._turns = count()

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        due = self._clock.now() + timedelta(seconds=delay_s)
        heapq.heappush(self._entries, _Entry(due, next(self._turns), act))

    def run_due(self) -> None:
        while self._entries and self._entries[0].due <= self._clock.now():
            heapq.heappop(self._entries).act()

    def next_due(self) -> datetime | None:
        return self._entries[0].due if self._entries else None
