"""Cancelling and sending again for many subscribers: those that were ticked, or all who fit the filters."""

from collections.abc import Sequence

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import Response

from stockwright import people as service
from stockwright import resending
from stockwright.model import Conflicting, ShopId, StockwrightError
from stockwright.people import BULK_LIMIT, Done
from stockwright.store import people
from stockwright.store.shops import Shop
from stockwright.web.admin.pages import Crumb, confirm, go, not_found
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.subscribers_finding import FILTERS, address_of, filters_of, place_of, wanted_of
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of

HREF = "/subscribers"
_CRUMBS: tuple[Crumb, ...] = (("Subscribers", HREF),)
_LONGEST_ID = 40
_TICKED = 200  # ids of one form
_LISTED = 5  # reasons that are told in words
_WORDS = {
    "cancel": ("Cancel", "Cancel the waiting of {people}?", "Cancel it"),
    "resend": ("Send again", "Send again to {people}?", "Send again"),
}
_CONSEQUENCES = {
    "cancel": [
        "They are not told of a restock. They can sign up again on the product page.",
        "Who was told already, or is being mailed this moment, is left as they are.",
    ],
    "resend": [
        "A mail that failed is sent once more. Who was told or cancelled is put in line again, and told when the "
        "variant is in stock.",
        "Who waits already, has unsubscribed or is on the suppression list is left out, with the reason.",
    ],
}


async def ask(request: Request) -> Response:
    """How many it is about, and what follows."""
    what, shop = _what(request.query_params), await _shop(request)
    ids = _ticked(request.query_params.getlist("id"))
    everybody = request.query_params.get("all") == "1"
    filters = filters_of(request)
    back = address_of(HREF, shop, filters)
    if not ids and not everybody:
        flash(request, "Tick the people first, then choose what to do.", kind="warn")
        return go(back)
    count = len(ids) if ids else await _count(request, shop, filters)
    title, question, submit = _WORDS[what]
    people_told = "one person" if count == 1 else f"{min(count, BULK_LIMIT):,} people"
    consequences = list(_CONSEQUENCES[what])
    if count > BULK_LIMIT:
        consequences.append(
            f"More than {BULK_LIMIT:,} fit: the newest {BULK_LIMIT:,} are taken. Do it again for the rest."
        )
    hidden = {
        "do": what,
        "shop": str(shop.shop_id),
        "ids": ",".join(ids),
        "all": "" if ids else "1",
        **filters,
    }
    return confirm(
        request,
        title=title,
        crumbs=_CRUMBS,
        question=question.format(people=people_told),
        consequences=consequences,
        action=f"{HREF}/bulk",
        submit=submit,
        cancel=back,
        hidden=hidden,
        danger=what == "cancel",
    )


async def do(request: Request) -> Response:
    """Do it, and say for whom it was not possible."""
    form, shop = form_of(request), await _shop_of_form(request)
    what = _what(form)
    filters = {name: str(form.get(name, "")) for name in FILTERS if form.get(name)}
    ids = _ticked(str(form.get("ids", "")).split(","))
    if not ids and form.get("all") == "1":
        ids = await service.ids_fitting(deps_of(request), wanted_of(filters, shop))
    if not ids:
        raise Conflicting("Nobody was chosen, so nothing was done.")
    done = await _done(request, what, shop.shop_id, ids)
    flash(request, _told(what, done), kind="good" if done.done else "warn")
    return go(address_of(HREF, shop, filters))


async def _done(request: Request, what: str, shop_id: ShopId, ids: Sequence[str]) -> Done:
    deps, actor = deps_of(request), actor_of(request)
    if what == "cancel":
        return await service.cancel(deps, shop_id, ids, by=actor)
    return await resending.send_again(deps, shop_id, ids, by=actor)


def _told(what: str, done: Done) -> str:
    people_told = "1 person" if done.done == 1 else f"{done.done:,} people"
    words = (
        f"Cancelled for {people_told}."
        if what == "cancel"
        else f"Sent again, or put in line, for {people_told}."
    )
    if not done.left_count:
        return words
    reasons = list(dict.fromkeys(why for _id, why in done.left))[:_LISTED]
    return f"{words} Left as they are: {done.left_count:,}. {' '.join(reasons)}"


def _ticked(given: Sequence[str]) -> list[str]:
    ids = [one.strip() for one in given if one.strip() and len(one) <= _LONGEST_ID and one.isascii()]
    return list(dict.fromkeys(ids))[:_TICKED]


def _what(values: QueryParams | FormData) -> str:
    what = str(values.get("do", ""))
    if what not in _WORDS:
        raise StockwrightError("Choose what to do: cancel or send again.")
    return what


async def _count(request: Request, shop: Shop, filters: dict[str, str]) -> int:
    async with deps_of(request).database.connection() as conn:
        return await people.count_fitting(conn, wanted_of(filters, shop), limit=BULK_LIMIT + 1)


async def _shop(request: Request) -> Shop:
    place = await place_of(request)
    if place.shop is None:
        raise not_found("There is no shop yet.")
    return place.shop


async def _shop_of_form(request: Request) -> Shop:
    wanted = str(form_of(request).get("shop", ""))
    found = next((shop for shop in (await place_of(request)).shops if str(shop.shop_id) == wanted), None)
    if found is None:
        raise not_found("The shop was removed meanwhile.")
    return found


ROUTES = (get(HREF + "/bulk", ask), post(HREF + "/bulk", do))
