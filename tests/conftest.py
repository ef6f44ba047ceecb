"""Fixtures for all tests: a PostgreSQL server for the session, a migrated database for a test."""

from collections.abc import Iterator

import pytest

from tests.postgres_fixture import DatabaseServer, throwaway_server


@pytest.fixture(scope="session")
def pg_server() -> Iterator[DatabaseServer]:
    """The session's server, started when the first test asks for it."""
    with throwaway_server() as server:
        yield server


@pytest.fixture
def database(pg_server: DatabaseServer) -> Iterator[str]:
    """The URL of a database of this test's own, with all migrations."""
    dsn = pg_server.fresh_database()
    yield dsn
    pg_server.drop(dsn)
