"""A running server: how to reach it, whether it answers, and the role and database that we use in it.

The only judge of readiness is a real connection. Must not start or stop anything.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from stockwright.postgres.cluster import SUPERUSER
from stockwright.postgres.processes import read_pid_file

ROLE = "stockwright"
DATABASE = "stockwright"
_CONNECT_LIMIT_S = 2  # the least that libpq knows


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answered. `dsn` is a postgresql:// URL of the role and database stockwright."""

    dsn: str
    data_dir: Path
    version: str  # like 18.4
    pid: int  # of the postmaster


def server_url(socket_dir: Path, port: int, *, user: str = ROLE, database: str = DATABASE) -> str:
    """A URL for libpq and SQLAlchemy alike. It names the port, or PGPORT of the user's shell would count."""
    return (
        f"postgresql://{user}@/{quote(database, safe='')}?host={quote(str(socket_dir), safe='')}&port={port}"
    )


def answering_server(data_dir: Path) -> Server | None:
    """The server of this data folder if it takes a connection now, else None."""
    found = read_pid_file(data_dir)
    if found is None or found.socket_dir is None or found.port is None or found.status not in ("ready", ""):
        return None
    try:
        with _connection(
            server_url(found.socket_dir, found.port, user=SUPERUSER, database=SUPERUSER)
        ) as connection:
            row = connection.execute(
                "select current_setting('data_directory'), current_setting('server_version')"
            ).fetchone()
    except psycopg.OperationalError:
        return None
    if row is None or Path(str(row[0])) != data_dir:
        return None
    url = server_url(found.socket_dir, found.port)
    return Server(dsn=url, data_dir=data_dir, version=str(row[1]).split()[0], pid=found.pid)


def ensure_database(server: Server) -> None:
    """Creates our role and database if they are missing (first start, or an earlier one cut short)."""
    found = read_pid_file(server.data_dir)
    if found is None or found.socket_dir is None or found.port is None:
        raise psycopg.OperationalError("the server stopped while its database was being prepared")
    with _connection(
        server_url(found.socket_dir, found.port, user=SUPERUSER, database=SUPERUSER)
    ) as connection:
        if connection.execute("select 1 from pg_roles where rolname = %s", (ROLE,)).fetchone() is None:
            connection.execute(f"create role {ROLE} login createdb")
        if connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(f"create database {DATABASE} owner {ROLE}")


def _connection(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_LIMIT_S)
