"""Offers as they are stored, with what they cover, what auto-disable has stopped, and what was ordered ahead."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from stockwright.model import JsonObject, ShopId
from stockwright.store.queries import queries

SQL = queries("offers")

MAX_COVERING = 100  # offers of one product that are looked at
MAX_ITEMS = 10_000
MAX_VARIANTS = 10_000


@dataclass(frozen=True, kw_only=True)
class OfferRow:
    """One offer; see the table for the meaning of each column."""

    shop_id: ShopId
    offer_id: str
    name: str
    description: str
    status: str
    pause_reason: str
    mode: str
    auto_disable: bool
    resume: bool
    starts_at: datetime | None
    ends_at: datetime | None
    limit_total: int | None
    limit_per_customer: int | None
    limit_per_order: int | None
    pause_at_limit: bool
    created_at: datetime
    updated_at: datetime
    version: int = 1
    activated_at: datetime | None = None
    completed_at: datetime | None = None
    problem: str = ""  # why its schedule could not be followed; "" = it was


@dataclass(frozen=True, kw_only=True)
class OfferLine:
    """An offer as a list shows it."""

    offer: OfferRow
    products: int
    items: int
    stopped: int  # variants whose pre-order auto-disable has stopped
    ordered: int  # units that count for its limits
    waiting: int  # people who signed up under it and wait


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    """A product of an offer, or one variant of it."""

    product_id: str
    variant_id: str  # "" = every variant
    product_title: str
    variant_title: str
    is_missing: bool = False  # the shop has deleted it


@dataclass(frozen=True, kw_only=True)
class SeenRow:
    """What was last seen of a variant under an offer with auto-disable."""

    variant_id: str
    is_out: bool
    stopped_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Covering:
    """The offers that have a product, and what is needed to judge it by them."""

    offers: tuple[OfferRow, ...]
    items: Mapping[str, tuple[ItemRow, ...]]  # by offer id, of this product only
    stopped: Mapping[str, frozenset[str]]  # by offer id: variant ids
    counts: Mapping[str, tuple[int, int]]  # by offer id: units ordered ahead, in all and by the customer


@dataclass(frozen=True, kw_only=True)
class Deed:
    """Something that was done with an offer."""

    at: datetime
    user_name: str
    action: str
    detail: JsonObject = field(default_factory=dict)


async def insert(conn: AsyncConnection, row: OfferRow) -> None:
    """Store a new offer."""
    await conn.execute(SQL.insert_offer, vars(row))


async def update(conn: AsyncConnection, row: OfferRow) -> None:
    """Store an offer that this transaction has locked; its version grows."""
    await conn.execute(SQL.update_offer, vars(row))


async def get(conn: AsyncConnection, shop_id: ShopId, offer_id: str) -> OfferRow | None:
    """One offer, or None."""
    return await _one(conn, SQL.get_offer, {"shop_id": shop_id, "offer_id": offer_id})


async def find(conn: AsyncConnection, offer_id: str) -> OfferRow | None:
    """One offer by id alone; ids are unique over all shops."""
    return await _one(conn, SQL.find_offer, {"offer_id": offer_id})


async def ending_in(conn: AsyncConnection, ending: str) -> list[OfferRow]:
    """Up to two offers whose ids end in these characters."""
    async with conn.cursor(row_factory=class_row(OfferRow)) as cursor:
        await cursor.execute(SQL.offers_ending_in, {"ending": ending})
        return await cursor.fetchall()


async def lock(conn: AsyncConnection, shop_id: ShopId, offer_id: str) -> OfferRow | None:
    """One offer, locked until the transaction ends, or None."""
    return await _one(conn, SQL.lock_offer, {"shop_id": shop_id, "offer_id": offer_id})


async def delete(conn: AsyncConnection, shop_id: ShopId, offer_id: str) -> None:
    """Delete an offer with its items and counts; people who wait under it stay."""
    await conn.execute(SQL.delete_offer, {"shop_id": shop_id, "offer_id": offer_id})


async def lines(
    conn: AsyncConnection,
    shop_id: ShopId | None,
    *,
    offer_id: str | None = None,
    status: str | None = None,
    with_archived: bool = True,
    before: str | None = None,
    limit: int = 50,
) -> list[OfferLine]:
    """Offers of a shop, or of all, newest first; `before` is the last id of the page before."""
    values = {
        "shop_id": shop_id,
        "offer_id": offer_id,
        "status": status,
        "with_archived": with_archived,
        "before": before,
        "limit": limit,
    }
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL.list_offers, values)
        return [_line(row) for row in await cursor.fetchall()]


def _line(row: dict[str, Any]) -> OfferLine:
    counted = {name: row.pop(name) for name in ("products", "items", "stopped", "ordered", "waiting")}
    return OfferLine(offer=OfferRow(**row), **counted)


# --- items ------------------------------------------------------------------------------------------------


async def items(
    conn: AsyncConnection, shop_id: ShopId, offer_id: str, *, limit: int = MAX_ITEMS
) -> list[ItemRow]:
    """What an offer covers, by title."""
    values = {"shop_id": shop_id, "offer_id": offer_id, "limit": limit}
    async with conn.cursor(row_factory=class_row(ItemRow)) as cursor:
        await cursor.execute(SQL.items, values)
        return await cursor.fetchall()


async def count_items(conn: AsyncConnection, shop_id: ShopId, offer_id: str) -> tuple[int, int]:
    """How many items the shop still has, and how many there are in all."""
    row = await (await conn.execute(SQL.count_items, {"shop_id": shop_id, "offer_id": offer_id})).fetchone()
    assert row is not None, "an aggregate has one row"
    return int(row[0]), int(row[1])


async def put_item(conn: AsyncConnection, shop_id: ShopId, offer_id: str, item: ItemRow) -> bool:
    """Add a product or a variant; False when it was there. A whole product takes the place of its variants."""
    key = {"shop_id": shop_id, "offer_id": offer_id, "product_id": item.product_id}
    if not item.variant_id:
        await conn.execute(SQL.drop_covered, key)
    titles = {"product_title": item.product_title, "variant_title": item.variant_title}
    cursor = await conn.execute(SQL.put_item, {**key, **titles, "variant_id": item.variant_id})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def remove_item(
    conn: AsyncConnection, shop_id: ShopId, offer_id: str, product_id: str, variant_id: str
) -> bool:
    """Take a product or a variant out; False when it was not there."""
    values = {"shop_id": shop_id, "offer_id": offer_id, "product_id": product_id, "variant_id": variant_id}
    return (await conn.execute(SQL.delete_item, values)).rowcount == 1


async def mark_missing(
    conn: AsyncConnection, shop_id: ShopId, product_id: str, *, variant_ids: Sequence[str], exists: bool
) -> list[str]:
    """Note which items of a product the shop still has; ids of the offers in which that changed."""
    values = {
        "shop_id": shop_id,
        "product_id": product_id,
        "variant_ids": list(variant_ids),
        "exists": exists,
    }
    cursor = await conn.execute(SQL.mark_missing, values)
    return sorted({row[0] for row in await cursor.fetchall()})


# --- judging a product -----------------------------------------------------------------------------------


async def covering(
    conn: AsyncConnection, shop_id: ShopId, product_id: str, *, customer_id: str = ""
) -> Covering:
    """The offers that have a product, at most 100, active ones first."""
    values: dict[str, Any] = {"shop_id": shop_id, "product_id": product_id, "limit": MAX_COVERING}
    async with conn.cursor(row_factory=class_row(OfferRow)) as cursor:
        await cursor.execute(SQL.covering, values)
        found = await cursor.fetchall()
    values |= {"offer_ids": [row.offer_id for row in found], "customer_id": customer_id, "limit": MAX_ITEMS}
    return Covering(
        offers=tuple(found),
        items=await _items_of_product(conn, values),
        stopped=await _stopped(conn, values),
        counts=await _counts(conn, values),
    )


async def _items_of_product(conn: AsyncConnection, values: dict[str, Any]) -> dict[str, tuple[ItemRow, ...]]:
    found: defaultdict[str, tuple[ItemRow, ...]] = defaultdict(tuple)
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL.items_of_product, values)
        for row in await cursor.fetchall():
            found[row.pop("offer_id")] += (ItemRow(**row),)
    return found


async def _stopped(conn: AsyncConnection, values: dict[str, Any]) -> dict[str, frozenset[str]]:
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for offer_id, variant_id in await (await conn.execute(SQL.stopped_of_product, values)).fetchall():
        found[offer_id] |= {variant_id}
    return found


async def _counts(conn: AsyncConnection, values: dict[str, Any]) -> dict[str, tuple[int, int]]:
    rows = await (await conn.execute(SQL.counts, values)).fetchall()
    return {offer_id: (int(total), int(own)) for offer_id, total, own in rows}


async def ordered(conn: AsyncConnection, shop_id: ShopId, offer_id: str) -> int:
    """Units ordered ahead under an offer."""
    values = {"shop_id": shop_id, "offer_ids": [offer_id], "customer_id": "", "limit": 1}
    return (await _counts(conn, values)).get(offer_id, (0, 0))[0]


# --- auto-disable ----------------------------------------------------------------------------------------


async def lock_watching(conn: AsyncConnection, shop_id: ShopId, product_id: str) -> list[OfferRow]:
    """Offers whose auto-disable has an eye on a product, locked by id until the transaction ends."""
    async with conn.cursor(row_factory=class_row(OfferRow)) as cursor:
        await cursor.execute(SQL.lock_watching, {"shop_id": shop_id, "product_id": product_id})
        return await cursor.fetchall()


async def watched_products(
    conn: AsyncConnection, shop_id: ShopId, *, after: str = "", limit: int = 250
) -> list[str]:
    """Products of offers with auto-disable at work, by id: their stock is to be looked at now and then."""
    values = {"shop_id": shop_id, "after": after, "limit": limit}
    return [row[0] for row in await (await conn.execute(SQL.watched_products, values)).fetchall()]


async def seen(conn: AsyncConnection, shop_id: ShopId, offer_id: str, product_id: str) -> list[SeenRow]:
    """What was last seen of an offer's variants of one product."""
    values = {"shop_id": shop_id, "offer_id": offer_id, "product_id": product_id, "limit": MAX_VARIANTS}
    async with conn.cursor(row_factory=class_row(SeenRow)) as cursor:
        await cursor.execute(SQL.seen, values)
        return await cursor.fetchall()


