"""Commands that run the service or look at the whole of it: demo, serve, web, worker, migrate, settings, doctor."""

import asyncio
import os
import sys
from typing import Annotated

import typer

from stockwright import settings as table
from stockwright.checking import Verdict, worst
from stockwright.cli.output import AsCsv, AsJson, Form, print_rows, say, tell
from stockwright.demo import DemoOptions, run_demo
from stockwright.doctor import examine
from stockwright.opening import database

_MARKS = {Verdict.OK: "ok  ", Verdict.WARN: "warn", Verdict.FAIL: "FAIL"}


def add_to(commands: typer.Typer) -> None:
    """Add the commands of this module."""
    commands.command(epilog="Example: stockwright demo --scripted")(demo)
    commands.command(epilog="Example: STOCKWRIGHT_PUBLIC_URL=https://stock.example.com stockwright serve")(
        serve
    )
    commands.command()(web)
    commands.command()(worker)
    commands.command()(migrate)
    commands.command("settings", epilog="Example: stockwright settings --json")(show_settings)
    commands.command()(doctor)


def demo(
    *,
    scripted: Annotated[
        bool, typer.Option("--scripted", help="Play the story by itself, check each step, and end.")
    ] = False,
    shop_port: Annotated[
        int, typer.Option(help="Port of the bundled shop; the next free one is taken.")
    ] = 9000,
) -> None:
    """Run everything on this machine against the bundled shop, and say what to try."""
    raise typer.Exit(run_demo(DemoOptions(scripted=scripted, shop_port=shop_port), os.environ))


def serve() -> None:
    """Run the whole service: web server, worker and, without DATABASE_URL, an own PostgreSQL."""
    _become("stockwright.supervising")


def web() -> None:
    """Run one web process: it stores webhooks and answers. For several machines with one DATABASE_URL."""
    _become("stockwright.serving")


def worker() -> None:
    """Run one worker process: it decides and corrects. For several machines with one DATABASE_URL."""
    _become("stockwright.working")


def _become(module: str) -> None:
    """Replace this process: the command line's libraries would cost 30 MB for as long as the service runs."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module])


def migrate() -> None:
    """Bring the database to this release's schema; every other command does so by itself."""
    with database(table.load(os.environ), log=tell):
        say("The database is at this release's schema.")


def show_settings(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show every setting with its value, default and meaning; secrets are masked."""
    lines = table.describe(table.load(os.environ))
    rows = [
        {"name": line.name, "value": line.value, "default": line.default, "meaning": line.meaning}
        for line in lines
    ]
    print_rows(rows, Form(as_json=as_json, as_csv=as_csv), empty="There are no settings.")


def doctor(*, as_json: AsJson = False) -> None:
    """Look at this machine, the database and every shop; say what is wrong and what to do."""
    findings = asyncio.run(examine(os.environ, log=tell))
    if as_json:
        rows = [vars(finding) for finding in findings]
        print_rows(rows, Form(as_json=True), empty="")
    for finding in () if as_json else findings:
        say(f"{_MARKS[finding.verdict]}  {finding.about}: {finding.found}")
        if finding.advice:
            say(f"      -> {finding.advice}")
    raise typer.Exit(1 if worst(findings) is Verdict.FAIL else 0)
