"""Shopify's search syntax: text to a tree, tree to a predicate, and warnings about unknown fields.

`field:value`, comparators, quotes, AND (also by writing side by side), OR, NOT or `-`, parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])
        |(?P<minus>-(?=[A-Za-z("']))
        |(?P<field>[A-Za-z_][A-Za-z0-9_.]*):(?P<op>>=|<=|>|<|)\s*
        |"(?P<double>(?:\\.|[^"\\])*)"
        |'(?P<single>(?:\\.|[^'\\])*)'
        |(?P<bare>[^\s()]+))""",
    re.VERBOSE,
)


class SearchError(ValueError):
    """The search text asks for something that this shop cannot read."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """`field:op value`; an empty field is free text."""

    field: str
    op: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """Terms joined by one connective."""

    all_of: bool
    parts: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Not:
    part: Node


Node = Term | Group | Not
Test = Callable[[Any, Term], bool]
EVERYTHING = Group(all_of=True, parts=())


@dataclass(kw_only=True)
class Search:
    """A parsed query: what it lets through and what was not understood."""

    text: str
    tree: Node
    known: Node | None  # the tree without the terms that nobody understands; None: no restriction
    tests: Mapping[str, Test]
    unknown: tuple[str, ...] = ()

    def matches(self, row: Any) -> bool:
        return self.known is None or _holds(self.known, row, self.tests)

    def report(self, path: list[str]) -> dict[str, Any]:
        """The entry of `extensions.search`."""
        warnings = [
            {"field": name, "message": "Invalid search field for this query.", "code": "invalid_field"}
            for name in self.unknown
        ]
        entry: dict[str, Any] = {"path": path, "query": self.text, "parsed": _described(self.tree)}
        return {**entry, "warnings": warnings} if warnings else entry


@dataclass(kw_only=True)
class _Parser:
    tokens: list[re.Match[str]]
    at: int = 0
    fields: list[str] = field(default_factory=list)

    def peek(self) -> re.Match[str] | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def word(self) -> str:
        token = self.peek()
        return (token["bare"] or token["paren"] or "") if token is not None else ""

    def any_of(self) -> Node:
        parts = [self.all_of()]
        while self.word() == "OR":
            self.at += 1
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Group(all_of=False, parts=tuple(parts))

    def all_of(self) -> Node:
        parts: list[Node] = []
        while self.peek() is not None and self.word() not in ("OR", ")"):
            if self.word() == "AND":
                self.at += 1
                continue
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Group(all_of=True, parts=tuple(parts))

    def one(self) -> Node:
        token = self.tokens[self.at]
        self.at += 1
        if token["minus"] or token["bare"] == "NOT":
            return Not(part=self.one()) if self.peek() is not None else EVERYTHING
        if token["paren"] == "(":
            inner = self.any_of()
            self.at += 1  # the closing parenthesis, or the end of the text
            return inner
        if token["field"]:
            return self.term(token["field"], token["op"])
        return Term(field="", op="", value=_text(token))

    def term(self, name: str, op: str) -> Node:
        self.fields.append(name)
        token = self.peek()
        if token is None or token["paren"] or token["field"]:
            return Term(field=name, op=op, value="")
        self.at += 1
        return Term(field=name, op=op, value=_text(token, minus=bool(token["minus"])))


def _text(token: re.Match[str], *, minus: bool = False) -> str:
    quoted = token["double"] if token["double"] is not None else token["single"]
    if quoted is not None:
        return re.sub(r"\\(.)", r"\1", quoted)
    return "-" if minus else token["bare"] or ""


def _tokens(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(text.rstrip()):
        token = TOKEN.match(text, at)
        if token is None:
            return
        at = token.end()
        yield token


def parse_search(text: str, tests: Mapping[str, Test]) -> Search:
    """Parses a search text. Unknown fields are ignored, as Shopify does, and remembered."""
    parser = _Parser(tokens=list(_tokens(text)))
    parts: list[Node] = []
    while parser.peek() is not None:
        parts.append(parser.any_of())
        if parser.word() == ")":
            parser.at += 1  # a stray closing parenthesis
    tree = parts[0] if len(parts) == 1 else Group(all_of=True, parts=tuple(parts))
    unknown = tuple(dict.fromkeys(name for name in parser.fields if name not in tests))
    return Search(text=text, tree=tree, known=_understood(tree, tests), tests=tests, unknown=unknown)


def _understood(node: Node, tests: Mapping[str, Test]) -> Node | None:
    match node:
        case Term():
            return node if node.field in tests else None
        case Not():
            part = _understood(node.part, tests)
            return Not(part=part) if part is not None else None
        case Group():
            parts = tuple(kept for part in node.parts if (kept := _understood(part, tests)) is not None)
            return Group(all_of=node.all_of, parts=parts) if parts else None


def _holds(node: Node, row: Any, tests: Mapping[str, Test]) -> bool:
    match node:
        case Term():
            return tests[node.field](row, node)
        case Not():
            return not _holds(node.part, row, tests)
        case Group(all_of=True):
            return all(_holds(part, row, tests) for part in node.parts)
        case Group():
            return any(_holds(part, row, tests) for part in node.parts)


def _described(node: Node) -> dict[str, Any]:
    match node:
        case Term(op=""):
            return {"field": node.field or "default", "match_all": node.value}
        case Term():
            return {"field": node.field, "range": {node.op: node.value}}
        case Not():
            return {"not": _described(node.part)}
        case Group():
            return {"and" if node.all_of else "or": [_described(part) for part in node.parts]}


def _list_values(term: Term) -> list[str]:
    return [value.strip() for value in term.value.split(",") if value.strip()]


def text_is(read: Callable[[Any], str | None]) -> Test:
    """Equal without regard to case; commas separate alternatives; `*` at the end means any rest."""

    def test(row: Any, term: Term) -> bool:
        have = (read(row) or "").casefold()
        want = term.value.casefold()
        if want.endswith("*"):
            return have.startswith(want[:-1])
        return have == want or ("," in want and have in [value.strip() for value in want.split(",")])

    return test


def any_text_is(read: Callable[[Any], tuple[str, ...]]) -> Test:
    """One of several texts, such as tags, equals the value without regard to case."""

    def test(row: Any, term: Term) -> bool:
        have = {text.casefold() for text in read(row)}
        want = term.value.casefold()
        return want in have or any(value.casefold() in have for value in _list_values(term))

    return test


def no_text_is(read: Callable[[Any], tuple[str, ...]]) -> Test:
    """None of several texts equals the value."""
    positive = any_text_is(read)
    return lambda row, term: not positive(row, term)


def number_is(read: Callable[[Any], float | None]) -> Test:
    """A number or the number at the end of a gid, with comparators; commas separate alternatives."""

    def test(row: Any, term: Term) -> bool:
        have = read(row)
        wanted = [number for value in _list_values(term) if (number := _number(value)) is not None]
        return have is not None and any(_compare(have, term.op, want) for want in wanted)

    return test


def _number(value: str) -> int | None:
    tail = value.rsplit("/", 1)[-1].split("?")[0]
    try:
        return int(tail)
    except ValueError:
        return None


def time_is(read: Callable[[Any], datetime]) -> Test:
    """A moment with comparators; a time without zone is UTC, and a year or month is its first moment."""

    def test(row: Any, term: Term) -> bool:
        return _compare(read(row).timestamp(), term.op, _moment(term.value).timestamp())

    return test


def _moment(text: str) -> datetime:
    padded = text + "-01-01"[len(text) - 4 :] if re.fullmatch(r"[0-9]{4}(-[0-9]{2})?", text) else text
    try:
        moment = datetime.fromisoformat(padded)
    except ValueError as error:
        raise SearchError(f"the time {text!r} in the search query is not ISO 8601") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def truth_is(read: Callable[[Any], bool]) -> Test:
    """true or false."""
    return lambda row, term: read(row) == (term.value.casefold() == "true")


def _compare(have: float, op: str, want: float) -> bool:
    match op:
        case ">":
            return have > want
        case ">=":
            return have >= want
        case "<":
            return have < want
        case "<=":
            return have <= want
        case _:
            return have == want
