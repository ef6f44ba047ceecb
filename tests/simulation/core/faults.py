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
LATE = ("webhook_hours_late", "webhook_day_late")
SUBSCRIPTION = ("webhook_subscription_deleted",)
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
    "write_several_rows_stale",
    "write_in_progress_nothing",
    "write_in_progress_applied",
    "write_previous_failed",
)
PARTIAL = ("write_partial",)  # only some rows of a call take effect, and its answer is lost
REFUSALS = ("write_refused", "write_member_refused", "write_key_mismatch")
READ = ("read_failed", "read_lagging", "read_null_level")
CRASH_POINTS = (
    "before_read",
    "reading",
    "after_read",
    "after_store",
    "before_send",
    "after_send",
    "after_reply",
    "before_ack",
)
CRASH_AT = {point: f"crash_{point}" for point in CRASH_POINTS}
CRASHES = tuple(CRASH_AT.values())
PROCESS = ("pause_short", "pause_long", "second_worker")
OVERSLEEP = ("pause_before_send",)  # as long as others wait until the request can no longer arrive
OUTAGE = ("outage",)  # a crash whose restart takes minutes
CLOCK = ("clock_jump",)
RESTORE = ("restored_backup",)  # the database is older than the shop, and who restored it says so

GROUPS: Mapping[str, tuple[str, ...]] = {
    "webhook": WEBHOOK,
    "late": LATE,
    "subscription": SUBSCRIPTION,
    "write": WRITE,
    "partial": PARTIAL,
    "refusals": REFUSALS,
    "read": READ,
    "crashes": CRASHES,
    "process": PROCESS,
    "oversleep": OVERSLEEP,
    "outage": OUTAGE,
    "clock": CLOCK,
    "restore": RESTORE,
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
