"""Runs: the list with filter and search, one run as a story, retry and cancel.

Words come from `explaining`; what may be repeated or cancelled `steering` decides.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from stockwright import steering
from stockwright.explaining import tell
from stockwright.gathering import load_story
from stockwright.model import StockwrightError
from stockwright.schedules import time_zone
from stockwright.store import api_reads, automations, runs, shops
from stockwright.store.api_reads import SEARCH_WINDOW, RunLine, RunsFound
from stockwright.store.automations import AutomationRow
from stockwright.store.runs import RunRow
from stockwright.store.shops import Shop
from stockwright.web.admin.automations_finding import kind_title
from stockwright.web.admin.automations_wording import about_told
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.site import Section
from stockwright.web.admin.tables import CSV_ROWS, PAGE_ROWS, Listing, csv_response, cursor_of, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash
from stockwright.web.api.schemas import RunState

HREF = "/runs"
_CRUMBS: tuple[Crumb, ...] = (("Runs", HREF),)
_STATES: tuple[str, ...] = get_args(RunState)
_SEARCH_LENGTH = 200
_UTC = ZoneInfo("UTC")
_COLUMNS = (
    "run",
    "shop",
    "automation",
    "kind",
    "about",
    "state",
    "because",
    "requests",
    "started_at",
    "finished_at",
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs an address asks for, among what there is."""

    shop: Shop | None
    automation: AutomationRow | None
    state: str
    text: str
    before: str | None

    @property
    def narrowed(self) -> bool:
        """Whether anything but all runs is asked for."""
        return bool(self.shop or self.automation or self.state or self.text)


async def show_all(request: Request) -> Response:
    """The list."""
    async with deps_of(request).database.connection() as conn:
        all_shops = await shops.list_all(conn)
        installed = await automations.list_all(conn)
    wanted = _wanted(request, all_shops, installed)
    if wants_csv(request):
        rows = [_csv_row(line) for line in await _many(request, wanted)]
        return csv_response("runs", rows, header=_COLUMNS)
    found = await _find(request, wanted, before=wanted.before, limit=PAGE_ROWS)
    return page(
        request,
        "runs/list.html",
        title="Runs",
        shops=all_shops,
        automations=_of_shop(installed, wanted.shop),
        names={row.automation_id: row.name for row in installed},
        states=_STATES,
        wanted=wanted,
        by_domain={shop.domain: shop for shop in all_shops},
        runs=_listing(request, found),
        kind_title=kind_title,
        about_told=about_told,
        window=SEARCH_WINDOW,
    )


def _wanted(request: Request, all_shops: Sequence[Shop], installed: Sequence[AutomationRow]) -> Wanted:
    asked = request.query_params
    state, before = asked.get("state", ""), cursor_of(request) or ""
    text = asked.get("q", "").replace("\x00", "").strip()
    return Wanted(
        shop=next((shop for shop in all_shops if str(shop.shop_id) == asked.get("shop")), None),
        automation=next((row for row in installed if row.automation_id == asked.get("automation")), None),
        state=state if state in _STATES else "",
        text=text[:_SEARCH_LENGTH],
        before=before if before.isascii() and before.isprintable() and before else None,
    )


def _of_shop(installed: Sequence[AutomationRow], shop: Shop | None) -> list[AutomationRow]:
    return [row for row in installed if shop is None or row.shop_id == shop.shop_id]


async def _find(request: Request, wanted: Wanted, *, before: str | None, limit: int) -> RunsFound:
    automation = wanted.automation
    shop_id = wanted.shop.shop_id if wanted.shop else automation.shop_id if automation else None
    async with deps_of(request).database.connection() as conn:
        return await api_reads.runs_before(
            conn,
            automation_id=automation.automation_id if automation else None,
            shop_id=shop_id,
            state=wanted.state or None,
            search=wanted.text or None,
            before=before,
            limit=limit,
        )


async def _many(request: Request, wanted: Wanted) -> list[RunLine]:
    """As many as a CSV holds; a search goes on through its windows."""
    lines: list[RunLine] = []
    before: str | None = None
    while len(lines) < CSV_ROWS:
        found = await _find(request, wanted, before=before, limit=CSV_ROWS - len(lines))
        lines += found.runs
        if (before := found.go_on) is None:
            break
    return lines


