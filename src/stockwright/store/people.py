"""Subscribers as people ask about them: lists, one person's story, ending, putting in line again, purging.

Signing up and telling are written elsewhere. Locks messages before subscribers, as sending does. Lists are
planned for their values: a plan for any filter would read whole tables for most of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import JsonObject, ShopId
from stockwright.store.ids import new_id
from stockwright.store.queries import queries

SQL = queries("people")

_BEING_SENT = "sending"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which subscribers of a shop; None narrows nothing."""

    shop_id: ShopId
    status: str | None = None  # Pending | Sent | Failed
    state: str | None = None  # as notify.states.State
    variant_id: str | None = None  # gid
    product_id: str | None = None  # gid
    offer_id: str | None = None
    locale: str | None = None
    address: str | None = None  # normalised, or the beginning of one


@dataclass(frozen=True, kw_only=True)
class PersonRow:
    """One request of one address for one variant; see the table for the meaning of each column."""

    shop_id: ShopId
    subscriber_id: str
    email: str  # "" = erased
    product_id: str
    variant_id: str
    product_title: str
    variant_title: str
    offer_id: str
    state: str
    reason: str
    delivered: str
    status: str  # Pending | Sent | Failed
    locale: str
    first_name: str
    customer_id: str
    quantity: int
    source: str
    page: str
    consent: JsonObject
    cycle: int
    wave_id: str
    message_id: str
    created_at: datetime
    confirmed_at: datetime | None
    notified_at: datetime | None
    unsubscribed_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """Something that happened to a subscriber."""

    at: datetime
    what: str
    detail: str
    wave_id: str
    actor: str  # "" = the service or the shopper


@dataclass(frozen=True, kw_only=True)
class NotificationRow:
    """One telling of a subscriber, or why it was not done."""

    wave_id: str
    kind: str
    message_id: str
    state: str
    reason: str
    smtp_reply: str
    created_at: datetime
    finished_at: datetime | None
    wave_opened_at: datetime | None  # None: the wave is not kept any more
    wave_state: str | None
    wave_reason: str | None


@dataclass(frozen=True, kw_only=True)
class TryRow:
    """One attempt at a message, with the server's answer."""

    message_id: str
    attempt: int
    server: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    reply: str


@dataclass(frozen=True, kw_only=True)
class OtherRow:
    """Another request of the same address."""

    subscriber_id: str
    product_title: str
    variant_title: str
    status: str
    state: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Suppressed:
    """Why an address is not mailed."""

    reason: str
    detail: str
    at: datetime


# --- lists --------------------------------------------------------------------------------------------------


async def people(
    conn: AsyncConnection, wanted: Wanted, *, before: str | None = None, limit: int
) -> list[PersonRow]:
    """Up to `limit` subscribers, newest first; `before` is the last id of the page before."""
    values = {**filters_of(wanted), "before": before, "limit": limit}
    async with conn.cursor(row_factory=class_row(PersonRow)) as cursor:
        await cursor.execute(SQL.page_of_people, values, prepare=False)
        return await cursor.fetchall()


async def count_fitting(conn: AsyncConnection, wanted: Wanted, *, limit: int) -> int:
    """How many fit; `limit` stands for that many or more."""
    values = {**filters_of(wanted), "limit": limit}
    row = await (await conn.execute(SQL.count_fitting, values, prepare=False)).fetchone()
    return int(row[0]) if row else 0


def filters_of(wanted: Wanted) -> dict[str, Any]:
    """The values that the statements of lists take."""
    pattern = None if wanted.address is None else _beginning(wanted.address)
    return {
        "shop_id": wanted.shop_id,
        "status": wanted.status,
        "state": wanted.state,
        "variant_id": wanted.variant_id,
        "product_id": wanted.product_id,
        "offer_id": wanted.offer_id,
        "locale": wanted.locale,
        "pattern": pattern,
    }


