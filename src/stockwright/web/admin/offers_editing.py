"""Offers: the form to make and to change one. Times are typed and shown in the shop's time zone.

What may be saved `offer_desk` decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from stockwright import offer_desk
from stockwright.model import FaultyFields, Json, StockwrightError
from stockwright.notify.offers import FIRST_YEAR, LAST_YEAR, MAX_DESCRIPTION, MAX_LIMIT, MAX_NAME, Mode, Terms
from stockwright.offer_reading import MODES_TOLD, free_told
from stockwright.offering import terms_of
from stockwright.schedules import local_moment, time_zone
from stockwright.store.offers import OfferRow
from stockwright.store.shops import Shop
from stockwright.web.admin.choices import shop_chosen
from stockwright.web.admin.forms import WHOLE, fields, read_model
from stockwright.web.admin.offers_finding import (
    CRUMBS,
    HREF,
    all_shops,
    crumbs_of,
    href_of,
    offer_of,
    shop_of,
    tell_orders,
)
from stockwright.web.admin.pages import go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of

SAMPLES = (HREF + "/add?shop={shop}", HREF + "/{offer}/edit")
_LOCAL = "%Y-%m-%dT%H:%M"  # as browsers send and take local times
_USES = {
    Mode.OUT_OF_STOCK: "At 0 or fewer. It stands where “Sold out” would. The only mode with Notify Me.",
    Mode.IN_STOCK: "Above 0: for future batches, or what is made to order. No Notify Me.",
    Mode.ALWAYS: "Whatever the stock. No Notify Me.",
}


class OfferForm(BaseModel):
    """An offer as the form has it."""

    name: str = Field(
        default="", min_length=1, max_length=MAX_NAME, title="Name", description="What you call it."
    )
    description: str = Field(
        default="", max_length=MAX_DESCRIPTION, title="Description", description="A note for yourself."
    )
    mode: Literal["out_of_stock", "in_stock", "always"] = "out_of_stock"
    auto_disable: bool = Field(
        default=False,
        title="Auto-disable when back in stock",
        description="Stops the pre-order of a variant that is back, and pauses the offer when all its variants are. "
        "Only with “Allow when out of stock”. People who wait are told all the same.",
    )
    resume: bool = Field(
        default=True,
        title="Take it up again when sold out again",
        description="After auto-disable. Off, the offer stays paused until you resume it, and Notify Me with it.",
    )
    starts_at: str = Field(default="", max_length=40)
    ends_at: str = Field(default="", max_length=40)
    limit_total: int | None = Field(
        default=None, ge=1, le=MAX_LIMIT, title="Units in all", description="Empty = unlimited."
    )
    limit_per_customer: int | None = Field(
        default=None,
        ge=1,
        le=MAX_LIMIT,
        title="Units per customer",
        description="Of customers who are signed in. Empty = unlimited.",
    )
    limit_per_order: int | None = Field(
        default=None, ge=1, le=MAX_LIMIT, title="Units per order", description="Empty = unlimited."
    )
    pause_at_limit: bool = Field(
        default=False,
        title="Pause the offer when all units are ordered",
        description="Off, only the pre-order goes; Notify Me stays.",
    )


@dataclass(frozen=True, kw_only=True)
class Entered:
    """The form as somebody sent it: terms, or what is wrong by field."""

    values: Mapping[str, Json]
    terms: Terms | None = None
    errors: Mapping[str, str] = field(default_factory=dict)


def read_form(request: Request, shop: Shop) -> Entered:
    """The posted form as terms; times are the shop's."""
    filled = read_model(OfferForm, form_of(request))
    moments, wrong = _moments(filled.values, zone_of(shop))
    errors = {**filled.errors, **wrong}
    if filled.model is None or errors:
        return Entered(values=filled.values, errors=errors)
    given = filled.model.model_dump()
    terms = Terms(**{**given, **moments, "mode": Mode(given["mode"])})
    return Entered(values=filled.values, terms=terms, errors={})


def _moments(values: Mapping[str, Json], zone: ZoneInfo) -> tuple[dict[str, datetime | None], dict[str, str]]:
    found: dict[str, datetime | None] = {}
    wrong: dict[str, str] = {}
    for name in ("starts_at", "ends_at"):
        text = str(values.get(name, "")).strip()
        try:
            found[name] = local_moment(text, zone) if text else None
        except StockwrightError as error:
            wrong[name] = str(error)
    return found, wrong


