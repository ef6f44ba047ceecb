"""What orders did to stock since a moment: evidence for settling a write whose outcome is unknown, and refunds
that explain why every level of a product rose.

Says a number only where every movement is accounted for; otherwise None for that item. Holds no customer
data: the operation asks for none. Order search may lag, so ask some minutes after the moment of interest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stockwright.model import ItemGid, LocationGid
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.wire import Node, next_cursor

ORDERS_PER_PAGE = 10
LINES_PER_PAGE = 50
MAX_PAGES = 20
MAX_REFUNDS = 10  # as the operation asks for
SKEW_S = 2  # an order this near to the moment may lie on either side of it
SCOPE = "read_orders"


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Units of one item that an order took from, or gave back to, stock."""

    line_id: str
    item_id: ItemGid
    quantity: int
    removed: int  # ordered, but no longer part of the order


@dataclass(frozen=True, kw_only=True)
class Restock:
    """One refunded line; `location_id` None when Shopify names none."""

    line_id: str
    quantity: int
    restocked: bool
    location_id: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderRead:
    """One order, as far as stock is concerned."""

    created_at: datetime
    updated_at: datetime
    lines: tuple[Placed, ...]
    restocks: tuple[Restock, ...]
    assigned: tuple[tuple[ItemGid, str | None, int], ...] | None  # (item, location, units); None = not asked
    whole: bool  # nothing was cut off


async def order_moves(
    caller: Caller, *, stamps: Mapping[ItemGid, datetime | None], location_id: LocationGid, since: datetime
) -> Mapping[ItemGid, int | None] | None:
    """Net units that orders, cancellations and restocking refunds moved at a location since then.

    `stamps`: the items, with the `updatedAt` that their level had in the read of that moment.

    A sale of 2 is -2. None for an item when something about it cannot be attributed: an order from before
    `since` that was touched after it (an edit cannot be told from a shipment), stock taken from a location
    that is not named, a refund while the shop has several locations, too many lines. None altogether when
    orders may not be read.
    """
    scopes = caller.account.scopes
    if scopes and SCOPE not in scopes:
        return None
    only_location = _is_only_location(caller, location_id)
    try:
        orders = await _orders(caller, since, placed=not only_location)
    except ShopifyError as error:
        if error.code is ErrorCode.ACCESS_DENIED:
            return None
        raise
    if orders is None:
        return dict.fromkeys(stamps)
    return {
        item_id: net_movement(orders, item_id, location_id, since=since, stamp=stamp)
        for item_id, stamp in stamps.items()
    }


async def refunds(
    caller: Caller, *, item_ids: Sequence[ItemGid], location_id: LocationGid, since: datetime
) -> Mapping[ItemGid, int] | None:
    """Units that refunds put back on each item's level since then; None when that cannot be told for all."""
    scopes = caller.account.scopes
    if scopes and SCOPE not in scopes:
        return None
    orders = await _orders(caller, since, placed=False)
    if orders is None or not all(order.whole for order in orders):
        return None
    only_location = _is_only_location(caller, location_id)
    return {
        item_id: put_back(orders, item_id, location_id if not only_location else None, since=since)
        for item_id in item_ids
    }


def put_back(
    orders: Iterable[OrderRead], item_id: ItemGid, location_id: str | None, *, since: datetime
) -> int:
    """The sum of refunds that restocked one item at one location (None: at any, named or not). Pure."""
    return sum(
        restock.quantity
        for order in orders
        for restock in order.restocks
        if restock.restocked
        and restock.created_at >= since
        and location_id in (None, restock.location_id)
        and any(line.item_id == item_id and line.line_id == restock.line_id for line in order.lines)
    )


def net_movement(
    orders: Iterable[OrderRead],
    item_id: ItemGid,
    location_id: str,
    *,
    since: datetime,
    stamp: datetime | None = None,
) -> int | None:
    """The sum over orders for one item at one location; None when any part is uncertain. Pure.

    `stamp`: see `order_moves`; without it an order near `since` is uncertain.
    """
    total = 0
    for order in orders:
        if order.updated_at < since - timedelta(seconds=SKEW_S):
            continue
        moved = _moved(order, item_id, location_id, since, stamp)
        if moved is None:
            return None
        total += moved
    return total


def _moved(
    order: OrderRead, item_id: ItemGid, location_id: str, since: datetime, stamp: datetime | None
) -> int | None:
    if not order.whole:
        return None
    lines = [line for line in order.lines if line.item_id == item_id]
    if not lines:
        return 0
    if not _is_after(order, since, stamp):
        return None
    ids = {line.line_id for line in lines}
    restocks = [restock for restock in order.restocks if restock.line_id in ids]
    if sum(line.removed for line in lines) != sum(restock.quantity for restock in restocks):
        return None  # an edit took units out without saying where they went
    taken = _taken(order, lines, item_id, location_id)
    return None if taken is None else _given_back(restocks, location_id) - taken


