"""A shop's mail settings, how its queue stands, and the pace that all processes share.

The password is sealed bytes here; nothing in the store opens it.
"""

from dataclasses import dataclass, field
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.model import ShopId
from stockwright.store.queries import queries

SQL = queries("mail_settings")

_BURST_S = 1.0  # of unused pace that may be made up for
INSTALLATION = 0  # stands for a shop id where the mail service is the installation's


@dataclass(frozen=True, kw_only=True)
class MailSettingsRow:
    """What a shop sets over the installation's mail service; without `host` the service is the installation's."""

    host: str = ""
    port: int | None = None  # None: the usual one of `security`
    security: str = "starttls"  # none | starttls | tls
    username: str = ""
    password: bytes | None = field(default=None, repr=False)  # sealed
    from_address: str = ""
    from_name: str = ""
    reply_to: str = ""
    rate_per_minute: int | None = None
    verify: bool = True
    allow_plain: bool = False
    owner_email: str = ""
    dkim_domain: str = ""  # "" = mail is not signed here
    dkim_selector: str = ""
    dkim_key: bytes | None = field(default=None, repr=False)  # sealed PEM
    postal_address: str = ""  # at the foot of mail to shoppers, as CAN-SPAM asks
    bounce_address: str = ""  # where mail that comes back goes; "" = the sender's address
    updated_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Queue:
    """How sending stands for a shop; the defaults when nothing ever went wrong."""

    stopped_at: datetime | None = None  # set: nothing is sent until the settings change or work again
    stop_reason: str = ""
    stopped_with: str = ""
    look_at: datetime | None = None
    paused_until: datetime | None = None
    pause_reason: str = ""
    pauses: int = 0
    policy_in_row: int = 0


async def get(conn: AsyncConnection, shop_id: ShopId) -> MailSettingsRow:
    """What a shop sets; the defaults when it sets nothing."""
    async with conn.cursor(row_factory=class_row(MailSettingsRow)) as cursor:
        await cursor.execute(SQL.get, {"shop_id": shop_id})
        return await cursor.fetchone() or MailSettingsRow()


async def save(conn: AsyncConnection, shop_id: ShopId, row: MailSettingsRow, at: datetime) -> None:
    """Replace what a shop sets."""
    await conn.execute(SQL.save, {**vars(row), "shop_id": shop_id, "updated_at": at})


async def queue(conn: AsyncConnection, shop_id: ShopId) -> Queue:
    """How sending stands for a shop."""
    async with conn.cursor(row_factory=class_row(Queue)) as cursor:
        await cursor.execute(SQL.queue, {"shop_id": shop_id})
        return await cursor.fetchone() or Queue()


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A shop whose mail does not go out."""

    shop_id: ShopId
    shop: str  # its name
    stopped_at: datetime
    reason: str


async def stopped(conn: AsyncConnection, *, limit: int = 3) -> list[Stopped]:
    """Shops whose mail is stopped until somebody looks, the longest first."""
    async with conn.cursor(row_factory=class_row(Stopped)) as cursor:
        await cursor.execute(SQL.stopped, {"limit": limit})
        return await cursor.fetchall()


async def stop(
    conn: AsyncConnection, shop_id: ShopId, *, reason: str, account: str, at: datetime, look_at: datetime
) -> None:
    """Stop a shop's sending; `account` is a digest of the settings that did not work."""
    values = {"shop_id": shop_id, "reason": reason, "account": account, "at": at, "look_at": look_at}
    await conn.execute(SQL.stop, values)


async def pause(conn: AsyncConnection, shop_id: ShopId, *, until: datetime, reason: str) -> None:
    """Send nothing of a shop before then."""
    await conn.execute(SQL.pause, {"shop_id": shop_id, "until": until, "reason": reason})


async def count_policy(conn: AsyncConnection, shop_id: ShopId) -> int:
    """Count a refusal by policy; how many there were since the last success."""
    row = await (await conn.execute(SQL.count_policy, {"shop_id": shop_id})).fetchone()
    assert row is not None
    return int(row[0])


async def clear(conn: AsyncConnection, shop_id: ShopId) -> None:
    """Forget stops, pauses and refusals: sending works."""
    await conn.execute(SQL.clear, {"shop_id": shop_id})


async def take_turns(
    conn: AsyncConnection, account: int, *, rate_per_minute: int, want: int
) -> tuple[int, float]:
    """How many messages may go now, up to `want`, and when it is none the seconds to wait.

    `account`: a shop's id, or INSTALLATION. All processes draw from one row, so the rate holds however many send.
    """
    values = {"account": account, "gap_s": 60.0 / rate_per_minute, "burst_s": _BURST_S, "want": want}
    row = await (await conn.execute(SQL.take_turns, values)).fetchone()
    if row is None:
        await conn.execute(SQL.begin_pace, values)
        row = await (await conn.execute(SQL.take_turns, values)).fetchone()
    assert row is not None
    return int(row[0]), float(row[1])
