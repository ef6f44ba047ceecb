"""Every named statement fits the real schema, and every one is used."""

import re
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

import stockwright
from stockwright.store.queries import queries

NOUNS = sorted(
    entry.name.removesuffix(".sql") for entry in files("stockwright.store").joinpath("sql").iterdir()
)


def _named() -> list[tuple[str, str]]:
    return [(noun, name) for noun in NOUNS for name in vars(queries(noun))]


@pytest.mark.parametrize(("noun", "name"), _named())
def test_every_statement_can_be_prepared_against_the_schema(
    noun: str, name: str, migrated: psycopg.Connection
) -> None:
    migrated.execute(f"prepare {noun}_{name} as {_numbered(vars(queries(noun))[name].decode())}".encode())


def _numbered(sql: str) -> str:
    """The statement as the server gets it: %(name)s are numbers, in the order of their first use."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)[sb]", sql)))
    for number, name in enumerate(names, 1):
        sql = re.sub(rf"%\({name}\)[sb]", f"${number}", sql)
    return sql.rstrip().rstrip(";").replace("%%", "%")


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
