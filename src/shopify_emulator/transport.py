"""Ways in and out without sockets: a client transport to a shop, and webhook delivery.

Turns the shop's faults into the exceptions that a client sees over a real network.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx2

from shopify_emulator.server import DroppedConnection, NeverAnswers, asgi_app
from shopify_emulator.shop import Shop
from shopify_emulator.webhooks import TIMEOUT_S, Deliver


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


def deliver_with(client: httpx2.AsyncClient) -> Deliver:
    """Delivers webhooks through a client: over the network, or in process with an ASGITransport."""

    async def deliver(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        try:
            response = await client.post(url, headers=dict(headers), content=body, timeout=TIMEOUT_S)
        except (httpx2.TransportError, httpx2.InvalidURL):
            return None
        return response.status_code

    return deliver
