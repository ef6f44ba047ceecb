"""Webhook subscriptions: topics, the scopes they need, and the errors of creating one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from shopify_emulator.model import Gid
from shopify_emulator.state import State
from shopify_emulator.stock import UserError

READS_PRODUCTS = ("read_products",)
READS_INVENTORY = ("read_inventory",)
READS_ITEMS = ("read_inventory", "read_products")
READS_ORDERS = ("read_orders",)
READS_LOCATIONS = ("read_locations",)
READS_PUBLICATIONS = ("read_publications",)

# What this shop announces: enum value, header form, scopes of which one is needed.
TOPICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "INVENTORY_LEVELS_UPDATE": ("inventory_levels/update", READS_INVENTORY),
    "INVENTORY_LEVELS_CONNECT": ("inventory_levels/connect", READS_INVENTORY),
    "INVENTORY_LEVELS_DISCONNECT": ("inventory_levels/disconnect", READS_INVENTORY),
    "INVENTORY_ITEMS_CREATE": ("inventory_items/create", READS_ITEMS),
    "INVENTORY_ITEMS_UPDATE": ("inventory_items/update", READS_ITEMS),
    "INVENTORY_ITEMS_DELETE": ("inventory_items/delete", READS_ITEMS),
    "PRODUCTS_CREATE": ("products/create", READS_PRODUCTS),
    "PRODUCTS_UPDATE": ("products/update", READS_PRODUCTS),
    "PRODUCTS_DELETE": ("products/delete", READS_PRODUCTS),
    "VARIANTS_IN_STOCK": ("variants/in_stock", READS_PRODUCTS),
    "VARIANTS_OUT_OF_STOCK": ("variants/out_of_stock", READS_PRODUCTS),
    "ORDERS_CREATE": ("orders/create", READS_ORDERS),
    "ORDERS_UPDATED": ("orders/updated", READS_ORDERS),
    "ORDERS_CANCELLED": ("orders/cancelled", READS_ORDERS),
    "ORDERS_EDITED": ("orders/edited", READS_ORDERS),
    "REFUNDS_CREATE": ("refunds/create", READS_ORDERS),
    "LOCATIONS_CREATE": ("locations/create", READS_LOCATIONS),
    "LOCATIONS_UPDATE": ("locations/update", READS_LOCATIONS),
    "LOCATIONS_ACTIVATE": ("locations/activate", READS_LOCATIONS),
    "LOCATIONS_DEACTIVATE": ("locations/deactivate", READS_LOCATIONS),
    "LOCATIONS_DELETE": ("locations/delete", READS_LOCATIONS),
    "CHANNELS_DELETE": ("channels/delete", READS_PUBLICATIONS),
    "SHOP_UPDATE": ("shop/update", ()),
    "APP_SCOPES_UPDATE": ("app/scopes_update", ()),
    "APP_UNINSTALLED": ("app/uninstalled", ()),
    "BULK_OPERATIONS_FINISH": ("bulk_operations/finish", ()),
}
ADDRESS = ("webhookSubscription", "callbackUrl")  # named so by Shopify although the input is `uri`
SHOPIFY_HOSTS = (".myshopify.com", ".shopify.com", ".shopifycloud.com")
INTERNAL_HOSTS = (".internal", ".local")
INTERNAL = "Address cannot be a Shopify or an internal domain"
INVALID = "Address is invalid"
NAME = re.compile(
    r"[A-Za-z0-9_-]{1,50}"
)  # as Shopify's changelog of February 2026 has it; it goes out as a header


@dataclass(eq=False, kw_only=True)
class Subscription:
    gid: Gid
    number: int
    topic: str  # the enum value
    uri: str
    include_fields: tuple[str, ...]
    metafield_namespaces: tuple[str, ...]
    filter: str | None
    name: str | None
    created_at: datetime
    updated_at: datetime
    accepted: int = 0  # deliveries answered with 2xx so far


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The input of create and update. On update, None keeps what is there."""

    uri: str | None
    include_fields: tuple[str, ...] | None = None
    metafield_namespaces: tuple[str, ...] | None = None
    filter: str | None = None
    name: str | None = None
    format: str | None = None


