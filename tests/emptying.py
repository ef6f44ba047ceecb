"""Databases that many tests or seeds use, emptied in between: that takes milliseconds, a new one a fifth of a second.

Truncating sixty tables takes as long as a new database, so only what has rows is emptied, row by row. Deleted rows leave
their room behind (nothing vacuums here): a table that has grown large is a reason to truncate them all.
"""

from functools import lru_cache
from graphlib import TopologicalSorter

import psycopg
from psycopg import sql

_LARGE_BYTES = 1_000_000
_TABLES = "select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version'"
_REFERENCES = """
select confrelid::regclass::text, conrelid::regclass::text from pg_constraint
where contype = 'f' and conrelid <> confrelid
"""
_HAS_LARGE = "select exists (select from unnest(%s::text[]) one where pg_relation_size(one::regclass) > %s)"
_SEQUENCES = """
select setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) from pg_sequences
where schemaname = 'public' and last_value is not null
"""


def empty(dsn: str) -> None:
    """Remove every row, and count ids from 1 again."""
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=public") as conn:
        tables = _tables(dsn)
        if conn.execute(_HAS_LARGE, (list(tables), _LARGE_BYTES)).fetchone() == (True,):
            conn.execute(sql.SQL("truncate {} restart identity cascade").format(_names(tables)))
            return
        filled = conn.execute(sql.SQL(" union all ").join(_is_filled(table) for table in tables)).fetchall()
        with conn.transaction():
            for table in (one for one in tables if (one,) in filled):
                conn.execute(sql.SQL("delete from {}").format(sql.Identifier(table)))
        conn.execute(_SEQUENCES)


@lru_cache(maxsize=8)
def _tables(dsn: str) -> tuple[str, ...]:
    """All tables but the one of migrations, each before those that it refers to."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        order: TopologicalSorter[str] = TopologicalSorter({name: () for (name,) in conn.execute(_TABLES)})
        for referred, referring in conn.execute(_REFERENCES):
            order.add(referred, referring)
        return tuple(order.static_order())


def _names(tables: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, tables))


def _is_filled(table: str) -> sql.Composed:
    return sql.SQL("select {} where exists (select from {})").format(
        sql.Literal(table), sql.Identifier(table)
    )


_SHAPE = """
select md5(string_agg(thing, ' ' order by thing)) from (
    select p.oid::text || p.proname || md5(p.prosrc) as thing from pg_proc p
    where p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    union all
    select t.tgrelid::text || t.tgname || t.tgenabled::text from pg_trigger t where not t.tgisinternal
    union all
    select c.relname || a.attname || coalesce(pg_get_expr(d.adbin, d.adrelid), '') from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace
    union all
    select s.setconfig::text from pg_db_role_setting s join pg_database b on b.oid = s.setdatabase
    where b.datname = current_database()
) things
"""


def shape(dsn: str) -> str:
    """A digest of functions, triggers, columns, defaults and settings: another one after a test that changed any."""
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=public") as conn:
        found = conn.execute(_SHAPE).fetchone()
    assert found is not None
    return str(found[0])
