"""Single variants by their ids: what they are and cost, for lists of people who ask about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from stockwright.model import ProductGid, VariantGid
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.errors import bad_answer
from stockwright.shopify.wire import Node

MAX_CARDS = 100  # of one request: about 200 points


@dataclass(frozen=True, kw_only=True)
class VariantCard:
    """A variant with what a list says of it."""

    id: VariantGid
    title: str  # as Shopify has it: "Default Title" for the only variant of a product without options
    product_id: ProductGid
    product_title: str
    sku: str
    price: Decimal  # of one unit
    currency: str  # ISO 4217
    can_be_out_of_stock: bool  # False: a gift card, or a bundle whose stock is that of its parts


async def read_cards(caller: Caller, variant_ids: Sequence[str]) -> dict[VariantGid, VariantCard]:
    """Variants by id, in one request of at most MAX_CARDS; deleted ones have no entry."""
    assert len(variant_ids) <= MAX_CARDS
    data = await caller.read("variant_cards", {"ids": list(variant_ids)}, priority=Priority.SCAN)
    currency = data.child("shop").text("currencyCode")
    found = (_card(node, currency) for node in data.optional_children("nodes") if node and node.has("id"))
    return {card.id: card for card in found}


def _card(node: Node, currency: str) -> VariantCard:
    product = node.child("product")
    return VariantCard(
        id=VariantGid(node.text("id")),
        title=node.text("title"),
        product_id=ProductGid(product.text("id")),
        product_title=product.text("title"),
        sku=node.optional_text("sku") or "",
        price=_price(node.text("price")),
        currency=currency,
        can_be_out_of_stock=not (product.flag("isGiftCard") or node.flag("requiresComponents")),
    )


def _price(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise bad_answer(f"the price {text!r} is not a number", may_have_run=False) from error
