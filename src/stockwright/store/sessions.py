"""Sessions of the admin site: one row per signed-in browser, found by the hash of its cookie."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import JsonObject
from stockwright.store.queries import queries

SQL = queries("sessions")


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    """A signed-in browser."""

    session_id: str
    user_id: str
    user_name: str
    created_at: datetime
    seen_at: datetime
    address: str
    agent: str
    flashes: list[JsonObject]


@dataclass(frozen=True, kw_only=True)
class Alive:
    """The limits that a session must keep."""

    seen_after: datetime
    created_after: datetime


async def add(
    conn: AsyncConnection,
    *,
    token_hash: bytes,
    session_id: str,
    user_id: str,
    address: str,
    agent: str,
    at: datetime,
) -> None:
    """Store a new session."""
    values = {
        "token_hash": token_hash,
        "session_id": session_id,
        "user_id": user_id,
        "address": address,
        "agent": agent,
        "at": at,
    }
    await conn.execute(SQL.insert_session, values)


async def find(conn: AsyncConnection, token_hash: bytes, alive: Alive) -> SessionRow | None:
    """The session of a cookie, if it is within its limits."""
    values = {"token_hash": token_hash, **_limits(alive)}
    async with conn.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(SQL.find_session, values)
        return await cursor.fetchone()


async def list_of(conn: AsyncConnection, user_id: str, alive: Alive) -> list[SessionRow]:
    """Where a user is signed in (at most 100), newest first."""
    async with conn.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(SQL.list_sessions, {"user_id": user_id, **_limits(alive)})
        return await cursor.fetchall()


def _limits(alive: Alive) -> dict[str, Any]:
    return {"seen_after": alive.seen_after, "created_after": alive.created_after}


async def touch(conn: AsyncConnection, session_id: str, *, at: datetime) -> None:
    """Note that the browser was seen."""
    await conn.execute(SQL.touch, {"session_id": session_id, "at": at})


async def save_flashes(conn: AsyncConnection, session_id: str, flashes: Sequence[JsonObject]) -> None:
    """Keep messages for the session's next page."""
    values = {"session_id": session_id, "flashes": Jsonb(list(flashes))}
    await conn.execute(SQL.save_flashes, values)


async def remove(conn: AsyncConnection, session_id: str, *, user_id: str) -> bool:
    """End one session of a user; False when it is not one of theirs."""
    values = {"session_id": session_id, "user_id": user_id}
    return (await conn.execute(SQL.delete_session, values)).rowcount == 1


async def remove_all(conn: AsyncConnection, user_id: str, *, except_id: str | None = None) -> int:
    """End all sessions of a user, or all but one; how many."""
    values = {"user_id": user_id, "except_id": except_id}
    return (await conn.execute(SQL.delete_sessions_of, values)).rowcount


async def delete_stale(conn: AsyncConnection, alive: Alive) -> None:
    """Delete sessions that are beyond a limit."""
    await conn.execute(SQL.delete_stale, _limits(alive))
