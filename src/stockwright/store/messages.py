"""Messages to be mailed: each key once, each attempt recorded, the outcome kept even when nobody knows it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import AutomationId, JsonObject, Key, ShopId
from stockwright.store import alert_mail, wake
from stockwright.store.ids import new_id
from stockwright.store.queries import queries

SQL = queries("messages")

MAIL = AutomationId("mail")  # stands for the mail queue in keys: not an automation, but serialised like one
QUEUE_SUBJECT = "queue"


def queue_key(shop_id: ShopId) -> Key:
    """The key whose run sends a shop's messages."""
    return Key(shop_id=shop_id, automation_id=MAIL, subject=QUEUE_SUBJECT)


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """A message with its final texts, on its way into the queue; checked before (`mail.message.Message`)."""

    key: str
    kind: str
    to: str
    subject: str
    text: str
    html: str = ""
    headers: JsonObject = field(default_factory=dict)
    from_name: str = ""
    reply_to: str = ""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A message that one sender holds, for as long as its fence is the newest."""

    shop_id: ShopId
    message_id: str
    key: str
    kind: str
    recipient: str
    subject: str
    text: str
    html: str
    headers: JsonObject
    from_name: str
    reply_to: str
    attempts: int
    fence: int
    tried_since: datetime | None
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class MessageRow:
    """A message as pages and commands show it; `text`, `html` and `headers` are empty in lists."""

    shop_id: ShopId
    message_id: str
    key: str
    kind: str
    recipient: str
    subject: str
    text: str
    html: str
    headers: JsonObject
    from_name: str
    reply_to: str
    state: str  # pending | sending | sent | failed | unknown | held | cancelled
    reason: str
    attempts: int
    next_at: datetime | None
    created_at: datetime
    sent_at: datetime | None
    smtp_reply: str


@dataclass(frozen=True, kw_only=True)
class MessageAttempt:
    """One try at a message."""

    attempt: int
    server: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str  # started | sent | unknown | a class of failure
    reply: str


async def enqueue(conn: AsyncConnection, shop_id: ShopId, message: NewMessage, at: datetime) -> bool:
    """Queue a message in the caller's transaction and wake the queue; False: its key is there already.

    Call it at the end of a transaction: it wakes a key, and jobs are the last locks.
    """
    if await insert(conn, shop_id, message, at) is None:
        return False
    await wake.wake(conn, [(queue_key(shop_id), None)])
    return True


async def insert(conn: AsyncConnection, shop_id: ShopId, message: NewMessage, at: datetime) -> str | None:
    """Queue a message without waking the queue; its id, or None when its key is there already."""
    values = {
        **vars(message),
        "recipient": message.to,
        "headers": Jsonb(dict(message.headers)),
        "shop_id": shop_id,
        "message_id": new_id("msg", at),
        "at": at,
    }
    row = await (await conn.execute(SQL.insert_message, values)).fetchone()
    return None if row is None else str(row[0])


async def insert_all(
    conn: AsyncConnection,
    shop_id: ShopId,
    kind: str,
    given: Sequence[tuple[str, NewMessage]],
    at: datetime,
) -> set[str]:
    """Queue messages of one kind, each under an id of `new_id("msg", ...)`; the ids of those whose key was new."""
    if not given:
        return set()
    values = {
        "shop_id": shop_id,
        "kind": kind,
        "at": at,
        "message_ids": [message_id for message_id, _ in given],
        "keys": [one.key for _, one in given],
        "recipients": [one.to for _, one in given],
        "subjects": [one.subject for _, one in given],
        "texts": [one.text for _, one in given],
        "htmls": [one.html for _, one in given],
        "headers": [Jsonb(dict(one.headers)) for _, one in given],
    }
    return {str(row[0]) for row in await (await conn.execute(SQL.insert_messages, values)).fetchall()}


# --- sending ------------------------------------------------------------------------------------------------


async def claim(
    conn: AsyncConnection, shop_id: ShopId, *, limit: int, lease_s: float, message_id: str | None = None
) -> list[Claimed]:
    """Take up to `limit` messages that are due, for `lease_s` seconds."""
    values = {"shop_id": shop_id, "limit": limit, "lease_s": lease_s, "message_id": message_id}
    async with conn.cursor(row_factory=class_row(Claimed)) as cursor:
        await cursor.execute(SQL.claim, values)
        found = await cursor.fetchall()
    return sorted(found, key=lambda one: (one.due_at, one.message_id))


async def begin(
    conn: AsyncConnection, claimed: Claimed, *, server: str, lease_s: float, at: datetime
) -> bool:
    """Record that the message is about to be handed over; False when another sender has it by now."""
    return bool(await begin_all(conn, [claimed], server=server, lease_s=lease_s, at=at))


async def begin_all(
    conn: AsyncConnection, claimed: Sequence[Claimed], *, server: str, lease_s: float, at: datetime
) -> set[str]:
    """The same for several messages of one shop; the ids of those that are still this sender's."""
    if not claimed:
        return set()
    values = {**_claims_values(claimed), "server": server, "lease_s": lease_s, "at": at}
    return {str(row[0]) for row in await (await conn.execute(SQL.begin, values)).fetchall()}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What came of one attempt, and the message's state after it."""

    claimed: Claimed
    begun: bool  # the attempt was recorded when it began
    state: str
    outcome: str
    reason: str
    reply: str
    next_at: datetime | None


