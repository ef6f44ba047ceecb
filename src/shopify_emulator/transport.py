"""Ways in and out without sockets: a client transport to a shop, and webhook delivery.

Turns the shop's faults into the exceptions that a client sees over a real network.
"""

from __future__ import annotations

from collections.abc import Mapping

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


def deliver_with(transport: httpx2.AsyncBaseTransport) -> Deliver:
    """Delivers webhooks over a transport: the network, or in process an ASGITransport.

    Without httpx2's client, which takes a third of the time for redirects, cookies and sign-in that no webhook has.
    """
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
