"""Numbers about the whole service, for readiness, metrics and the status page."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.store import wake
from stockwright.store.queries import queries

SQL = queries("health")


@dataclass(frozen=True, kw_only=True)
class RunCount:
    """Runs of the last hour in one state."""

    state: str
    runs: int
    requests: int  # Admin API requests that they made


@dataclass(frozen=True, kw_only=True)
class ShopCount:
    """One shop and its pools by condition."""

    shop_id: int
    domain: str
    status: str
    status_reason: str  # why it is not active, for a person
    pools: int
    frozen: int
    in_doubt: int
    assumed: int  # corrections booked as applied without proof


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Work that waits for a run."""

    waiting: int
    oldest_s: float  # age of the oldest wake-up that is due, 0 when none is


@dataclass(frozen=True, kw_only=True)
class Health:
    """The service in numbers, at one moment."""

    work: Waiting
    failing_keys: int
    jobs: wake.Backlog
    runs: Sequence[RunCount]
    shops: Sequence[ShopCount]


async def read(conn: AsyncConnection) -> Health:
    """Read all numbers; costs some milliseconds, so keep the answer for a few seconds."""
    failing = await (await conn.execute(SQL.failing_keys)).fetchone()
    async with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        waiting = await (await cursor.execute(SQL.waiting)).fetchone()
    async with conn.cursor(row_factory=class_row(RunCount)) as cursor:
        runs = await (await cursor.execute(SQL.runs_of_last_hour)).fetchall()
    async with conn.cursor(row_factory=class_row(ShopCount)) as cursor:
        shops = await (await cursor.execute(SQL.pools_by_shop)).fetchall()
    assert waiting is not None
    return Health(
        work=waiting,
        failing_keys=int(failing[0]) if failing else 0,
        jobs=await wake.backlog(conn),
        runs=runs,
        shops=shops,
    )


async def schema_version(conn: AsyncConnection) -> str | None:
    """The newest migration step of the database; None when nothing was ever migrated."""
    exists = await (await conn.execute(SQL.has_versions)).fetchone()
    if not exists or not exists[0]:
        return None
    row = await (await conn.execute(SQL.schema_version)).fetchone()
    return str(row[0]) if row else None
