"""Pools, the claims of their members, and the append-only journal.

The state is opaque JSON here (`ledger.wire` reads and writes it); the columns beside it are what lists,
sweeps and claims need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from stockwright.model import AutomationId, JsonObject, PoolId, ProductGid, RunId, ShopId
from stockwright.store.queries import queries

SQL = queries("pools")

_Cursor = AsyncCursor[TupleRow]


class Conflict(Exception):
    """Somebody else changed the pool, or holds one of its levels: read again and decide anew."""


@dataclass(frozen=True, kw_only=True)
class PoolRow:
    """One pool as stored."""

    shop_id: ShopId
    pool_id: PoolId
    automation_id: AutomationId
    product_id: ProductGid
    location_id: str  # a location gid, or "*" when all chosen locations are one level
    title: str
    version: int
    state: JsonObject
    stock: int  # S in base units
    status: str  # active | frozen
    reason: str
    in_doubt: bool  # an intent is open
    assumed: int
    wake_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class MemberRow:
    """One claimed level."""

    item_id: str
    location_id: str
    title: str
    expected: int


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """Who holds a level."""

    item_id: str
    location_id: str
    pool_id: PoolId
    automation_id: AutomationId
    automation_name: str
    title: str
    is_enabled: bool  # the automation
    is_at_rest: bool  # the pool: neither frozen nor in doubt


@dataclass(frozen=True, kw_only=True)
class JournalRow:
    """One line of a pool's history."""

    seq: int
    at: datetime
    kind: str
    data: JsonObject
    run_id: str | None


async def of_products(
    conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId, product_ids: Sequence[str]
) -> list[PoolRow]:
    """The pools of these products under one automation."""
    values = {"shop_id": shop_id, "automation_id": automation_id, "product_ids": list(product_ids)}
    async with conn.cursor(row_factory=class_row(PoolRow)) as cursor:
        await cursor.execute(SQL.pools_of_subject, values)
        return await cursor.fetchall()


async def save(
    conn: AsyncConnection, row: PoolRow, members: Sequence[MemberRow], *, was_version: int | None
) -> None:
    """Write a pool's next state and claims; `was_version` None adopts.

    Raises:
        Conflict: the stored version is another one, the place is taken, or a member is claimed elsewhere.
    """
    values = {**row.__dict__, "state": Jsonb(row.state)}
    if was_version is None:
        if await (await conn.execute(SQL.insert_pool, values)).fetchone() is None:
            raise Conflict(f"{row.title} was adopted by another run at the same time")
        await _check_claims(row, members, await _claim(conn, row, members))
        return
    moved = await conn.execute(SQL.update_pool, {**values, "was_version": was_version})
    held = await _claim(conn, row, members)  # sent together with the update
    if await moved.fetchone() is None:
        raise Conflict(f"the pool {row.pool_id} ({row.title}) moved on from version {was_version}")
    await _check_claims(row, members, held)


async def _claim(conn: AsyncConnection, row: PoolRow, members: Sequence[MemberRow]) -> _Cursor:
    """Write the claims, and ask how many are held then."""
    values = {
        "shop_id": row.shop_id,
        "pool_id": row.pool_id,
        "item_ids": [member.item_id for member in members],
        "location_ids": [member.location_id for member in members],
        "titles": [member.title for member in members],
        "expected": [member.expected for member in members],
    }
    await conn.execute(SQL.replace_members, values)
    return await conn.execute(SQL.count_members, {"shop_id": row.shop_id, "pool_id": row.pool_id})


async def _check_claims(row: PoolRow, members: Sequence[MemberRow], cursor: _Cursor) -> None:
    held = await cursor.fetchone()
    if held is None or held[0] != len(members):
        raise Conflict(f"a level of {row.title} belongs to another pool")


async def set_wake(
    conn: AsyncConnection, shop_id: ShopId, pool_id: PoolId, *, version: int, wake_at: datetime | None
) -> None:
    """Remember when to come back to a pool whose state did not change."""
    values = {"shop_id": shop_id, "pool_id": pool_id, "version": version, "wake_at": wake_at}
    await conn.execute(SQL.set_wake, values)


async def dissolve(conn: AsyncConnection, shop_id: ShopId, pool_id: PoolId, *, was_version: int) -> None:
    """Free the levels of a pool; its journal stays.

    Raises:
        Conflict: the stored version is another one.
    """
    values = {"shop_id": shop_id, "pool_id": pool_id, "was_version": was_version}
    if await (await conn.execute(SQL.delete_pool, values)).fetchone() is None:
        raise Conflict(f"the pool {pool_id} moved on from version {was_version}")


async def dissolve_asleep(
    conn: AsyncConnection,
    shop_id: ShopId,
    pool_ids: Sequence[PoolId],
    *,
    end: JsonObject,
    at: datetime,
    run_id: RunId | None,
) -> None:
    """Free the levels of those pools that are at rest and whose automation is disabled; `end` ends their journals."""
    values = {"shop_id": shop_id, "pool_ids": list(pool_ids), "end": Jsonb(end), "at": at, "run_id": run_id}
    await conn.execute(SQL.dissolve_asleep, values)


