"""What becomes of a key whose run ended in an unexpected error, or together with its worker.

The job engine's own retry is not used: with a queueing lock it wedges the key (docs/decisions/0011).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from stockwright.model import JsonObject, Key, RunId, StockwrightError
from stockwright.shopify.errors import ShopifyError
from stockwright.store import keys, wake
from stockwright.store.database import Connection, Pool, Unreachable, singly

LOG = structlog.get_logger(__name__)

FIRST_DELAY_S = 10.0
LONGEST_DELAY_S = 900.0
TOLD_FROM = 3  # failures in a row, of a kind that is expected to pass
_TEXT_LIMIT = 2000


class RunTooLong(StockwrightError):
    """A run that was stopped at its limit of time."""


class SaveFailedRun(Protocol):
    """Stores a run that tells of a failure, in the caller's transaction; `tell`: also to the owner.

    None: the key is none of an automation, so there is nobody to tell.
    """

    async def __call__(
        self, conn: Connection, key: Key, *, because: str, error: JsonObject, tell: bool
    ) -> RunId | None: ...


async def save_none(
    conn: Connection,  # noqa: ARG001
    key: Key,  # noqa: ARG001
    *,
    because: str,  # noqa: ARG001
    error: JsonObject,  # noqa: ARG001
    tell: bool,  # noqa: ARG001
) -> RunId | None:
    """For keys whose work is not that of automations."""
    return None


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
    save_failed_run: SaveFailedRun = save_none
    spread: Callable[[], float] = random.random

    async def record(self, key: Key, error: BaseException) -> None:
        """After a run that raised: try again after a pause, and store a run that tells why."""
        async with self.pool.connection() as conn:
            delay_s = await _delay_after_death(conn, key) if isinstance(error, Unreachable) else retry_delay_s
            failures = await self._count(conn, key, _text(error), delay_s, least_s=_asked_to_wait_s(error))
        if failures < self.limit and not isinstance(error, Unreachable) and not _is_told(error):
            await self._tell(key, error, failures)

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

    async def _tell(self, key: Key, error: BaseException, failures: int) -> None:
        """In a transaction of its own: it may wake other keys."""
        because = "The run ended in an error, so nothing was decided. The events wait for the next try."
        expected = isinstance(error, StockwrightError)
        code = {"code": error.code.value} if isinstance(error, ShopifyError) else {}
        detail = {"message": str(error) if expected else _text(error), **code}
        async with self.pool.connection() as conn:
            await self.save_failed_run(
                conn, key, because=because, error=detail, tell=not expected or failures >= TOLD_FROM
            )

    async def _count(
        self, conn: Connection, key: Key, error: str, delay_s: DelayS, *, least_s: float = 0.0
    ) -> int:
        failures = (await keys.state(conn, key)).failures + 1
        if failures >= self.limit:
            await self._give_up(conn, key, failures, error)
            return failures
        pause_s = max(delay_s(failures, spread=self.spread()), least_s)
        next_at = self.now() + timedelta(seconds=pause_s)
        await keys.record_failure(conn, key, error=error, next_at=next_at)
        await wake.wake(conn, [(key, next_at if pause_s else None)])
        if delay_s is first_look_delay_s:
            await wake.put_doubts_first(conn)
        LOG.warning(
            "a run failed and will be tried again", key=key.lock, failures=failures, pause_s=round(pause_s)
        )
        return failures

    async def _give_up(self, conn: Connection, key: Key, failures: int, error: str) -> None:
        """What else waits for the key, due later, is woken by the sweep: jobs are locked in one statement only."""
        text = f"Given up after {failures} failures in a row. The last: {error}"
        because = "Its events were closed without a decision; the next event or schedule starts afresh."
        run_id = await self.save_failed_run(conn, key, because=because, error={"message": text}, tell=True)
        await keys.give_up(conn, key, error=text, run_id=run_id)
        LOG.error(
            "a run failed too often and was given up; the next event or schedule starts afresh",
            key=key.lock,
            failures=failures,
        )


async def _delay_after_death(conn: Connection, key: Key) -> DelayS:
    return first_look_delay_s if await wake.waits_for_first_look(conn, key) else crash_delay_s


def _asked_to_wait_s(error: BaseException) -> float:
    return (error.retry_after_s or 0.0) if isinstance(error, ShopifyError) else 0.0


def _is_told(error: BaseException) -> bool:
    return isinstance(error, ShopifyError) and error.is_told


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_TEXT_LIMIT].replace("\0", "")
