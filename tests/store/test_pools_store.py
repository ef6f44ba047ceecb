"""Two writers of one pool: the version refuses the second, whatever the first has done."""

import asyncio

import pytest

from stockwright.model import AutomationId, PoolId, ProductGid
from stockwright.store import pools
from stockwright.store.database import together
from stockwright.store.pools import MemberRow, PoolRow
from tests.store.rows import ITEM, LEVELS, NOON, PRODUCT, add_automation, add_shop, open_pool

AUT, POOL = AutomationId("aut_1"), PoolId("pool_1")
MEMBERS = [MemberRow(item_id=ITEM, location_id="here", title="A", expected=9)]


def test_a_writer_who_was_held_up_while_the_pool_was_dissolved_meets_a_conflict(database) -> None:
    async def story() -> None:
        async with open_pool(database) as connections:
            async with connections.connection() as conn:
                shop_id = await add_shop(conn)
                await add_automation(conn, shop_id, AUT, LEVELS)
                await pools.save(conn, _row(shop_id, version=1), MEMBERS, was_version=None)
                await pools.dissolve(conn, shop_id, POOL, was_version=1)
            with pytest.raises(pools.Conflict, match="moved on from version 1"):
                async with together(connections) as conn:
                    await pools.save(conn, _row(shop_id, version=2), MEMBERS, was_version=1)

    asyncio.run(story())


def _row(shop_id, *, version: int) -> PoolRow:
    return PoolRow(
        shop_id=shop_id,
        pool_id=POOL,
        automation_id=AUT,
        product_id=ProductGid(PRODUCT),
        location_id="here",
        title="Poster",
        version=version,
        state={},
        stock=9,
        status="active",
        reason="",
        in_doubt=False,
        assumed=0,
        wake_at=None,
        updated_at=NOON,
    )
