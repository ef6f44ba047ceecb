"""Brings a database to the schema of this release: Alembic steps of plain SQL, under a lock.

Alembic costs most of a second to import, so it is loaded inside the functions that need it. Names of
tables and steps belong to `versions/`; nothing here knows them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from stockwright.model import StockwrightError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

LOG = structlog.get_logger(__name__)

LOCK = 0x5357_0001  # pg_advisory_xact_lock: one process migrates, the others wait
_WAIT_S = 600.0  # for the process that migrates


class SchemaError(StockwrightError):
    """The database cannot be brought to this release's schema."""


def head() -> str:
    """The newest step of this release, e.g. "0003"; the steps are numbered in one line."""
    return _steps()[-1]


def _steps() -> list[str]:
    names = (entry.name for entry in files(__name__).joinpath("versions").iterdir())
    return sorted(name[1:5] for name in names if name.startswith("s") and name.endswith(".py"))


def pending(dsn: str) -> list[str]:
    """The steps that the database still lacks, oldest first.

    Raises:
        SchemaError: the database is newer than this release, or refuses what we ask.
        psycopg.OperationalError: it does not answer.
    """
    with _refusals_told(), psycopg.connect(dsn) as conn:
        return _pending(conn)


def _pending(conn: psycopg.Connection[Any]) -> list[str]:
    exists = conn.execute("select to_regclass('alembic_version')").fetchone()
    row = conn.execute("select version_num from alembic_version").fetchone() if exists and exists[0] else None
    return _after(row[0] if row else None)


def _after(version: str | None) -> list[str]:
    steps = _steps()
    if version is None:
        return steps
    if version not in steps:
        raise SchemaError(
            f"The database is at schema step {version}, but this release knows only steps up to {steps[-1]}: "
            "it was used by a newer Stockwright. Start that release, or restore a backup made before the upgrade."
        )
    return steps[steps.index(version) + 1 :]


def migrate(dsn: str, *, log: Callable[[str], None] = LOG.info, wait_s: float = _WAIT_S) -> None:
    """Apply every pending step in one transaction; processes that start together wait for the first.

    Raises:
        SchemaError: the database is newer than this release, refuses a step, or another process migrates for too long.
        psycopg.OperationalError: it does not answer.
    """
    if pending(dsn):
        with _refusals_told():
            _upgrade(dsn, log=log, wait_s=wait_s)


def _upgrade(dsn: str, *, log: Callable[[str], None], wait_s: float) -> None:
    from alembic import command
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import DBAPIError

    conn = psycopg.connect(dsn)
    engine = create_engine("postgresql+psycopg://", creator=lambda: conn, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            _wait_for_turn(conn, log=log, wait_s=wait_s)
            if _pending(conn):  # asked again: what came before us may be of a newer release
                command.upgrade(_config(connection), "head")
    except DBAPIError as error:
        # As the driver said it, without the statement and its wrapping.
        raise (error.orig or error) from error


def _wait_for_turn(conn: psycopg.Connection[Any], *, log: Callable[[str], None], wait_s: float) -> None:
    free = conn.execute("select pg_try_advisory_xact_lock(%s)", (LOCK,)).fetchone()
    if free == (True,):
        return
    log(f"Waiting up to {wait_s:g} s for another process that brings the database to a new schema ...")
    conn.execute("select set_config('lock_timeout', %s, true)", (f"{wait_s * 1000:.0f}ms",))
    try:
        conn.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
    except psycopg.errors.LockNotAvailable:
        raise SchemaError(
            f"Another process has been bringing the database to a new schema for {wait_s:g} s. Look at its log, let "
            "it finish or end it, and start again: what is unfinished is undone."
        ) from None
    conn.execute("select set_config('lock_timeout', '0', true)")


@contextmanager
def _refusals_told() -> Iterator[None]:
    """What the server refuses, in words; that it does not answer stays what it is."""
    try:
        yield
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise SchemaError(_refusal(error)) from error


def _refusal(error: psycopg.Error) -> str:
    said = (error.diag.message_primary or str(error)).strip()
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return (
                f"The database refuses what Stockwright has to do in it: {said}. Make the user of DATABASE_URL the "
                "owner of the database, or grant it all on the schema public and on the tables in it."
            )
        case psycopg.Error(sqlstate=None):
            return f"The database cannot be opened: {said}. Correct DATABASE_URL."
        case _:
            return (
                f"The database cannot be brought to this release's schema, and was left as it was: {said}. Give "
                "Stockwright a database that nothing else uses, or restore a backup of its own."
            )


def _config(connection: "Connection") -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files(__name__)))
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    return config
