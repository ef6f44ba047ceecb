"""Simulated time: a heap of things to do, and the instants that the protocol is shown.

Time is a float of seconds since the start of a run. Nothing here may read the real clock.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import heappop, heappush

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@lru_cache(maxsize=1024)
def instant(time_s: float) -> datetime:
    """The aware moment that lies `time_s` after the start of a run."""
    return START + timedelta(seconds=time_s)


def seconds(moment: datetime) -> float:
    """The inverse of `instant`."""
    return (moment - START).total_seconds()


class Clock:
    """The one true time of a run and everything that is still to happen, in order."""

    __slots__ = ("_count", "_heap", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def at(self, time_s: float, what: Callable[[], object]) -> None:
        """Do `what` at `time_s`, or now when that has passed; equal times keep their order."""
        self._count += 1
        heappush(self._heap, (time_s if time_s > self.now_s else self.now_s, self._count, what))

    def after(self, delay_s: float, what: Callable[[], object]) -> None:
        self.at(self.now_s + delay_s, what)

    def run_until(self, end_s: float) -> None:
        """Do everything that is due up to and including `end_s`."""
        heap = self._heap
        while heap and heap[0][0] <= end_s:
            self.now_s, _, what = heappop(heap)
            what()
        self.now_s = end_s

    def forget(self) -> None:
        """Drop all that is still to happen."""
        self._heap.clear()
