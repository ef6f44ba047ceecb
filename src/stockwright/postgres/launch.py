"""Bringing a server up, whatever the last one left behind, and shutting it down.

The caller holds the start lock: no other Stockwright process starts or stops this server meanwhile.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stockwright.postgres.account import Account
from stockwright.postgres.binaries import Binaries
from stockwright.postgres.cluster import (
    RESTORE_ADVICE,
    child_environment,
    disk_full_message,
    is_disk_full,
)
from stockwright.postgres.errors import PostgresError
from stockwright.postgres.place import Place
from stockwright.postgres.processes import (
    end_orphans,
    keep,
    living_command,
    living_postmaster,
    read_pid_file,
    reap,
)
from stockwright.postgres.server import Server, answering_server

_POLL_S = 0.02
_RETRY_S = 0.2
_SAY_EVERY_S = 5.0
# A postmaster that is alive and recovering after a crash gets longer than one that does not come up.
_RECOVERY_LIMIT_S = 300.0
_ORPHAN_PATIENCE_S = 3.0
_INSIST_S = 10.0  # PostgreSQL itself kills after 5 s what does not end at once
_LOG_LIMIT_BYTES = 5 * 1024 * 1024
_LOG_TAIL_BYTES = 4000


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Everything that one start needs."""

    place: Place
    account: Account
    binaries: Binaries
    limit_s: float
    log: Callable[[str], None]


def bring_up(launch: Launch) -> Server:
    """Starts the server and returns when it takes connections; retries what passes by itself.

    Raises PostgresError at once on what does not, and after `limit_s` on the rest.
    """
    attempt = _Attempt(launch)
    while (server := answering_server(launch.place.data_dir)) is None:
        attempt.step()
    return server


def shut_down(
    place: Place, *, limit_s: float, log: Callable[[str], None], insist_s: float = _INSIST_S
) -> None:
    """Stops the server of this place, if one lives, without waiting for its clients (fast mode).

    A server that has not stopped after `limit_s` is stopped without a checkpoint (immediate mode), which
    loses nothing and costs a recovery at the next start. Raises PostgresError when it survives that.
    """
    for mode, limit in ((signal.SIGINT, limit_s), (signal.SIGQUIT, insist_s)):
        if _ended(place.data_dir, mode, limit_s=limit):
            return
        log(f"The database in {place.data_dir} has not stopped after {limit:g} s; insisting.")
    raise PostgresError(
        f"The server of {place.data_dir} does not stop: process {living_postmaster(place.data_dir)}. End it"
        " with kill -9; the next start recovers."
    )


def rotate_log(log_file: Path, *, log: Callable[[str], None]) -> None:
    """Keeps one old log beside the current one. The server goes on writing: its log is opened to append.

    On a full disk the log is cut all the same, and the rest of it lost: the database needs the room more.
    """
    if not log_file.exists() or log_file.stat().st_size <= _LOG_LIMIT_BYTES:
        return
    old = log_file.with_suffix(".log.1")
    try:
        shutil.copyfile(log_file, old)
    except OSError as error:
        log(f"The log {log_file} is emptied, and could not be kept as {old.name} before: {error.strerror}.")
        old.unlink(missing_ok=True)
    os.truncate(log_file, 0)


