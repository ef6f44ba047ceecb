"""What a pool does to a connection before it lends it: is it still there, and are its plans still good?

Every ten seconds both are asked of the server; in between, one look at the socket is enough (docs/decisions/0021).
"""

import select
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

_ASK_EVERY_S = 10.0


def careful_pool(
    *arguments: Any, ask_every_s: float = _ASK_EVERY_S, **options: Any
) -> AsyncConnectionPool[Any]:
    """A pool that checks in this way, whatever check was asked for; the arguments are psycopg_pool's."""
    asked: WeakKeyDictionary[AsyncConnection[Any], float] = WeakKeyDictionary()

    async def check(conn: AsyncConnection[Any]) -> None:
        now = monotonic()
        if now - asked.get(conn, -ask_every_s) < ask_every_s and not _has_news(conn):
            return
        try:
            await _forget_plans(conn)
        except Exception:
            # What broke one connection broke most; the pool would find them one by one, 1, 2, 4 s apart.
            await made.check()
            raise
        asked[conn] = now

    made: AsyncConnectionPool[Any] = AsyncConnectionPool(*arguments, **{**options, "check": check})
    return made


def _has_news(conn: AsyncConnection[Any]) -> bool:
    """Whether the server has sent something to an idle connection: in most cases, that it is gone."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def _forget_plans(conn: AsyncConnection[Any]) -> None:
    """Have prepared statements planned anew at their next use. Asks the server, outside any transaction."""
    before = conn.autocommit
    await conn.set_autocommit(True)
    await conn.execute("discard plans")
    await conn.set_autocommit(before)