class Subscriptions:
    def __init__(self, state: State) -> None:
        self._state = state
        self.by_gid: dict[Gid, Subscription] = {}

    def of_topic(self, header_topic: str) -> list[Subscription]:
        return [s for s in self.by_gid.values() if TOPICS.get(s.topic, ("",))[0] == header_topic]

    def create(
        self, topic: str, wanted: Wanted, *, scopes: frozenset[str]
    ) -> tuple[Subscription | None, tuple[UserError, ...]]:
        errors = tuple(self._errors(topic, wanted, old=None, scopes=scopes))
        if errors:
            return None, errors
        gid, number = self._state.new_gid("WebhookSubscription")
        now = self._state.clock.now()
        made = Subscription(
            gid=gid,
            number=number,
            topic=topic,
            uri=wanted.uri or "",
            include_fields=wanted.include_fields or (),
            metafield_namespaces=wanted.metafield_namespaces or (),
            filter=wanted.filter,
            name=wanted.name,
            created_at=now,
            updated_at=now,
        )
        self.by_gid[gid] = self._state.nodes[gid] = made
        return made, ()

    def update(
        self, gid: Gid, wanted: Wanted, *, scopes: frozenset[str]
    ) -> tuple[Subscription | None, tuple[UserError, ...]]:
        old = self.by_gid.get(gid)
        if old is None:
            return None, (UserError(field=("id",), message="Webhook subscription does not exist"),)
        errors = tuple(self._errors(old.topic, wanted, old=old, scopes=scopes))
        if errors:
            return None, errors
        old.uri = wanted.uri if wanted.uri is not None else old.uri
        old.filter = wanted.filter if wanted.filter is not None else old.filter
        old.name = wanted.name if wanted.name is not None else old.name
        if wanted.include_fields is not None:
            old.include_fields = wanted.include_fields
        if wanted.metafield_namespaces is not None:
            old.metafield_namespaces = wanted.metafield_namespaces
        old.updated_at = self._state.clock.now()
        return old, ()

    def delete(self, gid: Gid) -> bool:
        """Forgets a subscription; False when there is none."""
        self._state.nodes.pop(gid, None)
        return self.by_gid.pop(gid, None) is not None

    def clear(self) -> None:
        for gid in list(self.by_gid):
            self.delete(gid)

    def _errors(
        self, topic: str, wanted: Wanted, *, old: Subscription | None, scopes: frozenset[str]
    ) -> Iterator[UserError]:
        yield from _topic_errors(topic, scopes)
        if wanted.format not in (None, "JSON"):
            yield UserError(field=("webhookSubscription", "format"), message="This shop delivers JSON only")
        if wanted.uri is not None or old is None:
            message = address_fault(wanted.uri or "") or self._taken(topic, wanted, old)
            if message:
                yield UserError(field=ADDRESS, message=message)
        message = self._name_fault(wanted.name, old)
        if message:
            yield UserError(field=("webhookSubscription", "name"), message=message)

    def _name_fault(self, name: str | None, old: Subscription | None) -> str:
        if not name:
            return ""
        if not NAME.fullmatch(name):
            return "Name may have up to 50 letters (a-z), digits, underscores and hyphens"
        taken = any(s.name == name for s in self.by_gid.values() if s is not old)
        return "Name already exists, no duplicate allowed" if taken else ""

    def _taken(self, topic: str, wanted: Wanted, old: Subscription | None) -> str:
        others = (s for s in self.by_gid.values() if s is not old)
        taken = any(s.topic == topic and s.uri == wanted.uri for s in others)
        return "Address for this topic has already been taken" if taken else ""


def _topic_errors(topic: str, scopes: frozenset[str]) -> Iterator[UserError]:
    """Shopify takes every topic of its schema; this shop refuses those that it would never announce."""
    if topic not in TOPICS:
        message = f"The bundled shop never announces {topic}. It announces: {', '.join(TOPICS)}"
        yield UserError(field=("topic",), message=message)
        return
    needed = TOPICS[topic][1]
    if needed and not scopes & set(needed):
        message = f"You do not have permission to create or update webhooks with {topic} topic. "
        yield UserError(field=("topic",), message=f"{message}It requires one of: {', '.join(needed)}")


def address_fault(uri: str) -> str:
    """What Shopify says against a delivery address, or nothing. Loopback may be plain http here."""
    if not uri.strip():
        return "Address can't be blank"
    try:
        parts = urlsplit(uri)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return INVALID
    if parts.scheme not in ("http", "https") or not host or port == 0 or _has_blanks(uri):
        return INVALID
    if is_loopback(host):
        return ""
    if parts.scheme == "http":
        return "Address protocol http:// is not supported"
    return INTERNAL if _is_internal(host) else ""


def _has_blanks(uri: str) -> bool:
    return any(character.isspace() or not character.isprintable() for character in uri)


def _is_internal(host: str) -> bool:
    """Shopify's own domains, private networks, and names that only a local network knows."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host.strip(".") or f".{host}".endswith((*SHOPIFY_HOSTS, *INTERNAL_HOSTS))


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
