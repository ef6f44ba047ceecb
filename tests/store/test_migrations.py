"""Migrations: one chain, safe to start together, refused for a newer database, the job engine pinned."""

import hashlib
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory

from stockwright.store import migrations
from stockwright.store.migrations import SchemaError, head, migrate, pending
from tests.postgres_fixture import DatabaseServer

PROCRASTINATE_SCHEMA = "c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009"


@pytest.fixture
def empty(pg_server: DatabaseServer):
    dsn = pg_server.empty_database()
    yield dsn
    pg_server.drop(dsn)


def test_an_empty_database_is_brought_to_the_newest_step(empty: str) -> None:
    assert pending(empty)[0] == "0001"
    migrate(empty)
    assert pending(empty) == []


def test_migrating_again_changes_nothing(database: str) -> None:
    migrate(database)
    assert pending(database) == []


def test_the_steps_are_one_chain_that_ends_at_head() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    chain = [step.revision for step in script.walk_revisions()][::-1]
    assert script.get_current_head() == head()
    assert chain == [f"{number:04}" for number in range(1, len(chain) + 1)]


def test_ten_processes_may_start_together(empty: str) -> None:
    program = "import sys; from stockwright.store.migrations import migrate; migrate(sys.argv[1])"
    started = [
        subprocess.Popen([sys.executable, "-c", program, empty], stderr=subprocess.PIPE) for _ in range(10)
    ]
    failed = [(process.communicate()[1], process.returncode) for process in started]
    assert [error for error, code in failed if code != 0] == []
    assert pending(empty) == []


def test_a_database_of_a_newer_release_is_refused_with_what_to_do(database: str) -> None:
    with psycopg.connect(database) as conn:
        conn.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(SchemaError, match=r"newer Stockwright.*backup"):
        migrate(database)


def test_a_step_that_fails_leaves_nothing_behind(empty: str) -> None:
    with psycopg.connect(empty) as conn:
        conn.execute("create table runs (in_the_way integer)")  # stops the first step in its middle
    with pytest.raises(Exception, match="runs"):
        migrate(empty)
    with psycopg.connect(empty) as conn:
        tables = conn.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    assert tables == [("runs",)]


def test_the_job_engine_is_the_version_that_our_sql_was_written_for() -> None:
    """After an upgrade: read its changes, check store/sql/wake.sql, add its migrations as a step, then this."""
    schema = Path(str(distribution("procrastinate").locate_file("procrastinate/sql/schema.sql"))).read_bytes()
    assert version("procrastinate").startswith("3.10.")
    assert hashlib.sha256(schema).hexdigest() == PROCRASTINATE_SCHEMA
