"""The cost budget: never overdrawn by many processes at once, refilled by time, corrected by the server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from psycopg import AsyncConnection

from stockwright.model import ShopId
from stockwright.store import budgets
from stockwright.store.database import singly
from stockwright.store.shop_rows import ShopRows
from tests.store.rows import add_shop, connect, open_pool, rows

SLOW = 0.001  # points per second: so slow that the time a test takes does not show


def with_shop(dsn: str, work: Callable[[AsyncConnection, ShopId], Awaitable[None]]) -> None:
    async def run() -> None:
        async with await connect(dsn) as conn:
            await work(conn, await add_shop(conn))

    asyncio.run(run())


async def put(
    conn: AsyncConnection, shop_id: ShopId, points: float, *, rate: float = SLOW, age_s: float = 0
) -> None:
    """A bucket of 1000 with this content, as of `age_s` seconds ago."""
    await conn.execute(
        "insert into budgets values (%s, 1000, %s, %s, clock_timestamp() - make_interval(secs => %s))"
        " on conflict (shop_id) do update set restore_rate = excluded.restore_rate,"
        " available = excluded.available, capacity = 1000, as_of = excluded.as_of",
        (shop_id, rate, points, age_s),
    )


async def points(conn: AsyncConnection) -> float:
    ((found,),) = await rows(conn, "select available from budgets")
    return found


async def take(conn: AsyncConnection, shop_id: ShopId, cost: float, *, reserve_share: float = 0) -> float:
    return await budgets.take(conn, shop_id, cost=cost, reserve_share=reserve_share)


def test_a_shop_without_a_budget_starts_with_a_full_bucket_of_the_standard_plan(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        assert await take(conn, shop_id, 400) == 0
        assert await points(conn) == pytest.approx(1600, abs=1)

    with_shop(database, work)


def test_points_that_are_there_are_taken_and_others_are_waited_for(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 100, rate=10)
        assert await take(conn, shop_id, 90) == 0
        assert await take(conn, shop_id, 60) == pytest.approx(5, abs=0.5)  # (60 - 10) / 10
        assert await points(conn) == pytest.approx(10, abs=5)  # nothing was taken

    with_shop(database, work)


def test_the_bucket_refills_with_time_up_to_its_capacity(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 0, rate=10, age_s=20)
        assert await take(conn, shop_id, 150) == 0
        assert await points(conn) == pytest.approx(50, abs=5)
        await put(conn, shop_id, 0, rate=10, age_s=10_000)
        assert await take(conn, shop_id, 100) == 0
        assert await points(conn) == pytest.approx(900, abs=1)

    with_shop(database, work)


def test_a_bucket_from_the_future_does_not_lose_points(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 500, rate=10, age_s=-3600)
        assert await take(conn, shop_id, 100) == 0
        assert await points(conn) == pytest.approx(400, abs=1)

    with_shop(database, work)


def test_a_scan_leaves_the_reserve_and_an_event_may_use_it(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 350)
        assert await take(conn, shop_id, 100, reserve_share=0.3) > 0
        assert await take(conn, shop_id, 50, reserve_share=0.3) == 0
        assert await take(conn, shop_id, 300) == 0

    with_shop(database, work)


def test_a_cost_above_what_the_bucket_holds_waits_for_a_full_one_and_no_longer(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 1000)
        assert await take(conn, shop_id, 900, reserve_share=0.3) == 0
        await put(conn, shop_id, 1000)
        assert await take(conn, shop_id, 1200) == 0
        assert await take(conn, shop_id, 1) > 0

    with_shop(database, work)


def test_a_block_stops_everybody_until_it_ends_and_is_never_shortened(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 1000)
        await budgets.block(conn, shop_id, delay_s=30)
        await budgets.block(conn, shop_id, delay_s=5)
        assert await take(conn, shop_id, 1) == pytest.approx(30, abs=1)
        await conn.execute("update budgets set blocked_until = clock_timestamp()")
        assert await take(conn, shop_id, 1) == 0

    with_shop(database, work)


async def settle(conn: AsyncConnection, shop_id: ShopId, *, refund: float, available: float) -> None:
    await budgets.settle(conn, shop_id, refund=refund, available=available, capacity=1000, restore_rate=SLOW)


def test_what_was_not_charged_comes_back(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 500)
        await take(conn, shop_id, 100)
        await settle(conn, shop_id, refund=85, available=990)
        assert await points(conn) == pytest.approx(485, abs=0.1)

    with_shop(database, work)


def test_the_server_is_believed_when_it_says_that_there_is_less(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 900)
        await settle(conn, shop_id, refund=0, available=40)
        assert await points(conn) == 40

    with_shop(database, work)


def test_an_answer_does_not_give_back_what_requests_in_flight_have_taken(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 1000)
        for _ in range(3):
            await take(conn, shop_id, 300)
        await settle(conn, shop_id, refund=290, available=990)  # the server has seen one of three
        assert await points(conn) == pytest.approx(390, abs=0.1)

    with_shop(database, work)


def test_a_change_of_plan_is_followed(database: str) -> None:
    async def work(conn: AsyncConnection, shop_id: ShopId) -> None:
        await put(conn, shop_id, 1000)
        await budgets.settle(conn, shop_id, refund=0, available=19_990, capacity=20_000, restore_rate=1000)
        assert await rows(conn, "select capacity, restore_rate from budgets") == [(20_000, 1000)]
        await budgets.settle(conn, shop_id, refund=0, available=500, capacity=500, restore_rate=25)
        assert await points(conn) == 500

    with_shop(database, work)


def test_many_takers_at_once_never_overdraw_the_bucket(database: str) -> None:
    async def run() -> None:
        async with open_pool(database, size=6) as pool:
            async with pool.connection() as conn:
                shop_id = await add_shop(conn)
                await put(conn, shop_id, 1000)
            shop_rows = ShopRows(pool)
            waits = await asyncio.gather(
                *(shop_rows.take_points(shop_id, cost=30, reserve_share=0) for _ in range(50))
            )
            assert sum(wait == 0 for wait in waits) == 33
            async with pool.connection() as conn:
                assert await points(conn) == pytest.approx(10, abs=0.1)

    asyncio.run(run())


def test_a_pooled_connection_is_given_back_in_the_mode_it_came_in(database: str) -> None:
    async def run() -> None:
        async with open_pool(database, size=1) as pool:
            async with pool.connection() as conn:
                shop_id = await add_shop(conn)
            await ShopRows(pool).take_points(shop_id, cost=1, reserve_share=0)
            with pytest.raises(Exception, match="does not exist"):
                async with singly(pool) as conn:
                    await conn.execute("select no_such_column")
            async with pool.connection() as conn:
                assert conn.autocommit is False

    asyncio.run(run())
