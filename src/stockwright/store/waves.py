"""Variants that are watched, people in line for them, and the waves that tell them.

The caller owns the transaction. A wave's row is locked before anything of the wave is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import AutomationId, Key, ShopId
from stockwright.store.queries import queries

SQL = queries("waves")

ALERTS = AutomationId("alerts")  # stands for the hand-out in keys: not an automation, but serialised like one


def hand_out_key(shop_id: ShopId, product_id: str) -> Key:
    """The key whose run tells people of a product's wave."""
    return Key(shop_id=shop_id, automation_id=ALERTS, subject=product_id)


@dataclass(frozen=True, kw_only=True)
class WatchedRow:
    """What was last seen of a variant."""

    variant_id: str
    is_in: bool
    wave_seq: int


@dataclass(frozen=True, kw_only=True)
class InLineRow:
    """People who wait for one variant and want so many units each."""

    variant_id: str
    quantity: int
    people: int


@dataclass(frozen=True, kw_only=True)
class OpenRow:
    """A product's wave that is not over."""

    wave_id: str
    state: str
    opened_at: datetime
    settle_until: datetime
    going_on: list[str]  # variants that are not over


@dataclass(frozen=True, kw_only=True)
class SeenRow:
    """A variant as it was seen; `available` None: it never runs out."""

    variant_id: str
    title: str
    available: int | None
    is_in: bool
    wave_seq: int


@dataclass(frozen=True, kw_only=True)
class BackRow:
    """A variant that joins a wave."""

    variant_id: str
    title: str
    seq: int
    available: int | None


@dataclass(frozen=True, kw_only=True)
class WaveRow:
    """A locked wave."""

    wave_id: str
    product_id: str
    product_title: str
    state: str
    opened_at: datetime
    settle_until: datetime
    fence: int


@dataclass(frozen=True, kw_only=True)
class VariantRow:
    """A variant of a wave."""

    variant_id: str
    variant_title: str
    ready_at: datetime
    told: int
    told_in_turn: int
    turn_at: datetime | None
    turn_limit: int | None
    over: str  # why nobody more is told of it; "" = it goes on


@dataclass(frozen=True, kw_only=True)
class WaitingRow:
    """One request of somebody in line."""

    subscriber_id: str
    address_hash: bytes
    email: str
    variant_id: str
    locale: str
    first_name: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class LeftRow:
    """Who still waits for some variants."""

    people: int
    rested_at: datetime | None  # when the first who was told lately may be told again
    too_many: int  # who want more units than there are


@dataclass(frozen=True, kw_only=True)
class TakenRow:
    """How many may be told of a variant now; None: as many as wait, however many units they want."""

    variant_id: str
    units: int | None
    most: int | None


@dataclass(frozen=True, kw_only=True)
class ToldRow:
    """How many were told of a variant in a batch, and in what turn."""

    variant_id: str
    people: int
    turn_at: datetime | None
    turn_limit: int | None
    begins: bool


# --- what is known of a product --------------------------------------------------------------------------------


async def watched_of(conn: AsyncConnection, shop_id: ShopId, product_id: str) -> list[WatchedRow]:
    """What was last seen of a product's variants."""
    return await _rows(conn, WatchedRow, SQL.watched_of, {"shop_id": shop_id, "product_id": product_id})


async def in_line_of(conn: AsyncConnection, shop_id: ShopId, product_id: str) -> list[InLineRow]:
    """People who wait for a product and may be mailed."""
    return await _rows(conn, InLineRow, SQL.in_line_of, {"shop_id": shop_id, "product_id": product_id})


async def open_wave_of(conn: AsyncConnection, shop_id: ShopId, product_id: str) -> OpenRow | None:
    """The product's wave that is not over."""
    rows = await _rows(conn, OpenRow, SQL.open_wave_of, {"shop_id": shop_id, "product_id": product_id})
    return rows[0] if rows else None


async def is_offered(conn: AsyncConnection, shop_id: ShopId, product_id: str) -> bool:
    """Whether an offer with auto-disable has an eye on a product."""
    values = {"shop_id": shop_id, "product_id": product_id}
    row = await (await conn.execute(SQL.is_offered, values)).fetchone()
    return bool(row and row[0])


async def waited_for(conn: AsyncConnection, shop_id: ShopId, *, after: str, limit: int) -> list[str]:
    """Products that people wait for, or whose wave is not over, by id, after one."""
    values = {"shop_id": shop_id, "after": after, "limit": limit}
    return [str(row[0]) for row in await (await conn.execute(SQL.waited_for, values)).fetchall()]


# --- what a look leads to ----------------------------------------------------------------------------------------


