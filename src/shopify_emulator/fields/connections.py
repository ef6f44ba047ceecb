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
    value = sort or by_number

    def key(row: Any) -> tuple[SortValue, int]:
        return value(row), row.number

    ordered = rows if sort is None else sorted(rows, key=key)
    with _refusals():
        return paginate(ordered, asked, key=key, matches=search.matches if search is not None else None)


def count(info: Any, rows: Sequence[Any], arguments: Arguments, *, of: str) -> dict[str, Any]:
    """How many rows match, up to `limit`."""
    refuse(arguments, "savedSearchId")
    search = _search(request_of(info), info, arguments.get("query"), of=of)
    with _refusals():
        found = len(rows) if search is None else sum(1 for row in rows if search.matches(row))
    limit = arguments.get("limit")
    capped = found if limit is None else min(found, limit)
    return {"count": capped, "precision": "EXACT" if capped == found else "AT_LEAST"}


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
