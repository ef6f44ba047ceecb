"""Long lists: pages by cursor, and every table as CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from stockwright.model import Json

T = TypeVar("T")

PAGE_ROWS = 50
CSV_ROWS = 10_000
_LONGEST_CURSOR = 200
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, kw_only=True)
class Listing(Generic[T]):
    """One page of a list, for the macro `ui.pager`."""

    rows: Sequence[T]
    newer: str  # the address of the first page; "" on the first page itself
    older: str  # the address of the next page; "" on the last
    csv: str  # the address of the whole as CSV


def cursor_of(request: Request) -> str | None:
    """Where the page starts: the `before` of its address."""
    return request.query_params.get("before", "")[:_LONGEST_CURSOR] or None


def wants_csv(request: Request) -> bool:
    """Whether the table is asked for as CSV."""
    return request.query_params.get("format") == "csv"


def rows_wanted(request: Request) -> int:
    """How many rows to read: one more than a page shows, so that one knows whether more follow."""
    return CSV_ROWS if wants_csv(request) else PAGE_ROWS + 1


def listing(request: Request, rows: Sequence[T], *, cursor: Callable[[T], str]) -> Listing[T]:
    """One page of rows that were read with `rows_wanted` from `cursor_of` on."""
    shown = rows[:PAGE_ROWS]
    more = len(rows) > PAGE_ROWS
    return Listing(
        rows=shown,
        newer=_address(request, before="") if cursor_of(request) else "",
        older=_address(request, before=cursor(shown[-1])) if more else "",
        csv=_address(request, before="", format="csv"),
    )


def _address(request: Request, **changes: str) -> str:
    values = {**request.query_params, **changes}
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{request.url.path}?{query}" if query else request.url.path


def csv_response(name: str, rows: Iterable[Mapping[str, Json]], *, header: Sequence[str]) -> Response:
    """A CSV file; texts that a spreadsheet would run as formulas are made harmless."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_cell(row.get(column)) for column in header] for row in rows)
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _cell(value: Json) -> Json:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return "'" + value
    return value
