"""Whether a variant has a Notify Me button, whether it can be ordered ahead, and why. Pure.

The server decides, from fresh stock. Out of stock is a quantity, never "available for sale": a variant on
pre-order continues selling, so Shopify calls it available at 0.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from stockwright.notify import DISABLED
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.notify.offers import Item, Mode, Offer, Status, as_of


class Why(StrEnum):
    """The reason for having, or not having, a Notify Me button."""

    SHOWN = "shown"
    GIFT_CARD = "gift_card"
    BUNDLE = "bundle"
    NOT_SOLD = "not_sold"  # the product is a draft or archived
    EXCLUDED = "excluded"  # by one of the product's tags
    PLAN = "plan"
    OFF = "off"  # no automation of the feature is enabled, or it takes no sign-ups
    NO_OFFER = "no_offer"
    NOT_ACTIVE = "not_active"
    MODE = "mode"
    UNTRACKED = "untracked"
    IN_STOCK = "in_stock"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is decided of one variant."""

    notify: bool  # a Notify Me button; sign-ups are taken
    preorder: bool  # it can be ordered ahead
    why: str  # of `notify`, one sentence for the merchant
    offer_id: str = ""  # the offer that decided; "" = none covers the variant
    reason: Why = Why.SHOWN
    preorder_why: str = ""  # of `preorder`, one sentence for the merchant
    available: int | None = None  # at the locations that count; None = not tracked
    most_units: int | None = None  # that one order may have ahead now; None = unlimited, or no pre-order

    @property
    def in_stock(self) -> bool:
        """Whether it can be bought from stock."""
        return self.available is None or self.available > 0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Units ordered ahead under an offer."""

    total: int = 0
    by_customer: int = 0  # of the customer who looks; 0 for guests


@dataclass(frozen=True, kw_only=True)
class Standing:
    """An offer with what is needed to judge a product by it."""

    offer: Offer
    items: tuple[Item, ...]
    stopped: frozenset[str] = frozenset()  # variants whose pre-order auto-disable has stopped
    counts: Counts = Counts()


@dataclass(frozen=True, kw_only=True)
class Shopwide:
    """What holds for the whole shop."""

    is_premium: bool
    is_enabled: bool  # an automation of the feature is enabled
    is_installed: bool = True  # the app was not uninstalled
    takes_sign_ups: bool = True
    exclude_tags: tuple[str, ...] = ()
    continue_selling_counts: bool = False  # a variant that sells on when sold out is never asked about


Stock = Mapping[str, int | None]  # variant id -> units at the locations that count; None = not tracked


def gates(
    product: ShownProduct, stock: Stock, standings: Sequence[Standing], shop: Shopwide, now: datetime
) -> dict[str, Gate]:
    """What is decided of every variant of a product. Of several offers the first that allows something decides."""
    at_now = [replace(one, offer=as_of(one.offer, now)) for one in standings]
    return {
        variant.id: _gate(product, variant, stock[variant.id], at_now, shop) for variant in product.variants
    }


def _gate(
    product: ShownProduct,
    variant: ShownVariant,
    available: int | None,
    standings: Sequence[Standing],
    shop: Shopwide,
) -> Gate:
    covering = [one for one in standings if any(item.covers(product.id, variant.id) for item in one.items)]
    found = [_by_offer(one, variant.id, available) for one in covering]
    best = min(found, key=_rank, default=_uncovered(available))
    reason, why = _refusal(product, variant, shop)
    if best.reason in (Why.NO_OFFER, Why.NOT_ACTIVE, Why.MODE) and reason in (Why.PLAN, Why.OFF):
        return best  # the nearer reason: it would have no button on any plan
    return replace(best, notify=False, reason=reason, why=why) if why else best


def _rank(gate: Gate) -> tuple[bool, bool, int]:
    order = (Why.SHOWN, Why.IN_STOCK, Why.UNTRACKED, Why.MODE, Why.NOT_ACTIVE)
    return not gate.notify, not gate.preorder, order.index(gate.reason)


def _uncovered(available: int | None) -> Gate:
    return Gate(
        notify=False,
        preorder=False,
        available=available,
        reason=Why.NO_OFFER,
        why="No offer has this variant.",
        preorder_why="No offer has this variant.",
    )


# --- what speaks against it whatever the offers are -----------------------------------------------------------


def _refusal(product: ShownProduct, variant: ShownVariant, shop: Shopwide) -> tuple[Why, str]:
    """Why there is no sign-up for this variant under any offer; ("shown", "") = nothing speaks against it."""
    if product.is_gift_card:
        return Why.GIFT_CARD, "Gift cards have no stock that could come back."
    if variant.requires_components:
        return Why.BUNDLE, "It is a bundle: its stock is that of its parts."
    if product.status in ("DRAFT", "ARCHIVED"):
        return Why.NOT_SOLD, f"The product is {product.status.lower()}."
    if shop.continue_selling_counts and variant.continue_selling:
        return (
            Why.IN_STOCK,
            "It sells on when sold out, and an option of the automation counts that as in stock.",
        )
    if tag := excluded_by(product.tags, shop.exclude_tags):
        return Why.EXCLUDED, f"The product has the tag {tag!r}, for which sign-ups are off."
    return _shop_refusal(shop)


def _shop_refusal(shop: Shopwide) -> tuple[Why, str]:
    if not shop.is_installed:
        return Why.OFF, "The app was uninstalled from the shop."
    if not shop.is_premium:
        return Why.PLAN, "The shop is on the free plan; Notify Me needs the premium plan."
    if not shop.is_enabled:
        return Why.OFF, DISABLED
    if not shop.takes_sign_ups:
        return Why.OFF, "The automation's option “Take sign-ups” is off."
    return Why.SHOWN, ""


def excluded_by(tags: Collection[str], excluded: Collection[str]) -> str:
    """The first of the product's tags that is excluded, compared without case; "" = none."""
    refused = {tag.casefold() for tag in excluded}
    return next((tag for tag in sorted(tags) if tag.casefold() in refused), "")


