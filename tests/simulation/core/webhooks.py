"""Deliveries of `inventory_levels/update`: twice, late, out of order, with an old value, or never.

The platform takes a subscription away from a receiver that failed too often; we make it anew when we notice.
"""

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.simulation.core.clock import Clock
from tests.simulation.core.faults import Faults
from tests.simulation.core.shop import LevelKey, Shop

LATE_S = 900.0
HOURS_S = 4 * 3600.0
DAY_S = 24 * 3600.0
NOTICED_S = 3600.0
TWICE_S = 60.0  # a second delivery comes at most so much later


class Delivery(NamedTuple):
    """One webhook as it arrives. `event_id` is one merchant's act, which may cover several levels."""

    delivery_id: str
    event_id: str
    level: LevelKey
    available: int | None


class Webhooks:
    """Announces changed levels to the inbox."""

    def __init__(self, *, clock: Clock, shop: Shop, faults: Faults, rng: random.Random) -> None:
        self._clock = clock
        self._shop = shop
        self._faults = faults
        self._rng = rng
        self._count = 0
        self._deleted_until_s = 0.0
        self.delayed_until_s = 0.0  # when the last of the deliveries that are minutes late will have come
        self.last_s = 0.0  # when the last of the deliveries that are hours late will have come
        self._deliver: Callable[[Delivery], None] = lambda delivery: None

    def deliver_to(self, receive: Callable[[Delivery], None]) -> None:
        self._deliver = receive

    def announce(self, level: LevelKey, event_id: str) -> None:
        """Something happened to a level: send its webhook, if nothing goes wrong."""
        faults = self._faults
        if faults.strikes("webhook_subscription_deleted"):
            self._deleted_until_s = self._clock.now_s + self._rng.uniform(1.0, NOTICED_S)
        unheard = faults.on and self._clock.now_s < self._deleted_until_s
        if unheard or faults.strikes("webhook_dropped"):
            return
        delay_s = self._rng.uniform(0.2, 2.0)
        if faults.strikes("webhook_day_late"):
            delay_s = self._very_late(DAY_S)
        elif faults.strikes("webhook_hours_late"):
            delay_s = self._very_late(HOURS_S)
        elif faults.strikes("webhook_delayed"):
            delay_s = self._rng.uniform(30.0, LATE_S)
            self.delayed_until_s = max(self.delayed_until_s, self._clock.now_s + delay_s + TWICE_S)
        elif faults.strikes("webhook_reordered"):
            delay_s = self._rng.uniform(2.0, 30.0)
        self._send(level, event_id, delay_s)
        if faults.strikes("webhook_new_id_twice"):
            self._send(level, event_id, self._rng.uniform(0.2, TWICE_S))

    def _very_late(self, delay_s: float) -> float:
        self.last_s = max(self.last_s, self._clock.now_s + delay_s)
        return delay_s

    def _send(self, level: LevelKey, event_id: str, delay_s: float) -> None:
        self._count += 1
        delivery_id = f"delivery-{self._count}"
        shown = self._shop.levels[level].available
        if self._faults.strikes("webhook_stale_payload") and shown is not None:
            shown, _, _ = self._shop.value_at(level, self._clock.now_s - self._rng.uniform(1.0, 120.0))
        if self._faults.strikes("webhook_merged"):
            built_s = self._rng.uniform(0.0, delay_s)
            self._clock.after(
                built_s, lambda: self._build_late(delivery_id, event_id, level, delay_s - built_s)
            )
            return
        self._arrive_after(delay_s, Delivery(delivery_id, event_id, level, shown))

    def _build_late(self, delivery_id: str, event_id: str, level: LevelKey, delay_s: float) -> None:
        """The payload shows the level when it was built: two quick changes show the same value twice."""
        shown = self._shop.levels[level].available
        self._arrive_after(delay_s, Delivery(delivery_id, event_id, level, shown))

    def _arrive_after(self, delay_s: float, delivery: Delivery) -> None:
        self._clock.after(delay_s, lambda: self._deliver(delivery))
        if self._faults.strikes("webhook_same_id_twice"):
            self._clock.after(delay_s + self._rng.uniform(0.1, TWICE_S), lambda: self._deliver(delivery))