def _listing(request: Request, found: RunsFound) -> Listing[RunLine]:
    asked = {name: value for name, value in request.query_params.items() if value and name != "before"}

    def address(**more: str) -> str:
        query = urlencode({**asked, **more})
        return f"{HREF}?{query}" if query else HREF

    return Listing(
        rows=found.runs,
        newer=address() if cursor_of(request) else "",
        older=address(before=found.go_on) if found.go_on else "",
        csv=address(format="csv"),
    )


def _csv_row(line: RunLine) -> dict[str, object]:
    return {
        "run": line.run_id,
        "shop": line.shop,
        "automation": line.automation_id,
        "kind": line.kind,
        "about": line.title or line.subject,
        "state": line.state,
        "because": line.because,
        "requests": line.requests,
        "started_at": line.started_at,
        "finished_at": line.finished_at,
    }


# --- one run ------------------------------------------------------------------------------------------------


async def _run_of(request: Request) -> RunRow:
    """The run that the address names.

    Raises:
        HTTPException: 404.
    """
    run_id = request.path_params["run_id"]
    if run_id.isascii() and run_id.isprintable():
        async with deps_of(request).database.connection() as conn:
            if run := await runs.get(conn, run_id):
                return run
    raise not_found("There is no such run. Old runs are deleted after a while.")


def _href(run: RunRow) -> str:
    return f"{HREF}/{run.run_id}"


def _about(run: RunRow) -> str:
    return about_told(run.title, run.subject)


async def show(request: Request) -> Response:
    """One run as a story."""
    run = await _run_of(request)
    async with deps_of(request).database.connection() as conn:
        story = await load_story(conn, run)
        shop = await shops.get(conn, run.shop_id)
        automation = await automations.get(conn, run.shop_id, run.automation_id)
    zone = (time_zone(shop.timezone) if shop else None) or _UTC
    return page(
        request,
        "runs/show.html",
        title=_about(run),
        crumbs=_CRUMBS,
        run=run,
        told=tell(story, zone),
        details=_error_details(run),
        pools=list(story.history),
        shop=shop,
        zone=zone.key,
        automation=automation,
        kind=kind_title(run.kind),
    )


def _error_details(run: RunRow) -> str:
    more = {name: value for name, value in (run.error or {}).items() if name != "message"}
    return json.dumps(more, indent=2, ensure_ascii=False) if more else ""


async def retry(request: Request) -> Response:
    """Its events once more."""
    run = await _run_of(request)
    try:
        event_ids = await steering.repeat(deps_of(request), run, by=actor_of(request))
    except StockwrightError as error:
        flash(request, str(error), kind="bad")
        return go(_href(run))
    flash(request, "It is tried again: this is how it goes.")
    return go(f"/automations/{run.automation_id}/started/{event_ids[0]}")


async def ask_cancel(request: Request) -> Response:
    """What cancelling means."""
    run = await _run_of(request)
    return confirm(
        request,
        title="Cancel the run",
        question="Stop this run?",
        consequences=("It stops before its next page of products.", "What it did so far stays done."),
        action=f"{_href(run)}/cancel",
        submit="Stop the run",
        cancel=_href(run),
        crumbs=(*_CRUMBS, (_about(run), _href(run))),
    )


async def cancel(request: Request) -> Response:
    """Stop a scan."""
    run = await _run_of(request)
    try:
        await steering.cancel(deps_of(request), run, by=actor_of(request))
    except StockwrightError as error:
        flash(request, str(error), kind="bad")
        return go(_href(run))
    flash(request, "The run stops before its next page of products.")
    return go(_href(run))


SECTION = Section(
    title="Runs",
    href=HREF,
    icon="runs",
    routes=(
        get(HREF, show_all),
        get(HREF + "/{run_id}", show),
        post(HREF + "/{run_id}/retry", retry),
        get(HREF + "/{run_id}/cancel", ask_cancel),
        post(HREF + "/{run_id}/cancel", cancel),
    ),
    samples=(HREF, HREF + "?q=nothing+is+called+this", HREF + "/{run}", HREF + "/{failed_run}"),
)
