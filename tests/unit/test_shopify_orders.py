"""Orders as evidence: a number only when every movement is accounted for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stockwright.model import ItemGid, gid
from stockwright.shopify.orders import OrderRead, Placed, Restock, net_movement, put_back

SINCE = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = SINCE + timedelta(seconds=30)
A, B = ItemGid(gid("InventoryItem", 1)), ItemGid(gid("InventoryItem", 2))
TORONTO, MONTREAL = gid("Location", 1), gid("Location", 2)


def line(item_id: ItemGid = A, quantity: int = 1, removed: int = 0, line_id: str = "l1") -> Placed:
    return Placed(line_id=line_id, item_id=item_id, quantity=quantity, removed=removed)


def restock(quantity: int = 1, line_id: str = "l1", **more: Any) -> Restock:
    given = {"restocked": True, "location_id": TORONTO, "created_at": LATER}
    return Restock(line_id=line_id, quantity=quantity, **(given | more))


def order(*lines: Placed, restocks: tuple[Restock, ...] = (), **more: Any) -> OrderRead:
    given = {"created_at": LATER, "updated_at": LATER, "assigned": None, "whole": True}
    return OrderRead(lines=lines, restocks=restocks, **(given | more))


def moved(*orders: OrderRead, item: ItemGid = A, place: str = TORONTO) -> int | None:
    return net_movement(orders, item, place, since=SINCE)


def test_no_orders_moved_nothing() -> None:
    assert moved() == 0


def test_sales_of_the_item_count_and_others_do_not() -> None:
    assert moved(order(line(quantity=2), line(B, 5, line_id="l2")), order(line())) == -3


def test_two_lines_of_one_item_in_one_order_count_both() -> None:
    assert moved(order(line(quantity=2), line(quantity=3, line_id="l2"))) == -5


def test_what_a_refund_or_a_cancellation_put_back_counts() -> None:
    assert moved(order(line(quantity=3, removed=2), restocks=(restock(2),))) == -1


def test_a_refund_without_restock_gives_nothing_back() -> None:
    kept = restock(2, restocked=False, location_id=None)
    assert moved(order(line(quantity=3, removed=2), restocks=(kept,))) == -3


def test_units_that_left_an_order_unexplained_make_it_uncertain() -> None:
    assert moved(order(line(quantity=3, removed=2))) is None


def test_an_order_from_before_that_was_touched_makes_it_uncertain() -> None:
    before = order(line(), created_at=SINCE - timedelta(hours=1))
    assert moved(before) is None
    assert moved(before, item=B) == 0


def test_an_order_from_before_that_was_not_touched_does_not_count() -> None:
    assert (
        moved(order(line(), created_at=SINCE - timedelta(hours=1), updated_at=SINCE - timedelta(seconds=3)))
        == 0
    )


@pytest.mark.parametrize("seconds", [-1, 0, 2])
def test_an_order_at_the_very_moment_is_uncertain(seconds: int) -> None:
    at = SINCE + timedelta(seconds=seconds)
    assert moved(order(line(), created_at=at, updated_at=LATER)) is None


@pytest.mark.parametrize(
    ("created_s", "stamp_s", "net"),
    [
        (0, -60, -1),  # had it moved the level before the read, the level's stamp would be as new
        (1, -2, -1),
        (-2, -5, -1),
        (0, -2, None),
        (1, 0, None),
        (-3, -60, None),  # from before the read, and touched after it
        (3, 3, -1),
    ],
)
def test_an_order_near_the_moment_is_told_by_the_stamp_of_the_level(
    created_s: int, stamp_s: int, net: int | None
) -> None:
    made = order(line(), created_at=SINCE + timedelta(seconds=created_s), updated_at=LATER)
    stamp = SINCE + timedelta(seconds=stamp_s)
    assert net_movement((made,), A, TORONTO, since=SINCE, stamp=stamp) == net


def test_an_order_that_was_cut_off_is_uncertain_for_every_item() -> None:
    cut = replace(order(line(B)), whole=False)
    assert moved(cut) is None and moved(cut, item=B) is None


def test_with_several_locations_the_assigned_one_counts() -> None:
    placed = order(line(quantity=5), assigned=((A, TORONTO, 2), (A, MONTREAL, 3)))
    assert moved(placed) == -2
    assert moved(placed, place=MONTREAL) == -3


@pytest.mark.parametrize("assigned", [(), ((A, TORONTO, 1),), ((A, TORONTO, 1), (A, None, 1))])
def test_units_without_a_location_are_uncertain(
    assigned: tuple[tuple[ItemGid, str | None, int], ...],
) -> None:
    assert moved(order(line(quantity=2), assigned=assigned)) is None


def test_with_several_locations_a_refund_is_uncertain() -> None:
    sold = line(quantity=2, removed=1)
    assert moved(order(sold, restocks=(restock(),), assigned=((A, TORONTO, 1),))) is None


@pytest.mark.parametrize(("place", "net"), [(TORONTO, -1), (None, -1), (MONTREAL, -2)])
def test_units_put_back_count_where_they_were_put(place: str | None, net: int) -> None:
    assert moved(order(line(quantity=2, removed=1), restocks=(restock(location_id=place),))) == net


def test_refunds_put_back_what_they_restocked_there_since_the_moment() -> None:
    old = SINCE - timedelta(days=3)
    refunded = order(
        line(A, 5, removed=4),
        line(B, 1, removed=1, line_id="l2"),
        created_at=old,
        restocks=(
            restock(2),
            restock(1, created_at=old),
            restock(1, restocked=False),
            restock(1, line_id="l2"),
        ),
    )
    elsewhere = order(line(A, 1, removed=1), restocks=(restock(1, location_id=MONTREAL),))
    orders = (refunded, elsewhere)
    assert [put_back(orders, item, TORONTO, since=SINCE) for item in (A, B)] == [2, 1]
    assert put_back(orders, A, None, since=SINCE) == 3
