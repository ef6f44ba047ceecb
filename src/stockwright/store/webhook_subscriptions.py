"""What is known of each shop's webhook subscriptions: wanted topics, and whether deliveries will come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("webhook_subscriptions")


@dataclass(frozen=True, kw_only=True)
class SubscriptionRow:
    """One wanted topic (shopify/inventory_levels/update) of a shop."""

    topic: str
    subscription_id: str  # gid; "" = wanted, not made yet
    uri: str
    problem: str = ""  # why no deliveries will come, for a person; "" = all is well
    checked_at: datetime | None = None


async def replace_all(
    conn: AsyncConnection, shop_id: ShopId, rows: Sequence[SubscriptionRow], *, checked_at: datetime
) -> None:
    """Store the outcome of a check: these topics are wanted and no others."""
    values = {
        "shop_id": shop_id,
        "topics": [row.topic for row in rows],
        "subscription_ids": [row.subscription_id for row in rows],
        "uris": [row.uri for row in rows],
        "problems": [row.problem for row in rows],
        "checked_at": checked_at,
    }
    await conn.execute(SQL.drop_others, values)
    await conn.execute(SQL.upsert, values)


async def of_shop(conn: AsyncConnection, shop_id: ShopId) -> list[SubscriptionRow]:
    """The wanted topics of a shop, by name."""
    async with conn.cursor(row_factory=class_row(SubscriptionRow)) as cursor:
        await cursor.execute(SQL.of_shop, {"shop_id": shop_id})
        return await cursor.fetchall()


async def uris_of(conn: AsyncConnection, shop_id: ShopId) -> list[str]:
    """Addresses under which we have subscribed before: they are ours, also when the public address changed."""
    cursor = await conn.execute(SQL.uris_of, {"shop_id": shop_id})
    return [row[0] for row in await cursor.fetchall()]
