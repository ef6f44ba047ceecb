"""Subscribers and demand as files: CSV and JSON, made while they are read, however many there are.

A page of rows is read on a connection of its own, so that a slow reader holds none.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from decimal import Decimal

from stockwright.deps import Deps
from stockwright.model import Json, JsonObject, gid_number
from stockwright.people_told import note_of
from stockwright.spreadsheet import csv_lines
from stockwright.store import people
from stockwright.store.demand import DemandRow
from stockwright.store.people import PersonRow, Wanted

_ROWS = 1000  # read at once

COLUMNS = (
    "Email",
    "Status",
    "Subscribed at",
    "Notified at",
    "Product",
    "Variant",
    "Note",
    "State",
    "Offer",
    "Locale",
    "First name",
    "Quantity",
    "Source",
    "Unsubscribed at",
    "Variant ID",
    "Product ID",
    "Customer ID",
    "Subscriber ID",
)
DEMAND_COLUMNS = (
    "Product",
    "Variant",
    "SKU",
    "People waiting",
    "Units",
    "Waiting since",
    "Price",
    "Currency",
    "Potential revenue",
    "Variant ID",
    "Product ID",
)


Hear = Callable[[int, None], None]  # how many were read; of how many nobody knows


def _hear_nothing(_read: int, _total: None) -> None:
    pass


async def rows_of(
    deps: Deps, wanted: Wanted, *, hear: Hear = _hear_nothing
) -> AsyncIterator[list[PersonRow]]:
    """All who fit, newest first, in lists; who signs up meanwhile is left out."""
    before: str | None = None
    read = 0
    while True:
        async with deps.database.connection() as conn:
            rows = await people.people(conn, wanted, before=before, limit=_ROWS)
        if rows:
            yield rows
        read += len(rows)
        hear(read, None)
        if len(rows) < _ROWS:
            return
        before = rows[-1].subscriber_id


async def people_csv(deps: Deps, wanted: Wanted, *, hear: Hear = _hear_nothing) -> AsyncIterator[str]:
    """The file, piece by piece; it can be imported again."""
    yield csv_lines([COLUMNS])
    async for rows in rows_of(deps, wanted, hear=hear):
        yield csv_lines(_cells(row) for row in rows)


async def people_json(deps: Deps, wanted: Wanted, *, hear: Hear = _hear_nothing) -> AsyncIterator[str]:
    """The same as a JSON array, one object per line."""
    start = "[\n"
    async for rows in rows_of(deps, wanted, hear=hear):
        for row in rows:
            yield start + json.dumps(person_json(row), ensure_ascii=False, default=plain)
            start = ",\n"
    yield "[]\n" if start == "[\n" else "\n]\n"


def _cells(row: PersonRow) -> list[Json]:
    return [
        row.email,
        row.status,
        row.created_at,
        notified_at(row),
        row.product_title,
        row.variant_title,
        note_of(row),
        row.state,
        row.offer_id,
        row.locale,
        row.first_name,
        row.quantity,
        row.source,
        row.unsubscribed_at,
        gid_number(row.variant_id),
        gid_number(row.product_id),
        gid_number(row.customer_id) if row.customer_id else "",
        row.subscriber_id,
    ]


def notified_at(row: PersonRow) -> datetime | None:
    """When the person was told; None unless the status is Sent."""
    return row.notified_at if row.status == "Sent" else None


def person_json(row: PersonRow) -> JsonObject:
    """A subscriber as the API and the command line give it."""
    return {
        "subscriber": row.subscriber_id,
        "email": row.email,
        "status": row.status,
        "subscribed_at": row.created_at,
        "notified_at": notified_at(row),
        "product": row.product_title,
        "variant": row.variant_title,
        "note": note_of(row),
        "state": row.state,
        "offer": row.offer_id,
        "locale": row.locale,
        "first_name": row.first_name,
        "quantity": row.quantity,
        "source": row.source,
        "unsubscribed_at": row.unsubscribed_at,
        "variant_id": row.variant_id,
        "product_id": row.product_id,
        "customer_id": row.customer_id,
    }


def demand_json(row: DemandRow) -> JsonObject:
    """What people wait for, of one variant."""
    return {
        "product": row.product_title,
        "variant": row.variant_title,
        "sku": row.sku,
        "people": row.people,
        "units": row.units,
        "oldest_at": row.oldest_at,
        "price": money(row.price),
        "currency": row.currency,
        "revenue": money(row.revenue),
        "variant_id": row.variant_id,
        "product_id": row.product_id,
    }


def demand_cells(row: DemandRow) -> Mapping[str, Json]:
    """A line of the demand report's file."""
    values = (
        row.product_title, row.variant_title, row.sku, row.people, row.units, row.oldest_at, money(row.price) or "",
        row.currency, money(row.revenue) or "", gid_number(row.variant_id), gid_number(row.product_id),
    )  # fmt: skip
    return dict(zip(DEMAND_COLUMNS, values, strict=True))


def money(amount: Decimal | None) -> str | None:
    """A sum as decimal text, such as 1234.50; three or four decimals only where they matter."""
    if amount is None:
        return None
    cents = amount.quantize(Decimal("0.01"))
    return str(cents if cents == amount else amount.normalize())


def plain(value: object) -> str:
    """A value that JSON has no form for."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
