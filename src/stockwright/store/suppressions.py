"""Addresses that must not be mailed, as keyed hashes."""

from datetime import datetime

from psycopg import AsyncConnection

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("suppressions")


async def get(conn: AsyncConnection, shop_id: ShopId, address_hash: bytes) -> str:
    """unsubscribed | bounced | complained | refused | erased; "" = it may be mailed."""
    row = await (await conn.execute(SQL.get, {"shop_id": shop_id, "address_hash": address_hash})).fetchone()
    return str(row[0]) if row else ""


async def unsubscribe(conn: AsyncConnection, shop_id: ShopId, address_hash: bytes, *, at: datetime) -> None:
    """Suppress an address because the person wants no more; an earlier reason stays."""
    await conn.execute(SQL.unsubscribe, {"shop_id": shop_id, "address_hash": address_hash, "at": at})


async def lift(conn: AsyncConnection, shop_id: ShopId, address_hash: bytes) -> bool:
    """End what the person asked for before; a suppression by the mailbox itself stays. Whether there was one."""
    values = {"shop_id": shop_id, "address_hash": address_hash}
    return (await conn.execute(SQL.lift, values)).rowcount == 1
