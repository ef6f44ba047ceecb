"""Migrations: one chain, safe to start together, refused for a newer database, the job engine pinned."""

import hashlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution, version
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory

from stockwright.store import migrations
from stockwright.store.migrations import LOCK, SchemaError, head, migrate, pending
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


def test_a_database_of_a_newer_release_is_refused_with_what_to_do(empty: str) -> None:
    with psycopg.connect(empty) as conn:
        conn.execute("create table alembic_version (version_num text)")
        conn.execute("insert into alembic_version values ('9999')")
    with pytest.raises(SchemaError, match=r"newer Stockwright.*backup"):
        migrate(empty)


def test_who_waits_for_another_process_says_so_and_gives_up_in_the_end(empty: str) -> None:
    told: list[str] = []
    with psycopg.connect(empty) as other:
        other.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        with pytest.raises(SchemaError, match=r"Another process has been bringing .* for 0\.1 s"):
            migrate(empty, log=told.append, wait_s=0.1)
    assert told == ["Waiting up to 0.1 s for another process that brings the database to a new schema ..."]
    migrate(empty, log=told.append)
    assert len(told) == 1


def test_a_newer_release_that_migrates_while_we_wait_is_not_run_over(empty: str) -> None:
    waits = threading.Event()
    with psycopg.connect(empty) as other, ThreadPoolExecutor() as threads:
        other.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        waiting = threads.submit(migrate, empty, log=lambda _: waits.set())
        assert waits.wait(20)
        other.execute("create table alembic_version (version_num text)")
        other.execute("insert into alembic_version values ('9999')")
        other.commit()
        with pytest.raises(SchemaError, match="newer Stockwright"):
            waiting.result(20)


def test_a_step_that_fails_leaves_nothing_behind(empty: str) -> None:
    with psycopg.connect(empty) as conn:
        conn.execute("create table runs (in_the_way integer)")  # stops the first step in its middle
    with pytest.raises(
        SchemaError, match=r'left as it was: relation "runs" already exists.*nothing else uses'
    ):
        migrate(empty)
    with psycopg.connect(empty) as conn:
        tables = conn.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    assert tables == [("runs",)]


def test_a_user_who_may_not_make_tables_is_told_what_is_missing(empty: str) -> None:
    with psycopg.connect(empty) as conn:
        conn.execute("revoke create on schema public from pg_database_owner")
    with pytest.raises(SchemaError, match=r"permission denied for schema public.*owner of the database"):
        migrate(empty)


def test_an_option_that_the_driver_does_not_know_is_told_and_a_server_that_is_away_is_not_hidden() -> None:
    with pytest.raises(SchemaError, match=r'invalid URI query parameter: "colour"\. Correct DATABASE_URL'):
        pending("postgresql://nobody:hush@127.0.0.1:1/none?colour=red")
    with pytest.raises(psycopg.OperationalError):
        pending("postgresql://nobody@127.0.0.1:1/none")


def test_the_job_engine_is_the_version_that_our_sql_was_written_for() -> None:
    """After an upgrade: read its changes, check store/sql/wake.sql, add its migrations as a step, then this."""
    schema = Path(str(distribution("procrastinate").locate_file("procrastinate/sql/schema.sql"))).read_bytes()
    assert version("procrastinate").startswith("3.10.")
    assert hashlib.sha256(schema).hexdigest() == PROCRASTINATE_SCHEMA
