"""Addresses that must not be mailed, as keyed hashes."""

from collections.abc import Collection
from datetime import datetime

from psycopg import AsyncConnection

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("suppressions")

_LOCK = 0x5357_0004  # with four bytes of a hash: one address, or a stranger's that waits for nothing


async def hold(conn: AsyncConnection, address_hashes: Collection[bytes]) -> None:
    """Have others wait who add requests of these addresses, or suppress them, until the transaction ends.

    So that none is taken from an address which is suppressed at the same moment. First of all locks of people.
    """
    numbers = sorted({int.from_bytes(one[:4], signed=True) for one in address_hashes})
    await conn.execute(SQL.hold, {"lock": _LOCK, "numbers": numbers})


async def among(
    conn: AsyncConnection, shop_id: ShopId, address_hashes: Collection[bytes]
) -> dict[bytes, str]:
    """Those of these addresses that must not be mailed, each with the reason."""
    values = {"shop_id": shop_id, "address_hashes": list(address_hashes)}
    rows = await (await conn.execute(SQL.among, values)).fetchall()
    return {bytes(row[0]): str(row[1]) for row in rows}


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
