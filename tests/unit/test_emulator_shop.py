"""The shop object: determinism, stock movements of orders, and the small kit the other files use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shopify_emulator import (
    ManualClock,
    Product,
    Shop,
    ShopError,
    SoldOut,
    Switches,
    Variant,
    VariantSpec,
    switch_modes,
    switches_from,
)

DOMAIN = "test-shop.myshopify.com"
ADJUST = """mutation($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id reason referenceDocumentUri
      changes { name delta quantityAfterChange ledgerDocumentUri item { id } location { id } } }
    userErrors { code field message } } }"""


@dataclass(kw_only=True)
class Stage:
    """A shop with two locations and one product of two variants, ten of each at both places."""

    shop: Shop
    clock: ManualClock
    toronto: str
    montreal: str
    product: Product
    a: Variant
    b: Variant

    def level(self, variant: Variant, location: str | None = None) -> int:
        return self.shop.level(variant.item.gid, location or self.toronto)

    def row(self, variant: Variant, delta: int, change_from: int | None, **more: Any) -> dict[str, Any]:
        row = {"inventoryItemId": variant.item.gid, "locationId": self.toronto, "delta": delta}
        return {**row, "changeFromQuantity": change_from, **more}

    def adjust(self, *rows: Mapping[str, Any], key: str = "key-1", **head: Any) -> dict[str, Any]:
        """The payload of one inventoryAdjustQuantities call."""
        given = {"name": "available", "reason": "correction", "changes": list(rows), **head}
        payload: dict[str, Any] = self.data(ADJUST, {"input": given, "key": key})["inventoryAdjustQuantities"]
        return payload

    def data(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        body = self.shop.execute(query, variables)
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    def error(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The only error of a call that has to fail."""
        errors = self.shop.execute(query, variables)["errors"]
        assert len(errors) == 1, errors
        first: dict[str, Any] = errors[0]
        return first


def stage(levels: int = 10, *, seed: int = 0, rate: float = 100_000, **options: Any) -> Stage:
    """A fresh stage; keyword options are switches, but for `scopes`."""
    scopes = {"scopes": options.pop("scopes")} if "scopes" in options else {}
    clock = ManualClock()
    shop = Shop(domain=DOMAIN, clock=clock, seed=seed, switches=Switches(**options), plan_rate=rate, **scopes)
    toronto, montreal = shop.add_location("Toronto"), shop.add_location("Montreal")
    specs = [VariantSpec(title="Framed", sku="P-F"), VariantSpec(title="Unframed", sku="P-U")]
    product = shop.add_product("Harbour", variants=specs, tags=["Sea"], product_type="Print", levels=levels)
    a, b = product.variants
    return Stage(shop=shop, clock=clock, toronto=toronto, montreal=montreal, product=product, a=a, b=b)


def test_two_shops_of_one_seed_have_the_same_ids_and_other_seeds_have_others() -> None:
    one, same, other = stage(seed=1), stage(seed=1), stage(seed=2)
    assert one.a.item.gid == same.a.item.gid
    assert one.product.gid == same.product.gid
    assert one.product.gid != other.product.gid


def test_inventory_item_ids_are_beyond_what_a_float_can_hold() -> None:
    number = stage().a.item.number
    assert number > 2**53


def test_an_order_lowers_available_and_raises_committed_and_leaves_on_hand() -> None:
    # inventory-management-apps: an order placed moves quantity from available to committed.
    s = stage()
    s.shop.sell([(s.a.gid, 3)])
    level = s.shop.state.level(s.a.item.gid, s.toronto)
    assert (level.quantity("available"), level.quantity("committed"), level.quantity("on_hand")) == (7, 3, 10)


def test_fulfilment_takes_from_committed_and_so_from_on_hand() -> None:
    s = stage()
    order = s.shop.sell([(s.a.gid, 3)])
    s.shop.fulfil(order.gid)
    level = s.shop.state.level(s.a.item.gid, s.toronto)
    assert (level.quantity("available"), level.quantity("committed"), level.quantity("on_hand")) == (7, 0, 7)


