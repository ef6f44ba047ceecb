"""Resolving connections and searches: the one place where lists become pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from graphql import GraphQLError

from shopify_emulator.paging import Connection, SortValue, page_from, paginate
from shopify_emulator.request import Request, request_of
from shopify_emulator.search import Search, SearchError, parse_search

Arguments = dict[str, Any]
Fields = dict[str, Callable[..., Any]]
SortKey = Callable[[Any], SortValue]


def by_number(row: Any) -> int:
    number: int = row.number
    return number


def page(info: Any, rows: Sequence[Any], arguments: Arguments, *, sort: SortKey | None = None) -> Connection:
    """One page of rows that stand in order of their number, sorted and searched as asked for."""
    request = request_of(info)
    search = _search(request, info, arguments.get("query"), of=info.field_name)
    asked = page_from(
        first=arguments.get("first"),
        last=arguments.get("last"),
        after=arguments.get("after"),
        before=arguments.get("before"),
        reverse=arguments.get("reverse", False),
        bulk=request.bulk,
    )
    value, known = sort or by_number, _known(request, search)
    rows = [row for row in rows if known(row) is not None] if search is not None else rows

    def key(row: Any) -> tuple[SortValue, int]:
        return value(known(row)), row.number

    ordered = rows if sort is None else sorted(rows, key=key)
    matches = None if search is None else lambda row: search.matches(known(row))
    with _refusals():
        return paginate(ordered, asked, key=key, matches=matches)


def count(info: Any, rows: Sequence[Any], arguments: Arguments, *, of: str) -> dict[str, Any]:
    """How many rows match, up to `limit`."""
    refuse(arguments, "savedSearchId")
    search = _search(request_of(info), info, arguments.get("query"), of=of)
    versions = [known for row in rows if (known := _known(request_of(info), search)(row)) is not None]
    with _refusals():
        found = sum(1 for row in versions if search is None or search.matches(row))
    limit = arguments.get("limit")
    capped = found if limit is None else min(found, limit)
    return {"count": capped, "precision": "EXACT" if capped == found else "AT_LEAST"}


def _known(request: Request, search: Search | None) -> Callable[[Any], Any | None]:
    """How a list sees its rows: a search as its index knows them, anything else as they are."""
    return request.state.index.as_known if search is not None else lambda row: row


@contextmanager
def _refusals() -> Iterator[None]:
    """A search that this shop cannot read is an error of the field."""
    try:
        yield
    except SearchError as error:
        raise GraphQLError(str(error), extensions={"code": "BAD_REQUEST"}) from error


def _search(request: Request, info: Any, text: str | None, *, of: str) -> Search | None:
    if not text or not text.strip():
        return None
    search = parse_search(text, request.parts.tests[of])
    if search.unknown:
        request.searches.append((list(map(str, info.path.as_list())), search))
    return search


def refuse(arguments: Arguments, *names: str) -> None:
    """Says clearly that an argument of the real API is not offered here, instead of ignoring it."""
    for name in names:
        if arguments.get(name) is not None:
            message = f"the bundled shop does not offer the argument {name}"
            raise GraphQLError(message, extensions={"code": "BAD_REQUEST"})


def sort_for(arguments: Arguments, keys: dict[str, SortKey | None], *, default: str) -> SortKey | None:
    """The sort value of a `sortKey` argument; None is the order of ids."""
    name = arguments.get("sortKey", default)
    if name not in keys:
        message = f"the bundled shop does not sort by {name}; it sorts by {', '.join(keys)}"
        raise GraphQLError(message, extensions={"code": "BAD_REQUEST"})
    return keys[name]


def time(moment: datetime | None) -> str | None:
    """A moment as the API writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
