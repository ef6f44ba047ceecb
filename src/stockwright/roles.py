"""The frame of a role's process: its arguments, settings, database and event loop. Knows no role."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import uvloop

from stockwright import log
from stockwright.listening import stop_requests
from stockwright.model import StockwrightError
from stockwright.opening import database
from stockwright.settings import Settings, load
from stockwright.store.database import Unreachable, wait_for_server

_DATABASE_LIMIT_S = 30.0


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

    async def until_stopped(settings: Settings, dsn: str) -> None:
        await work(settings, dsn, stop_requests(until_stdin_closes=given.until_stdin_closes))

    try:
        settings = load(os.environ)
        log.set_up(level=settings.log_level, style=settings.log_format)
        _wait_for_database(settings)
        with database(settings, log=_tell) as dsn:
            uvloop.run(until_stopped(settings, dsn))
    except StockwrightError as error:
        _tell(str(error))
        return 1
    return 0


def _wait_for_database(settings: Settings) -> None:
    """A role is often started again while the database is too: waiting is quicker than ending and one more start."""
    if settings.database_url is None:
        return
    try:
        wait_for_server(settings.database_url.get_secret_value(), limit_s=_DATABASE_LIMIT_S, log=_tell)
    except Unreachable as error:
        raise StockwrightError(
            f"The database did not answer for {_DATABASE_LIMIT_S:g} s: {error}. Check DATABASE_URL and the server."
        ) from error


def _tell(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