async def see(
    conn: AsyncConnection,
    shop_id: ShopId,
    product_id: str,
    *,
    product_title: str,
    seen: Sequence[SeenRow],
    at: datetime,
) -> None:
    """Store what was seen of a product's variants."""
    values = {
        "shop_id": shop_id,
        "product_id": product_id,
        "product_title": product_title,
        "at": at,
        "variant_ids": [one.variant_id for one in seen],
        "titles": [one.title for one in seen],
        "available": [one.available for one in seen],
        "is_in": [one.is_in for one in seen],
        "wave_seqs": [one.wave_seq for one in seen],
    }
    await conn.execute(SQL.see, values)


async def forget_variants(
    conn: AsyncConnection, shop_id: ShopId, variant_ids: Sequence[str], *, reason: str, at: datetime
) -> int:
    """Cancel all who wait for variants that are gone; how many."""
    values = {"shop_id": shop_id, "variant_ids": list(variant_ids), "reason": reason, "at": at}
    await conn.execute(SQL.unwatch, values)
    row = await (await conn.execute(SQL.cancel_waiting_for, values)).fetchone()
    return int(row[0]) if row else 0


async def open_wave(
    conn: AsyncConnection,
    shop_id: ShopId,
    wave_id: str,
    product_id: str,
    *,
    product_title: str,
    reason: str,
    settle_until: datetime,
    run_id: str,
    at: datetime,
) -> bool:
    """Open a wave; False: the product has one already."""
    values = {
        "shop_id": shop_id,
        "wave_id": wave_id,
        "product_id": product_id,
        "product_title": product_title,
        "reason": reason,
        "settle_until": settle_until,
        "run_id": run_id,
        "at": at,
    }
    return await (await conn.execute(SQL.open_wave, values)).fetchone() is not None


async def lock_wave(conn: AsyncConnection, shop_id: ShopId, wave_id: str) -> WaveRow | None:
    """An open wave, held until the transaction ends."""
    rows = await _rows(conn, WaveRow, SQL.lock_wave, {"shop_id": shop_id, "wave_id": wave_id})
    return rows[0] if rows else None


async def lock_wave_of(conn: AsyncConnection, shop_id: ShopId, product_id: str) -> WaveRow | None:
    """A product's open wave, held until the transaction ends."""
    rows = await _rows(conn, WaveRow, SQL.lock_wave_of, {"shop_id": shop_id, "product_id": product_id})
    return rows[0] if rows else None


async def join_wave(
    conn: AsyncConnection, shop_id: ShopId, wave_id: str, back: Sequence[BackRow], *, ready_at: datetime
) -> None:
    """Add variants to a wave. One that is in it and goes on stays as it is."""
    values = {
        "shop_id": shop_id,
        "wave_id": wave_id,
        "ready_at": ready_at,
        "variant_ids": [one.variant_id for one in back],
        "seqs": [one.seq for one in back],
        "titles": [one.title for one in back],
        "available": [one.available for one in back],
    }
    await conn.execute(SQL.join_wave, values)


async def settle_longer(conn: AsyncConnection, shop_id: ShopId, wave_id: str, until: datetime) -> None:
    """Let a wave that is still settling begin later, with all its variants."""
    await conn.execute(SQL.settle_longer, {"shop_id": shop_id, "wave_id": wave_id, "until": until})


async def look_at_wave_by(
    conn: AsyncConnection, shop_id: ShopId, wave_id: str, at: datetime
) -> datetime | None:
    """Have a wave looked at no later than this; when it is."""
    values = {"shop_id": shop_id, "wave_id": wave_id, "at": at}
    row = await (await conn.execute(SQL.look_at_wave_by, values)).fetchone()
    return row[0] if row else None


async def end_variants(
    conn: AsyncConnection, shop_id: ShopId, wave_id: str, reasons: Mapping[str, str], *, at: datetime
) -> str:
    """Let variants leave a wave; the state in which the wave ended by that, "" when it goes on."""
    values = {
        "shop_id": shop_id,
        "wave_id": wave_id,
        "variant_ids": list(reasons),
        "reasons": list(reasons.values()),
        "reason": next(iter(reasons.values()), ""),
        "at": at,
    }
    await conn.execute(SQL.end_variants, values)
    row = await (await conn.execute(SQL.close_if_over, values)).fetchone()
    return str(row[0]) if row else ""


# --- handing out -------------------------------------------------------------------------------------------------


async def variants_of_wave(conn: AsyncConnection, shop_id: ShopId, wave_id: str) -> list[VariantRow]:
    """All variants of a wave."""
    return await _rows(conn, VariantRow, SQL.variants_of_wave, {"shop_id": shop_id, "wave_id": wave_id})


