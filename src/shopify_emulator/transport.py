"""Ways in and out without sockets: a client transport to a shop, and webhook delivery.

Turns the shop's faults into the exceptions that a client sees over a real network.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
import httpx2

from shopify_emulator.server import DroppedConnection, NeverAnswers, asgi_app
from shopify_emulator.shop import Shop
from shopify_emulator.webhooks import CONNECT_S, TIMEOUT_S, Deliver


class EmulatorTransport(httpx2.AsyncBaseTransport):
    """Routes every request of an httpx2 client to the shop, in process.

    Dropped connections become ReadError (ConnectError when refused), silence becomes ReadTimeout at
    once: the shop's clock does not move by itself.
    """

    def __init__(self, shop: Shop, *more: Shop) -> None:
        self._inner = httpx2.ASGITransport(app=asgi_app(shop, *more))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return await self._inner.handle_async_request(request)
        except DroppedConnection as error:
            if error.refused:
                raise httpx2.ConnectError("connection refused", request=request) from error
            raise httpx2.ReadError("connection reset", request=request) from error
        except NeverAnswers as error:
            raise httpx2.ReadTimeout("no answer", request=request) from error


class HttpDelivery:
    """Delivers webhooks over the network, on connections that are kept; opened with the first, in the running loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        """The status of the answer; None when none came in time."""
        session = self._session = self._session or _session()
        try:
            async with session.post(url, headers=headers, data=body, allow_redirects=False) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()


def _session() -> aiohttp.ClientSession:
    limits = aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_S)
    return aiohttp.ClientSession(timeout=limits, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())


def deliver_with(transport: httpx2.AsyncBaseTransport) -> Deliver:
    """Delivers webhooks over a transport, such as an ASGITransport in process."""
    limits = {"timeout": httpx2.Timeout(TIMEOUT_S, connect=CONNECT_S).as_dict()}

    async def deliver(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        try:
            request = httpx2.Request("POST", url, headers=dict(headers), content=body, extensions=limits)
            response = await transport.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()
        except (httpx2.TransportError, httpx2.InvalidURL):
            return None
        return response.status_code

    return deliver
