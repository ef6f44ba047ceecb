"""One database for many tests or seeds, emptied before each: that takes milliseconds, a new one takes a third
of a second.
"""

import psycopg

_TABLES = """
select string_agg(format('%I.%I', schemaname, tablename), ', ') from pg_tables
where schemaname = 'public' and tablename <> 'alembic_version'
"""


def empty(dsn: str) -> None:
    """Remove every row, and count ids from 1 again."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        found = conn.execute(_TABLES).fetchone()
        assert found is not None
        conn.execute(f"truncate {found[0]} restart identity cascade".encode())
