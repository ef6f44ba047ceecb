"""The inbox as it is stored: deliveries seen, events, and the work that they mean for automations."""

import json
import re
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from stockwright.model import Json, NewEvent, ShopId
from stockwright.store.queries import queries

SQL = queries("inbox")

_UNSTORABLE = re.compile(r"\\u0000|\\u[dD][89a-fA-F]")  # in escaped JSON: NUL, or half of a surrogate pair


async def receive(conn: AsyncConnection, events: Sequence[NewEvent]) -> list[bool | None]:
    """Store events with their work and wake the keys, in one statement of the caller's transaction.

    False stands for an event that is already there: the same webhook id of a shop, or the same event id. None
    stands for one of a shop that is not there, perhaps no longer: it is not stored.
    An event that no automation listens to is stored all the same, without work.
    """
    batch = [_row(no, event) for no, event in _first_of_each(events)]
    cursor = await conn.execute(SQL.receive, {"batch": dump(batch)})
    found = await cursor.fetchone()
    stored, gone = (set(numbers or ()) for numbers in found[:2]) if found else (set(), set())
    return [None if event.shop_id in gone else no in stored for no, event in enumerate(events)]


async def has_news(
    conn: AsyncConnection, shop_id: ShopId, subjects: Sequence[str], *, within_s: float
) -> bool:
    """Whether a webhook about one of these subjects was stored within the last seconds, by whichever process."""
    values = {"shop_id": shop_id, "subjects": list(subjects), "within_s": within_s}
    row = await (await conn.execute(SQL.has_news, values)).fetchone()
    return bool(row and row[0])


def _first_of_each(events: Sequence[NewEvent]) -> list[tuple[int, NewEvent]]:
    """Drop repeats inside the batch: one statement cannot see its own inserts."""
    first: dict[tuple[int, str, str], tuple[int, NewEvent]] = {}
    for no, event in enumerate(events):
        kind, name = ("webhook", event.webhook_id) if event.webhook_id else ("event", event.event_id)
        first.setdefault((event.shop_id, kind, name), (no, event))
    return list(first.values())


def _row(no: int, event: NewEvent) -> dict[str, Any]:
    return {
        "no": no,
        "shop_id": event.shop_id,
        "event_id": event.event_id,
        "topic": event.topic,
        "subject": event.subject,
        "payload": event.payload,
        "source": event.source,
        "automation_id": event.automation_id,
        "webhook_id": event.webhook_id,
        "shopify_event_id": event.shopify_event_id,
        "triggered_at": event.triggered_at.isoformat() if event.triggered_at else None,
    }


def dump(value: Json) -> str:
    """JSON that PostgreSQL accepts: NUL and lone surrogates become U+FFFD, infinite numbers are refused.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, default=dict)
    if not _UNSTORABLE.search(text):
        return text
    return json.dumps(_storable(value), separators=(",", ":"), allow_nan=False, default=dict)


def _storable(value: Json) -> Json:
    match value:
        case str():
            whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            return whole.replace("\0", "\ufffd")
        case dict():
            return {_storable(name): _storable(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_storable(inner) for inner in value]
        case _:
            return value