async def finish(
    conn: AsyncConnection,
    claimed: Claimed,
    *,
    begun: bool,
    server: str,
    state: str,
    outcome: str,
    reason: str,
    reply: str,
    next_at: datetime | None,
    at: datetime,
) -> bool:
    """Record an attempt and the message's state after it; False when another sender has it by now."""
    ended = Ended(
        claimed=claimed,
        begun=begun,
        state=state,
        outcome=outcome,
        reason=reason,
        reply=reply,
        next_at=next_at,
    )
    return bool(await finish_all(conn, [ended], server=server, at=at))


async def finish_all(conn: AsyncConnection, ended: Sequence[Ended], *, server: str, at: datetime) -> set[str]:
    """The same for several messages of one shop; the ids of those that are still this sender's."""
    if not ended:
        return set()
    begun = [one for one in ended if one.begun]
    for one in ended:
        if not one.begun:
            attempt = {**_claim_values(one.claimed), "server": server, "at": at}
            await conn.execute(SQL.add_attempt, {**attempt, "outcome": one.outcome, "reply": one.reply})
    if begun:
        values = {**_claims_values([one.claimed for one in begun]), "at": at}
        values |= {"outcomes": [one.outcome for one in begun], "replies": [one.reply for one in begun]}
        await conn.execute(SQL.end_attempts, values)
    values = {
        **_claims_values([one.claimed for one in ended]),
        "at": at,
        "states": [one.state for one in ended],
        "reasons": [one.reason for one in ended],
        "replies": [one.reply for one in ended],
        "next_ats": [one.next_at for one in ended],
    }
    return {str(row[0]) for row in await (await conn.execute(SQL.finish, values)).fetchall()}


async def postpone(conn: AsyncConnection, claimed: Claimed, *, next_at: datetime, reason: str) -> None:
    """Try a claimed message later, without an attempt."""
    values = {**_claim_values(claimed), "next_at": next_at, "reason": reason}
    await conn.execute(SQL.postpone, values)


def _claims_values(claimed: Sequence[Claimed]) -> dict[str, Any]:
    return {
        "shop_id": claimed[0].shop_id,
        "message_ids": [one.message_id for one in claimed],
        "fences": [one.fence for one in claimed],
    }


def _claim_values(claimed: Claimed) -> dict[str, Any]:
    return {"shop_id": claimed.shop_id, "message_id": claimed.message_id, "fence": claimed.fence}


async def release(conn: AsyncConnection, claimed: Sequence[Claimed]) -> None:
    """Give messages of one shop back that were claimed and not begun."""
    if claimed:
        values = {
            "shop_id": claimed[0].shop_id,
            "message_ids": [one.message_id for one in claimed],
            "fences": sorted({one.fence for one in claimed}),
        }
        await conn.execute(SQL.release, values)


async def lose(conn: AsyncConnection, shop_id: ShopId, *, reason: str, at: datetime) -> list[str]:
    """Messages whose sender died between handing over and recording become unknown; their ids."""
    values = {"shop_id": shop_id, "reason": reason, "at": at, "limit": 1000}
    return [str(row[0]) for row in await (await conn.execute(SQL.lose, values)).fetchall()]


# --- the whole queue ------------------------------------------------------------------------------------------


async def hold(conn: AsyncConnection, shop_id: ShopId, reason: str) -> int:
    """Hold what waits; how many."""
    return (await conn.execute(SQL.hold, {"shop_id": shop_id, "reason": reason})).rowcount


async def let_go(conn: AsyncConnection, shop_id: ShopId) -> int:
    """Let what was held wait again; how many."""
    return (await conn.execute(SQL.let_go, {"shop_id": shop_id})).rowcount


async def cancel_waiting(conn: AsyncConnection, shop_id: ShopId, reason: str) -> int:
    """Cancel everything that waits or is held; how many."""
    return (await conn.execute(SQL.cancel_waiting, {"shop_id": shop_id, "reason": reason})).rowcount


