"""Periodic work, done by the one worker that leads: schedules, the sweep, retention, and what is injected.

Everything here may be done twice, or by two at once, without harm: the lead only saves work.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from stockwright.model import EventId, NewEvent, Source
from stockwright.schedules import due_slot, newest_slot, time_zone
from stockwright.store import inbox, restocks, retention, schedules, signups, wake, waves
from stockwright.store.database import Connection, Pool, Unreachable
from stockwright.store.ids import new_id
from stockwright.store.schedules import ScheduledTopic

LOG = structlog.get_logger(__name__)

SCHEDULES_EVERY_S = 5.0
RETENTION_EVERY_S = 3600.0
_UTC = ZoneInfo("UTC")
_BATCH_ROWS = 500
_BATCHES = 400  # of one kind in one pass; the rest waits for the next


@dataclass(frozen=True, kw_only=True)
class Chore:
    """Something the leading worker does when it takes the lead, and then every `every_s`."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Retention:
    """For how long things are kept."""

    events: timedelta = timedelta(days=30)
    runs: timedelta = timedelta(days=90)
    deliveries: timedelta = timedelta(days=7)
    ended_jobs: timedelta = timedelta(days=7)
    sign_up_counts: timedelta = timedelta(days=1)


async def keep_doing(chore: Chore, leads: asyncio.Event) -> None:
    """Do a chore for as long as this worker leads; its failure is logged and does not end it."""
    while True:
        await leads.wait()
        try:
            await chore.run()
        except Exception:
            LOG.exception(
                "periodic work failed and will be tried again", chore=chore.name, every_s=chore.every_s
            )
        await asyncio.sleep(chore.every_s)


def own_chores(
    pool: Pool, *, now: Callable[[], datetime], sweep_every_s: float, keep: Retention
) -> list[Chore]:
    """What every installation needs."""

    async def tick() -> None:
        await fire_schedules(pool, now())

    async def look() -> None:
        await sweep(pool)

    async def clean() -> None:
        await delete_old(pool, now(), keep)

    return [
        Chore(name="schedules", every_s=SCHEDULES_EVERY_S, run=tick),
        Chore(name="sweep", every_s=sweep_every_s, run=look),
        Chore(name="retention", every_s=RETENTION_EVERY_S, run=clean),
    ]


async def sweep(pool: Pool) -> int:
    """Wake the keys that are due and have no job; how many there were."""
    async with pool.connection() as conn:
        found = await wake.sweep(conn)
    if found:
        LOG.info("keys were due and had no job; they are woken", keys=found)
    return found


async def fire_schedules(pool: Pool, now: datetime) -> int:
    """Put an event into the inbox for every schedule whose slot has come; how many.

    Of the slots that were missed while nothing ran, only the newest fires. A schedule that is seen for the
    first time fires at its next slot. One that cannot be fired holds up no other.
    """
    async with pool.connection() as conn:
        await schedules.forget_marks(conn)
        topics = await schedules.scheduled_topics(conn)
    fired = 0
    for topic in topics:
        try:
            fired += await _fire_if_due(pool, topic, now)
        except Unreachable:
            raise
        except Exception:
            LOG.exception("a schedule could not be fired", shop_id=topic.shop_id, topic=topic.topic)
    return fired


async def _fire_if_due(pool: Pool, topic: ScheduledTopic, now: datetime) -> int:
    slot = _new_slot(topic, now)
    if slot is None:
        return 0
    async with pool.connection() as conn:
        return await _fire(conn, topic, slot, now)


def _new_slot(topic: ScheduledTopic, now: datetime) -> datetime | None:
    zone = time_zone(topic.timezone)
    if zone is None:
        LOG.warning("the shop's time zone is not known here; its schedules run in UTC", zone=topic.timezone)
        zone = _UTC
    if topic.fired_at is None:
        return newest_slot(topic.topic, now, zone)
    return due_slot(topic.topic, fired_at=topic.fired_at, now=now, zone=zone)


async def _fire(conn: Connection, topic: ScheduledTopic, slot: datetime, now: datetime) -> int:
    if not await schedules.mark(conn, topic.shop_id, topic.topic, slot) or topic.fired_at is None:
        return 0
    event = NewEvent(
        shop_id=topic.shop_id,
        event_id=EventId(new_id("evt", now)),
        topic=topic.topic,
        payload={"scheduled_at": slot.astimezone(UTC).isoformat()},
        source=Source.SCHEDULE,
        triggered_at=slot,
    )
    await inbox.receive(conn, [event])
    return 1


async def delete_old(pool: Pool, now: datetime, keep: Retention) -> None:
    """Delete what is older than it is kept, in small transactions."""
    limit = _BATCH_ROWS
    for delete in (
        lambda conn: retention.delete_events(conn, before=now - keep.events, limit=limit),
        lambda conn: retention.delete_runs(conn, before=now - keep.runs, limit=limit),
        lambda conn: retention.delete_deliveries(conn, before=now - keep.deliveries, limit=limit),
        lambda conn: restocks.delete_waves(conn, before=now - keep.runs, limit=limit),
        lambda conn: waves.delete_old(conn, before=now - keep.runs, limit=limit),
        lambda conn: signups.delete_counts(conn, before=now - keep.sign_up_counts, limit=limit),
        lambda conn: retention.delete_idle_keys(conn, limit=limit),
        lambda conn: wake.delete_ended_jobs(conn, before=now - keep.ended_jobs, limit=limit),
    ):
        await _in_batches(pool, delete)
    async with pool.connection() as conn:
        await wake.forget_silent_workers(conn, before=now - timedelta(days=1))


async def _in_batches(pool: Pool, delete: Callable[[Connection], Awaitable[int]]) -> None:
    for _ in range(_BATCHES):
        async with pool.connection() as conn:
            deleted = await delete(conn)
        if deleted < _BATCH_ROWS:
            return
