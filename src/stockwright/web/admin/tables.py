"""Long lists: pages by cursor, and every table as CSV."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stockwright.model import Json
from stockwright.spreadsheet import csv_lines

T = TypeVar("T")

PAGE_ROWS = 50
CSV_ROWS = 10_000
_LONGEST_CURSOR = 200


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
    return Response(
        csv_lines([header, *([row.get(column) for column in header] for row in rows)]),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def streamed(name: str, parts: AsyncIterator[str], *, media_type: str) -> Response:
    """A file of any length, sent while it is made."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts, media_type=media_type, headers=headers)
