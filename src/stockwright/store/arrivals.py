"""What has arrived and what became of it, for people who ask and for upkeep."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import AutomationId, EventId, ShopId
from stockwright.store.queries import queries

SQL = queries("arrivals")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one automation made of one event."""

    done: bool
    run_id: str | None  # None when it was dropped without a run, or still waits


async def uninstalled(conn: AsyncConnection) -> list[ShopId]:
    """Shops at work that sent app/uninstalled and did not let us in since."""
    cursor = await conn.execute(SQL.uninstalled)
    return [ShopId(row[0]) for row in await cursor.fetchall()]


async def is_uninstalled(conn: AsyncConnection, shop_id: ShopId) -> bool:
    """Whether a shop sent app/uninstalled and did not let us in since."""
    return await (await conn.execute(SQL.is_uninstalled, {"shop_id": shop_id})).fetchone() is not None


async def last_webhook_at(conn: AsyncConnection, shop_id: ShopId) -> datetime | None:
    """When a shop last sent us anything, within the time that events are kept."""
    row = await (await conn.execute(SQL.last_webhook, {"shop_id": shop_id})).fetchone()
    return row[0] if row else None


async def outcome(
    conn: AsyncConnection, shop_id: ShopId, event_id: EventId, automation_id: AutomationId
) -> Outcome | None:
    """What an automation made of an event; None when it does not listen to it."""
    values = {"shop_id": shop_id, "event_id": event_id, "automation_id": automation_id}
    async with conn.cursor(row_factory=class_row(Outcome)) as cursor:
        await cursor.execute(SQL.outcome, values)
        return await cursor.fetchone()


async def waiting_of_automation(conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId) -> int:
    """How many due events wait for an automation's runs."""
    values = {"shop_id": shop_id, "automation_id": automation_id}
    row = await (await conn.execute(SQL.waiting_of_automation, values)).fetchone()
    return int(row[0]) if row else 0


async def woken_waiting(
    conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId, *, after: str, before: str
) -> int:
    """How many events still wait that an automation sent itself between two event ids: what its run woke."""
    values = {"shop_id": shop_id, "automation_id": automation_id, "after": after, "before": before}
    row = await (await conn.execute(SQL.woken_waiting, values)).fetchone()
    return int(row[0]) if row else 0
