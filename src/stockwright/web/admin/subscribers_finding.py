"""What the pages about subscribers share: whose people, which of them, and why nothing may be going out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from stockwright.mail_desk import queue_status
from stockwright.model import gid
from stockwright.notify.addresses import fold
from stockwright.notify.states import Shown, State
from stockwright.people import settings_of
from stockwright.store import shops
from stockwright.store.people import Wanted
from stockwright.store.shops import Shop
from stockwright.web.admin.choices import chosen, shop_chosen
from stockwright.web.admin.visits import deps_of

FILTERS = ("status", "state", "variant", "product", "offer", "locale", "q")
_LONGEST = 320


@dataclass(frozen=True, kw_only=True)
class Place:
    """Whose people a page is about."""

    shops: Sequence[Shop]
    shop: Shop | None  # the chosen one, or the first; None: there is no shop


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Why people may not be told, and where to change that."""

    kind: str  # info | warn | bad
    text: str
    href: str
    todo: str


async def place_of(request: Request) -> Place:
    """The shop that the address names, or the first."""
    async with deps_of(request).database.connection() as conn:
        found = await shops.list_all(conn)
    return Place(shops=found, shop=shop_chosen(request, found) or (found[0] if found else None))


def wanted_of(values: Mapping[str, str], shop: Shop) -> Wanted:
    """Which people an address or a form asks for; what means nothing narrows nothing."""
    status, state = values.get("status", ""), values.get("state", "")
    return Wanted(
        shop_id=shop.shop_id,
        status=status if status in list(Shown) else None,
        state=state if state in list(State) else None,
        variant_id=_gid("ProductVariant", values.get("variant", "")),
        product_id=_gid("Product", values.get("product", "")),
        offer_id=_text(values.get("offer", "")),
        locale=_text(values.get("locale", "")),
        address=fold(values.get("q", "")[:_LONGEST]).replace("\0", "") or None,
    )


def _text(text: str) -> str | None:
    return text.strip()[:100].replace("\0", "") or None


def _gid(kind: str, text: str) -> str | None:
    """A number or a gid as people paste it; something else finds nobody, and does not show everybody."""
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return gid(kind, text[:20])
    return text[:100].replace("\0", "")


def filters_of(request: Request) -> dict[str, str]:
    """The filters of the address that are set."""
    values = {name: request.query_params.get(name, "").strip()[:_LONGEST] for name in FILTERS}
    return {name: value for name, value in values.items() if value}


def address_of(path: str, shop: Shop | None, filters: Mapping[str, str], **more: str) -> str:
    """The address of a page with these filters."""
    values = {"shop": str(shop.shop_id) if shop else "", **filters, **more}
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path


async def notices(request: Request, shop: Shop) -> list[Notice]:
    """Why people of a shop are not told at present, the gravest first; none when all is well."""
    return [*_standing(shop), *await _settings(request, shop), *await _mail(request, shop)]


def _standing(shop: Shop) -> list[Notice]:
    href = f"/settings/shops/{shop.shop_id}"
    if shop.status != "active":
        text = f"Nothing is sent for this shop: {shop.status_reason or 'it is not active.'}"
        return [Notice(kind="warn", text=text, href=href, todo="Open the shop")]
    if shop.plan == "free":
        text = (
            "This shop is on the free plan: its pages show no Notify Me button and nobody is told. People who wait "
            "are kept, and are told after a restock once the shop is on the premium plan."
        )
        return [Notice(kind="warn", text=text, href=href, todo="Open the shop")]
    return []


async def _settings(request: Request, shop: Shop) -> list[Notice]:
    async with deps_of(request).database.connection() as conn:
        row, options = await settings_of(conn, shop.shop_id)
    if row is None or not row.enabled:
        text = "Back-in-stock notifications are switched off: there is no button, and nobody is told."
        href = f"/automations/{row.automation_id}" if row else "/automations/add"
        return [Notice(kind="info", text=text, href=href, todo="Switch them on")]
    href = f"/automations/{row.automation_id}/edit"
    if options.paused:
        text = "Notifications are paused: restocks are found, and nobody is told of them."
        return [Notice(kind="warn", text=text, href=href, todo="Change the settings")]
    return []


async def _mail(request: Request, shop: Shop) -> list[Notice]:
    status = await queue_status(deps_of(request), shop)
    href = f"/mail/settings/{shop.shop_id}"
    if status.problem:
        return [Notice(kind="bad", text=f"Mail is held: {status.problem}", href=href, todo="Mail settings")]
    if status.queue.stopped_at is not None:
        text = f"Mail is stopped: {status.queue.stop_reason}"
        return [Notice(kind="bad", text=text, href=href, todo="Mail settings")]
    return []


def order_chosen(request: Request, orders: Mapping[str, str]) -> str:
    """How a list is ordered: one of these, the first unless the address says otherwise."""
    return chosen(request, "order", list(orders)) or next(iter(orders))