# --- what one offer says --------------------------------------------------------------------------------------


def _by_offer(standing: Standing, variant_id: str, available: int | None) -> Gate:
    offer = standing.offer
    reason, why = _notify(offer, available)
    against = _against_preorder(standing, variant_id, available)
    most = _most_units(offer, standing.counts)
    return Gate(
        notify=reason is Why.SHOWN,
        preorder=not against,
        reason=reason,
        why=why,
        preorder_why=against or f"The offer {offer.terms.name!r} allows it now.",
        offer_id=offer.offer_id,
        available=available,
        most_units=None if against else most,
    )


def _notify(offer: Offer, available: int | None) -> tuple[Why, str]:
    name = offer.terms.name
    if offer.status is not Status.ACTIVE:
        return Why.NOT_ACTIVE, f"The offer {name!r} is {_status_told(offer)}."
    if offer.terms.mode is not Mode.OUT_OF_STOCK:
        return Why.MODE, f"The offer {name!r} has another mode than “allow when out of stock”."
    if available is None:
        return Why.UNTRACKED, "Its inventory is not tracked, so it never runs out."
    if available > 0:
        return Why.IN_STOCK, f"It is in stock: {available} available."
    return Why.SHOWN, f"The offer {name!r} is active and it is out of stock: {available} available."


_PAUSED = {
    "manual": "paused",
    "auto_back_in_stock": "paused because all its variants are back in stock",
    "limit_reached": "paused because its limit is reached",
}


def _status_told(offer: Offer) -> str:
    return _PAUSED.get(offer.pause.value, offer.status.value)


def _against_preorder(standing: Standing, variant_id: str, available: int | None) -> str:
    """Why it cannot be ordered ahead under this offer; "" = it can."""
    offer = standing.offer
    is_out = available is not None and available <= 0
    if offer.status is not Status.ACTIVE:
        return f"The offer {offer.terms.name!r} is {_status_told(offer)}."
    if offer.terms.mode is Mode.OUT_OF_STOCK and not is_out:
        return "It is in stock, and the offer allows pre-orders when it is out of stock."
    if offer.terms.mode is Mode.IN_STOCK and is_out:
        return "It is out of stock, and the offer allows pre-orders when it is in stock."
    if variant_id in standing.stopped and not (is_out and offer.terms.resume):
        return "Auto-disable has stopped its pre-order because it was back in stock."
    return _limit_told(offer, standing.counts)


def _limit_told(offer: Offer, counts: Counts) -> str:
    terms = offer.terms
    if terms.limit_total is not None and counts.total >= terms.limit_total:
        return f"The offer's limit is reached: {counts.total} of {terms.limit_total} units."
    if terms.limit_per_customer is not None and counts.by_customer >= terms.limit_per_customer:
        return f"The customer's limit is reached: {counts.by_customer} of {terms.limit_per_customer} units."
    return ""


def _most_units(offer: Offer, counts: Counts) -> int | None:
    terms = offer.terms
    left = (
        terms.limit_per_order,
        None if terms.limit_total is None else terms.limit_total - counts.total,
        None if terms.limit_per_customer is None else terms.limit_per_customer - counts.by_customer,
    )
    return min((one for one in left if one is not None), default=None)
