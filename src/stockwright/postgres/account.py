"""The operating-system user under which the server runs, and what that user can reach.

PostgreSQL refuses to run as root. Started by root, the server gets a system user of its own; started by
anyone else, it runs as that user. Nothing here changes the permissions of a folder.
"""

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockwright.postgres.errors import PostgresError

SYSTEM_USER = "stockwright"
_LAST_RESORT = "nobody"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who runs the server. `separate` is true when that is not the user of this process."""

    name: str
    uid: int
    gid: int
    separate: bool

    def identity(self) -> dict[str, Any]:
        """Arguments for `subprocess` that make a child run as this user, with no other groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.separate else {}

    def own(self, folder: Path) -> None:
        """Hands one folder of ours to this user."""
        if self.separate:
            os.chown(folder, self.uid, self.gid)


def check_owner(data_dir: Path) -> None:
    """Raises PostgresError when the data folder belongs to someone that we cannot act for, nor look into it."""
    owner = _owner(data_dir)
    if owner is not None and os.geteuid() not in (0, owner):
        raise PostgresError(
            f"The database in {data_dir} belongs to the user {_name(owner)}, and this process runs as"
            f" {_name(os.geteuid())}. Run it as {_name(owner)} or as root, or set STOCKWRIGHT_HOME to a"
            " folder of your own."
        )


def server_account(data_dir: Path, *, log: Callable[[str], None]) -> Account:
    """The user for this data folder, after `check_owner`: ourselves, or under root its owner or a system user."""
    if os.geteuid() == 0:
        owner = _owner(data_dir)
        return _of_uid(owner) if owner else _system_account(log)
    return Account(name=_name(os.geteuid()), uid=os.geteuid(), gid=os.getegid(), separate=False)


def _owner(data_dir: Path) -> int | None:
    return data_dir.stat().st_uid if data_dir.exists() else None


def blocking_folder(path: Path, account: Account) -> Path | None:
    """The first folder on the way to `path`, itself included, that this user may not pass; None if all may."""
    path = path.resolve()
    existing = [folder for folder in (*reversed(path.parents), path) if folder.exists()]
    return next((folder for folder in existing if not _may_pass(folder, account)), None)


def _may_pass(folder: Path, account: Account) -> bool:
    found = folder.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _system_account(log: Callable[[str], None]) -> Account:
    found = _entry(SYSTEM_USER) or _created(log) or _entry(_LAST_RESORT)
    if found is None:
        raise PostgresError(
            "PostgreSQL does not run as root, and there is no other user for it: creating the system user"
            f" {SYSTEM_USER} failed and {_LAST_RESORT} does not exist. Create it (useradd --system"
            f" {SYSTEM_USER}) or run Stockwright as a normal user."
        )
    return _of_uid(found.pw_uid)


def _created(log: Callable[[str], None]) -> pwd.struct_passwd | None:
    if (useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")) is None:
        log(f"No useradd here: the database will run as the user {_LAST_RESORT}.")
        return None
    command = [useradd, "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # Another process may have created it at the same time: what counts is that it exists now.
    if (found := _entry(SYSTEM_USER)) is None:
        log(f"useradd {SYSTEM_USER} failed ({done.stderr.strip()}): using the user {_LAST_RESORT}.")
    elif done.returncode == 0:
        log(f"Created the system user {SYSTEM_USER}, because PostgreSQL does not run as root.")
    return found


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _of_uid(uid: int) -> Account:
    try:
        gid = pwd.getpwuid(uid).pw_gid
    except KeyError:
        gid = uid  # a user known by number only, as in containers
    return Account(name=_name(uid), uid=uid, gid=gid, separate=uid != os.geteuid())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
