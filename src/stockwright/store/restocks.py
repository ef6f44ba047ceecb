"""What is remembered of products for publishing, and the waves: one row per return to stock.

The memory is opaque JSON here (`automations.restock` says what it means); the columns beside it are what
lists and mails need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import AutomationId, Json, JsonObject, ProductGid, RunId, ShopId
from stockwright.store.pools import Conflict
from stockwright.store.queries import queries

SQL = queries("restocks")


@dataclass(frozen=True, kw_only=True)
class MemoryRow:
    """What is remembered of one product."""

    state: JsonObject
    version: int


@dataclass(frozen=True, kw_only=True)
class WaveRow:
    """One publishing, or taking down, of one product."""

    wave_id: str
    product_id: ProductGid
    title: str
    action: str  # publish | unpublish
    quantity: int  # available when it was decided
    confirmed: list[str]  # names of channels
    refused: list[JsonObject]  # {channel, message}
    closed: str  # how it ended; "" = it goes on
    wants_mail: bool
    run_id: str
    opened_at: datetime
    confirmed_at: datetime | None = None
    mail_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class UnmailedRow:
    """A confirmed wave that no mail has told of; `held` while the scan that found it goes on."""

    wave_id: str
    product_id: ProductGid
    title: str
    quantity: int
    confirmed: list[str]
    refused: list[JsonObject]
    confirmed_at: datetime
    held: bool


async def of_products(
    conn: AsyncConnection,
    shop_id: ShopId,
    automation_id: AutomationId,
    product_ids: Sequence[str],
    *,
    lock: bool = False,
) -> list[MemoryRow]:
    """What is remembered of these products; with `lock`, nobody else changes it until the transaction ends."""
    values = {"shop_id": shop_id, "automation_id": automation_id, "product_ids": list(product_ids)}
    async with conn.cursor(row_factory=class_row(MemoryRow)) as cursor:
        await cursor.execute(SQL.lock_products if lock else SQL.of_products, values)
        return await cursor.fetchall()


async def save(
    conn: AsyncConnection,
    shop_id: ShopId,
    automation_id: AutomationId,
    product_id: ProductGid,
    state: JsonObject,
    *,
    quantity: int | None,
    wave_id: str | None,
    was_version: int,
    at: datetime,
) -> None:
    """Store a memory as its next version; `was_version` 0 = it was not there.

    Raises:
        Conflict: somebody else changed it meanwhile.
    """
    values: dict[str, Any] = {
        "shop_id": shop_id,
        "automation_id": automation_id,
        "product_id": product_id,
        "state": Jsonb(state),
        "quantity": quantity,
        "wave_id": wave_id,
        "version": was_version + 1,
        "was_version": was_version,
        "at": at,
    }
    cursor = await conn.execute(SQL.update_memory if was_version else SQL.insert_memory, values)
    if await cursor.fetchone() is None:
        raise Conflict(f"another run looked at {product_id} meanwhile")


async def forget(
    conn: AsyncConnection,
    shop_id: ShopId,
    automation_id: AutomationId,
    product_id: ProductGid,
    *,
    was_version: int,
) -> None:
    """Drop the memory of a product that is gone.

    Raises:
        Conflict: somebody else changed it meanwhile.
    """
    values = {
        "shop_id": shop_id,
        "automation_id": automation_id,
        "product_id": product_id,
        "was_version": was_version,
    }
    if was_version and await (await conn.execute(SQL.delete_memory, values)).fetchone() is None:
        raise Conflict(f"another run looked at {product_id} meanwhile")


async def save_wave(
    conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId, wave: WaveRow
) -> bool:
    """Store a wave or its newer state; whether it is confirmed and waits for its mail."""
    values = {
        **vars(wave),
        "shop_id": shop_id,
        "automation_id": automation_id,
        "confirmed": Jsonb(wave.confirmed),
        "refused": Jsonb(wave.refused),
    }
    row = await (await conn.execute(SQL.save_wave, values)).fetchone()
    return bool(row and row[0])


async def unmailed(
    conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId, *, since: datetime
) -> list[UnmailedRow]:
    """Up to 6,000 waves confirmed since then that no mail has told of, oldest first."""
    values = {"shop_id": shop_id, "automation_id": automation_id, "since": since}
    async with conn.cursor(row_factory=class_row(UnmailedRow)) as cursor:
        await cursor.execute(SQL.unmailed, values)
        return await cursor.fetchall()


async def mark_mailed(
    conn: AsyncConnection,
    shop_id: ShopId,
    automation_id: AutomationId,
    wave_ids: Sequence[str],
    *,
    mail_key: str,
) -> None:
    """This mail tells of these waves.

    Raises:
        Conflict: another mail tells of one of them.
    """
    values = {
        "shop_id": shop_id,
        "automation_id": automation_id,
        "wave_ids": list(wave_ids),
        "mail_key": mail_key,
    }
    if len(await (await conn.execute(SQL.mark_mailed, values)).fetchall()) != len(wave_ids):
        raise Conflict("another mail tells of some of these products")


async def refused_of_run(
    conn: AsyncConnection, shop_id: ShopId, run_id: RunId, *, limit: int
) -> tuple[int, list[tuple[ProductGid, str, Json]]]:
    """How many of the run's waves some channel refused, and the first as (product, title, refusals)."""
    values = {"shop_id": shop_id, "run_id": run_id, "limit": limit}
    rows = await (await conn.execute(SQL.refused_of_run, values)).fetchall()
    return (rows[0][0] if rows else 0), [(id, title, refused) for _, id, title, refused in rows]


async def list_waves(
    conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId, *, limit: int = 100
) -> list[WaveRow]:
    """What was published and taken down, newest first."""
    values = {"shop_id": shop_id, "automation_id": automation_id, "limit": limit}
    async with conn.cursor(row_factory=class_row(WaveRow)) as cursor:
        await cursor.execute(SQL.list_waves, values)
        return await cursor.fetchall()


async def delete_waves(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` waves that are over and were opened before; how many."""
    return (await conn.execute(SQL.delete_waves, {"before": before, "limit": limit})).rowcount
