"""Which webhook subscriptions to create, change or delete, and doing it.

Only subscriptions whose address is ours are ever touched. Topics are named as our automations name them,
"shopify/inventory_levels/update"; Shopify's header drops the "shopify/", its API says INVENTORY_LEVELS_UPDATE.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stockwright.model import JsonObject
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.sizes import MAX_PAGE
from stockwright.shopify.wire import Node, listed, next_cursor

TOPIC_PREFIX = "shopify/"
WEBHOOK_PATH = "/webhooks/shopify"
MAX_PAGES = 10

# Any one of these scopes is enough; topics that are not listed need none that we can name.
_INVENTORY = frozenset({"read_inventory"})
_PRODUCTS = frozenset({"read_products"})
_SCOPES = {
    "inventory_levels": _INVENTORY,
    "inventory_items": frozenset({"read_inventory", "read_products"}),
    "products": _PRODUCTS,
    "variants": _PRODUCTS,
    "collections": _PRODUCTS,
    "orders": frozenset({"read_orders"}),
    "refunds": frozenset({"read_orders"}),
    "locations": frozenset({"read_locations"}),
    "channels": frozenset({"read_publications"}),
}
# Where the last underscore of the enum form is not the slash: subjects that have verbs of several words, and
# subjects that begin like one of those.
_SUBJECTS = (
    "app", "app_purchases_one_time", "app_subscriptions", "audit_events", "customers",
    "customers_email_marketing_consent", "customers_marketing_consent",
    "customers_whats_app_marketing_consent", "discounts", "fulfillment_orders",
    "inventory_shipments", "inventory_transfers", "orders", "product_feeds", "reverse_deliveries",
    "variants",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WebhookSubscription:
    """One subscription at the shop; `topic` in the API's form."""

    id: str
    topic: str
    uri: str
    format: str = "JSON"
    filter: str = ""
    include_fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Create:
    """Subscribe to a topic."""

    topic: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class Update:
    """Point an existing subscription of ours at the right address."""

    id: str
    topic: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Drop a subscription of ours that is not wanted, doubled, or filtered."""

    id: str
    topic: str


Change = Create | Update | Delete


@dataclass(frozen=True, kw_only=True)
class SubscriptionState:
    """What became of one wanted topic; `problem` is "" when deliveries will come."""

    topic: str  # shopify/inventory_levels/update
    subscription_id: str
    uri: str
    problem: str


def enum_topic(topic: str) -> str:
    """shopify/inventory_levels/update (or without "shopify/") -> INVENTORY_LEVELS_UPDATE."""
    return topic.removeprefix(TOPIC_PREFIX).replace("/", "_").upper()


def header_topic(enum: str) -> str:
    """INVENTORY_LEVELS_UPDATE -> inventory_levels/update, the form of the X-Shopify-Topic header."""
    text = enum.lower()
    fitting = [subject for subject in _SUBJECTS if text.startswith(subject + "_")]
    if fitting:
        subject = max(fitting, key=len)
        return f"{subject}/{text.removeprefix(subject + '_')}"
    return "/".join(text.rsplit("_", 1))


def missing_scope(topic: str, granted: Iterable[str]) -> str | None:
    """A sentence saying which scope a topic lacks; None when nothing is missing."""
    plain = topic.removeprefix(TOPIC_PREFIX)
    needed = _SCOPES.get(plain.split("/")[0], frozenset())
    held = {name for scope in granted for name in (scope, scope.replace("write_", "read_", 1))}
    if not needed or needed & held:
        return None
    return (
        f"The topic {plain} needs the access scope {' or '.join(sorted(needed))}. Grant it in the app's "
        "configuration, install the new version, then subscribe again."
    )


def webhook_uri(public_url: str) -> str:
    """The address that deliveries go to."""
    return public_url.rstrip("/") + WEBHOOK_PATH


def plan_changes(
    wanted: Iterable[str],
    existing: Sequence[WebhookSubscription],
    *,
    uri: str,
    former_uris: Iterable[str] = (),
) -> tuple[Change, ...]:
    """What to change so that each wanted topic has exactly one plain subscription at `uri`.

    `former_uris` are addresses that were ours before (the public address changed). A subscription of ours
    with a filter, chosen fields or another format is replaced: it would hide or reshape deliveries.
    """
    topics = {enum_topic(topic): topic for topic in wanted}
    ours = {uri, *former_uris}
    changes: list[Change] = []
    served: set[str] = set()
    for one in sorted(existing, key=lambda found: (found.uri != uri, found.id)):
        if one.uri not in ours:
            continue
        if one.topic not in topics or one.topic in served or not _is_plain(one):
            changes.append(Delete(id=one.id, topic=one.topic))
            continue
        served.add(one.topic)
        if one.uri != uri:
            changes.append(Update(id=one.id, topic=one.topic, uri=uri))
    # Deletions come first: an address may be taken once per topic only.
    changes.sort(key=lambda change: not isinstance(change, Delete))
    return (*changes, *(Create(topic=topic, uri=uri) for topic in sorted(topics) if topic not in served))


def _is_plain(one: WebhookSubscription) -> bool:
    return one.format == "JSON" and not one.filter and not one.include_fields


async def list_subscriptions(caller: Caller) -> tuple[WebhookSubscription, ...]:
    """All subscriptions of this app at the shop.

    Raises:
        ShopifyError: LIMIT above 2,500.
    """
    found: list[WebhookSubscription] = []
    after: str | None = None
    for _ in range(MAX_PAGES):
        variables = {"size": MAX_PAGE, "after": after}
        data = await caller.read("webhook_subscriptions", variables, priority=Priority.EVENT)
        connection = data.child("webhookSubscriptions")
        found += listed(connection, _subscription)
        if (after := next_cursor(connection)) is None:
            return tuple(found)
    message = f"The shop holds more than {MAX_PAGES * MAX_PAGE} webhook subscriptions of this app."
    raise ShopifyError(ErrorCode.LIMIT, message, permanent=True)


async def create(caller: Caller, *, topic: str, uri: str) -> WebhookSubscription:
    """Subscribe to a topic in the API's form.

    Raises:
        ShopifyError: refused (INVALID_REQUEST, with Shopify's own words), or any failure of a call.
    """
    payload = await _changed(
        caller, "create_webhook_subscription", "webhookSubscriptionCreate", {"topic": topic, "uri": uri}
    )
    return _subscription(payload.child("webhookSubscription"))


async def update(caller: Caller, *, subscription_id: str, uri: str) -> WebhookSubscription:
    """Change the address of a subscription. Raises as `create` does."""
    payload = await _changed(
        caller,
        "update_webhook_subscription",
        "webhookSubscriptionUpdate",
        {"id": subscription_id, "uri": uri},
    )
    return _subscription(payload.child("webhookSubscription"))


async def delete(caller: Caller, *, subscription_id: str) -> None:
    """Delete a subscription. Raises as `create` does."""
    await _changed(
        caller, "delete_webhook_subscription", "webhookSubscriptionDelete", {"id": subscription_id}
    )


async def reconcile_subscriptions(
    caller: Caller, *, wanted: Sequence[str], public_url: str, former_uris: Iterable[str] = ()
) -> tuple[SubscriptionState, ...]:
    """Make the shop's subscriptions fit the wanted topics; one state per wanted topic.

    A topic that Shopify refuses becomes a state with a problem and hinders no other; a failure of the shop
    itself (unreachable, locked, token refused) is raised.
    """
    uri = webhook_uri(public_url)
    existing = await list_subscriptions(caller)
    changes = plan_changes(wanted, existing, uri=uri, former_uris=former_uris)
    dropped = {change.id for change in changes if isinstance(change, Delete)}
    ids = {one.topic: one.id for one in existing if one.uri == uri and one.id not in dropped}
    problems: dict[str, str] = {}
    for change in changes:
        lacking = isinstance(change, Create) and _lacking(change.topic, wanted, caller.account.scopes)
        if lacking:
            problems[change.topic] = lacking
            continue
        try:
            if made := await _apply(caller, change):
                ids[change.topic] = made
        except ShopifyError as error:
            if error.code not in (ErrorCode.INVALID_REQUEST, ErrorCode.ACCESS_DENIED):
                raise
            problems[change.topic] = str(error)
    return tuple(_state(topic, ids, problems, uri) for topic in dict.fromkeys(wanted))


def _lacking(enum: str, wanted: Sequence[str], granted: Sequence[str]) -> str | None:
    topic = next(topic for topic in wanted if enum_topic(topic) == enum)
    return missing_scope(topic, granted) if granted else None  # () = the scopes were never read


async def _apply(caller: Caller, change: Change) -> str | None:
    """Perform one change; the id of the subscription that serves the topic now, None after a deletion."""
    match change:
        case Create():
            return (await create(caller, topic=change.topic, uri=change.uri)).id
        case Update():
            return (await update(caller, subscription_id=change.id, uri=change.uri)).id
        case Delete():
            await delete(caller, subscription_id=change.id)
            return None


def _state(topic: str, ids: dict[str, str], problems: dict[str, str], uri: str) -> SubscriptionState:
    enum = enum_topic(topic)
    return SubscriptionState(
        topic=topic, subscription_id=ids.get(enum, ""), uri=uri, problem=problems.get(enum, "")
    )


async def _changed(caller: Caller, name: str, root: str, variables: JsonObject) -> Node:
    payload = (await caller.write(name, variables)).child(root)
    if errors := payload.children("userErrors"):
        told = "; ".join(error.text("message")[:300] for error in errors[:5])
        raise ShopifyError(
            ErrorCode.INVALID_REQUEST,
            f"{caller.account.domain} refused the webhook subscription: {told}. "
            "Check STOCKWRIGHT_PUBLIC_URL: it must be an https address that Shopify can reach.",
            permanent=True,
        )
    return payload


def _subscription(node: Node) -> WebhookSubscription:
    return WebhookSubscription(
        id=node.text("id"),
        topic=node.text("topic"),
        uri=node.text("uri"),
        format=node.text("format"),
        filter=node.optional_text("filter") or "",
        include_fields=tuple(node.texts("includeFields")),
    )
