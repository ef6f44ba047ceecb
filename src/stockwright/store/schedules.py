"""Which schedules are listened to, and the slot that each one fired last."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("schedules")


@dataclass(frozen=True, kw_only=True)
class ScheduledTopic:
    """One schedule of one shop; `fired_at` is the last slot, None when it was never looked at."""

    shop_id: ShopId
    topic: str
    timezone: str
    fired_at: datetime | None


async def scheduled_topics(conn: AsyncConnection) -> list[ScheduledTopic]:
    """The schedules of active shops that some enabled automation listens to."""
    async with conn.cursor(row_factory=class_row(ScheduledTopic)) as cursor:
        await cursor.execute(SQL.scheduled_topics)
        return await cursor.fetchall()


async def mark(conn: AsyncConnection, shop_id: ShopId, topic: str, slot: datetime) -> bool:
    """Claim a slot in the caller's transaction; False when it, or a later one, was claimed before."""
    values = {"shop_id": shop_id, "topic": topic, "slot": slot}
    return (await conn.execute(SQL.mark, values)).rowcount == 1


async def forget_marks(conn: AsyncConnection) -> None:
    """Forget the schedules that nobody listens to, so that they do not fire late when somebody does again."""
    await conn.execute(SQL.forget_marks)
