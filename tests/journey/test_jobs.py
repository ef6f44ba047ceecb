"""Workers: keys run one at a time and none is lost, whatever happens to the processes that run them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from stockwright.jobs import WorkerDeps, WorkerLimits, WorkerLost, keep_working, retry_delay_s, run_worker
from stockwright.jobs.chores import Chore, Retention, delete_old, fire_schedules, keep_doing
from stockwright.jobs.failures import Failures
from stockwright.jobs.life import Life, Watch
from stockwright.model import Key, Source, Subscription
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.store import keys, wake
from stockwright.store.inbox import receive
from tests.store.rows import (
    LEVELS,
    NOON,
    add_automation,
    add_shop,
    connect,
    event,
    jobs,
    key,
    open_pool,
    rows,
    until,
)

LIMITS = WorkerLimits(poll_interval_s=0.5, stop_limit_s=5.0)
SLOW_POLL = WorkerLimits(poll_interval_s=30.0)


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def working(dsn: str, pool, handle_key, limits: WorkerLimits = LIMITS, chores=()):
    """A worker that runs for the length of the block and is asked to stop at its end."""
    stop = asyncio.Event()
    deps = WorkerDeps(dsn=dsn, pool=pool, handle_key=handle_key, now=_now, chores=chores)
    running = asyncio.create_task(run_worker(deps, limits, stop=stop))
    try:
        yield running
    finally:
        stop.set()
        await asyncio.wait([running])
    running.result()


class Handler:
    """Finishes a key's work and notes what ran; a key that runs twice at a time is an error."""

    def __init__(self, pool) -> None:
        self.pool = pool
        self.running: set[str] = set()
        self.runs: Counter[str] = Counter()
        self.events = 0
        self.overlaps: list[str] = []

    async def __call__(self, key: Key) -> None:
        if key.lock in self.running:
            self.overlaps.append(key.lock)
        self.running.add(key.lock)
        self.runs[key.lock] += 1
        async with self.pool.connection() as conn:
            waiting = await keys.pending(conn, key, _now())
            await keys.finish(conn, key, [event.event_id for event in waiting], None)
            await wake.wake_next(conn, key)
        self.events += len(waiting)
        self.running.discard(key.lock)


async def _installed(pool):
    async with pool.connection() as conn:
        shop = await add_shop(conn)
        await add_automation(conn, shop, "aut_1", LEVELS)
    return shop


async def _receive(pool, events) -> None:
    async with pool.connection() as conn:
        await receive(conn, events)


async def _no_jobs(pool) -> bool:
    async with pool.connection() as conn:
        return not await jobs(conn)