async def on_the_way(conn: AsyncConnection, shop_id: ShopId, wave_id: str) -> int:
    """People of a wave whose message waits to be sent."""
    row = await (await conn.execute(SQL.on_the_way, {"shop_id": shop_id, "wave_id": wave_id})).fetchone()
    return int(row[0]) if row else 0


async def rest(
    conn: AsyncConnection, shop_id: ShopId, wave_id: str, *, state: str, reason: str, next_at: datetime
) -> None:
    """Store how a wave stands, and when it is looked at again."""
    values = {"shop_id": shop_id, "wave_id": wave_id, "state": state, "reason": reason, "next_at": next_at}
    await conn.execute(SQL.rest_wave, values)


async def close(
    conn: AsyncConnection, shop_id: ShopId, wave_id: str, *, state: str, reason: str, at: datetime
) -> None:
    """End a wave."""
    values = {"shop_id": shop_id, "wave_id": wave_id, "state": state, "reason": reason, "at": at}
    await conn.execute(SQL.close_wave, values)


async def in_line(
    conn: AsyncConnection,
    shop_id: ShopId,
    shares: Sequence[TakenRow],
    *,
    newest_first: bool,
    told_since: datetime,
    limit: int,
) -> list[WaitingRow]:
    """The next people in line for some variants, at most `limit`; nobody who was told of one since `told_since`."""
    values = {
        **_shares(shop_id, shares, told_since),
        "most": [limit if one.most is None else min(one.most, limit) for one in shares],
        "limit": limit,
    }
    return await _rows(conn, WaitingRow, SQL.newest_in_line if newest_first else SQL.oldest_in_line, values)


async def besides(
    conn: AsyncConnection,
    shop_id: ShopId,
    shares: Sequence[TakenRow],
    address_hashes: Sequence[bytes],
    *,
    told_since: datetime,
) -> list[WaitingRow]:
    """Every request of these people for these variants."""
    values = {**_shares(shop_id, shares, told_since), "address_hashes": list(address_hashes)}
    return await _rows(conn, WaitingRow, SQL.besides, values)


async def left_in_line(
    conn: AsyncConnection,
    shop_id: ShopId,
    shares: Sequence[TakenRow],
    *,
    told_since: datetime,
    rest: timedelta,
) -> LeftRow:
    """Who still waits for these variants."""
    values = {**_shares(shop_id, shares, told_since), "rest_s": rest.total_seconds()}
    left: LeftRow = (await _rows(conn, LeftRow, SQL.left_in_line, values))[0]
    return left


def _shares(shop_id: ShopId, shares: Sequence[TakenRow], told_since: datetime) -> dict[str, Any]:
    return {
        "shop_id": shop_id,
        "variant_ids": [one.variant_id for one in shares],
        "units": [one.units for one in shares],
        "told_since": told_since,
    }


async def claim_people(
    conn: AsyncConnection,
    shop_id: ShopId,
    wave_id: str,
    messages: Mapping[str, str],
    *,
    detail: str,
    at: datetime,
) -> set[str]:
    """Take people out of the line, each for a message (subscriber id -> message id); those who were taken.

    Who waits no more, or was told in this wave before, is not.
    """
    values = {
        "shop_id": shop_id,
        "wave_id": wave_id,
        "subscriber_ids": list(messages),
        "message_ids": list(messages.values()),
        "detail": detail,
        "at": at,
    }
    return {str(row[0]) for row in await (await conn.execute(SQL.claim_people, values)).fetchall()}


async def count_told(conn: AsyncConnection, shop_id: ShopId, wave_id: str, told: Sequence[ToldRow]) -> None:
    """Count the people who were told of each variant."""
    values = {
        "shop_id": shop_id,
        "wave_id": wave_id,
        "variant_ids": [one.variant_id for one in told],
        "people": [one.people for one in told],
        "turn_ats": [one.turn_at for one in told],
        "turn_limits": [one.turn_limit for one in told],
        "begins": [one.begins for one in told],
    }
    await conn.execute(SQL.count_told, values)


async def to_look_at(conn: AsyncConnection, *, limit: int = 10_000) -> list[Key]:
    """Keys of the open waves whose time has come."""
    rows = await (await conn.execute(SQL.waves_to_look_at, {"limit": limit})).fetchall()
    return [hand_out_key(ShopId(shop_id), str(product_id)) for shop_id, product_id in rows]


async def delete_old(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` waves that ended before; how many."""
    return (await conn.execute(SQL.delete_old, {"before": before, "limit": limit})).rowcount


async def _rows(conn: AsyncConnection, row: type[Any], sql: bytes, values: dict[str, Any]) -> list[Any]:
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(sql, values)
        return await cursor.fetchall()
