"""Automations: the catalogue, and the forms to add, edit and import one.

Fields come from the options of the kind, suggestions from the shop; what may be saved `installing` decides.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stockwright import installing
from stockwright.automations import KINDS
from stockwright.automations.contract import Automation
from stockwright.automations.options import NameList, Options
from stockwright.model import SCHEDULER_PREFIX, SCHEDULES, FaultyFields, Json, StockwrightError
from stockwright.store.automations import AutomationRow
from stockwright.store.shops import Shop
from stockwright.web.admin import forms
from stockwright.web.admin.automations_finding import (
    CRUMBS,
    HREF,
    all_shops,
    automation_of,
    crumbs_of,
    href_of,
    shop_with,
    subscribe,
)
from stockwright.web.admin.automations_wording import topic_told
from stockwright.web.admin.forms import WHOLE, Filled, errors_by_field, fields, read_model
from stockwright.web.admin.pages import Crumb, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of
from stockwright.web.api.schemas import ExportedAutomation

SAMPLES = (
    HREF + "/add",
    HREF + "/add/sync-across-variants?shop={shop}",
    HREF + "/add/publish-back-in-stock?shop={shop}",
    HREF + "/import",
    HREF + "/{automation}/edit",
)
_PATIENCE_S = 5.0  # so long a form waits for suggestions
_TYPES, _TAGS = "product_types", "product_tags"
_LOCATIONS, _CHANNELS = "location_names", "sales_channel_names"
_SUGGESTED = {
    "location_names": _LOCATIONS,
    "sales_channel_names": _CHANNELS,
    "product_types": _TYPES,
    "product_tags": _TAGS,
    "include_tags": _TAGS,
    "exclude_tags": _TAGS,
}
_IMPORT_LIMIT_BYTES = 1024 * 1024


class Basics(BaseModel):
    """What every automation has besides its options."""

    automation_name: str = Field(
        default="",
        max_length=200,
        title="Name",
        description="What you call it. Left empty, it is called like its kind.",
    )
    automation_topics: NameList = Field(
        default=(),
        title="It runs when one of these happens",
        description="Topics, each with a delay if wanted, such as mechanic/scheduler/daily or "
        "shopify/inventory_levels/update+5.minutes. Left empty: those of the kind.",
    )


@dataclass(frozen=True, kw_only=True)
class Entered:
    """A form as somebody sent it."""

    basics: Filled[Basics]
    options: Filled[Options]
    errors: Mapping[str, str] = field(default_factory=dict)  # from saving

    @property
    def all_errors(self) -> dict[str, str]:
        """Everything that is wrong, by field."""
        return {**self.basics.errors, **self.options.errors, **self.errors}


def _empty(values: Mapping[str, Json], options: Mapping[str, Json]) -> Entered:
    return Entered(
        basics=Filled(model=None, values=values),
        options=Filled(model=None, values=options),
    )


def _read(kind: Automation[Options], form: FormData) -> Entered:
    if any("\x00" in value for value in form.values() if isinstance(value, str)):
        raise HTTPException(400, "The form holds a character that no text can have (zero).")
    return Entered(basics=read_model(Basics, form), options=read_model(kind.options, form))


def _refused(entered: Entered, error: StockwrightError, kind: Automation[Options]) -> Entered:
    """The form again with what saving said, at the fields where they are."""
    return Entered(basics=entered.basics, options=entered.options, errors=_errors_of(error, kind))


def _errors_of(error: StockwrightError, kind: Automation[Options]) -> dict[str, str]:
    if not isinstance(error, FaultyFields):
        return {WHOLE: str(error)}
    found: dict[str, str] = {}
    for fault in error.faults:
        first, *more = fault.path.split(".")
        name = "automation_topics" if first == "topics" else (more or [WHOLE])[0]
        known = name == "automation_topics" or name in kind.options.model_fields
        found.setdefault(name if known else WHOLE, fault.message)
    return found


# --- the catalogue ------------------------------------------------------------------------------------------


async def show_catalogue(request: Request) -> Response:
    """Every kind with what it does."""
    return page(
        request,
        "automations/catalogue.html",
        title="Choose an automation",
        crumbs=CRUMBS,
        kinds=[(kind, [topic_told(topic) for topic in kind.topics]) for kind in KINDS.values()],
        shops=await all_shops(request),
        shop=request.query_params.get("shop", ""),
    )


# --- adding -------------------------------------------------------------------------------------------------


async def show_new(request: Request) -> Response:
    """The form for a new one, or first the question for which shop."""
    kind = _kind_of(request)
    found = await all_shops(request)
    if not found:
        return go(HREF)
    shop = _chosen(found, request.query_params.get("shop", "")) or (found[0] if len(found) == 1 else None)
    if shop is None:
        return page(
            request,
            "automations/which_shop.html",
            title=kind.title,
            crumbs=_new_crumbs(),
            kind=kind,
            shops=found,
        )
    return await _show_form(request, kind, shop, _empty({"automation_topics": list(kind.topics)}, {}))


async def add(request: Request) -> Response:
    """Install it."""
    kind, form = _kind_of(request), form_of(request)
    shop = _chosen(await all_shops(request), str(form.get("shop", "")))
    if shop is None:
        raise not_found("There is no such shop. It may have been removed.")
    entered = _read(kind, form)
    basics, options = entered.basics.model, entered.options.model
    if basics is None or options is None:
        return await _show_form(request, kind, shop, entered)
    try:
        row = await installing.add(
            deps_of(request),
            shop.shop_id,
            kind=kind.kind,
            options=options.model_dump(mode="json"),
            name=basics.automation_name,
            topics=basics.automation_topics,
            enabled=form.get("start") == "on",
            by=actor_of(request),
        )
    except StockwrightError as error:
        return await _show_form(request, kind, shop, _refused(entered, error, kind))
    told = (
        "It looks at the shop now." if row.enabled else "It is off: look at the preview, then switch it on."
    )
    flash(request, f"{row.name} is installed. {told}")
    await subscribe(request, row)
    return go(href_of(row))


def _kind_of(request: Request) -> Automation[Options]:
    kind = KINDS.get(request.path_params["kind"])
    if kind is None:
        raise not_found("There is no such kind of automation.")
    return kind


def _chosen(found: Sequence[Shop], number: str) -> Shop | None:
    return next((shop for shop in found if str(shop.shop_id) == number), None)


def _new_crumbs() -> tuple[Crumb, ...]:
    return (*CRUMBS, ("Choose an automation", f"{HREF}/add"))


async def _show_form(
    request: Request,
    kind: Automation[Options],
    shop: Shop,
    entered: Entered,
    row: AutomationRow | None = None,
) -> Response:
    suggestions, missing = await _suggestions(request, shop, kind)
    errors = entered.all_errors
    topics = [*kind.topics, *(SCHEDULER_PREFIX + name for name in SCHEDULES)]
    name, listens = fields(
        Basics,
        entered.basics.values,
        errors=errors,
        suggestions={"automation_topics": list(dict.fromkeys(topics))},
    )
    return page(
        request,
        "automations/form.html",
        title="Edit" if row else kind.title,
        crumbs=crumbs_of(row) if row else _new_crumbs(),
        status=422 if errors else 200,
        kind=kind,
        shop=shop,
        row=row,
        name=name,
        listens=listens,
        fields=_open_to_new_tags(
            fields(kind.options, entered.options.values, errors=errors, suggestions=suggestions)
        ),
        whole=errors.get(WHOLE, ""),
        wrong=len([name for name in errors if name != WHOLE]),
        missing=missing,
        start=form_of(request).get("start") == "on",
    )


def _open_to_new_tags(found: Sequence[forms.Field]) -> list[forms.Field]:
    """Tags are typed, however few the shop has: one may be wanted that no product bears yet."""
    return [
        replace(one, kind="list") if one.kind == "checks" and _SUGGESTED[one.name] == _TAGS else one
        for one in found
    ]


# --- suggestions --------------------------------------------------------------------------------------------


async def _suggestions(
    request: Request, shop: Shop, kind: Automation[Options]
) -> tuple[dict[str, Sequence[str]], str]:
    """Names of the shop for each option that takes names, and why some are missing."""
    wanted = {_SUGGESTED[name] for name in kind.options.model_fields if name in _SUGGESTED}
    names: dict[str, Sequence[str]] = {
        _LOCATIONS: [place.name for place in shop.locations if place.is_active],
        _CHANNELS: [channel.name for channel in shop.channels],
    }
    missing = ""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            client = await deps_of(request).clients.for_shop(shop.shop_id)
            asked: dict[str, Callable[[], Awaitable[Sequence[str]]]] = {
                _TYPES: client.list_product_types,
                _TAGS: client.list_product_tags,
            }
            for what in wanted & asked.keys():
                names[what] = await asked[what]()
    except TimeoutError:
        missing = "The shop did not answer in time."
    except StockwrightError as error:
        missing = str(error)
    found = {option: names.get(what, ()) for option, what in _SUGGESTED.items() if what in wanted}
    return found, missing


# --- editing ------------------------------------------------------------------------------------------------


async def show_edit(request: Request) -> Response:
    """The form with what is saved."""
    row = await automation_of(request)
    kind = _kind_of_row(row)
    basics = {"automation_name": row.name, "automation_topics": list(row.topics)}
    shop = await shop_with(request, row.shop_id)
    return await _show_form(request, kind, shop, _empty(basics, row.options), row)


async def save(request: Request) -> Response:
    """Save it, if nobody else changed it since the form was shown."""
    row = await automation_of(request)
    kind, form = _kind_of_row(row), form_of(request)
    shop = await shop_with(request, row.shop_id)
    entered = _read(kind, form)
    basics, options = entered.basics.model, entered.options.model
    if basics is None or options is None:
        return await _show_form(request, kind, shop, entered, row)
    try:
        _check_seen(row, str(form.get("seen", "")))
        row = await installing.change(
            deps_of(request),
            row,
            options=options.model_dump(mode="json"),
            name=basics.automation_name or kind.title,
            topics=basics.automation_topics or kind.topics,
            by=actor_of(request),
        )
    except StockwrightError as error:
        return await _show_form(request, kind, shop, _refused(entered, error, kind), row)
    flash(request, "Saved.")
    await subscribe(request, row)
    return go(href_of(row))


def _kind_of_row(row: AutomationRow) -> Automation[Options]:
    if row.kind not in KINDS:
        raise not_found(f"This version of Stockwright has no kind {row.kind!r}, so there is no form for it.")
    return KINDS[row.kind]


def _check_seen(row: AutomationRow, seen: str) -> None:
    """Two who edit at once must not undo each other."""
    if seen != seen_as(row.updated_at):
        raise StockwrightError(
            "Somebody else changed this automation while you edited it. Your entries are below and not saved: "
            "compare them with the automation's page, then save again."
        )


def seen_as(updated_at: datetime) -> str:
    """Stands in a form for what was saved when the form was shown."""
    return updated_at.isoformat()


# --- import -------------------------------------------------------------------------------------------------


async def show_import(request: Request) -> Response:
    """The form for a file."""
    return await _show_import(request, text="", errors={})


async def _show_import(request: Request, *, text: str, errors: Mapping[str, str]) -> Response:
    wanted = str(form_of(request).get("shop") or request.query_params.get("shop", ""))
    return page(
        request,
        "automations/import.html",
        title="Import an automation",
        crumbs=CRUMBS,
        status=422 if errors else 200,
        shops=await all_shops(request),
        chosen=wanted,
        text=text,
        errors=errors,
    )


async def import_one(request: Request) -> Response:
    """Install an exported automation, off."""
    form = form_of(request)
    text = await _given(form)
    shop = _chosen(await all_shops(request), str(form.get("shop", "")))
    if shop is None:
        return await _show_import(request, text=text, errors={"shop": "Choose a shop."})
    if not text.strip():
        return await _show_import(request, text=text, errors={"text": "Choose a file, or paste its text."})
    try:
        data = ExportedAutomation.model_validate_json(text)
        if _holds_zero(data.model_dump()):
            raise StockwrightError("The file holds a character that no text can have (zero).")
        row = await installing.import_one(
            deps_of(request), shop.shop_id, data.model_dump(mode="json"), by=actor_of(request)
        )
    except ValidationError as error:
        return await _show_import(request, text=text, errors={"text": _file_told(error)})
    except StockwrightError as error:
        return await _show_import(request, text=text, errors={"text": str(error)})
    flash(request, f"{row.name} is installed. It is off: look at the preview, then switch it on.")
    return go(href_of(row))


def _holds_zero(value: Json) -> bool:
    """Whether a text in it holds the one character that the database does not take."""
    if isinstance(value, dict):
        return any(_holds_zero(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(map(_holds_zero, value))
    return isinstance(value, str) and "\x00" in value


async def _given(form: FormData) -> str:
    """The text of the chosen file, else the pasted one."""
    file = form.get("file")
    if isinstance(file, UploadFile) and file.filename:
        return (await file.read()).decode("utf-8", errors="replace")
    return str(form.get("text", ""))


def _file_told(error: ValidationError) -> str:
    parts = [f"{name}: {said}" if name else said for name, said in errors_by_field(error).items()]
    return "This is not an exported automation. " + " ".join(parts)


ROUTES = (
    get(HREF + "/add", show_catalogue),
    get(HREF + "/add/{kind}", show_new),
    post(HREF + "/add/{kind}", add),
    get(HREF + "/import", show_import),
    post(HREF + "/import", import_one, limit_bytes=_IMPORT_LIMIT_BYTES),
    get(HREF + "/{automation_id}/edit", show_edit),
    post(HREF + "/{automation_id}/edit", save),
)
