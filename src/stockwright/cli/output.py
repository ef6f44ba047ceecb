"""How commands print: tables for people, JSON and CSV for programs. Knows nothing of the service."""

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from stockwright.checking import Finding, Verdict
from stockwright.model import Json

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
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


def say(sentence: str) -> None:
    """One line on stdout."""
    typer.echo(sentence)


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
    say(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


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


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
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
        typer.confirm(question, abort=True)
