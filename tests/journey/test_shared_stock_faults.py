"""What the Admin API, the webhooks and the open questions about them do to shared stock: nothing, in the end.

Each fault of the bundled shop strikes a correction or a read; the levels in the shop must end at the truth.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta

import pytest

from shopify_emulator import Fault, ManualClock, WebhookFault, switch_modes, switches_from
from stockwright import effects, engine
from stockwright.ledger.state import Policy
from stockwright.model import PRODUCT_CHECK, EventId, Key, NewEvent, Source
from stockwright.store import inbox, runs, shops
from stockwright.upkeep import Upkeep
from tests.journey.listings import Listing, add_listing
from tests.journey.service import Service, new_shop, play
from tests.journey.test_shared_stock import ACROSS, start, stored_pools

ADJUST = "inventoryAdjustQuantities"

NOTHING_APPLIED = (
    Fault.CONNECT_REFUSED,
    Fault.DROPPED_BEFORE,
    Fault.TIMEOUT_BEFORE,
    Fault.SERVER_ERROR_BEFORE,
    Fault.THROTTLED,
    Fault.TOO_MANY_REQUESTS,
    Fault.SECURITY_REJECTION,
    Fault.INTERNAL_ERROR,
    Fault.STALE,
    Fault.UNAVAILABLE_BEFORE,
    Fault.ADJUST_FAILED,
    Fault.KEY_CONCURRENT,
    Fault.KEY_PREVIOUS_FAILED,
)
APPLIED = (
    Fault.DROPPED_AFTER,
    Fault.TIMEOUT_AFTER,
    Fault.SERVER_ERROR_AFTER,
    Fault.TRUNCATED_AFTER,
    Fault.UNAVAILABLE_AFTER,
    Fault.LATE_ARRIVAL,
    Fault.SLOW,
)
READS = (
    Fault.CONNECT_REFUSED,
    Fault.DROPPED_AFTER,
    Fault.TIMEOUT_BEFORE,
    Fault.SERVER_ERROR_BEFORE,
    Fault.THROTTLED,
    Fault.TOO_MANY_REQUESTS,
    Fault.INTERNAL_ERROR,
    Fault.TRUNCATED_AFTER,
    Fault.LAGGING_READ,
)


async def sold_twice(service: Service, poster: Listing, *, settle_s: float = 400) -> None:
    """One sale that meets the fault, time for it to be settled, one sale after it."""
    await service.wait(30)
    poster.sell("A")
    await service.wait(settle_s)
    poster.sell("B")
    await service.wait(settle_s)


@pytest.mark.parametrize("fault", NOTHING_APPLIED)
@pytest.mark.parametrize("on_unknown", ["settle", "certain"])
def test_a_correction_that_was_not_applied_is_made_good(emptied, fault, on_unknown) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        await set_rule(service, on_unknown)
        service.shop.faults.next(ADJUST, fault)
        await sold_twice(service, poster)
        assert service.shop.faults.injected[fault] == 1
        assert poster.levels() == [8, 8, 8]
        assert [pool.reason for pool in await stored_pools(service)] == [""]
        assert applied_once(service)

    play(emptied, story)


@pytest.mark.parametrize("fault", APPLIED)
def test_a_correction_whose_answer_was_lost_is_not_made_twice(emptied, fault) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.faults.next(ADJUST, fault)
        await sold_twice(service, poster)
        assert service.shop.faults.injected[fault] == 1
        assert poster.levels() == [8, 8, 8]
        assert [pool.reason for pool in await stored_pools(service)] == [""]
        assert applied_once(service)

    play(emptied, story)


@pytest.mark.parametrize("fault", APPLIED)
def test_the_certain_rule_proves_what_became_of_a_correction_or_freezes(emptied, fault) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        await set_rule(service, "certain")
        service.shop.faults.next(ADJUST, fault)
        await sold_twice(service, poster)
        (pool,) = await stored_pools(service)
        if pool.status == "frozen":
            assert "If it was applied, the stock is 9; if it was not, 7" in pool.reason
            assert poster.levels() == [9, 8, 9]  # nothing is written while nobody knows
        else:
            assert poster.levels() == [8, 8, 8]

    # Without orders to go by, the levels alone can prove nothing.
    play(emptied, story, shop=new_shop(ManualClock(), scopes=WITHOUT_ORDERS))


WITHOUT_ORDERS = ("read_products", "write_products", "read_inventory", "write_inventory", "read_locations")


async def set_rule(service: Service, on_unknown: str) -> None:
    async with service.database.connection() as conn:
        await shops.set_settings(conn, service.shop_id, plan="premium", on_unknown=on_unknown)


def applied_once(service: Service) -> bool:
    """I2: no idempotency key moved a level twice."""
    ours = [(move.idempotency_key, move.item, move.location) for move in service.shop.history()]
    keyed = [one for one in ours if one[0] is not None]
    return len(set(keyed)) == len(keyed)


@pytest.mark.parametrize("fault", READS)
def test_a_read_that_fails_or_lags_loses_no_sale(emptied, fault) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.faults.next("product", fault)
        await sold_twice(service, poster)
        assert service.shop.faults.injected[fault] == 1
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def test_orders_that_cannot_be_read_hold_up_no_settlement(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.faults.next(ADJUST, Fault.SERVER_ERROR_AFTER)
        service.shop.faults.next("orders", Fault.INTERNAL_ERROR, count=1_000)
        await sold_twice(service, poster)
        assert service.shop.faults.injected[Fault.INTERNAL_ERROR] > 0
        assert poster.levels() == [8, 8, 8]
        assert service.errors == []

    play(emptied, story)


def test_a_shop_that_is_down_for_an_hour_is_caught_up_with(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.faults.rates({Fault.CONNECT_REFUSED: 1.0})
        for _ in range(6):
            poster.sell("A")
            await service.wait(600)
        assert poster.levels() == [4, 10, 10]
        service.shop.faults.rates({Fault.CONNECT_REFUSED: 0.0})
        await service.wait(1_000)
        assert poster.levels() == [4, 4, 4]

    play(emptied, story)


# --- tokens and locked shops --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.TOKEN_REVOKED, Fault.PAYMENT_REQUIRED, Fault.LOCKED])
@pytest.mark.parametrize("field", ["product", ADJUST])
def test_a_shop_that_shuts_us_out_is_paused_with_the_reason_and_caught_up_with(emptied, fault, field) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.faults.next(field, fault)
        poster.sell("A")
        await service.wait(60)
        assert (await status(service))[0] == "paused"
        assert service.shop.domain in (await status(service))[1]
        poster.sell("B", count=2)
        await service.wait(60)
        service.shop.reinstall()
        await Upkeep(deps=service.deps, public_url=None).look_at_paused()
        await service.wait(300)
        assert (await status(service))[0] == "active"
        assert poster.levels() == [7, 7, 7]

    play(emptied, story)


async def status(service: Service) -> tuple[str, str]:
    async with service.database.connection() as conn:
        shop = await shops.get(conn, service.shop_id)
    assert shop is not None
    return shop.status, shop.status_reason


def test_an_uninstalled_shop_is_left_alone(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        async with service.database.connection() as conn:
            await shops.set_status(conn, service.shop_id, "uninstalled", reason="the app was removed")
        poster.sell("A")
        await service.settle()
        assert service.requests == []
        async with service.database.connection() as conn:
            newest, *_ = await runs.list_runs(conn, shop_id=service.shop_id)
        assert newest.state == "cancelled"
        assert "the app was removed" in newest.because

    play(emptied, story)


# --- webhooks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", list(WebhookFault))
def test_webhooks_that_come_twice_late_wrong_or_never_change_no_number(emptied, fault) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.faults.webhook_delay_s = 4 * 3600
        service.shop.faults.rates({fault: 1.0})
        poster.sell("A")
        poster.sell("C", count=2)
        await service.wait(90)
        service.shop.faults.rates({fault: 0.0})
        poster.sell("B")
        await service.wait(90)
        if fault in (WebhookFault.BAD_HMAC, WebhookFault.WRONG_SHOP):
            assert set(service.refused) == {401}
        await service.wait(5 * 3600)
        await service.reconcile()
        assert service.shop.faults.injected[fault] > 0
        assert poster.levels() == [6, 6, 6]

    play(emptied, story)


def test_a_lost_webhook_is_found_by_the_schedule(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        await service.fire_schedules()
        service.shop.faults.rates({WebhookFault.DROP: 1.0})
        poster.sell("A")
        await service.wait(601)
        assert poster.levels() == [9, 10, 10]
        assert await service.fire_schedules() == 1
        await service.settle()
        assert poster.levels() == [9, 9, 9]

    play(emptied, story)


async def took_s(service: Service, work: Awaitable[None]) -> float:
    """How long it takes while three tenths of the API budget are left."""
    async with service.database.connection() as conn:
        await conn.execute("update budgets set available = 0.25 * capacity, as_of = clock_timestamp()")
    before = service.clock.now()
    await work
    return (service.clock.now() - before).total_seconds()


def test_routine_reads_leave_points_to_sales(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        [pool] = await stored_pools(service)
        check = NewEvent(
            shop_id=service.shop_id,
            event_id=EventId("evt_check"),
            topic=PRODUCT_CHECK,
            payload={},
            source=Source.SWEEP,
            subject=pool.product_id,
            automation_id=pool.automation_id,
        )
        async with service.database.connection() as conn:
            await inbox.receive(conn, [check])
        assert await took_s(service, service.settle()) > 0.5
        poster.sell("A")
        assert await took_s(service, service.settle()) < 0.5
        assert poster.levels() == [9, 9, 9]

    play(emptied, story)


def test_a_burst_of_one_stock_costs_few_requests(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, levels=1_000)
        for _ in range(200):
            poster.sell("A")
        await service.settle()
        assert poster.levels() == [800, 800, 800]
        assert len(service.requests) <= 4

    play(emptied, story)


# --- the open questions about Shopify -----------------------------------------------------------------------

MODES = [f"{name}={mode}" for name, modes in switch_modes().items() for mode in modes[1:]]


@pytest.mark.parametrize("mode", ["defaults", *MODES])
def test_every_way_that_shopify_may_behave_ends_at_the_same_numbers(emptied, mode) -> None:
    """Sales between read and write, lost answers, refusals and doubled webhooks, under each open question."""
    switches = switches_from([] if mode == "defaults" else [mode])
    shop = new_shop(ManualClock(), switches=switches)

    async def story(service: Service) -> None:
        poster = await start(service)
        service.on_the_way("AdjustQuantities", lambda: poster.sell("A"))
        await sold_twice(service, poster)
        for fault in (
            Fault.SERVER_ERROR_AFTER,
            Fault.SERVER_ERROR_BEFORE,
            Fault.THROTTLED,
            Fault.KEY_CONCURRENT,
        ):
            service.shop.faults.next(ADJUST, fault)
            service.shop.faults.next_webhook(WebhookFault.NEW_ID)
            poster.sell("C")
            await service.wait(400)
        assert poster.levels() == [3, 3, 3]
        assert [pool.reason for pool in await stored_pools(service)] == [""]

    play(emptied, story, shop=shop)


@pytest.mark.parametrize("reported", ["every_row", "first_row"])
@pytest.mark.parametrize("named", ["row_and_field", "row", "null"])
def test_a_stale_row_is_understood_however_it_is_reported(emptied, reported, named) -> None:
    switches = switches_from([f"stale_report={reported}", f"stale_field={named}"])

    async def story(service: Service) -> None:
        poster = await start(service, titles=("A", "B", "C", "D"))
        poster.sell("A")
        service.on_the_way("AdjustQuantities", lambda: poster.sell("B", "D"))
        await service.wait(60)
        assert poster.levels() == [7, 7, 7, 7]

    play(emptied, story, shop=new_shop(ManualClock(), switches=switches))


def test_two_requests_for_each_of_many_products_and_not_one_more(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings = [add_listing(service.shop, f"Poster {number}") for number in range(30)]
        await service.add(*ACROSS[:1], **ACROSS[1])
        service.requests.clear()
        for listing in listings:
            listing.sell("B")
        await service.wait(60)
        assert all(listing.levels() == [9, 9, 9] for listing in listings)
        assert len(service.requests) == 2 * len(listings)

    play(emptied, story)


def test_a_worker_that_was_held_up_does_not_send_into_a_settlement(emptied) -> None:
    policy = replace(Policy(), dead_time_s=120.0)

    async def story(service: Service) -> None:
        poster = await start(service)
        held = 0

        async def hold_up(point: str) -> None:
            nonlocal held
            async with service.database.connection() as conn:
                row = await (
                    await conn.execute("select count(*) from effects where state = 'pending'")
                ).fetchone()
            if point == "stored" and row[0] and not held:
                held = 1
                await service.move(60)

        service.seam = hold_up
        poster.sell("A")
        await service.settle()
        assert held == 1
        await service.wait(60)
        assert poster.levels() == [9, 9, 9]
        assert len(service.writes) == 1

    play(emptied, story, policy=policy)


def test_an_answer_waits_until_the_database_is_back(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        refused = 0

        async def lose_the_database(point: str) -> None:
            nonlocal refused
            if point == "storing" and service.writes and refused < 3:
                refused += 1
                raise OSError("the server closed the connection")

        service.seam = lose_the_database
        service.requests.clear()
        poster.sell("A")
        await service.settle()
        assert refused == 3
        assert service.errors == []
        assert poster.levels() == [9, 9, 9]
        assert await outcomes(service) == ["applied"]
        assert len(service.writes) == 1

    play(emptied, story)


async def outcomes(service: Service) -> list[str]:
    async with service.database.connection() as conn:
        cursor = await conn.execute("select outcome from attempts order by effect_id desc limit 1")
        return [row[0] for row in await cursor.fetchall()]


@pytest.mark.parametrize(("point", "outcome"), [("executed", "applied"), ("stored", "not_sent")])
def test_a_run_that_is_cancelled_stores_what_came_of_its_correction(emptied, point, outcome) -> None:
    """What was sent is answered; what had not left stays."""

    async def story(service: Service) -> None:
        poster = await start(service)
        poster.sell("A")
        await service.shop.settle_webhooks()
        [(pool, *_)] = [await stored_pools(service)]
        key = Key(shop_id=service.shop_id, automation_id=pool.automation_id, subject=pool.product_id)
        ran = await engine.run(service.deps, key)
        sending = effects.Sending(
            key=key,
            run_id=ran.run_id,
            effect_id=ran.corrections[0].effect_id,
            pool_id=pool.pool_id,
            intent_key=ran.corrections[0].key,
        )
        service.requests.clear()

        async def cancel(at: str) -> None:
            if at == point:  # the attempt is stored; the shop has applied it
                running.cancel()

        service.seam = cancel
        running = asyncio.create_task(effects.correct(service.deps, sending))
        with pytest.raises(asyncio.CancelledError):
            await running
        while await outcomes(service) == ["started"]:  # noqa: ASYNC110 - the test's own look at the database
            await asyncio.sleep(0)
        assert await outcomes(service) == [outcome]

    play(emptied, story)


@pytest.mark.parametrize("point", ["reading", "shown", "sending", "executed"])
def test_two_workers_on_one_stock_give_way_to_each_other(emptied, point) -> None:
    """A worker that was taken for dead goes on while another one has run its key."""

    async def story(service: Service) -> None:
        poster = await start(service)
        overtaken = 0

        async def be_overtaken(at: str) -> None:
            nonlocal overtaken
            if at == point and not overtaken:
                overtaken = 1
                poster.sell("B")
                await service.bury()
                await service.move(1)
                await service.settle()

        await service.wait(30)
        service.seam = be_overtaken
        poster.sell("A")
        await service.wait(600)
        assert overtaken == 1
        assert service.errors == []
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def test_sales_while_an_answer_is_awaited_cost_no_request_and_all_count_in_the_end(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, levels=50)
        await service.wait(30)
        service.shop.faults.next(ADJUST, Fault.TIMEOUT_BEFORE)
        poster.sell("A")
        await service.settle()
        service.requests.clear()
        for _ in range(20):
            poster.sell("A")
            await service.wait(4)
        assert service.requests == []
        await service.wait(120)
        assert poster.levels() == [29, 29, 29]

    play(emptied, story)


def test_a_wake_up_that_falls_due_while_its_key_is_being_decided_takes_no_product_for_deleted(
    emptied,
) -> None:
    """Whether to read is decided once: what was not read must not be found missing a moment later."""

    async def story(service: Service) -> None:
        poster = await start(service)
        poster.edit(A=15)
        await service.settle()
        [(pool, *_)] = [await stored_pools(service)]
        assert pool.wake_at is not None, "the rise settles"
        moments = iter((pool.wake_at - timedelta(milliseconds=10), pool.wake_at + timedelta(milliseconds=10)))
        last = pool.wake_at + timedelta(milliseconds=20)
        key = Key(shop_id=service.shop_id, automation_id=pool.automation_id, subject=pool.product_id)
        await engine.run(replace(service.deps, clock=lambda: next(moments, last)), key)
        assert [one.pool_id for one in await stored_pools(service)] == [pool.pool_id]
        await service.wait(60)
        assert poster.levels() == [15, 15, 15]

    play(emptied, story)
