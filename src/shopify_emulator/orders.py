"""Orders: selling, fulfilling, editing, refunding and cancelling, and what each does to stock.

An order takes n from `available` and adds n to `committed`; fulfilment takes n from `committed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from shopify_emulator.model import (
    Cause,
    Gid,
    Level,
    Location,
    Order,
    OrderLine,
    Refund,
    RefundLine,
    ShopError,
    Variant,
)
from shopify_emulator.state import State
from shopify_emulator.stock import Origin, move

Lines = Sequence[tuple[Gid, int]]
STOREFRONT = "storefront"


class SoldOut(ShopError):
    """The storefront refuses the sale: not enough stock and the policy is DENY."""


def sell(
    state: State, lines: Lines, *, location: Gid | None, force: bool, customer: Gid | None = None
) -> Order:
    """One order of several lines: all of it or nothing."""
    wanted = [(state.variant(gid), _positive(quantity)) for gid, quantity in lines]
    if not wanted:
        raise ShopError("an order needs at least one line")
    place = state.location(location) if location is not None else None
    planned = _plan(state, wanted, place=place, force=force)
    order, event = _new_order(state, customer), state.new_uuid()
    for (variant, quantity), level in zip(wanted, planned, strict=True):
        order.lines.append(_new_line(state, order, variant, quantity, level))
    state.announce("orders/create", order, event=event)
    _take(state, order, zip(planned, (quantity for _, quantity in wanted), strict=True), "order", event)
    return order


def _positive(quantity: int) -> int:
    if quantity < 1:
        raise ShopError(f"a quantity has to be 1 or more, not {quantity}")
    return quantity


def _plan(
    state: State, wanted: Sequence[tuple[Variant, int]], *, place: Location | None, force: bool
) -> list[Level | None]:
    """The level that each line is taken from; earlier lines of the order count."""
    taken: dict[Gid, int] = {}
    planned: list[Level | None] = []
    for variant, quantity in wanted:
        level = _source(state, variant, quantity, place=place, taken=taken, force=force)
        if level is not None:
            taken[level.gid] = taken.get(level.gid, 0) + quantity
        planned.append(level)
    return planned


def _source(
    state: State,
    variant: Variant,
    quantity: int,
    *,
    place: Location | None,
    taken: dict[Gid, int],
    force: bool,
) -> Level | None:
    if not variant.item.tracked:
        return None
    places = [place] if place is not None else list(state.locations_for_sale())
    stocked = [lvl for loc in places if (lvl := variant.item.levels.get(loc.gid)) is not None and lvl.active]
    if not stocked:
        raise SoldOut(f"{_label(variant)} is not stocked where it was to be sold")
    for level in stocked:
        if level.available - taken.get(level.gid, 0) >= quantity:
            return level
    if force or variant.policy == "CONTINUE":
        return stocked[0]
    left = max(level.available - taken.get(level.gid, 0) for level in stocked)
    raise SoldOut(f"{_label(variant)}: {quantity} wanted, {max(left, 0)} left, and its policy is DENY")


def _label(variant: Variant) -> str:
    return f"{variant.product.title} / {variant.title}"


def _new_order(state: State, customer: Gid | None) -> Order:
    gid, number = state.new_gid("Order")
    now = state.clock.now()
    order = Order(
        gid=gid,
        number=number,
        sequence=1001 + len(state.orders),
        created_at=now,
        updated_at=now,
        customer_id=customer,
    )
    state.orders[gid] = state.nodes[gid] = order
    return order


def _new_line(state: State, order: Order, variant: Variant, quantity: int, level: Level | None) -> OrderLine:
    gid, number = state.new_gid("LineItem")
    line = OrderLine(
        gid=gid,
        number=number,
        order=order,
        product=variant.product,
        variant=variant,
        location=level.location if level is not None else None,
        quantity=quantity,
        current=quantity,
    )
    state.nodes[gid] = line
    return line


def _take(
    state: State, order: Order, taken: Iterable[tuple[Level | None, int]], cause: Cause, event: str
) -> None:
    origin = Origin(cause=cause, actor=STOREFRONT, event=event, reference=order.gid)
    for level, quantity in taken:
        if level is not None:
            move(state, level, {"available": -quantity, "committed": quantity}, origin)


def fulfil(state: State, gid: Gid) -> Order:
    """Ships everything that is open."""
    order, event = _open(state.order(gid)), state.new_uuid()
    origin = Origin(cause="order", actor="merchant", event=event, reference=order.gid)
    for line in order.lines:
        level = _level_of(state, line)
        if not line.fulfilled and level is not None and line.current:
            move(state, level, {"committed": -line.current}, origin)
        line.fulfilled = True
    order.fulfilled_at = _touch(state, order, event)
    return order


def _open(order: Order) -> Order:
    if order.cancelled_at is not None:
        raise ShopError(f"order {order.name} is cancelled")
    return order


def _level_of(state: State, line: OrderLine) -> Level | None:
    """Where the line was taken from; None when nothing was, or when the variant is gone with its levels."""
    if line.location is None or line.variant.gid not in state.variants:
        return None
    return line.variant.item.levels.get(line.location.gid)


def _touch(state: State, order: Order, event: str) -> datetime:
    order.updated_at = state.clock.now()
    state.announce("orders/updated", order, event=event)
    return order.updated_at


def refund(state: State, gid: Gid, lines: Lines | None, *, restock: bool) -> Refund:
    """Refunds lines (ids of variants or of order lines), or with None everything that is left."""
    order, event = _open(state.order(gid)), state.new_uuid()
    chosen = _chosen(order, lines)
    if not chosen:
        raise ShopError(f"order {order.name} has nothing left to refund")
    made = _new_refund(state, order, chosen, restock=restock)
    _give_back(state, made, cause="refund", actor="merchant", event=event)
    state.announce("refunds/create", made, event=event)
    _touch(state, order, event)
    return made


def _chosen(order: Order, lines: Lines | None) -> list[tuple[OrderLine, int]]:
    left = {line.gid: line.current for line in order.lines}
    if lines is None:
        return [(line, line.current) for line in order.lines if line.current]
    chosen: list[tuple[OrderLine, int]] = []
    for gid, quantity in lines:
        remaining = _positive(quantity)
        for line in order.lines:
            if gid in (line.gid, line.variant.gid) and left[line.gid] and remaining:
                part = min(remaining, left[line.gid])
                chosen.append((line, part))
                left[line.gid] -= part
                remaining -= part
        if remaining:
            raise ShopError(f"order {order.name} has fewer than {quantity} of {gid} left to refund")
    return chosen


def _new_refund(
    state: State, order: Order, chosen: Iterable[tuple[OrderLine, int]], *, restock: bool
) -> Refund:
    gid, number = state.new_gid("Refund")
    made = Refund(gid=gid, number=number, order=order, created_at=state.clock.now())
    for line, quantity in chosen:
        line_gid, line_number = state.new_gid("RefundLineItem")
        restocked = restock and _level_of(state, line) is not None
        made.lines.append(
            RefundLine(
                gid=line_gid,
                number=line_number,
                line=line,
                quantity=quantity,
                restock_type=("RETURN" if line.fulfilled else "CANCEL") if restocked else "NO_RESTOCK",
                location=line.location if restocked else None,
            )
        )
    order.refunds.append(made)
    state.refunds[gid] = state.nodes[gid] = made
    return made


def _give_back(state: State, made: Refund, *, cause: Cause, actor: str, event: str) -> None:
    origin = Origin(cause=cause, actor=actor, event=event, reference=made.gid)
    for part in made.lines:
        part.line.current -= part.quantity
        level = _level_of(state, part.line)
        if level is None:
            continue
        deltas = {} if part.line.fulfilled else {"committed": -part.quantity}
        if part.restock_type != "NO_RESTOCK":
            deltas["available"] = part.quantity
        if deltas:
            move(state, level, deltas, origin)


def cancel(state: State, gid: Gid, *, restock: bool) -> Order:
    """Cancels an order that has not shipped; its refund says what went back to stock."""
    order, event = _open(state.order(gid)), state.new_uuid()
    if order.fulfilled_at is not None:
        raise ShopError(f"order {order.name} has shipped and cannot be cancelled; refund it instead")
    left = _chosen(order, None)
    made = _new_refund(state, order, left, restock=restock) if left else None
    if made is not None:
        _give_back(state, made, cause="cancel", actor="merchant", event=event)
    order.cancelled_at = order.updated_at = state.clock.now()
    state.announce("orders/cancelled", order, event=event)
    if made is not None:
        state.announce("refunds/create", made, event=event)
    state.announce("orders/updated", order, event=event)
    return order


def edit_order(state: State, gid: Gid, changes: Lines, *, force: bool) -> Order:
    """Adds (positive) or takes off (negative) quantities of variants on an order that has not shipped."""
    order = _open(state.order(gid))
    if order.fulfilled_at is not None:
        raise ShopError(f"order {order.name} has shipped and cannot be edited")
    added = [(state.variant(variant), quantity) for variant, quantity in changes if quantity > 0]
    removed = _chosen(order, [(variant, -quantity) for variant, quantity in changes if quantity < 0])
    planned = _plan(state, added, place=None, force=force)
    event = state.new_uuid()
    for (variant, quantity), level in zip(added, planned, strict=True):
        order.lines.append(_new_line(state, order, variant, quantity, level))
    _take(state, order, zip(planned, (q for _, q in added), strict=True), "order_edit", event)
    _take(
        state, order, [(_level_of(state, line), -quantity) for line, quantity in removed], "order_edit", event
    )
    for line, quantity in removed:
        line.current -= quantity
    state.announce("orders/edited", order, event=event)
    _touch(state, order, event)
    return order
