"""What an automation is: it names what it must know, then decides. Values only, no I/O of any kind.

The engine gathers what `needs` asks for and stores what `decide` returns; effects are performed later.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel

from stockwright.automations.restock import Memory, Wave
from stockwright.ledger.state import MemberId, Next, Policy, PoolState, Step
from stockwright.model import Event, JsonObject, PoolId, ProductGid, ProductRead, ShopRead
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.restock import Known
from stockwright.notify.restock import Look as AlertLook

O = TypeVar("O", bound=BaseModel)  # noqa: E741 - the one letter of options
O_contra = TypeVar("O_contra", bound=BaseModel, contravariant=True)

STOCK_SCOPES = ("read_inventory", "write_inventory", "read_locations", "read_products")


def missing_scopes(granted: Iterable[str], needed: Iterable[str]) -> tuple[str, ...]:
    """The needed scopes that were not granted; write_x grants read_x too."""
    held = set(granted)
    held |= {scope.replace("write_", "read_", 1) for scope in held}
    return tuple(scope for scope in needed if scope not in held)


# --- what an automation is told -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PoolView:
    """A pool that exists: where it is and what its ledger believes."""

    pool_id: PoolId
    product_id: ProductGid
    place: str  # a location gid, or "*" when all chosen locations are one level
    title: str
    titles: Mapping[MemberId, str]  # what a person calls each member
    state: PoolState
    wake_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A level that a pool holds which the run did not load: another automation's, or another product's."""

    member: MemberId
    automation_name: str
    title: str = ""  # of the stock that holds it
    automation_id: str = ""
    pool_id: PoolId | None = None
    is_enabled: bool = True  # its automation is at work
    is_at_rest: bool = True  # its stock is neither frozen nor in doubt

    @property
    def is_asleep(self) -> bool:
        """Whether nobody maintains the stock, and nothing of it is open: whoever needs the level takes it over."""
        return not self.is_enabled and self.is_at_rest

    @property
    def holder(self) -> str:
        """Who holds the level, for a message."""
        return f"{self.automation_name} as {self.title!r}" if self.title else self.automation_name


@dataclass(frozen=True, kw_only=True)
class Unmailed:
    """A confirmed return to stock that no mail has told of."""

    wave_id: str
    product_id: ProductGid
    title: str
    quantity: int  # available when it was published
    channels: tuple[str, ...]  # names of those that Shopify confirmed
    refused: tuple[str, ...]  # "channel: why", of those that did not take it
    confirmed_at: datetime
    held: bool  # the scan that found it still goes on


@dataclass(frozen=True, kw_only=True)
class Situation(Generic[O]):
    """Everything known before the shop is read."""

    name: str  # of the automation, for messages
    subject: str  # a product gid, "*", or "staff-mail"
    events: tuple[Event, ...]
    options: O
    shop: ShopRead
    policy: Policy  # what shop and settings say; the automation adds its options
    pools: tuple[PoolView, ...]
    now: datetime
    nonce: str  # random: ids and keys that the decision needs are derived from it
    claims: tuple[Claim, ...] = ()  # levels named by the events that other automations hold
    memories: tuple[Memory, ...] = ()  # of kinds that watch restocks
    unmailed: tuple[Unmailed, ...] = ()  # of the subject "staff-mail"
    alerts: Known = field(default_factory=Known)  # of kinds that tell shoppers

    def memory_of(self, product_id: ProductGid) -> Memory:
        """What is remembered of a product; nothing yet when it was never looked at."""
        found = (memory for memory in self.memories if memory.product_id == product_id)
        return next(found, Memory(product_id=product_id))


# --- what it may ask for ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NoRead:
    """Nothing: the events and the ledger suffice."""


@dataclass(frozen=True, kw_only=True)
class ReadProduct:
    """One product with all variants and levels, and with `channels`, their number, where it is published."""

    product_id: ProductGid
    channels: int = 0


@dataclass(frozen=True, kw_only=True)
class Scan:
    """All products that match one of these searches, page by page; `channels` as for a product.

    `whole`: these are all products in scope, so what has a pool and is not among them must be looked at.
    """

    searches: tuple[str, ...]
    channels: int = 0
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class ReadShown:
    """One product as shoppers see it, with all variants and levels."""

    product_id: ProductGid


@dataclass(frozen=True, kw_only=True)
class CheckWaiting:
    """Nothing is read here: each product that people wait for is looked at under its own key.

    With `offers`, products that an offer with auto-disable has an eye on, too.
    """

    offers: bool = False


