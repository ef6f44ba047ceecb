"""Who may enter the admin site and the API: passwords, sessions, API tokens, the link of the first user.

Knows nothing of HTTP. Tokens are random and stored as hashes; none of them can be shown twice.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from stockwright.model import StockwrightError
from stockwright.store import sessions, tokens, users
from stockwright.store.audit import Actor, audit
from stockwright.store.database import Connection, Pool
from stockwright.store.ids import new_id
from stockwright.store.sessions import Alive, SessionRow
from stockwright.store.tokens import TokenRow
from stockwright.store.users import Attempts, UserRow

Scope = Literal["read", "write"]


@dataclass(frozen=True, kw_only=True)
class SessionLimits:
    """How long somebody stays signed in."""

    idle: timedelta = timedelta(hours=12)  # without doing anything
    whole: timedelta = timedelta(days=7)  # from signing in


_LONGEST_SESSION = SessionLimits(idle=timedelta(hours=720), whole=timedelta(days=90))  # that settings allow

SETUP_LINK_LIMIT = timedelta(hours=24)
SHORTEST_PASSWORD = 12  # characters
_LONGEST_PASSWORD = 1024
_LONGEST_NAME = 100
_API_PREFIX = "stockwright_"

# Tries in a quarter of an hour. By both, so that a stranger cannot shut a user out; by each, against many.
ATTEMPT_WINDOW = timedelta(minutes=15)
_LIMIT_OF_BOTH = 5
_LIMIT_OF_ADDRESS = 20
_LIMIT_OF_NAME = 100


def hash_of(token: str) -> bytes:
    """What is stored of a token. Tokens are random, so a plain hash suffices and can be looked up."""
    return hashlib.sha256(token.encode()).digest()


# --- passwords --------------------------------------------------------------------------------------------


class Passwords:
    """Argon2id in threads, two at a time: each takes 64 MiB and a twentieth of a second."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(2)

    async def hash(self, password: str) -> str:
        """A new hash, with its parameters."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the hash's. None takes as long as a real hash and fits never."""
        async with self._turn:
            return await asyncio.to_thread(self._fits, password_hash, password)

    def is_old(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _fits(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobodys, password[:_LONGEST_PASSWORD])
        except VerificationError:
            return False
        return password_hash is not None

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_hex(16))


def password_problem(password: str, *, name: str) -> str:
    """Why this cannot be a password, or ""."""
    if len(password) < SHORTEST_PASSWORD:
        return f"Use at least {SHORTEST_PASSWORD} characters. Several words are easy to remember."
    if len(password) > _LONGEST_PASSWORD:
        return f"Use at most {_LONGEST_PASSWORD} characters."
    if name and users.name_key(name) in password.casefold():
        return "Do not use the name inside the password."
    if len(set(password)) < 5:
        return "Use more different characters."
    return ""


def name_problem(name: str) -> str:
    """Why this cannot be a user's name, or ""."""
    if not name.strip():
        return "Give a name, such as ann or ann@example.com."
    if len(name) > _LONGEST_NAME or not name.isprintable():
        return f"Use at most {_LONGEST_NAME} printable characters."
    return ""


# --- users ------------------------------------------------------------------------------------------------


async def add_user(conn: Connection, actor: Actor, *, name: str, password_hash: str, at: datetime) -> UserRow:
    """Store a user in the caller's transaction; links for the first user are worthless from now on.

    Raises:
        StockwrightError: the name is taken.
    """
    user_id = new_id("usr", at)
    name = name.strip()
    if not await users.add(conn, user_id=user_id, name=name, password_hash=password_hash, created_at=at):
        raise StockwrightError(f"There is a user {name!r} already. Choose another name.")
    await users.delete_setup_links(conn)
    await audit(conn, actor, "user.add", name, {}, at=at)
    user = await users.get(conn, user_id)
    assert user is not None, "it was stored just now"
    return user


async def change_password(
    conn: Connection, user: UserRow, password_hash: str, *, at: datetime, keep_session: str | None
) -> int:
    """Store a new password and end the user's other sessions; how many."""
    await users.save_password(conn, user.user_id, password_hash, at=at)
    return await sessions.remove_all(conn, user.user_id, except_id=keep_session)


# --- signing in -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Where a request comes from."""

    address: str
    agent: str


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """Somebody signed in: the cookie's value, known only now."""

    token: str
    user: UserRow


class WrongPassword(StockwrightError):
    """No such user, or another password; which of them is not told."""


