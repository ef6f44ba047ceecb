"""`EmbeddedPostgres`: one process's share in the embedded server of a HOME.

Several processes share one server: the first starts it, the others adopt it, the last to leave stops it.
Each holds a shared file lock while it uses the server, so a killed process never counts. Synchronous; call
it through `asyncio.to_thread` where a loop runs. `watch` is for the service.
"""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import psycopg

from stockwright.postgres.account import check_owner, server_account
from stockwright.postgres.binaries import installed_folder, usable_binaries
from stockwright.postgres.cluster import ensure_cluster, write_configuration
from stockwright.postgres.errors import PostgresError
from stockwright.postgres.launch import Launch, bring_up, rotate_log, shut_down
from stockwright.postgres.locks import FileLock
from stockwright.postgres.place import (
    SYSTEM_FOLDER,
    abandoned_places,
    known_place,
    open_home,
    remove_place,
    settled_place,
    socket_folder,
)
from stockwright.postgres.processes import living_postmaster
from stockwright.postgres.server import Server, answering_server, ensure_database
from stockwright.postgres.watching import Patience

_LOCK_LIMIT_S = 120.0
_STOP_LIMIT_S = 60.0


def free_disk_bytes(folder: Path) -> int:
    """Bytes that an unprivileged process can still write on the disk of this folder."""
    return shutil.disk_usage(folder).free


