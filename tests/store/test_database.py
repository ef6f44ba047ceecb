"""The pool of connections after the server dropped them."""

import asyncio

import psycopg

from stockwright.store.database import pool

SIZE = 8
_DROP = """
select pg_terminate_backend(pid, 10000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and application_name = 'stockwright dropped'
"""


def test_a_full_pool_of_dropped_connections_is_replaced_at_once(database: str) -> None:
    """Tested one by one with growing pauses, as the pool would, eight dead ones take longer than anybody waits."""

    async def story() -> None:
        async with pool(database, size=SIZE, name="dropped", timeout_s=5.0) as connections:
            barrier = asyncio.Barrier(SIZE)

            async def borrow() -> None:
                async with connections.connection():
                    await barrier.wait()

            await asyncio.gather(*(borrow() for _ in range(SIZE)))
            async with await psycopg.AsyncConnection.connect(database, autocommit=True) as admin:
                await admin.execute(_DROP)
            async with connections.connection() as conn:
                assert await (await conn.execute("select 1")).fetchone() == (1,)

    asyncio.run(story())
