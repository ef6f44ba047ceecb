"""Subscribers, Demand: what people wait for, since when, and what it is worth."""

import json

from starlette.requests import Request
from starlette.responses import Response

from stockwright.people_files import DEMAND_COLUMNS, demand_cells, demand_json, money, plain
from stockwright.store import demand
from stockwright.web.admin.pages import page
from stockwright.web.admin.routing import get
from stockwright.web.admin.site import Tab
from stockwright.web.admin.subscribers_finding import address_of, notices, order_chosen, place_of
from stockwright.web.admin.tables import CSV_ROWS, csv_response, wants_csv
from stockwright.web.admin.visits import deps_of

HREF = "/demand"
TAB = Tab(title="Demand", href=HREF)
SAMPLES = (HREF, HREF + "?order=revenue")
ORDERS = {
    "people": "most people first",
    "units": "most units first",
    "revenue": "most revenue first",
    "oldest": "waiting longest first",
}
_SHOWN = 200
_CHARTED = 12


async def show(request: Request) -> Response:
    """The report; with `format=csv` or `format=json`, as a file."""
    place = await place_of(request)
    order = order_chosen(request, ORDERS)
    if place.shop is None:
        return page(request, "subscribers/demand.html", title="Demand", shops=[], shop=None)
    is_file = wants_csv(request) or request.query_params.get("format") == "json"
    async with deps_of(request).database.connection() as conn:
        rows = await demand.demand(
            conn, place.shop.shop_id, order=order, limit=CSV_ROWS if is_file else _SHOWN
        )
        totals = await demand.totals(conn, place.shop.shop_id)
    if wants_csv(request):
        return csv_response("demand", [demand_cells(row) for row in rows], header=DEMAND_COLUMNS)
    if is_file:
        text = json.dumps([demand_json(row) for row in rows], indent=2, ensure_ascii=False, default=plain)
        headers = {"Content-Disposition": 'attachment; filename="demand.json"'}
        return Response(text, media_type="application/json", headers=headers)
    return page(
        request,
        "subscribers/demand.html",
        title="Demand",
        shops=place.shops,
        shop=place.shop,
        rows=rows,
        totals=totals,
        revenue=[(currency, f"{float(amount):,.2f}") for currency, amount in totals.revenue.items()],
        orders=ORDERS,
        order=order,
        charted=rows[:_CHARTED],
        money=money,
        notices=await notices(request, place.shop),
        people_of=lambda row: address_of(
            "/subscribers", place.shop, {"variant": row.variant_id.rsplit("/", 1)[-1], "status": "Pending"}
        ),
        file=lambda kind: address_of(HREF, place.shop, {"order": order}, format=kind),
    )


ROUTES = (get(HREF, show),)
