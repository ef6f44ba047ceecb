"""What a step starts from, in one statement each: a run of a key, and an attempt at a correction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from psycopg import AsyncConnection

from stockwright.model import (
    EffectId,
    Event,
    ItemGid,
    JsonObject,
    Key,
    PoolId,
    ShopId,
    Source,
    VariantGid,
)
from stockwright.store.automations import AutomationRow
from stockwright.store.items import ItemRow
from stockwright.store.pools import MemberRow, PoolRow
from stockwright.store.queries import queries
from stockwright.store.shops import Shop, shop_from_row
from stockwright.store.wake import key_values

SQL = queries("situations")


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """An automation, its shop, and what both know of one subject."""

    automation: AutomationRow
    shop: Shop
    pools: Sequence[tuple[PoolRow, Sequence[MemberRow]]]  # by pool id
    items: Sequence[ItemRow]  # that the product had when it was last read, by item id
    events: Sequence[Event]  # that are due, oldest first


async def of_key(conn: AsyncConnection, key: Key, now: datetime, *, limit: int = 1000) -> KeyRow | None:
    """Everything that a run starts from, with up to `limit` events; None when automation or shop are gone."""
    values = {**key_values(key), "now": now, "limit": limit}
    cursor = await conn.execute(SQL.of_key, values)
    row = await cursor.fetchone()
    if row is None:
        return None
    columns = [(column.name, value) for column, value in zip(cursor.description or (), row, strict=True)]
    of_shop = next(at for at, (name, _) in enumerate(columns) if name == "shop_id" and at)
    pools, items, events = row[-3:]
    return KeyRow(
        automation=AutomationRow(**dict(columns[:of_shop])),
        shop=shop_from_row(dict(columns[of_shop:-3])),
        pools=sorted((_pool(one) for one in pools or ()), key=lambda held: held[0].pool_id),
        items=sorted((_item(one) for one in items or ()), key=lambda item: item.item_id),
        events=[_event(one) for one in events or ()],
    )


@dataclass(frozen=True, kw_only=True)
class BegunRow:
    """A correction that is about to be sent."""

    attempt: int
    on_unknown: str  # of its shop: settle | certain
    pool: PoolRow
    members: Sequence[MemberRow]


async def begin_correction(
    conn: AsyncConnection, shop_id: ShopId, effect_id: EffectId, pool_id: PoolId, at: datetime
) -> BegunRow | None:
    """Record that a correction is about to be sent; None when it is not pending any more or its pool is gone."""
    values = {"shop_id": shop_id, "effect_id": effect_id, "pool_id": pool_id, "at": at}
    row = await (await conn.execute(SQL.begin_correction, values)).fetchone()
    if row is None or row[0] is None:
        return None
    pool, members = _pool(row[2])
    return BegunRow(attempt=row[0], on_unknown=row[1], pool=pool, members=members)


def _pool(found: JsonObject) -> tuple[PoolRow, Sequence[MemberRow]]:
    members = sorted(found["members"] or ())
    times = {name: _time(found[name]) for name in ("wake_at", "updated_at")}
    row = PoolRow(**{**{column.name: found[column.name] for column in fields(PoolRow)}, **times})
    return row, [
        MemberRow(item_id=item_id, location_id=location_id, title=title, expected=expected)
        for item_id, location_id, title, expected in members
    ]


def _item(found: Sequence[str]) -> ItemRow:
    item_id, variant_id, title = found
    return ItemRow(item_id=ItemGid(item_id), variant_id=VariantGid(variant_id), title=title)


def _event(found: Mapping[str, Any]) -> Event:
    times = {name: _time(found[name]) for name in ("received_at", "triggered_at")}
    return Event(**{**found, **times, "source": Source(found["source"])})


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
