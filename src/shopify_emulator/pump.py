"""Sends a shop's webhooks on a real clock. Each address has a lane of its own: one that hangs holds up no other.

What is sent, retried and given up is decided in webhooks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass, field

from shopify_emulator.shop import Shop
from shopify_emulator.webhooks import Delivery, Outbox

LOG = logging.getLogger("shopify_emulator")
PAUSE_S = 0.05
AT_ONCE = 8  # deliveries on their way to one address


async def pump(shop: Shop, *, pause_s: float = PAUSE_S) -> None:
    """Sends webhooks as they fall due, until it is cancelled; no failure ends it."""
    lanes = _Lanes(outbox=shop.outbox)
    async with asyncio.TaskGroup() as senders:
        while True:
            try:
                shop.tick()
                if shop.deliver is not None:
                    lanes.fill(senders)
            except Exception:
                LOG.exception("a round of webhook delivery failed; the next one follows")
            await asyncio.sleep(pause_s)


@dataclass(kw_only=True)
class _Lanes:
    """What waits for its turn, by address, and how many senders each address has."""

    outbox: Outbox
    _waiting: dict[str, deque[Delivery]] = field(default_factory=dict)
    _senders: Counter[str] = field(default_factory=Counter)

    def fill(self, senders: asyncio.TaskGroup) -> None:
        for delivery in self.outbox.take_due():
            self._waiting.setdefault(delivery.subscription.uri, deque()).append(delivery)
        for uri, lane in list(self._waiting.items()):
            for _ in range(min(len(lane), AT_ONCE - self._senders[uri])):
                self._senders[uri] += 1
                senders.create_task(self._empty(uri, lane))
            if not lane and not self._senders[uri]:
                del self._waiting[uri], self._senders[uri]

    async def _empty(self, uri: str, lane: deque[Delivery]) -> None:
        try:
            while lane:
                await self._send(lane.popleft())
        finally:
            self._senders[uri] -= 1

    async def _send(self, delivery: Delivery) -> None:
        try:
            await self.outbox.attempt(delivery)
        except Exception:
            message = "webhook %s could not be sent to %s; this counts as a failed attempt"
            LOG.exception(message, delivery.webhook_id, delivery.subscription.uri)
