"""Every named statement fits the real schema, and every one is used."""

import re
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

import stockwright
from stockwright.store.queries import queries

NOUNS = sorted(entry.name.removesuffix(".sql") for entry in files("stockwright.store").joinpath("sql").iterdir())


def _named() -> list[tuple[str, str]]:
    return [(noun, name) for noun in NOUNS for name in vars(queries(noun))]


@pytest.mark.parametrize("noun", NOUNS)
def test_every_statement_can_be_prepared_against_the_schema(noun: str, migrated: psycopg.Connection) -> None:
    for name, text in vars(queries(noun)).items():
        numbers: dict[str, str] = {}
        sql = re.sub(r"%\((\w+)\)s", lambda found: _number(found[1], numbers), text.decode())
        try:
            migrated.execute(f"prepare {noun}_{name} as {sql.rstrip().rstrip(';').replace('%%', '%')}".encode())
        except psycopg.Error as error:
            pytest.fail(f"{noun}.sql, {name}: {error}")


def _number(name: str, numbers: dict[str, str]) -> str:
    return numbers.setdefault(name, f"${len(numbers) + 1}")


@pytest.mark.parametrize("noun", NOUNS)
def test_no_statement_is_defined_twice_or_without_saying_what_it_is_for(noun: str) -> None:
    text = files("stockwright.store").joinpath("sql", f"{noun}.sql").read_text()
    names = re.findall(r"^-- ([a-z][a-z0-9_]*): .+$", text, re.MULTILINE)
    assert len(names) == len(set(names)) == len(vars(queries(noun)))


@pytest.mark.parametrize(("noun", "name"), _named())
def test_every_statement_is_used(noun: str, name: str) -> None:
    module = Path(stockwright.__file__).parent / "store" / f"{noun}.py"
    assert re.search(rf"\bSQL\.{name}\b", module.read_text()), f"store/{noun}.py does not use {name}"


@pytest.fixture(scope="module")
def migrated(pg_server):
    dsn = pg_server.fresh_database()
    with psycopg.connect(dsn, autocommit=True) as conn:
        yield conn
    pg_server.drop(dsn)
