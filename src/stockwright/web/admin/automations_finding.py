"""What the pages of automations share: the one that an address names, its shop, and its webhooks after a change."""

from starlette.requests import Request

from stockwright import upkeep
from stockwright.automations import KINDS
from stockwright.model import ShopId, StockwrightError
from stockwright.store import automations, shops
from stockwright.store.automations import AutomationRow
from stockwright.store.shops import Shop
from stockwright.web.admin.pages import Crumb, not_found
from stockwright.web.admin.visits import deps_of, flash, site_of

HREF = "/automations"
CRUMBS: tuple[Crumb, ...] = (("Automations", HREF),)


def href_of(row: AutomationRow) -> str:
    """The page of an automation."""
    return f"{HREF}/{row.automation_id}"


def crumbs_of(row: AutomationRow) -> tuple[Crumb, ...]:
    """The pages above a page about one automation."""
    return (*CRUMBS, (row.name, href_of(row)))


def kind_title(kind: str) -> str:
    """What people call a kind; its id when this version does not know it."""
    return KINDS[kind].title if kind in KINDS else kind


async def automation_of(request: Request) -> AutomationRow:
    """The automation that the address names.

    Raises:
        HTTPException: 404.
    """
    automation_id = request.path_params["automation_id"]
    if automation_id.isascii() and automation_id.isprintable():
        async with deps_of(request).database.connection() as conn:
            if row := await automations.find(conn, automation_id):
                return row
    raise not_found("There is no such automation. It may have been removed.")


async def shop_with(request: Request, shop_id: ShopId) -> Shop:
    """A shop by its number.

    Raises:
        HTTPException: 404.
    """
    async with deps_of(request).database.connection() as conn:
        shop = await shops.get(conn, shop_id)
    if shop is None:
        raise not_found("There is no such shop. It may have been removed.")
    return shop


async def all_shops(request: Request) -> list[Shop]:
    """Every shop."""
    async with deps_of(request).database.connection() as conn:
        return await shops.list_all(conn)


async def subscribe(request: Request, row: AutomationRow) -> None:
    """Compare the shop's webhook subscriptions; what keeps webhooks away is said, and the change stands."""
    shop = await shop_with(request, row.shop_id)
    public_url = site_of(request).own.settings.public_url
    try:
        found = await upkeep.subscribe(deps_of(request), shop, public_url=public_url)
    except StockwrightError as error:
        flash(request, f"Shopify does not tell us of changes yet: {error}", kind="warn")
        return
    for one in found:
        if one.problem:
            flash(request, f"Shopify does not tell us of {one.topic}: {one.problem}", kind="warn")