async def next_time(conn: AsyncConnection, shop_id: ShopId) -> datetime | None:
    """When the shop's queue has to run next, by its messages alone."""
    row = await (await conn.execute(SQL.next_time, {"shop_id": shop_id})).fetchone()
    return row[0] if row else None


async def shops_to_look_at(conn: AsyncConnection) -> list[ShopId]:
    """Shops with messages that are due, held or left behind by a dead sender."""
    return [ShopId(row[0]) for row in await (await conn.execute(SQL.shops_to_look_at)).fetchall()]


# --- a person's wishes ----------------------------------------------------------------------------------------


async def send_again(conn: AsyncConnection, shop_id: ShopId, message_id: str) -> bool:
    """Queue a message once more, with its Message-ID, and wake the queue; False: it was sent or is being sent."""
    values = {"shop_id": shop_id, "message_id": message_id}
    if (await conn.execute(SQL.send_again, values)).rowcount != 1:
        return False
    await alert_mail.queue_people_again(conn, shop_id, message_id)
    await wake.wake(conn, [(queue_key(shop_id), None)])
    return True


async def cancel(conn: AsyncConnection, shop_id: ShopId, message_id: str, *, reason: str) -> bool:
    """Cancel a message that waits or is held; False: it is neither."""
    values = {"shop_id": shop_id, "message_id": message_id, "reason": reason}
    if (await conn.execute(SQL.cancel_one, values)).rowcount != 1:
        return False
    await alert_mail.cancel_people(conn, shop_id, message_id, reason=reason)
    return True


# --- showing --------------------------------------------------------------------------------------------------


async def get(conn: AsyncConnection, message_id: str) -> MessageRow | None:
    """One message by its id alone, with its texts; ids are unique over all shops."""
    return await _one(conn, SQL.get, {"message_id": message_id})


async def find_key(conn: AsyncConnection, shop_id: ShopId, key: str) -> MessageRow | None:
    """The message of a key."""
    return await _one(conn, SQL.find_key, {"shop_id": shop_id, "key": key})


async def _one(conn: AsyncConnection, sql: bytes, values: dict[str, Any]) -> MessageRow | None:
    async with conn.cursor(row_factory=class_row(MessageRow)) as cursor:
        await cursor.execute(sql, values)
        return await cursor.fetchone()


async def ending_in(conn: AsyncConnection, ending: str) -> list[str]:
    """Up to two ids that end in these characters."""
    return [str(row[0]) for row in await (await conn.execute(SQL.ending_in, {"ending": ending})).fetchall()]


async def list_messages(
    conn: AsyncConnection,
    *,
    shop_id: ShopId | None = None,
    state: str | None = None,
    kind: str | None = None,
    recipient: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[MessageRow]:
    """Messages, newest first, without their texts; `before` is the last id of the page before."""
    values = {
        "shop_id": shop_id,
        "state": state,
        "kind": kind,
        "recipient": recipient,
        "before": before,
        "limit": limit,
    }
    async with conn.cursor(row_factory=class_row(MessageRow)) as cursor:
        await cursor.execute(SQL.list_messages, values)
        return await cursor.fetchall()


async def attempts(conn: AsyncConnection, shop_id: ShopId, message_id: str) -> list[MessageAttempt]:
    """Every try at a message, oldest first."""
    async with conn.cursor(row_factory=class_row(MessageAttempt)) as cursor:
        await cursor.execute(SQL.attempts, {"shop_id": shop_id, "message_id": message_id})
        return await cursor.fetchall()


async def counts(conn: AsyncConnection, shop_id: ShopId | None = None) -> dict[str, int]:
    """How many messages are in each state but `sent` (there are too many to count); an empty state is absent."""
    rows = await (await conn.execute(SQL.counts, {"shop_id": shop_id})).fetchall()
    return {str(state): int(count) for state, count in rows}


async def sent_per_hour(
    conn: AsyncConnection, *, since: datetime, shop_id: ShopId | None = None
) -> list[tuple[datetime, int]]:
    """(hour, messages sent in it) since a time; hours without any are absent."""
    rows = await (await conn.execute(SQL.sent_per_hour, {"shop_id": shop_id, "since": since})).fetchall()
    return [(hour, int(count)) for hour, count in rows]


async def failures_like(
    conn: AsyncConnection, shop_id: ShopId, automation_id: str, *, message: str, since: datetime
) -> int:
    """How many runs of an automation have failed with this error since: what a report says of them."""
    values = {"shop_id": shop_id, "automation_id": automation_id, "message": message, "since": since}
    row = await (await conn.execute(SQL.failures_like, values)).fetchone()
    return int(row[0]) if row else 0


async def delete_old(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` ended messages created before, with their attempts; how many."""
    return (await conn.execute(SQL.delete_old, {"before": before, "limit": limit})).rowcount
