"""POST /webhooks/shopify: reads a delivery within limits, has it checked and stored, answers after the commit.

Plain ASGI, because this is the one route that meets bursts. Must not decide anything about the content. What is
not sent by an installed shop is not kept while it is read, and answered like a bad signature, no sooner.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import assert_never

from starlette.types import Receive, Scope, Send

from stockwright.inbox import (
    UNKNOWN_SENDER,
    FindSender,
    Inbox,
    Received,
    Rejection,
    read_webhook,
    sender_domain,
)
from stockwright.model import EventId
from stockwright.store.database import Unreachable
from stockwright.store.ids import new_id
from stockwright.web.metrics import Metrics

_TOO_LARGE = Rejection(status=413, message="The body is larger than this server accepts.")
_TOO_SLOW = Rejection(status=408, message="The body did not arrive in time.")
_REFUSED = Rejection(status=422, message="The database refuses the content of this delivery.")
_BUSY = Rejection(status=503, message="Too many deliveries wait to be stored. Send it again later.")
_CROWDED = Rejection(status=503, message="Too many deliveries are being received. Send it again later.")
_UNAVAILABLE = Rejection(status=503, message="The database does not answer. Send it again later.")


@dataclass(frozen=True, kw_only=True)
class BodyLimits:
    """What a delivery's body may cost."""

    size_bytes: int
    read_s: float = 5.0  # Shopify itself gives up after this
    in_parts: int = 32  # bodies that are being put together from several parts at the same time


class _Budget:
    """The time that we take ourselves for one answer; what a slow client takes does not count."""

    def __init__(self, limit_s: float) -> None:
        self._left_s = limit_s

    @contextmanager
    def spending(self) -> Iterator[float]:
        """The seconds that are left."""
        began = monotonic()
        try:
            yield max(self._left_s, 0.0)
        finally:
            self._left_s -= monotonic() - began


class Webhooks:
    """The ASGI endpoint."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        find_sender: FindSender,
        metrics: Metrics,
        now: Callable[[], datetime],
        body_limits: BodyLimits,
    ) -> None:
        self._inbox = inbox
        self._find_sender = find_sender
        self._metrics = metrics
        self._now = now
        self._limits = body_limits
        self._in_parts = 0  # bodies of which we hold a part and wait for more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._metrics.webhook_timer():
            outcome = await self._take(scope, receive)
        match outcome:
            case Rejection():
                self._metrics.webhook(f"rejected_{outcome.status}")
                await _respond(send, outcome.status, {"error": outcome.message})
            case Received():
                self._metrics.webhook(outcome.value)
                await _respond(send, 200, {"received": outcome.value})
            case None:
                self._metrics.webhook("disconnected")
            case _:
                assert_never(outcome)

    async def _take(self, scope: Scope, receive: Receive) -> Received | Rejection | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        budget = _Budget(self._inbox.answer_s)
        try:
            with budget.spending() as left_s:
                async with asyncio.timeout(left_s):
                    sender = await self._find_sender(sender_domain(headers))
        except Unreachable:
            return _UNAVAILABLE
        body = await self._body(headers, receive, keep=sender is not None)
        if not isinstance(body, bytes):
            return body
        event = read_webhook(headers, body, sender, event_id=EventId(new_id("evt", self._now())))
        if isinstance(event, Rejection):
            return event
        try:
            with budget.spending() as left_s:
                async with asyncio.timeout(left_s):
                    return _answer(await self._inbox.receive(event))
        except TimeoutError:
            return _UNAVAILABLE

    async def _body(
        self, headers: Mapping[str, str], receive: Receive, *, keep: bool
    ) -> bytes | Rejection | None:
        """The whole body, empty if it is not to be kept; None when the client went away."""
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._limits.size_bytes:
            return _TOO_LARGE
        try:
            async with asyncio.timeout(self._limits.read_s):
                return await self._read(receive, keep=keep)
        except TimeoutError:
            return _TOO_SLOW

    async def _read(self, receive: Receive, *, keep: bool) -> bytes | Rejection | None:
        """Most bodies come in one part: whoever sends his slowly, in parts, keeps none of those waiting."""
        body, size, in_parts = bytearray(), 0, False
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                part = message.get("body", b"")
                size += len(part)
                if size > self._limits.size_bytes:
                    return _TOO_LARGE
                if keep:
                    body += part
                if not message.get("more_body"):
                    return bytes(body)
                if keep and not in_parts:
                    if self._in_parts >= self._limits.in_parts:
                        return _CROWDED
                    self._in_parts += 1
                    in_parts = True
        finally:
            self._in_parts -= in_parts


def _answer(received: Received) -> Received | Rejection:
    match received:
        case Received.STORED | Received.DUPLICATE:
            return received
        case Received.UNKNOWN_SHOP:
            return UNKNOWN_SENDER
        case Received.REFUSED:
            return _REFUSED
        case Received.BUSY:
            return _BUSY
        case Received.UNAVAILABLE:
            return _UNAVAILABLE
        case _:
            assert_never(received)


async def _respond(send: Send, status: int, content: dict[str, str]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", b"2"))
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
