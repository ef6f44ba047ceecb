"""Units ordered ahead under offers, and up to where a shop's orders are counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.offers import OfferRow
from stockwright.store.queries import queries

SQL = queries("offer_orders")


@dataclass(frozen=True, kw_only=True)
class CountingRow:
    """Up to where a shop's orders are counted."""

    counted_to: datetime
    looked_at: datetime
    problem: str  # why they cannot be counted, or not wholly; "" = they are


@dataclass(frozen=True, kw_only=True)
class LineRow:
    """Units of an order's line that count for an offer."""

    offer_id: str
    order_id: str
    line_id: str
    variant_id: str
    customer_id: str
    quantity: int
    ordered_at: datetime


async def shops_due(conn: AsyncConnection, *, before: datetime, topics: Sequence[str]) -> list[ShopId]:
    """Shops whose orders are to be looked at: a webhook of these topics came, or the last look is older."""
    cursor = await conn.execute(SQL.shops_due, {"before": before, "topics": list(topics)})
    return [ShopId(row[0]) for row in await cursor.fetchall()]


async def has_limits(conn: AsyncConnection, shop_id: ShopId) -> bool:
    """Whether the shop's orders are to be counted for the limits of an offer, now or soon."""
    row = await (await conn.execute(SQL.has_limits, {"shop_id": shop_id})).fetchone()
    return bool(row and row[0])


async def counting(conn: AsyncConnection, shop_id: ShopId) -> CountingRow | None:
    """Up to where a shop's orders are counted; None: they never were."""
    async with conn.cursor(row_factory=class_row(CountingRow)) as cursor:
        await cursor.execute(SQL.counting, {"shop_id": shop_id})
        return await cursor.fetchone()


async def begin(conn: AsyncConnection, shop_id: ShopId, now: datetime) -> None:
    """Count a shop's orders from now on, unless they are counted already."""
    await conn.execute(SQL.begin, {"shop_id": shop_id, "now": now})


async def looked(
    conn: AsyncConnection, shop_id: ShopId, *, counted_to: datetime, now: datetime, problem: str
) -> None:
    """A look at a shop's orders is over."""
    values = {"shop_id": shop_id, "counted_to": counted_to, "now": now, "problem": problem}
    await conn.execute(SQL.looked, values)


async def lock_limited(conn: AsyncConnection, shop_id: ShopId) -> list[OfferRow]:
    """Offers with a limit that counts, locked by id until the transaction ends."""
    async with conn.cursor(row_factory=class_row(OfferRow)) as cursor:
        await cursor.execute(SQL.lock_limited, {"shop_id": shop_id})
        return await cursor.fetchall()


async def known_lines(conn: AsyncConnection, shop_id: ShopId, line_ids: Sequence[str]) -> set[str]:
    """Which of these lines (at most 10,000) count already."""
    cursor = await conn.execute(SQL.known_lines, {"shop_id": shop_id, "line_ids": list(line_ids)})
    return {row[0] for row in await cursor.fetchall()}


async def put_lines(conn: AsyncConnection, shop_id: ShopId, rows: Sequence[LineRow]) -> None:
    """Count lines, each once per offer."""
    async with conn.cursor() as cursor:
        await cursor.executemany(SQL.put_line, [{"shop_id": shop_id, **vars(row)} for row in rows])


async def lower_line(conn: AsyncConnection, shop_id: ShopId, line_id: str, *, quantity: int) -> None:
    """A line that counts has at most so many units now."""
    await conn.execute(SQL.lower_line, {"shop_id": shop_id, "line_id": line_id, "quantity": quantity})
