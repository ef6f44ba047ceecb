"""Home: is all well, shop by shop, and how busy the last day and month were. Reads aggregates only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from stockwright import notify_settings
from stockwright.model import ShopId
from stockwright.schedules import time_zone
from stockwright.store import stats
from stockwright.store.database import Connection
from stockwright.store.stats import Count, ShopNow
from stockwright.web.admin.pages import page
from stockwright.web.admin.routing import get
from stockwright.web.admin.site import Section
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import deps_of, site_of, visit_of

_LATE_S = 60.0  # a worker takes due work within a second or two
_QUIET = timedelta(days=1)
_UTC = ZoneInfo("UTC")

Bucket = Literal["hour", "day"]


# --- is all well ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that a person should look at."""

    level: str  # bad | warn | info
    text: str
    href: str  # "" when there is no page for it
    todo: str  # what to do, as the words of the link or of a sentence


def troubles(shop: ShopNow, now: datetime, *, unlinked: str = "") -> list[Trouble]:
    """What is not as it should be with a shop, worst first. Who paused a shop knows that nothing happens there.

    `unlinked`: what does not work as mails cannot link to this service; "" = they can, or need not.
    """
    if shop.status == "stopped":
        return [_at_rest(shop)]
    found = [
        *_shut_out(shop),
        *_stocks(shop),
        *_mail(shop),
        *_unlinked(unlinked),
        *_offers(shop),
        *_work(shop),
        *_webhooks(shop, now),
        *_privacy(shop, now),
    ]
    return sorted(found, key=lambda one: ("bad", "warn", "info").index(one.level))


def _at_rest(shop: ShopNow) -> Trouble:
    text = f"{shop.status_reason} Nothing is read or written until somebody resumes it."
    return Trouble(level="info", text=text, href=_page_of(shop), todo="Open the shop")


def _page_of(shop: ShopNow) -> str:
    return f"/settings/shops/{shop.shop_id}"


def _shut_out(shop: ShopNow) -> list[Trouble]:
    found = []
    if shop.status != "active":
        text = f"Nothing is done for this shop: {shop.status_reason or 'no reason was recorded'}"
        found.append(Trouble(level="bad", text=text, href=_page_of(shop), todo="Open the shop"))
    if shop.budget_blocked:
        text = "Shopify asked us to wait; calls go on by themselves."
        found.append(Trouble(level="warn", text=text, href="", todo=""))
    return found


def _stocks(shop: ShopNow) -> list[Trouble]:
    found = []
    if shop.frozen:
        text = f"{_plural(shop.frozen, 'stock is', 'stocks are')} frozen until you decide what the true number is."
        href = f"/stock?shop={shop.shop_id}&state=frozen"
        found.append(Trouble(level="bad", text=text, href=href, todo="Decide"))
    if shop.assumed:
        count = _plural(shop.assumed, "correction was", "corrections were")
        text = f"{count} booked as applied although Shopify's answer was lost."
        href = f"/stock?shop={shop.shop_id}&state=assumed"
        found.append(Trouble(level="info", text=text, href=href, todo="Look at them"))
    return found


def _mail(shop: ShopNow) -> list[Trouble]:
    if not shop.mail_stop_reason:
        return []
    text, href = f"Mail is stopped: {shop.mail_stop_reason}", f"/mail/settings/{shop.shop_id}"
    return [Trouble(level="bad", text=text, href=href, todo="Open the mail settings")]


def _unlinked(told: str) -> list[Trouble]:
    return [Trouble(level="bad", text=told, href="", todo=notify_settings.SET_ADDRESS)] if told else []


def _offers(shop: ShopNow) -> list[Trouble]:
    if not shop.offers_failing:
        return []
    text = f"{_plural(shop.offers_failing, 'offer', 'offers')} could not follow the schedule."
    return [Trouble(level="bad", text=text, href=f"/offers?shop={shop.shop_id}", todo="See why")]


def _work(shop: ShopNow) -> list[Trouble]:
    found = []
    if shop.lag_s > _LATE_S and shop.status == "active":
        text = f"Work has waited for {round(shop.lag_s / 60)} minutes. Is a worker running?"
        found.append(Trouble(level="bad", text=text, href="", todo="Look at the log of the worker process."))
    if shop.failed_runs:
        text = f"{_plural(shop.failed_runs, 'run', 'runs')} failed in the last 24 hours."
        href = f"/runs?shop={shop.shop_id}&state=failed"
        found.append(Trouble(level="warn", text=text, href=href, todo="See why"))
    if not shop.automations_enabled:
        text = "No automation is switched on, so nothing happens yet."
        found.append(Trouble(level="info", text=text, href="/automations", todo="Choose one"))
    return found


def _webhooks(shop: ShopNow, now: datetime) -> list[Trouble]:
    href = _page_of(shop)
    if shop.webhook_problems:
        text = f"Shopify does not tell us of {_plural(shop.webhook_problems, 'kind', 'kinds')} of change."
        return [Trouble(level="warn", text=text, href=href, todo="See which")]
    if shop.last_webhook_at is None and shop.automations_enabled:
        return [_never_heard(shop, now, href)]
    if shop.last_webhook_at is not None and now - shop.last_webhook_at > _QUIET:
        return [
            Trouble(level="warn", text="No webhook has come for a day.", href=href, todo="Check the shop")
        ]
    return []


