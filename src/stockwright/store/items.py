"""Which product an inventory item belongs to, as last read. Routing only, never truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection

from stockwright.model import ItemGid, ProductGid, ShopId, VariantGid
from stockwright.store.queries import queries

SQL = queries("items")


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    """One inventory item with the variant that sells it."""

    item_id: ItemGid
    variant_id: VariantGid
    title: str


async def remember(
    conn: AsyncConnection,
    shop_id: ShopId,
    product_id: ProductGid,
    items: Sequence[ItemRow],
    seen_at: datetime,
) -> None:
    """Store the items of a product; unchanged ones cost no write."""
    values = {
        "shop_id": shop_id,
        "product_id": product_id,
        "item_ids": [item.item_id for item in items],
        "variant_ids": [item.variant_id for item in items],
        "titles": [item.title for item in items],
        "seen_at": seen_at,
    }
    await conn.execute(SQL.upsert_items, values)
