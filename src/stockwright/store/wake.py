"""Waking keys, and the rest of what we ask of the job engine's tables: the only SQL on them.

Written against Procrastinate 3.10; docs/decisions/0010 says why jobs are not deferred through its API.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import AutomationId, JsonObject, Key, ShopId
from stockwright.store.queries import queries

SQL = queries("wake")

QUEUE = "keys"
TASK = "run_key"
LIFE = 0x5357_0002  # advisory lock class of living workers, one lock per worker id
AT_ONCE = (
    6  # deaths of a key in a row, with its worker or its database, that a lost answer is not made to wait for
)
LEAD = 0x5357_0003  # advisory lock class of the one worker that does the periodic work


async def wake(conn: AsyncConnection, keys: Sequence[tuple[Key, datetime | None]]) -> None:
    """Make sure that each key has a waiting job, due no later than the given time (None: now).

    Part of the caller's transaction, and never the reason for it to fail: a job that waits already is moved
    forward, never back. Call it once, at the end: jobs are the last locks of a transaction.
    """
    if not keys:
        return
    values = {
        "shop_ids": [key.shop_id for key, _ in keys],
        "automation_ids": [key.automation_id for key, _ in keys],
        "subjects": [key.subject for key, _ in keys],
        "ats": [at for _, at in keys],
    }
    await conn.execute(SQL.wake, values)


async def wake_next(conn: AsyncConnection, key: Key, *, now: datetime | None = None) -> None:
    """Wake a key at the earliest of its waiting work and its own wake-up time, if it has any.

    For a run that goes well; one that failed is woken at its retry time instead. `now` is the worker's clock: a
    wake-up that it has yet to reach, and the database's clock has passed, waits for as long as the worker would,
    or the key would run again and again until the two agree.
    """
    await conn.execute(SQL.wake_next, {**key_values(key), "now": now})


async def put_echoes_last(conn: AsyncConnection, key: Key) -> None:
    """Rank a key behind all others where what waits for it only repeats what its stocks have (docs/decisions/0025).

    For the transaction that books a correction, at its end: jobs are its last locks.
    """
    await conn.execute(SQL.put_echoes_last, key_values(key))


def key_values(key: Key) -> dict[str, object]:
    """The three columns that every table of a key's rows has."""
    return {"shop_id": key.shop_id, "automation_id": key.automation_id, "subject": key.subject}


def key_of(args: JsonObject) -> Key:
    """The key that a job carries."""
    return Key(
        shop_id=ShopId(args["shop_id"]),
        automation_id=AutomationId(args["automation_id"]),
        subject=args["subject"],
    )


async def plan_by_indexes(conn: AsyncConnection) -> None:
    """Leave the planner of this connection nothing but indexes in their order; commits.

    The table is empty one moment and holds thousands of jobs the next, and a plan made for the one is kept for
    the other: fetching one of 2,000 jobs took 335 ms instead of 0.3 (docs/decisions/0013).
    """
    await conn.execute(SQL.without_scans)
    await conn.execute(SQL.with_kept_plans)
    await conn.commit()


async def ready_for_engine(conn: AsyncConnection) -> None:
    """Set up a connection of the job engine: each call is one round trip, and does not wait for the disk.

    What a crash of the database takes back is only that a job was fetched or ended. Such a crash ends the life of
    every worker, and with it all runs; the job is then run once more (docs/decisions/0014).
    """
    await plan_by_indexes(conn)
    await conn.execute(SQL.without_disk)
    await conn.commit()
    await conn.set_autocommit(True)


async def sweep(conn: AsyncConnection, *, limit: int = 10_000) -> int:
    """Wake up to `limit` keys that are due and have no job; how many there were. In a transaction."""
    await conn.execute(SQL.without_scans_here)
    found = await _count(conn, SQL.sweep, limit)
    await put_doubts_first(conn)
    return found


async def wake_in_doubt(conn: AsyncConnection, *, limit: int = 10_000) -> int:
    """Wake at once the keys of pools whose correction has no known answer; how many there are. In a transaction.

    A key that died with its worker more than `AT_ONCE` times in a row waits out its pause: it may be the cause.
    """
    found = await _count(conn, SQL.wake_in_doubt, limit)
    await put_doubts_first(conn)
    return found