def zone_of(shop: Shop) -> ZoneInfo:
    """The shop's time zone; UTC where this machine does not know it."""
    return time_zone(shop.timezone) or ZoneInfo("UTC")


def _saved_values(row: OfferRow, shop: Shop) -> dict[str, Json]:
    """What the form shows of a saved offer."""
    terms = terms_of(row)
    values = {**vars(terms), "mode": terms.mode.value}
    for name in ("starts_at", "ends_at"):
        at = values[name]
        values[name] = at.astimezone(zone_of(shop)).strftime(_LOCAL) if isinstance(at, datetime) else ""
    return values


def _refused(entered: Entered, error: StockwrightError) -> Entered:
    """The form again, with what saving said at the fields where they are."""
    if not isinstance(error, FaultyFields):
        return replace(entered, errors={WHOLE: str(error)})
    known = OfferForm.model_fields
    errors = {fault.path if fault.path in known else WHOLE: fault.message for fault in error.faults}
    return replace(entered, errors=errors)


# --- pages -------------------------------------------------------------------------------------------------------


async def show_new(request: Request) -> Response:
    """The form for a new one, or first the question for which shop."""
    found = await all_shops(request)
    if not found:
        return go(HREF)
    shop = shop_chosen(request, found) or (found[0] if len(found) == 1 else None)
    if shop is None:
        return page(request, "offers/which_shop.html", title="New offer", crumbs=CRUMBS, shops=found)
    return _show_form(request, shop, Entered(values={}))


async def create(request: Request) -> Response:
    """Make a draft, then go to its products."""
    wanted = str(form_of(request).get("shop", ""))
    shop = next((one for one in await all_shops(request) if str(one.shop_id) == wanted), None)
    if shop is None:
        raise not_found("There is no such shop. It may have been removed.")
    entered = read_form(request, shop)
    if entered.terms is None:
        return _show_form(request, shop, entered)
    try:
        row = await offer_desk.create(deps_of(request), shop.shop_id, entered.terms, by=actor_of(request))
    except StockwrightError as error:
        return _show_form(request, shop, _refused(entered, error))
    flash(request, f"{row.name} is made. It is a draft: choose its products, then activate it.")
    return go(f"{href_of(row)}/products")


async def show_edit(request: Request) -> Response:
    """The form with what is saved."""
    row = await offer_of(request)
    shop = await shop_of(request, row)
    return _show_form(request, shop, Entered(values=_saved_values(row, shop)), row)


async def save(request: Request) -> Response:
    """Save it, if nobody else changed it since the form was shown."""
    row = await offer_of(request)
    shop = await shop_of(request, row)
    entered = read_form(request, shop)
    if entered.terms is None:
        return _show_form(request, shop, entered, row)
    try:
        expected = _seen_version(request)
        row = await offer_desk.change(
            deps_of(request), row, entered.terms, by=actor_of(request), expected=expected
        )
    except StockwrightError as error:
        return _show_form(request, shop, _refused(entered, error), row)
    flash(request, "Saved.")
    await tell_orders(request, row)
    return go(href_of(row))


def _seen_version(request: Request) -> int:
    text = str(form_of(request).get("version", ""))
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else 0


def _show_form(request: Request, shop: Shop, entered: Entered, row: OfferRow | None = None) -> Response:
    errors = dict(entered.errors)
    shown = {one.name: one for one in fields(OfferForm, entered.values, errors=errors)}
    return page(
        request,
        "offers/form.html",
        title="Edit" if row else "New offer",
        crumbs=crumbs_of(row) if row else CRUMBS,
        status=422 if errors else 200,
        shop=shop,
        row=row,
        seen=_seen_version(request) or (row.version if row else 0),
        fields=shown,
        modes=[(mode.value, MODES_TOLD[mode], _USES[mode]) for mode in Mode],
        zone=shop.timezone,
        years=(FIRST_YEAR, LAST_YEAR),
        whole=errors.get(WHOLE, ""),
        wrong=len([name for name in errors if name != WHOLE]),
        free=free_told(shop) if shop.plan != "premium" else "",
    )


ROUTES = (
    get(HREF + "/add", show_new),
    post(HREF + "/add", create),
    get(HREF + "/{offer_id}/edit", show_edit),
    post(HREF + "/{offer_id}/edit", save),
)
