"""The audit log: who changed what, when. Rows are only added."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import JsonObject
from stockwright.store.ids import new_id
from stockwright.store.queries import queries

SQL = queries("audit")


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acts, as it is kept; `user_id` is None for the command line and for API tokens."""

    user_id: str | None
    name: str


COMMAND_LINE = Actor(user_id=None, name="command line")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One change."""

    entry_id: str
    at: datetime
    user_id: str | None
    user_name: str
    action: str
    target: str
    detail: JsonObject


async def audit(
    conn: AsyncConnection, actor: Actor, action: str, target: str, detail: JsonObject, *, at: datetime
) -> None:
    """Write down a change, in the transaction that makes it.

    `action` is `noun.verb` (shop.add); `target` is what a person calls the thing. No secrets in `detail`.
    """
    values = {
        "entry_id": new_id("aud", at),
        "at": at,
        "user_id": actor.user_id,
        "user_name": actor.name,
        "action": action,
        "target": target,
        "detail": Jsonb(dict(detail)),
    }
    await conn.execute(SQL.insert_entry, values)


async def entries(
    conn: AsyncConnection, *, about: str | None = None, before: str | None = None, limit: int = 50
) -> list[Entry]:
    """Changes, newest first; `about` is the noun of the action, `before` the last id of the page before."""
    async with conn.cursor(row_factory=class_row(Entry)) as cursor:
        await cursor.execute(SQL.list_entries, {"about": about, "before": before, "limit": limit})
        return await cursor.fetchall()
