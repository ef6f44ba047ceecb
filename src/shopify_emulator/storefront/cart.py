"""Cart permalinks: lines such as "123:2,456:1", what they cost, and the order that they become."""

from __future__ import annotations

from shopify_emulator.model import Order, ShopError, Variant
from shopify_emulator.shop import Shop
from shopify_emulator.storefront.objects import Drop, is_published

MAX_LINES = 50
MAX_QUANTITY = 1_000
Lines = list[tuple[Variant, int]]


def read_lines(shop: Shop, text: str) -> Lines:
    """The lines of a permalink.

    Raises:
        ShopError: a line is not NUMBER:QUANTITY, or its variant is not for sale here.
    """
    parts = [part for part in text.split(",") if part]
    if not 1 <= len(parts) <= MAX_LINES:
        raise ShopError(f"a cart holds 1 to {MAX_LINES} lines of VARIANT:QUANTITY, such as 123:1")
    return [_line(shop, part) for part in parts]


def _line(shop: Shop, text: str) -> tuple[Variant, int]:
    number, _, quantity = text.partition(":")
    variant = shop.state.variants.get(f"gid://shopify/ProductVariant/{number}")
    if variant is None or not is_published(shop, variant.product):
        raise ShopError(f"variant {number!r} is not for sale in this shop")
    if not quantity.isdecimal() or not quantity.isascii() or not 1 <= int(quantity) <= MAX_QUANTITY:
        raise ShopError(f"{quantity!r} is not a quantity from 1 to {MAX_QUANTITY:,}")
    return variant, int(quantity)


def place(shop: Shop, lines: Lines) -> Order:
    """One order of whoever is signed in, by the shop's own rules; raises SoldOut when a line cannot be had."""
    number = shop.storefront.customer_id
    customer = f"gid://shopify/Customer/{number}" if number else None
    return shop.sell([(variant.gid, quantity) for variant, quantity in lines], customer=customer)


def cart_drop(lines: Lines, *, root: str) -> Drop:
    items = [_item(variant, quantity, root=root) for variant, quantity in lines]
    return {
        "items": items,
        "total_price": sum(one["final_line_price"] for one in items),
        "permalink": ",".join(f"{variant.number}:{quantity}" for variant, quantity in lines),
    }


def order_drop(order: Order, *, root: str) -> Drop:
    lines = [_item(line.variant, line.quantity, root=root) for line in order.lines]
    return {"name": order.name, "line_items": lines}


def _item(variant: Variant, quantity: int, *, root: str) -> Drop:
    product = variant.product
    own = "" if variant.title == "Default Title" else f" · {variant.title}"
    return {
        "title": product.title + own,
        "product_title": product.title,
        "quantity": quantity,
        "final_line_price": int(variant.price * 100) * quantity,
        "url": f"{root}products/{product.handle}?variant={variant.number}",
    }
