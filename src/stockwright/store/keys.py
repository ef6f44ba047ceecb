"""Keys: what waits for one automation on one subject, its failures, wake-up time and place in a scan.

Times live here; the job engine only wakes (`wake.wake_next` brings both together).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import AutomationId, Event, EventId, Json, Key, RunId, ShopId, Source
from stockwright.store import wake
from stockwright.store.queries import queries
from stockwright.store.wake import key_values

SQL = queries("keys")


@dataclass(frozen=True, kw_only=True)
class KeyState:
    """What is known of a key besides its work."""

    failures: int = 0  # in a row, of runs that ended in an unexpected error or with their worker
    retry_at: datetime | None = None
    wake_at: datetime | None = None
    last_error: str = ""
    cursor: Json = None


async def pending(conn: AsyncConnection, key: Key, now: datetime, *, limit: int = 1000) -> list[Event]:
    """Up to `limit` events that wait for the key and are due, by our clock or the database's, oldest first."""
    async with conn.cursor(row_factory=class_row(Event)) as cursor:
        await cursor.execute(SQL.pending, {**key_values(key), "now": now, "limit": limit})
        found = await cursor.fetchall()
    return [replace(event, source=Source(event.source)) for event in found]


async def finish(conn: AsyncConnection, key: Key, event_ids: Sequence[EventId], run_id: RunId | None) -> None:
    """Mark events as done for this automation; None: dropped without a run."""
    values = {**key_values(key), "event_ids": list(event_ids), "run_id": run_id}
    await conn.execute(SQL.finish, values)


async def reroute(conn: AsyncConnection, key: Key, event_ids: Sequence[EventId], new_subject: str) -> Key:
    """Move waiting events to another subject of the same automation and wake that one; its key."""
    values = {**key_values(key), "event_ids": list(event_ids), "new_subject": new_subject}
    moved = Key(shop_id=key.shop_id, automation_id=key.automation_id, subject=new_subject)
    if (await conn.execute(SQL.reroute, values)).rowcount:
        await wake.wake(conn, [(moved, None)])
    return moved


async def cancel(conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId) -> int:
    """Drop everything that waits for an automation (it was disabled) and end its scans; how many events."""
    return (await conn.execute(SQL.cancel, {"shop_id": shop_id, "automation_id": automation_id})).rowcount


async def state(conn: AsyncConnection, key: Key) -> KeyState:
    """What is known of a key; the defaults when it has no row."""
    async with conn.cursor(row_factory=class_row(KeyState)) as cursor:
        await cursor.execute(SQL.state, key_values(key))
        return await cursor.fetchone() or KeyState()


async def set_wake_at(conn: AsyncConnection, key: Key, wake_at: datetime | None) -> None:
    """Set or remove the time at which the key runs again without a new event; `wake_next` schedules it."""
    await conn.execute(SQL.set_wake_at, {**key_values(key), "wake_at": wake_at})


async def set_cursor(conn: AsyncConnection, key: Key, cursor: Json) -> None:
    """Remember where a long scan goes on after this step, which clears failures; None: it is over."""
    values = {**key_values(key), "cursor": None if cursor is None else Jsonb(cursor)}
    await conn.execute(SQL.set_cursor, values)


async def record_failure(conn: AsyncConnection, key: Key, *, error: str, next_at: datetime) -> int:
    """Count a failed run and set when to try again; how many failed in a row."""
    values = {**key_values(key), "error": error, "next_at": next_at}
    row = await (await conn.execute(SQL.record_failure, values)).fetchone()
    assert row is not None
    return int(row[0])


async def clear(conn: AsyncConnection, key: Key, *, started_at: datetime) -> None:
    """After a run that went well: no failures, and no wake-up time that it has answered."""
    await conn.execute(SQL.clear, {**key_values(key), "started_at": started_at})


async def cleared(conn: AsyncConnection, key: Key, *, started_at: datetime) -> bool:
    """The same; whether there was anything to clear."""
    cursor = await conn.execute(SQL.clear, {**key_values(key), "started_at": started_at})
    return await cursor.fetchone() is not None


async def give_up(conn: AsyncConnection, key: Key, *, error: str, run_id: RunId | None) -> None:
    """Close the key's due work after too many failures, as of a run; the next event or schedule starts afresh."""
    await conn.execute(SQL.give_up, {**key_values(key), "error": error, "run_id": run_id})
