"""Where the embedded server's files are.

Normally HOME/postgres. Started by root, the server runs as another user, who cannot enter a HOME under
/root or in a private folder, and PostgreSQL opens its files by path: then they are in a folder of their
own under /var/lib/stockwright, and the file HOME/postgres.location says which. Server logs and
configuration belong to whoever runs Stockwright; only data/ and the socket folder to the server's user.
"""

import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stockwright.postgres.account import Account, blocking_folder
from stockwright.postgres.errors import PostgresError

SYSTEM_FOLDER = Path("/var/lib/stockwright")
PORT = 5432
_POINTER = "postgres.location"
_OWNER_NOTE = "home"
# sockaddr_un holds 104 bytes on macOS, 108 on Linux, with the final zero.
_SOCKET_PATH_BYTES = 103


@dataclass(frozen=True, kw_only=True)
class Place:
    """The folder that holds one embedded server."""

    root: Path

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def config_file(self) -> Path:
        return self.root / "postgresql.conf"

    @property
    def hba_file(self) -> Path:
        return self.root / "pg_hba.conf"

    @property
    def log_file(self) -> Path:
        return self.root / "log" / "server.log"


def open_home(home: Path) -> Path:
    """Makes HOME if needed and returns it resolved. Raises PostgresError when it cannot be written."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise PostgresError(
            f"The folder {home} cannot be written ({error.strerror}). Set STOCKWRIGHT_HOME to a folder of yours"
            " with some space, or give this one to the user who runs Stockwright."
        ) from error
    return home.resolve()


def known_place(home: Path) -> Place:
    """Where the server of this HOME is, or would be first looked for.

    Raises PostgresError when HOME points to a folder that is no more: a new empty database there would hide
    the loss of the old one.
    """
    pointer = home / _POINTER
    if not pointer.exists():
        return Place(root=home / "postgres")
    root = Path(pointer.read_text().strip())
    if not root.is_dir():
        raise PostgresError(
            f"The database of {home} was in {root}, as {pointer} says, and that folder is gone. Put it back,"
            f" or, to begin with an empty database, remove {pointer}."
        )
    return Place(root=root)


def settled_place(home: Path, account: Account, *, system_folder: Path, log: Callable[[str], None]) -> Place:
    """The folder for this HOME's server, made if needed and passable for the server's user."""
    place = known_place(home)
    if account.separate:
        _let_through(home, account, log=log)
        if (blocked := blocking_folder(place.root, account)) is not None:
            place = _elsewhere(home, place, account, blocked=blocked, system_folder=system_folder, log=log)
    _make(place, account)
    return place


def socket_folder(place: Place, account: Account) -> Path:
    """A private folder for the socket: beside the data, or a short one when that path is too long.

    The short one is remembered in the file socket_folder beside the data, and made anew when it is gone or
    no longer private.
    """
    beside = place.root / "run"
    if _fits(beside):
        _own_private(beside, account)
        return beside
    note = place.root / "socket_folder"
    if note.exists() and _is_private(recorded := Path(note.read_text().strip()), account):
        return recorded
    short = Path(tempfile.mkdtemp(prefix="stockwright-", dir="/tmp"))
    account.own(short)
    note.write_text(f"{short}\n")
    return short


def remove_place(home: Path, place: Place) -> None:
    """Deletes the server's files for good. The server must be stopped."""
    note = place.root / "socket_folder"
    if note.exists():
        shutil.rmtree(Path(note.read_text().strip()), ignore_errors=True)
    if place.root.exists():
        shutil.rmtree(place.root)
    (home / _POINTER).unlink(missing_ok=True)


def abandoned_places(system_folder: Path) -> tuple[Place, ...]:
    """Places of homes in the folder for temporary files that no longer exist, like those of a test run."""
    notes = system_folder.glob(f"home-*/{_OWNER_NOTE}")
    return tuple(Place(root=note.parent) for note in notes if _was_temporary(Path(note.read_text().strip())))


def _let_through(home: Path, account: Account, *, log: Callable[[str], None]) -> None:
    """Lets others pass through HOME itself, without listing it, when HOME is ours and alone in the way.

    A HOME on a volume keeps its database that way, instead of it moving to the machine's own disk.
    """
    found = home.stat()
    if blocking_folder(home, account) == home and found.st_uid == 0:
        home.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXGRP | stat.S_IXOTH)
        log(f"Let the database's user {account.name} pass through {home} (it cannot list or read it).")


def _elsewhere(
    home: Path,
    place: Place,
    account: Account,
    *,
    blocked: Path,
    system_folder: Path,
    log: Callable[[str], None],
) -> Place:
    if place.data_dir.exists():
        raise PostgresError(
            f"The database in {place.data_dir} belongs to the user {account.name}, who may not pass through"
            f" {blocked}. Allow it (chmod o+x {blocked}), or move HOME to a folder that everyone may pass."
        )
    root = system_folder / f"home-{secrets.token_hex(6)}"
    try:
        system_folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        root.mkdir(mode=0o711)
    except OSError as error:
        raise PostgresError(
            f"The database's user {account.name} may not pass through {blocked}, and {root} cannot be made for"
            f" it ({error.strerror}). Set STOCKWRIGHT_HOME to a folder that everyone may pass, such as"
            " /srv/stockwright, or run Stockwright as a normal user."
        ) from error
    (root / _OWNER_NOTE).write_text(f"{home}\n")
    (home / _POINTER).write_text(f"{root}\n")
    log(
        f"PostgreSQL runs as the user {account.name}, who may not pass through {blocked}: the database of"
        f" {home} is in {root}, noted in {home / _POINTER}."
    )
    return Place(root=root)


def _make(place: Place, account: Account) -> None:
    mode = 0o711 if account.separate else 0o700
    place.root.mkdir(mode=mode, parents=True, exist_ok=True)
    place.root.chmod(mode)
    # The server inherits its open log: it needs no way into this folder.
    place.log_file.parent.mkdir(mode=0o700, exist_ok=True)


def _fits(folder: Path) -> bool:
    # libpq reads a comma in a host as the start of another host.
    socket = f"{folder}/.s.PGSQL.{PORT}"
    return "," not in socket and len(socket.encode()) <= _SOCKET_PATH_BYTES


def _own_private(folder: Path, account: Account) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    account.own(folder)


def _is_private(folder: Path, account: Account) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    found = folder.stat()
    return found.st_uid == account.uid and stat.S_IMODE(found.st_mode) == stat.S_IRWXU


def _was_temporary(home: Path) -> bool:
    temporary = Path(tempfile.gettempdir()).resolve()
    return home.is_relative_to(temporary) and not home.exists()
