"""How connections are lent: replaced when they are gone, with plans that fit the tables as they are now."""

import asyncio

import psycopg
import pytest

from stockwright.model import EventId
from stockwright.store import keys
from stockwright.store.database import singly, together
from stockwright.store.inbox import receive
from stockwright.store.lending import careful_pool
from tests.store.rows import LEVELS, NOON, add_automation, add_shop, connect, event, key, open_pool, rows

_ENOUGH = 8  # executions after which psycopg has prepared a statement, and PostgreSQL kept a plan of it
_CLOSE_OTHERS = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


async def _installed(dsn: str):
    async with await connect(dsn) as conn:
        shop = await add_shop(conn)
        await add_automation(conn, shop, "aut_1", LEVELS)
    return shop


def test_connections_that_the_server_closed_are_replaced_before_they_are_lent(database: str) -> None:
    async def story() -> None:
        async with open_pool(database, size=3) as pool, await connect(database) as other:
            async with pool.connection(), pool.connection(), pool.connection():
                pass
            await rows(other, _CLOSE_OTHERS)
            async with pool.connection() as one, pool.connection() as two, pool.connection() as three:
                for conn in (one, two, three):
                    assert await rows(conn, "select 1") == [(1,)]

    asyncio.run(story())


def test_a_plan_made_for_an_empty_table_does_not_outlive_the_next_question(database: str) -> None:
    """It would read all events of the shop for each that waits: 10 million rows in a minute of sales."""

    async def story() -> None:
        shop = await _installed(database)
        async with careful_pool(database, min_size=1, max_size=1, open=False, ask_every_s=0) as pool:
            async with singly(pool) as conn:
                for _ in range(2 * _ENOUGH):
                    await keys.pending(conn, key(shop), NOON)
                await receive(conn, [event(shop, no) for no in range(3000)])
            async with singly(pool) as conn:
                await keys.pending(conn, key(shop), NOON)
                assert "event_id = w.event_id" in await _plan_of_pending(conn, shop)

    asyncio.run(story())


async def _plan_of_pending(conn, shop) -> str:
    """The plan that the connection keeps for `keys.pending`: where it looks for an event."""
    named = "select name from pg_prepared_statements where statement like 'select e.event_id%' and generic_plans > 0"
    [(name,)] = await rows(conn, named)
    values = f"{shop}, 'aut_1', '{key(shop).subject}', now(), 1000"
    lines = [line for (line,) in await rows(conn, f"explain (costs off) execute {name} ({values})")]
    at = next(no for no, line in enumerate(lines) if "on events" in line)
    return lines[at + 1]


def test_statements_sent_together_are_committed_together_or_not_at_all(database: str) -> None:
    async def story() -> None:
        shop = await _installed(database)
        async with open_pool(database, size=1) as pool:
            with pytest.raises(psycopg.errors.UndefinedColumn):
                async with together(pool) as conn:
                    await keys.set_wake_at(conn, key(shop), NOON)
                    await conn.execute("select no_such_column")  # nobody fetches: it is told at the end
            with pytest.raises(LookupError):
                async with together(pool) as conn:
                    await keys.set_wake_at(conn, key(shop), NOON)
                    raise LookupError
            with pytest.raises(psycopg.ProgrammingError, match="RETURNING"):
                async with together(pool) as conn:
                    assert (await conn.execute("delete from shops")).rowcount
            async with singly(pool) as conn:
                assert await keys.state(conn, key(shop)) == keys.KeyState()
            async with together(pool) as conn:
                await keys.set_wake_at(conn, key(shop), NOON)
                await keys.finish(conn, key(shop), [EventId("evt_1")], None)
            async with singly(pool) as conn:
                assert (await keys.state(conn, key(shop))).wake_at == NOON

    asyncio.run(story())
