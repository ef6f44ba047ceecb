"""The bucket of query points: it restores by the clock and is charged by requested cost."""

from __future__ import annotations

from datetime import datetime

from shopify_emulator.clock import Clock

BUCKET_OVER_RATE = 20  # 2000 points at 100 per second


class Bucket:
    def __init__(self, clock: Clock, *, rate: float) -> None:
        if rate <= 0:
            raise ValueError(f"a plan restores more than 0 points per second, not {rate}")
        self._clock = clock
        self.rate = rate
        self.maximum = rate * BUCKET_OVER_RATE
        self.spent = 0  # points used since the start, for reports
        self._level: float = self.maximum
        self._at: datetime = clock.now()

    def available(self) -> float:
        now = self._clock.now()
        restored = (now - self._at).total_seconds() * self.rate
        self._level = min(self.maximum, self._level + max(restored, 0.0))
        self._at = now
        return self._level

    def charge(self, points: int) -> bool:
        """Takes the points, or takes nothing and says no when they are not there."""
        if points > self.available():
            return False
        self._level -= points
        self.spent += points
        return True

    def refund(self, points: int) -> None:
        self._level = min(self.maximum, self._level + points)
        self.spent -= points

    def drain(self) -> None:
        """Leaves the bucket empty, as a burst of another request would."""
        self.available()
        self._level = 0.0

    def status(self) -> dict[str, float]:
        return {
            "maximumAvailable": float(self.maximum),
            "currentlyAvailable": int(self.available()),
            "restoreRate": float(self.rate),
        }
