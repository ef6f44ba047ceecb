"""Subscribers, Import: a file of people is checked first, then imported, with a report of each refused line."""

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from stockwright import importing
from stockwright.importing import REFUSALS_SHOWN
from stockwright.notify.people_file import COLUMNS, MAX_BYTES, MAX_ROWS, REQUIRED, FileRefused
from stockwright.store import imports, shops
from stockwright.store.imports import ImportRow
from stockwright.store.shops import Shop
from stockwright.web.admin.pages import Crumb, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.site import Tab
from stockwright.web.admin.subscribers_finding import place_of
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of, visit_of

HREF = "/subscriber-imports"
TAB = Tab(title="Import", href=HREF)
SAMPLES = (HREF, HREF + "/{checked_import}", HREF + "/{done_import}")
_CRUMBS: tuple[Crumb, ...] = (("Subscribers", "/subscribers"), ("Import", HREF))
_LISTED = 10
_SHOWN = 100
_LATE_S = 20.0
_FORM_BYTES = 100_000  # of the fields around the file
_MEANINGS = {
    "email": "The mail address.",
    "variant_id": "Shopify's number of the variant, or its gid.",
    "subscribed_at": "When the person asked, such as 2026-11-20 or 2026-11-20T14:05:00Z. It decides the place in line. "
    "Without it: now.",
    "locale": "Language of the mail, such as fr or pt-BR. Without it: en.",
    "first_name": "For the salutation.",
    "quantity": "How many units the person wants. Without it: 1.",
    "customer_id": "Shopify's number of the customer.",
    "status": "Lines with another status than Pending are left out: they do not wait.",
}


async def show_form(request: Request) -> Response:
    """The form, what a file must have, and the newest imports."""
    return await _form(request)


async def _form(request: Request, *, error: str = "", status: int = 200) -> Response:
    place = await place_of(request)
    found: list[ImportRow] = []
    if place.shop is not None:
        async with deps_of(request).database.connection() as conn:
            found = await imports.newest(conn, place.shop.shop_id, limit=_LISTED)
    return page(
        request,
        "subscribers/import.html",
        title="Import people",
        status=status,
        shops=place.shops,
        shop=place.shop,
        error=error,
        columns=[(name, names, name in REQUIRED, _MEANINGS[name]) for name, names in COLUMNS.items()],
        max_rows=MAX_ROWS,
        max_bytes=MAX_BYTES,
        imports=found,
    )


async def upload(request: Request) -> Response:
    """Take a file in; it is checked, and nobody is imported yet."""
    form = form_of(request)
    wanted = str(form.get("shop", ""))
    shop = next((one for one in (await place_of(request)).shops if str(one.shop_id) == wanted), None)
    if shop is None:
        return await _form(request, error="Choose the shop that these people wait for.", status=422)
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return await _form(request, error="Choose a CSV file first.", status=422)
    data = await file.read(MAX_BYTES + 1)
    try:
        row = await importing.begin(
            deps_of(request), shop, name=file.filename, data=data, check=True, by=actor_of(request)
        )
    except FileRefused as error:
        return await _form(request, error=str(error), status=422)
    return go(f"{HREF}/{row.import_id}")


# --- one import -------------------------------------------------------------------------------------------------


async def _import_of(request: Request) -> tuple[ImportRow, Shop]:
    async with deps_of(request).database.connection() as conn:
        row = await imports.get(conn, request.path_params["import_id"])
        shop = await shops.get(conn, row.shop_id) if row else None
    if row is None or shop is None:
        raise not_found("There is no such import. They are forgotten after a week.")
    return row, shop


async def show(request: Request) -> Response:
    """How far it is, what came of it, and the refused lines; with `format=csv`, those as a file."""
    row, shop = await _import_of(request)
    async with deps_of(request).database.connection() as conn:
        refused = await imports.refusals(conn, row.shop_id, row.import_id, limit=REFUSALS_SHOWN)
    if wants_csv(request):
        return csv_response("refused-lines", [vars(one) for one in refused], header=("line", "reason"))
    waited_s = (visit_of(request).now - row.due_at).total_seconds()
    return page(
        request,
        "subscribers/imported.html",
        title=row.file_name,
        crumbs=_CRUMBS,
        row=row,
        shop=shop,
        refused=refused[:_SHOWN],
        shown=_SHOWN,
        kept=REFUSALS_SHOWN,
        nobody_works=row.goes_on and row.next_row == 0 and waited_s > _LATE_S,
    )


async def start(request: Request) -> Response:
    """Import what was checked."""
    row, _shop = await _import_of(request)
    consent = "asked" if form_of(request).get("consent") == "asked" else "kept"
    await importing.start(deps_of(request), row, consent=consent, by=actor_of(request))
    return go(f"{HREF}/{row.import_id}")


async def cancel(request: Request) -> Response:
    """Stop it."""
    row, _shop = await _import_of(request)
    await importing.cancel(deps_of(request), row, by=actor_of(request))
    flash(request, "Cancelled. Who was imported so far stays.")
    return go(HREF)


ROUTES = (
    get(HREF, show_form),
    post(HREF, upload, limit_bytes=MAX_BYTES + _FORM_BYTES),
    get(HREF + "/{import_id}", show),
    post(HREF + "/{import_id}/start", start),
    post(HREF + "/{import_id}/cancel", cancel),
)