def test_a_sale_beyond_stock_is_refused_under_deny_and_changes_nothing() -> None:
    s = stage(levels=2)
    with pytest.raises(SoldOut, match="3 wanted, 2 left"):
        s.shop.sell([(s.b.gid, 1), (s.a.gid, 3)])
    assert (s.level(s.a), s.level(s.b), s.shop.history()) == (2, 2, [])


def test_two_lines_of_one_variant_count_together_against_deny() -> None:
    s = stage(levels=3)
    with pytest.raises(SoldOut):
        s.shop.sell([(s.a.gid, 2), (s.a.gid, 2)], location=s.toronto)


def test_a_sale_beyond_stock_goes_below_zero_under_continue_or_when_forced() -> None:
    s = stage(levels=1)
    s.shop.set_policy(s.a.gid, "CONTINUE")
    s.shop.sell([(s.a.gid, 3)])
    s.shop.sell([(s.b.gid, 3)], force=True)
    assert (s.level(s.a), s.level(s.b)) == (-2, -2)


def test_an_order_is_taken_from_the_first_online_location_that_has_enough() -> None:
    s = stage(levels=2)
    s.shop.edit(s.a.item.gid, s.montreal, 8)
    order = s.shop.sell([(s.a.gid, 5)])
    assert order.lines[0].location is not None
    assert order.lines[0].location.name == "Montreal"


def test_an_untracked_item_is_sold_without_a_movement() -> None:
    s = stage()
    s.shop.set_tracked(s.a.item.gid, tracked=False)
    s.shop.sell([(s.a.gid, 100)])
    assert s.shop.history() == []


def test_a_refund_with_restock_brings_stock_back_and_without_it_does_not() -> None:
    s = stage()
    order = s.shop.sell([(s.a.gid, 4)])
    s.shop.refund(order.gid, [(s.a.gid, 1)], restock=True)
    assert s.level(s.a) == 7
    s.shop.refund(order.gid, [(s.a.gid, 1)], restock=False)
    assert s.level(s.a) == 7
    level = s.shop.state.level(s.a.item.gid, s.toronto)
    assert level.quantity("committed") == 2


def test_more_than_was_sold_cannot_be_refunded() -> None:
    s = stage()
    order = s.shop.sell([(s.a.gid, 1)])
    with pytest.raises(ShopError, match="fewer than 2"):
        s.shop.refund(order.gid, [(s.a.gid, 2)], restock=True)


def test_a_cancelled_order_gives_everything_back_once() -> None:
    s = stage()
    order = s.shop.sell([(s.a.gid, 2), (s.b.gid, 1)])
    s.shop.cancel(order.gid, restock=True)
    assert (s.level(s.a), s.level(s.b)) == (10, 10)
    with pytest.raises(ShopError, match="is cancelled"):
        s.shop.cancel(order.gid, restock=True)


def test_an_order_edit_moves_stock_both_ways() -> None:
    s = stage()
    order = s.shop.sell([(s.a.gid, 2)])
    s.shop.edit_order(order.gid, [(s.a.gid, -1), (s.b.gid, 3)])
    assert (s.level(s.a), s.level(s.b)) == (9, 7)
    assert [line.current for line in order.lines] == [1, 3]


def test_the_history_explains_every_level_from_its_start() -> None:
    s = stage()
    order = s.shop.sell([(s.a.gid, 2)])
    s.shop.refund(order.gid, restock=True)
    s.shop.edit(s.a.item.gid, s.toronto, 20)
    s.adjust(s.row(s.a, -5, 20))
    moved = [m for m in s.shop.history() if m.item == s.a.item.gid]
    assert [(m.cause, m.delta, m.after) for m in moved] == [
        ("order", -2, 8),
        ("refund", 2, 10),
        ("edit", 10, 20),
        ("api", -5, 15),
    ]
    start = s.shop.starting_level(s.a.item.gid, s.toronto)
    assert start + sum(m.delta for m in moved) == s.level(s.a)
    assert (moved[-1].actor, moved[-1].idempotency_key) == ("demo-client", "key-1")


