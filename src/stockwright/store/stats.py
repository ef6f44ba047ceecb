"""Statistics: counts per hour, filled by a chore, and how each shop stands now. Must stay fast at any size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("stats")

POOLS_COUNTED = 10_000  # beyond this, "more than"
PEOPLE_COUNTED = 100_000  # likewise
_KEPT = timedelta(days=400)
_FIRST = timedelta(days=31)
_AGAIN = timedelta(hours=1)  # runs that were going on may have failed since


@dataclass(frozen=True, kw_only=True)
class ShopNow:
    """One shop in numbers."""

    shop_id: ShopId
    domain: str
    name: str
    status: str
    status_reason: str
    timezone: str
    created_at: datetime
    last_webhook_at: datetime | None
    backlog: int  # events that are due and wait for a run
    lag_s: float  # how long the oldest of them has been due
    failed_runs: int  # of 24 hours
    pools: int  # POOLS_COUNTED + 1 stands for more
    frozen: int
    in_doubt: int
    assumed: int
    budget_points: float
    budget_capacity: float
    budget_blocked: bool
    automations: int
    automations_enabled: int
    webhook_problems: int  # topics for which no webhooks come
    mail_stop_reason: str = ""  # set: no mail goes out until somebody looks
    offers_failing: int = 0  # that could not follow their schedule
    people: int  # who wait for a restock; PEOPLE_COUNTED + 1 stands for more
    privacy_requests: int  # that wait for a person
    privacy_due_at: datetime | None  # the first of them


@dataclass(frozen=True, kw_only=True)
class Count:
    """How often something happened in an hour or a day."""

    what: str
    at: datetime  # its start
    count: int


async def count_hours(conn: AsyncConnection, *, now: datetime) -> None:
    """Count what happened since the last counting, the newest hours again."""
    row = await (await conn.execute(SQL.counted_until)).fetchone()
    until = row[0] if row and row[0] else now - _FIRST
    since = min(until, now) - _AGAIN
    start = since.replace(minute=0, second=0, microsecond=0)
    await conn.execute(SQL.count_hours, {"since": start})
    await conn.execute(SQL.delete_hours, {"before": now - _KEPT})


async def series(
    conn: AsyncConnection,
    *,
    bucket: Literal["hour", "day"],
    since: datetime,
    zone: str,
    whats: Sequence[str],
    shop_id: ShopId | None = None,
) -> list[Count]:
    """Counts per hour or day of a time zone, of one shop or over all; what did not happen has no row."""
    values = {"bucket": bucket, "since": since, "zone": zone, "whats": list(whats), "shop_id": shop_id}
    async with conn.cursor(row_factory=class_row(Count)) as cursor:
        await cursor.execute(SQL.series, values)
        return await cursor.fetchall()


async def shops_now(
    conn: AsyncConnection, *, now: datetime, shop_id: ShopId | None = None, limit: int = 200
) -> list[ShopNow]:
    """How each shop, by domain, or one, stands."""
    async with conn.cursor(row_factory=class_row(ShopNow)) as cursor:
        await cursor.execute(SQL.shops_now, {"now": now, "shop_id": shop_id, "limit": limit})
        return await cursor.fetchall()
