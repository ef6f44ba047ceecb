"""Waking keys: one waiting job each, never later than asked, never lost between a writer and a worker."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from stockwright.model import AutomationId, EventId, RunId
from stockwright.store import keys, wake
from stockwright.store.inbox import receive
from tests.store.rows import (
    LEVELS,
    PRODUCT,
    add_automation,
    add_shop,
    connect,
    event,
    jobs,
    key,
    rows,
    until,
)

SOON = timedelta(minutes=10)
FETCH = "select lock from procrastinate_fetch_job_v2(array['keys'], null)"


def _now() -> datetime:
    return datetime.now(UTC)


async def _installed(conn):
    shop = await add_shop(conn)
    await add_automation(conn, shop, "aut_1", LEVELS)
    return shop


async def _fetch(conn) -> str | None:
    return (await (await conn.execute(FETCH)).fetchone())[0]


ROWS_READ = """
select seq_tup_read + coalesce(idx_tup_fetch, 0)
from pg_stat_xact_user_tables where relname = 'procrastinate_jobs'
"""


async def _woken_at(conn, woken, *, now: datetime | None = None) -> list[datetime | None]:
    """The times of the jobs that waking a key makes; None is at once."""
    await conn.execute("delete from procrastinate_jobs")
    await wake.wake_next(conn, woken, now=now)
    return [at for _, _, at in await jobs(conn)]


def test_a_key_that_is_woken_often_has_one_waiting_job(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await wake.wake(conn, [(key(shop), None), (key(shop), _now() + SOON)])
            await wake.wake(conn, [(key(shop), None)])
            assert await jobs(conn) == [(key(shop).lock, "todo", None)]

    asyncio.run(story())


def test_a_job_is_moved_forward_and_never_back(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            soon, later = _now() + SOON, _now() + 2 * SOON
            await wake.wake(conn, [(key(shop), soon)])
            await wake.wake(conn, [(key(shop), later)])
            assert await jobs(conn) == [(key(shop).lock, "todo", soon)]
            await wake.wake(conn, [(key(shop), None)])
            await wake.wake(conn, [(key(shop), soon)])
            assert await jobs(conn) == [(key(shop).lock, "todo", None)]

    asyncio.run(story())


def test_a_new_event_pulls_a_back_off_forward_and_rings(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn, await connect(database) as ear:
            shop = await _installed(conn)
            await ear.execute('listen "procrastinate_queue_v1#keys"')
            await wake.wake(conn, [(key(shop), _now() + SOON)])
            [_] = [told async for told in ear.notifies(timeout=2, stop_after=1)]
            await receive(conn, [event(shop)])
            assert await jobs(conn) == [(key(shop).lock, "todo", None)]
            [told] = [told async for told in ear.notifies(timeout=2, stop_after=1)]
            assert '"job_inserted"' in told.payload

    asyncio.run(story())


def test_while_a_job_runs_one_more_may_wait_and_is_not_fetched(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            for no in range(3):
                await receive(conn, [event(shop, no)])
            assert await _fetch(conn) == key(shop).lock
            for no in range(3, 6):
                await receive(conn, [event(shop, no)])
            assert [state for _, state, _ in await jobs(conn)] == ["doing", "todo"]
            assert await _fetch(conn) is None

    asyncio.run(story())


def test_a_job_that_is_fetched_while_its_work_is_being_written_waits_for_the_commit(database: str) -> None:
    """A wake-up that finds a waiting job must hold it, or the worker would read before the work is there."""

    async def story() -> None:
        async with await connect(database) as conn, await psycopg.AsyncConnection.connect(database) as writer:
            shop = await _installed(conn)
            await receive(conn, [event(shop)])
            await receive(writer, [event(shop, 2)])  # not committed: finds the job waiting, changes nothing
            assert await _fetch(conn) is None
            await writer.commit()
            assert await _fetch(conn) == key(shop).lock
            assert len(await keys.pending(conn, key(shop), _now())) == 2

    asyncio.run(story())


def test_a_wake_up_that_meets_a_fetch_makes_a_job_of_its_own(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn, await psycopg.AsyncConnection.connect(database) as worker:
            shop = await _installed(conn)
            await receive(conn, [event(shop)])
            assert await _fetch(worker) == key(shop).lock  # not committed
            writing = asyncio.create_task(receive(conn, [event(shop, 2)]))
            async with await connect(database) as observer:
                while not await rows(observer, "select from pg_stat_activity where wait_event_type = 'Lock'"):
                    assert not writing.done()
            await worker.commit()
            assert await writing == [True]
            assert [state for _, state, _ in await jobs(conn)] == ["doing", "todo"]

    asyncio.run(story())


def test_the_end_of_a_job_rings_for_the_one_that_waited(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn, await connect(database) as ear:
            shop = await _installed(conn)
            await receive(conn, [event(shop)])
            await _fetch(conn)
            await wake.wake(conn, [(key(shop), None)])
            [(job,)] = await rows(conn, "select id from procrastinate_jobs where status = 'doing'")
            await ear.execute('listen "procrastinate_queue_v1#keys"')
            await conn.execute("select procrastinate_finish_job_v1(%s, 'succeeded', true)", (job,))
            assert len([told async for told in ear.notifies(timeout=2, stop_after=1)]) == 1

    asyncio.run(story())


def test_a_worker_whose_clock_is_behind_is_not_woken_over_and_over(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn, conn.transaction():
            shop = await _installed(conn)
            [(now,)] = await rows(conn, "select now()")
            behind = now - timedelta(seconds=60)
            await keys.set_wake_at(conn, key(shop), behind + timedelta(seconds=20))
            assert await _woken_at(conn, key(shop), now=behind) == [now + timedelta(seconds=20)]
            assert await _woken_at(conn, key(shop), now=now) == [None]

    asyncio.run(story())


def test_the_next_wake_up_is_the_earliest_of_the_work_and_the_keys_own_time(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            assert await _woken_at(conn, key(shop)) == []
            own = _now() + SOON
            await keys.set_wake_at(conn, key(shop), own)
            assert await _woken_at(conn, key(shop)) == [own]
            await receive(conn, [event(shop)])
            [(due_at,)] = await rows(conn, "update work set due_at = now() + '1 minute' returning due_at")
            assert await _woken_at(conn, key(shop)) == [due_at]
            await keys.finish(conn, key(shop), [EventId("evt_1")], RunId("run_1"))
            assert await _woken_at(conn, key(shop)) == [own]
            await keys.set_wake_at(conn, key(shop), None)
            assert await _woken_at(conn, key(shop)) == []

    asyncio.run(story())


def test_failures_are_counted_until_a_run_goes_well(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop, own, retry_at = await _installed(conn), _now() + 2 * SOON, _now() + SOON
            await keys.set_wake_at(conn, key(shop), own)
            assert await keys.record_failure(conn, key(shop), error="x", next_at=retry_at) == 1
            assert await keys.record_failure(conn, key(shop), error="y", next_at=retry_at) == 2
            assert await keys.state(conn, key(shop)) == keys.KeyState(
                failures=2, retry_at=retry_at, wake_at=own, last_error="y"
            )
            assert await keys.cleared(conn, key(shop), started_at=_now())
            assert await keys.state(conn, key(shop)) == keys.KeyState(wake_at=own)

    asyncio.run(story())


def test_a_good_run_removes_only_the_wake_up_that_it_answered(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop, started_at = await _installed(conn), _now()
            await keys.set_wake_at(conn, key(shop), started_at - SOON)
            assert await keys.cleared(conn, key(shop), started_at=started_at)
            assert (await keys.state(conn, key(shop))).wake_at is None
            await keys.set_wake_at(conn, key(shop), started_at + SOON)
            assert not await keys.cleared(conn, key(shop), started_at=started_at)
            assert (await keys.state(conn, key(shop))).wake_at == started_at + SOON

    asyncio.run(story())


def test_giving_up_closes_the_due_work_and_leaves_the_later(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await receive(conn, [event(shop, 1), event(shop, 2)])
            await conn.execute("update work set due_at = now() + interval '1 hour' where event_id = 'evt_2'")
            await keys.record_failure(conn, key(shop), error="x", next_at=_now())
            await keys.give_up(conn, key(shop), error="Given up.", run_id=RunId("run_1"))
            assert await rows(conn, "select event_id from work where run_id = 'run_1'") == [("evt_1",)]
            assert await rows(conn, "select event_id from work where done_at is null") == [("evt_2",)]
            assert await keys.state(conn, key(shop)) == keys.KeyState(last_error="Given up.")

    asyncio.run(story())


def test_pending_work_comes_oldest_first_up_to_the_limit_and_only_once_finished(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            for no in (1, 2, 3):
                await receive(conn, [event(shop, no)])
            found = await keys.pending(conn, key(shop), _now(), limit=2)
            assert [one.event_id for one in found] == ["evt_1", "evt_2"]
            assert (found[0].payload, found[0].topic) == ({"no": 1}, LEVELS)
            await keys.finish(conn, key(shop), [one.event_id for one in found], None)
            assert [one.event_id for one in await keys.pending(conn, key(shop), _now())] == ["evt_3"]

    asyncio.run(story())


def test_work_that_is_due_by_either_clock_is_pending(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await receive(conn, [event(shop)])
            assert await keys.pending(conn, key(shop), _now() - timedelta(hours=1))
            await conn.execute("update work set due_at = now() + interval '1 hour'")
            assert not await keys.pending(conn, key(shop), _now())
            assert await keys.pending(conn, key(shop), _now() + timedelta(hours=2))

    asyncio.run(story())


def test_rerouted_work_waits_under_its_new_subject_which_is_woken(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await receive(conn, [event(shop, subject="item")])
            moved = await keys.reroute(conn, key(shop, subject="item"), [EventId("evt_1")], PRODUCT)
            assert moved == key(shop)
            assert await keys.pending(conn, key(shop, subject="item"), _now()) == []
            assert [one.event_id for one in await keys.pending(conn, moved, _now())] == ["evt_1"]
            assert moved.lock in {lock for lock, _, _ in await jobs(conn)}

    asyncio.run(story())


def test_a_cursor_is_kept_until_the_scan_is_over(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await keys.set_cursor(conn, key(shop), {"after": "abc"})
            assert (await keys.state(conn, key(shop))).cursor == {"after": "abc"}
            await keys.set_cursor(conn, key(shop), None)
            assert (await keys.state(conn, key(shop))).cursor is None

    asyncio.run(story())


def test_cancelling_drops_everything_that_waits_for_the_automation(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await add_automation(conn, shop, "aut_2", LEVELS)
            await receive(conn, [event(shop, 1), event(shop, 2)])
            await keys.set_wake_at(conn, key(shop), _now())
            assert await keys.cancel(conn, shop, AutomationId("aut_1")) == 2
            assert await rows(conn, "select distinct automation_id from work where done_at is null") == [
                ("aut_2",)
            ]
            assert await keys.state(conn, key(shop)) == keys.KeyState()

    asyncio.run(story())


def test_the_sweep_wakes_what_is_due_and_has_no_job(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await receive(conn, [event(shop, no, subject=f"work-{no}") for no in range(3)])
            await conn.execute("update work set due_at = now() + interval '1 hour' where subject = 'work-2'")
            await keys.set_wake_at(conn, key(shop, subject="own time"), _now() - SOON)
            await keys.record_failure(conn, key(shop, subject="failed"), error="x", next_at=_now() - SOON)
            await keys.set_wake_at(conn, key(shop, subject="not yet"), _now() + SOON)
            await _pool(conn, shop, "doubtful", in_doubt=True)
            await _pool(conn, shop, "sure", in_doubt=False)
            await _effect(conn, shop, "unfinished")
            await conn.execute("delete from procrastinate_jobs where lock not like '%work-0'")
            assert await wake.sweep(conn) == 5
            assert {lock.split(":", 2)[2] for lock, _, _ in await jobs(conn)} == {
                "work-0", "work-1", "own time", "failed", "doubtful", "unfinished"
            }  # fmt: skip
            assert await wake.sweep(conn) == 0

    asyncio.run(story())


def test_what_an_automation_left_open_when_it_was_disabled_wakes_nobody(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await _pool(conn, shop, "doubtful", in_doubt=True)
            await keys.set_wake_at(conn, key(shop), _now() - SOON)
            await conn.execute("update automations set enabled = false")
            assert await wake.sweep(conn) == 0
            assert await wake.wake_in_doubt(conn) == 0
            assert await jobs(conn) == []

    asyncio.run(story())


@pytest.mark.parametrize("vacuumed", [True, False])
def test_a_backlog_that_comes_after_an_idle_time_is_fetched_by_indexes(database: str, vacuumed: bool) -> None:
    """The engine's fetch keeps its plan; one made for an empty table compared each of 2,000 jobs with all others."""

    async def story() -> None:
        async with await psycopg.AsyncConnection.connect(database) as worker, await connect(database) as conn:
            shop = await _installed(conn)
            await wake.plan_by_indexes(worker)
            if vacuumed:
                await conn.execute("vacuum procrastinate_jobs")
            for _ in range(10):
                assert await _fetch(worker) is None
            await wake.wake(conn, [(key(shop, subject=f"p{no}"), None) for no in range(2000)])
            assert await _rows_read_by_three(worker) <= 3 * 4010, (
                "each job and its lock once per fetch at most"
            )
            await worker.execute("discard plans")  # as the pool does every two seconds
            assert await _rows_read_by_three(worker) <= 100, "those in front, and the locks of these"

    asyncio.run(story())


