"""How often a dying server is started again: pure, the clock is an argument."""

from dataclasses import dataclass, field

_STABLE_S = 60.0


@dataclass(kw_only=True)
class Patience:
    """Delays between restarts: none at first, then doubling. Starts afresh once a server has run for a minute.

    Times are seconds of a monotonic clock.
    """

    limit: int = 8
    longest_s: float = 30.0
    _deaths: int = field(default=0, init=False)
    _running_since_s: float | None = field(default=None, init=False)

    def delay_s(self, *, now_s: float) -> float:
        """Counts a death, or a failed restart, and tells how long to wait before the next."""
        if self._running_since_s is not None and now_s - self._running_since_s > _STABLE_S:
            self._deaths = 0
        self._running_since_s = None
        self._deaths += 1
        return 0.0 if self._deaths == 1 else min(0.5 * 2 ** (self._deaths - 2), self.longest_s)

    def restarted(self, *, now_s: float) -> None:
        self._running_since_s = now_s

    @property
    def is_over(self) -> bool:
        """Whether the next failed restart is the last."""
        return self._deaths >= self.limit
