"""What of a shop's offers its theme can read, what is to be there, and when the next attempt is due."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("offer_themes")


@dataclass(frozen=True, kw_only=True)
class ThemeRow:
    """How far the theme's copy of a shop's offers is."""

    shop_id: ShopId
    wanted: int  # changes of offers so far
    written: int  # the change up to which the shop has them
    digests: Mapping[str, str]  # by key of the metafield: of what was written last
    attempts: int  # failed in a row
    problem: str  # why the last attempt failed; "" = it did not
    written_at: datetime | None


class ShownRow(NamedTuple):
    """A product or variant of an offer."""

    product_id: str
    variant_id: str = ""  # "" = all of the product
    limit_per_order: int | None = None  # units; of several offers the smallest


async def mark(conn: AsyncConnection, shop_id: ShopId) -> None:
    """Something that the theme reads has changed; it is written soon."""
    await conn.execute(SQL.mark, {"shop_id": shop_id})


async def get(conn: AsyncConnection, shop_id: ShopId) -> ThemeRow | None:
    """How far a shop is; None: it never had an offer."""
    async with conn.cursor(row_factory=class_row(ThemeRow)) as cursor:
        await cursor.execute(SQL.get, {"shop_id": shop_id})
        return await cursor.fetchone()


async def due(conn: AsyncConnection, now: datetime, *, limit: int = 100) -> list[ThemeRow]:
    """Shops at work whose theme is to be compared now: something changed, failed, or it was long ago."""
    async with conn.cursor(row_factory=class_row(ThemeRow)) as cursor:
        await cursor.execute(SQL.due, {"now": now, "limit": limit})
        return await cursor.fetchall()


async def shown(conn: AsyncConnection, shop_id: ShopId, *, limit: int) -> list[ShownRow]:
    """What all active offers with the mode "allow when out of stock" cover."""
    rows = await (await conn.execute(SQL.shown, {"shop_id": shop_id, "limit": limit})).fetchall()
    return [ShownRow(*row) for row in rows]


async def written(
    conn: AsyncConnection, row: ThemeRow, digests: Mapping[str, str], *, at: datetime, next_at: datetime
) -> None:
    """The shop has all metafields as of the change `row.wanted`; they are compared again at `next_at`."""
    values = {
        "shop_id": row.shop_id,
        "wanted": row.wanted,
        "digests": Jsonb(dict(digests)),
        "at": at,
        "next_at": next_at,
    }
    await conn.execute(SQL.written, values)


async def failed(
    conn: AsyncConnection, row: ThemeRow, digests: Mapping[str, str], *, problem: str, next_at: datetime
) -> None:
    """It took only those of `digests`; the rest is tried again."""
    values = {"shop_id": row.shop_id, "digests": Jsonb(dict(digests)), "problem": problem, "next_at": next_at}
    await conn.execute(SQL.failed, values)
