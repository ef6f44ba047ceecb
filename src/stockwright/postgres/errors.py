"""The one exception of this package."""


class PostgresError(Exception):
    """The embedded server cannot be had; the message says what is wrong, where, and what to do next."""
