"""The nouns of the shop and of the platform, as plain values.

Imports nothing of ours. No clock, network, database or randomness. Shopify's own names for Shopify's
things; ids of Shopify objects are gid strings ("gid://shopify/Product/123").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NewType

ShopId = NewType("ShopId", int)
AutomationId = NewType("AutomationId", str)
EventId = NewType("EventId", str)
RunId = NewType("RunId", str)
EffectId = NewType("EffectId", str)
PoolId = NewType("PoolId", str)

ProductGid = NewType("ProductGid", str)
VariantGid = NewType("VariantGid", str)
ItemGid = NewType("ItemGid", str)
LocationGid = NewType("LocationGid", str)
PublicationGid = NewType("PublicationGid", str)

Json = Any  # a value that json.loads can return
JsonObject = Mapping[str, Any]

WHOLE_SHOP = "*"  # the subject of a run that is about no single product
STAFF_MAIL = "staff-mail"  # the subject of a run that tells staff what was published since it told them last


class StockwrightError(Exception):
    """A failure that we expect, worded for the person who reads it: what, where, what to do next."""


class Conflicting(StockwrightError):
    """What is asked does not fit the state as it is now; the same request may fit at another time."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with one field; `path` is "" where it is the whole."""

    path: str  # dotted: location_names.0
    message: str


class FaultyFields(StockwrightError):
    """Input with faults, each named with its field; the message has them all."""

    def __init__(self, message: str, faults: Sequence[Fault]) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


def gid(kind: str, number: int | str) -> str:
    """The global id of a Shopify object, e.g. gid("Product", 123)."""
    return f"gid://shopify/{kind}/{number}"


def gid_number(value: str) -> str:
    """The number at the end of a gid, as text; ids may exceed 2**53."""
    return value.rsplit("/", 1)[-1].split("?", 1)[0]


# --- topics ------------------------------------------------------------------------------------

USER_TRIGGER = "mechanic/user/trigger"
INVENTORY_UPDATE = "shopify/inventory_levels/update"
SET_CACHE = "user/sync_variant_inventory/set_cache"
# Our own wake-ups, always sent to one automation.
ENABLED = "stockwright/automation/enabled"
RECONCILE = "stockwright/automation/reconcile"
PRODUCT_CHECK = "stockwright/product/check"
SCHEDULES = (
    "10min", "15min", "20min", "30min", "hourly", "daily", "monday", "tuesday", "wednesday",
    "thursday", "friday", "saturday", "sunday", "monthly",
)  # fmt: skip
SCHEDULER_PREFIX = "mechanic/scheduler/"

