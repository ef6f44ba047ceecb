"""Offers: the list, one in full, and what is done to it: activate, pause, resume, complete, archive, delete.

Forms are in `offers_editing`, products in `offers_items`; what may be done `offer_desk` decides.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from stockwright import offer_desk, offer_reading
from stockwright.model import StockwrightError
from stockwright.notify.offers import Mode, Status, Verb, verbs
from stockwright.offer_reading import MODES_TOLD, done_told
from stockwright.offering import offer_of as pure_offer
from stockwright.store import offers
from stockwright.store.offers import OfferLine, OfferRow
from stockwright.web.admin import offers_editing, offers_items
from stockwright.web.admin.choices import by_id, chosen, shop_chosen
from stockwright.web.admin.offers_finding import (
    CRUMBS,
    HREF,
    all_shops,
    badge_of,
    crumbs_of,
    href_of,
    offer_of,
    pause_told,
    shop_of,
    tell_orders,
)
from stockwright.web.admin.pages import confirm, go, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.site import Section
from stockwright.web.admin.tables import csv_response, cursor_of, listing, rows_wanted, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash

_SHOWN_ITEMS = 500
_COLUMNS = (
    "id", "shop", "name", "status", "pause_reason", "mode", "auto_disable", "resume", "starts_at", "ends_at",
    "limit_total", "limit_per_customer", "limit_per_order", "products", "stopped", "ordered", "waiting",
    "created_at", "updated_at",
)  # fmt: skip
_STATUSES = [status.value for status in Status]


async def show_all(request: Request) -> Response:
    """The list, newest first; archived ones only when asked for."""
    shops = await all_shops(request)
    shop, status = shop_chosen(request, shops), chosen(request, "status", _STATUSES)
    async with deps_of(request).database.connection() as conn:
        found = await offers.lines(
            conn,
            shop.shop_id if shop else None,
            status=status or None,
            with_archived=status == Status.ARCHIVED,
            before=cursor_of(request),
            limit=rows_wanted(request),
        )
    known = by_id(shops)
    if wants_csv(request):
        rows = [offer_reading.described(line, known[line.offer.shop_id].domain) for line in found]
        return csv_response("offers", rows, header=_COLUMNS)
    return page(
        request,
        "offers/list.html",
        title="Offers",
        lines=listing(request, found, cursor=lambda line: line.offer.offer_id),
        shops=shops,
        by_id=known,
        statuses=_STATUSES,
        is_filtered=bool(shop or status),
        badge_of=badge_of,
        pause_told=pause_told,
        mode_told=_mode_told,
        free=[offer_reading.free_told(one) for one in shops if one.plan != "premium"],
    )


def _mode_told(row: OfferRow) -> str:
    return MODES_TOLD[Mode(row.mode)]


async def show(request: Request) -> Response:
    """One offer."""
    row = await offer_of(request)
    shop = await shop_of(request, row)
    async with deps_of(request).database.connection() as conn:
        [line] = await offers.lines(conn, row.shop_id, offer_id=row.offer_id, limit=1)
        items = await offers.items(conn, row.shop_id, row.offer_id, limit=_SHOWN_ITEMS)
        notices = await offer_reading.notices(conn, shop, row)
        deeds = await offers.history(conn, row.offer_id)
    return page(
        request,
        "offers/show.html",
        title=row.name,
        crumbs=CRUMBS,
        line=line,
        row=row,
        shop=shop,
        items=items,
        notices=notices,
        deeds=deeds,
        badge=badge_of(row),
        pause=pause_told(row),
        mode=_mode_told(row),
        verbs=[verb.value for verb in verbs(pure_offer(row))],
        deed_told=_deed_told,
    )


_DEEDS = {
    "offer.create": "Made",
    "offer.change": "Changed",
    "offer.add_items": "Products added",
    "offer.remove_items": "Products taken out",
    "offer.activate": "Activated",
    "offer.unschedule": "Made a draft again",
    "offer.pause": "Paused",
    "offer.resume": "Resumed",
    "offer.complete": "Ended",
    "offer.archive": "Archived",
    "offer.start": "Started by schedule",
    "offer.end": "Ended by schedule",
    "offer.stock": "Followed the stock",
}


def _deed_told(action: str) -> str:
    """What was done, in a word or two."""
    return _DEEDS.get(action, action)


# --- doing ---------------------------------------------------------------------------------------------------------

_WAITING = {
    0: "Nobody waits under it.",
    1: "1 person who waits under it keeps waiting, unless the automation says that the list ends with the offer.",
}


def _waiting_told(line: OfferLine) -> str:
    many = (
        f"{line.waiting} people who wait under it keep waiting, unless the automation says that the list ends "
        "with the offer."
    )
    return _WAITING.get(line.waiting, many)


def _consequences(verb: Verb, line: OfferLine) -> tuple[str, ...]:
    stays = f"{line.waiting or 'No'} people wait under it; they are told when their variant is back, as ever."
    return {
        Verb.ACTIVATE: (
            f"It covers {line.items} products and variants. Shoppers see it on their pages at once, or from its start.",
        ),
        Verb.PAUSE: ("Pre-orders and Notify Me disappear from the pages of its products.", stays),
        Verb.COMPLETE: (
            "Pre-orders and Notify Me disappear from the pages of its products.",
            _waiting_told(line),
        ),
        Verb.ARCHIVE: ("It leaves the list. An archived offer can only be looked at and deleted.",),
        Verb.DELETE: ("Its products and what was counted for its limits are forgotten.", _waiting_told(line)),
    }[verb]


_QUESTIONS = {
    Verb.ACTIVATE: "Activate {name}?",
    Verb.PAUSE: "Pause {name}?",
    Verb.COMPLETE: "End {name} now?",
    Verb.ARCHIVE: "Archive {name}?",
    Verb.DELETE: "Delete {name}?",
}
_BUTTONS = {
    Verb.ACTIVATE: "Activate the offer",
    Verb.PAUSE: "Pause the offer",
    Verb.COMPLETE: "End the offer",
    Verb.ARCHIVE: "Archive the offer",
    Verb.DELETE: "Delete the offer",
}


async def _ask(request: Request, *, verb: Verb) -> Response:
    """What a deed means."""
    row = await offer_of(request)
    async with deps_of(request).database.connection() as conn:
        [line] = await offers.lines(conn, row.shop_id, offer_id=row.offer_id, limit=1)
    return confirm(
        request,
        title=verb.value.capitalize(),
        question=_QUESTIONS[verb].format(name=row.name),
        consequences=_consequences(verb, line),
        action=f"{href_of(row)}/{verb.value}",
        submit=_BUTTONS[verb],
        cancel=href_of(row),
        crumbs=crumbs_of(row),
        danger=verb is not Verb.ACTIVATE,
    )


async def _do(request: Request, *, verb: Verb) -> Response:
    """Do it, or say why it cannot be done."""
    row = await offer_of(request)
    try:
        saved = await offer_desk.do(deps_of(request), row, verb, by=actor_of(request))
    except StockwrightError as error:
        flash(request, f"Nothing was changed. {error}", kind="bad")
        return go(href_of(row))
    flash(request, done_told(saved, verb))
    if verb in (Verb.ACTIVATE, Verb.RESUME):
        await tell_orders(request, saved)
    return go(href_of(row))


async def delete(request: Request) -> Response:
    """Delete it."""
    row = await offer_of(request)
    try:
        await offer_desk.delete(deps_of(request), row, by=actor_of(request))
    except StockwrightError as error:
        flash(request, f"Nothing was changed. {error}", kind="bad")
        return go(href_of(row))
    flash(request, f"{row.name} is deleted.")
    return go(HREF)


_ONE = HREF + "/{offer_id}"

SECTION = Section(
    title="Offers",
    href=HREF,
    icon="offers",
    routes=(
        get(HREF, show_all),
        *offers_editing.ROUTES,  # with fixed paths: before /offers/{offer_id}
        *offers_items.ROUTES,
        get(_ONE, show),
        *(get(f"{_ONE}/{verb.value}", partial(_ask, verb=verb)) for verb in _QUESTIONS),
        *(post(f"{_ONE}/{verb.value}", partial(_do, verb=verb)) for verb in Verb if verb is not Verb.DELETE),
        post(_ONE + "/delete", delete),
    ),
    samples=(
        HREF,
        *offers_editing.SAMPLES,
        HREF + "/{offer}",
        HREF + "/{offer}/pause",
        *offers_items.SAMPLES,
    ),
)
