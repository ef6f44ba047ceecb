"""The worker: fetches keys' jobs through the job engine, runs each, and stops when asked or when lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, Protocol

import structlog
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

from stockwright.jobs.chores import Chore, Retention, keep_doing, own_chores, sweep
from stockwright.jobs.failures import Failures, RunTooLong, SaveFailedRun, save_none
from stockwright.jobs.life import Life, LifeLost, Watch
from stockwright.model import Key, StockwrightError
from stockwright.store import wake
from stockwright.store.database import Pool, Unreachable
from stockwright.store.lending import careful_pool

LOG = structlog.get_logger(__name__)

HandleKey = Callable[[Key], Awaitable[bool]]

_LOOK_EVERY_S = 2.0
_ENGINE_POOL_SIZE = 4
_ENGINE_WAIT_S = 5.0
_FRESH_PLANS_S = 2.0  # for so long the engine's connections keep a plan made for another number of jobs
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 2.0
_STABLE_S = 10.0  # a worker that ran for so long is started again as at the first time


class WorkerLost(StockwrightError):
    """The worker ended without being asked to. Nothing of it runs any more; it may be started again."""


@dataclass(frozen=True, kw_only=True)
class WorkerLimits:
    """How much a worker does, and for how long it waits."""

    concurrency: int = 12
    poll_interval_s: float = 1.0
    stop_limit_s: float = 20.0  # for running keys after a request to stop
    run_limit_s: float = 1800.0  # for one key's run
    silence_limit_s: float = 30.0  # without a heartbeat a worker is replaced
    sweep_every_s: float = 30.0
    retry_limit: int = 12  # failures in a row of one key
    keep: Retention = field(default_factory=Retention)


@dataclass(frozen=True, kw_only=True)
class WorkerDeps:
    """What a worker needs; built and closed by whoever starts it."""

    dsn: str  # for connections of its own: session locks and LISTEN need direct ones
    pool: Pool  # open
    # Takes the key's waiting events all the way, and may be called again at any point; whether it cleared the key's
    # former failures itself.
    handle_key: HandleKey
    now: Callable[[], datetime]
    chores: Sequence[Chore] = ()  # more periodic work for the worker that leads
    save_failed_run: SaveFailedRun = save_none


async def keep_working(deps: WorkerDeps, limits: WorkerLimits, *, stop: asyncio.Event) -> None:
    """Run a worker until `stop` is set; one that was lost is started again, after a pause that grows to 2 s.

    The pauses are short because corrections that were on their way must be looked into soon.
    """
    pause_s = _FIRST_PAUSE_S
    while not stop.is_set():
        begun_at = monotonic()
        try:
            await run_worker(deps, limits, stop=stop)
        except (WorkerLost, *Unreachable) as error:
            if monotonic() - begun_at > _STABLE_S:
                pause_s = _FIRST_PAUSE_S
            LOG.warning("the worker is lost and will start again", error=str(error), pause_s=pause_s)
            await _pause(stop, pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


async def _pause(stop: asyncio.Event, pause_s: float) -> None:
    try:
        async with asyncio.timeout(pause_s):
            await stop.wait()
    except TimeoutError:
        return


async def run_worker(deps: WorkerDeps, limits: WorkerLimits, *, stop: asyncio.Event) -> None:
    """Run keys until `stop` is set, then let those that run finish within `stop_limit_s`.

    Raises:
        WorkerLost: its sign of life or the database was lost; its runs were cancelled.
    """
    async with AsyncExitStack() as stack:
        life = await Life.begin(deps.dsn)
        stack.push_async_callback(life.end)
        failures = Failures(
            pool=deps.pool, now=deps.now, limit=limits.retry_limit, save_failed_run=deps.save_failed_run
        )
        watch = Watch(pool=deps.pool, life=life, failures=failures, silence_limit_s=limits.silence_limit_s)
        app = _app(deps, life, failures, limits)
        await stack.enter_async_context(app.open_async())
        await _start(deps.pool, watch)
        chores = own_chores(deps.pool, now=deps.now, sweep_every_s=limits.sweep_every_s, keep=limits.keep)
        look = Chore(name="watch", every_s=_LOOK_EVERY_S, run=watch.look)
        always = asyncio.Event()
        always.set()
        side_work = [
            asyncio.create_task(life.watch(), name="life"),
            asyncio.create_task(keep_doing(look, always), name="watch"),
            *(asyncio.create_task(keep_doing(chore, life.leads)) for chore in (*chores, *deps.chores)),
        ]
        stack.push_async_callback(_end_all, side_work)
        await _work(_worker(app, watch, limits), side_work[0], stop)
        await sweep(deps.pool)  # the runs that were cut short have no job now


async def _start(pool: Pool, watch: Watch) -> None:
    await watch.look()
    async with pool.connection() as conn:
        in_doubt = await wake.wake_in_doubt(conn)
    if in_doubt:
        LOG.info(
            "shared stocks have a correction without a known answer; they are looked at first", pools=in_doubt
        )
    await sweep(pool)


class _Engine(Protocol):
    """What we use of the engine's worker; its own methods carry no types."""

    shutdown_graceful_timeout: float | None

    async def run(self) -> None: ...
    def stop(self) -> None: ...