def _beginning(text: str) -> str:
    """The LIKE pattern of texts that begin so."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{escaped}%"


async def count_waiting(conn: AsyncConnection, shop_id: ShopId, *, limit: int) -> int:
    """How many wait in a shop; `limit` stands for that many or more."""
    row = await (await conn.execute(SQL.count_waiting, {"shop_id": shop_id, "limit": limit})).fetchone()
    return int(row[0]) if row else 0


async def waiting_of(conn: AsyncConnection, shop_id: ShopId, rows: Sequence[PersonRow]) -> dict[str, int]:
    """How many wait for each variant that these rows are about; 0 has no entry."""
    values = {
        "shop_id": shop_id,
        "product_ids": sorted({row.product_id for row in rows}),
        "variant_ids": sorted({row.variant_id for row in rows}),
    }
    cursor = await conn.execute(SQL.waiting_of_variants, values, prepare=False)
    return {str(variant_id): int(count) for variant_id, count in await cursor.fetchall()}


async def locales_used(conn: AsyncConnection, shop_id: ShopId) -> list[str]:
    """The languages of the newest subscribers, sorted."""
    cursor = await conn.execute(SQL.locales_used, {"shop_id": shop_id})
    return [str(row[0]) for row in await cursor.fetchall()]


async def offers_of(conn: AsyncConnection, shop_id: ShopId) -> list[tuple[str, str]]:
    """(id, name) of the newest offers of a shop, to choose from."""
    cursor = await conn.execute(SQL.offers_of, {"shop_id": shop_id})
    return [(str(offer_id), str(name)) for offer_id, name in await cursor.fetchall()]


# --- one person ---------------------------------------------------------------------------------------------


async def get(conn: AsyncConnection, subscriber_id: str) -> PersonRow | None:
    """One subscriber by its id alone; ids are unique over all shops."""
    async with conn.cursor(row_factory=class_row(PersonRow)) as cursor:
        await cursor.execute(SQL.get_person, {"subscriber_id": subscriber_id})
        return await cursor.fetchone()


async def of_address(
    conn: AsyncConnection,
    shop_id: ShopId,
    address_hashes: Sequence[bytes],
    *,
    customer_id: str = "",
    limit: int,
) -> list[PersonRow]:
    """Every subscriber of these addresses or of the customer, oldest first."""
    values = {"shop_id": shop_id, "address_hashes": list(address_hashes), "customer_id": customer_id}
    async with conn.cursor(row_factory=class_row(PersonRow)) as cursor:
        await cursor.execute(SQL.people_of_address, {**values, "limit": limit})
        return await cursor.fetchall()


async def steps(conn: AsyncConnection, shop_id: ShopId, subscriber_id: str) -> list[StepRow]:
    """What happened, oldest first."""
    async with conn.cursor(row_factory=class_row(StepRow)) as cursor:
        await cursor.execute(SQL.steps_of, {"shop_id": shop_id, "subscriber_id": subscriber_id})
        return await cursor.fetchall()


async def notifications(conn: AsyncConnection, shop_id: ShopId, subscriber_id: str) -> list[NotificationRow]:
    """Each telling, oldest first."""
    async with conn.cursor(row_factory=class_row(NotificationRow)) as cursor:
        await cursor.execute(SQL.notifications_of, {"shop_id": shop_id, "subscriber_id": subscriber_id})
        return await cursor.fetchall()


async def tries(conn: AsyncConnection, shop_id: ShopId, message_ids: Sequence[str]) -> list[TryRow]:
    """Every attempt at these messages, oldest first."""
    async with conn.cursor(row_factory=class_row(TryRow)) as cursor:
        await cursor.execute(SQL.tries_of, {"shop_id": shop_id, "message_ids": list(message_ids)})
        return await cursor.fetchall()


async def others(
    conn: AsyncConnection, shop_id: ShopId, subscriber_id: str, *, limit: int = 20
) -> list[OtherRow]:
    """The newest other requests of the same address."""
    values = {"shop_id": shop_id, "subscriber_id": subscriber_id, "limit": limit}
    async with conn.cursor(row_factory=class_row(OtherRow)) as cursor:
        await cursor.execute(SQL.other_requests, values)
        return await cursor.fetchall()


async def suppression(conn: AsyncConnection, shop_id: ShopId, subscriber_id: str) -> Suppressed | None:
    """Why the address of a subscriber is not mailed; None: it may be."""
    async with conn.cursor(row_factory=class_row(Suppressed)) as cursor:
        await cursor.execute(SQL.suppression_of, {"shop_id": shop_id, "subscriber_id": subscriber_id})
        return await cursor.fetchone()


# --- a person's wishes ----------------------------------------------------------------------------------------


async def cancel(
    conn: AsyncConnection,
    shop_id: ShopId,
    subscriber_ids: Sequence[str],
    *,
    reason: str,
    actor: str,
    at: datetime,
) -> list[str]:
    """End the waiting of these; the ids of those that waited and are not being mailed this moment."""
    values = {"shop_id": shop_id, "subscriber_ids": list(subscriber_ids)}
    locked = await (await conn.execute(SQL.lock_messages, values)).fetchall()
    being_sent = [message_id for message_id, state in locked if state == _BEING_SENT]
    values |= {"being_sent": being_sent, "reason": reason, "actor": actor, "at": at}
    return [str(row[0]) for row in await (await conn.execute(SQL.cancel_people, values)).fetchall()]


async def again_by_message(
    conn: AsyncConnection, shop_id: ShopId, message_id: str, *, actor: str, at: datetime
) -> list[str]:
    """Queue a failed or doubtful message once more; the subscribers that it is for and who wait for it now."""
    values = {"shop_id": shop_id, "message_id": message_id, "actor": actor, "at": at}
    return [str(row[0]) for row in await (await conn.execute(SQL.again_by_message, values)).fetchall()]


async def ask_again(
    conn: AsyncConnection, shop_id: ShopId, subscriber_id: str, *, actor: str, at: datetime
) -> str | None:
    """Put an ended request in line again as a new one; its id, or None when the address waits already."""
    values = {
        "shop_id": shop_id,
        "subscriber_id": subscriber_id,
        "new_id": new_id("sub", at),
        "actor": actor,
        "at": at,
    }
    row = await (await conn.execute(SQL.ask_again, values)).fetchone()
    return None if row is None else str(row[0])


# --- keeping no longer than wanted ------------------------------------------------------------------------------


async def purge_ended(
    conn: AsyncConnection, shop_id: ShopId, states: Sequence[str], *, before: datetime, limit: int
) -> int:
    """Delete up to `limit` that ended before in one of these states; how many."""
    values = {"shop_id": shop_id, "states": list(states), "before": before, "limit": limit}
    return (await conn.execute(SQL.purge_ended, values)).rowcount


async def purge_unconfirmed(conn: AsyncConnection, shop_id: ShopId, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` sign-ups made before that nobody confirmed; how many."""
    values = {"shop_id": shop_id, "before": before, "limit": limit}
    return (await conn.execute(SQL.purge_unconfirmed, values)).rowcount
