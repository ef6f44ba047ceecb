"""Sign-ups as they are stored: one waiting request per address and variant, confirm keys, counters of limits.

Lists of people and their administration are in `people`. Confirm keys are stored as hashes only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import JsonObject, ShopId
from stockwright.store.queries import queries

SQL = queries("signups")


@dataclass(frozen=True, kw_only=True)
class NewRequest:
    """A request of one address to be told of one variant."""

    subscriber_id: str
    email: str  # normalised
    address_hash: bytes
    product_id: str
    variant_id: str
    product_title: str
    variant_title: str
    offer_id: str
    state: str  # unconfirmed | pending | suppressed
    locale: str
    source: str  # proxy | direct
    at: datetime
    reason: str = ""
    first_name: str = ""
    customer_id: str = ""  # gid; "" = guest
    quantity: int = 1
    page: str = ""
    consent: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RequestRow:
    """What pages and mails need of a stored request."""

    subscriber_id: str
    email: str  # "" = erased
    address_hash: bytes
    product_id: str
    variant_id: str
    product_title: str
    variant_title: str
    state: str
    locale: str
    first_name: str
    confirm_hash: bytes | None
    confirm_expires_at: datetime | None
    confirm_sent_at: datetime | None

    @property
    def item(self) -> str:
        """The product, with the variant where it has a name."""
        return f"{self.product_title} – {self.variant_title}" if self.variant_title else self.product_title


async def insert(conn: AsyncConnection, shop_id: ShopId, new: NewRequest) -> bool:
    """Store a request; False: one of this address for this variant waits already (or was noted as suppressed)."""
    values = {**vars(new), "shop_id": shop_id, "consent": Jsonb(dict(new.consent))}
    sql = SQL.insert_suppressed if new.state == "suppressed" else SQL.insert_waiting
    return await (await conn.execute(sql, values)).fetchone() is not None


async def lock_waiting(
    conn: AsyncConnection, shop_id: ShopId, address_hash: bytes, variant_id: str
) -> RequestRow | None:
    """The request that waits for a variant, locked."""
    values = {"shop_id": shop_id, "address_hash": address_hash, "variant_id": variant_id}
    return await _one(conn, SQL.lock_waiting, values)


async def get(conn: AsyncConnection, shop_id: ShopId, subscriber_id: str) -> RequestRow | None:
    """One request, or None."""
    return await _one(conn, SQL.get, {"shop_id": shop_id, "subscriber_id": subscriber_id})


async def lock(conn: AsyncConnection, shop_id: ShopId, subscriber_id: str) -> RequestRow | None:
    """One request, locked until the transaction ends, or None."""
    return await _one(conn, SQL.lock, {"shop_id": shop_id, "subscriber_id": subscriber_id})


async def waiting_of(conn: AsyncConnection, shop_id: ShopId, address_hash: bytes) -> list[RequestRow]:
    """What an address waits for, oldest first, at most 200."""
    async with conn.cursor(row_factory=class_row(RequestRow)) as cursor:
        await cursor.execute(SQL.waiting_of, {"shop_id": shop_id, "address_hash": address_hash})
        return await cursor.fetchall()


async def email_of(conn: AsyncConnection, shop_id: ShopId, address_hash: bytes) -> str:
    """The address behind a hash, while some request still has it; else ""."""
    values = {"shop_id": shop_id, "address_hash": address_hash}
    row = await (await conn.execute(SQL.email_of, values)).fetchone()
    return str(row[0]) if row else ""


async def _one(conn: AsyncConnection, sql: bytes, values: dict[str, Any]) -> RequestRow | None:
    async with conn.cursor(row_factory=class_row(RequestRow)) as cursor:
        await cursor.execute(sql, values)
        return await cursor.fetchone()


# --- what happens to one --------------------------------------------------------------------------------------


async def activate(
    conn: AsyncConnection, shop_id: ShopId, subscriber_id: str, *, confirmed_at: datetime | None
) -> bool:
    """Have an unconfirmed request wait; False: it is not unconfirmed. None: it needs no confirmation any more."""
    values = {"shop_id": shop_id, "subscriber_id": subscriber_id, "confirmed_at": confirmed_at}
    return await (await conn.execute(SQL.activate, values)).fetchone() is not None


async def set_confirm_key(
    conn: AsyncConnection,
    shop_id: ShopId,
    subscriber_id: str,
    *,
    confirm_hash: bytes,
    expires_at: datetime,
    rested_since: datetime,
    at: datetime,
) -> bool:
    """Give an unconfirmed request a new key; False: it is confirmed, or its last key was made after `rested_since`."""
    values = {"shop_id": shop_id, "subscriber_id": subscriber_id, "confirm_hash": confirm_hash, "at": at}
    values |= {"expires_at": expires_at, "rested_since": rested_since}
    return await (await conn.execute(SQL.new_key, values)).fetchone() is not None


async def add_step(
    conn: AsyncConnection, shop_id: ShopId, subscriber_id: str, what: str, *, detail: str = "", at: datetime
) -> None:
    """Record what happened, for "why was this (not) sent"."""
    values = {"shop_id": shop_id, "subscriber_id": subscriber_id, "what": what, "detail": detail, "at": at}
    await conn.execute(SQL.add_step, values)


async def unsubscribe_item(
    conn: AsyncConnection, shop_id: ShopId, row: RequestRow, *, reason: str, at: datetime
) -> int:
    """End an address's waiting for the product of a request; how many requests were marked."""
    values = {"shop_id": shop_id, "address_hash": row.address_hash, "subscriber_id": row.subscriber_id}
    values |= {"product_id": row.product_id, "reason": reason, "at": at}
    return len(await (await conn.execute(SQL.unsubscribe_item, values)).fetchall())


