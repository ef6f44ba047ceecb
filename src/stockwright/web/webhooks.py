"""POST /webhooks/shopify: reads a delivery within limits, has it checked and stored, answers after the commit.

Plain ASGI, because this is the one route that meets bursts. Must not decide anything about the content.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import assert_never

from starlette.types import Receive, Scope, Send

from stockwright.inbox import FindSender, Inbox, Received, Rejection, read_webhook, sender_domain
from stockwright.model import EventId
from stockwright.store.database import Unreachable
from stockwright.store.ids import new_id
from stockwright.web.metrics import Metrics

_READ_LIMIT_S = 5.0  # Shopify itself gives up after this

_TOO_LARGE = Rejection(status=413, message="The body is larger than this server accepts.")
_TOO_SLOW = Rejection(status=408, message="The body did not arrive in time.")
_REFUSED = Rejection(status=422, message="The database refuses the content of this delivery.")
_BUSY = Rejection(status=503, message="Too many deliveries wait to be stored. Send it again later.")
_UNAVAILABLE = Rejection(status=503, message="The database does not answer. Send it again later.")


class Webhooks:
    """The ASGI endpoint."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        find_sender: FindSender,
        metrics: Metrics,
        now: Callable[[], datetime],
        body_limit_bytes: int,
    ) -> None:
        self._inbox = inbox
        self._find_sender = find_sender
        self._metrics = metrics
        self._now = now
        self._body_limit_bytes = body_limit_bytes

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
        body = await self._body(headers, receive)
        if not isinstance(body, bytes):
            return body
        try:
            sender = await self._find_sender(sender_domain(headers))
        except (*Unreachable, TimeoutError):
            return _UNAVAILABLE
        event_id = EventId(new_id("evt", self._now()))
        event = read_webhook(headers, body, sender, event_id=event_id)
        if isinstance(event, Rejection):
            return event
        return _answer(await self._inbox.receive(event))

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes | Rejection | None:
        """The whole body; None when the client went away."""
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._body_limit_bytes:
            return _TOO_LARGE
        try:
            async with asyncio.timeout(_READ_LIMIT_S):
                return await self._read(receive)
        except TimeoutError:
            return _TOO_SLOW

    async def _read(self, receive: Receive) -> bytes | Rejection | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if len(body) > self._body_limit_bytes:
                return _TOO_LARGE
            if not message.get("more_body"):
                return bytes(body)


def _answer(received: Received) -> Received | Rejection:
    match received:
        case Received.STORED | Received.DUPLICATE:
            return received
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
