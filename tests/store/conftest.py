"""Fixtures for tests of the embedded server itself: throw-away homes, and the servers started in them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stockwright.postgres import EmbeddedPostgres


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short temporary folder that every user may pass; pytest's own may be passed by its owner only."""
    made = Path(tempfile.mkdtemp(prefix="sw-")).resolve()
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def told() -> list[str]:
    """What the embedded servers of this test logged."""
    return []


@pytest.fixture
def embedded(folder: Path, told: list[str]) -> Iterator[Callable[..., EmbeddedPostgres]]:
    """Makes an EmbeddedPostgres for a HOME (by default one for the whole test); erases all at the end."""
    made: list[EmbeddedPostgres] = []

    def make(home: Path | None = None, **arguments: object) -> EmbeddedPostgres:
        arguments.setdefault("system_folder", folder / "system")
        postgres = EmbeddedPostgres(home or folder / "home", log=told.append, **arguments)  # type: ignore[arg-type]
        made.append(postgres)
        return postgres

    yield make
    for postgres in made:
        postgres.stop()
    for postgres in made:
        if postgres.home.is_dir():
            postgres.erase()
