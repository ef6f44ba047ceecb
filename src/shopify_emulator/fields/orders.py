"""Resolvers of orders, refunds and fulfilment orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shopify_emulator.fields.connections import Fields, SortKey, page, refuse, sort_for, time
from shopify_emulator.model import Location, Order, OrderLine, Refund
from shopify_emulator.paging import Connection
from shopify_emulator.request import request_of

ORDER_SORTS: dict[str, SortKey | None] = {
    "ID": None,
    "RELEVANCE": None,
    "ORDER_NUMBER": lambda order: order.sequence,
    "PROCESSED_AT": lambda order: order.created_at.isoformat(),
    "CREATED_AT": lambda order: order.created_at.isoformat(),
    "UPDATED_AT": lambda order: order.updated_at.isoformat(),
}


@dataclass(frozen=True)
class FulfillmentOrder:
    """The lines of one order that leave from one location."""

    order: Order
    location: Location | None
    lines: tuple[OrderLine, ...]

    @property
    def number(self) -> int:
        return self.lines[0].number

    @property
    def gid(self) -> str:
        return f"gid://shopify/FulfillmentOrder/{self.number}"


def orders(_root: Any, info: Any, **arguments: Any) -> Connection:
    refuse(arguments, "savedSearchId")
    rows = list(request_of(info).state.orders.values())
    return page(info, rows, arguments, sort=sort_for(arguments, ORDER_SORTS, default="PROCESSED_AT"))


def refunds_of(order: Order, _info: Any, **arguments: Any) -> list[Refund]:
    first = arguments.get("first")
    return order.refunds if first is None else order.refunds[:first]


def fulfillment_orders(order: Order, info: Any, **arguments: Any) -> Connection:
    refuse(arguments, "query")
    places = {line.location.gid if line.location else "": line.location for line in order.lines}
    rows = [
        FulfillmentOrder(order, place, tuple(line for line in order.lines if line.location is place))
        for place in places.values()
    ]
    return page(info, sorted(rows, key=lambda row: row.number), arguments)


def _shipping_state(order: Order, _info: Any) -> str:
    return "FULFILLED" if order.fulfilled_at is not None else "UNFULFILLED"


def _fulfillment_state(row: FulfillmentOrder, _info: Any) -> str:
    if row.order.cancelled_at is not None:
        return "CANCELLED"
    return "CLOSED" if row.order.fulfilled_at is not None else "OPEN"


ORDER: Fields = {
    "cancelledAt": lambda o, _i: time(o.cancelled_at),
    "closedAt": lambda o, _i: time(o.fulfilled_at),
    "createdAt": lambda o, _i: time(o.created_at),
    "customer": lambda o, _i: o.customer_id,
    "displayFulfillmentStatus": _shipping_state,
    "fulfillmentOrders": fulfillment_orders,
    "id": lambda o, _i: o.gid,
    "legacyResourceId": lambda o, _i: str(o.number),
    "lineItems": lambda o, i, **a: page(i, o.lines, a),
    "name": lambda o, _i: o.name,
    "number": lambda o, _i: o.sequence,
    "processedAt": lambda o, _i: time(o.created_at),
    "refunds": refunds_of,
    "test": lambda _o, _i: True,
    "updatedAt": lambda o, _i: time(o.updated_at),
}


def _still_there(line: OrderLine, info: Any) -> Any:
    return line.variant if line.variant.gid in request_of(info).state.variants else None


CUSTOMER: Fields = {
    "id": lambda gid, _i: gid,
    "legacyResourceId": lambda gid, _i: gid.rsplit("/", 1)[-1],
}

LINE: Fields = {
    "currentQuantity": lambda line, _i: line.current,
    "id": lambda line, _i: line.gid,
    "isGiftCard": lambda line, _i: line.product.is_gift_card,
    "name": lambda line, _i: f"{line.product.title} - {line.variant.title}",
    "product": lambda line, i: line.product if line.product.gid in request_of(i).state.products else None,
    "quantity": lambda line, _i: line.quantity,
    "refundableQuantity": lambda line, _i: line.current,
    "sku": lambda line, _i: line.variant.sku,
    "title": lambda line, _i: line.product.title,
    "variant": _still_there,
    "variantTitle": lambda line, _i: line.variant.title,
}

REFUND: Fields = {
    "createdAt": lambda r, _i: time(r.created_at),
    "id": lambda r, _i: r.gid,
    "legacyResourceId": lambda r, _i: str(r.number),
    "note": lambda _r, _i: None,
    "order": lambda r, _i: r.order,
    "processedAt": lambda r, _i: time(r.created_at),
    "refundLineItems": lambda r, i, **a: page(i, r.lines, a),
    "updatedAt": lambda r, _i: time(r.created_at),
}

REFUND_LINE: Fields = {
    "id": lambda r, _i: r.gid,
    "lineItem": lambda r, _i: r.line,
    "location": lambda r, _i: r.location,
    "quantity": lambda r, _i: r.quantity,
    "restockType": lambda r, _i: r.restock_type,
    "restocked": lambda r, _i: r.restock_type != "NO_RESTOCK",
}

FULFILLMENT_ORDER: Fields = {
    "assignedLocation": lambda f, _i: {
        "location": f.location,
        "name": f.location.name if f.location is not None else "",
    },
    "createdAt": lambda f, _i: time(f.order.created_at),
    "id": lambda f, _i: f.gid,
    "lineItems": lambda f, i, **a: page(i, list(f.lines), a),
    "order": lambda f, _i: f.order,
    "orderId": lambda f, _i: f.order.gid,
    "orderName": lambda f, _i: f.order.name,
    "status": _fulfillment_state,
    "updatedAt": lambda f, _i: time(f.order.updated_at),
}

FULFILLMENT_LINE: Fields = {
    "id": lambda line, _i: f"gid://shopify/FulfillmentOrderLineItem/{line.number}",
    "inventoryItemId": lambda line, _i: line.variant.item.gid,
    "lineItem": lambda line, _i: line,
    "remainingQuantity": lambda line, _i: 0 if line.fulfilled else line.current,
    "totalQuantity": lambda line, _i: line.current,
    "variant": _still_there,
}
