"""API tokens: hashes, what each allows, who made it and when it was last used."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.store.queries import queries

SQL = queries("tokens")


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    """One API token; the token itself is nowhere."""

    token_id: str
    name: str
    scope: str  # read | write; write includes read
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


async def add(
    conn: AsyncConnection,
    *,
    token_id: str,
    name: str,
    scope: str,
    token_hash: bytes,
    created_by: str,
    at: datetime,
) -> None:
    """Store a new token's hash."""
    values = {
        "token_id": token_id,
        "name": name,
        "scope": scope,
        "token_hash": token_hash,
        "created_by": created_by,
        "at": at,
    }
    await conn.execute(SQL.insert_token, values)


async def find(conn: AsyncConnection, token_hash: bytes) -> TokenRow | None:
    """The token of a hash, unless it was revoked."""
    return await _one(conn, SQL.find_token, {"token_hash": token_hash})


async def get(conn: AsyncConnection, token_id: str) -> TokenRow | None:
    """A token by id, revoked or not."""
    return await _one(conn, SQL.get_token, {"token_id": token_id})


async def _one(conn: AsyncConnection, sql: bytes, values: dict[str, Any]) -> TokenRow | None:
    async with conn.cursor(row_factory=class_row(TokenRow)) as cursor:
        await cursor.execute(sql, values)
        return await cursor.fetchone()


async def list_all(conn: AsyncConnection) -> list[TokenRow]:
    """All tokens (at most 1,000): those in force first, newest first."""
    async with conn.cursor(row_factory=class_row(TokenRow)) as cursor:
        await cursor.execute(SQL.list_tokens)
        return await cursor.fetchall()


async def use(conn: AsyncConnection, token_id: str, *, at: datetime) -> None:
    """Note that a token was used, to the minute."""
    await conn.execute(SQL.use_token, {"token_id": token_id, "at": at})


async def revoke(conn: AsyncConnection, token_id: str, *, at: datetime) -> bool:
    """Refuse a token from now on; False when it is already, or not there."""
    return (await conn.execute(SQL.revoke_token, {"token_id": token_id, "at": at})).rowcount == 1
