"""Resolvers of the shop itself, the installed app, webhook subscriptions and bulk operations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shopify_emulator.bulk import BulkOperation
from shopify_emulator.fields.connections import Fields, SortKey, page, sort_for, time
from shopify_emulator.model import Location
from shopify_emulator.paging import Connection
from shopify_emulator.request import Identity, Parts, request_of
from shopify_emulator.subscriptions import Subscription

API_VERSION = "2026-10"
SUBSCRIPTION_SORTS: dict[str, SortKey | None] = {"ID": None, "CREATED_AT": None}
BULK_SORTS: dict[str, SortKey | None] = {
    "CREATED_AT": None,
    "COMPLETED_AT": lambda op: op.completed_at.isoformat() if op.completed_at else "",
}


def primary_or(_root: Any, info: Any, **arguments: Any) -> Location | None:
    """`location` without an id is the primary one."""
    state = request_of(info).state
    gid = arguments.get("id")
    return state.primary_location() if gid is None else state.locations.get(gid)


def webhook_subscriptions(_root: Any, info: Any, **arguments: Any) -> Connection:
    rows = list(request_of(info).parts.subscriptions.by_gid.values())
    topics, uri = arguments.get("topics"), arguments.get("uri") or arguments.get("callbackUrl")
    if arguments.get("format") not in (None, "JSON"):
        rows = []
    wanted = [s for s in rows if (not topics or s.topic in topics) and (not uri or s.uri == uri)]
    return page(info, wanted, arguments, sort=sort_for(arguments, SUBSCRIPTION_SORTS, default="CREATED_AT"))


def bulk_operations(_root: Any, info: Any, **arguments: Any) -> Connection:
    rows = list(request_of(info).parts.bulk.by_gid.values())
    return page(info, rows, arguments, sort=sort_for(arguments, BULK_SORTS, default="CREATED_AT"))


def tags(_root: Any, info: Any, **arguments: Any) -> Connection:
    products = request_of(info).state.products.values()
    return _texts(info, {tag for product in products for tag in product.tags}, arguments)


def types(_root: Any, info: Any, **arguments: Any) -> Connection:
    products = request_of(info).state.products.values()
    return _texts(info, {p.product_type for p in products if p.product_type}, arguments)


class _Text(str):
    """A text as a row of a connection; texts have no number, their order is alphabetical."""

    __slots__ = ()
    number = 0


def _texts(info: Any, values: set[str], arguments: dict[str, Any]) -> Connection:
    rows = [_Text(value) for value in sorted(values)]
    return page(info, rows, arguments, sort=str)


def _offset_minutes(identity: Identity, info: Any) -> int:
    offset = request_of(info).state.clock.now().astimezone(identity.zone).utcoffset() or timedelta()
    return int(offset.total_seconds() // 60)


def _offset(identity: Identity, info: Any) -> str:
    minutes = _offset_minutes(identity, info)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def _number_of(identity: Identity) -> int:
    return sum(identity.domain.encode()) + 548_380_000


def installation_gid(identity: Identity) -> str:
    """The id of the app's installation in this shop."""
    return f"gid://shopify/AppInstallation/{_number_of(identity)}"


def _result_url(operation: BulkOperation, info: Any, *, partial: bool) -> str | None:
    parts: Parts = request_of(info).parts
    if operation.partial is not partial or not parts.bulk.has_result(operation):
        return None
    return f"{parts.base_url}/bulk/{operation.number}/{operation.token}.jsonl"


def _file_size(operation: BulkOperation, info: Any) -> str | None:
    has_file = request_of(info).parts.bulk.has_result(operation)
    return str(len(operation.body)) if has_file else None


SHOP: Fields = {
    "contactEmail": lambda s, _i: s.email,
    "createdAt": lambda _s, _i: "2024-01-15T12:00:00Z",
    "currencyCode": lambda s, _i: s.currency,
    "email": lambda s, _i: s.email,
    "ianaTimezone": lambda s, _i: s.timezone,
    "id": lambda s, _i: f"gid://shopify/Shop/{_number_of(s)}",
    "myshopifyDomain": lambda s, _i: s.domain,
    "name": lambda s, _i: s.name,
    "plan": lambda s, _i: s,
    "primaryDomain": lambda s, _i: s,
    "resourceLimits": lambda s, _i: s,
    "timezoneOffset": _offset,
    "timezoneOffsetMinutes": _offset_minutes,
    "updatedAt": lambda _s, _i: "2026-10-01T12:00:00Z",
    "url": lambda _s, i: request_of(i).parts.base_url,
}

