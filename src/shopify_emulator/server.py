"""The shop as an ASGI application: Admin API, token endpoint, bulk results, control API and page.

Routes several shops by Host or by the prefix /shops/DOMAIN; breaks connections where a fault says so.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopify_emulator.api import Answer, Dropped, Reply, Silence
from shopify_emulator.pump import pump
from shopify_emulator.shop import Shop

GRAPHQL = re.compile(r"/admin/api/[^/]+/graphql\.json")
TOKEN_PATH = "/admin/oauth/access_token"
BULK = re.compile(r"/bulk/([0-9]+)/([0-9a-f-]{36})\.jsonl")
PREFIX = re.compile(r"/shops/([^/]+)(/.*)?")
MAX_BODY_BYTES = 4_000_000
SILENCE_LIMIT_S = 120.0
SHOP_KEY = "shopify_emulator.shop"


class DroppedConnection(ConnectionError):
    """In-process form of a connection that broke. `refused`: it was never made."""

    def __init__(self, *, refused: bool) -> None:
        super().__init__("the shop dropped the connection")
        self.refused = refused


class NeverAnswers(TimeoutError):
    """In-process form of a request that is never answered."""


class EmulatorApp:
    """ASGI entry: finds the shop, answers the Admin API itself, and leaves the rest to Starlette."""

    def __init__(self, shops: Mapping[str, Shop], pages: ASGIApp) -> None:
        self._shops = dict(shops)
        self._only = next(iter(shops.values()))
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._pages(scope, receive, send)
            return
        shop, path = self._route(scope)
        if shop is None:
            await Response(f"there is no shop at {path}", status_code=404)(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            await Response("the body is too large", status_code=413)(scope, receive, send)
            return
        found = self._endpoint(path, scope["method"])
        if found is None:
            inner = {**scope, "path": path, "raw_path": path.encode(), SHOP_KEY: shop}
            await self._pages(inner, _again(body, receive), send)
            return
        await _reply(found(shop, body, _headers(scope)), scope, receive, send)

    def _route(self, scope: Scope) -> tuple[Shop | None, str]:
        path: str = scope["path"]
        prefixed = PREFIX.fullmatch(path)
        if prefixed is not None:
            return self._shops.get(prefixed[1]), prefixed[2] or "/"
        host = _headers(scope).get("host", "").partition(":")[0]
        return self._shops.get(host, self._only), path

    def _endpoint(self, path: str, method: str) -> Callable[[Shop, bytes, Mapping[str, str]], Reply] | None:
        if method == "POST" and GRAPHQL.fullmatch(path):
            return Shop.post
        if method == "POST" and path == TOKEN_PATH:
            return _grant
        bulk = BULK.fullmatch(path)
        if method == "GET" and bulk is not None:
            number, token = int(bulk[1]), bulk[2]
            return lambda shop, _body, _headers: (
                shop.bulk_result(number, token) or Answer(status=404, body=b"")
            )
        return None


def _grant(shop: Shop, body: bytes, headers: Mapping[str, str]) -> Reply:
    """The token endpoint takes a form or JSON."""
    if headers.get("content-type", "").startswith("application/json"):
        try:
            data = json.loads(body)
        except ValueError:
            data = {}
        return shop.grant_token(data if isinstance(data, dict) else {})
    return shop.grant_token(dict(parse_qsl(body.decode("utf-8", errors="replace"))))


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None when it is larger than a shop takes."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > MAX_BODY_BYTES:
            return None
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already once more, then what the server says."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _reply(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    match reply:
        case Answer():
            response = Response(reply.body, status_code=reply.status, headers=dict(reply.headers))
            await response(scope, receive, send)
        case Dropped():
            await _drop(receive, send, refused=reply.refused)
        case Silence():
            await _stay_silent(receive, send)


def _transport(send: Send) -> Any:
    """The server's transport under this request, or None in process."""
    return getattr(getattr(send, "__self__", None), "transport", None)


async def _drop(receive: Receive, send: Send, *, refused: bool) -> None:
    """Closes the socket, or raises when there is none."""
    transport = _transport(send)
    if transport is None:
        raise DroppedConnection(refused=refused)
    transport.abort()
    await _disconnected(receive)


async def _stay_silent(receive: Receive, send: Send) -> None:
    """Holds the connection until the caller gives up, or raises when there is none."""
    transport = _transport(send)
    if transport is None:
        raise NeverAnswers
    with suppress(TimeoutError):
        async with asyncio.timeout(SILENCE_LIMIT_S):
            await _disconnected(receive)
    transport.abort()
    await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()


async def _nothing() -> None:
    pass


def asgi_app(
    shop: Shop,
    *more: Shop,
    routes: tuple[Route, ...] = (),
    deliver_in_background: bool = False,
    at_end: Callable[[], Awaitable[None]] = _nothing,
) -> EmulatorApp:
    """The ASGI application of one or several shops.

    `deliver_in_background` sends webhooks while the server runs (its lifespan); tests call
    `settle_webhooks` instead. `at_end` is called when the server has stopped.
    """
    shops = (shop, *more)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        pumps = [asyncio.create_task(pump(each)) for each in shops if deliver_in_background]
        try:
            yield
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await at_end()

    pages = Starlette(routes=list(routes), lifespan=lifespan)
    return EmulatorApp({each.domain: each for each in shops}, pages)


def shop_of(request: Request) -> Shop:
    shop: Shop = request.scope[SHOP_KEY]
    return shop
