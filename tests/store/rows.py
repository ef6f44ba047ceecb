"""Rows that tests start from, written as plainly as they can be."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg
from psycopg.types.json import Jsonb

from stockwright.model import AutomationId, EventId, Key, NewEvent, ShopId, Source, Subscription, gid
from stockwright.store.database import pool

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LEVELS = "shopify/inventory_levels/update"
PRODUCT = gid("Product", 1)
ITEM = gid("InventoryItem", 9007199254740995)


@asynccontextmanager
async def open_pool(dsn: str, size: int = 6):
    async with pool(dsn, size=size, name="test") as opened:
        yield opened


async def add_shop(conn, domain: str = "one.myshopify.com", timezone: str = "UTC") -> ShopId:
    cursor = await conn.execute(
        "insert into shops (domain, api_url, auth_mode, secrets, timezone) values (%s, '', 'access_token', '', %s) returning shop_id",
        (domain, timezone),
    )
    return ShopId((await cursor.fetchone())[0])


async def add_automation(
    conn, shop_id: ShopId, automation_id: str, *topics: Subscription | str
) -> AutomationId:
    await conn.execute(
        "insert into automations (shop_id, automation_id, kind, name, options, topics, enabled) values (%s, %s, 'k', 'n', %s, '{}', true)",
        (shop_id, automation_id, Jsonb({})),
    )
    for topic in topics:
        told = Subscription(topic=topic) if isinstance(topic, str) else topic
        await conn.execute(
            "insert into subscriptions (shop_id, topic, automation_id, delay_s) values (%s, %s, %s, %s)",
            (shop_id, told.topic, automation_id, told.delay.total_seconds()),
        )
    return AutomationId(automation_id)


async def add_item(conn, shop_id: ShopId, item_id: str, product_id: str) -> None:
    await conn.execute(
        "insert into items (shop_id, item_id, product_id, variant_id) values (%s, %s, %s, '')",
        (shop_id, item_id, product_id),
    )


def event(shop_id: ShopId, no: int = 1, **changes) -> NewEvent:
    given = {
        "event_id": EventId(f"evt_{no}"),
        "topic": LEVELS,
        "payload": {"no": no},
        "source": Source.SHOPIFY,
    }
    return NewEvent(
        shop_id=shop_id, **(given | {"subject": PRODUCT, "webhook_id": f"webhook-{no}"} | changes)
    )


def key(shop_id: ShopId, automation_id: str = "aut_1", subject: str = PRODUCT) -> Key:
    return Key(shop_id=shop_id, automation_id=AutomationId(automation_id), subject=subject)


async def jobs(conn) -> list[tuple[str, str, datetime | None]]:
    """Lock, state and time of every job, oldest first."""
    cursor = await conn.execute("select lock, status::text, scheduled_at from procrastinate_jobs order by id")
    return await cursor.fetchall()


async def rows(conn, query: str) -> list[tuple]:
    return await (await conn.execute(query)).fetchall()


async def until(condition, limit_s: float = 10.0) -> None:
    """Wait for an awaitable condition to hold."""
    async with asyncio.timeout(limit_s):
        while not await condition():  # noqa: ASYNC110 - the database has no event to wait for
            await asyncio.sleep(0.01)


async def connect(dsn: str, **options) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True, **options)
