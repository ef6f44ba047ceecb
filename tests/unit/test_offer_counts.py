"""Which units count for limits, and how offers are laid out for the theme."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stockwright.notify.ahead import Counting, Taken, ahead
from stockwright.notify.offers import Item, Mode
from stockwright.offer_upkeep import BUCKETS, bucket_key, buckets
from stockwright.store.offer_themes import ShownRow

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OFFER = Counting(offer_id="o", mode=Mode.OUT_OF_STOCK, items=(Item(product_id="p"),), since=NOON, until=None)


def line(no: int, quantity: int, available: int | None, *, at: datetime = NOON) -> Taken:
    return Taken(
        order_id=f"order-{no:03}",
        line_id=f"line-{no:03}",
        product_id="p",
        variant_id="v",
        customer_id="",
        quantity=quantity,
        created_at=at + timedelta(seconds=no),
        available=available,
    )


def units(offer: Counting, *lines: Taken) -> list[int]:
    return [one.quantity for one in ahead(lines, [offer])]


def test_what_is_taken_beyond_zero_was_ordered_ahead() -> None:
    assert units(OFFER, line(1, 2, 3)) == [0]
    assert units(OFFER, line(1, 2, -5)) == [2]
    assert units(OFFER, line(1, 3, -1)) == [1], "two of the three were in stock"


def test_orders_looked_at_together_are_told_apart_by_walking_back() -> None:
    # 1 in stock; A takes it, B and C order ahead. All are seen when the stock is -3.
    assert units(OFFER, line(1, 1, -3), line(2, 1, -3), line(3, 2, -3)) == [0, 1, 2]


def test_other_modes_count_all_units_or_those_from_stock() -> None:
    assert units(replace(OFFER, mode=Mode.ALWAYS), line(1, 3, 5)) == [3]
    assert units(replace(OFFER, mode=Mode.IN_STOCK), line(1, 3, -1)) == [2]
    assert units(OFFER, line(1, 3, None)) == [0], "what is not tracked never runs out"


def test_orders_outside_the_offers_time_or_products_are_not_judged() -> None:
    early = line(1, 1, -1, at=NOON - timedelta(hours=1))
    late = line(2, 1, -1, at=NOON + timedelta(hours=1))
    assert units(OFFER, early) == []
    assert units(replace(OFFER, until=NOON + timedelta(minutes=1)), late) == []
    assert units(replace(OFFER, items=(Item(product_id="q"),)), line(1, 1, -1)) == []


@given(st.integers(-20, 20), st.lists(st.integers(1, 5), max_size=8))
def test_together_they_are_exactly_what_fell_below_zero(start: int, quantities: list[int]) -> None:
    now = start - sum(quantities)
    found = units(OFFER, *(line(no, quantity, now) for no, quantity in enumerate(quantities)))
    assert sum(found) == max(0, -now) - max(0, -start)


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def test_a_product_lies_in_the_bucket_of_its_number_and_a_whole_one_is_a_star() -> None:
    rows = [
        ShownRow(gid("Product", 65), gid("ProductVariant", 12)),
        ShownRow(gid("Product", 65), gid("ProductVariant", 11)),
        ShownRow(gid("Product", 1)),
        ShownRow(gid("Product", 1), gid("ProductVariant", 9)),
    ]
    found = buckets(rows)
    assert len(found) == BUCKETS
    assert bucket_key(65) == "offers_01"
    assert json.loads(found["offers_01"]) == {"1": "*", "65": [11, 12]}
    assert all(text == "{}" for key, text in found.items() if key != "offers_01")


def test_limits_per_order_stand_beside_the_products_and_the_smallest_counts() -> None:
    rows = [
        ShownRow(gid("Product", 65), "", 5),
        ShownRow(gid("Product", 65), gid("ProductVariant", 11), 7),
        ShownRow(gid("Product", 65), gid("ProductVariant", 12), 2),
        ShownRow(gid("Product", 65), gid("ProductVariant", 13)),
        ShownRow(gid("Product", 1), gid("ProductVariant", 9), 3),
        ShownRow(gid("Product", 1), gid("ProductVariant", 8)),
    ]
    found = json.loads(buckets(rows)["offers_01"])
    assert found == {
        "1": [8, 9],
        "65": "*",
        "limits": {"1": {"9": 3}, "65": {"*": 5, "11": 5, "12": 2, "13": 5}},
    }