def _never_heard(shop: ShopNow, now: datetime, href: str) -> Trouble:
    """Normal for a new shop in which nothing has changed yet; after a day it is worth a look."""
    if now - shop.created_at < _QUIET:
        text = "No webhook has come yet: Shopify sends the first when a stock level changes."
        return Trouble(level="info", text=text, href=href, todo="Open the shop")
    text = "No webhook has ever come. Changes are found at reconciliation only."
    return Trouble(level="warn", text=text, href=href, todo="Check the shop")


def _privacy(shop: ShopNow, now: datetime) -> list[Trouble]:
    if not shop.privacy_requests or shop.privacy_due_at is None:
        return []
    days = max(0, (shop.privacy_due_at - now).days)
    count = _plural(
        shop.privacy_requests, "request about people's data waits", "requests about people's data wait"
    )
    text = f"{count} for you; {_plural(days, 'day', 'days')} left."
    return [
        Trouble(
            level="warn" if days > 5 else "bad", text=text, href="/settings/privacy", todo="See what to do"
        )
    ]


def _plural(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


# --- charts -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of a chart: what is counted, and what people call it."""

    what: str  # of the table `hourly`
    title: str


MEASURES = (
    Measure(what="events", title="Events"),
    Measure(what="done:correct", title="Corrections"),
    Measure(what="done:publish", title="Publishes"),
    Measure(what="mails", title="Mails"),
)


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of time that is charted."""

    key: str
    title: str
    bucket: Bucket
    buckets: int


SPANS = (
    Span(key="day", title="Last 24 hours", bucket="hour", buckets=24),
    Span(key="month", title="Last 30 days", bucket="day", buckets=30),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One hour or day of a chart's table."""

    at: datetime
    label: str
    counts: tuple[int, ...]  # as MEASURES


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A span with its numbers, oldest first."""

    span: Span
    rows: Sequence[Row]

    @property
    def totals(self) -> list[int]:
        """Over the whole span, as MEASURES."""
        return [sum(row.counts[no] for row in self.rows) for no in range(len(MEASURES))]


def starts(span: Span, now: datetime, zone: ZoneInfo) -> list[datetime]:
    """The starts of a span's hours or days in a time zone, oldest first; the last one is still going on."""
    if span.bucket == "hour":
        last = now.replace(minute=0, second=0, microsecond=0)
        return [last - timedelta(hours=back) for back in reversed(range(span.buckets))]
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=back) for back in reversed(range(span.buckets))]


def chart(span: Span, counts: Sequence[Count], now: datetime, zone: ZoneInfo) -> Chart:
    """A span with a row for every hour or day, zeros too."""
    found = {(count.what, count.at): count.count for count in counts}
    label = "%H:%M" if span.bucket == "hour" else "%d %b"
    return Chart(
        span=span,
        rows=[
            Row(
                at=at,
                label=at.astimezone(zone).strftime(label),
                counts=tuple(found.get((measure.what, at), 0) for measure in MEASURES),
            )
            for at in starts(span, now, zone)
        ],
    )


# --- the page ---------------------------------------------------------------------------------------------


async def show(request: Request) -> Response:
    """The page, or one chart's table as CSV."""
    now = visit_of(request).now
    chosen = _chosen_shop(request)
    public_url = site_of(request).own.settings.public_url
    async with deps_of(request).database.connection() as conn:
        shops = await stats.shops_now(conn, now=now)
        unlinked = {} if public_url else await _unlinked_shops(conn)
        zone = _zone([shop for shop in shops if chosen in (None, shop.shop_id)])
        charts = []
        for span in SPANS:
            since = starts(span, now, zone)[0]
            counts = await stats.series(
                conn,
                bucket=span.bucket,
                since=since,
                zone="UTC" if span.bucket == "hour" else zone.key,
                whats=[measure.what for measure in MEASURES],
                shop_id=chosen,
            )
            charts.append(chart(span, counts, now, zone))
    if wants_csv(request):
        return _csv(charts[1] if request.query_params.get("span") == "month" else charts[0])
    found = [(shop, troubles(shop, now, unlinked=unlinked.get(shop.shop_id, ""))) for shop in shops]
    return page(
        request,
        "home.html",
        title="Home",
        shops=found,
        waiting_for_you=sum(trouble.level != "info" for _, some in found for trouble in some),
        charts=charts,
        measures=MEASURES,
        zone=zone.key,
        chosen=chosen,
        pools_counted=stats.POOLS_COUNTED,
        people_counted=stats.PEOPLE_COUNTED,
        public_url=public_url,
    )


async def _unlinked_shops(conn: Connection) -> dict[ShopId, str]:
    """What does not work without our address in shops that tell people of restocks."""
    found = await notify_settings.enabled_of_all(conn)
    return {shop_id: notify_settings.lost_without_address(one.options) for shop_id, one in found.items()}


def _chosen_shop(request: Request) -> ShopId | None:
    text = request.query_params.get("shop", "")
    return ShopId(int(text)) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _zone(shops: Sequence[ShopNow]) -> ZoneInfo:
    """The time zone that the shops share, else UTC. Only whole hours fit the hourly counts."""
    names = {shop.timezone for shop in shops}
    return (time_zone(names.pop()) or _UTC) if len(names) == 1 else _UTC


def _csv(found: Chart) -> Response:
    header = ["start", *(measure.title for measure in MEASURES)]
    rows = [
        {"start": row.at, **{m.title: n for m, n in zip(MEASURES, row.counts, strict=True)}}
        for row in found.rows
    ]
    return csv_response(f"stockwright-{found.span.key}", rows, header=header)


SECTION = Section(title="Home", href="/", icon="home", routes=(get("/", show),), samples=("/",))