class EmbeddedPostgres:
    """The embedded server of one HOME, as one process sees it. Threads that start and stop it take turns.

    `log` gets one sentence per event worth telling. `options` are extra server settings, `installed` is
    another folder with bin/, lib/ and share/, `system_folder` is for what root cannot keep in HOME, `limit_s`
    bounds a start.
    """

    def __init__(
        self,
        home: Path,
        *,
        log: Callable[[str], None],
        options: Mapping[str, str] | None = None,
        installed: Path | None = None,
        free_bytes: Callable[[Path], int] = free_disk_bytes,
        system_folder: Path = SYSTEM_FOLDER,
        limit_s: float = 30.0,
    ) -> None:
        self._home = home
        self._log = log
        self._options = dict(options or {})
        self._installed = installed
        self._free_bytes = free_bytes
        self._system_folder = system_folder
        self._limit_s = limit_s
        self._locks: tuple[FileLock, FileLock] | None = None
        self._turn = threading.RLock()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def home(self) -> Path:
        return self._home

    def start(self) -> Server:
        """Adopts the running server or starts one, and keeps it running until `stop`.

        Raises PostgresError: HOME cannot be written, programs missing, disk full, data of another version or
        damaged, or a server in the way that does not answer.
        """
        with self._turn:
            if self._locks is not None:
                return self.ensure()
            starting, users = self._open_locks()
            try:
                with starting.alone(limit_s=_LOCK_LIMIT_S, log=self._log):
                    users.share()
                    return self._adopt_or_launch()
            except BaseException:
                self._close_locks()
                raise

    def ensure(self) -> Server:
        """The server, restarted if it has died. Raises PostgresError like `start`."""
        with self._turn:
            if self._locks is None:
                return self.start()
            with self._locks[0].alone(limit_s=_LOCK_LIMIT_S, log=self._log):
                return self._adopt_or_launch()

    def is_ready(self) -> bool:
        """Whether the server takes a connection now."""
        return answering_server(known_place(self._home.resolve()).data_dir) is not None

    def stop(self) -> None:
        """Ends this process's use; stops the server if no other process uses it. Twice is once."""
        with self._turn:
            if self._locks is None:
                return
            with self._leaving() as last:
                if last:
                    shut_down(known_place(self._home), limit_s=_STOP_LIMIT_S, log=self._log)

    def erase(self) -> None:
        """Stops the server and deletes all its data, for a HOME that was made to be thrown away.

        Raises PostgresError while another process uses the server.
        """
        with self._turn:
            if self._locks is None:
                self._open_locks()
            with self._leaving() as last:
                if not last:
                    raise PostgresError(
                        f"The database of {self._home} is in use by another process: end that first."
                    )
                place = known_place(self._home)
                shut_down(place, limit_s=_STOP_LIMIT_S, log=self._log)
                remove_place(self._home, place)

    async def watch(self, *, poll_s: float = 0.5, patience: Patience | None = None) -> None:
        """Restarts the server whenever it dies, until cancelled. `start` must have been called.

        Raises PostgresError when restarting fails too often in a row: then the service must end.
        """
        patience = patience or Patience()
        data_dir = known_place(self._home).data_dir
        while True:
            await asyncio.sleep(poll_s)
            # Looking at the process is cheap; whether the server is ready, `ensure` asks by connecting.
            if living_postmaster(data_dir) is not None:
                self._rotate_log()
                continue
            self._log("The database server has died. Starting it again ...")
            await asyncio.sleep(patience.delay_s(now_s=time.monotonic()))
            await asyncio.to_thread(self._revive, patience)

    def _rotate_log(self) -> None:
        try:
            rotate_log(known_place(self._home).log_file, log=self._log)
        except OSError as error:
            self._log(f"The log of the database could not be cut: {error}.")

    def _revive(self, patience: Patience) -> None:
        try:
            with self._turn:
                if self._locks is None:  # stopped meanwhile: whoever cancelled the watch did not wait for us
                    return
                server = self.ensure()
        except PostgresError as error:
            if patience.is_over:
                raise
            self._log(f"Starting the database failed, trying again: {error}")
        else:
            patience.restarted(now_s=time.monotonic())
            self._log(f"The database server runs again (process {server.pid}).")

    def _adopt_or_launch(self) -> Server:
        place = known_place(self._home)
        check_owner(place.data_dir)
        server = answering_server(place.data_dir) or self._launch()
        try:
            ensure_database(server)
        except psycopg.Error as error:
            raise PostgresError(
                f"The database server in {server.data_dir} runs, and preparing the database in it failed:"
                f" {error}. Log: {place.log_file}"
            ) from error
        return server

    def _launch(self) -> Server:
        try:
            account = server_account(known_place(self._home).data_dir, log=self._log)
            if account.separate:
                self._clear_abandoned()
            place = settled_place(self._home, account, system_folder=self._system_folder, log=self._log)
            binaries = usable_binaries(
                self._installed or installed_folder(), account, cache=self._system_folder, log=self._log
            )
            ensure_cluster(place, account, binaries, free_bytes=self._free_bytes, log=self._log)
            write_configuration(place, socket_folder(place, account), options=self._options)
            return bring_up(
                Launch(place=place, account=account, binaries=binaries, limit_s=self._limit_s, log=self._log)
            )
        except OSError as error:
            raise PostgresError(
                f"The database of {self._home} could not be started: {error}. Check the owner, the permissions"
                " and the free space of that path."
            ) from error

    def _clear_abandoned(self) -> None:
        if not self._system_folder.is_dir():
            return
        sweeping = FileLock(self._system_folder / ".sweep.lock")
        try:
            for place in abandoned_places(self._system_folder) if sweeping.take_alone() else ():
                self._log(f"Removing {place.root}: its home was a temporary folder, and that is gone.")
                shut_down(place, limit_s=_STOP_LIMIT_S, log=self._log)
                shutil.rmtree(place.root)
        finally:
            sweeping.close()

    @contextmanager
    def _leaving(self) -> Iterator[bool]:
        """Gives up our share under the start lock; true when no other process holds one."""
        if self._locks is None:
            raise AssertionError("leaving without having started")
        starting, users = self._locks
        try:
            with starting.alone(limit_s=_LOCK_LIMIT_S, log=self._log):
                users.release()
                yield users.take_alone()
        finally:
            self._close_locks()

    def _open_locks(self) -> tuple[FileLock, FileLock]:
        self._home = open_home(self._home)
        self._locks = FileLock(self._home / "postgres.lock"), FileLock(self._home / "postgres.users")
        return self._locks

    def _close_locks(self) -> None:
        for lock in self._locks or ():
            lock.close()
        self._locks = None
