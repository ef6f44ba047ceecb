"""Many seeds on several processes, each with a database of its own that is emptied between seeds."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import structlog

from stockwright.store.database import pool
from tests.emptying import empty
from tests.journey.database_clock import DatabaseClock
from tests.postgres_fixture import DatabaseServer, throwaway_server
from tests.simulation.whole.diary import Tell, untold
from tests.simulation.whole.scenario import ALL_KINDS
from tests.simulation.whole.seed import Result, play_seed

PROCESSES = 2
ENOUGH_FOR_ALL_FAULTS = 500
"""Seeds from which on every kind of fault must have struck."""
CHUNK = 5
REPLAY = 'make simulate ARGS="--depth whole --seed {seed}"'


@dataclass(kw_only=True)
class Report:
    """What the seeds showed. `failures` is empty when every invariant held."""

    seeds: int = 0
    failures: dict[int, str] = field(default_factory=dict)  # by seed
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    calm_requests: int = 0
    calm_pools: int = 0
    took_s: float = 0.0

    def add(self, result: Result) -> None:
        """Count one more seed."""
        self.seeds += 1
        self.faults.update(result.faults)
        self.events.update(result.events)
        self.requests += result.requests
        self.calm_requests += result.calm_requests
        self.calm_pools += result.calm_pools
        if result.failure:
            self.failures[result.seed] = result.failure

    @property
    def missing_kinds(self) -> list[str]:
        """Kinds of fault that never struck: a run of many seeds must have none."""
        return [kind for kind in ALL_KINDS if not self.faults[kind]]

    def lines(self) -> list[str]:
        """The report for people."""
        told = [_failed(seed, why) for seed, why in sorted(self.failures.items())]
        rate = self.seeds / self.took_s if self.took_s else 0.0
        per_pool = self.calm_requests / self.calm_pools if self.calm_pools else 0.0
        return [
            *told,
            f"whole depth: {self.seeds} seeds, {len(self.failures)} failed, {rate:.1f} seeds/s, "
            f"{self.requests} requests, {per_pool:.2f} requests per corrected product when calm",
            "  faults: " + ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items())),
            "  outcomes: " + ", ".join(f"{kind} {count}" for kind, count in sorted(self.events.items())),
        ]


def _failed(seed: int, why: str) -> str:
    replay = f"\n  replay: {REPLAY.format(seed=seed)}" if seed >= 0 else ""
    return f"seed {seed} FAILED: {why}{replay}"


def run(
    seeds: range,
    *,
    processes: int = PROCESSES,
    server: DatabaseServer | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> Report:
    """Play the seeds; `tell` hears of each failure as it is found."""
    report, began = Report(), time.monotonic()
    with _server(server) as databases:
        dsns = [databases.fresh_database() for _ in range(processes)]
        try:
            for result in _results(seeds, dsns):
                report.add(result)
                if result.failure:
                    tell(_failed(result.seed, result.failure))
        finally:
            for dsn in dsns:
                databases.drop(dsn)
    report.took_s = time.monotonic() - began
    return report


def replay(seed: int, *, tell: Callable[[str], None], server: DatabaseServer | None = None) -> Report:
    """Play one seed; `tell` hears what others did, each fault, request and movement, and the journals."""
    report, began = Report(), time.monotonic()
    with _server(server) as databases:
        dsn = databases.fresh_database()
        try:
            report.add(*play_chunk(dsn, [seed], tell=tell))
        finally:
            databases.drop(dsn)
    report.took_s = time.monotonic() - began
    return report


@contextmanager
def _server(given: DatabaseServer | None) -> Iterator[DatabaseServer]:
    if given is not None:
        yield given
        return
    with throwaway_server() as made:
        yield made


def _results(seeds: Sequence[int], dsns: Sequence[str]) -> Iterator[Result]:
    """Each process has its own database: the seeds are dealt out in chunks, first come first served."""
    if len(dsns) == 1 or len(seeds) <= CHUNK:
        yield from play_chunk(dsns[0], seeds)
        return
    context = get_context("spawn")
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    free: Any = context.Queue()
    for dsn in dsns:
        free.put(dsn)
    with ProcessPoolExecutor(
        max_workers=len(dsns), mp_context=context, initializer=_take_database, initargs=(free,)
    ) as executor:
        for results in executor.map(_play_here, chunks):
            yield from results


_HERE: list[str] = []


def _take_database(free: Any) -> None:
    """Runs once in each process of the pool."""
    _HERE.append(free.get())


def _play_here(seeds: Sequence[int]) -> list[Result]:
    return play_chunk(_HERE[0], seeds)


def play_chunk(dsn: str, seeds: Iterable[int], *, tell: Tell = untold) -> list[Result]:
    """Play seeds one after the other in one database."""
    silent = structlog.make_filtering_bound_logger(50)
    structlog.configure(wrapper_class=silent, cache_logger_on_first_use=False)
    try:
        return asyncio.run(_play_all(dsn, seeds, tell))
    finally:
        structlog.reset_defaults()


async def _play_all(dsn: str, seeds: Iterable[int], tell: Tell) -> list[Result]:
    database_clock = DatabaseClock(dsn)
    results = []
    try:
        async with pool(dsn, size=6, name="simulation") as connections:
            for seed in seeds:
                empty(dsn)
                results.append(await play_seed(seed, connections, database_clock, tell))
    finally:
        database_clock.close()
    return results