class _Attempt:
    """One `bring_up`: launches, looks at what became of it, and decides between waiting and giving up."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._data_dir = launch.place.data_dir
        self._child: subprocess.Popen[bytes] | None = None
        self._log_offset = 0
        self._begun = time.monotonic()
        self._say_at = self._begun + _SAY_EVERY_S
        self._trouble = "it does not answer"

    def step(self) -> None:
        """Does the next thing that can bring the server nearer, then waits a little."""
        if self._child is not None and self._child.poll() is not None:
            self._look_at_failure(self._child.returncode)
            self._child = None
            time.sleep(_RETRY_S)
        elif self._child is None and living_postmaster(self._data_dir) is None:
            self._child = self._spawn()
        self._check_patience()
        time.sleep(_POLL_S)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        log_file = self._launch.place.log_file
        rotate_log(log_file, log=self._launch.log)
        with log_file.open("ab") as output:
            self._log_offset = output.tell()
            child = subprocess.Popen(
                _command(self._launch),
                cwd="/",
                env=child_environment() | _stale_pid(self._data_dir),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C at the terminal is for us, not for the database
                umask=0o077,
                **self._launch.account.identity(),
            )
        keep(child)
        return child

    def _look_at_failure(self, exit_status: int) -> None:
        said = _tail(self._launch.place.log_file, self._log_offset)
        if exit_status == -signal.SIGKILL:
            self._trouble = "it was killed while starting"
        elif "still in use" in said:
            self._trouble = "backends of a killed server still hold its memory"
            self._end_orphans()
        elif "lock file" in said and "already exists" in said:
            self._trouble = "its lock file names a process that is still there"
        else:
            raise _failure(self._launch.place, said, exit_status=exit_status)

    def _end_orphans(self) -> None:
        patient = time.monotonic() - self._begun < _ORPHAN_PATIENCE_S
        ended = end_orphans(self._data_dir, with_signal=signal.SIGQUIT if patient else signal.SIGKILL)
        if ended and not patient:
            self._launch.log(f"Killed backends that a dead database server had left: {ended}.")

    def _check_patience(self) -> None:
        waited = time.monotonic() - self._begun
        if waited > self._limit_s():
            raise PostgresError(self._gave_up(waited))
        if time.monotonic() > self._say_at:
            self._launch.log(
                f"Still starting the database in {self._data_dir} after {waited:.0f} s: {self._state()}."
            )
            self._say_at = time.monotonic() + _SAY_EVERY_S

    def _limit_s(self) -> float:
        found = read_pid_file(self._data_dir)
        recovering = (
            found is not None and found.status == "starting" and living_command(found.pid) is not None
        )
        return max(_RECOVERY_LIMIT_S, self._launch.limit_s) if recovering else self._launch.limit_s

    def _state(self) -> str:
        found = read_pid_file(self._data_dir)
        if found is None or living_postmaster(self._data_dir) is None:
            return self._trouble
        return f"process {found.pid} is {found.status or 'there'}, and does not answer"

    def _gave_up(self, waited_s: float) -> str:
        pid = living_postmaster(self._data_dir)
        advice = f"End it (kill {pid}; if that does not help, kill -9) and" if pid else "See its log and"
        return (
            f"The database in {self._data_dir} did not start in {waited_s:.0f} s: {self._state()}. {advice} start"
            f" again. Log: {self._launch.place.log_file}"
        )


def _command(launch: Launch) -> list[str]:
    # processes.living_postmaster recognises the server by "-D data_dir".
    place = launch.place
    return [
        launch.binaries.program("postgres"),
        "-D",
        str(place.data_dir),
        "-c",
        f"config_file={place.config_file}",
    ]


def _stale_pid(data_dir: Path) -> dict[str, str]:
    """Tells PostgreSQL that the pid in its lock file is dead, when we know so and it cannot.

    It takes a zombie, or another program with the pid of a server from before a reboot, for a live server.
    A pid that it knows as its grandparent's it takes for stale (pg_ctl uses the same variable), and still
    refuses to start while a backend holds the old shared memory: safer than removing the file. Called only
    when no living postmaster has that pid.
    """
    found = read_pid_file(data_dir)
    if found is not None:
        return {"PG_GRANDPARENT_PID": str(found.pid)}
    # A full disk can leave an empty one, which PostgreSQL never accepts.
    pid_file = data_dir / "postmaster.pid"
    if pid_file.exists() and pid_file.stat().st_size == 0:
        pid_file.unlink()
    return {}


def _tail(log_file: Path, offset: int) -> str:
    with log_file.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(offset, end - _LOG_TAIL_BYTES))
        return file.read().decode(errors="replace").strip()


def _failure(place: Place, said: str, *, exit_status: int) -> PostgresError:
    if is_disk_full(said):
        return PostgresError(disk_full_message(place.data_dir))
    lines = "\n".join(said.splitlines()[-8:])
    return PostgresError(
        f"The database in {place.data_dir} does not start (exit status {exit_status}). Its log, {place.log_file},"
        f" ends with:\n{lines}\nIf the folder is damaged, move it away and restore a backup. {RESTORE_ADVICE}"
    )


def _ended(data_dir: Path, mode: signal.Signals, *, limit_s: float) -> bool:
    pid = living_postmaster(data_dir)
    if pid is None:
        return True
    try:
        os.kill(pid, mode)
    except ProcessLookupError:
        return True
    deadline = time.monotonic() + limit_s
    while living_command(pid) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
        reap()
    return True
