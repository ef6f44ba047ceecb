"""`stockwright runs` and `stockwright explain`: what was decided, why, and what came of it."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from stockwright.automations.recording import decide_again
from stockwright.cli.output import AsCsv, AsJson, Form, print_json, print_rows, say
from stockwright.cli.session import Service, automation_named, shop_named, with_service
from stockwright.engine import plan_to_json
from stockwright.explaining import RunStory, explain
from stockwright.gathering import load_story
from stockwright.model import JsonObject, StockwrightError
from stockwright.schedules import time_zone
from stockwright.store import runs, shops
from stockwright.store.database import Connection
from stockwright.store.runs import RunRow

RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="The run's id, or: last")]


class RunState(StrEnum):
    """How a run goes or went."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


def add_to(commands: typer.Typer) -> None:
    """Add the commands of this module."""
    commands.command("runs", epilog="Example: stockwright runs --state failed --limit 10")(list_runs)
    commands.command("explain", epilog="Example: stockwright explain last")(explain_run)


def list_runs(
    *,
    automation: Annotated[str | None, typer.Option(help="Only runs of this automation.")] = None,
    shop: Annotated[str | None, typer.Option(help="Only runs for this shop.")] = None,
    state: Annotated[RunState | None, typer.Option(help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 30,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List runs, newest first."""
    form = Form(as_json=as_json, as_csv=as_csv)
    with_service(partial(_list, automation=automation, domain=shop, state=state, limit=limit, form=form))


async def _list(
    service: Service,
    *,
    automation: str | None,
    domain: str | None,
    state: RunState | None,
    limit: int,
    form: Form,
) -> None:
    only = (await automation_named(service, automation)).automation_id if automation else None
    shop_id = (await shop_named(service, domain)).shop_id if domain else None
    async with service.deps.database.connection() as conn:
        found = await runs.list_runs(conn, shop_id=shop_id, automation_id=only, state=state, limit=limit)
    rows = [
        {
            "run": run.run_id,
            "started_at": run.started_at,
            "kind": run.kind,
            "about": run.title or run.subject,
            "state": run.state,
            "requests": run.requests,
            "because": run.because,
        }
        for run in found
    ]
    print_rows(rows, form, empty="There is no such run yet.")


def explain_run(
    run_id: RunId,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Decide again from the recorded input, and compare.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell why a run did what it did.

    Its events, what it read, what it decided, each effect with Shopify's answers, and its ledger lines.
    """
    raise typer.Exit(with_service(partial(_explain, run_id=run_id, again=again, as_json=as_json)))


async def _explain(service: Service, *, run_id: str, again: bool, as_json: bool) -> int:
    async with service.deps.database.connection() as conn:
        run = await _find(conn, run_id)
        story = await load_story(conn, run)
        shop = await shops.get(conn, run.shop_id)
    verdict = _compare(run) if again else None
    if as_json:
        print_json({**_story_json(story), "again": verdict})
    else:
        zone = time_zone(shop.timezone if shop else "UTC") or time_zone("UTC")
        assert zone is not None, "UTC is known everywhere"
        for line in explain(story, zone):
            say(line)
    if verdict is None:
        return 0
    if not as_json:
        say(f"\nDecided again: {verdict['told']}")
    return 0 if verdict["same"] else 1


async def _find(conn: Connection, run_id: str) -> RunRow:
    if run_id == "last":
        newest = await runs.list_runs(conn, limit=1)
        run_id = newest[0].run_id if newest else run_id
    run = await runs.get(conn, run_id)
    if run is None:
        raise StockwrightError(
            f"There is no run {run_id!r}; see: stockwright runs. Old runs are deleted after a while."
        )
    return run


def _compare(run: RunRow) -> JsonObject:
    """Whether today's code makes the same plan of the recorded input."""
    if run.input is None or run.plan is None:
        return {"same": True, "told": "this run recorded no input (it was a scan or made no decision)."}
    plan = decide_again(run.kind, run.input)
    now = plan_to_json(plan)
    if now == run.plan and plan.because == run.because:
        return {"same": True, "told": "today's code makes the same decision."}
    return {"same": False, "told": f"today's code decides otherwise: {plan.because}", "plan": now}


def _story_json(story: RunStory) -> JsonObject:
    run = story.run
    return {
        "run": {**vars(run)},
        "events": [vars(event) for event in story.events],
        "effects": [vars(effect) for effect in story.effects],
        "attempts": [vars(attempt) for attempt in story.attempts],
        "ledger": {pool_id: [vars(row) for row in rows] for pool_id, rows in story.history.items()},
    }
