"""Shops as they are stored. Secrets and tokens are sealed bytes here; nothing in the store opens them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from stockwright.model import Channel, Location, LocationGid, ShopId, ShopRead, StockwrightError
from stockwright.store.queries import queries

SQL = queries("shops")

_DOMAIN = re.compile(r"[a-z0-9.-]{1,255}")


@dataclass(frozen=True, kw_only=True)
class NewShop:
    """What is known of a shop when it is added."""

    domain: str  # the myshopify.com domain
    api_url: str
    auth_mode: str  # access_token | client_credentials
    secrets: bytes  # sealed
    client_id: str | None = None
    plan: str = "premium"  # premium | free
    on_unknown: str = "settle"  # settle | certain


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One row of `shops`; see the table for the meaning of each column."""

    shop_id: ShopId
    domain: str
    api_url: str
    plan: str
    status: str  # active | paused | uninstalled
    status_reason: str
    auth_mode: str
    client_id: str | None
    secrets: bytes
    token: bytes | None
    token_expires_at: datetime | None
    scopes: tuple[str, ...]
    name: str
    timezone: str
    locations: tuple[Location, ...]
    channels: tuple[Channel, ...]
    default_location_id: LocationGid | None
    primary_host: str  # where customers find it; "" = not read yet
    on_unknown: str
    read_at: datetime | None
    created_at: datetime


async def add(conn: AsyncConnection, shop: NewShop) -> ShopId:
    """Store a new shop, with a full cost budget.

    Raises:
        StockwrightError: the domain is there already.
    """
    values = {
        "domain": shop.domain.lower(),
        "api_url": shop.api_url,
        "auth_mode": shop.auth_mode,
        "secrets": shop.secrets,
        "client_id": shop.client_id,
        "plan": shop.plan,
        "on_unknown": shop.on_unknown,
    }
    cursor = await conn.execute(SQL.insert_shop, values)
    if (row := await cursor.fetchone()) is None:
        raise StockwrightError(
            f"The shop {shop.domain.lower()} is there already. Remove it first to add it anew."
        )
    return ShopId(row[0])


async def get(conn: AsyncConnection, shop_id: ShopId) -> Shop | None:
    """A shop by id, or None."""
    return await _one(conn, SQL.get_shop, {"shop_id": shop_id})


async def find(conn: AsyncConnection, domain: str) -> Shop | None:
    """A shop by its domain in any case, or None."""
    wanted = domain.strip().lower()
    return await _one(conn, SQL.find_shop, {"domain": wanted}) if could_be_domain(wanted) else None


def could_be_domain(text: str) -> bool:
    """Whether a shop could have this domain, lower case; what could not is not worth a question."""
    return _DOMAIN.fullmatch(text) is not None


async def list_all(conn: AsyncConnection) -> list[Shop]:
    """All shops (at most 10,000), by domain."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL.list_shops)
        return [shop_from_row(row) for row in await cursor.fetchall()]


async def remove(conn: AsyncConnection, shop_id: ShopId) -> bool:
    """Delete a shop with its budget, subscriptions and automations; False when there was none."""
    cursor = await conn.execute(SQL.delete_shop, {"shop_id": shop_id})
    return cursor.rowcount == 1


async def save_secrets(conn: AsyncConnection, shop_id: ShopId, secrets: bytes) -> None:
    """Replace the sealed secrets; a token made with the old ones is dropped."""
    await _change(conn, shop_id, SQL.save_secrets, {"secrets": secrets})


async def save_token(
    conn: AsyncConnection, shop_id: ShopId, token: bytes, *, expires_at: datetime, was: bytes | None
) -> bool:
    """Store the sealed token of the client credentials grant in place of `was`; False when that is gone already."""
    values = {"shop_id": shop_id, "token": token, "expires_at": expires_at, "was": was}
    return (await conn.execute(SQL.save_token, values)).rowcount == 1


async def save_shop_read(
    conn: AsyncConnection, shop_id: ShopId, read: ShopRead, *, scopes: Sequence[str], read_at: datetime
) -> None:
    """Store what a read of the shop showed: name, time zone, locations, channels, default location, address, scopes."""
    values = {
        "name": read.name,
        "timezone": read.timezone,
        "locations": Jsonb([_location_json(location) for location in read.locations]),
        "channels": Jsonb([vars(channel) for channel in read.channels]),
        "default_location_id": read.default_location_id,
        "primary_host": read.primary_host,
        "scopes": sorted(scopes),
        "read_at": read_at,
    }
    await _change(conn, shop_id, SQL.save_shop_read, values)


async def set_status(conn: AsyncConnection, shop_id: ShopId, status: str, *, reason: str = "") -> None:
    """Make a shop active, paused or uninstalled; `reason` is for the person who asks why."""
    await _change(conn, shop_id, SQL.set_status, {"status": status, "reason": reason})


async def move_status(
    conn: AsyncConnection, shop_id: ShopId, status: str, *, was: str, reason: str = ""
) -> bool:
    """The same if it still has the status `was`; False when somebody changed it meanwhile, or removed the shop."""
    values = {"shop_id": shop_id, "status": status, "was": was, "reason": reason}
    return (await conn.execute(SQL.move_status, values)).rowcount == 1


async def set_settings(conn: AsyncConnection, shop_id: ShopId, *, plan: str, on_unknown: str) -> None:
    """Change a shop's plan (premium | free) and its rule for unknown outcomes (settle | certain)."""
    await _change(conn, shop_id, SQL.set_settings, {"plan": plan, "on_unknown": on_unknown})


async def _change(conn: AsyncConnection, shop_id: ShopId, sql: bytes, values: dict[str, Any]) -> None:
    cursor = await conn.execute(sql, {"shop_id": shop_id, **values})
    if cursor.rowcount != 1:
        raise StockwrightError(f"There is no shop {shop_id}; it was removed meanwhile.")


async def _one(conn: AsyncConnection, sql: bytes, values: dict[str, Any]) -> Shop | None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql, values)
        row = await cursor.fetchone()
    return shop_from_row(row) if row else None


def shop_from_row(row: dict[str, Any]) -> Shop:
    """A shop from the columns of its row, by name."""
    locations = tuple(Location(**location) for location in row["locations"])
    channels = tuple(Channel(**channel) for channel in row["channels"])
    return Shop(**{**row, "scopes": tuple(row["scopes"]), "locations": locations, "channels": channels})


def _location_json(location: Location) -> dict[str, Any]:
    return {"id": location.id, "name": location.name, "is_active": location.is_active}
