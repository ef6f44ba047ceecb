"""Settings, Shops: the list, one shop in detail, check, pause and resume, repair of webhooks, removal."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from stockwright import upkeep
from stockwright.adding import set_plan
from stockwright.checking import Finding, Verdict, check_shop, worst
from stockwright.model import ShopId, StockwrightError
from stockwright.shopify.errors import ShopifyError
from stockwright.store import shops, stats, webhook_subscriptions
from stockwright.store.audit import audit
from stockwright.store.shops import Shop
from stockwright.store.stats import ShopNow
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of, site_of, visit_of

HREF = "/settings/shops"
TAB = Tab(title="Shops", href=HREF)
SAMPLES = (HREF, HREF + "/{shop}", HREF + "/{shop}/remove")
_CRUMBS: tuple[Crumb, ...] = (("Settings", "/settings"), ("Shops", HREF))
_SHOPS = 1000  # that the list shows
_COLUMNS = (
    "domain",
    "name",
    "status",
    "reason",
    "timezone",
    "plan",
    "pools",
    "frozen",
    "last_read_at",
    "added_at",
)


@dataclass(frozen=True, kw_only=True)
class ShopLine:
    """One shop of the list."""

    shop: Shop
    now: ShopNow


async def show_all(request: Request) -> Response:
    """The list."""
    async with deps_of(request).database.connection() as conn:
        found = {
            one.shop_id: one for one in await stats.shops_now(conn, now=visit_of(request).now, limit=_SHOPS)
        }
        lines = [
            ShopLine(shop=shop, now=found[shop.shop_id])
            for shop in await shops.list_all(conn)
            if shop.shop_id in found
        ]
    if wants_csv(request):
        return csv_response("shops", [_row(line) for line in lines], header=_COLUMNS)
    return page(
        request,
        "settings/shops.html",
        title="Shops",
        crumbs=_CRUMBS[:1],
        lines=lines,
        pools_counted=stats.POOLS_COUNTED,
    )


def _row(line: ShopLine) -> dict[str, object]:
    shop = line.shop
    return {
        "domain": shop.domain,
        "name": shop.name,
        "status": shop.status,
        "reason": shop.status_reason,
        "timezone": shop.timezone,
        "plan": shop.plan,
        "pools": line.now.pools,
        "frozen": line.now.frozen,
        "last_read_at": shop.read_at,
        "added_at": shop.created_at,
    }


async def shop_of(request: Request) -> Shop:
    """The shop that the address names by its number.

    Raises:
        HTTPException: 404.
    """
    text = request.path_params["shop_id"]
    if text.isascii() and text.isdigit() and len(text) < 19:
        async with deps_of(request).database.connection() as conn:
            if shop := await shops.get(conn, ShopId(int(text))):
                return shop
    raise not_found("There is no such shop. It may have been removed.")


def href_of(shop: Shop) -> str:
    """The page of a shop."""
    return f"{HREF}/{shop.shop_id}"


async def show(request: Request) -> Response:
    """One shop."""
    return await _detail(request, await shop_of(request))


async def _detail(request: Request, shop: Shop, findings: list[Finding] | None = None) -> Response:
    async with deps_of(request).database.connection() as conn:
        standing = await stats.shops_now(conn, now=visit_of(request).now, shop_id=shop.shop_id)
        if not standing:
            raise not_found("The shop was removed a moment ago.")
        topics = await webhook_subscriptions.of_shop(conn, shop.shop_id)
    return page(
        request,
        "settings/shop.html",
        title=shop.name or shop.domain,
        crumbs=_CRUMBS,
        shop=shop,
        standing=standing[0],
        pools_counted=stats.POOLS_COUNTED,
        topics=topics,
        findings=findings,
        verdict=worst(findings) if findings else Verdict.OK,
        public_url=site_of(request).own.settings.public_url,
    )


async def check(request: Request) -> Response:
    """Ask the shop now, and show what was found."""
    shop = await shop_of(request)
    public_url = site_of(request).own.settings.public_url
    findings = await check_shop(deps_of(request), shop, public_url=public_url)
    return await _detail(request, await shop_of(request), findings)


async def subscribe(request: Request) -> Response:
    """Compare the shop's webhook subscriptions with what is needed, and repair them."""
    shop = await shop_of(request)
    public_url = site_of(request).own.settings.public_url
    try:
        rows = await upkeep.subscribe(deps_of(request), shop, public_url=public_url)
    except StockwrightError as error:
        flash(request, str(error), kind="bad")
        return go(href_of(shop))
    await _note(request, "shop.subscribe", shop)
    refused = [row for row in rows if row.problem]
    if refused:
        flash(request, f"{len(refused)} kinds of webhook were refused; the list below says why.", kind="warn")
    else:
        flash(request, f"Shopify tells us of {len(rows)} kinds of change.")
    return go(href_of(shop))


