"""A PostgreSQL server for tests: one per pytest session, a database of its own for each test that asks.

The migrations run once, into a template; a test's database is a clone of it, or one that another test gave back.
Nothing here is for production: the server does not wait for the disk (fsync off).
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from stockwright.postgres import EmbeddedPostgres, Server
from tests.emptying import empty, shape

_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # its workers are the superuser's: a database that one visits cannot be dropped
}
_TEMPLATE = "migrated_template"
_END_ALL = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = {}"


class DatabaseServer:
    """Hands out databases of one running server, as postgresql:// URLs."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._numbers = count(1)
        self._template: str | None = None
        self._free: list[str] = []
        self._shape = ""

    def lend(self) -> str:
        """A migrated database without rows: a new one, or one that came back."""
        if self._free:
            return self._free.pop()
        dsn = self.fresh_database()
        self._shape = self._shape or shape(dsn)
        return dsn

    def take_back(self, dsn: str) -> None:
        """Empties a database for the next test, or removes it, if this one changed more than rows."""
        name = urlsplit(dsn).path.removeprefix("/")
        self._run(sql.SQL(_END_ALL).format(sql.Literal(name)))
        if shape(dsn) == self._shape:
            empty(dsn)
            self._free.append(dsn)
        else:
            self.drop(dsn)

    def fresh_database(self, name: str | None = None) -> str:
        """A new database in which all migrations have run."""
        if self._template is None:
            self._template = self._migrated_template()
        return self._create(name, template=self._template)

    def empty_database(self, name: str | None = None) -> str:
        """A new database with nothing in it."""
        return self._create(name, template="template0")

    def drop(self, dsn: str) -> None:
        """Removes a database, ending whatever connections a test left open."""
        name = urlsplit(dsn).path.removeprefix("/")
        self._run(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def _migrated_template(self) -> str:
        # Alembic takes 0.8 s to import: tests that need no tables do not pay for it.
        from stockwright.store.migrations import migrate

        migrate(self._create(_TEMPLATE, template="template0"))
        return _TEMPLATE

    def _create(self, name: str | None, *, template: str) -> str:
        name = name or f"test_{next(self._numbers)}"
        self._run(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return urlunsplit(urlsplit(self.server.dsn)._replace(path=f"/{name}"))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def throwaway_server() -> Iterator[DatabaseServer]:
    """A server in a temporary HOME, gone with all its files at the end."""
    home = Path(tempfile.mkdtemp(prefix="stockwright-test-"))
    postgres = EmbeddedPostgres(home, log=print, options=_OPTIONS)
    try:
        yield DatabaseServer(postgres.start())
    finally:
        postgres.erase()
        shutil.rmtree(home)
