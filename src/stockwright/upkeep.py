"""What is done for every shop from time to time: subscriptions compared, the shop read, every stock observed.

Each pass may be done twice or by two at once; a shop that fails does not keep the others waiting.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog

from stockwright.automations import kind_named
from stockwright.deps import Deps, refresh_shop
from stockwright.model import (
    RECONCILE,
    WHOLE_SHOP,
    EventId,
    NewEvent,
    ShopId,
    Source,
    StockwrightError,
)
from stockwright.people import stop_mail
from stockwright.schedules import is_often
from stockwright.shopify.errors import ShopifyError
from stockwright.shopify.subscriptions import TOPIC_PREFIX, WEBHOOK_PATH
from stockwright.shopify.transport import is_loopback
from stockwright.store import arrivals, automations, inbox, offer_orders, shops, webhook_subscriptions
from stockwright.store.automations import AutomationRow
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.shops import Shop
from stockwright.store.webhook_subscriptions import SubscriptionRow

LOG = structlog.get_logger(__name__)

UNINSTALLED = "shopify/app/uninstalled"
NEW_ORDER = "shopify/orders/create"
TURN = timedelta(hours=1)

NO_PUBLIC_URL = (
    "STOCKWRIGHT_PUBLIC_URL is not set, so the shop cannot tell us of changes; they are found at the next "
    "reconciliation only. Set it to the https address under which this service is reached, then run: "
    "stockwright shop subscribe {domain}"
)


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """The passes, with what they need. Call the hourly ones often: a shop that failed has its turn again at once."""

    deps: Deps
    public_url: str | None
    turns: dict[tuple[str, ShopId], datetime] = field(default_factory=dict)  # when a shop's next turn is

    async def repair_subscriptions(self) -> None:
        """Make the webhook subscriptions of active shops what their automations need: at start and hourly."""
        await self._hourly("subscriptions", self._repair)

    async def refresh_shops(self) -> None:
        """Read name, time zone, locations and scopes of active shops again: at start and hourly."""
        await self._hourly("shop", self._refresh)

    async def look_at_paused(self) -> None:
        """Go on with the shops that let us in again."""
        for shop in await self._shops("paused"):
            await self._tried(shop, lambda shop: resume_shop(self.deps, shop))

    async def reconcile(self) -> None:
        """Have every shared stock observed whose automation does not do so itself every hour or oftener."""
        async with self.deps.database.connection() as conn:
            rows = await automations.list_all(conn)
        await observe(self.deps, [row for row in rows if not _looks_often(row)])

    async def close_uninstalled(self) -> None:
        """Stop the work for shops that have removed the app, and all their mail."""
        async with self.deps.database.connection() as conn:
            found = await arrivals.uninstalled(conn)
            for shop_id in found:
                reason = "The app was uninstalled from the shop. Install it again, then run: stockwright shop check"
                await shops.set_status(conn, shop_id, "uninstalled", reason=reason)
                LOG.warning("a shop has uninstalled the app; its work stops", shop_id=shop_id)
        for shop_id in found:
            await stop_mail(self.deps, shop_id)

    async def _repair(self, shop: Shop) -> None:
        if self.public_url is None:
            LOG.warning(
                "no public address is set: changes are found by reconciliation only", shop=shop.domain
            )
            return
        problems = [
            one for one in await subscribe(self.deps, shop, public_url=self.public_url) if one.problem
        ]
        for one in problems:
            LOG.warning("no webhooks will come", shop=shop.domain, topic=one.topic, problem=one.problem)

    async def _refresh(self, shop: Shop) -> None:
        await refresh_shop(self.deps, shop.shop_id)

    async def _hourly(self, name: str, work: Callable[[Shop], Awaitable[object]]) -> None:
        now = self.deps.clock()
        for shop in await self._shops("active"):
            turn = name, shop.shop_id
            if now >= self.turns.get(turn, now) and await self._tried(shop, work):
                self.turns[turn] = now + TURN

    async def _shops(self, status: str) -> list[Shop]:
        async with self.deps.database.connection() as conn:
            return [shop for shop in await shops.list_all(conn) if shop.status == status]

    async def _tried(self, shop: Shop, work: Callable[[Shop], Awaitable[object]]) -> bool:
        """Whether the work was done; what hinders one shop does not hinder the others."""
        try:
            await work(shop)
        except StockwrightError as error:
            await self._report(shop, error)
            return False
        return True

    async def _report(self, shop: Shop, error: StockwrightError) -> None:
        if isinstance(error, ShopifyError) and error.shuts_out and shop.status == "active":
            await pause_shop(self.deps, shop.shop_id, reason=str(error))
        elif shop.status == "active":
            LOG.warning(
                "a shop could not be looked after; it is tried again", shop=shop.domain, error=str(error)
            )


def _looks_often(row: AutomationRow) -> bool:
    return any(is_often(text) for text in row.topics)


# --- one shop ---------------------------------------------------------------------------------------------


async def subscribe(deps: Deps, shop: Shop, *, public_url: str | None) -> list[SubscriptionRow]:
    """Compare the shop's webhook subscriptions with what its automations need, repair and store them.

    Raises:
        StockwrightError: no public address, or one that this shop's deliveries must not use.
        ShopifyError: the shop could not be asked.
    """
    async with deps.database.connection() as conn:
        topics = await _topics(conn, shop.shop_id)
        former = await webhook_subscriptions.uris_of(conn, shop.shop_id)
    address = checked_public_url(shop, public_url or public_url_of(former))
    wanted = [
        *(topic for topic in topics if topic.startswith(TOPIC_PREFIX) and topic != UNINSTALLED),
        UNINSTALLED,
    ]
    client = await deps.clients.for_shop(shop.shop_id)
    states = await client.reconcile_subscriptions(wanted=wanted, public_url=address, former_uris=former)
    rows = [
        SubscriptionRow(
            topic=state.topic, subscription_id=state.subscription_id, uri=state.uri, problem=state.problem
        )
        for state in states
    ]
    async with deps.database.connection() as conn, conn.transaction():
        await webhook_subscriptions.replace_all(conn, shop.shop_id, rows, checked_at=deps.clock())
    return rows


async def _topics(conn: Connection, shop_id: ShopId) -> list[str]:
    """What automations listen to, and new orders where an offer has a limit."""
    topics = await automations.topics_of_shop(conn, shop_id)
    counts = await offer_orders.has_limits(conn, shop_id)
    return [*topics, NEW_ORDER] if counts and NEW_ORDER not in topics else topics


def public_url_of(uris: Sequence[str]) -> str | None:
    """The public address behind former subscriptions: a command's shell need not repeat the service's settings."""
    return next((uri.removesuffix(WEBHOOK_PATH) for uri in uris if uri.endswith(WEBHOOK_PATH)), None)


def checked_public_url(shop: Shop, public_url: str | None) -> str:
    """The address that the shop is to send webhooks to.

    Raises:
        StockwrightError: none is set, or it is plain http and the shop is not on this machine.
    """
    if public_url is None:
        raise StockwrightError(NO_PUBLIC_URL.format(domain=shop.domain))
    is_local_shop = is_loopback(urlsplit(shop.api_url).hostname or "")
    if urlsplit(public_url).scheme != "https" and not is_local_shop:
        raise StockwrightError(
            f"STOCKWRIGHT_PUBLIC_URL is {public_url}, and {shop.domain} sends webhooks to https addresses only. "
            "Put a proxy with a certificate in front of this service and set its https address."
        )
    return public_url


async def pause_shop(deps: Deps, shop_id: ShopId, *, reason: str) -> None:
    """Stop the work for a shop that does not let us in; it is asked again at every reconciliation."""
    async with deps.database.connection() as conn:
        if await shops.move_status(conn, shop_id, "paused", was="active", reason=reason):
            LOG.error("a shop shuts us out; its work is paused", shop_id=shop_id, reason=reason)


async def resume_shop(deps: Deps, shop: Shop) -> None:
    """Go on with a shop that answers again, and observe all that happened meanwhile.

    Does nothing to a shop whose status has changed since `shop` was read: a person may have stopped it.

    Raises:
        ShopifyError: it still does not let us in.
    """
    deps.clients.forget(shop.shop_id)
    await refresh_shop(deps, shop.shop_id)
    async with deps.database.connection() as conn:
        if not await shops.move_status(conn, shop.shop_id, "active", was=shop.status):
            return
        rows = await automations.list_all(conn, shop.shop_id)
    LOG.info("a shop lets us in again; its work goes on", shop=shop.domain)
    await observe(deps, rows)


async def observe(deps: Deps, rows: list[AutomationRow]) -> None:
    """Have every stock that these automations share read again, webhook or not."""
    now = deps.clock()
    events = [_reconciliation(row, now) for row in rows if row.enabled and kind_named(row.kind).shares_stock]
    if events:
        async with deps.database.connection() as conn:
            await inbox.receive(conn, events)


def _reconciliation(row: AutomationRow, now: datetime) -> NewEvent:
    return NewEvent(
        shop_id=row.shop_id,
        event_id=EventId(new_id("evt", now)),
        topic=RECONCILE,
        payload={},
        source=Source.SWEEP,
        subject=WHOLE_SHOP,
        automation_id=row.automation_id,
    )


async def remove_shop(deps: Deps, shop: Shop, *, public_url: str | None) -> str:
    """Delete a shop with its automations and pools; returns why its subscriptions stayed, or ""."""
    problem = await _unsubscribe(deps, shop, public_url)
    await forget_shop(deps, shop)
    return problem


async def forget_shop(deps: Deps, shop: Shop) -> None:
    """Delete a shop's own row, its automations and pools; it is not asked or told anything."""
    async with deps.database.connection() as conn, conn.transaction():
        for row in await automations.list_all(conn, shop.shop_id):
            await automations.remove(conn, row.shop_id, row.automation_id)
        await shops.remove(conn, shop.shop_id)
    deps.clients.forget(shop.shop_id)


async def _unsubscribe(deps: Deps, shop: Shop, public_url: str | None) -> str:
    async with deps.database.connection() as conn:
        former = await webhook_subscriptions.uris_of(conn, shop.shop_id)
    if not former:
        return ""
    try:
        client = await deps.clients.for_shop(shop.shop_id)
        await client.reconcile_subscriptions(
            wanted=(), public_url=public_url or public_url_of(former) or "", former_uris=former
        )
    except ShopifyError as error:
        return str(error)
    return ""