def test_an_event_runs_its_key_without_waiting_for_the_poll(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, handler = await _installed(pool), Handler(pool)
            async with working(database, pool, handler, SLOW_POLL):
                await until(lambda: _worker_count(pool, 1))
                began = monotonic()
                await _receive(pool, [event(shop)])
                await until(lambda: _no_jobs(pool))
                assert (handler.runs, handler.events) == ({key(shop).lock: 1}, 1)
                assert monotonic() - began < 2

    asyncio.run(story())


async def _worker_count(pool, number: int) -> bool:
    async with pool.connection() as conn:
        ears = await rows(
            conn, "select from pg_stat_activity where query like 'LISTEN%' and datname = current_database()"
        )
    return len(ears) == number


def test_events_that_come_during_a_run_are_one_more_run_right_after_it(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, handler = await _installed(pool), Handler(pool)
            entered, go_on = asyncio.Event(), asyncio.Event()

            async def first_waits(key: Key) -> None:
                entered.set()
                await go_on.wait()
                await handler(key)

            async with working(database, pool, first_waits, SLOW_POLL):
                await _receive(pool, [event(shop)])
                await entered.wait()
                waits = asyncio.create_task(asyncio.sleep(0))
                await waits
                for no in range(2, 30):
                    await _receive(pool, [event(shop, no)])
                async with pool.connection() as conn:
                    assert [state for _, state, _ in await jobs(conn)] == ["doing", "todo"]
                began = monotonic()
                go_on.set()
                await until(lambda: _no_jobs(pool))
                assert monotonic() - began < 2
            assert (handler.runs[key(shop).lock], handler.events) == (2, 29)

    asyncio.run(story())


def test_two_workers_never_run_a_key_twice_at_a_time_and_lose_nothing(database: str) -> None:
    async def story() -> None:
        async with open_pool(database, size=12) as pool:
            shop, handler = await _installed(pool), Handler(pool)
            async with working(database, pool, handler), working(database, pool, handler):
                for part in range(20):
                    numbers = range(part * 100, part * 100 + 100)
                    await _receive(
                        pool, [event(shop, no, subject=f"product-{no * 7 % 100}") for no in numbers]
                    )
                await until(lambda: _no_jobs(pool), limit_s=60)
            assert handler.overlaps == []
            assert (handler.events, len(handler.runs)) == (2000, 100)

    asyncio.run(story())


@asynccontextmanager
async def process(dsn: str, mode: str):
    """A worker process; killed at the end, if it still lives."""
    started = subprocess.Popen([sys.executable, "-m", "tests.journey.worker_process", dsn, mode])  # noqa: ASYNC220
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def _hanging(pool, shop) -> None:
    """Wait until the worker process is in the middle of the key's run."""
    async with pool.connection() as conn:
        await conn.execute("create table started (key text, pid integer)")
    await _receive(pool, [event(shop)])


async def _has_started(pool, number: int = 1) -> bool:
    async with pool.connection() as conn:
        return len(await rows(conn, "select from started")) >= number


@pytest.mark.parametrize("successor_waits", [False, True])
def test_a_key_whose_worker_is_killed_runs_again_within_six_seconds(
    database: str, successor_waits: bool
) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, handler = await _installed(pool), Handler(pool)
            await _hanging(pool, shop)
            async with process(database, "hang") as victim:
                await until(lambda: _has_started(pool), limit_s=30)
                async with working(database, pool, handler):
                    if successor_waits:
                        await _receive(pool, [event(shop, 2)])
                    await until(lambda: _worker_count(pool, 2))
                    assert handler.runs == {}
                    victim.send_signal(signal.SIGKILL)
                    began = monotonic()
                    await until(lambda: _is_done(pool))
                    assert monotonic() - began < 6
            assert handler.events == (2 if successor_waits else 1)
            async with pool.connection() as conn:
                assert [state for _, state, _ in await jobs(conn)] == ["failed"]
                assert (await keys.state(conn, key(shop))).failures == 0

    asyncio.run(story())


async def _is_done(pool) -> bool:
    async with pool.connection() as conn:
        open_jobs = [state for _, state, _ in await jobs(conn) if state != "failed"]
        waiting = await rows(conn, "select from work where done_at is null")
    return not open_jobs and not waiting


def test_a_key_whose_worker_was_killed_runs_when_a_worker_starts(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, handler = await _installed(pool), Handler(pool)
            await _hanging(pool, shop)
            async with process(database, "hang"):
                await until(lambda: _has_started(pool), limit_s=30)
            began = monotonic()
            async with working(database, pool, handler):
                await until(lambda: _is_done(pool))
            assert (handler.events, monotonic() - began < 3) == (1, True)

    asyncio.run(story())


def test_a_worker_that_hangs_is_replaced_and_ends_when_it_wakes(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, handler = await _installed(pool), Handler(pool)
            await _hanging(pool, shop)
            async with process(database, "hang") as sleeper:
                await until(lambda: _has_started(pool), limit_s=30)
                os.kill(sleeper.pid, signal.SIGSTOP)
                async with working(database, pool, handler, WorkerLimits(silence_limit_s=3.0)):
                    await until(lambda: _is_done(pool), limit_s=30)
                os.kill(sleeper.pid, signal.SIGCONT)
                assert await asyncio.to_thread(sleeper.wait, 30) == 1
            assert handler.events == 1

    asyncio.run(story())


def test_a_worker_that_loses_its_connection_cancels_its_runs_and_says_so(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop = await _installed(pool)
            entered, cancelled = asyncio.Event(), asyncio.Event()

            async def hang(_key: Key) -> None:
                entered.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.set()

            deps = WorkerDeps(dsn=database, pool=pool, handle_key=hang, now=_now)
            running = asyncio.create_task(run_worker(deps, LIMITS, stop=asyncio.Event()))
            await _receive(pool, [event(shop)])
            await entered.wait()
            async with pool.connection() as conn:
                await conn.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'stockwright worker life'"
                )
            with pytest.raises(WorkerLost, match="database connection ended"):
                async with asyncio.timeout(10):
                    await running
            assert cancelled.is_set()
            handler = Handler(pool)
            async with working(database, pool, handler):
                await until(lambda: _work_is_done(pool))
            assert handler.events == 1

    asyncio.run(story())


@pytest.mark.parametrize("lost", ["application_name = 'stockwright worker life'", "pid <> pg_backend_pid()"])
def test_a_lost_worker_starts_again(database: str, lost: str) -> None:
    """Its own connection was ended, or all of them, as at a restart of the server."""

    async def story() -> None:
        async with open_pool(database) as pool:
            shop, handler, stop = await _installed(pool), Handler(pool), asyncio.Event()
            deps = WorkerDeps(dsn=database, pool=pool, handle_key=handler, now=_now)
            running = asyncio.create_task(keep_working(deps, LIMITS, stop=stop))
            await until(lambda: _worker_count(pool, 1))
            async with pool.connection() as conn:
                [(before,)] = await rows(conn, "select max(id) from procrastinate_workers")
                await conn.execute(
                    f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and {lost}"
                )
            await until(lambda: _worker_is_newer(pool, before))
            await _receive(pool, [event(shop)])
            await until(lambda: _no_jobs(pool))
            stop.set()
            await running
            assert handler.events == 1

    asyncio.run(story())


async def _worker_is_newer(pool, number: int) -> bool:
    async with pool.connection() as conn:
        return bool(await rows(conn, f"select from procrastinate_workers where id > {number}"))


async def _work_is_done(pool) -> bool:
    async with pool.connection() as conn:
        return not await rows(conn, "select from work where done_at is null")


def test_a_run_that_is_cut_short_by_a_stop_is_left_waiting(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, entered = await _installed(pool), asyncio.Event()

            async def hang(_key: Key) -> None:
                entered.set()
                await asyncio.Event().wait()

            async with working(database, pool, hang, WorkerLimits(stop_limit_s=0.1)):
                await _receive(pool, [event(shop)])
                await entered.wait()
            async with pool.connection() as conn:
                assert [state for _, state, _ in await jobs(conn)] == ["aborted", "todo"]

    asyncio.run(story())


def test_a_stop_lets_the_running_key_finish(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, handler, entered = await _installed(pool), Handler(pool), asyncio.Event()

            async def slow(key: Key) -> None:
                entered.set()
                await asyncio.sleep(0.5)
                await handler(key)

            async with working(database, pool, slow):
                await _receive(pool, [event(shop)])
                await entered.wait()
            assert handler.events == 1
            assert await _no_jobs(pool)

    asyncio.run(story())


def test_a_run_that_raises_is_tried_again_later_and_sooner_when_an_event_comes(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, handler = await _installed(pool), Handler(pool)
            failed = asyncio.Event()

            async def fails_once(key: Key) -> None:
                if not failed.is_set():
                    failed.set()
                    raise RuntimeError("the shop is on fire")
                await handler(key)

            async with working(database, pool, fails_once):
                await _receive(pool, [event(shop)])
                await until(lambda: _has_failed(pool, shop))
                async with pool.connection() as conn:
                    await until(lambda: _states(conn, ["todo"]))
                    [(_, _, at)] = await jobs(conn)
                assert 6 < (at - _now()).total_seconds() <= 12.5
                assert handler.runs == {}
                await _receive(pool, [event(shop, 2)])
                await until(lambda: _no_jobs(pool))
            assert (handler.runs[key(shop).lock], handler.events) == (1, 2)
            async with pool.connection() as conn:
                assert await keys.state(conn, key(shop)) == keys.KeyState()

    asyncio.run(story())


async def _states(conn, states: list[str]) -> bool:
    return [state for _, state, _ in await jobs(conn)] == states


async def _has_failed(pool, shop) -> bool:
    return await _has_error(pool, shop, "on fire")


async def _has_error(pool, shop, text: str) -> bool:
    async with pool.connection() as conn:
        return text in (await keys.state(conn, key(shop))).last_error


def test_a_run_that_fails_too_often_is_given_up_and_a_new_event_starts_afresh(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop = await _installed(pool)
            failures = Failures(pool=pool, now=_now, limit=3)
            await _receive(pool, [event(shop)])
            for number in (1, 2):
                await failures.record(key(shop), RuntimeError("on fire"))
                async with pool.connection() as conn:
                    assert (await keys.state(conn, key(shop))).failures == number
            await failures.record(key(shop), RuntimeError("on fire"))
            async with pool.connection() as conn:
                state = await keys.state(conn, key(shop))
                assert (state.failures, state.wake_at) == (0, None)
                assert (
                    state.last_error == "Given up after 3 failures in a row. The last: RuntimeError: on fire"
                )
                assert await keys.pending(conn, key(shop), _now()) == []
                await receive(conn, [event(shop, 2)])
                assert len(await keys.pending(conn, key(shop), _now())) == 1

    asyncio.run(story())


def test_a_run_is_tried_again_no_sooner_than_the_shop_asks_for(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop = await _installed(pool)
            failures = Failures(pool=pool, now=_now, limit=12, spread=lambda: 0.5)
            await _receive(pool, [event(shop)])
            throttled = ShopifyError(ErrorCode.THROTTLED, "slow down", permanent=False, retry_after_s=600)
            await failures.record(key(shop), throttled)
            async with pool.connection() as conn:
                state = await keys.state(conn, key(shop))
            assert 590 < (state.retry_at - _now()).total_seconds() <= 600

    asyncio.run(story())


def test_a_run_beyond_its_limit_of_time_is_stopped_and_is_no_lost_connection(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop, cancelled = await _installed(pool), asyncio.Event()

            async def hang(_key: Key) -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.set()

            async with working(database, pool, hang, WorkerLimits(run_limit_s=0.1)):
                await _receive(pool, [event(shop)])
                await cancelled.wait()
                await until(lambda: _has_error(pool, shop, "RunTooLong"))
            async with pool.connection() as conn:
                state = await keys.state(conn, key(shop))
            assert "stopped after 0.1 s" in state.last_error
            assert (state.retry_at - _now()).total_seconds() > 5, "a pause as after any error"

    asyncio.run(story())


def test_a_scan_that_comes_forward_between_two_failures_is_not_given_up(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop = await _installed(pool)
            failures = Failures(pool=pool, now=_now, limit=3)
            for page in range(5):
                await failures.record(key(shop), RuntimeError("too long"))
                async with pool.connection() as conn:
                    assert (await keys.state(conn, key(shop))).failures == 1
                    await keys.set_cursor(conn, key(shop), {"after": page})

    asyncio.run(story())


def test_the_pause_doubles_up_to_a_quarter_of_an_hour() -> None:
    pauses = [retry_delay_s(failures, spread=0.5) for failures in (1, 2, 3, 7, 8, 100)]
    assert pauses == [10, 20, 40, 640, 900, 900]
    assert (retry_delay_s(1, spread=0), retry_delay_s(1, spread=1)) == (7.5, 12.5)


def test_a_job_whose_end_could_not_be_written_is_found_at_the_second_look(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop = await _installed(pool)
            await _receive(pool, [event(shop)])
            async with pool.connection() as conn:
                [(worker_id,)] = await rows(conn, "select worker_id from procrastinate_register_worker_v1()")
                [(job_id,)] = await rows(
                    conn, f"select id from procrastinate_fetch_job_v2(array['keys'], {worker_id})"
                )
            life = await Life.begin(database)
            await life.hold(worker_id)
            watch = Watch(
                pool=pool, life=life, silence_limit_s=30, failures=Failures(pool=pool, now=_now, limit=12)
            )
            watch.running.add(job_id)
            await watch.look()
            await watch.look()
            async with pool.connection() as conn:
                assert await _states(conn, ["doing"])
            watch.running.discard(job_id)
            await watch.look()
            await watch.look()
            async with pool.connection() as conn:
                assert await _states(conn, ["failed", "todo"])
            await life.end()

    asyncio.run(story())


def test_a_chore_runs_only_while_leading_and_survives_its_own_failure() -> None:
    async def story() -> None:
        leads, runs = asyncio.Event(), []

        async def run() -> None:
            runs.append(len(runs))
            raise RuntimeError("no luck")

        doing = asyncio.create_task(keep_doing(Chore(name="test", every_s=0.01, run=run), leads))
        await asyncio.sleep(0.05)
        assert runs == []
        leads.set()
        async with asyncio.timeout(5):
            while len(runs) < 3:  # noqa: ASYNC110 - counts, not events
                await asyncio.sleep(0.01)
        doing.cancel()

    asyncio.run(story())


DAILY = Subscription(topic="mechanic/scheduler/daily", delay=timedelta(hours=10))


def test_a_schedule_fires_at_its_next_slot_and_once_for_all_that_were_missed(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            async with pool.connection() as conn:
                shop = await add_shop(conn, timezone="America/New_York")
                await add_automation(conn, shop, "aut_1", DAILY)
            day = timedelta(days=1)
            assert await fire_schedules(pool, NOON) == 0
            assert await fire_schedules(pool, NOON) == 0
            assert await fire_schedules(pool, NOON + day) == 1
            assert await fire_schedules(pool, NOON + day) == 0
            assert await fire_schedules(pool, NOON + 10 * day) == 1
            async with pool.connection() as conn:
                found = await rows(
                    conn, "select source, topic, triggered_at from events order by triggered_at"
                )
                due = await rows(conn, "select due_at from work order by due_at")
            midnight = datetime(2026, 11, 21, 5, tzinfo=UTC)
            assert found == [
                (Source.SCHEDULE, DAILY.topic, midnight),
                (Source.SCHEDULE, DAILY.topic, midnight + 9 * day),
            ]
            assert due == [(midnight + DAILY.delay,), (midnight + 9 * day + DAILY.delay,)]

    asyncio.run(story())


def test_a_schedule_that_was_not_listened_to_for_a_while_does_not_catch_up(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            async with pool.connection() as conn:
                shop = await add_shop(conn)
                await add_automation(conn, shop, "aut_1", DAILY)
            await fire_schedules(pool, NOON)
            async with pool.connection() as conn:
                await conn.execute("delete from automations")
            await fire_schedules(pool, NOON + timedelta(days=1))
            async with pool.connection() as conn:
                await add_automation(conn, shop, "aut_2", DAILY)
            assert await fire_schedules(pool, NOON + timedelta(days=2)) == 0
            assert await fire_schedules(pool, NOON + timedelta(days=3)) == 1

    asyncio.run(story())


def test_a_schedule_that_cannot_be_fired_holds_up_no_other(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            async with pool.connection() as conn:
                shop = await add_shop(conn)
                await add_automation(conn, shop, "aut_1", DAILY, "mechanic/scheduler/hourly")
            await fire_schedules(pool, NOON)
            async with pool.connection() as conn:  # as saved before delays had a limit
                await conn.execute("update subscriptions set delay_s = 4e13 where topic = %s", (DAILY.topic,))
            assert await fire_schedules(pool, NOON + timedelta(days=1)) == 1
            async with pool.connection() as conn:
                assert await rows(conn, "select topic from events") == [("mechanic/scheduler/hourly",)]

    asyncio.run(story())


def test_two_leaders_fire_a_slot_once(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            async with pool.connection() as conn:
                shop = await add_shop(conn)
                await add_automation(conn, shop, "aut_1", "mechanic/scheduler/10min")
            await fire_schedules(pool, NOON)
            later = NOON + timedelta(minutes=10)
            assert sum(await asyncio.gather(*(fire_schedules(pool, later) for _ in range(4)))) == 1

    asyncio.run(story())


def test_what_is_old_is_deleted_and_what_still_waits_is_kept(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop = await _installed(pool)
            await _receive(pool, [event(shop, no) for no in range(1, 4)])
            async with pool.connection() as conn:
                await conn.execute(
                    "update events set received_at = now() - interval '60 days' where event_id <> 'evt_3'"
                )
                await conn.execute(
                    "update deliveries set received_at = now() - interval '60 days' where webhook_id = 'webhook-1'"
                )
                await conn.execute("update work set done_at = now() where event_id <> 'evt_2'")
                await conn.execute(
                    "insert into runs (shop_id, run_id, automation_id, kind, subject, state, started_at)"
                    " select %s, name, 'aut_1', 'k', '*', 'succeeded', now() - age * interval '1 day'"
                    " from (values ('old', 100), ('old with work to do', 100), ('new', 1)) as r (name, age)",
                    (shop,),
                )
                await conn.execute(
                    "insert into effects (shop_id, effect_id, run_id, automation_id, subject, kind, payload, state) values"
                    " (%(shop)s, 'e1', 'old', 'aut_1', '*', 'mail', '{}', 'done'),"
                    " (%(shop)s, 'e2', 'old with work to do', 'aut_1', '*', 'mail', '{}', 'pending')",
                    {"shop": shop},
                )
                await keys.set_wake_at(conn, key(shop, subject="idle"), None)
                await keys.set_wake_at(conn, key(shop, subject="waits"), _now())
                for subject in ("given up", "fails"):
                    await keys.record_failure(conn, key(shop, subject=subject), error="no", next_at=_now())
                await keys.give_up(conn, key(shop, subject="given up"), error="no", run_id=None)
            await delete_old(pool, _now(), Retention())
            async with pool.connection() as conn:
                assert await rows(conn, "select event_id from events order by 1") == [("evt_2",), ("evt_3",)]
                assert await rows(conn, "select event_id from work order by 1") == [("evt_2",), ("evt_3",)]
                assert await rows(conn, "select webhook_id from deliveries order by 1") == [
                    ("webhook-2",),
                    ("webhook-3",),
                ]
                assert await rows(conn, "select run_id from runs order by 1") == [
                    ("new",),
                    ("old with work to do",),
                ]
                assert await rows(conn, "select effect_id from effects") == [("e2",)]
                assert await rows(conn, "select subject from keys order by 1") == [("fails",), ("waits",)]

    asyncio.run(story())


def test_old_failed_jobs_are_deleted(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool:
            shop = await _installed(pool)
            async with await connect(database) as conn:
                await receive(conn, [event(shop, no, subject=f"s{no}") for no in (1, 2)])
                await conn.execute("update procrastinate_jobs set status = 'failed' where lock like '%s1'")
                assert await wake.delete_ended_jobs(conn, before=_now() - timedelta(hours=1), limit=10) == 0
                assert await wake.delete_ended_jobs(conn, before=_now() + timedelta(hours=1), limit=10) == 1
                assert [state for _, state, _ in await jobs(conn)] == ["todo"]

    asyncio.run(story())
