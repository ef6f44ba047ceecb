"""What is done for offers from time to time: schedules, orders counted for limits, the theme's copy kept in step.

Every pass catches up on what was missed, and may be done twice or by two at once without harm.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from stockwright import offering
from stockwright.automations.notify_options import NotifyOptions
from stockwright.deps import Deps
from stockwright.model import Json, ShopId, StockwrightError, gid_number
from stockwright.notify.ahead import Ahead, Counting, Taken, ahead
from stockwright.notify.offers import Mode, Status, as_of, at_limit
from stockwright.offer_desk import end
from stockwright.offering import SERVICE, audit_offer, item_of, offer_of
from stockwright.shopify.errors import ShopifyError
from stockwright.shopify.metafields import MAX_METAFIELDS
from stockwright.shopify.preorders import CUSTOMERS, OrderTaken
from stockwright.store import offer_orders, offer_themes, offers, shops
from stockwright.store.database import Connection
from stockwright.store.offer_orders import LineRow
from stockwright.store.offer_themes import ShownRow, ThemeRow
from stockwright.store.offers import OfferRow, Place
from stockwright.store.shops import Shop
from stockwright.upkeep import NEW_ORDER, subscribe

LOG = structlog.get_logger(__name__)

ORDERS_SCOPE = "read_orders"
NAMESPACE = "stockwright"
_ALL_VARIANTS = 0  # no variant has this number
BUCKETS = 64  # metafields over which products are spread, by product number
SETTINGS_KEY = "settings"
_ROUNDS = 100  # pages of one pass; the rest waits for the next
_ORDERS_EVERY = timedelta(minutes=5)  # orders are looked at so often without any webhook
_OVERLAP = timedelta(minutes=10)  # read again: search may lag
_COMPARE_EVERY = timedelta(minutes=1)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=30)
_MOST_SHOWN = 200_000  # products and variants of one shop in the theme


@dataclass(frozen=True, kw_only=True)
class OfferUpkeep:
    """The passes."""

    deps: Deps

    async def keep_schedules(self) -> None:
        """Start and end the offers whose time has come."""
        after = offers.FIRST
        for _ in range(_ROUNDS):
            async with self.deps.database.connection() as conn:
                due = await offers.due(conn, self.deps.clock(), after=after)
            for place in due:
                await self._follow(place)
            if not due:
                return
            after = due[-1]

    async def _follow(self, place: Place) -> None:
        """One that fails holds up no other; why is kept where people see it, and it is tried again next time."""
        try:
            await follow_schedule(self.deps, *place)
        except Exception as error:
            LOG.exception("an offer could not follow its schedule", shop_id=place[0], offer_id=place[1])
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            async with self.deps.database.connection() as conn:
                await offers.note_problem(conn, place, reason)

    async def count_orders(self) -> None:
        """Count what was ordered ahead in shops whose offers have limits."""
        before = self.deps.clock() - _ORDERS_EVERY
        async with self.deps.database.connection() as conn:
            due = await offer_orders.shops_due(conn, before=before, topics=[NEW_ORDER])
        for shop_id in due:
            try:
                await count_orders(self.deps, shop_id)
            except Exception:  # of one shop; the others come first
                LOG.exception("the orders of a shop could not be counted", shop_id=shop_id)

    async def tell_themes(self) -> None:
        """Write the offers where the theme reads them."""
        async with self.deps.database.connection() as conn:
            due = await offer_themes.due(conn, self.deps.clock())
        for row in due:
            try:
                await tell_theme(self.deps, row)
            except Exception:
                LOG.exception("a theme could not be told of the offers", shop_id=row.shop_id)


# --- schedules ---------------------------------------------------------------------------------------------------


async def follow_schedule(deps: Deps, shop_id: ShopId, offer_id: str) -> None:
    """Bring one offer into the status that its schedule asks for now."""
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        row = await offers.lock(conn, shop_id, offer_id)
        if row is None or (offer := as_of(offer_of(row), now)) == offer_of(row):
            return
        saved = await offering.save(conn, row, offer, now=now)
        is_over = offer.status is Status.COMPLETED
        ended = await end(conn, saved, by=SERVICE, now=now) if is_over else 0
        detail: dict[str, Json] = {"status": saved.status, "because": "Its schedule says so."}
        detail |= {"stopped_waiting": ended} if ended else {}
        await audit_offer(conn, SERVICE, "offer.end" if is_over else "offer.start", saved, detail, at=now)
        await offering.look_soon(conn, saved, at=now)


# --- orders -------------------------------------------------------------------------------------------------------


async def count_orders(deps: Deps, shop_id: ShopId) -> None:
    """Count the orders touched since the last look, page by page; what went wrong is kept for people to see."""
    now = deps.clock()
    async with deps.database.connection() as conn:
        await offer_orders.begin(conn, shop_id, now)
        row = await offer_orders.counting(conn, shop_id)
        shop = await shops.get(conn, shop_id)
    assert row is not None
    if shop is None:
        return
    since = row.counted_to - _OVERLAP
    counted_to, problem = row.counted_to, _scope_problem(shop)
    if not problem:
        counted_to, problem = await _count_pages(deps, shop, since, now)
    async with deps.database.connection() as conn:
        await offer_orders.looked(conn, shop_id, counted_to=counted_to, now=now, problem=problem)


def _scope_problem(shop: Shop) -> str:
    if ORDERS_SCOPE in shop.scopes:
        return ""
    return (
        f"The app was not granted {ORDERS_SCOPE} by {shop.domain}, so nothing is counted and no limit is ever reached. "
        f"Grant it in the app's configuration, then run: stockwright shop check {shop.domain}"
    )


async def _count_pages(deps: Deps, shop: Shop, since: datetime, now: datetime) -> tuple[datetime, str]:
    """Up to where the orders are counted now, and what was wrong."""
    client = await deps.clients.for_shop(shop.shop_id)
    customers = CUSTOMERS in shop.scopes
    after: str | None = None
    cut, reached = "", since
    for _ in range(_ROUNDS):
        try:
            page = await client.read_orders_ahead(since=since, after=after, customers=customers)
        except ShopifyError as error:
            return reached, str(error)
        await _count(deps, shop.shop_id, page.orders, since=since)
        cut = cut or _cut_told(page.orders)
        reached = max([reached, *(order.updated_at for order in page.orders)])
        if (after := page.after) is None:
            return now, cut
    return reached, cut


def _cut_told(orders: Iterable[OrderTaken]) -> str:
    cut = next((order for order in orders if not order.is_whole), None)
    return (
        f"The order {cut.order_id} has more lines than are read; its further lines count for no limit."
        if cut
        else ""
    )


async def _count(deps: Deps, shop_id: ShopId, orders: Iterable[OrderTaken], *, since: datetime) -> None:
    """Count one page of orders, in one transaction."""
    lines = [line for order in orders for line in _taken(order)]
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        rows = await offer_orders.lock_limited(conn, shop_id)
        known = await offer_orders.known_lines(conn, shop_id, [line.line_id for line in lines])
        for line in lines:
            if line.line_id in known:
                await offer_orders.lower_line(conn, shop_id, line.line_id, quantity=line.quantity)
        fresh = [line for line in lines if line.line_id not in known]
        found = ahead(fresh, [await _counting(conn, row, since) for row in rows])
        await offer_orders.put_lines(conn, shop_id, [_line_row(one) for one in found])
        for row in rows:
            await _heed_limit(conn, row, now)


def _taken(order: OrderTaken) -> list[Taken]:
    return [
        Taken(
            order_id=order.order_id,
            line_id=line.line_id,
            product_id=line.product_id,
            variant_id=line.variant_id,
            customer_id=order.customer_id,
            quantity=0 if order.is_cancelled else line.quantity,
            created_at=order.created_at,
            available=line.available,
        )
        for line in order.lines
    ]


async def _counting(conn: Connection, row: OfferRow, since: datetime) -> Counting:
    items = await offers.items(conn, row.shop_id, row.offer_id)
    return Counting(
        offer_id=row.offer_id,
        mode=Mode(row.mode),
        items=tuple(item_of(item) for item in items),
        since=max(row.activated_at or row.created_at, since),
        until=None if row.status == Status.ACTIVE else row.updated_at,
    )


def _line_row(one: Ahead) -> LineRow:
    return LineRow(
        offer_id=one.offer_id,
        order_id=one.taken.order_id,
        line_id=one.taken.line_id,
        variant_id=one.taken.variant_id,
        customer_id=one.taken.customer_id,
        quantity=one.quantity,
        ordered_at=one.taken.created_at,
    )


async def _heed_limit(conn: Connection, row: OfferRow, now: datetime) -> None:
    ordered = await offers.ordered(conn, row.shop_id, row.offer_id)
    offer = at_limit(offer_of(row), ordered)
    if offer == offer_of(row):
        return
    saved = await offering.save(conn, row, offer, now=now)
    because = f"Its limit is reached: {ordered} of {row.limit_total} units. The offer is paused."
    await audit_offer(conn, SERVICE, "offer.pause", saved, {"because": because}, at=now)


async def subscribe_orders(deps: Deps, row: OfferRow, *, public_url: str | None) -> str:
    """Have the shop tell of new orders when an offer's limit needs them; why it will not, or ""."""
    runs = row.status in (Status.SCHEDULED, Status.ACTIVE, Status.PAUSED)
    if not runs or (row.limit_total is None and row.limit_per_customer is None):
        return ""
    async with deps.database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
    if shop is None:
        return ""
    if problem := _scope_problem(shop):
        return problem
    try:
        states = await subscribe(deps, shop, public_url=public_url)
    except StockwrightError as error:
        return f"Orders are counted every 5 minutes only, as no webhooks come. {error}"
    return next(
        (f"No webhooks of orders: {one.problem}" for one in states if one.topic == NEW_ORDER and one.problem),
        "",
    )


