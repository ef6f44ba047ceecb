"""Shared stocks page by page for people: frozen ones first, filtered, going on after the last one seen.

Planned for its values: a plan for any filter would read whole tables for most of them.
"""

from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.pools import PoolRow
from stockwright.store.queries import queries

SQL = queries("pool_pages")

_FROZEN, _OTHERS = "f", "o"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which stocks; None and False narrow nothing."""

    shop_id: ShopId | None = None
    product_id: str | None = None  # a gid
    title: str | None = None  # a part of it, in any case
    frozen: bool = False  # only those
    assumed: bool = False  # only those with outcomes that nobody has reviewed


async def frozen_first(
    conn: AsyncConnection, wanted: Wanted, *, after: str | None, limit: int
) -> list[PoolRow]:
    """Up to `limit` stocks, from the one after the cursor `after` (`cursor_of` its row)."""
    part, _, pool_id = (after or "").partition(":")
    values = {
        "shop_id": wanted.shop_id,
        "product_id": wanted.product_id,
        "title": wanted.title,
        "only_frozen": wanted.frozen,
        "assumed": wanted.assumed,
        "in_others": part == _OTHERS,
        "after": pool_id or None,
        "limit": limit,
    }
    async with conn.cursor(row_factory=class_row(PoolRow)) as cursor:
        await cursor.execute(SQL.pools_frozen_first, values, prepare=False)
        return await cursor.fetchall()


def cursor_of(row: PoolRow) -> str:
    """Where the page after this stock begins."""
    return f"{_FROZEN if row.status == 'frozen' else _OTHERS}:{row.pool_id}"
