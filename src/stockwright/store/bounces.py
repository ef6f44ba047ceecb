"""Reports of mail that came back, each once, and what follows for the address and the people told by the message."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("bounces")


@dataclass(frozen=True, kw_only=True)
class ReturnedMessage:
    """The message of ours that a report is about."""

    shop_id: ShopId
    message_id: str
    recipient: str  # "" = erased
    kind: str
    state: str


@dataclass(frozen=True, kw_only=True)
class BounceRow:
    """One recipient's part of a report, as it is kept."""

    shop_id: ShopId
    bounce_id: str  # digest of the report
    address_hash: bytes
    message_id: str
    action: str  # failed, delayed, complained, ...
    status: str  # x.y.z
    diagnostic: str
    is_hard: bool
    source: str  # imap | relay | command
    at: datetime


async def message_of(conn: AsyncConnection, message_id: str) -> ReturnedMessage | None:
    """The message of an id; None: it is not ours, or kept no longer."""
    async with conn.cursor(row_factory=class_row(ReturnedMessage)) as cursor:
        await cursor.execute(SQL.message_of, {"message_id": message_id})
        return await cursor.fetchone()


async def record(conn: AsyncConnection, row: BounceRow) -> bool:
    """Keep a report; False: it was read before."""
    return await (await conn.execute(SQL.insert_bounce, vars(row))).fetchone() is not None


async def soft_since(conn: AsyncConnection, shop_id: ShopId, address_hash: bytes, since: datetime) -> int:
    """How many messages to an address have bounced softly since then."""
    values = {"shop_id": shop_id, "address_hash": address_hash, "since": since}
    row = await (await conn.execute(SQL.soft_since, values)).fetchone()
    return int(row[0]) if row else 0


async def suppress(
    conn: AsyncConnection,
    shop_id: ShopId,
    address_hash: bytes,
    reason: Literal["bounced", "complained", "refused"],
    *,
    detail: str,
    at: datetime,
) -> None:
    """Mail an address no more, because servers or its owner's mail program said so."""
    values = {"shop_id": shop_id, "address_hash": address_hash, "reason": reason, "detail": detail, "at": at}
    await conn.execute(SQL.suppress, values)


async def mark_bounced(
    conn: AsyncConnection, message: ReturnedMessage, *, reason: str, diagnostic: str, at: datetime
) -> int:
    """Those who were told by a message were not, after all; how many."""
    values = {
        "shop_id": message.shop_id,
        "message_id": message.message_id,
        "reason": reason,
        "diagnostic": diagnostic,
        "at": at,
    }
    return (await conn.execute(SQL.bounced_subscribers, values)).rowcount


async def end_waiting(
    conn: AsyncConnection,
    shop_id: ShopId,
    address_hash: bytes,
    state: Literal["suppressed", "unsubscribed"],
    *,
    reason: str,
    at: datetime,
) -> int:
    """Whatever an address waits for ends; how many requests."""
    values = {"shop_id": shop_id, "address_hash": address_hash, "state": state, "reason": reason, "at": at}
    return (await conn.execute(SQL.end_waiting, values)).rowcount


async def delete_old(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` reports from before then; how many."""
    return (await conn.execute(SQL.delete_bounces, {"before": before, "limit": limit})).rowcount
