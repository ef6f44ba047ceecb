"""Delivering webhooks: who is told, in what order, signed how, retried when, and given up.

Sends through an injected `deliver`; time is the shop's clock and faults are its plan.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import heapq
import hmac
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from shopify_emulator.faults import Faults, WebhookFault
from shopify_emulator.model import ShopError
from shopify_emulator.payloads import Payloads, encode, only_fields, passes_filter
from shopify_emulator.state import Happening, State
from shopify_emulator.subscriptions import Subscription, Subscriptions

Deliver = Callable[[str, Mapping[str, str], bytes], Awaitable[int | None]]

API_VERSION = "2026-10"
TIMEOUT_S = 5.0
RETRIES = 8
RETRY_SPAN_S = 4 * 3600.0
ROTATION_S = 3600.0
RECENT = 5_000


@dataclass(eq=False, kw_only=True)
class Delivery:
    """One webhook on its way to one subscription."""

    subscription: Subscription
    happening: Happening
    webhook_id: str
    triggered_at: datetime
    due: datetime
    body: bytes | None = None  # None: built when first sent
    attempts: int = 0
    wrong: WebhookFault | None = None


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One attempt to deliver and its answer; status None is no answer within 5 s."""

    at: datetime
    topic: str
    webhook_id: str
    uri: str
    attempt: int
    status: int | None
    body: bytes


def retry_delay_s(failed_attempts: int) -> float:
    """8 retries, each waiting twice as long as the last, 4 h in all."""
    share: float = 2.0 ** (failed_attempts - 1) / (2**RETRIES - 1)
    return RETRY_SPAN_S * share


