"""How commands print: tables for people, JSON and CSV for programs. Knows nothing of the service."""

import csv
import io
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import indent
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from stockwright.checking import Finding, Verdict
from stockwright.model import Json

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AlwaysJson = Annotated[bool, typer.Option("--json", help="Accepted; it is JSON anyway.", show_default=False)]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Row = Mapping[str, Json]
_MARKS = {Verdict.OK: "ok  ", Verdict.WARN: "warn", Verdict.FAIL: "FAIL"}
_WIDE = 250  # columns where no terminal says how many


@dataclass(frozen=True, kw_only=True)
class Form:
    """How the caller wants rows."""

    as_json: bool
    as_csv: bool = False

    def __post_init__(self) -> None:
        if self.as_json and self.as_csv:
            raise typer.BadParameter("Choose --json or --csv, not both.")


def say(sentence: str, *, end: str = "\n") -> None:
    """One line on stdout."""
    typer.echo(f"{sentence}{end}", nl=False)


def tell(sentence: str) -> None:
    """One line on stderr: what is going on, what went wrong."""
    typer.echo(sentence, err=True)


def print_rows(rows: Sequence[Row], form: Form, *, empty: str) -> None:
    """Rows of one shape, as a table, JSON or CSV; `empty` is said to a person when there are none."""
    if form.as_json:
        print_json([dict(row) for row in rows])
    elif form.as_csv:
        say(_csv(rows).rstrip("\r\n"))
    elif rows:
        print_table(rows)
    else:
        say(empty)


async def print_pages(pages: AsyncIterator[Sequence[Row]], form: Form, *, empty: str) -> None:
    """`print_rows` of however many rows: JSON and CSV while they come, a table when its widths are known."""
    if form.as_json:
        await _print_json_pages(pages)
    elif form.as_csv:
        await _print_csv_pages(pages)
    else:
        print_rows([row async for page in pages for row in page], form, empty=empty)


async def _print_csv_pages(pages: AsyncIterator[Sequence[Row]]) -> None:
    has_head = False
    async for page in pages:
        if page:
            text = _csv(page, head=not has_head).rstrip("\r\n")
            say(f"\r\n{text}" if has_head else text, end="")
            has_head = True
    say("")


async def _print_json_pages(pages: AsyncIterator[Sequence[Row]]) -> None:
    """The array that `print_json` would print."""
    start = "["
    async for page in pages:
        for row in page:
            say(f"{start}\n{indent(_json(dict(row)), '  ')}", end="")
            start = ","
    say("[]" if start == "[" else "\n]")


def counted(things: str, *, every: int) -> Callable[[int, int | None], None]:
    """Tells on stderr how far long work is: at each multiple of `every`, and of how many when that is known."""
    told = 0

    def hear(done: int, total: int | None) -> None:
        nonlocal told
        if done // every > told:
            told = done // every
            tell(f"{done:,}{f' of {total:,}' if total else ''} {things} ...")

    return hear


def print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """What was looked at, one line each, with what to do below."""
    if as_json:
        print_json([vars(finding) for finding in findings])
        return
    for finding in findings:
        say(f"{_MARKS[finding.verdict]}  {finding.about}: {finding.found}")
        if finding.advice:
            say(f"      -> {finding.advice}")


def print_json(value: Json) -> None:
    """A value as indented JSON."""
    say(_json(value))


def _json(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain)


def print_table(rows: Sequence[Row]) -> None:
    """Rows of one shape as a table with the names of the first as headings."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, value in rows[0].items():
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row.values()))
    _console().print(table, markup=False)


def cell(value: Json) -> str:
    """A value as a person reads it in a table."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
        case list() | tuple():
            return ", ".join(cell(part) for part in value)
        case dict():
            return json.dumps(value, default=_plain)
        case _:
            return str(value)


def _console() -> Console:
    is_terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if is_terminal else _WIDE, highlight=False, markup=False)


def _csv(rows: Sequence[Row], *, head: bool = True) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        if head:
            writer.writeheader()
        writer.writerows({name: _for_csv(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _for_csv(value: Json) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, default=_plain)
    return value


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; a "no" ends the command with status 1."""
    if not yes:
        typer.confirm(question, abort=True, err=True)
