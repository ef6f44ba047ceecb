"""Subscribers, People: the list with its filters, as a page and as a file."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright.notify.states import Shown, State
from stockwright.people_files import notified_at, people_csv
from stockwright.people_told import STATES, note_of
from stockwright.store import people
from stockwright.store.people import Wanted
from stockwright.store.shops import Shop
from stockwright.web.admin.pages import page
from stockwright.web.admin.routing import get
from stockwright.web.admin.site import Tab
from stockwright.web.admin.subscribers_finding import address_of, filters_of, notices, place_of, wanted_of
from stockwright.web.admin.tables import cursor_of, listing, rows_wanted, streamed, wants_csv
from stockwright.web.admin.visits import deps_of

HREF = "/subscribers"
TAB = Tab(title="People", href=HREF)
SAMPLES = (HREF, HREF + "?status=Failed", HREF + "?q=nobody@")
COUNTED = 100_000  # beyond this, "more than"


async def show_all(request: Request) -> Response:
    """The list; with `format=csv`, all who fit as a file."""
    place = await place_of(request)
    if place.shop is None:
        return page(request, "subscribers/list.html", title="Subscribers", shops=[], shop=None)
    filters = filters_of(request)
    wanted = wanted_of(filters, place.shop)
    if wants_csv(request):
        return streamed(
            "subscribers.csv", people_csv(deps_of(request), wanted), media_type="text/csv; charset=utf-8"
        )
    return await _list(request, place.shops, place.shop, filters, wanted)


async def _list(
    request: Request, shops: object, shop: Shop, filters: dict[str, str], wanted: Wanted
) -> Response:
    async with deps_of(request).database.connection() as conn:
        rows = await people.people(conn, wanted, before=cursor_of(request), limit=rows_wanted(request))
        waiting = await people.waiting_of(conn, shop.shop_id, rows)
        total = await people.count_waiting(conn, shop.shop_id, limit=COUNTED + 1)
        locales = await people.locales_used(conn, shop.shop_id)
        offers = await people.offers_of(conn, shop.shop_id)
    return page(
        request,
        "subscribers/list.html",
        title="Subscribers",
        shops=shops,
        shop=shop,
        people=listing(request, rows, cursor=lambda row: row.subscriber_id),
        waiting=waiting,
        total=total,
        counted=COUNTED,
        filters=filters,
        filtered_by=_filtered_by(rows, filters),
        statuses=list(Shown),
        states={state.value: words for state, words in STATES.items()},
        locales=locales,
        offers=offers,
        notices=await notices(request, shop),
        note=note_of,
        notified_at=notified_at,
        address=lambda **more: address_of(HREF, shop, filters, **more),
        bulk=lambda **more: address_of(HREF + "/bulk", shop, filters, **more),
        waits={State.UNCONFIRMED.value, State.PENDING.value, State.QUEUED.value},
    )


def _filtered_by(rows: list[people.PersonRow], filters: dict[str, str]) -> list[tuple[str, str, str]]:
    """Filters that have no field of their own: (name, what it is called, its value in words)."""
    found = []
    first = rows[0] if rows else None
    if "variant" in filters:
        title = f"{first.product_title} {first.variant_title}".strip() if first else filters["variant"]
        found.append(("variant", "Variant", title or filters["variant"]))
    if "product" in filters:
        title = first.product_title if first else filters["product"]
        found.append(("product", "Product", title or filters["product"]))
    return found


ROUTES = (get(HREF, show_all),)