async def _work(worker: _Engine, life: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    """Let the worker run until it is asked to stop, dies, or its sign of life is lost."""
    running = asyncio.create_task(worker.run(), name="worker")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait((running, stopping, life), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if life.done():
            worker.shutdown_graceful_timeout = 0  # others may run these keys already
        was_lost = life.done() or (running.done() and not stop.is_set())
        worker.stop()
        await _ended(running)
    if was_lost:
        raise WorkerLost(f"The worker lost its place: {_reason(life)}.")


async def _ended(running: "asyncio.Task[None]") -> None:
    try:
        await running
    except (ConnectorException, *Unreachable) as error:
        raise WorkerLost(f"The worker could not end properly: {error}") from error


def _reason(life: "asyncio.Task[None]") -> str:
    error = life.exception() if life.done() and not life.cancelled() else None
    return (
        f"its database connection ended ({error})"
        if isinstance(error, LifeLost)
        else "the job engine stopped"
    )


async def _end_all(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Manager(JobManager):
    """The engine's own, except that a worker is alive by our lock instead of by its heartbeat alone."""

    def __init__(self, connector: PsycopgConnector, life: Life) -> None:
        super().__init__(connector)
        self._life = life

    async def register_worker(self) -> int:
        worker_id = await super().register_worker()
        await self._life.hold(worker_id)
        return worker_id

    async def prune_stalled_workers(self, seconds_since_heartbeat: float) -> list[int]:  # noqa: ARG002
        return []  # it would cut the tie between a silent worker and its jobs; `Watch` does this


def _app(deps: WorkerDeps, life: Life, failures: Failures, limits: WorkerLimits) -> App:
    connector = PsycopgConnector(
        conninfo=deps.dsn,
        min_size=1,
        max_size=_ENGINE_POOL_SIZE,
        timeout=_ENGINE_WAIT_S,
        configure=wake.ready_for_engine,
        pool_factory=partial(careful_pool, ask_every_s=_FRESH_PLANS_S),
        kwargs={"application_name": "stockwright jobs"},
    )
    app = App(connector=connector)
    app.job_manager = _Manager(connector, life)

    @app.task(name=wake.TASK)
    async def run_key(**args: Any) -> None:
        await _run(wake.key_of(args), deps, failures, run_limit_s=limits.run_limit_s)

    return app


async def _run(key: Key, deps: WorkerDeps, failures: Failures, *, run_limit_s: float) -> None:
    """One run of one key. An error becomes a later wake-up: for the engine the job went well."""
    started_at = deps.now()
    with structlog.contextvars.bound_contextvars(key=key.lock):
        try:
            is_cleared = await _within(run_limit_s, deps.handle_key(key))
        except Exception as error:
            LOG.exception("a run ended in an unexpected error")
            await failures.record(key, error)
        else:
            if not is_cleared:
                await failures.forget(key, started_at=started_at)


async def _within(limit_s: float, work: Awaitable[bool]) -> bool:
    """An exceeded limit is no lost connection, though a TimeoutError is an OSError, too."""
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise RunTooLong(
            f"The run was stopped after {limit_s:g} s. A scan goes on where it was, anything else starts again."
        ) from error


def _worker(app: App, watch: Watch, limits: WorkerLimits) -> _Engine:
    async def track(call_next: Callable[[], Awaitable[Any]], context: JobContext, _worker: Worker) -> Any:
        job_id = context.job.id or 0
        watch.running.add(job_id)
        try:
            return await call_next()
        finally:
            watch.running.discard(job_id)

    return Worker(
        app=app,
        queues=[wake.QUEUE],
        name="stockwright",
        concurrency=limits.concurrency,
        fetch_job_polling_interval=limits.poll_interval_s,
        abort_job_polling_interval=60.0,
        shutdown_graceful_timeout=limits.stop_limit_s,
        listen_notify=True,
        delete_jobs="successful",
        install_signal_handlers=False,
        update_heartbeat_interval=min(10.0, limits.silence_limit_s / 3),
        stalled_worker_timeout=limits.silence_limit_s,
        worker_middleware=[track],
    )
