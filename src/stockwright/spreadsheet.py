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
    return "'" + value if isinstance(value, str) and _would_run(value) else value


def text_of(cell: str) -> str:
    """A text as it was before `cell` took care of it."""
    return cell[1:] if cell.startswith("'") and _would_run(cell) else cell


def _would_run(text: str) -> bool:
    """Also behind apostrophes, so that one more can be told from those that belong to the text."""
    return text.lstrip("'").startswith(FORMULAS)


def csv_lines(rows: Iterable[Sequence[Json]]) -> str:
    """Rows as CSV text (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()
