"""A clock for a test's database: `now()` of every statement is the moment that the test says.

The statements of the service ask the database for the time. A schema that is searched before PostgreSQL's own
answers them, so they run unchanged on a clock that stands still until it is moved.
"""

from datetime import UTC, datetime

import psycopg
from psycopg import sql

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA = """
create schema simulated;
create sequence simulated.microseconds minvalue 0;
create function simulated.now() returns timestamptz language sql stable as
    $$ select timestamptz 'epoch' + last_value * interval '1 microsecond' from simulated.microseconds $$;
create function simulated.clock_timestamp() returns timestamptz language sql volatile as
    $$ select timestamptz 'epoch' + last_value * interval '1 microsecond' from simulated.microseconds $$;
do $$
declare
    found record;
begin
    for found in
        select table_name, column_name from information_schema.columns
        where table_schema = 'public' and column_default like '%now()'
    loop
        execute format('alter table public.%I alter column %I set default simulated.now()', found.table_name, found.column_name);
    end loop;
end
$$;
"""


class DatabaseClock:
    """Sets the time of one database. Connections that were open before it was made keep the real time."""

    def __init__(self, dsn: str) -> None:
        self._conn = psycopg.connect(dsn, autocommit=True)
        found = self._conn.execute("select to_regnamespace('simulated')").fetchone()
        if found == (None,):
            self._conn.execute(_SCHEMA)
        database = sql.Identifier(self._conn.info.dbname)
        self._conn.execute(
            sql.SQL("alter database {} set search_path = simulated, pg_catalog, public").format(database)
        )

    def set(self, at: datetime) -> None:
        """From now on every connection's now() is this moment. It takes effect at once, inside transactions too."""
        elapsed = at - _EPOCH
        microseconds = (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
        self._conn.execute("select setval('simulated.microseconds', %s)", (microseconds,))

    def close(self) -> None:
        self._conn.close()
