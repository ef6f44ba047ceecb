"""What the pages of offers share: the one that an address names, its shop, and its status in words."""

from starlette.requests import Request

from stockwright.notify.offers import Pause, Status
from stockwright.offer_reading import PAUSES_TOLD
from stockwright.offer_upkeep import subscribe_orders
from stockwright.store import offers, shops
from stockwright.store.offers import OfferRow
from stockwright.store.shops import Shop
from stockwright.web.admin.pages import Crumb, not_found
from stockwright.web.admin.visits import deps_of, flash, site_of

HREF = "/offers"
CRUMBS: tuple[Crumb, ...] = (("Offers", HREF),)

_BADGES = {
    Status.DRAFT: "quiet",
    Status.SCHEDULED: "info",
    Status.ACTIVE: "good",
    Status.PAUSED: "warn",
    Status.COMPLETED: "quiet",
    Status.ARCHIVED: "quiet",
}


def href_of(row: OfferRow) -> str:
    """The page of an offer."""
    return f"{HREF}/{row.offer_id}"


def crumbs_of(row: OfferRow) -> tuple[Crumb, ...]:
    """The pages above a page about one offer."""
    return (*CRUMBS, (row.name, href_of(row)))


def badge_of(row: OfferRow) -> tuple[str, str]:
    """Kind and word of the badge for an offer's status."""
    return _BADGES[Status(row.status)], row.status


def pause_told(row: OfferRow) -> str:
    """Why an offer is paused; "" when it is not."""
    return PAUSES_TOLD[Pause(row.pause_reason)]


async def offer_of(request: Request) -> OfferRow:
    """The offer that the address names.

    Raises:
        HTTPException: 404.
    """
    offer_id = request.path_params["offer_id"]
    if offer_id.isascii() and offer_id.isprintable():
        async with deps_of(request).database.connection() as conn:
            if row := await offers.find(conn, offer_id):
                return row
    raise not_found("There is no such offer. It may have been deleted.")


async def shop_of(request: Request, row: OfferRow) -> Shop:
    """The shop of an offer.

    Raises:
        HTTPException: 404.
    """
    async with deps_of(request).database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
    if shop is None:
        raise not_found("There is no such shop. It may have been removed.")
    return shop


async def all_shops(request: Request) -> list[Shop]:
    """Every shop."""
    async with deps_of(request).database.connection() as conn:
        return await shops.list_all(conn)


async def tell_orders(request: Request, row: OfferRow) -> None:
    """Have the shop tell of orders where a limit needs them; what keeps that from working is said."""
    public_url = site_of(request).own.settings.public_url
    if problem := await subscribe_orders(deps_of(request), row, public_url=public_url):
        flash(request, problem, kind="warn")
