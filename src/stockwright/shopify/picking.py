"""Products and variants for a person to choose from, and what chosen ones are called."""

from collections.abc import Sequence
from dataclasses import dataclass

from stockwright.model import ProductGid, VariantGid
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.search import quoted
from stockwright.shopify.wire import Node

FOUND_PRODUCTS, FOUND_VARIANTS = 10, 50
MAX_NAMED = 250  # ids of one request


@dataclass(frozen=True, kw_only=True)
class PickVariant:
    """A variant to choose."""

    id: VariantGid
    title: str


@dataclass(frozen=True, kw_only=True)
class PickProduct:
    """A product to choose, with its first 50 variants."""

    id: ProductGid
    title: str
    status: str  # ACTIVE | DRAFT | ARCHIVED | UNLISTED
    is_gift_card: bool
    variants: tuple[PickVariant, ...]
    has_more_variants: bool


@dataclass(frozen=True, kw_only=True)
class Picked:
    """The first 10 products that a search found."""

    products: tuple[PickProduct, ...]
    has_more: bool


@dataclass(frozen=True, kw_only=True)
class NamedItem:
    """A product, or one variant of it, with titles as Shopify has them."""

    product_id: ProductGid
    product_title: str
    variant_id: str = ""  # "" = the product itself
    variant_title: str = ""


async def search_products(caller: Caller, text: str) -> Picked:
    """Products by words of their title, SKU and the like; "" = the first by title."""
    words = " ".join(text.split())
    variables = {
        "search": quoted(words) if words else None,
        "products": FOUND_PRODUCTS,
        "variants": FOUND_VARIANTS,
    }
    data = await caller.read("search_products", variables, priority=Priority.EVENT)
    connection = data.child("products")
    return Picked(
        products=tuple(_product(node) for node in connection.children("nodes")),
        has_more=connection.child("pageInfo").flag("hasNextPage"),
    )


def _product(node: Node) -> PickProduct:
    variants = node.child("variants")
    return PickProduct(
        id=ProductGid(node.text("id")),
        title=node.text("title"),
        status=node.text("status"),
        is_gift_card=node.flag("isGiftCard"),
        variants=tuple(
            PickVariant(id=VariantGid(one.text("id")), title=one.text("title"))
            for one in variants.children("nodes")
        ),
        has_more_variants=variants.child("pageInfo").flag("hasNextPage"),
    )


async def name_items(caller: Caller, ids: Sequence[str]) -> dict[str, NamedItem]:
    """Products and variants by their gids, at most 250; what does not exist has no entry."""
    assert len(ids) <= MAX_NAMED
    data = await caller.read("name_items", {"ids": list(ids)}, priority=Priority.EVENT)
    nodes = data.optional_children("nodes")
    return {
        asked: _named(node)
        for asked, node in zip(ids, nodes, strict=True)
        if node is not None and node.has("id")
    }


def _named(node: Node) -> NamedItem:
    product = node.optional_child("product") if node.has("product") else None
    if product is None:
        return NamedItem(product_id=ProductGid(node.text("id")), product_title=node.text("title"))
    return NamedItem(
        product_id=ProductGid(product.text("id")),
        product_title=product.text("title"),
        variant_id=node.text("id"),
        variant_title=node.text("title"),
    )
