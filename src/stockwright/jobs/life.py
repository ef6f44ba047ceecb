"""A worker's sign of life, and what the living do for the dead.

A worker holds an advisory lock on a connection of its own. The lock falls the moment the process ends, so
that its jobs go on elsewhere within seconds; a worker that hangs has the connection taken from it.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from stockwright.jobs.failures import Failures
from stockwright.store import wake
from stockwright.store.database import Connection, Pool, Unreachable, connect

LOG = structlog.get_logger(__name__)

_PING_EVERY_S = 1.0
_PING_LIMIT_S = 5.0
_PASS_LIMIT = 1000  # jobs of dead workers in one pass


class LifeLost(Exception):
    """The connection that holds this worker's lock is gone: others may run its jobs by now."""


@dataclass(kw_only=True)
class Life:
    """The connection and the lock of one worker."""

    conn: Connection
    worker_id: int | None = None
    leads: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def begin(cls, dsn: str) -> "Life":
        """Connect; the lock follows when the worker has its number."""
        return cls(conn=await connect(dsn, name="worker life"))

    async def hold(self, worker_id: int) -> None:
        """Take the lock, before the worker can fetch its first job."""
        await wake.hold_life(self.conn, worker_id)
        self.worker_id = worker_id

    async def watch(self) -> None:
        """Ask every second whether the connection still stands, and for the lead while another has it.

        Raises:
            LifeLost: it does not.
        """
        while True:
            try:
                async with asyncio.timeout(_PING_LIMIT_S):
                    await self._ping()
            except (*Unreachable, TimeoutError) as error:
                raise LifeLost(str(error) or "no answer") from error
            await asyncio.sleep(_PING_EVERY_S)

    async def _ping(self) -> None:
        if self.leads.is_set():
            await self.conn.execute("select 1")
        elif await wake.try_lead(self.conn):
            LOG.info("this worker leads: it does the periodic work")
            self.leads.set()

    async def end(self) -> None:
        """Let go of the lock."""
        await self.conn.close()


@dataclass(kw_only=True)
class Watch:
    """Finds running jobs that nobody runs and wakes their keys."""

    pool: Pool
    life: Life
    failures: Failures
    silence_limit_s: float
    running: set[int] = field(default_factory=set)  # job ids that this process works on
    _left: set[int] = field(default_factory=set)  # ours by the database, not by us, at the last look

    async def look(self) -> None:
        """One pass: hung workers lose their lock, jobs of dead workers and lost ones of ours are closed."""
        async with self.pool.connection() as conn:
            workers = await wake.workers_at_work(conn)
        for worker_id in workers:
            if worker_id is None or worker_id != self.life.worker_id:
                await self._bury(worker_id)
        await self._find_lost()
        await self._silence()

    async def _silence(self) -> None:
        async with self.pool.connection() as conn:
            silenced = await wake.silence(
                conn, self_id=self.life.worker_id or 0, limit_s=self.silence_limit_s
            )
        for worker_id in silenced:
            LOG.error("a worker hangs and was replaced", worker_id=worker_id, limit_s=self.silence_limit_s)

    async def _bury(self, worker_id: int | None) -> None:
        for _ in range(_PASS_LIMIT):
            async with self.pool.connection() as conn:
                if worker_id is not None and not await wake.is_dead(conn, worker_id):
                    return
                key = await wake.close_dead_job(conn, worker_id)
                if key is None:
                    if worker_id is not None:
                        await wake.forget_worker(conn, worker_id)
                    return
                await self.failures.record_crash(conn, key)
            LOG.warning("a worker died; its run is taken up again", worker_id=worker_id, key=key.lock)

    async def _find_lost(self) -> None:
        """Jobs whose end could not be written (the database was away): no pass of others would free them."""
        worker_id = self.life.worker_id
        if worker_id is None:
            return
        async with self.pool.connection() as conn:
            left = await wake.running_of(conn, worker_id) - self.running
        lost, self._left = left & self._left, left
        for _ in lost:
            async with self.pool.connection() as conn:
                key = await wake.close_dead_job(conn, worker_id, job_ids=sorted(lost))
                if key is not None:
                    await self.failures.record_crash(conn, key)
                    LOG.warning("the end of a job was not recorded; its key runs again", key=key.lock)