# --- the theme ------------------------------------------------------------------------------------------------------


async def tell_theme(deps: Deps, row: ThemeRow) -> None:
    """Write what changed of one shop's offers into the app's metafields; a failure is tried again later."""
    now = deps.clock()
    async with deps.database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
        if shop is None:
            return
        wanted = await _wanted(conn, shop)
    digests = dict(row.digests)
    changed = {key: text for key, text in wanted.items() if digests.get(key, _EMPTY) != _digest(text)}
    try:
        await _write(deps, row.shop_id, changed, digests)
    except ShopifyError as error:
        await _put_off(deps, row, digests, error, now)
        return
    async with deps.database.connection() as conn:
        await offer_themes.written(conn, row, digests, at=now, next_at=now + _COMPARE_EVERY)


async def _wanted(conn: Connection, shop: Shop) -> dict[str, str]:
    """Every metafield as it should be: on the free plan, or when the feature is off, without any product."""
    options = await offering.enabled_options(conn, shop.shop_id)
    shows = shop.plan == "premium" and options is not None and options.sign_ups
    rows = await offer_themes.shown(conn, shop.shop_id, limit=_MOST_SHOWN) if shows else []
    return {**buckets(rows), SETTINGS_KEY: _settings(options or NotifyOptions())}


def _settings(options: NotifyOptions) -> str:
    tags = sorted(tag.casefold() for tag in options.exclude_tags)
    return _json({"button": options.button, "exclude_tags": tags, "guests": options.guests})


