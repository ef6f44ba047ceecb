"""Offers as people and programs read them: lines for lists, one in full, and why a button is or is not shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stockwright import offering
from stockwright.deps import Deps
from stockwright.model import ProductGid, StockwrightError, gid, gid_number
from stockwright.notify import KIND
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.notify.gating import Gate
from stockwright.notify.offers import Mode, Pause, Status, Verb
from stockwright.offering import offer_of
from stockwright.store import offer_orders, offer_themes
from stockwright.store.database import Connection
from stockwright.store.offers import ItemRow, OfferLine, OfferRow
from stockwright.store.shops import Shop

MODES_TOLD: Mapping[Mode, str] = {
    Mode.OUT_OF_STOCK: "Allow when out of stock",
    Mode.IN_STOCK: "Allow when in stock",
    Mode.ALWAYS: "Always",
}
PAUSES_TOLD: Mapping[Pause, str] = {
    Pause.NOT: "",
    Pause.MANUAL: "by hand",
    Pause.AUTO: "all its variants are back in stock",
    Pause.LIMIT: "its limit is reached",
}
_DONE_TOLD: Mapping[Verb, str] = {
    Verb.ACTIVATE: "is active",
    Verb.UNSCHEDULE: "is a draft again",
    Verb.PAUSE: "is paused",
    Verb.RESUME: "is active again",
    Verb.COMPLETE: "is completed",
    Verb.ARCHIVE: "is archived",
}


class NoSuchProduct(StockwrightError):
    """The shop does not have the product (any more)."""


def done_told(row: OfferRow, verb: Verb) -> str:
    """What became of an offer after a deed, as a sentence."""
    if row.status == Status.SCHEDULED:
        return f"{row.name!r} is scheduled: it starts by itself."
    return f"{row.name!r} {_DONE_TOLD[verb]}."


def described(line: OfferLine, domain: str) -> dict[str, Any]:
    """An offer as JSON; times are datetimes."""
    row = line.offer
    values = {name: value for name, value in vars(row).items() if name not in ("shop_id", "offer_id")}
    counts = {name: getattr(line, name) for name in ("products", "items", "stopped", "ordered", "waiting")}
    return {"id": row.offer_id, "shop": domain, **values, **counts}


def described_item(item: ItemRow) -> dict[str, Any]:
    """A product of an offer, or one variant of it, as JSON."""
    return {**vars(item), "variant_id": item.variant_id or None}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A variant with what is decided of it."""

    variant: ShownVariant
    gate: Gate


async def gates_of(deps: Deps, shop: Shop, product_id: str) -> tuple[ShownProduct, list[Shown]]:
    """A product as the shop has it now, and for each variant whether the button is shown, and why.

    Raises:
        NoSuchProduct: the shop has no such product.
        ShopifyError: it could not be asked.
    """
    client = await deps.clients.for_shop(shop.shop_id)
    product = await client.read_shown_product(ProductGid(product_id))
    if product is None:
        raise NoSuchProduct(f"{shop.domain} has no product {product_id}. It may have been deleted.")
    async with deps.database.connection() as conn:
        found = await offering.gate(conn, shop, product, deps.clock())
    return product, [Shown(variant=variant, gate=found[variant.id]) for variant in product.variants]


def described_gate(one: Shown) -> dict[str, Any]:
    """What is decided of a variant, as JSON."""
    gate = one.gate
    return {
        "variant_id": one.variant.id,
        "title": one.variant.title,
        "available": gate.available,
        "notify": gate.notify,
        "reason": gate.reason.value,
        "why": gate.why,
        "preorder": gate.preorder,
        "preorder_why": gate.preorder_why,
        "most_units": gate.most_units,
        "offer": gate.offer_id or None,
    }


def product_gid(text: str) -> str:
    """The gid of a product given as such or as its number.

    Raises:
        StockwrightError: neither.
    """
    number = gid_number(text.strip())
    if text.strip() in (number, gid("Product", number)) and number.isascii() and number.isdecimal():
        return gid("Product", number)
    raise StockwrightError(f"{text!r} is no product: give its number, or gid://shopify/Product/NUMBER.")


# --- what keeps an offer from doing what it says --------------------------------------------------------------------


async def notices(conn: Connection, shop: Shop, row: OfferRow) -> list[str]:
    """What a person should know who looks at an offer, a sentence each: plan, automation, scopes, theme."""
    options = await offering.enabled_options(conn, shop.shop_id)
    found = [free_told(shop)] if shop.plan != "premium" else []
    if options is None:
        lost = " and auto-disable does not work" if row.auto_disable else ""
        found.append(f"No automation “{KIND}” is enabled in this shop, so Notify Me is not shown{lost}.")
    elif not options.sign_ups:
        found.append("The automation's option “Take sign-ups” is off, so Notify Me is not shown.")
    found.append(schedule_told(row))
    found += [await _counting_told(conn, shop, row), await _theme_told(conn, shop, row)]
    return [one for one in found if one]


def schedule_told(row: OfferRow) -> str:
    """Why an offer is not what its schedule says; "" = it is."""
    if not row.problem:
        return ""
    return f"The offer could not follow its schedule; it is tried again every few seconds. {row.problem}"


def free_told(shop: Shop) -> str:
    """What the free plan means, for pages."""
    return (
        f"{shop.name or shop.domain} is on the free plan. Back-in-stock notifications need the premium plan: Notify Me is "
        "not shown and nobody can sign up. People who wait already are kept; they are told after the shop is on premium."
    )


async def _counting_told(conn: Connection, shop: Shop, row: OfferRow) -> str:
    if row.limit_total is None and row.limit_per_customer is None:
        return ""
    if row.limit_per_customer is not None and "read_customers" not in shop.scopes:
        lacking = "The limit per customer is not kept: the app was not granted read_customers. "
    else:
        lacking = ""
    counting = await offer_orders.counting(conn, shop.shop_id)
    return lacking + (counting.problem if counting else "")


async def _theme_told(conn: Connection, shop: Shop, row: OfferRow) -> str:
    theme = await offer_themes.get(conn, shop.shop_id)
    if theme is None or not theme.problem or not offer_of(row).shows_button:
        return ""
    return f"The theme does not know the latest offers yet; it is tried again. {theme.problem}"
