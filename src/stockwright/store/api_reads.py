"""Pages of rows for the JSON API: filtered, in the order of a key, going on after the last one seen.

Every statement is planned for its values: a plan for any filter would read whole tables for most of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from stockwright.model import Json, JsonObject, ShopId
from stockwright.store.queries import queries

SQL = queries("api_reads")

SEARCH_WINDOW = 5_000  # runs that one page of a search looks at

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class ShopLine:
    """One shop with its shared stocks counted."""

    shop_id: ShopId
    domain: str
    name: str
    status: str
    status_reason: str
    plan: str
    timezone: str
    locations: list[JsonObject]
    scopes: list[str]
    api_url: str
    on_unknown: str
    read_at: datetime | None
    created_at: datetime
    pools: int
    frozen: int


@dataclass(frozen=True, kw_only=True)
class AutomationLine:
    """One automation with its shop's domain."""

    automation_id: str
    shop: str
    kind: str
    name: str
    options: JsonObject
    topics: list[str]
    enabled: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run with its shop's domain; "" for a shop that was removed."""

    shop: str
    run_id: str
    automation_id: str
    kind: str
    subject: str
    title: str
    state: str
    because: str
    error: Json
    progress: Json
    requests: int
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class RunsFound:
    """One page of runs; `go_on` is the id after which the next page begins, None at the end."""

    runs: Sequence[RunLine]
    go_on: str | None


@dataclass(frozen=True, kw_only=True)
class PoolLine:
    """One shared stock with its shop's domain; `state` as `ledger.wire` writes it."""

    shop: str
    shop_id: ShopId
    pool_id: str
    automation_id: str
    product_id: str
    location_id: str
    title: str
    version: int
    state: JsonObject
    stock: int
    status: str
    reason: str
    in_doubt: bool
    assumed: int
    wake_at: datetime | None
    updated_at: datetime


async def shops_after(
    conn: AsyncConnection, *, domain: str | None = None, after: str | None = None, limit: int
) -> list[ShopLine]:
    """Shops by domain, from the one after `after`; or the one of a domain."""
    return await _page(conn, ShopLine, SQL.shops_after, {"domain": domain, "after": after, "limit": limit})


async def automations_after(
    conn: AsyncConnection,
    *,
    automation_id: str | None = None,
    shop_id: ShopId | None = None,
    kind: str | None = None,
    enabled: bool | None = None,
    after: str | None = None,
    limit: int,
) -> list[AutomationLine]:
    """Automations, oldest first, from the one after `after`."""
    values = {
        "automation_id": automation_id,
        "shop_id": shop_id,
        "kind": kind,
        "enabled": enabled,
        "after": after,
        "limit": limit,
    }
    return await _page(conn, AutomationLine, SQL.automations_after, values)


async def runs_before(
    conn: AsyncConnection,
    *,
    run_id: str | None = None,
    automation_id: str | None = None,
    shop_id: ShopId | None = None,
    state: str | None = None,
    from_id: str | None = None,
    since: datetime | None = None,
    search: str | None = None,
    before: str | None = None,
    limit: int,
) -> RunsFound:
    """Runs, newest first, from the one before `before`. A page of a search may hold few or none and still go on.

    `from_id`: no older ids (a bound that the index knows, beside the exact `since`).
    """
    window = limit + 1 if search is None else SEARCH_WINDOW
    values = {
        "run_id": run_id,
        "automation_id": automation_id,
        "shop_id": shop_id,
        "state": state,
        "from_id": from_id,
        "since": since,
        "search": search,
        "before": before,
        "window": window,
        "limit": limit + 1,
    }
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL.runs_before, values, prepare=False)
        rows = await cursor.fetchall()
    return _runs_found(rows, window=window, limit=limit)


def _runs_found(rows: Sequence[dict[str, Any]], *, window: int, limit: int) -> RunsFound:
    names = [field.name for field in fields(RunLine)]
    found = [RunLine(**{name: row[name] for name in names}) for row in rows if row["run_id"] is not None]
    if len(found) > limit:
        return RunsFound(runs=found[:limit], go_on=found[limit - 1].run_id)
    more = rows[0]["looked_at"] == window
    return RunsFound(runs=found, go_on=rows[0]["last_seen"] if more else None)


async def pools_after(
    conn: AsyncConnection,
    *,
    pool_id: str | None = None,
    shop_id: ShopId | None = None,
    product_id: str | None = None,
    status: str | None = None,
    after: str | None = None,
    limit: int,
) -> list[PoolLine]:
    """Shared stocks by id, from the one after `after`."""
    values = {
        "pool_id": pool_id,
        "shop_id": shop_id,
        "product_id": product_id,
        "status": status,
        "after": after,
        "limit": limit,
    }
    return await _page(conn, PoolLine, SQL.pools_after, values)


async def _page(conn: AsyncConnection, row: type[R], sql: bytes, values: dict[str, Any]) -> list[R]:
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(sql, values, prepare=False)
        return await cursor.fetchall()
