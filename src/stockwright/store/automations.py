"""Automations as they are stored: kind, options, topics, enabled or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import AutomationId, JsonObject, ShopId, Subscription
from stockwright.store.queries import queries

SQL = queries("automations")


@dataclass(frozen=True, kw_only=True)
class AutomationRow:
    """One installed automation; `options` as saved, not yet parsed by its kind."""

    shop_id: ShopId
    automation_id: AutomationId
    kind: str
    name: str
    options: JsonObject
    topics: list[str]
    enabled: bool
    created_at: datetime
    updated_at: datetime


async def save(conn: AsyncConnection, row: AutomationRow, *, new: bool) -> None:
    """Write an automation and the topics that the inbox routes by (none while it is disabled)."""
    values = {
        "shop_id": row.shop_id,
        "automation_id": row.automation_id,
        "kind": row.kind,
        "name": row.name,
        "options": Jsonb(row.options),
        "topics": row.topics,
        "enabled": row.enabled,
    }
    await conn.execute(SQL.insert_automation if new else SQL.update_automation, values)


async def route(
    conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId, topics: Sequence[Subscription]
) -> None:
    """Replace the topics by which the inbox finds this automation."""
    key = {"shop_id": shop_id, "automation_id": automation_id}
    await conn.execute(SQL.clear_subscriptions, key)
    for topic in topics:
        delay_s = int(topic.delay.total_seconds())
        await conn.execute(SQL.insert_subscription, {**key, "topic": topic.topic, "delay_s": delay_s})


async def remove(conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId) -> None:
    """Delete an automation, its pools, claims and waiting work; runs and journal stay as history."""
    key = {"shop_id": shop_id, "automation_id": automation_id}
    await conn.execute(SQL.delete_pools_of, key)
    await conn.execute(SQL.delete_keys_of, key)
    await conn.execute(SQL.delete_automation, key)


async def get(conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId) -> AutomationRow | None:
    """One automation, or None."""
    async with conn.cursor(row_factory=class_row(AutomationRow)) as cursor:
        await cursor.execute(SQL.get_automation, {"shop_id": shop_id, "automation_id": automation_id})
        return await cursor.fetchone()


async def lock(conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId) -> AutomationRow | None:
    """One automation, locked until the transaction ends, or None."""
    async with conn.cursor(row_factory=class_row(AutomationRow)) as cursor:
        await cursor.execute(SQL.lock_automation, {"shop_id": shop_id, "automation_id": automation_id})
        return await cursor.fetchone()


async def find(conn: AsyncConnection, automation_id: str) -> AutomationRow | None:
    """One automation by id alone; ids are unique over all shops."""
    async with conn.cursor(row_factory=class_row(AutomationRow)) as cursor:
        await cursor.execute(SQL.find_automation, {"automation_id": automation_id})
        return await cursor.fetchone()


async def list_all(conn: AsyncConnection, shop_id: ShopId | None = None) -> list[AutomationRow]:
    """All automations, or those of one shop, oldest first."""
    async with conn.cursor(row_factory=class_row(AutomationRow)) as cursor:
        await cursor.execute(SQL.list_automations, {"shop_id": shop_id})
        return await cursor.fetchall()


async def topics_of_shop(conn: AsyncConnection, shop_id: ShopId) -> list[str]:
    """Every topic that some enabled automation of the shop listens to."""
    cursor = await conn.execute(SQL.topics_of_shop, {"shop_id": shop_id})
    return [row[0] for row in await cursor.fetchall()]
