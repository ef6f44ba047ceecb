"""Is a shop well: token, scopes, webhooks, clocks, stocks. Findings with what to do, for `shop check` and `doctor`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from stockwright import notify_settings
from stockwright.automations import KINDS, kind_named
from stockwright.automations.contract import STOCK_SCOPES, missing_scopes
from stockwright.deps import Deps
from stockwright.model import StockwrightError
from stockwright.shopify.catalogue import ShopAnswer
from stockwright.shopify.errors import ShopifyError
from stockwright.shopify.subscriptions import TOPIC_PREFIX, WebhookSubscription, enum_topic, webhook_uri
from stockwright.shopify.transport import NotSent, Unanswered, open_http, post
from stockwright.store import arrivals, automations, pools, webhook_subscriptions
from stockwright.store.shops import Shop
from stockwright.upkeep import checked_public_url, public_url_of

WANTED_SCOPE = "read_orders"
_QUIET = timedelta(days=1)
_SKEW_LIMIT_S = 5.0


class Verdict(StrEnum):
    """How a thing stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    about: str
    found: str
    advice: str = ""  # what to do; "" when nothing is to be done


def worst(findings: Sequence[Finding]) -> Verdict:
    """The verdict over all."""
    for verdict in (Verdict.FAIL, Verdict.WARN):
        if any(finding.verdict is verdict for finding in findings):
            return verdict
    return Verdict.OK


async def check_shop(deps: Deps, shop: Shop, *, public_url: str | None) -> list[Finding]:
    """Ask the shop and our own rows; a shop that does not answer is a finding, not an error."""
    findings = [_status(shop), *await _links(deps, shop, public_url)]
    deps.clients.forget(shop.shop_id)
    try:
        client = await deps.clients.for_shop(shop.shop_id)
        answer = await client.read_shop()
        at_shop = await client.webhook_subscriptions()
    except ShopifyError as error:
        return [*findings, Finding(verdict=Verdict.FAIL, about="connection", found=str(error))]
    findings.append(_connection(answer))
    findings.append(await _clock(deps, shop))
    findings.append(scopes_finding(answer.scopes, await _kinds_at_work(deps, shop)))
    findings.append(await _webhooks(deps, shop, public_url, at_shop))
    findings.append(await _last_webhook(deps, shop))
    findings.append(await _stocks(deps, shop))
    return findings


def _status(shop: Shop) -> Finding:
    if shop.status == "active":
        return Finding(verdict=Verdict.OK, about="status", found="active")
    return Finding(
        verdict=Verdict.FAIL,
        about="status",
        found=f"{shop.status}: {shop.status_reason}",
        advice="Nothing is done for it until somebody resumes it in the admin site."
        if shop.status == "stopped"
        else "Nothing is done for it. Once it lets us in again, it becomes active.",
    )


async def _links(deps: Deps, shop: Shop, public_url: str | None) -> list[Finding]:
    """Whether mails to shoppers can link to our pages; of no interest where they are not told of restocks."""
    async with deps.database.connection() as conn:
        found = await notify_settings.enabled(conn, shop.shop_id)
    if found is None:
        return []
    if public_url is not None:
        return [Finding(verdict=Verdict.OK, about="links in mails", found=f"lead to {public_url}")]
    lost = notify_settings.lost_without_address(found.options)
    return [
        Finding(verdict=Verdict.WARN, about="links in mails", found=lost, advice=notify_settings.SET_ADDRESS)
    ]


def _connection(answer: ShopAnswer) -> Finding:
    places = sum(location.is_active for location in answer.shop.locations)
    found = f"{answer.shop.name} answers ({answer.shop.timezone}, {places} active locations)"
    return Finding(verdict=Verdict.OK, about="connection", found=found)


def scopes_finding(granted: Sequence[str], kinds: Iterable[str] = ()) -> Finding:
    """Whether the granted scopes suffice for shared stock, and for these kinds of automation."""
    lacking = {
        **dict.fromkeys(missing_scopes(granted, STOCK_SCOPES), "shared stock"),
        **{scope: kind for kind in kinds for scope in missing_scopes(granted, kind_named(kind).scopes)},
    }
    if lacking:
        return Finding(
            verdict=Verdict.FAIL,
            about="scopes",
            found="missing: " + ", ".join(f"{scope} (for {use})" for scope, use in lacking.items()),
            advice="Grant them in the app's configuration and install the new version.",
        )
    unused = missing_scopes(granted, (scope for kind in KINDS.values() for scope in kind.scopes))
    if unused:
        names = ", ".join(dict.fromkeys(unused))
        return Finding(
            verdict=Verdict.WARN,
            about="scopes",
            found=f"sufficient for what is installed; {names} not granted",
            advice="Publishing products to sales channels needs them.",
        )
    if missing_scopes(granted, (WANTED_SCOPE,)):
        return Finding(
            verdict=Verdict.WARN,
            about="scopes",
            found=f"sufficient; {WANTED_SCOPE} is not granted",
            advice="With it, orders can decide whether a correction whose answer was lost was applied.",
        )
    return Finding(verdict=Verdict.OK, about="scopes", found=f"sufficient, {WANTED_SCOPE} too")