def test_an_edit_to_the_same_value_is_no_movement() -> None:
    s = stage()
    assert s.shop.edit(s.a.item.gid, s.toronto, 10) == 0
    assert s.shop.history() == []


def test_a_level_comes_back_as_it_was_and_the_last_one_has_to_stay() -> None:
    # Deactivating keeps quantities; reactivating gives the same level id; the last level stays.
    s = stage()
    before = s.shop.state.level(s.a.item.gid, s.montreal)
    s.shop.disconnect(s.a.item.gid, s.montreal)
    with pytest.raises(ShopError, match="last level"):
        s.shop.disconnect(s.a.item.gid, s.toronto)
    again = s.shop.connect(s.a.item.gid, s.montreal)
    assert (again.gid, again.available) == (before.gid, 10)


def test_removed_things_are_gone_from_the_api() -> None:
    s = stage()
    item, variant = s.a.item.gid, s.a.gid
    s.shop.remove_variant(variant)
    with pytest.raises(ShopError, match="no other variant"):
        s.shop.remove_variant(s.b.gid)
    assert s.data("query($i: ID!) { inventoryItem(id: $i) { id } }", {"i": item})["inventoryItem"] is None
    s.shop.remove_product(s.product.gid)
    assert s.data("{ products(first: 5) { nodes { id } } }")["products"]["nodes"] == []


def test_an_unknown_id_is_refused_with_its_name() -> None:
    with pytest.raises(ShopError, match="no variant 'gid://nothing'"):
        stage().shop.sell([("gid://nothing", 1)])


def test_switches_read_from_texts_and_name_what_is_wrong() -> None:
    assert switches_from(["idempotency=replay", "cost=linear"]) == Switches(
        idempotency="replay", cost="linear"
    )
    assert all(modes[0] == getattr(Switches(), name) for name, modes in switch_modes().items())
    with pytest.raises(ValueError, match="its modes are: reevaluate, replay, apply_again"):
        switches_from(["idempotency=maybe"])
    with pytest.raises(ValueError, match="no switch 'nope'"):
        switches_from(["nope=1"])


def test_the_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        ManualClock().advance(-1)


def test_a_refund_of_nothing_is_refused_and_leaves_no_trace() -> None:
    s = stage()
    order = s.shop.sell([(s.a.gid, 1)])
    s.shop.refund(order.gid, restock=True)
    for lines in (None, []):
        with pytest.raises(ShopError, match="#1001 has nothing left to refund"):
            s.shop.refund(order.gid, lines, restock=True)
    assert len(order.refunds) == 1
    assert len(s.shop.history()) == 2


def test_a_cancelled_order_without_anything_left_makes_no_empty_refund() -> None:
    s = stage()
    told: list[str] = []
    s.shop.state.tell = lambda happening: told.append(happening.topic)
    order = s.shop.sell([(s.a.gid, 1)])
    s.shop.refund(order.gid, restock=True)
    s.shop.cancel(order.gid, restock=True)
    assert len(order.refunds) == 1
    assert told.count("refunds/create") == 1
    assert told[-2:] == ["orders/cancelled", "orders/updated"]


@pytest.mark.parametrize("ends", ["refund", "cancel"])
def test_a_line_of_a_removed_variant_moves_no_level_that_is_gone(ends: str) -> None:
    s = stage()
    order = s.shop.sell([(s.a.gid, 2), (s.b.gid, 1)])
    s.shop.remove_variant(s.a.gid)
    moves = len(s.shop.history())
    if ends == "refund":
        s.shop.refund(order.gid, restock=True)
    else:
        s.shop.cancel(order.gid, restock=True)
    assert [part.restock_type for part in order.refunds[0].lines] == ["NO_RESTOCK", "CANCEL"]
    assert [moved.item for moved in s.shop.history()[moves:]] == [s.b.item.gid]
