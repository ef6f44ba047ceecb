"""The one exception of this package."""

from stockwright.model import StockwrightError


class PostgresError(StockwrightError):
    """The embedded server cannot be had; the message says what is wrong, where, and what to do next."""
