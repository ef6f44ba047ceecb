"""What people wait for, by variant, and what that is worth; prices as last read from the shop."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("demand")


@dataclass(frozen=True, kw_only=True)
class DemandRow:
    """One variant that people wait for."""

    product_id: str
    variant_id: str
    product_title: str
    variant_title: str
    sku: str
    people: int  # unconfirmed ones among them
    unconfirmed: int
    units: int  # that they asked for together
    oldest_at: datetime  # since when somebody waits
    price: Decimal | None  # of one unit; None = not read yet
    currency: str
    revenue: Decimal | None  # price by units
    priced_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Everything that people of a shop wait for."""

    variants: int
    people: int
    units: int
    oldest_at: datetime | None
    revenue: Mapping[str, str]  # decimal text by currency, of what has a price


async def demand(
    conn: AsyncConnection, shop_id: ShopId, *, order: str, limit: int, product_id: str | None = None
) -> list[DemandRow]:
    """Up to `limit` variants; `order` is people, units, oldest or revenue, the most first."""
    values = {"shop_id": shop_id, "order": order, "limit": limit, "product_id": product_id}
    async with conn.cursor(row_factory=class_row(DemandRow)) as cursor:
        await cursor.execute(SQL.demand, values, prepare=False)
        return await cursor.fetchall()


async def totals(conn: AsyncConnection, shop_id: ShopId) -> Totals:
    """Over all variants."""
    async with conn.cursor(row_factory=class_row(Totals)) as cursor:
        await cursor.execute(SQL.totals, {"shop_id": shop_id}, prepare=False)
        found = await cursor.fetchone()
    assert found is not None, "an aggregate has a row"
    return found


async def unpriced(
    conn: AsyncConnection, shop_id: ShopId, *, before: datetime, after: str, limit: int
) -> list[str]:
    """Variants that people wait for whose price was not read since `before`, by id from `after` on."""
    values = {"shop_id": shop_id, "before": before, "after": after, "limit": limit}
    return [str(row[0]) for row in await (await conn.execute(SQL.unpriced, values)).fetchall()]


async def save_price(
    conn: AsyncConnection,
    shop_id: ShopId,
    variant_id: str,
    *,
    sku: str,
    price: Decimal,
    currency: str,
    at: datetime,
) -> None:
    """Keep what a variant costs now."""
    values = {"shop_id": shop_id, "variant_id": variant_id, "sku": sku, "price": price}
    await conn.execute(SQL.save_price, {**values, "currency": currency, "at": at})


async def forget_prices(conn: AsyncConnection, shop_id: ShopId, *, before: datetime) -> None:
    """Forget the prices of variants that nobody waits for any more."""
    await conn.execute(SQL.forget_prices, {"shop_id": shop_id, "before": before})


async def shops_with_people(conn: AsyncConnection) -> list[ShopId]:
    """Active shops in which somebody waits."""
    return [ShopId(row[0]) for row in await (await conn.execute(SQL.shops_with_people)).fetchall()]
