"""Settings, Privacy: what Shopify asked for people's data, with due dates; and everything about one address."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright import compliance as service
from stockwright import people as people_service
from stockwright.compliance import CUSTOMER_REDACT, DATA_REQUEST, SHOP_REDACT, as_text
from stockwright.model import Conflicting
from stockwright.notify.addresses import AddressRefused, normalise
from stockwright.shopify.subscriptions import WEBHOOK_PATH
from stockwright.store import compliance, shops
from stockwright.store.compliance import Request as Asked
from stockwright.store.shops import Shop
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of, site_of

HREF = "/settings/privacy"
TAB = Tab(title="Privacy", href=HREF)
SAMPLES = (HREF,)
_CRUMBS: tuple[Crumb, ...] = (("Settings", "/settings"),)
_SHOWN = 200
TOPICS = {
    DATA_REQUEST: "A customer asks for their data",
    CUSTOMER_REDACT: "A customer is to be erased",
    SHOP_REDACT: "The shop is to be deleted",
}
_COLUMNS = ("request_id", "domain", "topic", "received_at", "due_at", "done_at", "result", "note")


async def show(request: Request) -> Response:
    """The requests, and the form for one address."""
    return await _page(request)


async def _page(request: Request, *, address: str = "", error: str = "", status: int = 200) -> Response:
    async with deps_of(request).database.connection() as conn:
        found = await compliance.requests(conn, limit=_SHOWN)
        known = await shops.list_all(conn)
    if wants_csv(request):
        return csv_response("privacy-requests", [vars(one) for one in found], header=_COLUMNS)
    public_url = site_of(request).own.settings.public_url
    return page(
        request,
        "settings/privacy.html",
        title="Privacy",
        crumbs=_CRUMBS,
        status=status,
        requests=found,
        topics=TOPICS,
        shop_redact=SHOP_REDACT,
        shops=known,
        address=address,
        error=error,
        uri=f"{public_url or 'https://YOUR-ADDRESS'}{WEBHOOK_PATH}",
    )


# --- one request ------------------------------------------------------------------------------------------------


async def _request_of(request: Request) -> Asked:
    async with deps_of(request).database.connection() as conn:
        found = await compliance.get(conn, request.path_params["request_id"])
    if found is None:
        raise not_found("There is no such request.")
    return found


async def download(request: Request) -> Response:
    """The file for a customer; the request is done with it."""
    text = await service.hand_over(deps_of(request), await _request_of(request), by=actor_of(request))
    headers = {"Content-Disposition": 'attachment; filename="customer-data.json"'}
    return Response(text, media_type="application/json", headers=headers)


async def close(request: Request) -> Response:
    """Nothing more is to be done."""
    await service.close(deps_of(request), await _request_of(request), by=actor_of(request))
    flash(request, "Closed.")
    return go(HREF)


async def ask_delete(request: Request) -> Response:
    """Everything of a shop goes."""
    found = await _request_of(request)
    return confirm(
        request,
        title="Delete the shop's data",
        crumbs=(*_CRUMBS, ("Privacy", HREF)),
        question=f"Delete everything that is kept of {found.domain}?",
        consequences=[
            "The shop, its automations, shared stocks with their journal, subscribers, offers and mail are deleted. "
            "It cannot be undone.",
            "In Shopify nothing changes.",
        ],
        action=f"{HREF}/{found.request_id}/delete",
        submit="Delete everything",
        cancel=HREF,
    )


async def delete(request: Request) -> Response:
    """Do it."""
    found = await _request_of(request)
    await service.confirm_deletion(deps_of(request), found, by=actor_of(request))
    flash(request, f"Everything of {found.domain} is deleted.")
    return go(HREF)


# --- one address ------------------------------------------------------------------------------------------------


async def about_address(request: Request) -> Response:
    """All data of an address as a file, or the question whether to erase it."""
    form = form_of(request)
    text, shop = str(form.get("address", "")), await _shop_of_form(request)
    if shop is None:
        return await _page(request, address=text, error="Choose the shop.", status=422)
    try:
        address = normalise(text)
    except AddressRefused as error:
        return await _page(request, address=text, error=str(error), status=422)
    if form.get("do") == "erase":
        return _ask_erase(request, shop, address)
    data = await people_service.data_of(deps_of(request), shop, [address])
    headers = {"Content-Disposition": 'attachment; filename="person.json"'}
    return Response(as_text(data), media_type="application/json", headers=headers)


def _ask_erase(request: Request, shop: Shop, address: str) -> Response:
    return confirm(
        request,
        title="Erase",
        crumbs=(*_CRUMBS, ("Privacy", HREF)),
        question=f"Erase {address} from everything that is kept of {shop.name or shop.domain}?",
        consequences=[
            "Every request and mail of this address loses what names the person. It cannot be undone.",
            "Only a keyed hash of the address stays on the suppression list, so that it is not mailed by mistake.",
        ],
        action=f"{HREF}/erase",
        submit="Erase this person",
        cancel=HREF,
        hidden={"address": address, "shop": str(shop.shop_id)},
    )


async def erase(request: Request) -> Response:
    """Erase it."""
    shop = await _shop_of_form(request)
    if shop is None:
        raise Conflicting("The shop was removed meanwhile, and its people with it.")
    done = await people_service.erase(
        deps_of(request), shop, str(form_of(request).get("address", "")), by=actor_of(request)
    )
    flash(request, done.told)
    return go(HREF)


async def _shop_of_form(request: Request) -> Shop | None:
    wanted = str(form_of(request).get("shop", ""))
    async with deps_of(request).database.connection() as conn:
        return next((shop for shop in await shops.list_all(conn) if str(shop.shop_id) == wanted), None)


ROUTES = (
    get(HREF, show),
    post(HREF + "/address", about_address),
    post(HREF + "/erase", erase),
    post(HREF + "/{request_id}/data", download),
    post(HREF + "/{request_id}/close", close),
    get(HREF + "/{request_id}/delete", ask_delete),
    post(HREF + "/{request_id}/delete", delete),
)