async def save_seen(
    conn: AsyncConnection, shop_id: ShopId, offer_id: str, product_id: str, rows: Sequence[SeenRow]
) -> None:
    """Store what is seen of all of an offer's variants of one product; others of the product are forgotten."""
    key = {"shop_id": shop_id, "offer_id": offer_id, "product_id": product_id}
    await conn.execute(SQL.forget_seen, {**key, "keep": [row.variant_id for row in rows]})
    async with conn.cursor() as cursor:
        await cursor.executemany(SQL.put_seen, [{**key, **vars(row)} for row in rows])


async def forget_seen(conn: AsyncConnection, shop_id: ShopId, offer_id: str) -> None:
    """Lift every stop of an offer, and look at its variants as if for the first time."""
    await conn.execute(SQL.forget_all_seen, {"shop_id": shop_id, "offer_id": offer_id})


async def forget_product(conn: AsyncConnection, shop_id: ShopId, offer_id: str, product_id: str) -> None:
    """Look at the variants of one product of an offer as if for the first time."""
    key = {"shop_id": shop_id, "offer_id": offer_id, "product_id": product_id}
    await conn.execute(SQL.forget_seen, {**key, "keep": []})


async def is_all_back(conn: AsyncConnection, shop_id: ShopId, offer_id: str) -> bool:
    """Whether each item was looked at and none of the variants is out."""
    row = await (await conn.execute(SQL.is_all_back, {"shop_id": shop_id, "offer_id": offer_id})).fetchone()
    return bool(row and row[0])


