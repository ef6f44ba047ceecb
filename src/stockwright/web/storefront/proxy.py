"""Requests through Shopify's app proxy: proven by the signature over the query. It proves the shop, not the shopper."""

from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stockwright.inbox import Sender
from stockwright.shopify.signatures import proxy_request_is_genuine
from stockwright.store import shops
from stockwright.web.storefront.forms import object_id
from stockwright.web.storefront.signing import Asker, take_sign_up, tell_state
from stockwright.web.storefront.site import StorefrontDeps, answered

_UNKNOWN = HTTPException(
    401, "The signature does not fit: unknown shop, signed with another secret, or too old."
)
_PAIRS_LIMIT = 100
_SHOPIFYS_HOPS = 1


class Proxied:
    """The endpoints under /proxy."""

    def __init__(self, own: StorefrontDeps) -> None:
        self._own = own

    async def post(self, request: Request) -> Response:
        """A sign-up."""
        return await answered(request, self._post)

    async def state(self, request: Request) -> Response:
        """Which variants have a button."""
        return await answered(request, self._state)

    async def _post(self, request: Request) -> Response:
        return await take_sign_up(self._own, request, await self._asker(request))

    async def _state(self, request: Request) -> Response:
        return await tell_state(self._own, request, await self._asker(request))

    async def _asker(self, request: Request) -> Asker:
        """Who asks, once the signature fits.

        Raises:
            HTTPException: 401, the same whatever does not fit.
        """
        pairs = query_pairs(request)
        domains = [value for name, value in pairs if name == "shop"]
        sender: Sender | None = None
        if len(domains) == 1:
            sender = await self._own.find_sender(domains[0].strip().lower())
        secrets = sender.secrets if sender else ()
        if not proxy_request_is_genuine(pairs, secrets, now=self._own.deps.clock()) or sender is None:
            raise _UNKNOWN
        async with self._own.deps.database.connection() as conn:
            shop = await shops.get(conn, sender.shop_id)
        if shop is None:
            raise _UNKNOWN
        customers = [value for name, value in pairs if name == "logged_in_customer_id"]
        customer_id = object_id("Customer", customers[0]) if len(customers) == 1 else ""
        return Asker(shop=shop, source="proxy", customer_id=customer_id, behind=_SHOPIFYS_HOPS)


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The decoded pairs of the raw query in their order, empty values and repeated names kept."""
    raw = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(raw, keep_blank_values=True, max_num_fields=_PAIRS_LIMIT)
    except ValueError:
        raise _UNKNOWN from None
