"""People are kept no longer than the options say, and prices are read for what they wait for."""

from datetime import timedelta
from decimal import Decimal

import pytest

from shopify_emulator import Fault, VariantSpec
from stockwright.people_upkeep import PeopleUpkeep, purge, read_prices
from stockwright.shopify.errors import ShopifyError
from stockwright.store import demand
from tests.journey.alerts import Alerts, play
from tests.journey.people import people_now

ANN, BOB, CEO = "ann@example.com", "bob@example.com", "ceo@example.com"


async def age(it: Alerts, **days: int) -> None:
    """Somebody in each of these states that ended, or began, so many days ago."""
    product = it.sell_out()
    now = it.service.clock.now()
    for state, count in days.items():
        at = now - timedelta(days=count)
        ended = {} if state in ("unconfirmed", "pending") else {"ended_at": at}
        await it.wait_for(product, f"{state}@example.com", state=state, created_at=at, **ended)


async def left(it: Alerts) -> set[str]:
    return {email.split("@")[0] for email, _, _ in await people_now(it.service)}


def test_what_the_options_say_is_kept_and_what_is_older_goes(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(keep_sent_days=10, keep_unsubscribed_days=5, keep_unconfirmed_days=3)
        await age(it, sent=11, unknown=9, failed=11, cancelled=11, expired=9, unsubscribed=6, suppressed=4,
                  unconfirmed=4, pending=4000)  # fmt: skip
        await PeopleUpkeep(deps=it.service.deps).keep()
        assert await left(it) == {"unknown", "expired", "suppressed", "pending"}

    play(emptied, story)


def test_case_16_zero_days_keep_for_ever_and_younger_ones_stay(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(keep_sent_days=0, keep_unsubscribed_days=0, keep_unconfirmed_days=0)
        await age(it, sent=3000, unsubscribed=3000, unconfirmed=3000)
        assert await purge(it.service.deps, it.service.shop_id) == 0
        for days in (3001, -1, "rubbish", None):
            await it.set_options(keep_unconfirmed_days=days)
            assert await purge(it.service.deps, it.service.shop_id) == 0, days
        await it.set_options(keep_unconfirmed_days=2999)
        assert await purge(it.service.deps, it.service.shop_id) == 1
        assert await left(it) == {"sent", "unsubscribed"}

    play(emptied, story)


def test_without_an_automation_the_defaults_hold(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await age(it, sent=366, unsubscribed=31, unconfirmed=8, failed=364)
        assert await purge(it.service.deps, it.service.shop_id) == 3
        assert await left(it) == {"failed"}

    play(emptied, story)


def test_many_go_in_batches_with_their_steps_and_notifications(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await age(it, sent=400)
        await it.execute(
            "insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, state, source,"
            " created_at, ended_at) select shop_id, 'sub_x' || n, 'x@example.com', sha256(n::text::bytea), 'p', 'v', 'sent',"
            " 'proxy', created_at, ended_at from subscribers, generate_series(1, 1200) n"
        )
        await it.execute(
            "insert into subscriber_steps (shop_id, subscriber_id, at, what) select shop_id, subscriber_id, now(), 'sent'"
            " from subscribers"
        )
        assert await purge(it.service.deps, it.service.shop_id) == 1201
        assert await it.rows("select count(*) from subscriber_steps") == [(0,)]

    play(emptied, story)


# --- demand -----------------------------------------------------------------------------------------------------


async def report(it: Alerts, order: str = "people") -> list[demand.DemandRow]:
    async with it.service.database.connection() as conn:
        return await demand.demand(conn, it.service.shop_id, order=order, limit=100)


def test_the_demand_report_counts_people_units_and_money(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        it.shop.add_location("Shelf")
        specs = [
            VariantSpec(title="A", price=Decimal("12.50"), sku="P-A"),
            VariantSpec(title="B", price=Decimal(99)),
        ]
        poster = it.shop.add_product("Poster", variants=specs, levels=0)
        await it.wait_for(poster, ANN, title="A", quantity=3)
        await it.wait_for(poster, BOB, title="A", state="unconfirmed")
        await it.wait_for(poster, CEO, title="B")
        await it.wait_for(poster, "told@example.com", title="B", state="sent")
        assert [row.revenue for row in await report(it)] == [None, None]
        assert await read_prices(it.service.deps, it.service.shop_id) == 2
        a, b = await report(it)
        assert (a.people, a.unconfirmed, a.units, a.sku, a.price, a.revenue) == (
            2, 1, 4, "P-A", Decimal("12.5"), Decimal(50),
        )  # fmt: skip
        assert (b.people, b.units, b.revenue) == (1, 1, Decimal(99))
        assert [row.variant_id for row in await report(it, "revenue")] == [b.variant_id, a.variant_id]
        async with it.service.database.connection() as conn:
            totals = await demand.totals(conn, it.service.shop_id)
        assert (totals.variants, totals.people, totals.units) == (2, 3, 5)
        assert {key: Decimal(value) for key, value in totals.revenue.items()} == {a.currency: Decimal(149)}

    play(emptied, story)


def test_prices_are_read_once_a_day_and_a_deleted_variant_keeps_nobody_else_waiting(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        gone, here = it.sell_out("Gone"), it.sell_out("Here")
        await it.wait_for(gone, ANN)
        await it.wait_for(here, BOB)
        it.shop.remove_product(gone.gid)
        assert await read_prices(it.service.deps, it.service.shop_id) == 2
        assert [row.price is None for row in await report(it, "oldest")] == [True, False]
        requests = len(it.service.requests)
        await read_prices(it.service.deps, it.service.shop_id)
        assert len(it.service.requests) - requests <= 1  # only what has no price yet is asked for
        await it.service.move(timedelta(hours=25).total_seconds())
        assert await read_prices(it.service.deps, it.service.shop_id) == 2

    play(emptied, story)


def test_a_shop_that_does_not_answer_keeps_no_other_waiting_and_loses_no_price(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.wait_for(it.sell_out(), ANN)
        await read_prices(it.service.deps, it.service.shop_id)
        await it.service.move(timedelta(hours=25).total_seconds())
        it.shop.faults.next("*", Fault.SERVER_ERROR_BEFORE, count=3)
        with pytest.raises(ShopifyError):
            await read_prices(it.service.deps, it.service.shop_id)
        it.shop.faults.next("*", Fault.SERVER_ERROR_BEFORE, count=3)
        await PeopleUpkeep(deps=it.service.deps).read_prices()
        assert (await report(it))[0].price is not None

    play(emptied, story)
