"""Looking on: what an automation would do now, with nothing written, and how a run that was asked for goes."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from stockwright.model import EventId, StockwrightError
from stockwright.previewing import Previewed, preview
from stockwright.store import arrivals, runs
from stockwright.store.automations import AutomationRow
from stockwright.store.database import Connection
from stockwright.store.runs import RunRow
from stockwright.web.admin.automations_finding import HREF, automation_of, crumbs_of, href_of
from stockwright.web.admin.pages import not_found, page
from stockwright.web.admin.routing import get
from stockwright.web.admin.visits import deps_of

SAMPLES = (HREF + "/{switched_off}/preview", HREF + "/{automation}/started/{event}")
_FEW, _MANY = 200, 2000  # products that a preview looks at


# --- preview ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a preview found."""

    acted: Sequence[Previewed]
    troubled: Sequence[Previewed]
    left: Sequence[Previewed]
    complete: bool

    @property
    def count(self) -> int:
        """How many products were looked at."""
        return len(self.acted) + len(self.troubled) + len(self.left)


async def show_preview(request: Request) -> Response:
    """What it would do now, effect by effect."""
    row = await automation_of(request)
    limit = _MANY if request.query_params.get("products") == "many" else _FEW
    seen, error = None, ""
    try:
        seen = await _look(request, row, limit)
    except StockwrightError as refused:
        error = str(refused)
    return page(
        request,
        "automations/preview.html",
        title="Preview",
        crumbs=crumbs_of(row),
        status=400 if error else 200,
        row=row,
        here=href_of(row),
        seen=seen,
        error=error,
        many=_MANY,
        is_many=limit == _MANY,
    )


async def _look(request: Request, row: AutomationRow, limit: int) -> Seen:
    found: list[Previewed] = []
    complete = True
    async with aclosing(preview(deps_of(request), row)) as products:
        async for one in products:
            if len(found) == limit:
                complete = False
                break
            found.append(one)
    return Seen(
        acted=[one for one in found if not one.error and one.acts],
        troubled=[one for one in found if one.error],
        left=[one for one in found if not one.error and not one.acts],
        complete=complete,
    )


# --- progress -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Started:
    """How far a run is that somebody asked for."""

    run: RunRow | None
    waiting: int  # events that it woke and that still wait
    begun: bool
    ended: bool

    @property
    def goes_on(self) -> bool:
        """Whether looking again can show something new."""
        return not self.ended or self.waiting > 0


async def show_started(request: Request) -> Response:
    """How the run goes; looks again by itself."""
    row = await automation_of(request)
    event_id = EventId(request.path_params["event_id"])
    if not (event_id.isascii() and event_id.isprintable()):
        raise not_found("There is no such run.")
    async with deps_of(request).database.connection() as conn:
        started = await _started(conn, row, event_id)
    return page(
        request,
        "automations/started.html",
        title="Run now",
        crumbs=crumbs_of(row),
        row=row,
        here=href_of(row),
        started=started,
    )


async def _started(conn: Connection, row: AutomationRow, event_id: EventId) -> Started:
    outcome = await arrivals.outcome(conn, row.shop_id, event_id, row.automation_id)
    if outcome is None:
        return Started(run=None, waiting=0, begun=False, ended=True)
    if outcome.done:
        run = await runs.get(conn, outcome.run_id) if outcome.run_id else None
        waiting = await arrivals.waiting_of_automation(conn, row.shop_id, row.automation_id)
        return Started(run=run, waiting=waiting, begun=True, ended=True)
    going = await runs.list_runs(
        conn, shop_id=row.shop_id, automation_id=row.automation_id, state="running", limit=1
    )
    return Started(run=going[0] if going else None, waiting=0, begun=bool(going), ended=False)


ROUTES = (
    get(HREF + "/{automation_id}/preview", show_preview),
    get(HREF + "/{automation_id}/started/{event_id}", show_started),
)
