"""Mail templates that a shop has changed; the built-in ones are files (`mail/defaults`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("templates")


@dataclass(frozen=True, kw_only=True)
class TemplateRow:
    """A shop's own texts of a kind in a locale; checked before (`mail.templates.check`)."""

    kind: str
    locale: str
    subject: str
    text: str
    html: str
    updated_at: datetime


async def get(
    conn: AsyncConnection, shop_id: ShopId, kind: str, *, locales: Sequence[str]
) -> TemplateRow | None:
    """A shop's own texts in the first of these locales that it has; None: it changed none of them."""
    async with conn.cursor(row_factory=class_row(TemplateRow)) as cursor:
        await cursor.execute(SQL.get, {"shop_id": shop_id, "kind": kind, "locales": list(locales)})
        return await cursor.fetchone()


async def list_own(conn: AsyncConnection, shop_id: ShopId) -> list[TemplateRow]:
    """All that a shop has changed."""
    async with conn.cursor(row_factory=class_row(TemplateRow)) as cursor:
        await cursor.execute(SQL.list_own, {"shop_id": shop_id})
        return await cursor.fetchall()


async def save(conn: AsyncConnection, shop_id: ShopId, row: TemplateRow) -> None:
    """Replace a shop's own texts of a kind in a locale."""
    await conn.execute(SQL.save, {**vars(row), "shop_id": shop_id})


async def restore(conn: AsyncConnection, shop_id: ShopId, kind: str, *, locale: str) -> bool:
    """Go back to the built-in texts; False: they were not changed."""
    values = {"shop_id": shop_id, "kind": kind, "locale": locale}
    return (await conn.execute(SQL.restore, values)).rowcount == 1
