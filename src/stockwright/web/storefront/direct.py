"""Requests of pages elsewhere, such as headless storefronts: only from the shop's own domains (CORS)."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stockwright import notify_settings
from stockwright.store import shops
from stockwright.store.shops import Shop
from stockwright.web.storefront.signing import Asker, take_sign_up, tell_state
from stockwright.web.storefront.site import Handler, StorefrontDeps, answered

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_REFUSED = "This page may not sign people up for this shop."
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Accept, Content-Type",
    "Access-Control-Max-Age": "600",
}


@dataclass(frozen=True, kw_only=True)
class _Visit:
    shop: Shop
    origin: str


class Direct:
    """The endpoints under /storefront."""

    def __init__(self, own: StorefrontDeps) -> None:
        self._own = own

    async def post(self, request: Request) -> Response:
        """A sign-up."""

        async def handler(request: Request) -> Response:
            return await take_sign_up(self._own, request, self._asker(request))

        return await self._allowed(request, handler)

    async def state(self, request: Request) -> Response:
        """Which variants have a button."""

        async def handler(request: Request) -> Response:
            return await tell_state(self._own, request, self._asker(request))

        return await self._allowed(request, handler)

    async def preflight(self, request: Request) -> Response:
        """What a browser asks before it sends JSON."""

        async def handler(_request: Request) -> Response:
            return Response(status_code=204, headers=_PREFLIGHT)

        return await self._allowed(request, handler)

    @staticmethod
    def _asker(request: Request) -> Asker:
        visit: _Visit = request.state.visit
        return Asker(shop=visit.shop, source="direct")

    async def _allowed(self, request: Request, handler: Handler) -> Response:
        """The handler's answer, for pages of the shop; all others get the same refusal, without CORS headers."""

        async def find(request: Request) -> Response:
            request.state.visit = await self._visit(request)
            response = await answered(request, handler)
            response.headers["Access-Control-Allow-Origin"] = request.state.visit.origin
            response.headers["Vary"] = "Origin"
            return response

        return await answered(request, find)

    async def _visit(self, request: Request) -> _Visit:
        origin = request.headers.get("origin", "")
        sender = await self._own.find_sender(request.path_params["domain"].lower())
        if sender is not None and origin:
            async with self._own.deps.database.connection() as conn:
                shop = await shops.get(conn, sender.shop_id)
                found = await notify_settings.enabled(conn, sender.shop_id)
            more = found.options.storefront_domains if found else ()
            if shop is not None and is_allowed(origin, (shop.domain, shop.primary_host, *more)):
                return _Visit(shop=shop, origin=origin)
        raise HTTPException(403, _REFUSED)


def is_allowed(origin: str, hosts: Collection[str]) -> bool:
    """Whether a page's origin is https (http on this machine only) at one of these hosts, which may name a port."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if origin != f"{parts.scheme}://{parts.netloc}" or parts.username is not None:
        return False
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOCAL):
        return False
    named = f"{host}:{port}" if port is not None else host
    return any(named == one.strip().lower() for one in hosts if one.strip())
