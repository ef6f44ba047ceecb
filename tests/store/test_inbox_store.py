"""What receiving an event stores, once, and whom it wakes."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from stockwright.model import PRODUCT_CHECK, WHOLE_SHOP, ShopId, Source, Subscription
from stockwright.store import keys, wake
from stockwright.store.inbox import dump, receive
from tests.postgres_fixture import DatabaseServer
from tests.store.rows import (
    ITEM,
    LEVELS,
    NOON,
    PRODUCT,
    add_automation,
    add_item,
    add_shop,
    connect,
    event,
    gid,
    jobs,
    key,
    rows,
    until,
)

WORK = "select automation_id, event_id, subject from work order by 1, 2"


def test_an_event_becomes_work_and_a_waiting_job_for_every_automation_that_listens(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await add_automation(conn, shop, "aut_1", LEVELS)
            await add_automation(conn, shop, "aut_2", LEVELS, "user/x/y")
            await add_automation(conn, shop, "aut_3", "user/x/y")
            assert await receive(conn, [event(shop)]) == [True]
            assert await rows(conn, WORK) == [("aut_1", "evt_1", PRODUCT), ("aut_2", "evt_1", PRODUCT)]
            assert await jobs(conn) == [
                (f"{shop}:aut_1:{PRODUCT}", "todo", None),
                (f"{shop}:aut_2:{PRODUCT}", "todo", None),
            ]

    asyncio.run(story())


def test_a_repeated_delivery_is_stored_once_in_one_batch_and_over_batches(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await add_automation(conn, shop, "aut_1", LEVELS)
            again = event(shop, 2, webhook_id="webhook-1")
            assert await receive(conn, [event(shop), again]) == [True, False]
            assert await receive(conn, [again, event(shop, 3)]) == [False, True]
            assert await rows(conn, "select event_id from events order by 1") == [("evt_1",), ("evt_3",)]
            assert len(await jobs(conn)) == 1

    asyncio.run(story())


def test_the_same_webhook_id_of_two_shops_is_two_deliveries(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            one, two = await add_shop(conn), await add_shop(conn, "two.myshopify.com")
            assert await receive(conn, [event(one), event(two)]) == [True, True]

    asyncio.run(story())


def test_one_shopify_event_that_changed_two_levels_is_two_events(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            both = [event(shop, 1, shopify_event_id="same"), event(shop, 2, shopify_event_id="same")]
            assert await receive(conn, both) == [True, True]

    asyncio.run(story())


def test_an_event_without_a_webhook_id_is_stored_once_per_event_id(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            mine = event(shop, webhook_id=None)
            assert await receive(conn, [mine, mine]) == [True, False]
            assert await receive(conn, [mine]) == [False]

    asyncio.run(story())


def test_an_event_of_a_shop_that_is_not_there_is_not_stored(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            assert await receive(conn, [event(ShopId(404)), event(shop), event(shop)]) == [None, True, False]
            assert await rows(conn, "select shop_id from events") == [(shop,)]
            assert await rows(conn, "select shop_id from deliveries") == [(shop,)]

    asyncio.run(story())


def test_an_event_that_nobody_listens_to_is_kept_without_work(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            assert await receive(conn, [event(shop)]) == [True]
            assert await rows(conn, "select event_id from events") == [("evt_1",)]
            assert (await rows(conn, WORK), await jobs(conn)) == ([], [])

    asyncio.run(story())


def test_an_event_for_one_automation_goes_to_that_one_whatever_it_listens_to(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await add_automation(conn, shop, "aut_1", LEVELS)
            await add_automation(conn, shop, "aut_2")
            await receive(conn, [event(shop, automation_id="aut_2")])
            await receive(conn, [event(shop, 2, automation_id="aut_of_nobody")])
            assert await rows(conn, WORK) == [("aut_2", "evt_1", PRODUCT)]

    asyncio.run(story())


def test_an_inventory_item_becomes_its_product_once_that_is_known(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await add_automation(conn, shop, "aut_1", LEVELS)
            await receive(conn, [event(shop, 1, subject=ITEM)])
            await add_item(conn, shop, ITEM, PRODUCT)
            await receive(conn, [event(shop, 2, subject=ITEM), event(shop, 3, subject=WHOLE_SHOP)])
            assert [subject for _, _, subject in await rows(conn, WORK)] == [ITEM, PRODUCT, WHOLE_SHOP]

    asyncio.run(story())


def test_a_delayed_subscription_makes_work_and_job_for_later(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await add_automation(conn, shop, "aut_1", Subscription(topic=LEVELS, delay=timedelta(minutes=10)))
            await receive(conn, [event(shop)])
            [(due_in,)] = await rows(
                conn, "select due_at - received_at from work join events using (event_id)"
            )
            assert due_in == timedelta(minutes=10)
            [(_, _, scheduled_at)] = await jobs(conn)
            assert [(scheduled_at,)] == await rows(conn, "select due_at from work")

    asyncio.run(story())


def test_the_delay_of_a_schedule_counts_from_its_slot(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            daily = Subscription(topic="mechanic/scheduler/daily", delay=timedelta(hours=10))
            await add_automation(conn, shop, "aut_1", daily)
            await receive(
                conn,
                [event(shop, topic=daily.topic, source=Source.SCHEDULE, triggered_at=NOON, webhook_id=None)],
            )
            assert await rows(conn, "select due_at from work") == [(NOON + timedelta(hours=10),)]

    asyncio.run(story())


def test_ids_beyond_what_a_float_holds_survive(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await receive(conn, [event(shop, payload={"inventory_item_id": 9007199254740995, "n": 2**70})])
            assert await rows(conn, "select payload from events") == [
                ({"inventory_item_id": 9007199254740995, "n": 2**70},)
            ]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("a\0b", "a\ufffdb"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("whole \U0001f600", "whole \U0001f600"),
        (r"a written \u0000 and \ud83d", r"a written \u0000 and \ud83d"),
    ],
)
def test_text_that_json_allows_and_postgresql_refuses_is_repaired(
    database: str, given: str, stored: str
) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await receive(conn, [event(shop, payload={given: [given]})])
            assert await rows(conn, "select payload from events") == [({stored: [stored]},)]

    asyncio.run(story())


def test_a_number_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump({"price": float("inf")})


def test_two_writers_of_the_same_keys_in_opposite_order_do_not_deadlock(database: str) -> None:
    async def write(shop, numbers, subjects) -> None:
        async with await psycopg.AsyncConnection.connect(database) as conn:
            await receive(
                conn,
                [event(shop, no, subject=subject) for no, subject in zip(numbers, subjects, strict=True)],
            )

    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await add_automation(conn, shop, "aut_1", LEVELS)
            subjects = [f"s{no}" for no in range(100)]
            for part in range(10):
                ids = range(part * 200, part * 200 + 200)
                await asyncio.gather(write(shop, ids[:100], subjects), write(shop, ids[100:], subjects[::-1]))
            assert len(await jobs(conn)) == 100
            assert await rows(conn, "select count(*) from work") == [(2000,)]

    asyncio.run(story())


def test_the_callers_transaction_decides(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await add_shop(conn)
            await add_automation(conn, shop, "aut_1", LEVELS)
            async with conn.transaction(force_rollback=True):
                assert await receive(conn, [event(shop)]) == [True]
            assert await jobs(conn) == []
            assert await receive(conn, [event(shop)]) == [True]
            assert (await jobs(conn))[0][0] == key(shop).lock

    asyncio.run(story())


# --- echoes -----------------------------------------------------------------------------------------------------


async def priorities(conn) -> dict[str, int]:
    """Automation -> the priority of its waiting job."""
    found = await rows(conn, "select split_part(lock, ':', 2), priority from procrastinate_jobs")
    return dict(found)


async def shared_stock(conn, *, in_doubt: bool = False):
    """A shop in which aut_1 shares the stock of an item that stands at 7; aut_2 listens too."""
    shop = await add_shop(conn)
    await add_automation(conn, shop, "aut_1", LEVELS)
    await add_automation(conn, shop, "aut_2", LEVELS)
    await add_item(conn, shop, ITEM, PRODUCT)
    await conn.execute(
        "insert into pools (shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock,"
        " status, in_doubt) values (%s, 'pool', 'aut_1', %s, '*', '', 1, '{}', 7, 'active', %s)",
        (shop, PRODUCT, in_doubt),
    )
    await conn.execute(
        "insert into pool_members (shop_id, item_id, location_id, pool_id, expected) values (%s, %s, %s, 'pool', 7)",
        (shop, ITEM, gid("Location", 5)),
    )
    return shop


def level(shop, no: int, available: int | None, location: int = 5):
    payload = {"inventory_item_id": 1, "location_id": location, "available": available}
    return event(shop, no, subject=ITEM, payload=payload)


def test_what_says_only_what_the_stock_knows_waits_behind_everything_else(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await shared_stock(conn)
            await receive(conn, [level(shop, 1, 7)])
            assert await priorities(conn) == {"aut_1": -1, "aut_2": 0}  # to the other automation it is news
            await receive(conn, [level(shop, 2, 6)])
            assert await priorities(conn) == {"aut_1": 0, "aut_2": 0}
            await receive(conn, [level(shop, 3, 7)])
            assert await priorities(conn) == {"aut_1": 0, "aut_2": 0}  # never lowered

    asyncio.run(story())


@pytest.mark.parametrize(("source", "priority"), [(Source.SWEEP, -1), (Source.PERSON, 0)])
def test_what_a_scan_wants_looked_at_waits_behind_everything_else(
    database: str, source: Source, priority: int
) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await shared_stock(conn)
            check = {"topic": PRODUCT_CHECK, "source": source, "subject": PRODUCT, "automation_id": "aut_1"}
            await receive(conn, [replace(event(shop, 1), **check)])
            assert await priorities(conn) == {"aut_1": priority}
            await receive(conn, [level(shop, 2, 6)])
            assert await priorities(conn) == {"aut_1": 0, "aut_2": 0}

    asyncio.run(story())


@pytest.mark.parametrize(("available", "location"), [(6, 5), (None, 5), (7, 6)])
def test_a_level_that_the_stock_does_not_have_so_is_no_echo(
    database: str, available: int | None, location: int
) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await shared_stock(conn)
            await receive(conn, [level(shop, 1, 7), level(shop, 2, available, location)])
            assert await priorities(conn) == {"aut_1": 0, "aut_2": 0}

    asyncio.run(story())


def test_while_an_answer_is_lost_nothing_is_taken_for_an_echo(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await shared_stock(conn, in_doubt=True)
            await receive(conn, [level(shop, 1, 7)])
            assert await priorities(conn) == {"aut_1": 0, "aut_2": 0}

    asyncio.run(story())


async def book_correction(conn, expected: int) -> None:
    """The answer of a correction that left the level there is stored."""
    await conn.execute("update pool_members set expected = %s", (expected,))
    await conn.execute("update pools set in_doubt = false")


@pytest.mark.parametrize(
    ("available", "wakes", "priority"),
    [((6,), False, -1), ((6, 6), False, -1), ((6, 5), False, 0), ((5,), False, 0), ((6,), True, 0)],
)
def test_echoes_that_came_before_the_answer_go_behind_when_it_is_booked(
    database: str, available: tuple[int, ...], wakes: bool, priority: int
) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await shared_stock(conn, in_doubt=True)
            await receive(conn, [level(shop, no, one) for no, one in enumerate(available)])
            if wakes:
                await keys.set_wake_at(conn, key(shop), NOON)
            assert await priorities(conn) == {"aut_1": 0, "aut_2": 0}
            await book_correction(conn, 6)
            await wake.put_echoes_last(conn, key(shop))
            assert await priorities(conn) == {"aut_1": priority, "aut_2": 0}
            await receive(conn, [level(shop, 9, 4)])
            assert await priorities(conn) == {"aut_1": 0, "aut_2": 0}

    asyncio.run(story())


def test_a_sale_that_is_stored_at_the_same_moment_does_not_go_behind_with_the_echoes(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as inbox, await connect(database) as worker:
            shop = await shared_stock(inbox, in_doubt=True)
            await receive(inbox, [level(shop, 1, 6)])
            await book_correction(inbox, 6)
            async with inbox.transaction():
                await receive(inbox, [level(shop, 2, 5)])
                ranking = asyncio.create_task(wake.put_echoes_last(worker, key(shop)))
                await until(lambda: _waits(inbox, worker))
            await ranking
            assert await priorities(inbox) == {"aut_1": 0, "aut_2": 0}

    asyncio.run(story())


def test_what_is_raised_from_among_the_echoes_stands_behind_those_that_wait_already(database: str) -> None:
    """Jobs of one rank are fetched by their ids; that of an echo is old, and newer sales would wait for ever."""

    async def story() -> None:
        async with await connect(database) as conn:
            shop = await shared_stock(conn)
            await conn.execute("delete from subscriptions where automation_id = 'aut_2'")
            await receive(conn, [level(shop, 1, 7)])
            await receive(conn, [event(shop, 2, subject=gid("Product", 2))])
            await receive(conn, [level(shop, 3, 6)])
            waiting = await rows(
                conn, "select args ->> 'subject', priority from procrastinate_jobs order by id"
            )
            assert waiting == [(gid("Product", 2), 0), (PRODUCT, 0)]

    asyncio.run(story())


def test_writers_that_raise_each_others_echoes_do_not_deadlock(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as one, await connect(database) as other:
            shop = await add_shop(one)
            await add_automation(one, shop, "aut_1")
            keys_of = [key(shop, subject=f"p{no}") for no in range(20)]
            for turn in range(60):
                await _ranked(one, keys_of, [-1] * 20)
                ranks = [(no + turn) % 2 - 1 for no in range(20)]
                await asyncio.gather(
                    _ranked(one, keys_of, ranks),
                    _ranked(other, keys_of[::-1], [-1 - rank for rank in ranks[::-1]]),
                )
                await one.execute("delete from procrastinate_jobs")

    asyncio.run(story())


async def _ranked(conn, keys_of, ranks: list[int]) -> None:
    """Wake keys, each with its rank."""
    values = [
        [one.shop_id for one in keys_of],
        [one.automation_id for one in keys_of],
        [one.subject for one in keys_of],
    ]
    query = "select wake_keys(%s::bigint[], %s::text[], %s::text[], array_fill(null::timestamptz, array[20]), %s::integer[])"
    await conn.execute(query, [*values, ranks])


async def _waits(conn, worker) -> bool:
    query = f"select from pg_stat_activity where pid = {worker.info.backend_pid} and wait_event_type = 'Lock'"
    return bool(await rows(conn, query))


LEVELS_READ = """
select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables where relname = 'pool_members'
"""


async def fill(conn, shop, *, pools: int) -> None:
    """More stocks of four levels each."""
    await conn.execute(
        "insert into pools (shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock,"
        " status, in_doubt) select %s, 'another ' || no, 'aut_1', 'product ' || no, '*', '', 1, '{}', 7, 'active', false"
        " from generate_series(1, %s) as no",
        (shop, pools),
    )
    await conn.execute(
        "insert into pool_members (shop_id, item_id, location_id, pool_id, expected)"
        " select %s, 'item ' || no || '.' || part, %s, 'another ' || no, 7"
        " from generate_series(1, %s) as no, generate_series(1, 4) as part",
        (shop, gid("Location", 5), pools),
    )


@pytest.mark.parametrize("counted", [False, True])
def test_the_stock_of_a_level_is_found_without_reading_the_shops_other_levels(
    pg_server: DatabaseServer, counted: bool
) -> None:
    """Without the table's statistics an index over the shop looked as good as the primary key: all levels were read."""

    async def story(fresh: str) -> None:
        async with await connect(fresh) as conn:
            shop = await shared_stock(conn)
            await fill(conn, shop, pools=500)
            if counted:
                await conn.execute("analyze pools, pool_members")
            async with conn.transaction():
                ((before,),) = await rows(conn, LEVELS_READ)
                await receive(conn, [level(shop, no, 7) for no in range(10)])
                ((after,),) = await rows(conn, LEVELS_READ)
            assert await priorities(conn) == {"aut_1": -1, "aut_2": 0}
            assert after - before <= 20, "the level of each webhook, never all of them"

    fresh = pg_server.fresh_database()  # one that came back may have statistics
    asyncio.run(story(fresh))
    pg_server.drop(fresh)