async def pause(request: Request) -> Response:
    """Stop the work for a shop until somebody resumes it."""
    shop = await shop_of(request)
    reason = f"{actor_of(request).name} paused it."
    async with deps_of(request).database.connection() as conn, conn.transaction():
        await shops.set_status(conn, shop.shop_id, "stopped", reason=reason)
        await audit(conn, actor_of(request), "shop.pause", shop.domain, {}, at=visit_of(request).now)
    flash(request, f"{shop.domain} is paused. Nothing is read or written until you resume it.", kind="warn")
    return go(href_of(shop))


async def resume(request: Request) -> Response:
    """Go on, and observe all that happened meanwhile."""
    shop = await shop_of(request)
    try:
        await upkeep.resume_shop(deps_of(request), shop)
    except ShopifyError as error:
        flash(request, f"The shop does not let us in yet: {error}", kind="bad")
        return go(href_of(shop))
    await _note(request, "shop.resume", shop)
    flash(request, f"{shop.domain} is active. All its stocks are read again now.")
    return go(href_of(shop))


async def change_rule(request: Request) -> Response:
    """Change what is done when Shopify's answer to a correction is lost."""
    shop = await shop_of(request)
    rule = str(form_of(request).get("on_unknown", ""))
    if rule not in ("settle", "certain"):
        raise StockwrightError("Choose one of the two rules.")
    async with deps_of(request).database.connection() as conn, conn.transaction():
        await shops.set_settings(conn, shop.shop_id, plan=shop.plan, on_unknown=rule)
        detail = {"on_unknown": rule, "was": shop.on_unknown}
        await audit(conn, actor_of(request), "shop.change", shop.domain, detail, at=visit_of(request).now)
    flash(request, "Saved.")
    return go(href_of(shop))


async def change_plan(request: Request) -> Response:
    """Put the shop on another plan."""
    shop = await shop_of(request)
    plan = str(form_of(request).get("plan", ""))
    await set_plan(deps_of(request), shop, plan, by=actor_of(request))
    flash(request, f"{shop.domain} is on the {plan} plan.")
    return go(href_of(shop))


async def ask_removal(request: Request) -> Response:
    """What removal means."""
    shop = await shop_of(request)
    return confirm(
        request,
        title=f"Remove {shop.domain}",
        question=f"Remove {shop.domain} from Stockwright?",
        consequences=(
            "Its automations, shared stocks and secrets are deleted.",
            "Levels in the shop stay as they are.",
            "Runs and history stay until their retention ends.",
        ),
        action=f"{href_of(shop)}/remove",
        submit="Remove the shop",
        cancel=href_of(shop),
        crumbs=(*_CRUMBS, (shop.name or shop.domain, href_of(shop))),
    )


async def remove(request: Request) -> Response:
    """Remove the shop."""
    shop = await shop_of(request)
    public_url = site_of(request).own.settings.public_url
    problem = await upkeep.remove_shop(deps_of(request), shop, public_url=public_url)
    await _note(request, "shop.remove", shop)
    if problem:
        flash(
            request,
            f"{shop.domain} is removed. Its webhook subscriptions could not be deleted: {problem} "
            "They end when the app is uninstalled there.",
            kind="warn",
        )
    else:
        flash(request, f"{shop.domain} is removed.")
    return go(HREF)


async def _note(request: Request, action: str, shop: Shop) -> None:
    async with deps_of(request).database.connection() as conn:
        await audit(conn, actor_of(request), action, shop.domain, {}, at=visit_of(request).now)


ROUTES = (
    get(HREF, show_all),
    get(HREF + "/{shop_id}", show),
    post(HREF + "/{shop_id}/check", check),
    post(HREF + "/{shop_id}/subscribe", subscribe),
    post(HREF + "/{shop_id}/pause", pause),
    post(HREF + "/{shop_id}/resume", resume),
    post(HREF + "/{shop_id}/rule", change_rule),
    post(HREF + "/{shop_id}/plan", change_plan),
    get(HREF + "/{shop_id}/remove", ask_removal),
    post(HREF + "/{shop_id}/remove", remove),
)