# --- the schedule, the end, and what was done --------------------------------------------------------------


Place = tuple[ShopId, str]  # an offer: shop and id
FIRST: Place = (ShopId(0), "")  # before all of them


async def due(conn: AsyncConnection, now: datetime, *, after: Place = FIRST, limit: int = 100) -> list[Place]:
    """Offers after a place, in their order, whose schedule asks for another status."""
    values = {"now": now, "shop_id": after[0], "offer_id": after[1], "limit": limit}
    rows = await (await conn.execute(SQL.due, values)).fetchall()
    return [(ShopId(shop_id), offer_id) for shop_id, offer_id in rows]


async def note_problem(conn: AsyncConnection, place: Place, problem: str) -> None:
    """Keep why an offer could not follow its schedule; its next change forgets it."""
    await conn.execute(SQL.note_problem, {"shop_id": place[0], "offer_id": place[1], "problem": problem})


async def cancel_waiting(
    conn: AsyncConnection, shop_id: ShopId, offer_id: str, *, reason: str, actor: str, now: datetime
) -> int:
    """End the waiting of all who signed up under an offer and are not being told right now; how many."""
    values = {"shop_id": shop_id, "offer_id": offer_id, "reason": reason, "actor": actor, "now": now}
    row = await (await conn.execute(SQL.cancel_waiting, values)).fetchone()
    return int(row[0]) if row else 0


async def history(conn: AsyncConnection, offer_id: str, *, limit: int = 20) -> list[Deed]:
    """What was done with an offer, newest first."""
    async with conn.cursor(row_factory=class_row(Deed)) as cursor:
        await cursor.execute(SQL.history, {"offer_id": offer_id, "limit": limit})
        return await cursor.fetchall()


async def _one(conn: AsyncConnection, sql: bytes, values: dict[str, Any]) -> OfferRow | None:
    async with conn.cursor(row_factory=class_row(OfferRow)) as cursor:
        await cursor.execute(sql, values)
        return await cursor.fetchone()
