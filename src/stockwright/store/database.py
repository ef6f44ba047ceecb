"""Connections: the pool that the whole process shares, and which errors mean what.

The names here are what modules outside the store use instead of importing the driver.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic, sleep
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from stockwright.store.lending import careful_pool

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

# The database is away, too slow or full: the same call may succeed later. `Away` is sure to be about the database.
Away = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TooManyRequests)
Unreachable = (*Away, OSError)
# The user of the database may not do it.
Denied = (psycopg.errors.InsufficientPrivilege,)
# The values themselves are refused: the same call will never succeed.
Refused = (psycopg.DataError, psycopg.IntegrityError)
# Two writers met; one was sent away and may try again at once.
Collided = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)

# A machine that vanished is noticed in half a minute, not in two hours; without meaning on a Unix socket.
_NETWORK: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


_ASK_EVERY_S = 0.1
_IDLE_S = 15.0  # so often a pool ends one connection that nobody needed: each holds 3 MB of the server
# After an outage: psycopg_pool would try each lost connection 1, 2, 4 s ... later, for five minutes.
_RECONNECT_S = 1.5


class _Cursor(AsyncCursor[Any]):
    """A cursor that refuses to count rows of a statement whose answer is not there yet (see `together`)."""

    @property
    def rowcount(self) -> int:
        """Rows of the last statement.

        Raises:
            psycopg.ProgrammingError: nobody has fetched the answer of a statement that was sent with others.
        """
        if self.connection.pgconn.pipeline_status != PipelineStatus.OFF and self.pgresult is None:
            raise psycopg.ProgrammingError(
                "The number of rows is not known yet: this statement was sent together with others. "
                "Let it say RETURNING what it did, and fetch that."
            )
        return super().rowcount


def pool(dsn: str, *, size: int, name: str, timeout_s: float = 10.0) -> Pool:
    """A closed pool of at most `size` connections; open it with `async with`.

    A connection that the server closed is replaced before it is lent. `timeout_s` limits the wait for one. While
    the server is away it is looked for about once a second, however long that takes.
    """

    return careful_pool(
        dsn,
        min_size=1,
        max_size=size,
        max_idle=_IDLE_S,
        timeout=timeout_s,
        name=name,
        open=False,
        configure=_limit_idleness,
        reconnect_timeout=_RECONNECT_S,
        reconnect_failed=_look_again,
        kwargs={"application_name": f"stockwright {name}", "cursor_factory": _Cursor, **_NETWORK},
    )


async def _look_again(connections: Any) -> None:
    """Those who wait for a connection need one that is being made; the pool gives up without a successor."""
    await connections.check()


async def _limit_idleness(conn: Connection) -> None:
    """A process that hangs inside a transaction must not hold its row locks for longer than this."""
    await conn.execute("set idle_in_transaction_session_timeout = '60s'")
    await conn.commit()


def wait_for_server(dsn: str, *, limit_s: float, log: Callable[[str], None]) -> None:
    """Return once the server takes a connection, as after its start or while it recovers; says once that it waits.

    Raises:
        psycopg.OperationalError: it takes none within `limit_s`.
    """
    give_up_at, told = monotonic() + limit_s, False
    while True:
        try:
            return psycopg.connect(dsn, **_NETWORK).close()
        except psycopg.OperationalError as error:
            if monotonic() > give_up_at:
                raise
            if not told:
                log(f"Waiting up to {limit_s:g} s for the database: {error}")
            told = True
            sleep(_ASK_EVERY_S)


async def connect(dsn: str, *, name: str) -> Connection:
    """One connection of its own, in autocommit mode: for session locks."""
    return await AsyncConnection.connect(
        dsn, autocommit=True, application_name=f"stockwright {name}", **_NETWORK
    )


@asynccontextmanager
async def singly(pool: Pool, *, wait_s: float | None = None) -> AsyncIterator[Connection]:
    """A connection on which each statement is a transaction of its own: one round trip instead of three.

    `wait_s` limits the wait for it, instead of the pool's own limit.
    """
    async with pool.connection(timeout=wait_s) as conn:
        await conn.set_autocommit(True)
        try:
            yield conn
        finally:
            if conn.info.transaction_status is TransactionStatus.IDLE:  # else the pool discards it
                await conn.set_autocommit(False)


@asynccontextmanager
async def together(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction whose statements are sent without waiting for the answers of those before.

    Only what is fetched is waited for, so a statement tells what it did by RETURNING and never by `rowcount`. An
    error of one that nobody fetched is raised at the end; nothing of the transaction is committed then.
    """
    async with pool.connection() as conn, conn.pipeline(), conn.transaction():
        yield conn
