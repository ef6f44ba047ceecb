"""The embedded PostgreSQL server: made, started, adopted, watched and stopped by us.

Used only when no DATABASE_URL is set. Knows nothing of tables, shops or settings: it hands out a
`Server` whose `dsn` the rest connects to. Must not be asked for SQL beyond creating role and database.
"""

from stockwright.postgres.embedded import EmbeddedPostgres
from stockwright.postgres.errors import PostgresError
from stockwright.postgres.server import Server

__all__ = ["EmbeddedPostgres", "PostgresError", "Server"]
