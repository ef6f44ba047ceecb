"""Offers against the real database: what a look at stock does, the race with the wave, and who decides the button."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from stockwright import notify, offering
from stockwright.model import ItemGid, LevelRead, LocationGid, ProductGid, VariantGid, gid
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.notify.gating import Why
from stockwright.offering import apply_stock, gate, note_variants
from stockwright.store import offer_themes, offers, shops
from stockwright.store.offers import ItemRow, OfferRow
from tests.store.rows import NOON, add_shop, open_pool, rows

SHIRT, HAT = ProductGid(gid("Product", 1)), ProductGid(gid("Product", 2))
BLACK, WHITE, ONE_HAT = (VariantGid(gid("ProductVariant", no)) for no in (11, 12, 21))
STORE, BACK_ROOM = LocationGid(gid("Location", 1)), LocationGid(gid("Location", 2))


def product(stock: dict[str, int | None], id: ProductGid = SHIRT, **changes) -> ShownProduct:
    variants = tuple(_variant(VariantGid(name), units) for name, units in stock.items())
    given = {"title": "Shirt", "handle": "shirt", "status": "ACTIVE", "is_gift_card": False}
    return ShownProduct(id=id, read_at=NOON, variants=variants, **(given | changes))


def _variant(id: VariantGid, units: int | None) -> ShownVariant:
    levels = (LevelRead(location_id=STORE, available=units, stamp=None),)
    return ShownVariant(
        id=id, title=f"Colour {id[-2:]}", item_id=ItemGid(id), tracked=units is not None, levels=levels
    )


def new_offer(shop_id, offer_id: str = "off_1", **changes) -> OfferRow:
    given = {
        "name": "Spring", "description": "", "status": "active", "pause_reason": "", "mode": "out_of_stock",
        "auto_disable": True, "resume": True, "starts_at": None, "ends_at": None, "limit_total": None,
        "limit_per_customer": None, "limit_per_order": None, "pause_at_limit": False, "created_at": NOON,
        "updated_at": NOON,
    }  # fmt: skip
    return OfferRow(shop_id=shop_id, offer_id=offer_id, **(given | changes))


async def add_offer(conn, shop_id, *items: tuple[str, str], **changes) -> OfferRow:
    row = new_offer(shop_id, **changes)
    await offers.insert(conn, row)
    for product_id, variant_id in items or [(SHIRT, "")]:
        item = ItemRow(product_id=product_id, variant_id=variant_id, product_title="T", variant_title="")
        assert await offers.put_item(conn, shop_id, row.offer_id, item)
    return row


async def add_notify(conn, shop_id, options: str = "{}", *, enabled: bool = True) -> None:
    await conn.execute(
        "insert into automations (shop_id, automation_id, kind, name, options, topics, enabled)"
        " values (%s, 'aut_n', %s, 'n', %s::jsonb, '{}', %s)",
        (shop_id, notify.KIND, options, enabled),
    )


async def look(conn, shop_id, stock: dict[str, int | None], id: ProductGid = SHIRT, back_at: int = 1):
    return await apply_stock(conn, shop_id, product(stock, id), stock, back_at=back_at, now=NOON)


async def status(conn, offer_id: str = "off_1") -> tuple[str, str]:
    return (await rows(conn, f"select status, pause_reason from offers where offer_id = '{offer_id}'"))[0]


def play(dsn: str, story) -> None:
    async def whole() -> None:
        async with open_pool(dsn) as pool:
            async with pool.connection() as conn:
                shop_id = await add_shop(conn)
            await story(pool, shop_id)

    asyncio.run(whole())


def in_one(dsn: str, story) -> None:
    async def opened(pool, shop_id) -> None:
        async with pool.connection() as conn:
            await story(conn, shop_id)

    play(dsn, opened)


def test_trap_12_the_offer_pauses_when_the_last_of_its_variants_in_all_products_is_back(
    database: str,
) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id, (SHIRT, ""), (HAT, ONE_HAT))
        assert await look(conn, shop_id, {BLACK: 0, WHITE: 0}) == ()
        [first] = await look(conn, shop_id, {BLACK: 4, WHITE: 0})
        assert first.because == "Shirt (Colour 11) back in stock: the pre-order stops."
        await look(conn, shop_id, {BLACK: 4, WHITE: 3})
        assert await status(conn) == ("active", ""), "the hat was never looked at"
        await look(conn, shop_id, {ONE_HAT: 0}, HAT)
        [last] = await look(conn, shop_id, {ONE_HAT: 1}, HAT)
        assert "All its variants are back: the offer is paused." in last.because
        assert await status(conn) == ("paused", "auto_back_in_stock")
        [again] = await look(conn, shop_id, {BLACK: 4, WHITE: 0})
        assert again.because.endswith("The offer is active again.")
        assert await status(conn) == ("active", "")

    in_one(database, story)


def test_the_last_two_variants_that_come_back_at_once_pause_the_offer(database: str) -> None:
    async def story(pool, shop_id) -> None:
        async with pool.connection() as conn:
            await add_offer(conn, shop_id, (SHIRT, BLACK), (HAT, ONE_HAT))
            await look(conn, shop_id, {BLACK: 0, WHITE: 0})
            await look(conn, shop_id, {ONE_HAT: 0}, HAT)

        async def one(stock, id) -> None:
            async with pool.connection() as conn, conn.transaction():
                await look(conn, shop_id, stock, id)

        await asyncio.gather(one({BLACK: 3, WHITE: 0}, SHIRT), one({ONE_HAT: 3}, HAT))
        async with pool.connection() as conn:
            assert await status(conn) == ("paused", "auto_back_in_stock")

    play(database, story)


def test_trap_1_what_the_look_does_to_the_offer_is_undone_with_the_wave_and_never_alone(
    database: str,
) -> None:
    class Undo(Exception):
        pass

    async def story(pool, shop_id) -> None:
        async with pool.connection() as conn:
            await add_offer(conn, shop_id, (SHIRT, BLACK))
            await look(conn, shop_id, {BLACK: 0})
        async with pool.connection() as conn:
            with pytest.raises(Undo):
                async with conn.transaction():
                    assert await look(conn, shop_id, {BLACK: 5})
                    raise Undo
            assert await status(conn) == ("active", "")
            assert len(await look(conn, shop_id, {BLACK: 5})) == 1, "the next look sees the return again"

    play(database, story)


def test_a_second_look_at_the_same_stock_changes_and_tells_nothing(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id, (SHIRT, BLACK))
        await look(conn, shop_id, {BLACK: 0})
        await look(conn, shop_id, {BLACK: 5})
        assert await look(conn, shop_id, {BLACK: 5}) == ()
        assert await rows(conn, "select count(*) from audit_log") == [(1,)]

    in_one(database, story)


def test_a_deleted_variant_does_not_keep_an_offer_from_pausing(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id, (SHIRT, BLACK), (HAT, ONE_HAT))
        await look(conn, shop_id, {BLACK: 0})
        await note_variants(conn, shop_id, HAT, [])
        assert await rows(conn, "select product_id from offer_items where is_missing") == [(HAT,)]
        await look(conn, shop_id, {BLACK: 2})
        assert await status(conn) == ("paused", "auto_back_in_stock")

    in_one(database, story)


def test_offers_without_auto_disable_and_manually_paused_ones_are_left_alone(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id, auto_disable=False)
        await add_offer(conn, shop_id, offer_id="off_2", status="paused", pause_reason="manual")
        for stock in ({BLACK: 0, WHITE: 0}, {BLACK: 9, WHITE: 9}):
            assert await look(conn, shop_id, stock) == ()
        assert await rows(conn, "select count(*) from offer_variants") == [(0,)]

    in_one(database, story)


def test_a_look_at_an_unchanged_status_does_not_bother_the_theme(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id)
        await look(conn, shop_id, {BLACK: 0, WHITE: 0})
        await look(conn, shop_id, {BLACK: 1, WHITE: 0})
        assert await offer_themes.get(conn, shop_id) is None
        await look(conn, shop_id, {BLACK: 1, WHITE: 1})
        marked = await offer_themes.get(conn, shop_id)
        assert marked is not None
        assert marked.wanted > marked.written

    in_one(database, story)


# --- the button ---------------------------------------------------------------------------------------------


async def judge(conn, shop_id, stock: dict[str, int | None], **changes):
    shop = await shops.get(conn, shop_id)
    assert shop is not None
    return await gate(conn, shop, product(stock, **changes), NOON)


def test_case_03_no_automation_a_disabled_one_and_a_free_plan_mean_no_button(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id)
        assert (await judge(conn, shop_id, {BLACK: 0}))[BLACK].reason is Why.OFF
        await add_notify(conn, shop_id, enabled=False)
        assert (await judge(conn, shop_id, {BLACK: 0}))[BLACK].reason is Why.OFF
        await conn.execute("update automations set enabled = true")
        found = await judge(conn, shop_id, {BLACK: 0, WHITE: 7})
        assert (found[BLACK].notify, found[BLACK].offer_id) == (True, "off_1")
        assert (found[WHITE].notify, found[WHITE].reason) == (False, Why.IN_STOCK)
        await conn.execute("update shops set plan = 'free'")
        assert (await judge(conn, shop_id, {BLACK: 0}))[BLACK].reason is Why.PLAN

    in_one(database, story)


def test_only_stock_at_the_chosen_locations_counts(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await conn.execute(
            "update shops set locations = %s::jsonb",
            (
                f'[{{"id": "{STORE}", "name": "Store", "is_active": true}},'
                f' {{"id": "{BACK_ROOM}", "name": "Back room", "is_active": true}}]',
            ),
        )
        await add_offer(conn, shop_id)
        await add_notify(conn, shop_id, '{"location_names": ["Back room"]}')
        assert (await judge(conn, shop_id, {BLACK: 5}))[BLACK].notify, "all five are in the store"
        await conn.execute("update automations set options = '{}'")
        assert not (await judge(conn, shop_id, {BLACK: 5}))[BLACK].notify

    in_one(database, story)


def test_limits_count_what_was_ordered_and_each_customer_for_himself(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id, limit_total=10, limit_per_customer=3)
        await conn.execute(
            "insert into offer_orders values (%s, 'off_1', 'o1', 'l1', %s, 'c1', 3, %s), (%s, 'off_1', 'o2', 'l2', %s, '', 4, %s)",
            (shop_id, BLACK, NOON, shop_id, BLACK, NOON),
        )
        shop = await shops.get(conn, shop_id)
        assert shop is not None
        shirt = product({BLACK: 0})
        assert (await gate(conn, shop, shirt, NOON))[BLACK].most_units == 3
        assert not (await gate(conn, shop, shirt, NOON, customer_id="c1"))[BLACK].preorder

    in_one(database, story)


def test_due_offers_are_those_whose_schedule_asks_for_another_status(database: str) -> None:
    async def story(conn, shop_id) -> None:
        hour = timedelta(hours=1)
        for no, changes in enumerate(
            (
                {"status": "scheduled", "starts_at": NOON},
                {"status": "scheduled", "starts_at": NOON + hour},
                {"status": "active", "ends_at": NOON},
                {"status": "paused", "pause_reason": "manual", "ends_at": NOON},
                {"status": "completed", "ends_at": NOON},
                {"status": "draft", "starts_at": NOON},
            )
        ):
            await offers.insert(conn, replace(new_offer(shop_id, f"off_{no}"), **changes))
        assert [offer_id for _, offer_id in await offers.due(conn, NOON)] == ["off_0", "off_2", "off_3"]

    in_one(database, story)


def test_a_whole_product_takes_the_place_of_its_single_variants(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id, (SHIRT, BLACK), (SHIRT, WHITE))
        whole = ItemRow(product_id=SHIRT, variant_id="", product_title="T", variant_title="")
        assert await offers.put_item(conn, shop_id, "off_1", whole)
        assert not await offers.put_item(conn, shop_id, "off_1", whole), "it was there"
        assert [item.variant_id for item in await offers.items(conn, shop_id, "off_1")] == [""]

    in_one(database, story)


def test_people_who_wait_are_cancelled_with_a_step_and_those_being_told_are_not(database: str) -> None:
    async def story(conn, shop_id) -> None:
        await add_offer(conn, shop_id)
        for no, state in enumerate(("pending", "unconfirmed", "queued", "sent")):
            await conn.execute(
                "insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, offer_id, state, source, created_at)"
                " values (%s, %s, '', %s, %s, %s, 'off_1', %s, 'proxy', %s)",
                (shop_id, f"sub_{no}", bytes([no]), SHIRT, BLACK, state, NOON),
            )
        done = await offers.cancel_waiting(conn, shop_id, "off_1", reason="it ended", actor="", now=NOON)
        assert done == 2
        found = await rows(conn, "select state from subscribers order by subscriber_id")
        assert [row[0] for row in found] == ["cancelled", "cancelled", "queued", "sent"]
        assert await rows(conn, "select count(*) from subscriber_steps where what = 'cancelled'") == [(2,)]

    in_one(database, story)


def test_a_change_of_an_offer_that_is_saved_grows_its_version(database: str) -> None:
    async def story(conn, shop_id) -> None:
        row = await add_offer(conn, shop_id)
        saved = await offering.save(conn, row, offering.offer_of(row), now=NOON)
        assert saved == await offers.get(conn, shop_id, "off_1")
        assert saved.version == 2

    in_one(database, story)
