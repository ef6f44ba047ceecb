"""Users of the admin site, their tries to sign in, and the links by which the first one is made.

Passwords are hashes here; what makes and checks them is stockwright.access.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from stockwright.store.queries import queries

SQL = queries("users")


@dataclass(frozen=True, kw_only=True)
class UserRow:
    """Somebody who may sign in."""

    user_id: str
    name: str
    name_key: str
    password_hash: str
    created_at: datetime
    password_changed_at: datetime
    last_sign_in_at: datetime | None

    def __repr__(self) -> str:
        return f"UserRow({self.user_id!r}, {self.name!r})"


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Tries to sign in that did not succeed."""

    of_both: int  # this name from this address
    of_address: int
    of_name: int


def name_key(name: str) -> str:
    """What makes two names one."""
    return name.strip().casefold()


async def add(
    conn: AsyncConnection, *, user_id: str, name: str, password_hash: str, created_at: datetime
) -> bool:
    """Store a user; False when the name is taken."""
    values = {
        "user_id": user_id,
        "name": name,
        "name_key": name_key(name),
        "password_hash": password_hash,
        "at": created_at,
    }
    return (await conn.execute(SQL.insert_user, values)).rowcount == 1


async def get(conn: AsyncConnection, user_id: str) -> UserRow | None:
    """A user by id."""
    return await _one(conn, SQL.get_user, {"user_id": user_id})


async def find(conn: AsyncConnection, name: str) -> UserRow | None:
    """A user by name, in any case."""
    return await _one(conn, SQL.find_user, {"name_key": name_key(name)})


async def _one(conn: AsyncConnection, sql: bytes, values: dict[str, str]) -> UserRow | None:
    async with conn.cursor(row_factory=class_row(UserRow)) as cursor:
        await cursor.execute(sql, values)
        return await cursor.fetchone()


async def list_all(conn: AsyncConnection) -> list[UserRow]:
    """All users (at most 1,000), by name."""
    async with conn.cursor(row_factory=class_row(UserRow)) as cursor:
        await cursor.execute(SQL.list_users)
        return await cursor.fetchall()


async def exist(conn: AsyncConnection) -> bool:
    """Whether anybody can sign in."""
    row = await (await conn.execute(SQL.any_user)).fetchone()
    return bool(row and row[0])


async def lock(conn: AsyncConnection) -> None:
    """Let nobody else remove a user until the transaction ends."""
    await conn.execute(SQL.lock_users)


async def remove(conn: AsyncConnection, user_id: str) -> bool:
    """Delete a user with all sessions; False for the last one, and for one who is gone. Call `lock` first."""
    return (await conn.execute(SQL.delete_user, {"user_id": user_id})).rowcount == 1


async def save_password(conn: AsyncConnection, user_id: str, password_hash: str, *, at: datetime) -> None:
    """Store a new password's hash."""
    await conn.execute(SQL.save_password, {"user_id": user_id, "password_hash": password_hash, "at": at})


async def rehash(conn: AsyncConnection, user: UserRow, password_hash: str) -> None:
    """Store the same password under newer parameters, unless it was changed meanwhile."""
    values = {"user_id": user.user_id, "password_hash": password_hash, "was": user.password_hash}
    await conn.execute(SQL.rehash, values)


async def note_sign_in(conn: AsyncConnection, user_id: str, *, at: datetime) -> None:
    """Note when a user last signed in."""
    await conn.execute(SQL.signed_in, {"user_id": user_id, "at": at})


# --- tries to sign in -------------------------------------------------------------------------------------


async def add_attempt(
    conn: AsyncConnection, attempt_id: str, *, name: str, address: str, at: datetime
) -> None:
    """Count a try before its password is checked."""
    values = {"attempt_id": attempt_id, "name_key": name_key(name), "address": address, "at": at}
    await conn.execute(SQL.insert_attempt, values)


async def attempts(conn: AsyncConnection, *, name: str, address: str, since: datetime) -> Attempts:
    """Tries since then that did not succeed."""
    values = {"name_key": name_key(name), "address": address, "since": since}
    async with conn.cursor(row_factory=class_row(Attempts)) as cursor:
        await cursor.execute(SQL.count_attempts, values)
        found = await cursor.fetchone()
    assert found is not None, "a count has a row"
    return found


async def forgive(conn: AsyncConnection, *, name: str, address: str) -> None:
    """Forget the tries of a name from an address."""
    await conn.execute(SQL.forgive, {"name_key": name_key(name), "address": address})


async def delete_attempts(conn: AsyncConnection, *, before: datetime) -> None:
    """Forget tries that count no more."""
    await conn.execute(SQL.delete_attempts, {"before": before})


# --- the first user ---------------------------------------------------------------------------------------


async def add_setup_link(conn: AsyncConnection, token_hash: bytes, *, expires_at: datetime) -> None:
    """Store a link's hash."""
    await conn.execute(SQL.insert_setup_link, {"token_hash": token_hash, "expires_at": expires_at})


async def is_setup_link(conn: AsyncConnection, token_hash: bytes, *, now: datetime) -> bool:
    """Whether the link is one of ours and still good."""
    row = await (await conn.execute(SQL.has_setup_link, {"token_hash": token_hash, "now": now})).fetchone()
    return bool(row and row[0])


async def use_setup_link(conn: AsyncConnection, token_hash: bytes, *, now: datetime) -> bool:
    """Make every link worthless; whether this one was good until now. Of two at once, one gets True."""
    cursor = await conn.execute(SQL.delete_setup_links)
    return any(row[0] == token_hash and row[1] > now for row in await cursor.fetchall())


async def delete_setup_links(conn: AsyncConnection) -> None:
    """Make every link worthless."""
    await conn.execute(SQL.delete_setup_links)
