"""Stock: the shared stocks of all shops, frozen ones first. One stock's page is `stock_pool`."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from stockwright.model import gid
from stockwright.store import pool_pages, pools, shops
from stockwright.store.database import Connection
from stockwright.store.pool_pages import Wanted
from stockwright.store.pools import PoolRow
from stockwright.store.shops import Shop
from stockwright.web.admin import stock_pool
from stockwright.web.admin.choices import by_id, chosen, shop_chosen
from stockwright.web.admin.pages import page
from stockwright.web.admin.routing import get
from stockwright.web.admin.site import Section
from stockwright.web.admin.stock_showing import CSV_COLUMNS, Shown, csv_row, shown
from stockwright.web.admin.tables import csv_response, cursor_of, listing, rows_wanted, wants_csv
from stockwright.web.admin.visits import deps_of

HREF = "/stock"
STATES = {"frozen": "frozen", "assumed": "to be reviewed"}
_LONGEST_SEARCH = 255


async def show_all(request: Request) -> Response:
    """The list, as a page or as CSV."""
    async with deps_of(request).database.connection() as conn:
        found = await shops.list_all(conn)
        wanted = _wanted(request, shop_chosen(request, found))
        rows = await pool_pages.frozen_first(
            conn, wanted, after=cursor_of(request), limit=rows_wanted(request)
        )
        lines = await _shown(conn, rows, found)
    if wants_csv(request):
        return csv_response("stock", [csv_row(line) for line in lines], header=CSV_COLUMNS)
    return page(
        request,
        "stock/list.html",
        title="Stock",
        stocks=listing(request, lines, cursor=lambda line: pool_pages.cursor_of(line.row)),
        shops=found,
        states=STATES,
        is_filtered=wanted != Wanted(),
    )


def _wanted(request: Request, shop: Shop | None) -> Wanted:
    product = request.query_params.get("product", "").strip()[:_LONGEST_SEARCH]
    by_number = product.isascii() and product.isdigit()
    by_gid = product.startswith("gid://")
    state = chosen(request, "state", list(STATES))
    return Wanted(
        shop_id=shop.shop_id if shop else None,
        product_id=gid("Product", product) if by_number else product if by_gid else None,
        title=product if product and not (by_number or by_gid) else None,
        frozen=state == "frozen",
        assumed=state == "assumed",
    )


async def _shown(conn: Connection, rows: Sequence[PoolRow], found: Sequence[Shop]) -> list[Shown]:
    held = {}
    for shop_id in {row.shop_id for row in rows}:
        ids = [row.pool_id for row in rows if row.shop_id == shop_id]
        held.update(await pools.members_of(conn, shop_id, ids))
    known = by_id(found)
    return [shown(row, held.get(row.pool_id, ()), known.get(row.shop_id)) for row in rows]


SECTION = Section(
    title="Stock",
    href=HREF,
    icon="stock",
    routes=(get(HREF, show_all), *stock_pool.ROUTES),
    samples=(HREF, *stock_pool.SAMPLES),
)
