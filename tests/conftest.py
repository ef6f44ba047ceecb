"""Fixtures for all tests: a PostgreSQL server for the session, a migrated database for a test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.postgres_fixture import DatabaseServer, throwaway_server

settings.register_profile("stockwright", deadline=None)  # what takes long under load is measured in bench/
settings.load_profile("stockwright")


@pytest.fixture(scope="session")
def pg_server() -> Iterator[DatabaseServer]:
    """The session's server, started when the first test asks for it."""
    with throwaway_server() as server:
        yield server


@pytest.fixture
def database(pg_server: DatabaseServer) -> Iterator[str]:
    """The URL of a database that is this test's alone, with all migrations and without rows."""
    dsn = pg_server.lend()
    yield dsn
    pg_server.take_back(dsn)
