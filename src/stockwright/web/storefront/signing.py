"""Sign-up and state, however the request came: the same for the app proxy and the direct endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockwright import notify_settings
from stockwright.model import Json, gid_number
from stockwright.notify.gating import Gate
from stockwright.notify.limits import WINDOW, window_of
from stockwright.notify.texts import WIDGET, Words, checked_locale, words
from stockwright.offering import gate
from stockwright.signing_up import FIELDS, TAKEN, Answer, Said, sign_up
from stockwright.store import offers, storefront_texts
from stockwright.store.shops import Shop
from stockwright.web.clients import client_address, client_network
from stockwright.web.storefront.forms import object_id, read_texts, wish_of
from stockwright.web.storefront.pages import answer_page, theme_page, wants_page
from stockwright.web.storefront.site import StorefrontDeps

_STATUS: Mapping[Said, int] = {
    Said.SIGNED_UP: 200,
    Said.CHECK_MAIL: 200,
    Said.IN_STOCK: 409,
    Said.NOT_OFFERED: 409,
    Said.SIGN_IN_FIRST: 403,
    Said.TOO_MANY: 429,
    Said.UNAVAILABLE: 503,
}  # others are mistakes in the form: 422
_UNINSTALLED = "uninstalled"


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks, as far as it is proven."""

    shop: Shop
    source: str  # proxy | direct
    customer_id: str = ""  # gid; "" = guest
    behind: int = 0  # proxies of Shopify's between the shopper and us


async def take_sign_up(own: StorefrontDeps, request: Request, asker: Asker) -> Response:
    """Read the form, sign up, answer as JSON or as a page; never sooner than the floor."""
    began = monotonic()
    texts = await read_texts(request)
    now = own.deps.clock()
    client = client_network(client_address(request, own.trusted, behind=asker.behind))
    wish = wish_of(texts, source=asker.source, client=client, customer_id=asker.customer_id, now=now)
    if asker.shop.status == _UNINSTALLED:
        answer = Answer(said=Said.NOT_OFFERED)
    else:
        answer = await sign_up(own.deps, own.products, asker.shop, wish)
    told = await _words(own, asker.shop, wish.locale)
    await own.sleep(max(0.0, own.floor_s - (monotonic() - began)))
    status, headers = _STATUS.get(answer.said, 422), _headers(own, answer)
    if wants_page(request):
        if asker.source == "proxy":
            return theme_page(told, answer, page=wish.page)
        response = answer_page(asker.shop, told, answer, page=wish.page)
        response.status_code = status
        response.headers.update(headers)
        return response
    return JSONResponse(_as_json(told, answer), status_code=status, headers=headers)


def _as_json(told: Words, answer: Answer) -> dict[str, Json]:
    found: dict[str, Json] = {"ok": answer.said in TAKEN, "message": told.say(answer.said, item=answer.item)}
    if answer.said not in TAKEN:
        found["reason"] = answer.said.value
    if field := FIELDS.get(answer.said):
        found["field"] = field
    if answer.said is Said.IN_STOCK:
        found |= {"link": answer.link, "link_text": told.say("in_stock_link")}
    return found


def _headers(own: StorefrontDeps, answer: Answer) -> dict[str, str]:
    match answer.said:
        case Said.TOO_MANY:
            now = own.deps.clock()
            left = window_of(now) + WINDOW - now
            return {"Retry-After": str(int(left.total_seconds()) + 1)}
        case Said.UNAVAILABLE:
            return {"Retry-After": "5"}
    return {}


async def _words(own: StorefrontDeps, shop: Shop, locale: str) -> Words:
    async with own.deps.database.connection() as conn:
        return words(locale, await storefront_texts.own_texts(conn, shop.shop_id))


# --- which variants have a button -----------------------------------------------------------------------------


async def tell_state(own: StorefrontDeps, request: Request, asker: Asker) -> Response:
    """Which variants of a product have a button now, how many may be ordered ahead, and the texts; no stock numbers.

    Raises:
        HTTPException: 400 without a product, 503 when its shop does not answer.
    """
    product_id = object_id("Product", request.query_params.get("product", ""))
    if not product_id:
        raise HTTPException(400, "The parameter `product` is missing: the number of the product.")
    locale = checked_locale(request.query_params.get("locale", ""))
    variants = await _variants(own, asker, product_id)
    told = await _words(own, asker.shop, locale)
    async with own.deps.database.connection() as conn:
        found = await notify_settings.enabled(conn, asker.shop.shop_id)
    return JSONResponse(
        {
            "product": int(gid_number(product_id)),
            "variants": variants,
            "button": found.options.button if found else "alongside",
            "locale": told.locale,
            "texts": {name: told.texts[name] for name in WIDGET},
        }
    )


async def _variants(own: StorefrontDeps, asker: Asker, product_id: str) -> dict[str, Json]:
    shop, now = asker.shop, own.deps.clock()
    async with own.deps.database.connection() as conn:
        found = await notify_settings.enabled(conn, shop.shop_id)
        covering = await offers.covering(conn, shop.shop_id, product_id)
    if found is None or not covering.offers or shop.status == _UNINSTALLED:
        return {}
    look = await own.products.look(shop.shop_id, product_id)
    if look.product is None:
        if look.is_fresh:
            return {}
        raise HTTPException(503, "The shop does not answer. Try again in a moment.")
    async with own.deps.database.connection() as conn:
        gates = await gate(conn, shop, look.product, now, customer_id=asker.customer_id)
    may_sign_up = found.options.guests or bool(asker.customer_id)
    return {gid_number(variant_id): _told(one, may_sign_up=may_sign_up) for variant_id, one in gates.items()}


def _told(gate: Gate, *, may_sign_up: bool) -> dict[str, Json]:
    """What the page is told of a variant; `most_units` only where one order may not have as many as it likes."""
    most: dict[str, Json] = {} if gate.most_units is None else {"most_units": gate.most_units}
    return {"notify": gate.notify and may_sign_up, "preorder": gate.preorder, **most}