def sign(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


@dataclass(kw_only=True)
class Outbox:
    """All webhooks of a shop that are not delivered yet, in the order they were caused."""

    state: State
    subscriptions: Subscriptions
    payloads: Payloads
    faults: Faults
    domain: str
    secret: str
    deliver: Deliver | None = None
    sent: deque[Sent] = field(default_factory=lambda: deque(maxlen=RECENT))
    _heap: list[tuple[datetime, int, Delivery]] = field(default_factory=list)
    _turns: Iterator[int] = field(default_factory=count)
    _old_secret: tuple[str, datetime] | None = None

    def tell(self, happening: Happening) -> None:
        """Queues a happening for every subscription of its topic."""
        for subscription in self.subscriptions.of_topic(happening.topic):
            self._queue(subscription, happening)

    def _queue(self, subscription: Subscription, happening: Happening) -> None:
        if not self._passes(subscription, happening):
            return
        now = self.state.clock.now()
        at_once = self.state.switches.event_payload == "event_time" or happening.topic.endswith("/delete")
        delivery = Delivery(
            subscription=subscription,
            happening=happening,
            webhook_id=self.state.new_uuid(),
            triggered_at=now,
            due=now,
        )
        if at_once:
            delivery.body = self._body(delivery)
        self._enqueue(delivery, self.faults.pick_webhook())

    def _passes(self, subscription: Subscription, happening: Happening) -> bool:
        if subscription.filter is None:
            return True
        payload = self.payloads.build(happening.topic, happening.subject)
        return passes_filter(payload, subscription.filter)

    def _enqueue(self, delivery: Delivery, fault: WebhookFault | None) -> None:
        match fault:
            case WebhookFault.DROP:
                return
            case WebhookFault.DELAY:
                delivery.due += timedelta(seconds=self.faults.webhook_delay_s)
            case WebhookFault.REORDER:
                delivery.due += timedelta(seconds=1)
            case WebhookFault.BAD_HMAC | WebhookFault.WRONG_SHOP:
                delivery.wrong = fault
            case WebhookFault.DUPLICATE:
                self._push(replace(delivery))
            case WebhookFault.NEW_ID:
                self._push(replace(delivery, webhook_id=self.state.new_uuid()))
            case None:
                pass
        self._push(delivery)

    def _push(self, delivery: Delivery) -> None:
        heapq.heappush(self._heap, (delivery.due, next(self._turns), delivery))

    @property
    def waiting(self) -> list[Delivery]:
        """Everything on its way, in the order in which it is due."""
        return [delivery for _, _, delivery in sorted(self._heap) if self._wanted(delivery)]

    def _wanted(self, delivery: Delivery) -> bool:
        """A deleted subscription gets nothing more, but for the news that the app is gone."""
        known = delivery.subscription.gid in self.subscriptions.by_gid
        return known or delivery.happening.topic == "app/uninstalled"

    def next_due(self) -> datetime | None:
        return self._heap[0][0] if self._heap else None

    def _pop_due(self, limit: int) -> list[Delivery]:
        now, batch = self.state.clock.now(), list[Delivery]()
        while self._heap and self._heap[0][0] <= now and len(batch) < limit:
            delivery = heapq.heappop(self._heap)[2]
            if self._wanted(delivery):
                batch.append(delivery)
        return batch

    async def settle(self, *, at_once: int = 1) -> int:
        """Attempts everything that is due by the clock, `at_once` side by side; returns the attempts."""
        attempts = 0
        while batch := self._pop_due(at_once):
            await asyncio.gather(*(self._attempt(delivery) for delivery in batch))
            attempts += len(batch)
        return attempts

    async def _attempt(self, delivery: Delivery) -> None:
        if self.deliver is None:
            self._push(delivery)
            raise ShopError("the shop has webhooks to deliver but no way to: set shop.deliver")
        if delivery.body is None:
            delivery.body = self._body(delivery)
        delivery.attempts += 1
        status = await self._send(self.deliver, delivery, delivery.body)
        if status is None or not 200 <= status < 300:
            self._failed(delivery)

    def _body(self, delivery: Delivery) -> bytes:
        payload = self.payloads.build(delivery.happening.topic, delivery.happening.subject)
        return encode(only_fields(payload, delivery.subscription.include_fields))

    async def _send(self, deliver: Deliver, delivery: Delivery, body: bytes) -> int | None:
        status: int | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await deliver(delivery.subscription.uri, self.headers(delivery, body), body)
        except TimeoutError:
            status = None
        self.sent.append(
            Sent(
                at=self.state.clock.now(),
                topic=delivery.happening.topic,
                webhook_id=delivery.webhook_id,
                uri=delivery.subscription.uri,
                attempt=delivery.attempts,
                status=status,
                body=body,
            )
        )
        return status

    def _failed(self, delivery: Delivery) -> None:
        """Plans the next retry; when the last one failed the subscription is deleted."""
        if delivery.attempts > RETRIES:
            self.subscriptions.delete(delivery.subscription.gid)
            return
        if self.state.switches.webhook_id_on_retry == "new":
            delivery.webhook_id = self.state.new_uuid()
        delivery.due = self.state.clock.now() + timedelta(seconds=retry_delay_s(delivery.attempts))
        self._push(delivery)

    def headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        secret = "not the secret" if delivery.wrong is WebhookFault.BAD_HMAC else self.signing_secret()
        domain = "other-shop.myshopify.com" if delivery.wrong is WebhookFault.WRONG_SHOP else self.domain
        triggered = delivery.triggered_at.astimezone(UTC).isoformat(timespec="microseconds")
        named = {"X-Shopify-Name": delivery.subscription.name} if delivery.subscription.name else {}
        return {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": delivery.happening.topic,
            "X-Shopify-Hmac-Sha256": sign(secret, body),
            "X-Shopify-Shop-Domain": domain,
            "X-Shopify-API-Version": API_VERSION,
            "X-Shopify-Webhook-Id": delivery.webhook_id,
            "X-Shopify-Event-Id": delivery.happening.event,
            "X-Shopify-Triggered-At": triggered.replace("+00:00", "Z"),
            **named,
        }

    def signing_secret(self) -> str:
        """After a rotation the old secret signs on for an hour."""
        if self._old_secret is not None and self.state.clock.now() < self._old_secret[1]:
            return self._old_secret[0]
        return self.secret

    def rotate_secret(self, secret: str) -> None:
        until = self.state.clock.now() + timedelta(seconds=ROTATION_S)
        self._old_secret, self.secret = (self.signing_secret(), until), secret
