"""What orders cost as evidence: a frozen stock must not use up the shop's API budget with every sale."""

from shopify_emulator import Fault
from stockwright.store import shops
from tests.journey.service import Service, play
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

        await service.reconcile()
        assert "OrdersSince" in [request.operation for request in service.requests]
        assert poster.levels() == [8, 8, 8]

    play(database, story)
