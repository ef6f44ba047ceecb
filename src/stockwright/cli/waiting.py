"""Waiting for a run with progress, for `automation run --wait`."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from stockwright.cli.output import print_json, say, tell
from stockwright.cli.session import Service
from stockwright.model import EventId, JsonObject
from stockwright.store import arrivals, runs
from stockwright.store.automations import AutomationRow
from stockwright.store.ids import earliest_id
from stockwright.store.runs import RunRow

_ASK_EVERY_S = 0.2
_PATIENCE_S = 10.0
_LATE = timedelta(seconds=1)  # a run's own events are older than this after its end


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """What is waited for, and until when."""

    service: Service
    row: AutomationRow
    event_id: EventId
    give_up_at: float  # monotonic

    @property
    def is_late(self) -> bool:
        """Whether it has taken too long."""
        return monotonic() > self.give_up_at


async def wait_for_run(
    service: Service, row: AutomationRow, event_id: EventId, *, limit_s: float, as_json: bool
) -> int:
    """Wait until the event's run and what that woke have ended; the exit status says how it went.

    Other work of the automation is not waited for: on a busy shop there always is some.
    """
    awaited = Awaited(service=service, row=row, event_id=event_id, give_up_at=monotonic() + limit_s)
    run, ended = await _watched(awaited)
    if not ended:
        tell(
            f"Not at its end after {limit_s:g} s, and not waited for any longer; it goes on in the service. "
            f"See: stockwright runs --automation {row.automation_id}"
        )
    if as_json:
        print_json(_run_json(event_id, run, ended=ended))
    elif run is not None:
        _tell_run(run)
    elif ended:
        tell("It ended without a run: the automation was disabled or removed meanwhile.")
    return 0 if ended and run is not None and run.state == "succeeded" else 1


async def _watched(awaited: Awaited) -> tuple[RunRow | None, bool]:
    """The run, if there was one, and whether all had ended in time."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        shown = progress.add_task("waiting for a worker", total=None)
        run, ended = await _until_done(awaited, progress, shown)
        if run is not None:
            progress.update(shown, description="products that it woke", total=None)
            ended = await _until_woken_are_done(awaited, run)
    return run, ended


def _run_json(event_id: EventId, run: RunRow | None, *, ended: bool) -> JsonObject:
    told = {"event": event_id, "ended": ended}
    if run is None:
        return {**told, "run": None, "state": None, "because": None, "error": None}
    return {**told, "run": run.run_id, "state": run.state, "because": run.because, "error": run.error}


def _tell_run(run: RunRow) -> None:
    say(f"{run.state}: {run.because}")
    if run.error:
        tell(str(run.error.get("message", run.error)))
    say(f"More: stockwright explain {run.run_id}")


async def _until_done(awaited: Awaited, progress: Progress, shown: TaskID) -> tuple[RunRow | None, bool]:
    """The event's run at its end, if it had one, and whether the end came in time."""
    row, warn_at = awaited.row, monotonic() + _PATIENCE_S
    while not awaited.is_late:
        async with awaited.service.deps.database.connection() as conn:
            outcome = await arrivals.outcome(conn, row.shop_id, awaited.event_id, row.automation_id)
            if outcome is None or outcome.done:
                run_id = outcome.run_id if outcome else None
                return await runs.get(conn, run_id) if run_id else None, True
            going = await runs.list_runs(conn, automation_id=row.automation_id, state="running", limit=1)
        if going and going[0].progress:
            done = going[0].progress
            progress.update(shown, description="products", completed=done["done"], total=done["total"])
        elif monotonic() > warn_at:
            warn_at = awaited.give_up_at
            progress.console.print(
                "Nothing has happened yet. Does a worker run? Start one: stockwright serve"
            )
        await asyncio.sleep(_ASK_EVERY_S)
    return None, False


async def _until_woken_are_done(awaited: Awaited, run: RunRow) -> bool:
    """Whether all that the run woke has ended in time."""
    row = awaited.row
    before = earliest_id("evt", (run.finished_at or awaited.service.deps.clock()) + _LATE)
    while not awaited.is_late:
        async with awaited.service.deps.database.connection() as conn:
            waiting = await arrivals.woken_waiting(
                conn, row.shop_id, row.automation_id, after=awaited.event_id, before=before
            )
        if not waiting:
            return True
        await asyncio.sleep(_ASK_EVERY_S)
    return False
