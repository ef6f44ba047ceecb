"""Fixtures for tests of the embedded server itself: throw-away homes, and the servers started in them.

Making a database costs most of a second, so tests that leave it sound share one HOME.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stockwright.postgres import EmbeddedPostgres


@contextmanager
def _passable_folder() -> Iterator[Path]:
    """A short temporary folder that every user may pass; pytest's own may be passed by its owner only."""
    made = Path(tempfile.mkdtemp(prefix="sw-")).resolve()
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder for this test."""
    with _passable_folder() as made:
        yield made


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A HOME whose database was made before. A test that damages it uses `folder` instead."""
    with _passable_folder() as made:
        postgres = EmbeddedPostgres(made, log=print)
        postgres.start()
        postgres.stop()
        yield made
        postgres.erase()


@pytest.fixture
def told() -> list[str]:
    """What the embedded servers of this test logged."""
    return []


@pytest.fixture
def embedded(folder: Path, home: Path, told: list[str]) -> Iterator[Callable[..., EmbeddedPostgres]]:
    """Makes an EmbeddedPostgres, for the shared HOME or the one given; ends all of them with the test."""
    made: list[EmbeddedPostgres] = []

    def make(place: Path = home, **arguments: object) -> EmbeddedPostgres:
        arguments.setdefault("system_folder", folder / "system")
        postgres = EmbeddedPostgres(place, log=told.append, **arguments)  # type: ignore[arg-type]
        made.append(postgres)
        return postgres

    yield make
    for postgres in made:
        postgres.stop()
    for postgres in made:
        if postgres.home != home and postgres.home.is_dir():
            postgres.erase()
