"""One shared stock: its levels, its history, the way out of a freeze, and the review of assumed outcomes."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from stockwright.ledger.state import Resolution
from stockwright.model import Conflicting, Json, StockwrightError
from stockwright.resolving import Decision, resolve_pool
from stockwright.reviewing import review_pool
from stockwright.schedules import time_zone
from stockwright.store import automations, pools, shops
from stockwright.store.automations import AutomationRow
from stockwright.store.pools import JournalRow, MemberRow, PoolRow
from stockwright.store.shops import Shop
from stockwright.web.admin.forms import Filled, read_model
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.stock_showing import days_of, doubt_of, shown
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of

HREF = "/stock/{pool_id}"
SAMPLES = (
    "/stock/{frozen_pool}",
    "/stock/{pool}",
    "/stock/{assumed_pool}",
    "/stock/{frozen_pool}/resolve?answer=was_applied",
)
_CRUMBS: tuple[Crumb, ...] = (("Stock", "/stock"),)
_ENTRIES = 200  # of the journal on one page
_CSV_ENTRIES = 10_000
_LONGEST_SEQ = 15
_BILLION = 1_000_000_000


def _blank_is_none(value: Json) -> Json:
    return None if value == "" else value


class Answer(BaseModel):
    """What a person says of a freeze."""

    answer: Literal["was_applied", "was_not_applied", "adopt_levels"] = Field(title="Your answer")
    stock: Annotated[int | None, BeforeValidator(_blank_is_none)] = Field(
        default=None, title="Shared stock", ge=-_BILLION, le=_BILLION
    )
    since: str = Field(default="", max_length=40)


@dataclass(frozen=True, kw_only=True)
class _Found:
    row: PoolRow
    members: list[MemberRow]
    shop: Shop | None
    automation: AutomationRow | None


async def _pool_of(request: Request) -> _Found:
    async with deps_of(request).database.connection() as conn:
        row = await pools.find(conn, request.path_params["pool_id"])
        if row is None:
            raise not_found("There is no such shared stock. It may have been dissolved since.")
        held = await pools.members_of(conn, row.shop_id, [row.pool_id])
        return _Found(
            row=row,
            members=held.get(row.pool_id, []),
            shop=await shops.get(conn, row.shop_id),
            automation=await automations.get(conn, row.shop_id, row.automation_id),
        )


async def show(request: Request) -> Response:
    """The page; with `format=csv`, the whole journal."""
    found = await _pool_of(request)
    if wants_csv(request):
        return await _history_csv(request, found)
    return await _page(request, found)


async def _page(request: Request, found: _Found, *, filled: Filled[Answer] | None = None) -> Response:
    entries = await _entries(request, found.row, _ENTRIES)
    stock = shown(found.row, found.members, found.shop)
    zone = time_zone(stock.zone) or time_zone("UTC")
    assert zone is not None, "UTC is known everywhere"
    older = entries[0].seq if entries and entries[0].seq > 1 else None
    return page(
        request,
        "stock/pool.html",
        title=found.row.title,
        crumbs=_CRUMBS,
        status=422 if filled and filled.errors else 200,
        stock=stock,
        automation=found.automation,
        doubt=doubt_of(found.row, found.members),
        days=days_of(entries, found.members, zone),
        older=older,
        errors=filled.errors if filled else {},
        values=filled.values if filled else {},
    )


async def _entries(request: Request, row: PoolRow, limit: int) -> list[JournalRow]:
    """The part of the journal that ends before the entry `before`, or with the newest."""
    text = request.query_params.get("before", "")
    is_number = text.isascii() and text.isdigit() and len(text) < _LONGEST_SEQ
    end = int(text) - 1 if is_number else row.version
    after = max(0, end - limit)
    async with deps_of(request).database.connection() as conn:
        return await pools.journal(conn, row.shop_id, row.pool_id, after=after, limit=max(0, end - after))


async def _history_csv(request: Request, found: _Found) -> Response:
    entries = await _entries(request, found.row, _CSV_ENTRIES)
    zone = time_zone("UTC")
    assert zone is not None, "UTC is known everywhere"
    rows = [
        {"date": day.date, "time_utc": line.time, "what": line.text, "run": line.run_id}
        for day in days_of(entries, found.members, zone)
        for line in day.lines
    ]
    return csv_response(f"history-{found.row.pool_id}", rows, header=("date", "time_utc", "what", "run"))


# --- the way out of a freeze ------------------------------------------------------------------------------


async def ask(request: Request) -> Response:
    """What an answer leads to, before it is booked."""
    found = await _pool_of(request)
    filled = read_model(Answer, FormData(request.query_params))
    if filled.model is None:
        return await _page(request, found, filled=filled)
    _refuse_another(found, filled.model)
    answer, here = filled.model, f"/stock/{found.row.pool_id}"
    hidden = {"answer": answer.answer, "since": answer.since}
    if answer.stock is not None and answer.answer == "adopt_levels":
        hidden["stock"] = str(answer.stock)
    return confirm(
        request,
        title=f"Decide on {found.row.title}",
        question=_QUESTIONS[answer.answer],
        consequences=(
            *_consequences(found, answer),
            "It is written down with your name, and cannot be taken back.",
        ),
        action=f"{here}/resolve",
        submit=_SUBMITS[answer.answer],
        cancel=here,
        crumbs=(*_CRUMBS, (found.row.title, here)),
        hidden=hidden,
    )


_QUESTIONS = {
    "was_applied": "Was the correction applied?",
    "was_not_applied": "Was the correction not applied?",
    "adopt_levels": "Start anew from the levels as they are?",
}
_SUBMITS = {
    "was_applied": "Book it as applied",
    "was_not_applied": "Book it as not applied",
    "adopt_levels": "Take the levels as they are",
}


def _consequences(found: _Found, answer: Answer) -> list[str]:
    """What follows, with numbers where they are known."""
    doubt = doubt_of(found.row, found.members)
    if answer.answer == "adopt_levels":
        stock = "" if answer.stock is None else f", and the shared stock becomes {answer.stock}"
        return [
            f"The levels are read from the shop now and become the new start{stock}.",
            "What moved them until now is not looked into any more.",
        ]
    reading = doubt and (doubt.if_applied if answer.answer == "was_applied" else doubt.if_not)
    if not reading:
        return ["The next run reads the levels and corrects them where they differ."]
    moved = ", ".join(reading.moves) or "nothing"
    return [
        f"The shared stock becomes {reading.stock}: others moved {moved} meanwhile.",
        f"The next run reads the levels again and brings {', '.join(reading.goals)}.",
    ]


def _refuse_another(found: _Found, answer: Answer) -> None:
    """An answer belongs to the freeze that was looked at."""
    doubt = doubt_of(found.row, found.members)
    if doubt is None:
        raise Conflicting("The stock is not frozen any more: there is nothing to decide.")
    if answer.since and answer.since != doubt.since:
        raise Conflicting("The stock froze anew since you looked. Look at its page again, then decide.")


async def resolve(request: Request) -> Response:
    """Book the answer; the next run does the rest."""
    found = await _pool_of(request)
    filled = read_model(Answer, form_of(request))
    if filled.model is None:
        return await _page(request, found, filled=filled)
    answer, actor = filled.model, actor_of(request)
    decision = Decision(resolution=Resolution(answer.answer), stock=answer.stock, by=actor.name)
    try:
        _refuse_another(found, answer)
        flash(request, await resolve_pool(deps_of(request), found.row, decision, actor=actor))
    except StockwrightError as error:
        flash(request, f"Nothing was booked. {error}", kind="bad")
    return go(f"/stock/{found.row.pool_id}")


async def review(request: Request) -> Response:
    """Take the stock off the list of those to be looked at."""
    found = await _pool_of(request)
    try:
        reviewed = await review_pool(deps_of(request), found.row.pool_id, actor=actor_of(request))
    except StockwrightError as error:
        flash(request, str(error), kind="bad")
    else:
        flash(request, f"Noted: you reviewed {reviewed} assumed outcome{'s' if reviewed != 1 else ''}.")
    return go(f"/stock/{found.row.pool_id}")


ROUTES = (
    get(HREF, show),
    get(HREF + "/resolve", ask),
    post(HREF + "/resolve", resolve),
    post(HREF + "/review", review),
)
