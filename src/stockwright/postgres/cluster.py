"""The data folder: made whole or not at all, checked before use, configured anew at each start.

Must not start a server. The configuration lies outside the data folder, which belongs to the server's
user: root never writes a file that this user could have replaced by a link.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from stockwright.postgres.account import Account
from stockwright.postgres.binaries import Binaries
from stockwright.postgres.errors import PostgresError
from stockwright.postgres.place import PORT, Place

SUPERUSER = "postgres"
RESTORE_ADVICE = "The commands are in README.md, under Upgrade and backup."
_FIRST_START_BYTES = 200 * 1024 * 1024
_START_BYTES = 50 * 1024 * 1024
# The builtin provider orders by code point on every platform, also where the C library has no C.UTF-8
# (macOS), and a new C library cannot change the order under an index.
_INITDB = (
    *("--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C"),
    *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
    *("--auth-local", "trust", "--auth-host", "reject", "--no-instructions"),
)
# Small and quiet when idle; nothing that weakens durability.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "48MB",
    "effective_cache_size": "512MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "huge_pages": "off",
    "io_method": "sync",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "autovacuum": "on",
    "autovacuum_naptime": "15s",
    "autovacuum_max_workers": "2",
    "autovacuum_worker_slots": "2",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "logging_collector": "off",
}


def ensure_cluster(
    place: Place,
    account: Account,
    binaries: Binaries,
    *,
    free_bytes: Callable[[Path], int],
    log: Callable[[str], None],
) -> None:
    """Makes the data folder if there is none; checks version and free space.

    Raises PostgresError on another major version, a damaged folder, too little space, or a failed initdb.
    """
    exists = place.data_dir.exists()
    if exists:
        _check_version(place.data_dir, binaries)
    _check_space(place.root, needed=_START_BYTES if exists else _FIRST_START_BYTES, free_bytes=free_bytes)
    if not exists:
        _initialise(place, account, binaries, log=log)


def write_configuration(place: Place, socket_dir: Path, *, options: Mapping[str, str]) -> None:
    """Writes postgresql.conf and pg_hba.conf anew; an operator's own settings are in custom.conf beside them."""
    settings = {
        **_SETTINGS,
        "unix_socket_directories": '"' + str(socket_dir).replace('"', '""') + '"',
        "hba_file": str(place.hba_file),
    }
    text = [
        "# Written by Stockwright at every start. Put your own settings in custom.conf, beside this file.",
        *_lines(settings),
        *(["include 'custom.conf'"] if (place.root / "custom.conf").exists() else []),
        *_lines(options),
    ]
    _write(place.config_file, text)
    _write(
        place.hba_file,
        ["# The socket lies in a private folder; nothing listens elsewhere.", "local all all trust"],
    )


def _lines(settings: Mapping[str, str]) -> list[str]:
    return [f"{name} = '{_quoted(value)}'" for name, value in settings.items()]


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _write(file: Path, lines: list[str]) -> None:
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o644)


def _check_version(data_dir: Path, binaries: Binaries) -> None:
    try:
        found = (data_dir / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise PostgresError(
            f"{data_dir} is no PostgreSQL data folder, or a damaged one: it has no file PG_VERSION. Move it"
            f" away and put a copy in its place. {RESTORE_ADVICE}"
        ) from None
    if found != binaries.major:
        raise PostgresError(
            f"The database in {data_dir} was made by PostgreSQL {found}; this Stockwright brings PostgreSQL"
            f" {binaries.version}. Start the old Stockwright again, dump the database with its pg_dump and stop it."
            f" Then move {data_dir} away, start this one and restore the dump. {RESTORE_ADVICE}"
        )


def _check_space(folder: Path, *, needed: int, free_bytes: Callable[[Path], int]) -> None:
    free = free_bytes(folder)
    if free < needed:
        raise PostgresError(
            f"The disk of {folder} has {free // 2**20} MB free, and the database needs {needed // 2**20} MB to"
            " start. Make room, or set STOCKWRIGHT_HOME to a folder on another disk."
        )


def _initialise(place: Place, account: Account, binaries: Binaries, *, log: Callable[[str], None]) -> None:
    """Runs initdb in a folder beside the final one and renames it, so that half a database never stays."""
    log(f"Making a new database in {place.data_dir} (PostgreSQL {binaries.version}) ...")
    unfinished = place.root / "data.unfinished"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    account.own(unfinished)
    _run_initdb(unfinished, account, binaries)
    unfinished.rename(place.data_dir)


def _run_initdb(folder: Path, account: Account, binaries: Binaries) -> None:
    command = [binaries.program("initdb"), "--pgdata", str(folder), *_INITDB]
    done = subprocess.run(
        command,
        cwd="/",
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
        **account.identity(),
    )
    if done.returncode == 0:
        return
    shutil.rmtree(folder)
    said = done.stderr.strip()
    if is_disk_full(said):
        raise PostgresError(disk_full_message(folder.parent))
    raise PostgresError(
        f"Making the database in {folder.parent} failed; nothing was left behind. initdb said: {said}"
    )


def child_environment() -> dict[str, str]:
    """The environment of PostgreSQL's processes: none of our secrets, no PG* settings of the user's shell."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def is_disk_full(text: str) -> bool:
    return "No space left on device" in text or "Disk quota exceeded" in text


def disk_full_message(folder: Path) -> str:
    return (
        f"The disk of {folder} is full: PostgreSQL could not write. No committed data is lost. Make room there"
        " and start again."
    )
