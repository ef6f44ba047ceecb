"""What becomes of a key whose run ended in an unexpected error, or together with its worker.

The job engine's own retry is not used: with a queueing lock it wedges the key (docs/decisions/0011).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from stockwright.model import Key
from stockwright.store import keys, wake
from stockwright.store.database import Connection, Pool, Unreachable, singly

LOG = structlog.get_logger(__name__)

FIRST_DELAY_S = 10.0
LONGEST_DELAY_S = 900.0
_TEXT_LIMIT = 2000


class DelayS(Protocol):
    """How long to wait after the nth failure in a row, in seconds; `spread` is 0..1."""

    def __call__(self, failures: int, *, spread: float) -> float: ...


def crash_delay_s(failures: int, *, spread: float) -> float:
    """The pause after the nth run in a row that died with its worker or its database: 0, 1, 2, 4 s ... 15 min.

    Short at first, because it is seldom the key's fault.
    """
    if failures < 2:
        return 0.0
    return min(2.0 ** min(failures - 2, 20), LONGEST_DELAY_S) * (0.75 + spread / 2)


def first_look_delay_s(failures: int, *, spread: float) -> float:
    """The same for a key with a lost answer that must be looked into within `settle_window_s`: no pause at first.

    After `AT_ONCE` of them as for all others: it may be the key that kills.
    """
    return 0.0 if failures <= wake.AT_ONCE else crash_delay_s(failures, spread=spread)


def retry_delay_s(failures: int, *, spread: float) -> float:
    """The pause after the nth failure in a row: 10 s doubling up to 15 min; `spread` 0..1 makes it ±25 %."""
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 1, 20), LONGEST_DELAY_S) * (0.75 + spread / 2)


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Counts failures of keys and wakes them again, later each time, up to a limit."""

    pool: Pool
    now: Callable[[], datetime]
    limit: int  # failures in a row after which the due work is closed
    spread: Callable[[], float] = random.random

    async def record(self, key: Key, error: BaseException) -> None:
        """After a run that raised: try again after a pause."""
        async with self.pool.connection() as conn:
            delay_s = await _delay_after_death(conn, key) if isinstance(error, Unreachable) else retry_delay_s
            await self._count(conn, key, _text(error), delay_s)

    async def record_crash(self, conn: Connection, key: Key) -> None:
        """After a worker died with the run: try again at once, then after pauses; in the caller's transaction."""
        delay_s = await _delay_after_death(conn, key)
        await self._count(conn, key, "The worker ended in the middle of this run.", delay_s)

    async def forget(self, key: Key, *, started_at: datetime) -> None:
        """After a run that went well."""
        async with singly(self.pool) as conn:
            if await keys.state(conn, key) == keys.KeyState():
                return
            async with conn.transaction():
                if await keys.cleared(conn, key, started_at=started_at):
                    await wake.wake_next(conn, key)

    async def _count(self, conn: Connection, key: Key, error: str, delay_s: DelayS) -> None:
        failures = (await keys.state(conn, key)).failures + 1
        if failures >= self.limit:
            await self._give_up(conn, key, failures, error)
            return
        pause_s = delay_s(failures, spread=self.spread())
        next_at = self.now() + timedelta(seconds=pause_s)
        await keys.record_failure(conn, key, error=error, next_at=next_at)
        await wake.wake(conn, [(key, next_at if pause_s else None)])
        if delay_s is first_look_delay_s:
            await wake.put_doubts_first(conn)
        LOG.warning(
            "a run failed and will be tried again", key=key.lock, failures=failures, pause_s=round(pause_s)
        )

    async def _give_up(self, conn: Connection, key: Key, failures: int, error: str) -> None:
        await keys.give_up(conn, key, error=f"Given up after {failures} failures in a row. The last: {error}")
        await wake.wake_next(conn, key)
        LOG.error(
            "a run failed too often and was given up; the next event or schedule starts afresh",
            key=key.lock,
            failures=failures,
        )


async def _delay_after_death(conn: Connection, key: Key) -> DelayS:
    return first_look_delay_s if await wake.waits_for_first_look(conn, key) else crash_delay_s


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_TEXT_LIMIT].replace("\0", "")
