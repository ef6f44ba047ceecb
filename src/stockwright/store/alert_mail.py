"""Between messages and the people whom they tell: what speaks against sending, and what came of it.

The caller owns the transaction, so that a message and its people always agree. Messages are locked before people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("alert_mail")

KIND = "back_in_stock"  # of messages that tell people in line
REFUSED = "The mail server refused this address; it is not mailed any more."


@dataclass(frozen=True, kw_only=True)
class AlertRow:
    """One person's request that a message tells of, as it is now."""

    message_id: str
    wave_id: str
    telling: str  # state of the notification
    subscriber_id: str
    state: str
    product_id: str
    variant_id: str
    quantity: int
    has_address: bool
    is_suppressed: bool


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A claimed message that is not to be sent, and why."""

    message_id: str
    fence: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class SettledMail:
    """How a message ended."""

    message_id: str
    state: str  # sent | unknown | failed
    reason: str
    reply: str
    suppress: bool = False  # the server says that there is no such address


async def hold(conn: AsyncConnection, shop_id: ShopId, message_ids: Sequence[str]) -> None:
    """Keep whom these messages tell as they are until the transaction ends; waits for who is changing them."""
    await conn.execute(SQL.hold, {"shop_id": shop_id, "message_ids": list(message_ids)})


async def addresses_of(conn: AsyncConnection, shop_id: ShopId, message_ids: Sequence[str]) -> list[bytes]:
    """The hashed addresses of those whom these messages tell."""
    cursor = await conn.execute(SQL.addresses_of, {"shop_id": shop_id, "message_ids": list(message_ids)})
    return [bytes(row[0]) for row in await cursor.fetchall()]


async def alerts_of(conn: AsyncConnection, shop_id: ShopId, message_ids: Sequence[str]) -> list[AlertRow]:
    """What is known now of the people whom these messages tell."""
    async with conn.cursor(row_factory=class_row(AlertRow)) as cursor:
        await cursor.execute(SQL.alerts_of, {"shop_id": shop_id, "message_ids": list(message_ids)})
        return await cursor.fetchall()


async def drop(conn: AsyncConnection, shop_id: ShopId, dropped: Sequence[Dropped], at: datetime) -> None:
    """Cancel claimed messages; the people whom they were for wait on, with the reason."""
    if not dropped:
        return
    values = {
        "shop_id": shop_id,
        "message_ids": [one.message_id for one in dropped],
        "fences": [one.fence for one in dropped],
        "reasons": [one.reason for one in dropped],
    }
    rows = await (await conn.execute(SQL.drop_messages, values)).fetchall()
    gone = {str(row[0]) for row in rows}
    reasons = {one.message_id: one.reason for one in dropped if one.message_id in gone}
    await put_back(conn, shop_id, reasons, at)


async def put_back(conn: AsyncConnection, shop_id: ShopId, reasons: dict[str, str], at: datetime) -> None:
    """Put people whose message was cancelled (id -> why) back in line."""
    if reasons:
        values = {
            "shop_id": shop_id,
            "message_ids": list(reasons),
            "reasons": list(reasons.values()),
            "at": at,
        }
        await conn.execute(SQL.back_in_line, values)


async def settle(conn: AsyncConnection, shop_id: ShopId, ended: Sequence[SettledMail], at: datetime) -> None:
    """Record what came of messages for the people whom they tell."""
    if not ended:
        return
    values = {
        "shop_id": shop_id,
        "message_ids": [one.message_id for one in ended],
        "states": [one.state for one in ended],
        "reasons": [one.reason for one in ended],
        "replies": [one.reply for one in ended],
        "suppress": [one.suppress for one in ended],
        "at": at,
    }
    await conn.execute(SQL.settle, values)
    refused = [one.message_id for one in ended if one.suppress]
    if refused:
        told = {"shop_id": shop_id, "message_ids": refused, "reason": REFUSED, "at": at}
        await conn.execute(SQL.suppress_others, told)


async def fail_people(
    conn: AsyncConnection, shop_id: ShopId, subscriber_ids: Sequence[str], *, reason: str, at: datetime
) -> None:
    """People who were taken out of the line and to whom nobody can write."""
    values = {"shop_id": shop_id, "subscriber_ids": list(subscriber_ids), "reason": reason, "at": at}
    await conn.execute(SQL.fail_people, values)


async def cancel_people(conn: AsyncConnection, shop_id: ShopId, message_id: str, *, reason: str) -> None:
    """A person cancelled the message: whom it was for waits no more."""
    values = {"shop_id": shop_id, "message_id": message_id, "reason": reason}
    await conn.execute(SQL.cancel_people, values)


async def queue_people_again(conn: AsyncConnection, shop_id: ShopId, message_id: str) -> None:
    """A person sends the message again: whom it was for is to be told by it once more."""
    await conn.execute(SQL.queue_people_again, {"shop_id": shop_id, "message_id": message_id})


async def keys_taken(conn: AsyncConnection, shop_id: ShopId, keys: Sequence[str]) -> set[str]:
    """Of these keys those that a message of the shop has."""
    values = {"shop_id": shop_id, "keys": list(keys)}
    return {str(row[0]) for row in await (await conn.execute(SQL.keys_taken, values)).fetchall()}
