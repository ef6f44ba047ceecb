"""What every process opens first: the clock, the key of the secrets, a migrated database. Nothing of a shop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from stockwright.encryption import Cipher, load_or_create_key
from stockwright.notify.tokens import Keyring
from stockwright.postgres import EmbeddedPostgres
from stockwright.settings import Settings
from stockwright.store.migrations import migrate

VERSION = version("stockwright")


def utc_now() -> datetime:
    """The wall clock, aware."""
    return datetime.now(UTC)


def cipher(settings: Settings) -> Cipher:
    """The installation's key for secrets at rest.

    Raises:
        StockwrightError: it is malformed or cannot be read.
    """
    given = settings.secret_key
    return load_or_create_key(settings.home, given.get_secret_value() if given else None)


def keyring(sealed: Cipher) -> Keyring:
    """The keys of links and address hashes, from the same secret."""
    newest, *older = sealed.derived("notifications")
    return Keyring(newest, older=older)


@contextmanager
def database(settings: Settings, *, log: Callable[[str], None]) -> Iterator[str]:
    """The URL of a migrated database: the given one, or our own, kept running inside the block.

    Raises:
        StockwrightError: our own server cannot be had, or the database is of a newer release.
    """
    with database_and_server(settings, log=log) as (dsn, _):
        yield dsn


@contextmanager
def database_and_server(
    settings: Settings, *, log: Callable[[str], None]
) -> Iterator[tuple[str, EmbeddedPostgres | None]]:
    """The same for a process that stays, with our own server if it is that: it has to be watched.

    Raises:
        StockwrightError: as `database`.
    """
    if settings.database_url is not None:
        given = settings.database_url.get_secret_value()
        migrate(given, log=log)
        yield given, None
        return
    own = EmbeddedPostgres(settings.home, log=log)
    with own as server:
        migrate(server.dsn, log=log)
        yield server.dsn, own
