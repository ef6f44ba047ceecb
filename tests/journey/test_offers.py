"""Offers in the service against the bundled shop: what people do, schedules, limits counted from orders, the theme."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from shopify_emulator import ManualClock
from shopify_emulator.access import ALL_SCOPES
from shopify_emulator.faults import Fault
from stockwright import notify, offer_desk, offer_reading, offering
from stockwright.deps import refresh_shop
from stockwright.model import Conflicting, FaultyFields, gid
from stockwright.notify.offers import Mode, Terms, Verb
from stockwright.offer_upkeep import OfferUpkeep, subscribe_orders
from stockwright.store import audit, offer_orders, offer_themes, offers, shops, stats
from stockwright.store.offers import OfferRow
from tests.journey.listings import Listing, add_listing
from tests.journey.service import PUBLIC_URL, Service, new_shop, play

VERBS = (Verb.ACTIVATE, Verb.PAUSE, Verb.RESUME, Verb.COMPLETE, Verb.ARCHIVE)


async def begin(service: Service) -> Listing:
    """A product of three variants, all sold out; they may be sold below zero."""
    service.shop.add_location("Main")
    listing = add_listing(service.shop, levels=0, tags=())
    await refresh_shop(service.deps, service.shop_id)
    return listing


async def draft(service: Service, listing: Listing, *, items: list[str] | None = None, **terms) -> OfferRow:
    wanted = [listing.gid] if items is None else items
    return await offer_desk.create(service.deps, service.shop_id, Terms(name="Spring", **terms), items=wanted)


async def active(service: Service, listing: Listing, **terms) -> OfferRow:
    return await offer_desk.do(service.deps, await draft(service, listing, **terms), Verb.ACTIVATE)


async def now(service: Service, row: OfferRow) -> OfferRow:
    async with service.database.connection() as conn:
        found = await offers.get(conn, row.shop_id, row.offer_id)
    assert found is not None
    return found


async def enable_notify(service: Service, options: str = "{}", *, plan: str = "premium") -> None:
    async with service.database.connection() as conn:
        await conn.execute(
            "insert into automations (shop_id, automation_id, kind, name, options, topics, enabled)"
            " values (%s, 'aut_n', %s, 'n', %s::jsonb, '{}', true)"
            " on conflict (shop_id, automation_id) do update set options = excluded.options",
            (service.shop_id, notify.KIND, options),
        )
        await conn.execute("update shops set plan = %s", (plan,))


def upkeep(service: Service) -> OfferUpkeep:
    return OfferUpkeep(deps=service.deps)


async def ordered(service: Service, row: OfferRow) -> int:
    async with service.database.connection() as conn:
        return await offers.ordered(conn, row.shop_id, row.offer_id)


# --- what people do -------------------------------------------------------------------------------------------


def test_each_change_by_a_person_is_in_the_audit_log(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        row = await draft(service, poster, items=[poster.variant("A").gid])
        deps, items = service.deps, {name: [poster.variant(name).gid] for name in "AB"}
        deeds = [
            lambda: offer_desk.change(deps, row, Terms(name="Summer", limit_total=5)),
            lambda: offer_desk.add_items(deps, row, items["B"]),
            lambda: offer_desk.remove_items(deps, row, items["A"]),
            *(partial(offer_desk.do, deps, row, verb) for verb in VERBS),
            lambda: offer_desk.delete(deps, row),
        ]
        for deed in deeds:
            await service.move(1)
            await deed()
        async with service.database.connection() as conn:
            entries = await audit.entries(conn, about="offer")
        assert [entry.action.removeprefix("offer.") for entry in entries][::-1] == [
            "create", "change", "add_items", "remove_items", "activate", "pause", "resume", "complete",
            "archive", "delete",
        ]  # fmt: skip
        assert entries[-2].detail["changed"] == {"name": "Summer", "limit_total": 5}
        assert {entry.user_name for entry in entries} == {"command line"}

    play(database, story)


def test_items_must_exist_in_the_shop_and_a_whole_product_covers_its_variants(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        row = await draft(service, poster, items=[poster.variant("A").gid])
        with pytest.raises(FaultyFields, match="The shop has no gid://shopify/Product/404"):
            await offer_desk.add_items(service.deps, row, [poster.gid, gid("Product", 404)])
        with pytest.raises(FaultyFields, match="is no id of a product or variant"):
            await offer_desk.add_items(service.deps, row, ["gid://shopify/Order/1"])
        done = await offer_desk.add_items(service.deps, row, [poster.variant("B").gid, poster.gid])
        assert (done.done, done.unchanged) == (1, 1)
        async with service.database.connection() as conn:
            items = await offers.items(conn, row.shop_id, row.offer_id)
        assert [(item.product_title, item.variant_id) for item in items] == [("Poster", "")]

    play(database, story)


def test_two_who_edit_at_once_do_not_undo_each_other(database) -> None:
    async def story(service: Service) -> None:
        row = await draft(service, await begin(service))
        await offer_desk.change(service.deps, row, Terms(name="Mine"))
        with pytest.raises(Conflicting, match="changed by somebody else"):
            await offer_desk.change(service.deps, row, Terms(name="Yours"))
        assert (await now(service, row)).name == "Mine"

    play(database, story)


def test_terms_that_make_no_sense_are_refused_with_their_field(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        with pytest.raises(FaultyFields, match="auto_disable: "):
            await draft(service, poster, mode=Mode.ALWAYS, auto_disable=True)
        row = await active(service, poster)
        past = service.clock.now() - timedelta(hours=1)
        with pytest.raises(FaultyFields, match="The end is in the past"):
            await offer_desk.change(service.deps, row, Terms(name="Spring", ends_at=past))
        with pytest.raises(Conflicting, match="delete is not possible then"):
            await offer_desk.delete(service.deps, row)

    play(database, story)


def test_the_end_of_an_offer_cancels_the_waiting_list_only_if_that_was_chosen(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        for cancels, state in ((False, "pending"), (True, "cancelled")):
            await enable_notify(service, f'{{"cancel_when_offer_ends": {str(cancels).lower()}}}')
            row = await active(service, poster)
            async with service.database.connection() as conn:
                await conn.execute("delete from subscribers")
                await conn.execute(
                    "insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, offer_id, state, source, created_at)"
                    " values (%s, 'sub_1', 'a@b.example', 'x', %s, 'v', %s, 'pending', 'proxy', now())",
                    (service.shop_id, poster.gid, row.offer_id),
                )
            await offer_desk.do(service.deps, row, Verb.COMPLETE)
            async with service.database.connection() as conn:
                found = await (await conn.execute("select state, reason from subscribers")).fetchone()
            assert found[0] == state
            assert ("The offer 'Spring' ended." in found[1]) is cancels

    play(database, story)


# --- the schedule -----------------------------------------------------------------------------------------------


def test_an_offer_that_fails_to_follow_its_schedule_holds_up_no_other_and_is_shown(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        start = service.clock.now() + timedelta(hours=1)
        rows = [await active(service, poster, starts_at=start) for _ in range(3)]
        await spoil(service, rows[0])
        await service.move(3600)
        await upkeep(service).keep_schedules()
        assert [(await now(service, row)).status for row in rows] == ["scheduled", "active", "active"]
        async with service.database.connection() as conn:
            shop = await shops.get(conn, service.shop_id)
            assert shop is not None
            told = await offer_reading.notices(conn, shop, await now(service, rows[0]))
            (standing,) = await stats.shops_now(conn, now=service.clock.now())
        assert any("could not follow its schedule" in one and one.endswith("It is spoilt.") for one in told)
        assert standing.offers_failing == 1
        async with service.database.connection() as conn:
            await conn.execute("drop trigger spoilt on offers")
        await upkeep(service).keep_schedules()
        mended = await now(service, rows[0])
        assert (mended.status, mended.problem) == ("active", "")

    play(database, story)


async def spoil(service: Service, row: OfferRow) -> None:
    """The database refuses any other status of an offer."""
    async with service.database.connection() as conn:
        await conn.execute(
            "create function spoil() returns trigger language plpgsql as"
            " $$ begin raise exception 'It is spoilt.'; end $$"
        )
        await conn.execute(
            "create trigger spoilt before update of status on offers for each row"
            f" when (old.offer_id = '{row.offer_id}' and new.status <> old.status) execute function spoil()"
        )


def test_offers_start_and_end_by_their_schedule_also_after_downtime(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        start = service.clock.now() + timedelta(hours=1)
        schedule = {"starts_at": start, "ends_at": start + timedelta(hours=1)}
        row, late = [await active(service, poster, **schedule) for _ in range(2)]
        assert row.status == "scheduled"
        await upkeep(service).keep_schedules()
        assert (await now(service, row)).status == "scheduled"
        await service.move(3600)
        await upkeep(service).keep_schedules()
        assert (await now(service, row)).status == "active"
        await offer_desk.do(service.deps, late, Verb.PAUSE)
        await service.move(100_000)
        await upkeep(service).keep_schedules()
        for one in (row, late):
            ended = await now(service, one)
            assert (ended.status, ended.pause_reason) == ("completed", "")
            assert ended.completed_at is not None

    play(database, story)


# --- auto-disable ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begins", ["by hand", "by its schedule"])
def test_a_variant_that_is_back_before_any_webhook_came_is_seen_to_come_back(database, begins: str) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        await service.add(notify.KIND)
        later = service.clock.now() + timedelta(hours=1) if begins == "by its schedule" else None
        row = await active(service, poster, auto_disable=True, starts_at=later)
        if later:
            await service.wait(3600)
            await upkeep(service).keep_schedules()
        await service.settle()
        poster.edit(A=5, B=5, C=5)
        await service.settle()
        paused = await now(service, row)
        assert (paused.status, paused.pause_reason) == ("paused", "auto_back_in_stock")
        poster.sell("B", count=5)
        await service.settle()
        assert (await now(service, row)).status == "active"

    play(database, story)


# --- limits ------------------------------------------------------------------------------------------------------


def test_orders_beyond_stock_count_for_the_limit_and_pause_the_offer_when_that_was_chosen(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        poster.edit(A=1)
        row = await active(service, poster, limit_total=4, pause_at_limit=True)
        assert await subscribe_orders(service.deps, row, public_url=PUBLIC_URL) == ""
        await service.move(1)
        poster.sell("A", count=2)  # one from stock, one ahead
        poster.sell("B", count=2)
        await service.settle()
        await upkeep(service).count_orders()
        assert await ordered(service, row) == 3
        order = poster.sell("A")
        await service.settle()
        await upkeep(service).count_orders()
        full = await now(service, row)
        assert (full.status, full.pause_reason) == ("paused", "limit_reached")
        with pytest.raises(Conflicting, match="reached its limit: 4 of 4"):
            await offer_desk.do(service.deps, row, Verb.RESUME)
        await service.move(30)
        service.shop.cancel(order.gid, restock=True)
        await service.move(301)
        await upkeep(service).count_orders()
        assert await ordered(service, row) == 3, "a cancelled order gives its units back"
        assert (await offer_desk.do(service.deps, row, Verb.RESUME)).status == "active"

    play(database, story)


def test_counting_again_counts_nothing_twice_and_stock_that_moved_on_changes_nothing(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        poster.edit(A=5)
        row = await active(service, poster, limit_total=100)
        await subscribe_orders(service.deps, row, public_url=PUBLIC_URL)
        await service.move(1)
        from_stock = poster.sell("A", count=2)
        await service.settle()
        await upkeep(service).count_orders()
        poster.sell("A", count=9)
        await service.settle()
        await upkeep(service).count_orders()
        assert await ordered(service, row) == 6
        service.shop.fulfil(from_stock.gid)
        for _ in range(3):
            await service.move(301)
            await upkeep(service).count_orders()
        assert await ordered(service, row) == 6

    play(database, story)


def test_customers_are_told_apart_where_their_ids_may_be_read(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        row = await active(service, poster, limit_per_customer=2)
        await service.move(1)
        poster.sell("A", count=2).customer_id = gid("Customer", 7)
        poster.sell("A", count=1)
        await service.move(301)
        await upkeep(service).count_orders()
        await enable_notify(service)
        async with service.database.connection() as conn:
            shop = await shops.get(conn, service.shop_id)
            client = await service.deps.clients.for_shop(service.shop_id)
            product = await client.read_shown_product(poster.gid)
            assert shop is not None
            assert product is not None
            at = service.clock.now()
            guest = await offering.gate(conn, shop, product, at)
            seven = await offering.gate(conn, shop, product, at, customer_id=gid("Customer", 7))
        variant = poster.variant("A").gid
        assert (guest[variant].preorder, guest[variant].most_units) == (True, 2)
        assert seven[variant].preorder is False
        assert seven[variant].notify, "a reached limit leaves the button"
        assert await ordered(service, row) == 3

    play(database, story)


def test_without_read_orders_that_is_said_and_nothing_is_counted(database) -> None:
    shop = new_shop(ManualClock(), scopes=ALL_SCOPES - {"read_orders"})

    async def story(service: Service) -> None:
        poster = await begin(service)
        row = await active(service, poster, limit_total=1)
        told = await subscribe_orders(service.deps, row, public_url=PUBLIC_URL)
        assert "was not granted read_orders" in told
        poster.sell("A", count=3)
        await service.move(301)
        await upkeep(service).count_orders()
        async with service.database.connection() as conn:
            counting = await offer_orders.counting(conn, service.shop_id)
        assert counting is not None
        assert "was not granted read_orders" in counting.problem
        assert await ordered(service, row) == 0

    play(database, story, shop=shop)


# --- the theme ---------------------------------------------------------------------------------------------------


def in_theme(service: Service) -> dict[str, object]:
    found: dict[str, object] = {}
    for (_, key), value in service.shop.state.app_metafields.items():
        if key.startswith("offers_"):
            found.update(value)
    return found


async def theme(service: Service):
    async with service.database.connection() as conn:
        return await offer_themes.get(conn, service.shop_id)


def test_the_theme_knows_the_active_offers_and_forgets_them(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        other = add_listing(service.shop, "Card", levels=0, tags=())
        await enable_notify(service, '{"button": "instead", "exclude_tags": ["Sale"]}')
        black = other.variant("A")
        row = await active(service, poster, items=[poster.gid, black.gid])
        await upkeep(service).tell_themes()
        number = poster.gid.rsplit("/", 1)[-1]
        assert in_theme(service) == {number: "*", other.gid.rsplit("/", 1)[-1]: [black.number]}
        assert service.shop.state.app_metafields["stockwright", "settings"] == {
            "button": "instead", "exclude_tags": ["sale"], "guests": True,
        }  # fmt: skip
        asked = len(service.requests)
        await upkeep(service).tell_themes()
        await service.move(61)
        await upkeep(service).tell_themes()
        assert len(service.requests) == asked, "what is there is not written again"
        await offer_desk.do(service.deps, row, Verb.PAUSE)
        await upkeep(service).tell_themes()
        assert in_theme(service) == {}

    play(database, story)


def test_the_theme_knows_the_limit_per_order_and_that_it_was_changed(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        await enable_notify(service)
        row = await active(service, poster, limit_per_order=3)
        number = poster.gid.rsplit("/", 1)[-1]
        await upkeep(service).tell_themes()
        assert in_theme(service) == {number: "*", "limits": {number: {"*": 3}}}
        await offer_desk.change(service.deps, row, replace(offering.terms_of(row), limit_per_order=None))
        await upkeep(service).tell_themes()
        assert in_theme(service) == {number: "*"}

    play(database, story)


def test_on_the_free_plan_the_theme_shows_no_product(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        await enable_notify(service)
        await active(service, poster)
        await upkeep(service).tell_themes()
        assert in_theme(service) != {}
        await enable_notify(service, plan="free")
        await service.move(61)
        await upkeep(service).tell_themes()
        assert in_theme(service) == {}

    play(database, story)


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR_BEFORE, Fault.TIMEOUT_AFTER])
def test_a_write_to_the_theme_that_failed_or_got_lost_is_made_again(database, fault: Fault) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        await enable_notify(service)
        await active(service, poster)
        service.shop.faults.next("metafieldsSet", fault)
        await upkeep(service).tell_themes()
        behind = await theme(service)
        assert (behind.attempts, behind.written < behind.wanted) == (1, True)
        assert behind.problem
        await service.move(10)
        await upkeep(service).tell_themes()
        done = await theme(service)
        assert (done.attempts, done.written, done.problem) == (0, done.wanted, "")
        assert in_theme(service) != {}

    play(database, story)


def test_a_change_while_the_theme_is_written_is_written_next(database) -> None:
    async def story(service: Service) -> None:
        poster = await begin(service)
        await enable_notify(service)
        row = await active(service, poster)
        seen = await theme(service)
        await offer_desk.do(service.deps, row, Verb.PAUSE)
        async with service.database.connection() as conn:
            at = service.clock.now()
            await offer_themes.written(conn, seen, {}, at=at, next_at=at + timedelta(days=1))
            assert [one.shop_id for one in await offer_themes.due(conn, at)] == [service.shop_id]

    play(database, story)
