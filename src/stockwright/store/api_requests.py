"""What is remembered of requests to the JSON API: how many a token makes, and answers to repeated ones."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.store.queries import queries

SQL = queries("api_requests")


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often a token may ask: `burst` requests at once, refilled by `per_s` in a second."""

    per_s: float
    burst: float


@dataclass(frozen=True, kw_only=True)
class StoredReply:
    """How a request with an Idempotency-Key was answered; `status` None: nobody knows (yet)."""

    request_hash: bytes
    status: int | None
    location: str
    body: str


async def take(conn: AsyncConnection, token_id: str, rate: Rate, *, at: datetime) -> float:
    """Count one request of a token: 0, or the seconds to wait when it may not be made now."""
    values = {"token_id": token_id, "per_s": rate.per_s, "burst": rate.burst, "at": at}
    if await (await conn.execute(SQL.take, values)).fetchone() is not None:
        return 0.0
    row = await (await conn.execute(SQL.waiting_time, values)).fetchone()
    return max(float(row[0]), 0.001) if row else 0.001


async def begin(
    conn: AsyncConnection, token_id: str, key: str, *, request_hash: bytes, at: datetime, before: datetime
) -> StoredReply | None:
    """Claim a key for a request: None, or what is known of the one that has it. Keys older than `before` are void."""
    values = {"token_id": token_id, "key": key, "request_hash": request_hash, "at": at, "before": before}
    if await (await conn.execute(SQL.begin, values)).fetchone() is not None:
        return None
    async with conn.cursor(row_factory=class_row(StoredReply)) as cursor:
        await cursor.execute(SQL.reply_of, {"token_id": token_id, "key": key})
        found = await cursor.fetchone()
    return found or StoredReply(request_hash=request_hash, status=None, location="", body="")


async def keep(
    conn: AsyncConnection, token_id: str, key: str, *, status: int, location: str, body: str
) -> None:
    """Remember how the request of a key was answered."""
    values = {"token_id": token_id, "key": key, "status": status, "location": location, "body": body}
    await conn.execute(SQL.keep, values)


async def forget(conn: AsyncConnection, token_id: str, key: str) -> None:
    """The request of a key did nothing: it may be made again."""
    await conn.execute(SQL.forget, {"token_id": token_id, "key": key})
