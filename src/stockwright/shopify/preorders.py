"""Orders as the limits of offers count them. Of the customer the id is read, where that is granted, and nothing else."""

from dataclasses import dataclass
from datetime import UTC, datetime

from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.wire import Node, next_cursor

ORDERS_PER_PAGE = 10
LINES_PER_ORDER = 100
CUSTOMERS = "read_customers"


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    """Units of one variant in an order."""

    line_id: str
    product_id: str
    variant_id: str
    quantity: int  # as of now: without what was refunded or taken out
    available: int | None  # of the variant, now, at all locations; None = not tracked


@dataclass(frozen=True, kw_only=True)
class OrderTaken:
    """One order as it is now."""

    order_id: str
    created_at: datetime
    updated_at: datetime
    is_cancelled: bool
    customer_id: str  # "" = a guest, or not to be read
    lines: tuple[OrderLine, ...]
    is_whole: bool  # False: it has more lines than were read


@dataclass(frozen=True, kw_only=True)
class OrderPage:
    """One page of orders, oldest change first; `after` leads on, None at the end."""

    orders: tuple[OrderTaken, ...]
    after: str | None


async def read_orders_ahead(
    caller: Caller, *, since: datetime, after: str | None, customers: bool
) -> OrderPage:
    """Orders touched since a moment; needs read_orders, with `customers` read_customers too."""
    moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    variables = {
        "search": f"updated_at:>='{moment}'",
        "orders": ORDERS_PER_PAGE,
        "after": after,
        "lines": LINES_PER_ORDER,
        "customers": customers,
    }
    data = await caller.read("orders_ahead", variables, priority=Priority.SCAN)
    connection = data.child("orders")
    return OrderPage(
        orders=tuple(_order(node, customers=customers) for node in connection.children("nodes")),
        after=next_cursor(connection),
    )


def _order(node: Node, *, customers: bool) -> OrderTaken:
    customer = node.optional_child("customer") if customers else None
    lines = node.child("lineItems")
    return OrderTaken(
        order_id=node.text("id"),
        created_at=node.moment("createdAt"),
        updated_at=node.moment("updatedAt"),
        is_cancelled=node.optional_moment("cancelledAt") is not None,
        customer_id=customer.text("id") if customer else "",
        lines=tuple(_line(one) for one in lines.children("nodes") if one.optional_child("variant")),
        is_whole=not lines.child("pageInfo").flag("hasNextPage"),
    )


def _line(node: Node) -> OrderLine:
    variant = node.child("variant")
    is_tracked = variant.child("inventoryItem").flag("tracked")
    return OrderLine(
        line_id=node.text("id"),
        product_id=variant.child("product").text("id"),
        variant_id=variant.text("id"),
        quantity=node.integer("currentQuantity"),
        available=variant.integer("inventoryQuantity")
        if is_tracked and variant.has("inventoryQuantity")
        else None,
    )
