"""Automations: the list by shop, one in detail, and what is done to it: on, off, run, duplicate, export, remove.

What may be saved is decided by `installing`; forms are in `automations_editing`, looking on in `automations_watching`.
"""

import json
from collections.abc import Sequence
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from stockwright import installing
from stockwright.automations import KINDS
from stockwright.model import StockwrightError
from stockwright.store import api_reads, arrivals, automation_lines
from stockwright.store.automation_lines import FAILED_COUNTED, InstalledLine
from stockwright.store.automations import AutomationRow
from stockwright.web.admin import automations_editing, automations_watching
from stockwright.web.admin.automations_finding import (
    CRUMBS,
    HREF,
    all_shops,
    automation_of,
    crumbs_of,
    href_of,
    kind_title,
    shop_with,
    subscribe,
)
from stockwright.web.admin.automations_wording import about_told, options_told, topic_told
from stockwright.web.admin.pages import confirm, go, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.site import Section
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, visit_of

_RECENT_RUNS = 8
_NAME_LENGTH = 200
_DAY = timedelta(days=1)
_COLUMNS = (
    "shop",
    "id",
    "name",
    "kind",
    "enabled",
    "last_run",
    "last_run_at",
    "last_run_state",
    "failed_runs_24h",
)


async def show_all(request: Request) -> Response:
    """The list, by shop."""
    shops = await all_shops(request)
    async with deps_of(request).database.connection() as conn:
        lines = await automation_lines.installed(conn, failed_since=visit_of(request).now - _DAY)
    if wants_csv(request):
        domains = {shop.shop_id: shop.domain for shop in shops}
        rows = [_csv_row(line, domains.get(line.shop_id, "")) for line in lines]
        return csv_response("automations", rows, header=_COLUMNS)
    return page(
        request,
        "automations/list.html",
        title="Automations",
        groups=[(shop, _of_shop(lines, shop.shop_id)) for shop in shops],
        any_installed=bool(lines),
        kind_title=kind_title,
        counted=FAILED_COUNTED,
    )


def _of_shop(lines: Sequence[InstalledLine], shop_id: int) -> list[InstalledLine]:
    return [line for line in lines if line.shop_id == shop_id]


def _csv_row(line: InstalledLine, domain: str) -> dict[str, object]:
    return {
        "shop": domain,
        "id": line.automation_id,
        "name": line.name,
        "kind": line.kind,
        "enabled": line.enabled,
        "last_run": line.last_run_id,
        "last_run_at": line.last_run_at,
        "last_run_state": line.last_run_state,
        "failed_runs_24h": line.failed_runs,
    }


async def show(request: Request) -> Response:
    """One automation."""
    row = await automation_of(request)
    shop = await shop_with(request, row.shop_id)
    async with deps_of(request).database.connection() as conn:
        waiting = await arrivals.waiting_of_automation(conn, row.shop_id, row.automation_id)
        recent = await api_reads.runs_before(
            conn, automation_id=row.automation_id, shop_id=row.shop_id, limit=_RECENT_RUNS
        )
    return page(
        request,
        "automations/show.html",
        title=row.name,
        crumbs=CRUMBS,
        row=row,
        shop=shop,
        kind=KINDS.get(row.kind),
        options=options_told(row),
        topics=[(topic, topic_told(topic)) for topic in row.topics],
        waiting=waiting,
        runs=recent.runs,
        about_told=about_told,
    )


# --- doing ------------------------------------------------------------------------------------------------


async def enable(request: Request) -> Response:
    """Let it work."""
    return await _switch(request, on=True)


async def disable(request: Request) -> Response:
    """Stop it."""
    return await _switch(request, on=False)


async def _switch(request: Request, *, on: bool) -> Response:
    row = await automation_of(request)
    try:
        row = await installing.change(deps_of(request), row, enabled=on, by=actor_of(request))
    except StockwrightError as error:
        flash(request, f"Nothing was changed. {error}", kind="bad")
        return go(href_of(row))
    if on:
        flash(request, f"{row.name} is on. It looks at the shop as soon as a worker is free.")
    else:
        flash(request, f"{row.name} is off. What waited for it was dropped; its shared stocks are kept.")
    await subscribe(request, row)
    return go(href_of(row))


async def run(request: Request) -> Response:
    """The Run button."""
    row = await automation_of(request)
    try:
        event_id = await installing.trigger(deps_of(request), row, by=actor_of(request))
    except StockwrightError as error:
        flash(request, str(error), kind="bad")
        return go(href_of(row))
    return go(f"{href_of(row)}/started/{event_id}")


async def duplicate(request: Request) -> Response:
    """A copy that is off, to be changed."""
    row = await automation_of(request)
    try:
        copy = await installing.add(
            deps_of(request),
            row.shop_id,
            kind=row.kind,
            options=row.options,
            name=_copy_name(row),
            topics=row.topics,
            enabled=False,
            by=actor_of(request),
        )
    except StockwrightError as error:
        flash(request, f"No copy was made. {error}", kind="bad")
        return go(href_of(row))
    flash(request, "This is the copy. It is off until you switch it on.")
    return go(f"{href_of(copy)}/edit")


def _copy_name(row: AutomationRow) -> str:
    ending = " (copy)"
    return row.name[: _NAME_LENGTH - len(ending)] + ending


async def export(request: Request) -> Response:
    """The automation as a file that can be imported here or elsewhere."""
    row = await automation_of(request)
    text = json.dumps(installing.export(row), indent=2, ensure_ascii=False) + "\n"
    return Response(
        text,
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{row.kind}-{row.automation_id[-6:]}.json"'},
    )


async def ask_removal(request: Request) -> Response:
    """What removal means."""
    row = await automation_of(request)
    return confirm(
        request,
        title="Remove",
        question=f"Remove {row.name}?",
        consequences=(
            "Its shared stocks are forgotten, and what waits for it is dropped.",
            "Levels and publications in the shop stay as they are.",
            "Its runs and their history stay until their retention ends.",
        ),
        action=f"{href_of(row)}/remove",
        submit="Remove the automation",
        cancel=href_of(row),
        crumbs=crumbs_of(row),
    )


async def remove(request: Request) -> Response:
    """Remove the automation."""
    row = await automation_of(request)
    await installing.remove(deps_of(request), row, by=actor_of(request))
    flash(request, f"{row.name} is removed.")
    await subscribe(request, row)
    return go(HREF)


_ONE = HREF + "/{automation_id}"

SECTION = Section(
    title="Automations",
    href=HREF,
    icon="automations",
    routes=(
        get(HREF, show_all),
        *automations_editing.ROUTES,  # with fixed paths: before /automations/{automation_id}
        get(_ONE, show),
        post(_ONE + "/enable", enable),
        post(_ONE + "/disable", disable),
        post(_ONE + "/run", run),
        post(_ONE + "/duplicate", duplicate),
        get(_ONE + "/export", export),
        get(_ONE + "/remove", ask_removal),
        post(_ONE + "/remove", remove),
        *automations_watching.ROUTES,
    ),
    samples=(
        HREF,
        *automations_editing.SAMPLES,
        HREF + "/{automation}",
        HREF + "/{automation}/remove",
        *automations_watching.SAMPLES,
    ),
)
