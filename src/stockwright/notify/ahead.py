"""Which units of an order were ordered ahead under an offer: what its limits count. Pure.

Shopify does not say what stock a line was taken from. It is told from the stock now, walked back over the orders
that are looked at together, newest first: what an order took beyond zero was ordered ahead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from stockwright.notify.offers import Item, Mode


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Units of one variant in one order."""

    order_id: str
    line_id: str
    product_id: str
    variant_id: str
    customer_id: str  # "" = a guest, or not known
    quantity: int  # without what was refunded or taken out; 0 when the order is cancelled
    created_at: datetime
    available: int | None  # of the variant, now; None = not tracked


@dataclass(frozen=True, kw_only=True)
class Counting:
    """An offer whose units are counted."""

    offer_id: str
    mode: Mode
    items: tuple[Item, ...]
    since: datetime  # orders made before count for nothing
    until: datetime | None  # nor those made after; None = it is active


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A line that was judged for an offer; 0 units when it was taken from stock."""

    offer_id: str
    taken: Taken
    quantity: int


def ahead(lines: Sequence[Taken], offers: Sequence[Counting]) -> list[Ahead]:
    """What counts of new lines, by offer. Lines that were judged before must not be among them: stock has moved on."""
    beyond = _beyond_stock(lines)
    return [
        Ahead(offer_id=offer.offer_id, taken=one, quantity=_units(offer.mode, one, beyond[one.line_id]))
        for one in lines
        for offer in offers
        if _belongs(one, offer)
    ]


def _belongs(one: Taken, offer: Counting) -> bool:
    is_in_time = offer.since <= one.created_at and (offer.until is None or one.created_at < offer.until)
    return is_in_time and any(item.covers(one.product_id, one.variant_id) for item in offer.items)


def _units(mode: Mode, one: Taken, beyond: int) -> int:
    match mode:
        case Mode.OUT_OF_STOCK:
            return beyond
        case Mode.IN_STOCK:
            return one.quantity - beyond
        case Mode.ALWAYS:
            return one.quantity


def _beyond_stock(lines: Iterable[Taken]) -> Mapping[str, int]:
    """By line: units that were not there when it was made."""
    stock: dict[str, int | None] = {}
    beyond: dict[str, int] = {}
    for one in sorted(lines, key=lambda line: (line.created_at, line.order_id), reverse=True):
        left = stock.get(one.variant_id, one.available)
        beyond[one.line_id] = 0 if left is None else min(one.quantity, max(0, -left))
        stock[one.variant_id] = None if left is None else left + one.quantity
    return beyond
