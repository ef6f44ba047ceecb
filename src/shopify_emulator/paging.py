"""Connections: opaque cursors, first/last, and the rules that Shopify has about both."""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

MAX_PAGE = 250
MAX_WALK = 25_000  # objects that pages may walk over; beyond, a search like `id:>n` starts anew
SortValue = str | int | float


class RequestRefused(GraphQLError):
    """An error that leaves no data at all, whatever else was asked for."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one connection was asked for. `size` None means all rows, in a bulk operation."""

    size: int | None
    backwards: bool
    after: str | None
    before: str | None
    reverse: bool


@dataclass(frozen=True)
class Connection:
    """One page of rows with their cursors."""

    rows: Sequence[Any]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


def bad_request(message: str) -> RequestRefused:
    return RequestRefused(message, extensions={"code": "BAD_REQUEST"})


def page_from(
    *, first: int | None, last: int | None, after: str | None, before: str | None, reverse: bool, bulk: bool
) -> Page:
    """Checks the arguments of a connection; raises RequestRefused as Shopify answers BAD_REQUEST."""
    if first is not None and last is not None:
        raise bad_request("providing both first and last is not supported")
    if first is None and last is None and not bulk:
        raise bad_request("you must provide one of first or last")
    size = first if first is not None else last
    if size is not None and size < 0:
        raise bad_request(f"first and last cannot be negative: {size}")
    if size is not None and size > MAX_PAGE:
        raise bad_request(f"page size {size} is over the limit of {MAX_PAGE}")
    return Page(size=size, backwards=last is not None, after=after, before=before, reverse=reverse)


def cursor_for(value: SortValue, number: int, *, walked: int) -> str:
    text = json.dumps({"last_id": number, "last_value": value, "walked": walked}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_cursor(cursor: str) -> tuple[tuple[SortValue, int], int]:
    """The place in the order, and how many objects were walked over up to it."""
    try:
        data = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return (data["last_value"], data["last_id"]), data["walked"]
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise RequestRefused(f"Invalid cursor: {cursor}", extensions={"code": "BAD_REQUEST"}) from error


def paginate(
    rows: Sequence[Any],
    page: Page,
    *,
    key: Callable[[Any], tuple[SortValue, int]],
    matches: Callable[[Any], bool] | None = None,
) -> Connection:
    """One page of `rows`, which are sorted by `key`.

    A cursor marks a place in the order, not a row, so that a page is right although rows came or went.
    """
    lower, upper = (page.before, page.after) if page.reverse else (page.after, page.before)
    low = bisect_right(rows, read_cursor(lower)[0], key=key) if lower else 0
    high = bisect_left(rows, read_cursor(upper)[0], key=key) if upper else len(rows)
    from_end = page.reverse != page.backwards
    walk: Iterable[Any] = (rows[i] for i in _indices(low, high, from_end=from_end))
    chosen, more = _take(walk if matches is None else filter(matches, walk), page.size)
    start = page.before if page.backwards else page.after
    walked = read_cursor(start)[1] if start else 0
    if page.size is not None and walked + len(chosen) > MAX_WALK:
        raise bad_request(f"Cannot paginate past {MAX_WALK:,} objects")
    cursors = [cursor_for(*key(row), walked=walked + count) for count, row in enumerate(chosen, start=1)]
    if page.backwards:
        chosen.reverse()
        cursors.reverse()
    has_next = page.before is not None if page.backwards else more
    has_previous = more if page.backwards else page.after is not None
    return Connection(rows=chosen, cursors=cursors, has_next=has_next, has_previous=has_previous)


def _indices(low: int, high: int, *, from_end: bool) -> Iterator[int]:
    return iter(range(high - 1, low - 1, -1) if from_end else range(low, high))


def _take(rows: Iterable[Any], size: int | None) -> tuple[list[Any], bool]:
    if size is None:
        return list(rows), False
    chosen: list[Any] = []
    for row in rows:
        if len(chosen) == size:
            return chosen, True
        chosen.append(row)
    return chosen, False
