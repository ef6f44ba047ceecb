"""Shared stocks page by page for people: frozen ones first, filtered, going on after the last one seen.

Planned for its values: a plan for any filter would read whole tables for most of them.
"""

from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.pools import PoolRow
from stockwright.store.queries import queries

SQL = queries("pool_pages")

_FROZEN, _OTHERS = "f", "o"
_MOST_WORDS = 10
_FEW = 2_000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which stocks; None and False narrow nothing."""

    shop_id: ShopId | None = None
    product_id: str | None = None  # a gid
    title: str | None = None  # words of it, or their beginnings, in any case and order
    frozen: bool = False  # only those
    assumed: bool = False  # only those with outcomes that nobody has reviewed


async def frozen_first(
    conn: AsyncConnection, wanted: Wanted, *, after: str | None, limit: int
) -> list[PoolRow]:
    """Up to `limit` stocks, from the one after the cursor `after` (`cursor_of` its row)."""
    part, _, pool_id = (after or "").partition(":")
    values: dict[str, Any] = {
        "shop_id": wanted.shop_id,
        "product_id": wanted.product_id,
        "only_frozen": wanted.frozen,
        "assumed": wanted.assumed,
        "pool_ids": None,
        "in_others": part == _OTHERS,
        "after": pool_id or None,
        "limit": limit,
    }
    query = SQL.pools_frozen_first
    if wanted.title is not None:
        words = " & ".join(f"{word}:*" for word in await _words(conn, wanted.title))
        values["words"], values["pool_ids"] = words, await _few(conn, words) if words else []
        query = SQL.pools_frozen_first if values["pool_ids"] is not None else SQL.pools_by_words
    async with conn.cursor(row_factory=class_row(PoolRow)) as cursor:
        await cursor.execute(query, values, prepare=False)
        return await cursor.fetchall()


async def _few(conn: AsyncConnection, words: str) -> list[str] | None:
    """The stocks that have these words, when they are few. Of many, the first are soon found in their order."""
    found = await conn.execute(SQL.few_with_words, {"words": words, "limit": _FEW + 1}, prepare=False)
    ids = [row[0] for row in await found.fetchall()]
    return ids if len(ids) <= _FEW else None


async def _words(conn: AsyncConnection, text: str) -> list[str]:
    """What a search looks for; the database cuts it, as it has cut the titles."""
    row = await (await conn.execute(SQL.title_words, {"text": text})).fetchone()
    return list(row[0])[:_MOST_WORDS] if row else []


def cursor_of(row: PoolRow) -> str:
    """Where the page after this stock begins."""
    return f"{_FROZEN if row.status == 'frozen' else _OTHERS}:{row.pool_id}"