async def _rows_read_by_three(worker) -> int:
    ((before,),) = await rows(worker, ROWS_READ)
    for _ in range(3):
        assert await _fetch(worker) is not None
    ((after,),) = await rows(worker, ROWS_READ)
    return after - before


def test_the_end_of_a_run_leaves_what_waits_already_at_its_rank(database: str) -> None:
    """An echo that came during the run waits behind sales; work that nothing waits for yet is not ranked behind."""

    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await receive(conn, [event(shop)])
            await conn.execute("update procrastinate_jobs set priority = -1")
            await wake.wake_next(conn, key(shop))
            assert await rows(conn, "select priority from procrastinate_jobs") == [(-1,)]
            await conn.execute("delete from procrastinate_jobs")
            await wake.wake_next(conn, key(shop))
            assert await rows(conn, "select priority from procrastinate_jobs") == [(0,)]

    asyncio.run(story())


def test_the_sweep_leaves_running_jobs_and_removed_automations_alone(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await receive(conn, [event(shop)])
            await _fetch(conn)
            await keys.set_wake_at(conn, key(shop, "aut_gone"), _now() - SOON)
            assert await wake.sweep(conn) == 0

    asyncio.run(story())


def test_pools_in_doubt_are_woken_at_once_even_when_they_wait(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await _pool(conn, shop, PRODUCT, in_doubt=True)
            await wake.wake(conn, [(key(shop), _now() + SOON)])
            assert await wake.wake_in_doubt(conn) == 1
            assert await jobs(conn) == [(key(shop).lock, "todo", None)]

    asyncio.run(story())


def test_keys_with_lost_answers_pass_everything_else_that_waits(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            looked_at = {"intent": {"first_read": {"at": "2026-01-05T09:00:00+00:00"}}}
            await _pool(conn, shop, "backlog", in_doubt=False)
            await _pool(conn, shop, "looked at", in_doubt=True, state=looked_at)
            await _pool(conn, shop, "frozen", in_doubt=True, status="frozen")
            await _pool(conn, shop, "lost", in_doubt=True, state={"intent": {"first_read": None}})
            known = [key(shop, subject=name) for name in ("backlog", "looked at", "frozen", "lost")]
            await wake.wake(conn, [(one, None) for one in known])
            assert await wake.wake_in_doubt(conn) == 3
            assert [await _fetch(conn) for _ in known] == [known[n].lock for n in (3, 1, 0, 2)]
            assert [await wake.waits_for_first_look(conn, one) for one in known] == [
                False,
                False,
                False,
                True,
            ]

    asyncio.run(story())


def test_the_sweep_leaves_frozen_pools_to_events_and_the_reconciliation(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await _pool(conn, shop, "frozen", in_doubt=True, status="frozen")
            assert await wake.sweep(conn) == 0
            await _pool(conn, shop, "lost", in_doubt=True)
            assert await wake.sweep(conn) == 1

    asyncio.run(story())


def test_a_key_that_may_be_what_kills_its_worker_waits_out_its_pause(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop = await _installed(conn)
            await _pool(conn, shop, PRODUCT, in_doubt=True)
            for _ in range(wake.AT_ONCE):
                await keys.record_failure(conn, key(shop), error="died", next_at=_now() + SOON)
            assert await wake.wake_in_doubt(conn) == 1
            await keys.record_failure(conn, key(shop), error="died", next_at=_now() + SOON)
            assert await wake.wake_in_doubt(conn) == 0

    asyncio.run(story())


async def _pool(
    conn, shop, product: str, *, in_doubt: bool, status: str = "active", state: object = None
) -> None:
    await conn.execute(
        "insert into pools (shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status, in_doubt)"
        " values (%s, %s, 'aut_1', %s, '*', '', 1, %s, 0, %s, %s)",
        (shop, f"pool-{product}", product, Jsonb(state or {}), status, in_doubt),
    )


async def _effect(conn, shop, subject: str) -> None:
    await conn.execute(
        "insert into effects (shop_id, effect_id, run_id, automation_id, subject, kind, payload)"
        " values (%s, 'eff_1', 'run_1', 'aut_1', %s, 'mail', '{}')",
        (shop, subject),
    )


def test_a_life_lock_ends_with_its_connection(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            worker = await connect(database)
            await wake.hold_life(worker, 7)
            assert not await wake.is_dead(conn, 7)
            await worker.close()
            await until(lambda: wake.is_dead(conn, 7))

    asyncio.run(story())


def test_one_connection_leads_until_it_ends(database: str) -> None:
    async def story() -> None:
        async with await connect(database) as second:
            first = await connect(database)
            assert await wake.try_lead(first)
            assert not await wake.try_lead(second)
            await first.close()
            await until(lambda: wake.try_lead(second))

    asyncio.run(story())
