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

from shopify_emulator.faults import Fate, Faults, WebhookFault
from shopify_emulator.model import ShopError
from shopify_emulator.payloads import Payloads, encode, only_fields, passes_filter
from shopify_emulator.state import Happening, State
from shopify_emulator.subscriptions import Subscription, Subscriptions

Deliver = Callable[[str, Mapping[str, str], bytes], Awaitable[int | None]]

API_VERSION = "2026-10"
TIMEOUT_S = 5.0
CONNECT_S = 1.0
RETRIES = 8
FAILURES_IN_A_ROW = 8
RETRY_SPAN_S = 4 * 3600.0
ROTATION_S = 3600.0
RECENT = 5_000


@dataclass(eq=False, kw_only=True)
class Content:
    """What a delivery, its retries and its copies say; None until one of them is sent first."""

    body: bytes | None = None


@dataclass(eq=False, kw_only=True)
class Delivery:
    """One webhook on its way to one subscription."""

    subscription: Subscription
    happening: Happening
    webhook_id: str
    triggered_at: datetime
    due: datetime
    content: Content
    attempts: int = 0
    wrong: tuple[WebhookFault, ...] = ()
    failures: int = 0  # in a row, with nothing of its subscription accepted in between
    accepted_before: int = 0  # what its subscription had accepted when the row began


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One attempt to deliver and its answer; status None: no answer in time, or it could not be sent."""

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
    limit_s: float = TIMEOUT_S  # in all, from connecting to the last byte of the answer
    sent: deque[Sent] = field(default_factory=lambda: deque(maxlen=RECENT))
    _heap: list[tuple[datetime, int, Delivery]] = field(default_factory=list)
    _turns: Iterator[int] = field(default_factory=count)
    _taken: dict[Delivery, None] = field(default_factory=dict)
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
            content=Content(body=self._body(subscription, happening) if at_once else None),
            accepted_before=subscription.accepted,
        )
        self._enqueue(delivery, self.faults.pick_webhook())

    def _passes(self, subscription: Subscription, happening: Happening) -> bool:
        if subscription.filter is None:
            return True
        payload = self.payloads.build(happening.topic, happening.subject)
        return passes_filter(payload, subscription.filter)

    def _enqueue(self, delivery: Delivery, fate: Fate) -> None:
        if WebhookFault.DROP in fate.faults:
            return
        delivery.due += timedelta(seconds=fate.late_s)
        delivery.wrong = fate.faults
        self._push(delivery)
        for copy in fate.copies:
            again = replace(delivery, due=delivery.due + timedelta(seconds=copy.later_s))
            if copy.new_id:  # a delivery of its own, built when it is sent
                again.webhook_id = self.state.new_uuid()
                again.content = replace(delivery.content)
            self._push(again)

    def _push(self, delivery: Delivery) -> None:
        heapq.heappush(self._heap, (delivery.due, next(self._turns), delivery))

    @property
    def waiting(self) -> list[Delivery]:
        """Everything on its way: what is being sent, then the rest in the order in which it is due."""
        queued = (delivery for _, _, delivery in sorted(self._heap))
        return [delivery for delivery in (*self._taken, *queued) if self._wanted(delivery)]

    def _wanted(self, delivery: Delivery) -> bool:
        """A deleted subscription gets nothing more, but for the news that the app is gone."""
        known = delivery.subscription.gid in self.subscriptions.by_gid
        return known or delivery.happening.topic == "app/uninstalled"

    def next_due(self) -> datetime | None:
        return self._heap[0][0] if self._heap else None

    def take_due(self, *, limit: int | None = None) -> list[Delivery]:
        """Hands out what is due by the clock, each of which has to be attempted."""
        now, taken = self.state.clock.now(), list[Delivery]()
        while self._heap and self._heap[0][0] <= now and (limit is None or len(taken) < limit):
            delivery = heapq.heappop(self._heap)[2]
            if self._wanted(delivery):
                taken.append(delivery)
        self._taken.update(dict.fromkeys(taken))
        return taken

    async def settle(self) -> int:
        """Attempts everything that is due by the clock, one after the other; returns the attempts."""
        attempts = 0
        while batch := self.take_due(limit=1):
            for delivery in batch:
                await self.attempt(delivery)
            attempts += len(batch)
        return attempts

    async def attempt(self, delivery: Delivery) -> None:
        """Sends one delivery that was handed out. However it fails, it is tried again; an exception goes on."""
        self._taken.pop(delivery, None)
        if not self._wanted(delivery):
            return
        if self.deliver is None:
            self._push(delivery)
            raise ShopError("the shop has webhooks to deliver but no way to: set shop.deliver")
        await self._send(self.deliver, delivery)

    async def _send(self, deliver: Deliver, delivery: Delivery) -> None:
        status, body = None, b""
        delivery.attempts += 1
        self._taken[delivery] = None
        try:
            body = self._content_of(delivery)
            async with asyncio.timeout(self.limit_s):
                status = await deliver(delivery.subscription.uri, self.headers(delivery, body), body)
        except TimeoutError:
            status = None
        finally:
            self._taken.pop(delivery, None)
            self._note(delivery, status, body)

    def _content_of(self, delivery: Delivery) -> bytes:
        if delivery.content.body is None:
            delivery.content.body = self._body(delivery.subscription, delivery.happening)
        return delivery.content.body

    def _body(self, subscription: Subscription, happening: Happening) -> bytes:
        payload = self.payloads.build(happening.topic, happening.subject)
        return encode(only_fields(payload, subscription.include_fields))

    def _note(self, delivery: Delivery, status: int | None, body: bytes) -> None:
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
        if status is not None and 200 <= status < 300:
            delivery.subscription.accepted += 1
        else:
            self._failed(delivery)

    def _failed(self, delivery: Delivery) -> None:
        """Plans the next retry, or deletes the subscription after 8 failures in a row.

        A row is of attempts at one delivery, and ends when anything of its subscription is accepted. So 8
        deliveries that fail at once, as while an app restarts, are no row of 8; no answer for 2 hours is.
        """
        subscription = delivery.subscription
        if delivery.accepted_before != subscription.accepted:
            delivery.accepted_before, delivery.failures = subscription.accepted, 0
        delivery.failures += 1
        if delivery.failures == FAILURES_IN_A_ROW:
            self.subscriptions.delete(subscription.gid)
        elif delivery.attempts <= RETRIES:
            self._retry(delivery)

    def _retry(self, delivery: Delivery) -> None:
        if self.state.switches.webhook_id_on_retry == "new":
            delivery.webhook_id = self.state.new_uuid()
        delivery.due = self.state.clock.now() + timedelta(seconds=retry_delay_s(delivery.attempts))
        self._push(delivery)

    def headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        secret = "not the secret" if WebhookFault.BAD_HMAC in delivery.wrong else self.signing_secret()
        domain = "other-shop.myshopify.com" if WebhookFault.WRONG_SHOP in delivery.wrong else self.domain
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