async def put_doubts_first(conn: AsyncConnection) -> None:
    """Let waiting jobs of pools with a lost answer pass all others, first those that nobody has looked into.

    Levels say what became of a correction only when they are read soon after the send (docs/decisions/0018).
    """
    await conn.execute(SQL.put_doubts_first)


async def waits_for_first_look(conn: AsyncConnection, key: Key) -> bool:
    """Whether a pool of the key has a correction without an answer that nobody has looked into."""
    row = await (await conn.execute(SQL.waits_for_first_look, key_values(key))).fetchone()
    return bool(row and row[0])


async def _count(conn: AsyncConnection, query: bytes, limit: int) -> int:
    cursor = await conn.execute(query, {"limit": limit, "at_once": AT_ONCE})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def hold_life(conn: AsyncConnection, worker_id: int) -> None:
    """Take a worker's lock of life for as long as the connection lives."""
    await conn.execute(SQL.hold_life, {"kind": LIFE, "worker_id": worker_id})


async def is_dead(conn: AsyncConnection, worker_id: int) -> bool:
    """Whether nobody holds a worker's lock of life; true to the end of the caller's transaction."""
    cursor = await conn.execute(SQL.try_life, {"kind": LIFE, "worker_id": worker_id})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def try_lead(conn: AsyncConnection) -> bool:
    """Try to become the one leading worker, for as long as the connection lives; once true, do not ask again."""
    cursor = await conn.execute(SQL.try_lead, {"kind": LEAD})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def workers_at_work(conn: AsyncConnection) -> list[int | None]:
    """The workers that have running jobs; None stands for workers that are no longer registered."""
    cursor = await conn.execute(SQL.workers_at_work)
    return [row[0] for row in await cursor.fetchall()]


async def running_of(conn: AsyncConnection, worker_id: int) -> set[int]:
    """The ids of a worker's running jobs, as the database sees them."""
    cursor = await conn.execute(SQL.running_of, {"worker_id": worker_id})
    return {row[0] for row in await cursor.fetchall()}


async def silence(conn: AsyncConnection, *, self_id: int, limit_s: float) -> list[int]:
    """Take the lock of life from other workers whose heart has not beaten for `limit_s`; their ids."""
    values = {"kind": LIFE, "limit_s": limit_s, "self": self_id}
    cursor = await conn.execute(SQL.silence, values)
    return [row[1] for row in await cursor.fetchall()]


async def close_dead_job(
    conn: AsyncConnection, worker_id: int | None, *, job_ids: Sequence[int] | None = None
) -> Key | None:
    """Close one running job of a dead worker (one of `job_ids`, if given) and return its key, not yet woken."""
    values = {"worker_id": worker_id, "job_ids": list(job_ids) if job_ids is not None else None}
    cursor = await conn.execute(SQL.take_dead_job, values)
    row = await cursor.fetchone()
    if row is None:
        return None
    await conn.execute(SQL.close_job, {"job_id": row[0]})
    return key_of(row[1])


async def forget_worker(conn: AsyncConnection, worker_id: int) -> None:
    """Remove a dead worker whose jobs are closed."""
    await conn.execute(SQL.forget_worker, {"worker_id": worker_id})


async def forget_silent_workers(conn: AsyncConnection, *, before: datetime) -> None:
    """Remove workers that gave no sign of life since."""
    await conn.execute(SQL.forget_silent_workers, {"before": before})


async def delete_ended_jobs(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` jobs that ended before; how many it were."""
    return (await conn.execute(SQL.delete_ended_jobs, {"before": before, "limit": limit})).rowcount


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Jobs by state."""

    waiting: int
    running: int
    failed: int


async def backlog(conn: AsyncConnection) -> Backlog:
    """How many jobs wait, run and have failed."""
    async with conn.cursor(row_factory=class_row(Backlog)) as cursor:
        await cursor.execute(SQL.backlog)
        found = await cursor.fetchone()
        assert found is not None
        return found
