"""What orders cost as evidence: a frozen stock must not use up the shop's API budget with every sale."""

import pytest

from shopify_emulator import Fault, ManualClock, switches_from
from stockwright.store import runs, shops
from stockwright.weighing import weigh_assumptions
from tests.journey.listings import Listing
from tests.journey.service import Service, new_shop, play
from tests.journey.test_shared_stock import start, stored_pools

ADJUST = "inventoryAdjustQuantities"


def test_a_frozen_stock_asks_for_orders_at_the_reconciliation_only(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        async with service.database.connection() as conn:
            await shops.set_settings(conn, service.shop_id, plan="premium", on_unknown="certain")
        await service.wait(30)
        service.shop.faults.next(ADJUST, Fault.SERVER_ERROR_AFTER)
        service.shop.faults.next("orders", Fault.INTERNAL_ERROR, count=1_000)
        poster.sell("A")
        await service.wait(400)
        assert [pool.status for pool in await stored_pools(service)] == ["frozen"]

        service.shop.faults.clear()
        service.requests.clear()
        poster.sell("B")
        await service.settle()
        assert [request.operation for request in service.requests] == ["ReadProduct"]
        assert [pool.status for pool in await stored_pools(service)] == ["frozen"]

        await service.wait(310)
        await service.reconcile()
        assert "OrdersSince" in [request.operation for request in service.requests]
        assert poster.levels() == [8, 8, 8]

    play(database, story)


def test_a_refund_of_every_line_of_an_order_is_a_sum_and_no_bulk_edit(database) -> None:
    """Both prints of one order come back: two units. By levels alone it looks like one restock typed into both."""

    async def story(service: Service) -> None:
        poster = await start(service, titles=("A", "B"))
        order = poster.sell("A", "B")
        await service.wait(60)
        assert poster.levels() == [8, 8]

        service.requests.clear()
        service.shop.refund(order.gid, restock=True)
        await service.wait(60)
        assert poster.levels() == [10, 10]
        assert "OrdersSince" in [request.operation for request in service.requests]

    play(database, story)


def test_a_restock_typed_into_every_variant_counts_once_although_orders_can_be_read(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, titles=("A", "B"))
        kept = poster.sell("A", "B")
        await service.wait(60)
        service.shop.refund(kept.gid, restock=False)
        poster.edit(A=20, B=20)
        await service.wait(60)
        assert poster.levels() == [20, 20]

    play(database, story)


@pytest.mark.parametrize("lag", ["0", "seconds", "minutes"])
@pytest.mark.parametrize("on_unknown", ["settle", "certain"])
def test_sales_that_the_list_of_orders_has_late_do_not_pass_for_a_correction(
    emptied, on_unknown, lag
) -> None:
    """A correction is lost before it is applied, and sales move its levels to where it would have."""
    switches = switches_from([f"derived_lag={lag}"])

    async def story(service: Service) -> None:
        poster = await start(service)
        async with service.database.connection() as conn:
            await shops.set_settings(conn, service.shop_id, plan="premium", on_unknown=on_unknown)
        await service.wait(400)
        service.shop.faults.next(ADJUST, Fault.SERVER_ERROR_BEFORE)
        poster.sell("A")
        await service.wait(30)
        poster.sell("B")
        poster.sell("C")
        await service.wait(1_500)
        (pool,) = await stored_pools(service)
        assert (pool.status, poster.levels()) == ("active", [7, 7, 7])

    play(emptied, story, shop=new_shop(ManualClock(), switches=switches))


# --- what was assumed, weighed later ------------------------------------------------------------------------------


@pytest.mark.parametrize("sold_instead", [True, False])
def test_what_was_assumed_is_compared_with_orders_once_their_list_holds_them(emptied, sold_instead) -> None:
    """The answer is lost. Either the correction was applied, or B and C sold one each in the very moment after it."""
    shop = new_shop(ManualClock(), switches=switches_from(["derived_lag=minutes"]))

    async def story(service: Service) -> None:
        poster = await start(service)
        await service.wait(400)
        fault = Fault.SERVER_ERROR_BEFORE if sold_instead else Fault.SERVER_ERROR_AFTER
        service.shop.faults.next(ADJUST, fault)
        if sold_instead:
            service.meetings["AdjustQuantities"] = [lambda: sell_before_the_first_look(service, poster)]
        poster.sell("A")
        await service.wait(200)
        (pool,) = await stored_pools(service)
        assert (pool.status, pool.assumed, pool.stock) == ("active", 1, 9)

        service.requests.clear()
        await weigh_assumptions(service.deps)
        assert service.requests == [], "the list of orders cannot know yet"
        await service.wait(400)
        await weigh_assumptions(service.deps)
        (pool,) = await stored_pools(service)
        failed = await failed_runs(service)
        if sold_instead:
            assert (pool.assumed, pool.stock) == (1, 9)
            ((message, code),) = failed
            assert code == "assumption_contradicted"
            assert f"stock resolve {pool.pool_id} --adopt-levels --stock 7" in message
        else:
            assert (pool.assumed, pool.stock, failed) == (0, 9, [])

        service.requests.clear()
        await weigh_assumptions(service.deps)
        assert service.requests == [], "once"
        assert failed == await failed_runs(service)

    play(emptied, story, shop=shop)


def sell_before_the_first_look(service: Service, poster: Listing) -> None:
    service.meetings["ReadProduct"] = [lambda: poster.sell("B"), lambda: poster.sell("C")]


async def failed_runs(service: Service) -> list[tuple[str, str]]:
    async with service.database.connection() as conn:
        found = await runs.list_runs(conn, shop_id=service.shop_id, state="failed", limit=100)
    return [(run.error["message"], run.error["code"]) for run in found if run.error]
