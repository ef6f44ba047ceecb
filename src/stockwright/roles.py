"""The frame of a role's process: its arguments, settings, database and event loop. Knows no role."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import uvloop

from stockwright import log
from stockwright.listening import stop_requests, wait_for_database
from stockwright.model import StockwrightError
from stockwright.opening import database_and_server
from stockwright.postgres import EmbeddedPostgres
from stockwright.settings import Settings, load


@dataclass(frozen=True, kw_only=True)
class RoleArguments:
    """What a role's process was started with."""

    listen_fd: int | None  # an open socket that was handed over
    until_stdin_closes: bool  # end when the parent does, however that ended


def role_arguments(texts: Sequence[str]) -> RoleArguments:
    """Read the arguments; argparse ends the process with status 2 where they are wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen-fd", type=int)
    parser.add_argument("--until-stdin-closes", action="store_true")
    found = parser.parse_args(texts)
    return RoleArguments(listen_fd=found.listen_fd, until_stdin_closes=found.until_stdin_closes)


def run_role(work: Callable[[Settings, str, asyncio.Event], Awaitable[None]], given: RoleArguments) -> int:
    """Run one role on a migrated database until it is asked to stop; the exit status."""

    async def until_stopped(settings: Settings, dsn: str, own: EmbeddedPostgres | None) -> None:
        working = work(settings, dsn, stop_requests(until_stdin_closes=given.until_stdin_closes))
        await (working if own is None else _watched(working, own))

    try:
        settings = load(os.environ)
        log.set_up(level=settings.log_level, style=settings.log_format)
        wait_for_database(settings, log=_tell)
        with database_and_server(settings, log=_tell) as (dsn, own):
            _spare_what_was_imported()
            uvloop.run(until_stopped(settings, dsn, own))
    except StockwrightError as error:
        _tell(str(error))
        return 1
    return 0


def _spare_what_was_imported() -> None:
    """Modules and classes live as long as the process: a search for rubbish that walks them takes a tenth of a second,
    in which nothing else runs.
    """
    gc.collect()
    gc.freeze()


async def _watched(work: Awaitable[None], own: EmbeddedPostgres) -> None:
    """The work on our own server, which is started again when it dies.

    Raises:
        PostgresError: that failed too often in a row.
    """
    tasks = [asyncio.ensure_future(work), asyncio.create_task(own.watch())]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()  # raises what ended it


def _tell(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
