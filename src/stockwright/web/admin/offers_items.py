"""Offers: choosing products and variants in the shop, and why their button is or is not shown now."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright import offer_desk, offer_reading
from stockwright.model import StockwrightError
from stockwright.notify.catalogue import ShownProduct
from stockwright.offer_reading import Shown
from stockwright.shopify.picking import Picked
from stockwright.store import offers
from stockwright.web.admin.offers_finding import HREF, crumbs_of, href_of, offer_of, shop_of
from stockwright.web.admin.pages import go, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of

SAMPLES = (HREF + "/{offer}/products", HREF + "/{offer}/button?product={offer_product}")
_LONGEST_SEARCH = 200


async def show_picker(request: Request) -> Response:
    """Products of the shop that fit the words, to be ticked."""
    row = await offer_of(request)
    words = request.query_params.get("q", "")[:_LONGEST_SEARCH]
    picked, problem = Picked(products=(), has_more=False), ""
    try:
        client = await deps_of(request).clients.for_shop(row.shop_id)
        picked = await client.search_products(words)
    except StockwrightError as error:
        problem = str(error)
    async with deps_of(request).database.connection() as conn:
        items = await offers.items(conn, row.shop_id, row.offer_id)
    return page(
        request,
        "offers/products.html",
        title="Add products",
        crumbs=crumbs_of(row),
        row=row,
        words=words,
        picked=picked,
        problem=problem,
        wholes={item.product_id for item in items if not item.variant_id},
        singles={item.variant_id for item in items if item.variant_id},
        count=len(items),
    )


async def add(request: Request) -> Response:
    """Add what was ticked."""
    row = await offer_of(request)
    wanted = [str(one) for one in form_of(request).getlist("item")]
    back = f"{href_of(row)}/products"
    if not wanted:
        flash(request, "Nothing was ticked, so nothing was added.", kind="info")
        return go(back)
    try:
        done = await offer_desk.add_items(deps_of(request), row, wanted, by=actor_of(request))
    except StockwrightError as error:
        flash(request, f"Nothing was added. {error}", kind="bad")
        return go(back)
    there = f" {done.unchanged} were there already." if done.unchanged else ""
    flash(request, f"Added {done.done}.{there}")
    return go(href_of(row))


async def remove(request: Request) -> Response:
    """Take one product or variant out."""
    row = await offer_of(request)
    item = str(form_of(request).get("item", ""))
    try:
        done = await offer_desk.remove_items(deps_of(request), row, [item], by=actor_of(request))
    except StockwrightError as error:
        flash(request, f"Nothing was taken out. {error}", kind="bad")
        return go(href_of(row))
    flash(request, "Taken out." if done.done else "It was not there any more.")
    return go(href_of(row))


async def show_button(request: Request) -> Response:
    """Why the button is or is not shown, for each variant of a product, from its stock now."""
    row = await offer_of(request)
    shop = await shop_of(request, row)
    async with deps_of(request).database.connection() as conn:
        items = await offers.items(conn, row.shop_id, row.offer_id)
        notices = await offer_reading.notices(conn, shop, row)
    products = {item.product_id: item.product_title for item in items}
    wanted = request.query_params.get("product", "") or next(iter(products), "")
    product: ShownProduct | None = None
    shown: list[Shown] = []
    problem = ""
    try:
        if wanted:
            product_id = offer_reading.product_gid(wanted)
            product, shown = await offer_reading.gates_of(deps_of(request), shop, product_id)
    except StockwrightError as error:
        problem = str(error)
    return page(
        request,
        "offers/button.html",
        title="Notify Me now",
        crumbs=crumbs_of(row),
        row=row,
        shop=shop,
        products=products,
        product=product,
        wanted=wanted,
        shown=shown,
        problem=problem,
        notices=notices,
    )


ROUTES = (
    get(HREF + "/{offer_id}/products", show_picker),
    post(HREF + "/{offer_id}/products", add),
    post(HREF + "/{offer_id}/products/remove", remove),
    get(HREF + "/{offer_id}/button", show_button),
)
