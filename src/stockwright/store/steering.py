"""What a person wants of a run: its events once more, or its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import EventId, JsonObject, Key, RunId, ShopId
from stockwright.store.queries import queries
from stockwright.store.wake import key_values

SQL = queries("steering")


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a run was made: the topic and payload of one of its events."""

    topic: str
    payload: JsonObject


async def events_to_repeat(conn: AsyncConnection, shop_id: ShopId, run_id: RunId) -> list[Cause]:
    """What went into a run, oldest first; nothing when its events were deleted or still wait."""
    async with conn.cursor(row_factory=class_row(Cause)) as cursor:
        await cursor.execute(SQL.events_to_repeat, {"shop_id": shop_id, "run_id": run_id})
        return await cursor.fetchall()


async def hurry(conn: AsyncConnection, key: Key, event_ids: Sequence[EventId]) -> None:
    """Make waiting events of a key due now, whatever delay their topics have."""
    await conn.execute(SQL.hurry, {**key_values(key), "event_ids": list(event_ids)})


async def ask_to_stop(conn: AsyncConnection, shop_id: ShopId, run_id: RunId, *, by: str) -> bool:
    """Leave the wish that a run stops; False when it has ended."""
    values = {"shop_id": shop_id, "run_id": run_id, "by": by}
    return (await conn.execute(SQL.ask_to_stop, values)).rowcount == 1


async def asked_to_stop(conn: AsyncConnection, shop_id: ShopId, run_id: RunId) -> str | None:
    """Who wants a run to stop, or None."""
    cursor = await conn.execute(SQL.asked_to_stop, {"shop_id": shop_id, "run_id": run_id})
    row = await cursor.fetchone()
    return row[0] if row else None


async def goes_on(conn: AsyncConnection, shop_id: ShopId, run_id: RunId) -> bool:
    """Whether nobody has ended a run; its automation is then neither disabled nor removed before the caller commits."""
    cursor = await conn.execute(SQL.goes_on, {"shop_id": shop_id, "run_id": run_id})
    return await cursor.fetchone() is not None


async def close(conn: AsyncConnection, shop_id: ShopId, run_id: RunId, *, because: str, at: datetime) -> bool:
    """End a run that nothing works on any more; False when it has ended."""
    values = {"shop_id": shop_id, "run_id": run_id, "because": because, "at": at}
    return (await conn.execute(SQL.close, values)).rowcount == 1
