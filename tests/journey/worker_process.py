"""A worker as a process of its own, to be killed: `python -m tests.journey.worker_process DSN MODE`.

MODE "hang" notes that a run has started and never ends it; "work" finishes the key's work.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime

from stockwright.jobs import WorkerDeps, WorkerLimits, run_worker
from stockwright.model import Key
from stockwright.store import keys
from stockwright.store.database import pool


async def main(dsn: str, mode: str) -> None:
    async with pool(dsn, size=4, name="test worker") as opened:

        async def handle_key(key: Key) -> None:
            now = datetime.now(UTC)
            async with opened.connection() as conn:
                await conn.execute("insert into started (key, pid) values (%s, %s)", (key.lock, os.getpid()))
            if mode == "hang":
                await asyncio.Event().wait()
            async with opened.connection() as conn:
                waiting = await keys.pending(conn, key, now)
                await keys.finish(conn, key, [event.event_id for event in waiting], None)

        deps = WorkerDeps(dsn=dsn, pool=opened, handle_key=handle_key, now=lambda: datetime.now(UTC))
        limits = WorkerLimits(silence_limit_s=3.0, poll_interval_s=0.5)
        await run_worker(deps, limits, stop=asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
