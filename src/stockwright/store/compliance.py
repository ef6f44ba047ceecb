"""What Shopify asks for the privacy of customers and shops, what was done about it, and the deletion of a shop."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import JsonObject, ShopId
from stockwright.store.queries import queries

SQL = queries("compliance")


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A privacy webhook that nobody has answered."""

    shop_id: ShopId
    event_id: str
    topic: str  # shopify/customers/redact, ...
    payload: JsonObject
    shopify_event_id: str | None
    received_at: datetime
    domain: str
    status: str  # of the shop
    was_uninstalled: bool  # the shop has sent app/uninstalled, some time


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked, and how it stands."""

    shop_id: ShopId
    request_id: str
    domain: str
    topic: str
    received_at: datetime
    due_at: datetime
    done_at: datetime | None
    result: JsonObject | None
    note: str  # why it waits for a person
    has_data: bool


@dataclass(frozen=True, kw_only=True)
class OpenRequests:
    """The requests of a shop that wait for a person."""

    shop_id: ShopId
    count: int
    due_at: datetime  # the first of them


async def waiting_webhooks(conn: AsyncConnection, *, limit: int) -> list[Webhook]:
    """Privacy webhooks to be answered, oldest first."""
    async with conn.cursor(row_factory=class_row(Webhook)) as cursor:
        await cursor.execute(SQL.waiting_webhooks, {"limit": limit})
        return await cursor.fetchall()


async def register(
    conn: AsyncConnection,
    webhook: Webhook,
    request_id: str,
    *,
    address_hash: bytes | None,
    customer_id: str,
    due_at: datetime,
) -> None:
    """Write down what was asked; a second time changes nothing."""
    values = {
        "shop_id": webhook.shop_id,
        "request_id": request_id,
        "domain": webhook.domain,
        "topic": webhook.topic,
        "address_hash": address_hash,
        "customer_id": customer_id,
        "received_at": webhook.received_at,
        "due_at": due_at,
    }
    await conn.execute(SQL.insert_request, values)


async def empty(conn: AsyncConnection, webhook: Webhook) -> None:
    """Forget what a webhook says of a person: it is answered."""
    await conn.execute(SQL.empty_webhook, {"shop_id": webhook.shop_id, "event_id": webhook.event_id})


async def finish(
    conn: AsyncConnection, shop_id: ShopId, request_id: str, *, result: JsonObject, at: datetime
) -> bool:
    """Note that a request is done, and with what result; False: it was done before."""
    values = {"shop_id": shop_id, "request_id": request_id, "result": Jsonb(dict(result)), "at": at}
    return (await conn.execute(SQL.finish_request, values)).rowcount == 1


async def save_data(
    conn: AsyncConnection, shop_id: ShopId, request_id: str, *, data: bytes, result: JsonObject, note: str
) -> None:
    """Keep the sealed answer to a data request until the merchant has it."""
    values = {"shop_id": shop_id, "request_id": request_id, "data": data, "note": note}
    await conn.execute(SQL.save_data, {**values, "result": Jsonb(dict(result))})


async def put_note(conn: AsyncConnection, shop_id: ShopId, request_id: str, note: str) -> None:
    """Say why a request waits for a person."""
    await conn.execute(SQL.put_note, {"shop_id": shop_id, "request_id": request_id, "note": note})


async def requests(conn: AsyncConnection, *, limit: int) -> list[Request]:
    """Requests of all shops: what is to be done by its date, then the newest."""
    async with conn.cursor(row_factory=class_row(Request)) as cursor:
        await cursor.execute(SQL.list_requests, {"limit": limit})
        return await cursor.fetchall()


async def shops_to_delete(conn: AsyncConnection, *, limit: int) -> list[Request]:
    """Requests to delete a shop that no person has to decide about, and that are not done."""
    async with conn.cursor(row_factory=class_row(Request)) as cursor:
        await cursor.execute(SQL.shops_to_delete, {"limit": limit})
        return await cursor.fetchall()


async def get(conn: AsyncConnection, request_id: str) -> Request | None:
    """One request."""
    async with conn.cursor(row_factory=class_row(Request)) as cursor:
        await cursor.execute(SQL.get_request, {"request_id": request_id})
        return await cursor.fetchone()


async def data_of(conn: AsyncConnection, request_id: str) -> bytes | None:
    """The sealed answer to a data request, while it is kept."""
    row = await (await conn.execute(SQL.data_of, {"request_id": request_id})).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])


async def open_requests(conn: AsyncConnection) -> dict[ShopId, OpenRequests]:
    """What waits for a person, by shop."""
    rows = await (await conn.execute(SQL.count_open)).fetchall()
    found = (OpenRequests(shop_id=ShopId(one), count=int(count), due_at=due) for one, count, due in rows)
    return {one.shop_id: one for one in found}


async def forget_data(conn: AsyncConnection, *, before: datetime) -> None:
    """Delete the files of requests that were done before."""
    await conn.execute(SQL.forget_data, {"before": before})


async def back_in_line(conn: AsyncConnection, shop_id: ShopId, *, reason: str, at: datetime) -> int:
    """Let people wait on whose queued mail was cancelled; how many."""
    values = {"shop_id": shop_id, "reason": reason, "at": at}
    return (await conn.execute(SQL.back_in_line, values)).rowcount


# --- a shop goes ------------------------------------------------------------------------------------------------

# Large tables, emptied in batches before the shop itself goes.
LARGE: tuple[bytes, ...] = (
    SQL.delete_subscribers_of,
    SQL.delete_messages_of,
    SQL.delete_work_of,
    SQL.delete_events_of,
    SQL.delete_deliveries_of,
    SQL.delete_effects_of,
    SQL.delete_runs_of,
    SQL.delete_journal_of,
)


async def delete_some(conn: AsyncConnection, shop_id: ShopId, sql: bytes, *, limit: int) -> int:
    """Delete up to `limit` rows of a shop from one table of LARGE; how many."""
    return (await conn.execute(sql, {"shop_id": shop_id, "limit": limit})).rowcount


async def delete_rest(conn: AsyncConnection, shop_id: ShopId) -> None:
    """Delete the rows of small tables that do not go with the shop's own row."""
    await conn.execute(SQL.delete_rest_of, {"shop_id": shop_id})
