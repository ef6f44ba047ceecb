"""A shop's own wording of what shoppers read; the built-in texts are files (`notify/languages`)."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("storefront_texts")


@dataclass(frozen=True, kw_only=True)
class TextRow:
    """One text that a shop has changed; checked before (`notify.texts.checked_text`)."""

    locale: str
    name: str
    text: str
    updated_at: datetime


async def list_own(conn: AsyncConnection, shop_id: ShopId) -> list[TextRow]:
    """All that a shop has changed, at most 10,000."""
    async with conn.cursor(row_factory=class_row(TextRow)) as cursor:
        await cursor.execute(SQL.list_texts, {"shop_id": shop_id})
        return await cursor.fetchall()


async def own_texts(conn: AsyncConnection, shop_id: ShopId) -> dict[str, dict[str, str]]:
    """The same as locale -> name -> text."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in await list_own(conn, shop_id):
        found[row.locale][row.name] = row.text
    return dict(found)


async def save(conn: AsyncConnection, shop_id: ShopId, row: TextRow) -> None:
    """Store one text."""
    values = {"locale": row.locale, "name": row.name, "text": row.text, "at": row.updated_at}
    await conn.execute(SQL.save_text, {**values, "shop_id": shop_id})


async def restore(conn: AsyncConnection, shop_id: ShopId, *, locale: str, name: str) -> bool:
    """Go back to the built-in text; False: it was not changed."""
    values = {"shop_id": shop_id, "locale": locale, "name": name}
    return (await conn.execute(SQL.restore_text, values)).rowcount == 1


async def delete_language(conn: AsyncConnection, shop_id: ShopId, *, locale: str) -> int:
    """Forget every own text of a language; how many."""
    return (await conn.execute(SQL.delete_language, {"shop_id": shop_id, "locale": locale})).rowcount