def buckets(rows: Iterable[ShownRow]) -> dict[str, str]:
    """JSON texts by key: {"<product number>": "*" or [variant numbers]}, a product in bucket number modulo 64.

    Limits per order stand beside the products: "limits": {"<product number>": {"*" or "<variant number>": units}}.
    """
    products: defaultdict[int, dict[int, int | None]] = defaultdict(dict)
    for row in rows:
        variant = int(gid_number(row.variant_id)) if row.variant_id else _ALL_VARIANTS
        products[int(gid_number(row.product_id))][variant] = row.limit_per_order
    shown: dict[int, dict[str, Json]] = {number: {} for number in range(BUCKETS)}
    for product, variants in sorted(products.items()):
        bucket = shown[product % BUCKETS]
        bucket[str(product)] = "*" if _ALL_VARIANTS in variants else sorted(variants)
        if found := _limits(variants):
            bucket["limits"] = {**bucket.get("limits", {}), str(product): found}
    return {bucket_key(number): _json(one) for number, one in shown.items()}


def _limits(variants: Mapping[int, int | None]) -> dict[str, Json]:
    """The smallest limit of each variant, "*" for those that are not named."""
    whole = variants.get(_ALL_VARIANTS)
    found: dict[str, Json] = {}
    for variant, own in variants.items():
        limits = [one for one in (own, whole) if one is not None]
        if limits:
            found[str(variant) if variant != _ALL_VARIANTS else "*"] = min(limits)
    return found


def bucket_key(number: int) -> str:
    """The key of the metafield with the products of this number modulo 64, such as offers_07."""
    return f"offers_{number % BUCKETS:02d}"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_EMPTY = _digest(_json({}))  # what was never written holds nothing


async def _write(deps: Deps, shop_id: ShopId, changed: Mapping[str, str], digests: dict[str, str]) -> None:
    """Write in requests of 25; `digests` grows with what the shop took, so that a failure repeats only the rest."""
    client = await deps.clients.for_shop(shop_id)
    keys = sorted(changed)
    for start in range(0, len(keys), MAX_METAFIELDS):
        some = {key: changed[key] for key in keys[start : start + MAX_METAFIELDS]}
        await client.set_app_metafields(NAMESPACE, some)
        digests.update({key: _digest(text) for key, text in some.items()})


async def _put_off(
    deps: Deps, row: ThemeRow, digests: Mapping[str, str], error: ShopifyError, now: datetime
) -> None:
    pause = min(_FIRST_PAUSE * 2 ** min(row.attempts, 10), _LONGEST_PAUSE)
    pause = max(pause, timedelta(seconds=error.retry_after_s or 0))
    LOG.warning("the theme's copy of the offers is not written; it is tried again", error=str(error))
    async with deps.database.connection() as conn:
        await offer_themes.failed(conn, row, digests, problem=str(error), next_at=now + pause)