Need = NoRead | ReadProduct | Scan | ReadShown | CheckWaiting


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the engine read. `product` is None when nothing was asked for or it no longer exists."""

    product: ProductRead | None = None
    shown: ShownProduct | None = None
    claims: tuple[Claim, ...] = ()
    order_moves: Mapping[MemberId, int] | None = None
    refunds: Mapping[MemberId, int] | None = None


# --- what it decides ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PoolChange:
    """One pool's step, to be stored with its journal."""

    pool_id: PoolId
    product_id: ProductGid
    place: str
    title: str
    titles: Mapping[MemberId, str]  # what a person calls each member
    step: Step
    was_version: int | None  # None: adopted by this step
    dissolve: bool = False  # free the place and the levels
    takes_over: tuple[
        PoolId, ...
    ] = ()  # pools of disabled automations, at rest, whose levels this one holds now

    def wake_at(self, now: datetime) -> datetime | None:
        """When to come back: now, if the shop must be read again, so that a crash before that loses nothing."""
        return now if self.step.next is Next.READ else self.step.wake_at


@dataclass(frozen=True, kw_only=True)
class Correct:
    """Send the open intent of a pool."""

    pool_id: PoolId
    key: str


@dataclass(frozen=True, kw_only=True)
class Emit:
    """Put a custom event into the inbox, for this automation alone."""

    topic: str
    payload: JsonObject


@dataclass(frozen=True, kw_only=True)
class Place:
    """Send what the open wave of a product asks for."""

    product_id: ProductGid
    wave: Wave


@dataclass(frozen=True, kw_only=True)
class RestockMail:
    """Tell staff of products that were published: one mail, stored under its key."""

    key: str
    to: str
    products: tuple[Unmailed, ...]


Effect = Correct | Emit | Place | RestockMail


@dataclass(frozen=True, kw_only=True)
class Remember:
    """A product's memory as it is to be stored, with the waves that the step touched; None = forget it."""

    product_id: ProductGid
    was_version: int
    memory: Memory | None
    waves: tuple[Wave, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A decision: what to store, what to do, and why, also when that is nothing."""

    because: str
    changes: tuple[PoolChange, ...] = ()
    remember: tuple[Remember, ...] = ()
    effects: tuple[Effect, ...] = ()
    error: JsonObject | None = None  # {"message": ..., details}: reported to the owner, not retried
    wake_at: datetime | None = None
    again: bool = False  # read and decide once more now
    alerts: AlertLook | None = None  # what a look means for the people who wait
    title: str = ""  # what a person calls the subject


@dataclass(frozen=True, kw_only=True)
class Unequal:
    """A product left alone because its levels differ."""

    product_id: ProductGid
    title: str
    place: str
    quantities: Mapping[str, int | None]  # by the name of the level


@dataclass(frozen=True, kw_only=True)
class PagePlan:
    """What one page of a scan leads to."""

    changes: tuple[PoolChange, ...] = ()
    remember: tuple[Remember, ...] = ()
    effects: tuple[Effect, ...] = ()
    wake: tuple[ProductGid, ...] = ()  # products to be looked at one by one
    unequal: tuple[Unequal, ...] = ()
    in_scope: int = 0
    adopted: int = 0
    in_step: int = 0
    sent_on: int = 0  # products sent to the custom event, to be adopted there
    counts: Mapping[str, int] = field(default_factory=dict)  # what the kind counts besides


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a scan has found so far; kept in the run while it goes on."""

    seen: int = 0
    in_scope: int = 0
    in_step: int = 0
    adopted: int = 0
    woken: int = 0
    sent_on: int = 0
    unequal_count: int = 0
    unequal: tuple[Unequal, ...] = ()  # the first of them
    unread_count: int = 0
    unread: tuple[JsonObject, ...] = ()  # products that could not be read whole: {product_id, title, reason}
    counts: Mapping[str, int] = field(default_factory=dict)  # what the kind counts besides
    refused_count: int = 0
    refused: tuple[JsonObject, ...] = ()  # products that a channel refused: {product_id, title, channels}


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names in the options that must exist in the shop."""

    locations: tuple[str, ...] = ()
    product_types: tuple[str, ...] = ()
    product_tags: tuple[str, ...] = ()
    sales_channels: tuple[str, ...] = ()


class Automation(Protocol[O]):
    """One kind of automation: a module with its options, topics and pure decisions."""

    kind: str
    title: str
    summary: str
    options: type[O]
    topics: tuple[str, ...]  # listened to unless the owner changes them
    scopes: tuple[str, ...]  # of the Admin API, without which it cannot work
    shares_stock: bool  # keeps pools: two of these must not cover one level
    watches_restocks: bool  # remembers each product's stock between two looks
    tells_shoppers: bool  # has people who wait; a shop has one such automation at work

    def names(self, options: O) -> Names: ...

    def search(self, options: O) -> str: ...

    def location_ids(self, options: O, shop: ShopRead) -> frozenset[str]: ...

    def needs(self, situation: Situation[O]) -> Need: ...

    def decide(self, situation: Situation[O], facts: Facts) -> Plan: ...

    def decide_page(
        self, situation: Situation[O], page: Sequence[ProductRead], claims: Sequence[Claim]
    ) -> PagePlan: ...

    def conclude(self, situation: Situation[O], tally: Tally) -> Plan: ...
