"""Waiting for a run with progress, for `automation run --wait`."""

import asyncio
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from stockwright.cli.output import say, tell
from stockwright.cli.session import Service
from stockwright.model import EventId
from stockwright.store import arrivals, runs
from stockwright.store.automations import AutomationRow
from stockwright.store.runs import RunRow

_ASK_EVERY_S = 0.2
_PATIENCE_S = 10.0


async def wait_for_run(service: Service, row: AutomationRow, event_id: EventId) -> int:
    """Wait until the event's run and what it woke have ended; the exit status says how it went."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        shown = progress.add_task("waiting for a worker", total=None)
        run = await _until_done(service, row, event_id, progress, shown)
        progress.update(shown, description="products that it woke", total=None)
        await _until_quiet(service, row)
    if run is None:
        tell("It ended without a run: the automation was disabled or removed meanwhile.")
        return 1
    say(f"{run.state}: {run.because}")
    if run.error:
        tell(str(run.error.get("message", run.error)))
    say(f"More: stockwright explain {run.run_id}")
    return 0 if run.state == "succeeded" else 1


async def _until_done(
    service: Service, row: AutomationRow, event_id: EventId, progress: Progress, shown: TaskID
) -> RunRow | None:
    started, warned = monotonic(), False
    while True:
        async with service.deps.database.connection() as conn:
            outcome = await arrivals.outcome(conn, row.shop_id, event_id, row.automation_id)
            if outcome is None or outcome.done:
                return await runs.get(conn, outcome.run_id) if outcome and outcome.run_id else None
            going = await runs.list_runs(conn, automation_id=row.automation_id, state="running", limit=1)
        if going and going[0].progress:
            done = going[0].progress
            progress.update(shown, description="products", completed=done["done"], total=done["total"])
        elif not warned and monotonic() - started > _PATIENCE_S:
            warned = True
            progress.console.print(
                "Nothing has happened yet. Does a worker run? Start one: stockwright serve"
            )
        await asyncio.sleep(_ASK_EVERY_S)


async def _until_quiet(service: Service, row: AutomationRow) -> None:
    while True:
        async with service.deps.database.connection() as conn:
            if not await arrivals.waiting_of_automation(conn, row.shop_id, row.automation_id):
                return
        await asyncio.sleep(_ASK_EVERY_S)
