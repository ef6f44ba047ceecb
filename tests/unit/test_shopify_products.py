"""Reads of products at the edges that a small shop does not show: page sizes, long walks, changes meanwhile."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from stockwright.model import ItemGid, Location, LocationGid, ProductGid, ProductRead, ShopId, gid
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.products import ProductPage
from stockwright.shopify.sizes import PageSizes, Shrunk, fitting, halved, page_for
from tests.unit.shopify_wire import NOON, SHOP, Rows, StoredShop, Wire, failed, ok, wire

TEA = ProductGid(gid("Product", 1))
LAST = {"hasNextPage": False, "endCursor": None}


def connection(*nodes: Any, after: str | None = None) -> dict[str, Any]:
    return {"pageInfo": {"hasNextPage": after is not None, "endCursor": after}, "nodes": list(nodes)}


def item(no: int, *, levels: bool = True) -> dict[str, Any]:
    found = {"id": gid("InventoryItem", no), "tracked": True}
    level = {
        "isActive": True,
        "location": {"id": gid("Location", 1)},
        "quantities": [{"name": "available", "quantity": no, "updatedAt": None}],
    }
    return {**found, "inventoryLevels": connection(level)} if levels else found


def product(*items: dict[str, Any], no: int = 1, after: str | None = None) -> dict[str, Any]:
    variants = [
        {
            "id": one["id"].replace("InventoryItem", "ProductVariant"),
            "title": "V",
            "requiresComponents": False,
            "inventoryItem": one,
        }
        for one in items
    ]
    head = {
        "id": gid("Product", no),
        "title": "Tea",
        "status": "ACTIVE",
        "productType": "",
        "tags": [],
        "isGiftCard": False,
    }
    return {**head, "variants": connection(*variants, after=after)}


def read(shop: Wire, *known: int) -> ProductRead | None:
    async def run() -> ProductRead | None:
        items = [ItemGid(gid("InventoryItem", no)) for no in known]
        return await (await shop.client()).read_product(TEA, item_ids=items)

    return asyncio.run(run())


def scan(shop: Wire, search: str, after: str | None = None) -> ProductPage:
    async def run() -> ProductPage:
        return await (await shop.client()).scan_products(search, after=after)

    return asyncio.run(run())


def test_a_level_that_was_never_moved_has_no_stamp_and_an_unnamed_quantity_is_unknown() -> None:
    one = item(5)
    one["inventoryLevels"]["nodes"].append(
        {"isActive": False, "location": {"id": gid("Location", 2)}, "quantities": []}
    )
    found = read(wire(ok({"product": product(one)})))
    assert found is not None
    first, second = found.variants[0].levels
    assert (first.available, first.stamp, first.is_active) == (5, None, True)
    assert (second.available, second.stamp, second.is_active) == (None, None, False)


def test_two_variants_on_one_item_share_its_levels_and_it_is_read_once() -> None:
    shared = product(item(1, levels=False), item(1, levels=False))
    shared["variants"]["nodes"][1]["id"] = gid("ProductVariant", 2)
    shop = wire(ok({"product": shared, "nodes": [item(1)]}))
    found = read(shop, 1)
    assert found is not None
    assert [variant.levels[0].available for variant in found.variants] == [1, 1]
    assert len(shop.requests) == 1


def test_a_product_that_changes_between_its_pages_is_read_again_from_the_start() -> None:
    gone = ok({"product": product(item(1, levels=False), item(2, levels=False)), "nodes": [item(1)]})
    missing = ok({"nodes": [None]})
    whole = ok({"product": product(item(1, levels=False)), "nodes": [item(1)]})
    found = read(wire(gone, missing, whole), 1)
    assert found is not None and [variant.item_id for variant in found.variants] == [gid("InventoryItem", 1)]
    with pytest.raises(ShopifyError) as caught:
        read(wire(gone, missing, gone, missing), 1)
    assert (caught.value.code, caught.value.permanent) == (ErrorCode.CHANGED, False)


def test_a_product_deleted_between_its_pages_is_gone() -> None:
    first = ok({"product": product(item(1), after="c")})
    assert read(wire(first, ok({"product": None, "nodes": []}), ok({"product": None}))) is None


def test_a_query_that_is_too_costly_is_asked_for_in_smaller_pages_from_then_on() -> None:
    shop = wire(
        failed("MAX_COST_EXCEEDED"), failed("MAX_COST_EXCEEDED"), *[ok({"product": product(item(1))})] * 2
    )

    async def twice() -> None:
        clients = shop.clients()
        for _ in range(2):
            await (await clients.for_shop(shop.rows.shop.shop_id)).read_product(TEA)

    asyncio.run(twice())
    assert [body["variables"]["variants"] for body in shop.bodies()] == [50, 25, 12, 12]


def test_a_query_that_is_too_costly_even_at_its_smallest_is_told() -> None:
    shop = wire(*[failed("MAX_COST_EXCEEDED")] * 40)
    with pytest.raises(ShopifyError) as caught:
        read(shop)
    assert caught.value.code is ErrorCode.TOO_COSTLY
    assert shop.bodies()[-1]["variables"]["variants"] == shop.bodies()[-1]["variables"]["levels"] == 1


def test_a_page_of_a_scan_holds_fewer_products_the_more_locations_there_are() -> None:
    sizes = {}
    for count in (1, 11, 60, 400):
        places = tuple(Location(id=LocationGid(gid("Location", no)), name=str(no)) for no in range(count))
        shop = wire(ok({"products": connection()}), rows=Rows(shop=StoredShop(locations=places)))
        scan(shop, "")
        variables = shop.bodies()[0]["variables"]
        sizes[count] = (variables["products"], variables["variants"], variables["levels"])
    assert sizes == {1: (50, 20, 10), 11: (40, 20, 25), 60: (10, 20, 100), 400: (4, 20, 250)}


def test_a_long_walk_starts_anew_behind_the_last_id_before_shopify_ends_it() -> None:
    page = connection(product(item(1), no=41), product(item(2), no=42), after="next")
    shop = wire(
        *[ok({"products": page})] * 2, ok({"products": connection(product(item(3), no=43), after="more")})
    )
    near = scan(shop, "tag:a OR tag:b", after=json.dumps(["cursor", 19_997, None]))
    assert near.after == json.dumps(["next", 19_999, None])
    over = scan(shop, "tag:a OR tag:b", after=near.after)
    assert over.after == json.dumps([None, 0, "42"])
    again = scan(shop, "tag:a OR tag:b", after=over.after)
    assert again.after == json.dumps(["more", 1, "42"])
    asked = [(body["variables"]["search"], body["variables"]["after"]) for body in shop.bodies()]
    assert asked == [
        ("tag:a OR tag:b", "cursor"),
        ("tag:a OR tag:b", "next"),
        ("(tag:a OR tag:b) AND id:>42", None),
    ]


def test_a_walk_over_everything_goes_on_behind_an_id_alone() -> None:
    shop = wire(ok({"products": connection()}))
    scan(shop, "", after=json.dumps([None, 0, "42"]))
    assert shop.bodies()[0]["variables"]["search"] == "id:>42"


@pytest.mark.parametrize("place", ["", "{}", "[1]", '["a", "b", "c"]'])
def test_a_place_that_is_not_ours_is_refused(place: str) -> None:
    with pytest.raises(ShopifyError, match="Start it anew"):
        scan(wire(), "", after=place)


def test_sizes_are_given_up_in_their_order() -> None:
    sizes = {"products": 4, "variants": 3}
    seen = [sizes := halved(sizes) for _ in range(4)]
    assert seen == [
        {"products": 2, "variants": 3},
        {"products": 1, "variants": 3},
        {"products": 1, "variants": 1},
        {"products": 1, "variants": 1},
    ]


def test_sizes_fit_the_formula_before_anything_is_sent() -> None:
    sizes = fitting({"products": 64}, Shrunk(), lambda sizes: sizes["products"] * 100)
    assert sizes == {"products": 8}


def test_calls_that_found_the_same_sizes_too_costly_shrink_them_once() -> None:
    sizes = PageSizes(lambda: NOON)
    first, second = sizes.shrunk(SHOP, "x"), sizes.shrunk(SHOP, "x")
    sizes.shrink(SHOP, "x", first)
    sizes.shrink(SHOP, "x", second)
    assert sizes.shrunk(SHOP, "x").times == 1
    assert sizes.shrunk(ShopId(8), "x").times == 0, "another shop's sizes are its own"


def test_sizes_that_shrank_grow_again_after_half_an_hour() -> None:
    now = NOON
    sizes = PageSizes(lambda: now)
    for _ in range(3):
        sizes.shrink(SHOP, "x", sizes.shrunk(SHOP, "x"))
    now += timedelta(minutes=29)
    assert sizes.shrunk(SHOP, "x").times == 3
    now += timedelta(minutes=1)
    assert [sizes.shrunk(SHOP, "x").times for _ in range(2)] == [2, 2]
    now += timedelta(hours=1)
    assert sizes.shrunk(SHOP, "x").times == 1


def test_a_page_is_a_usual_size_that_holds_the_rows() -> None:
    assert [page_for(count) for count in (0, 10, 11, 100, 101, 9999)] == [10, 10, 25, 100, 250, 250]


def test_data_of_another_shape_is_named_by_its_place() -> None:
    bad = product(item(1))
    bad["variants"]["nodes"][0]["inventoryItem"]["inventoryLevels"]["nodes"][0]["quantities"][0][
        "quantity"
    ] = "5"
    with pytest.raises(ShopifyError, match=r"nodes\[0\]\.quantities\[0\]\.quantity should be a number"):
        read(wire(*[ok({"product": bad})] * 3))


@pytest.mark.parametrize("stamp", ["yesterday", "2026-11-03T10:15:42"])
def test_a_time_without_meaning_is_refused(stamp: str) -> None:
    bad = item(1)
    bad["inventoryLevels"]["nodes"][0]["quantities"][0]["updatedAt"] = stamp
    with pytest.raises(ShopifyError, match="updatedAt"):
        read(wire(*[httpx2.Response(200, json={"data": {"product": product(bad)}})] * 3))
