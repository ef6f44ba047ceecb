"""CSV cells that no spreadsheet runs. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

from stockwright.model import Json

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: Json) -> Json:
    """A value as it stands in a CSV file; a text that a spreadsheet would take for a formula gets an apostrophe."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULAS):
        return "'" + value
    return value


def csv_lines(rows: Iterable[Sequence[Json]]) -> str:
    """Rows as CSV text (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()