PLAN: Fields = {
    "displayName": lambda s, _i: s.plan_name,
    "partnerDevelopment": lambda _s, _i: False,
    "publicDisplayName": lambda s, _i: s.plan_name,
    "shopifyPlus": lambda s, _i: s.plan_name == "Plus",
}

LIMITS: Fields = {
    "locationLimit": lambda _s, _i: 200,
    "maxProductOptions": lambda _s, _i: 3,
    "maxProductVariants": lambda _s, _i: 2048,
    "redirectLimitReached": lambda _s, _i: False,
}

DOMAIN: Fields = {
    "host": lambda s, _i: s.domain,
    "id": lambda s, _i: f"gid://shopify/Domain/{_number_of(s)}",
    "sslEnabled": lambda _s, _i: True,
    "url": lambda _s, i: request_of(i).parts.base_url,
}

INSTALLATION: Fields = {
    "accessScopes": lambda _s, i: [
        {"handle": scope, "description": scope.replace("_", " ").capitalize()}
        for scope in sorted(request_of(i).scopes)
    ],
    "app": lambda s, _i: s,
    "id": lambda s, _i: installation_gid(s),
    "launchUrl": lambda _s, i: request_of(i).parts.base_url,
}


def _app_title(source: Any, _info: Any) -> str:
    """An app is the installed one, or the one behind a publication."""
    return source.app_title if isinstance(source, Identity) else str(source.name)


def _app_handle(source: Any, _info: Any) -> str:
    return source.app_title.lower().replace(" ", "-") if isinstance(source, Identity) else str(source.handle)


APP: Fields = {
    "apiKey": lambda s, _i: s.client_id if isinstance(s, Identity) else s.handle,
    "handle": _app_handle,
    "id": lambda s, _i: f"gid://shopify/App/{_number_of(s) if isinstance(s, Identity) else s.number}",
    "title": _app_title,
    "webhookApiVersion": lambda _s, _i: API_VERSION,
}

API_VERSION_FIELDS: Fields = {
    "displayName": lambda v, _i: v,
    "handle": lambda v, _i: v,
    "supported": lambda _v, _i: True,
}


def _uri(subscription: Subscription, _info: Any) -> str:
    return subscription.uri


SUBSCRIPTION: Fields = {
    "apiVersion": lambda _s, _i: API_VERSION,
    "callbackUrl": _uri,
    "createdAt": lambda s, _i: time(s.created_at),
    "filter": lambda s, _i: s.filter,
    "format": lambda _s, _i: "JSON",
    "id": lambda s, _i: s.gid,
    "includeFields": lambda s, _i: list(s.include_fields),
    "legacyResourceId": lambda s, _i: str(s.number),
    "metafieldNamespaces": lambda s, _i: list(s.metafield_namespaces),
    "name": lambda s, _i: s.name,
    "topic": lambda s, _i: s.topic,
    "updatedAt": lambda s, _i: time(s.updated_at),
    "uri": _uri,
}

BULK_OPERATION: Fields = {
    "completedAt": lambda op, _i: time(op.completed_at),
    "createdAt": lambda op, _i: time(op.created_at),
    "errorCode": lambda op, _i: op.error_code,
    "fileSize": _file_size,
    "id": lambda op, _i: op.gid,
    "objectCount": lambda op, _i: str(len(op.lines)),
    "partialDataUrl": lambda op, i: _result_url(op, i, partial=True),
    "query": lambda op, _i: op.query,
    "rootObjectCount": lambda op, _i: str(op.root_count),
    "status": lambda op, _i: op.status,
    "type": lambda _op, _i: "QUERY",
    "url": lambda op, i: _result_url(op, i, partial=False),
}