_UNIT_S = {
    "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000,
}  # fmt: skip
MAX_DELAY = timedelta(days=36_500)
_SUBSCRIPTION = re.compile(
    r"(?P<topic>[a-z0-9_]+(?:/[a-z0-9_]+){2,3})(?:\+(?P<count>\d{1,10})\.(?P<unit>[a-z]+))?"
)


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A topic that an automation listens to, and how long after the event its run is due."""

    topic: str
    delay: timedelta = timedelta()

    def __str__(self) -> str:
        seconds = int(self.delay.total_seconds())
        return f"{self.topic}+{seconds}.seconds" if seconds else self.topic


def parse_subscription(text: str) -> Subscription:
    """Read "domain/subject/verb" with an optional "+N.unit" (seconds to years, singular too).

    Raises:
        StockwrightError: not of that form, an unknown unit, more than 100 years, or an unknown schedule.
    """
    found = _SUBSCRIPTION.fullmatch(text.strip().lower())
    if not found:
        raise StockwrightError(
            f"The topic {text!r} is not of the form domain/subject/verb, with an optional delay such as +10.minutes."
        )
    topic = found["topic"]
    if topic.startswith(SCHEDULER_PREFIX) and topic.removeprefix(SCHEDULER_PREFIX) not in SCHEDULES:
        raise StockwrightError(f"There is no schedule {topic!r}. Schedules: {', '.join(SCHEDULES)}.")
    return Subscription(topic=topic, delay=_delay(text, found["count"], found["unit"]))


def _delay(text: str, count: str | None, unit: str | None) -> timedelta:
    if count is None or unit is None:
        return timedelta()
    seconds = _UNIT_S.get(unit.removesuffix("s"))
    if seconds is None:
        raise StockwrightError(f"The delay in {text!r} has an unknown unit. Units: {', '.join(_UNIT_S)}.")
    if int(count) * seconds > MAX_DELAY.total_seconds():
        raise StockwrightError(f"The delay in {text!r} is longer than 100 years. Choose a shorter one.")
    return timedelta(seconds=int(count) * seconds)


# --- events ------------------------------------------------------------------------------------


class Source(StrEnum):
    """Where an event came from."""

    SHOPIFY = "shopify"
    SCHEDULE = "schedule"
    PERSON = "person"
    AUTOMATION = "automation"
    SWEEP = "sweep"


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event on its way into the inbox."""

    shop_id: ShopId
    event_id: EventId
    topic: str
    payload: JsonObject
    source: Source
    subject: str = WHOLE_SHOP  # what it is about: a product gid, an inventory item gid, or the whole shop
    automation_id: AutomationId | None = None  # only this automation gets it; None = every subscriber
    webhook_id: str | None = None  # X-Shopify-Webhook-Id: the only thing that deduplicates a delivery
    shopify_event_id: str | None = None  # X-Shopify-Event-Id: kept, never deduplicated on
    triggered_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """A stored event that waits for, or went into, a run."""

    event_id: EventId
    topic: str
    payload: JsonObject
    source: Source
    received_at: datetime
    triggered_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is serialised: one automation's work on one subject of one shop."""

    shop_id: ShopId
    automation_id: AutomationId
    subject: str

    @property
    def lock(self) -> str:
        """The job engine's lock and queueing lock."""
        return f"{self.shop_id}:{self.automation_id}:{self.subject}"


# --- the shop's catalogue, as one read shows it ---------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Location:
    """A place that holds stock."""

    id: LocationGid
    name: str
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A sales channel that products can be published to, by the publication that stands for it."""

    id: PublicationGid
    name: str  # as the shop's admin shows it
    app_title: str = ""  # of the app behind it, by which other tools name it


@dataclass(frozen=True, kw_only=True)
class LevelRead:
    """One inventory level in one read; `available` in units, `stamp` its `updatedAt`."""

    location_id: LocationGid
    available: int | None
    stamp: datetime | None
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class VariantRead:
    """One variant with its inventory item's levels."""

    id: VariantGid
    title: str
    item_id: ItemGid
    tracked: bool
    requires_components: bool = False  # bundle parents: their stock cannot be adjusted
    levels: tuple[LevelRead, ...] = ()

    def level(self, location_id: str) -> LevelRead | None:
        """The level at a location; None when the item was never stocked there."""
        return next((level for level in self.levels if level.location_id == location_id), None)


@dataclass(frozen=True, kw_only=True)
class ProductRead:
    """A product with all its variants and levels, complete (every page was read)."""

    id: ProductGid
    title: str
    status: str  # ACTIVE | DRAFT | ARCHIVED | UNLISTED
    product_type: str
    tags: frozenset[str]
    is_gift_card: bool
    variants: tuple[VariantRead, ...]
    read_at: datetime  # our clock, when the answer was complete
    published_on: frozenset[PublicationGid] | None = None  # where it is published now; None: not asked


@dataclass(frozen=True, kw_only=True)
class ShopRead:
    """What the engine knows of a shop besides its products."""

    name: str
    timezone: str
    locations: tuple[Location, ...] = field(default=())
    default_location_id: LocationGid | None = None
    channels: tuple[Channel, ...] = ()  # none where the app may not read publications
    primary_host: str = ""  # where customers find it, such as www.example.com; "" = not read yet
