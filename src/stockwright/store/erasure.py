"""Erasing and handing out what is kept of one address or customer, over every table that names people.

Each statement takes up to `limit` rows: callers repeat it until fewer come back.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from stockwright.model import JsonObject, ShopId
from stockwright.store.queries import queries

SQL = queries("erasure")


async def erase_people(
    conn: AsyncConnection,
    shop_id: ShopId,
    address_hashes: Sequence[bytes],
    *,
    customer_id: str = "",
    actor: str,
    at: datetime,
    limit: int,
) -> int:
    """Take what names a person out of up to `limit` subscribers, and end their waiting; how many."""
    values = {"shop_id": shop_id, "address_hashes": list(address_hashes), "customer_id": customer_id}
    cursor = await conn.execute(SQL.erase_people, {**values, "actor": actor, "at": at, "limit": limit})
    return len(await cursor.fetchall())


async def erase_messages(conn: AsyncConnection, shop_id: ShopId, address: str, *, limit: int) -> int:
    """Empty up to `limit` messages to an address, in lower case; how many. Those that wait are not sent."""
    values = {"shop_id": shop_id, "address": address, "limit": limit}
    return len(await (await conn.execute(SQL.erase_messages, values)).fetchall())


async def suppress(
    conn: AsyncConnection, shop_id: ShopId, address_hashes: Sequence[bytes], *, at: datetime
) -> None:
    """Keep the hashes, so that these addresses are not mailed again."""
    values = {"shop_id": shop_id, "address_hashes": list(address_hashes), "at": at}
    await conn.execute(SQL.suppress_erased, values)


async def erase_traces(
    conn: AsyncConnection,
    shop_id: ShopId,
    addresses: Sequence[str],
    address_hashes: Sequence[bytes],
    *,
    customer_id: str = "",
) -> None:
    """Forget what bounces, the audit log, orders under offers and stored webhooks say of a person."""
    await conn.execute(SQL.erase_bounces, {"shop_id": shop_id, "address_hashes": list(address_hashes)})
    for address in addresses:
        await conn.execute(SQL.erase_audit, {"address": address})
    if customer_id:
        await conn.execute(SQL.erase_preorders, {"shop_id": shop_id, "customer_id": customer_id})


async def erase_events(
    conn: AsyncConnection,
    shop_id: ShopId,
    addresses: Sequence[str],
    *,
    customer_number: str = "",
    limit: int,
) -> int:
    """Empty up to `limit` stored webhooks about a person's orders, account or requests; how many."""
    values = {"shop_id": shop_id, "addresses": list(addresses), "customer_number": customer_number}
    return (await conn.execute(SQL.erase_events, {**values, "limit": limit})).rowcount


async def addresses_of(conn: AsyncConnection, shop_id: ShopId, customer_id: str, *, limit: int) -> list[str]:
    """The addresses that a customer signed up with."""
    values = {"shop_id": shop_id, "customer_id": customer_id, "limit": limit}
    return [str(row[0]) for row in await (await conn.execute(SQL.addresses_of_customer, values)).fetchall()]


async def messages_to(
    conn: AsyncConnection, shop_id: ShopId, addresses: Sequence[str], *, limit: int
) -> list[JsonObject]:
    """What was mailed to these addresses, oldest first."""
    values = {"shop_id": shop_id, "addresses": list(addresses), "limit": limit}
    return await _rows(conn, SQL.messages_to, values)


async def preorders_of(
    conn: AsyncConnection, shop_id: ShopId, customer_id: str, *, limit: int
) -> list[JsonObject]:
    """What a customer ordered ahead under offers, oldest first."""
    return await _rows(
        conn, SQL.preorders_of, {"shop_id": shop_id, "customer_id": customer_id, "limit": limit}
    )


async def suppressions_of(
    conn: AsyncConnection, shop_id: ShopId, address_hashes: Sequence[bytes]
) -> list[JsonObject]:
    """Why these addresses are not mailed."""
    values = {"shop_id": shop_id, "address_hashes": list(address_hashes)}
    return await _rows(conn, SQL.suppressions_of, values)


async def _rows(conn: AsyncConnection, sql: bytes, values: dict[str, Any]) -> list[JsonObject]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql, values)
        return list(await cursor.fetchall())