class TooManyAttempts(StockwrightError):
    """The name or the address has to wait."""


async def sign_in(
    pool: Pool, passwords: Passwords, visitor: Visitor, *, name: str, password: str, now: datetime
) -> SignedIn:
    """Check a password and open a new session. A try is counted before it is checked.

    Raises:
        TooManyAttempts: nothing was checked.
        WrongPassword: also where there is no such user, after the same time.
    """
    async with pool.connection() as conn:
        await users.add_attempt(conn, new_id("att", now), name=name, address=visitor.address, at=now)
    async with pool.connection() as conn:
        tries = await users.attempts(conn, name=name, address=visitor.address, since=now - ATTEMPT_WINDOW)
        user = await users.find(conn, name)
    if _too_many(tries):
        raise TooManyAttempts("Too many tries to sign in. Wait a quarter of an hour, then try again.")
    fits = await passwords.fits(user.password_hash if user else None, password)
    if user is None or not fits:
        raise WrongPassword("The name or the password is wrong.")
    newer = await passwords.hash(password) if passwords.is_old(user.password_hash) else None
    async with pool.connection() as conn, conn.transaction():
        await users.forgive(conn, name=name, address=visitor.address)
        if newer:
            await users.rehash(conn, user, newer)
        return await open_session(conn, user, visitor, now=now)


def _too_many(tries: Attempts) -> bool:
    return (
        tries.of_both > _LIMIT_OF_BOTH
        or tries.of_address > _LIMIT_OF_ADDRESS
        or tries.of_name > _LIMIT_OF_NAME
    )


async def open_session(conn: Connection, user: UserRow, visitor: Visitor, *, now: datetime) -> SignedIn:
    """A new session with a new token, whatever cookie the browser had before."""
    token = secrets.token_urlsafe(32)
    await sessions.add(
        conn,
        token_hash=hash_of(token),
        session_id=new_id("ses", now),
        user_id=user.user_id,
        address=visitor.address,
        agent=visitor.agent[:300],
        at=now,
    )
    await users.note_sign_in(conn, user.user_id, at=now)
    return SignedIn(token=token, user=user)


def alive(now: datetime, limits: SessionLimits) -> Alive:
    """The limits that a session must keep at this moment."""
    return Alive(seen_after=now - limits.idle, created_after=now - limits.whole)


async def session_of(
    conn: Connection, token: str, *, now: datetime, seen: bool, limits: SessionLimits
) -> SessionRow | None:
    """The session of a cookie; None when there is none or it is beyond its limits. `seen`: a person acts."""
    session = await sessions.find(conn, hash_of(token), alive(now, limits))
    if seen and session is not None and now - session.seen_at > timedelta(minutes=1):
        await sessions.touch(conn, session.session_id, at=now)
    return session


async def forget_old(conn: Connection, *, now: datetime) -> None:
    """Delete sessions and tries that count no more, whatever the settings say."""
    await sessions.delete_stale(conn, alive(now, _LONGEST_SESSION))
    await users.delete_attempts(conn, before=now - ATTEMPT_WINDOW)


# --- the first user ---------------------------------------------------------------------------------------


async def setup_token(conn: Connection, *, now: datetime) -> str | None:
    """A token for the page /setup/TOKEN, which makes the first user; None when there is one already."""
    if await users.exist(conn):
        return None
    token = secrets.token_urlsafe(24)
    await users.add_setup_link(conn, hash_of(token), expires_at=now + SETUP_LINK_LIMIT)
    return token


# --- API tokens -------------------------------------------------------------------------------------------


async def add_token(conn: Connection, actor: Actor, *, name: str, scope: Scope, at: datetime) -> str:
    """Store a new API token in the caller's transaction; the token, known only now."""
    token = _API_PREFIX + secrets.token_urlsafe(32)
    token_id = new_id("tok", at)
    await tokens.add(
        conn,
        token_id=token_id,
        name=name,
        scope=scope,
        token_hash=hash_of(token),
        created_by=actor.name,
        at=at,
    )
    await audit(conn, actor, "token.create", name, {"scope": scope}, at=at)
    return token


async def bearer(conn: Connection, token: str, *, now: datetime) -> TokenRow | None:
    """The API token that a request carries, noted as used; None when it is unknown or revoked."""
    found = await tokens.find(conn, hash_of(token)) if token.startswith(_API_PREFIX) else None
    if found is not None:
        await tokens.use(conn, found.token_id, at=now)
    return found
