"""File locks between the processes that share one embedded server.

Kernel locks (flock): they vanish with the process that holds them, also after kill -9, so no lock is ever
stale. The files themselves stay: removing one would let two processes lock two different files.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stockwright.postgres.errors import PostgresError

_POLL_S = 0.02
_SAY_EVERY_S = 5.0


class FileLock:
    """One lock file, opened by us; closed (and so released) by `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PostgresError(
                f"The lock file {path} cannot be opened ({error.strerror}): was Stockwright run here by another"
                " user? Run it as that user, or change the owner of the folder and its files."
            ) from error

    def share(self) -> None:
        """Holds the lock together with others. Only called while no one can hold it alone."""
        fcntl.flock(self._fd, fcntl.LOCK_SH)

    def take_alone(self) -> bool:
        """Holds the lock alone if no one else holds it; never waits."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._fd)

    @contextmanager
    def alone(self, *, limit_s: float, log: Callable[[str], None]) -> Iterator[None]:
        """Waits up to `limit_s` to hold the lock alone, and says so. Raises PostgresError after that."""
        self._wait_alone(limit_s=limit_s, log=log)
        try:
            yield
        finally:
            self.release()

    def _wait_alone(self, *, limit_s: float, log: Callable[[str], None]) -> None:
        begun = time.monotonic()
        say_at = begun + _SAY_EVERY_S
        while not self.take_alone():
            now = time.monotonic()
            if now - begun > limit_s:
                raise PostgresError(
                    f"Another Stockwright process has held {self._path} for {limit_s:.0f} s while starting or"
                    f" stopping the database. See which (fuser {self._path}), end it, and try again."
                )
            if now > say_at:
                log("Waiting for another Stockwright process that is starting or stopping the database ...")
                say_at = now + _SAY_EVERY_S
            time.sleep(_POLL_S)