async def _clock(deps: Deps, shop: Shop) -> Finding:
    """Our clock against the Date of an answer; a request without a token is answered too."""
    try:
        async with open_http() as http:
            url = f"{shop.api_url}/admin/api/2026-10/graphql.json"
            answer = await post(http, url, headers={"Content-Type": "application/json"}, body=b"{}")
        skew_s = (deps.clock() - parsedate_to_datetime(answer.headers["date"])).total_seconds()
    except (NotSent, Unanswered, KeyError, ValueError):
        return Finding(
            verdict=Verdict.WARN, about="clock", found="the shop's answer carries no time to compare"
        )
    if abs(skew_s) <= _SKEW_LIMIT_S:
        return Finding(verdict=Verdict.OK, about="clock", found="agrees with the shop's to a few seconds")
    return Finding(
        verdict=Verdict.FAIL,
        about="clock",
        found=f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the shop's",
        advice="Set this machine's clock by NTP: lost answers are judged by time.",
    )


async def _kinds_at_work(deps: Deps, shop: Shop) -> list[str]:
    async with deps.database.connection() as conn:
        rows = await automations.list_all(conn, shop.shop_id)
    return sorted({row.kind for row in rows if row.enabled})


async def _webhooks(
    deps: Deps, shop: Shop, public_url: str | None, at_shop: Sequence[WebhookSubscription]
) -> Finding:
    async with deps.database.connection() as conn:
        rows = await webhook_subscriptions.of_shop(conn, shop.shop_id)
        listened_to = await automations.topics_of_shop(conn, shop.shop_id)
    try:
        known = public_url or public_url_of([row.uri for row in rows])
        address = webhook_uri(checked_public_url(shop, known))
    except StockwrightError as error:
        return Finding(verdict=Verdict.WARN, about="webhooks", found="none will come", advice=str(error))
    problems = [f"{row.topic}: {row.problem}" for row in rows if row.problem]
    if problems:
        return Finding(verdict=Verdict.FAIL, about="webhooks", found="; ".join(problems))
    sent = {one.topic for one in at_shop if one.uri == address}
    wanted = [topic for topic in listened_to if topic.startswith(TOPIC_PREFIX)]
    lacking = [topic.removeprefix(TOPIC_PREFIX) for topic in wanted if enum_topic(topic) not in sent]
    if not rows or not sent or lacking:
        what = f" {', '.join(lacking)}" if sent and lacking else ""
        return Finding(
            verdict=Verdict.FAIL,
            about="webhooks",
            found=f"the shop does not send{what} to {address}",
            advice=f"Run: stockwright shop subscribe {shop.domain}",
        )
    topics = ", ".join(row.topic.removeprefix("shopify/") for row in rows)
    return Finding(verdict=Verdict.OK, about="webhooks", found=f"{topics} come to {address}")


async def _last_webhook(deps: Deps, shop: Shop) -> Finding:
    async with deps.database.connection() as conn:
        at = await arrivals.last_webhook_at(conn, shop.shop_id)
    if at is None:
        return Finding(
            verdict=Verdict.WARN,
            about="last webhook",
            found="none has come yet",
            advice="Change a stock in the shop's admin and look again. Is the public address reachable from outside?",
        )
    verdict = Verdict.OK if deps.clock() - at < _QUIET else Verdict.WARN
    return Finding(verdict=verdict, about="last webhook", found=_ago(at, deps.clock()))


def _ago(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    for unit, length_s in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} seconds ago"


async def _stocks(deps: Deps, shop: Shop) -> Finding:
    async with deps.database.connection() as conn:
        counts = await pools.counts(conn, shop.shop_id)
    told = f"{counts.pools} shared, {counts.frozen} frozen, {counts.assumed} outcomes assumed"
    if not counts.frozen:
        return Finding(verdict=Verdict.OK, about="stocks", found=told)
    return Finding(
        verdict=Verdict.FAIL,
        about="stocks",
        found=told,
        advice=f"Frozen stocks wait for you: stockwright stock show --shop {shop.domain}",
    )