async def dissolve_all(
    conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId, *, end: JsonObject, at: datetime
) -> None:
    """Free all that an automation holds, whatever its state; `end` is the last entry of each journal."""
    values = {"shop_id": shop_id, "automation_id": automation_id, "end": Jsonb(end), "at": at}
    await conn.execute(SQL.dissolve_all, values)


async def shared_products(
    conn: AsyncConnection, shop_id: ShopId, automation_id: AutomationId
) -> list[ProductGid]:
    """The products with pools of an automation that have anything to be looked at: not those that wait for a person."""
    values = {"shop_id": shop_id, "automation_id": automation_id}
    return [row[0] for row in await (await conn.execute(SQL.shared_products, values)).fetchall()]


async def claims(conn: AsyncConnection, shop_id: ShopId, item_ids: Sequence[str]) -> list[ClaimRow]:
    """Who holds levels of these items, at any location."""
    async with conn.cursor(row_factory=class_row(ClaimRow)) as cursor:
        await cursor.execute(SQL.claims, {"shop_id": shop_id, "item_ids": list(item_ids)})
        return await cursor.fetchall()


async def append_journal(
    conn: AsyncConnection, shop_id: ShopId, pool_id: PoolId, rows: Sequence[JournalRow], run_id: RunId | None
) -> None:
    """Add lines to a pool's history."""
    values = {
        "shop_id": shop_id,
        "pool_id": pool_id,
        "run_id": run_id,
        "seqs": [row.seq for row in rows],
        "ats": [row.at for row in rows],
        "kinds": [row.kind for row in rows],
        "datas": [Jsonb(row.data) for row in rows],
    }
    await conn.execute(SQL.append_journal, values)


async def journal(
    conn: AsyncConnection, shop_id: ShopId, pool_id: str, *, after: int = 0, limit: int = 100_000
) -> list[JournalRow]:
    """A pool's history in order, from the entry after `after`."""
    values = {"shop_id": shop_id, "pool_id": pool_id, "after": after, "limit": limit}
    async with conn.cursor(row_factory=class_row(JournalRow)) as cursor:
        await cursor.execute(SQL.journal_of_pool, values)
        return await cursor.fetchall()


async def newest_journal(
    conn: AsyncConnection, shop_id: ShopId, pool_id: str, *, limit: int
) -> list[JournalRow]:
    """The newest `limit` entries of a pool's history, oldest of them first."""
    values = {"shop_id": shop_id, "pool_id": pool_id, "limit": limit}
    async with conn.cursor(row_factory=class_row(JournalRow)) as cursor:
        await cursor.execute(SQL.newest_journal_of_pool, values)
        return list(reversed(await cursor.fetchall()))


async def list_pools(
    conn: AsyncConnection, shop_id: ShopId, *, product_id: str | None, only_frozen: bool, limit: int
) -> list[PoolRow]:
    """Pools of a shop, frozen ones first."""
    values = {"shop_id": shop_id, "product_id": product_id, "frozen": only_frozen, "limit": limit}
    async with conn.cursor(row_factory=class_row(PoolRow)) as cursor:
        await cursor.execute(SQL.list_pools, values)
        return await cursor.fetchall()


async def find(conn: AsyncConnection, pool_id: str) -> PoolRow | None:
    """One pool by its id alone; ids are unique over all shops."""
    async with conn.cursor(row_factory=class_row(PoolRow)) as cursor:
        await cursor.execute(SQL.get_pool, {"pool_id": pool_id})
        return await cursor.fetchone()


async def with_assumptions(conn: AsyncConnection, *, limit: int) -> list[PoolId]:
    """Pools of active shops that hold outcomes which orders may still tell of, the longest unmoved first."""
    cursor = await conn.execute(SQL.with_assumptions, {"limit": limit})
    return [row[0] for row in await cursor.fetchall()]


async def members_of(
    conn: AsyncConnection, shop_id: ShopId, pool_ids: Sequence[str]
) -> dict[str, list[MemberRow]]:
    """The levels that each of these pools holds."""
    held: dict[str, list[MemberRow]] = {}
    if not pool_ids:
        return held
    cursor = await conn.execute(SQL.members_of_pools, {"shop_id": shop_id, "pool_ids": list(pool_ids)})
    for pool_id, item_id, location_id, title, expected in await cursor.fetchall():
        row = MemberRow(item_id=item_id, location_id=location_id, title=title, expected=expected)
        held.setdefault(pool_id, []).append(row)
    return held


@dataclass(frozen=True, kw_only=True)
class PoolCounts:
    """How many pools a shop has, and how many need somebody."""

    pools: int
    frozen: int
    in_doubt: int
    assumed: int


async def counts(conn: AsyncConnection, shop_id: ShopId) -> PoolCounts:
    """Pools of a shop by condition."""
    async with conn.cursor(row_factory=class_row(PoolCounts)) as cursor:
        await cursor.execute(SQL.count_pools, {"shop_id": shop_id})
        found = await cursor.fetchone()
        assert found is not None
        return found
