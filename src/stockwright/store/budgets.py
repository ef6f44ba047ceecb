"""The cost budget of each shop: points in a bucket that refills, shared by every process.

Time is the database's clock, so that machines with unlike clocks agree. A take is one statement. Nobody waits for
the disk: the server's figures mend a budget that a crash of the database threw back.
"""

from psycopg import AsyncConnection

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("budgets")


async def take(conn: AsyncConnection, shop_id: ShopId, *, cost: float, reserve_share: float) -> float:
    """Take `cost` points if they are there: 0.0. Otherwise take nothing: seconds until they will be.

    `reserve_share` of the capacity is left in the bucket. Outside a transaction this is one round trip.
    """
    values = {"shop_id": shop_id, "cost": cost, "reserve_share": reserve_share}
    cursor = await conn.execute(SQL.take, values)
    if (row := await cursor.fetchone()) is None:
        await conn.execute(SQL.open, {"shop_id": shop_id})
        return await take(conn, shop_id, cost=cost, reserve_share=reserve_share)
    return float(row[0])


async def settle(
    conn: AsyncConnection,
    shop_id: ShopId,
    *,
    refund: float,
    available: float,
    capacity: float,
    restore_rate: float,
) -> None:
    """Give back what was not charged, then believe the server where it says that there is less.

    Requests in flight are already taken from our figure and perhaps not yet from the server's: the smaller
    of the two is safe, and an underestimate heals by itself, because the bucket refills up to its capacity.
    """
    values = {
        "shop_id": shop_id,
        "refund": refund,
        "server_available": available,
        "capacity": capacity,
        "restore_rate": restore_rate,
    }
    await conn.execute(SQL.settle, values)


async def block(conn: AsyncConnection, shop_id: ShopId, *, delay_s: float) -> None:
    """Let nobody take points for `delay_s` seconds; never shortens an earlier block."""
    await conn.execute(SQL.block, {"shop_id": shop_id, "delay_s": delay_s})
