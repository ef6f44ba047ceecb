"""Every fault of the core depth by name, how likely each is in a run, and how often it was injected."""

import random
from collections import Counter
from collections.abc import Mapping

WEBHOOK = (
    "webhook_same_id_twice",
    "webhook_new_id_twice",
    "webhook_dropped",
    "webhook_delayed",
    "webhook_reordered",
    "webhook_stale_payload",
    "webhook_merged",
)
WRITE = (
    "write_throttled",
    "write_not_sent",
    "write_5xx_before",
    "write_5xx_after",
    "write_timeout_before",
    "write_timeout_after",
    "write_answer_cut",
    "write_unavailable_before",
    "write_unavailable_after",
    "write_delayed",
    "write_sale_between",
    "write_in_progress_nothing",
    "write_in_progress_applied",
    "write_previous_failed",
)
REFUSALS = ("write_refused", "write_member_refused", "write_key_mismatch")
READ = ("read_failed", "read_lagging", "read_null_level")
CRASH_POINTS = (
    "before_read",
    "after_read",
    "after_store",
    "after_send",
    "after_reply",
    "before_ack",
)
CRASHES = tuple(f"crash_{point}" for point in CRASH_POINTS)
PROCESS = ("pause_short", "pause_long", "second_worker")
OUTAGE = ("outage",)  # a crash whose restart takes minutes
CLOCK = ("clock_jump",)

GROUPS: Mapping[str, tuple[str, ...]] = {
    "webhook": WEBHOOK,
    "write": WRITE,
    "refusals": REFUSALS,
    "read": READ,
    "crashes": CRASHES,
    "process": PROCESS,
    "outage": OUTAGE,
    "clock": CLOCK,
}
ALL_FAULTS = tuple(kind for kinds in GROUPS.values() for kind in kinds)


class Faults:
    """Decides whether a fault strikes. Counts each one that did."""

    __slots__ = ("_rates", "_rng", "counts", "on")

    def __init__(self, rng: random.Random, rates: Mapping[str, float]) -> None:
        self._rng = rng
        self._rates = rates
        self.counts: Counter[str] = Counter()
        self.on = True

    def strikes(self, kind: str) -> bool:
        """Whether this fault happens now."""
        if not self.on:
            return False
        rate = self._rates.get(kind)
        if rate is None or self._rng.random() >= rate:
            return False
        self.counts[kind] += 1
        return True

    def pick(self, kinds: tuple[str, ...]) -> str | None:
        """The first of the kinds that strikes, tried in random order, or None."""
        if not self.on:
            return None
        possible = [kind for kind in kinds if kind in self._rates]
        self._rng.shuffle(possible)
        return next((kind for kind in possible if self.strikes(kind)), None)