def _is_after(order: OrderRead, since: datetime, stamp: datetime | None) -> bool:
    """Whether the read of `since` did not hold the order's movement yet. One near it is told by the level's stamp: what
    had moved the level would have renewed it.
    """
    skew = timedelta(seconds=SKEW_S)
    if order.created_at > since + skew:
        return True
    return stamp is not None and order.created_at >= since - skew and order.created_at > stamp + skew


def _taken(order: OrderRead, lines: Sequence[Placed], item_id: ItemGid, location_id: str) -> int | None:
    sold = sum(line.quantity for line in lines)
    if order.assigned is None:
        return sold
    if any(line.removed for line in lines):
        return None  # a refund may restock elsewhere, and hides where the units were taken
    here = [row for row in order.assigned if row[0] == item_id]
    places = {place for _, place, _ in here}
    if sum(units for _, _, units in here) == sold and None not in places:
        return sum(units for _, place, units in here if place == location_id)
    return None


def _given_back(restocks: Sequence[Restock], location_id: str) -> int:
    return sum(one.quantity for one in restocks if one.restocked and one.location_id in (location_id, None))


def _is_only_location(caller: Caller, location_id: LocationGid) -> bool:
    active = [location.id for location in caller.account.locations if location.is_active]
    return active == [location_id]


async def _orders(caller: Caller, since: datetime, *, placed: bool) -> list[OrderRead] | None:
    """Every order touched since then; None when there are too many to read."""
    moment = (since.astimezone(UTC) - timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found: list[OrderRead] = []
    after: str | None = None
    for _ in range(MAX_PAGES):
        variables = {
            "search": f"updated_at:>='{moment}'",
            "orders": ORDERS_PER_PAGE,
            "after": after,
            "lines": LINES_PER_PAGE,
            "placed": placed,
        }
        data = await caller.read("orders_since", variables, priority=Priority.EVENT)
        connection = data.child("orders")
        found += [_order(node) for node in connection.children("nodes")]
        if (after := next_cursor(connection)) is None:
            return found
    return None


def _order(node: Node) -> OrderRead:
    refunds = node.children("refunds")
    parts = [node.child("lineItems"), *(refund.child("refundLineItems") for refund in refunds)]
    fulfilment = node.child("fulfillmentOrders") if node.has("fulfillmentOrders") else None
    if fulfilment:
        parts += [fulfilment, *(one.child("lineItems") for one in fulfilment.children("nodes"))]
    cut = any(part.child("pageInfo").flag("hasNextPage") for part in parts)
    return OrderRead(
        created_at=node.moment("createdAt"),
        updated_at=node.moment("updatedAt"),
        lines=tuple(_lines(node)),
        restocks=tuple(
            _restock(refund, line) for refund in refunds for line in _nodes(refund, "refundLineItems")
        ),
        assigned=tuple(_assigned(fulfilment)) if fulfilment else None,
        whole=not cut and len(refunds) < MAX_REFUNDS,
    )


def _nodes(node: Node, name: str) -> list[Node]:
    return node.child(name).children("nodes")


def _lines(order: Node) -> Iterable[Placed]:
    for line in _nodes(order, "lineItems"):
        variant = line.optional_child("variant")
        if variant is None:
            continue  # the variant is gone, and its item with it
        quantity = line.integer("quantity")
        yield Placed(
            line_id=line.text("id"),
            item_id=ItemGid(variant.child("inventoryItem").text("id")),
            quantity=quantity,
            removed=quantity - line.integer("currentQuantity"),
        )


def _assigned(fulfilment: Node) -> Iterable[tuple[ItemGid, str | None, int]]:
    for one in fulfilment.children("nodes"):
        location = one.child("assignedLocation").optional_child("location")
        place = location.text("id") if location else None
        for line in _nodes(one, "lineItems"):
            if (item_id := line.optional_text("inventoryItemId")) is not None:
                yield ItemGid(item_id), place, line.integer("totalQuantity")


def _restock(refund: Node, line: Node) -> Restock:
    location = line.optional_child("location")
    return Restock(
        line_id=line.child("lineItem").text("id"),
        quantity=line.integer("quantity"),
        restocked=line.flag("restocked"),
        location_id=location.text("id") if location else None,
        created_at=refund.moment("createdAt"),
    )