async def unsubscribe_all(
    conn: AsyncConnection,
    shop_id: ShopId,
    address_hash: bytes,
    *,
    subscriber_id: str,
    reason: str,
    at: datetime,
) -> int:
    """End an address's waiting for everything; how many requests were marked."""
    values = {"shop_id": shop_id, "address_hash": address_hash, "subscriber_id": subscriber_id}
    values |= {"reason": reason, "at": at}
    return len(await (await conn.execute(SQL.unsubscribe_all, values)).fetchall())


# --- what is known without asking the shop --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LastKnown:
    """What was last seen of a variant."""

    product_title: str
    variant_title: str
    is_in: bool
    is_watched: bool  # False: its stock was never looked at, an offer has it


async def product_of_variant(conn: AsyncConnection, shop_id: ShopId, variant_id: str) -> str:
    """The product (gid) that a variant was seen in; "" = it was never seen."""
    values = {"shop_id": shop_id, "variant_id": variant_id}
    row = await (await conn.execute(SQL.product_of_variant, values)).fetchone()
    return str(row[0]) if row else ""


async def last_known(
    conn: AsyncConnection, shop_id: ShopId, product_id: str, variant_id: str
) -> LastKnown | None:
    """What was last seen of a variant, or of its product in an offer; None = nothing."""
    values = {"shop_id": shop_id, "product_id": product_id, "variant_id": variant_id}
    async with conn.cursor(row_factory=class_row(LastKnown)) as cursor:
        await cursor.execute(SQL.last_known, values)
        return await cursor.fetchone()


# --- counters of limits ---------------------------------------------------------------------------------------


async def counts(
    conn: AsyncConnection, shop_id: ShopId, buckets: Sequence[bytes], *, window_at: datetime
) -> dict[bytes, int]:
    """How far counters have come in a window; an untouched one is absent."""
    values = {"shop_id": shop_id, "buckets": list(buckets), "window_at": window_at}
    rows = await (await conn.execute(SQL.counts, values)).fetchall()
    return {bytes(bucket): int(count) for bucket, count in rows}


async def use(
    conn: AsyncConnection, shop_id: ShopId, bucket: bytes, *, window_at: datetime, most: int
) -> bool:
    """Count one more; False: `most` is reached, and nothing was written. Take several in the order of their names."""
    values = {"shop_id": shop_id, "bucket": bucket, "window_at": window_at, "most": most}
    return await (await conn.execute(SQL.use, values)).fetchone() is not None


async def delete_counts(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` counters of windows that began before; how many."""
    return (await conn.execute(SQL.delete_counts, {"before": before, "limit": limit})).rowcount
