"""Commands that run the service or look at the whole of it: demo, serve, web, worker, migrate, settings, doctor."""

import asyncio
import os
import sys
from typing import Annotated

import typer

from stockwright import settings as table
from stockwright.checking import Verdict, worst
from stockwright.cli.output import AsCsv, AsJson, Form, print_findings, print_rows, say, tell
from stockwright.demo import run_demo
from stockwright.demo_plan import DemoOptions
from stockwright.doctor import examine
from stockwright.opening import database


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
    """Try it: the whole service against a bundled shop.

    Everything runs on this machine, in the folder "demo" of the home folder; what you have set up for work is neither
    used nor touched. Ctrl-C stops it.
    """
    raise typer.Exit(run_demo(DemoOptions(scripted=scripted, shop_port=shop_port), os.environ))


def serve() -> None:
    """Run the whole service on this machine.

    A web server, a worker and, without DATABASE_URL, a PostgreSQL server of its own; what dies is restarted.
    """
    _become("stockwright.supervising")


def web() -> None:
    """Run one web process.

    It checks and stores webhooks. For several machines with one DATABASE_URL.
    """
    _become("stockwright.serving")


def worker() -> None:
    """Run one worker process.

    It decides and corrects. For several machines with one DATABASE_URL.
    """
    _become("stockwright.working")


def _become(module: str) -> None:
    """Replace this process: the command line's libraries would cost 30 MB for as long as the service runs."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module])


def migrate() -> None:
    """Bring the database to this release's schema.

    Every other command does so by itself.
    """
    with database(table.load(os.environ), log=tell):
        say("The database is at this release's schema.")


def show_settings(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show every setting and its meaning.

    Secrets are masked. Settings are environment variables, also read from a .env file.
    """
    lines = table.describe(table.load(os.environ))
    rows = [
        {"name": line.name, "value": line.value, "default": line.default, "meaning": line.meaning}
        for line in lines
    ]
    print_rows(rows, Form(as_json=as_json, as_csv=as_csv), empty="There are no settings.")


def doctor(*, as_json: AsJson = False) -> None:
    """Look for what is wrong, and say what to do.

    Looks at this machine, the database and every shop; the exit status is 1 when something fails.
    """
    findings = asyncio.run(examine(os.environ, log=tell))
    print_findings(findings, as_json=as_json)
    raise typer.Exit(1 if worst(findings) is Verdict.FAIL else 0)
