"""Everything one shop holds in memory, its ids and its announcements.

The one place that makes ids and that adds or drops nodes. Rules about stock live in stock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from shopify_emulator.clock import Clock
from shopify_emulator.index import SearchIndex
from shopify_emulator.model import (
    AdjustmentGroup,
    Gid,
    Item,
    Level,
    Location,
    Movement,
    Order,
    Product,
    Publication,
    Refund,
    ShopError,
    Variant,
)
from shopify_emulator.switches import Switches

T = TypeVar("T")
GID = re.compile(r"gid://shopify/([A-Za-z]+)/([0-9]+)(\?[a-z_]+=[0-9]+)?")
FIRST_ITEM_NUMBER = 2**53 + 3  # so that a client that reads ids as floats is found out
LAG_S = {"0": 0.0, "seconds": 5.0, "minutes": 180.0}


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Something that webhooks may tell. One merchant action has one `event`, however many happenings."""

    topic: str
    subject: object
    event: str


class State:
    """One shop's memory. `tell` is called with each happening, in order."""

    def __init__(self, *, clock: Clock, seed: int, switches: Switches) -> None:
        self.clock = clock
        self.random = Random(seed)
        self.switches = switches
        self.index = SearchIndex(clock=clock, lag_s=self.lag_s)
        self.tell: Callable[[Happening], None] = lambda _happening: None
        self.locations: dict[Gid, Location] = {}
        self.products: dict[Gid, Product] = {}
        self.variants: dict[Gid, Variant] = {}
        self.items: dict[Gid, Item] = {}
        self.levels: dict[Gid, Level] = {}
        self.publications: dict[Gid, Publication] = {}
        self.orders: dict[Gid, Order] = {}
        self.refunds: dict[Gid, Refund] = {}
        self.groups: dict[Gid, AdjustmentGroup] = {}
        self.nodes: dict[Gid, object] = {}
        self.history: list[Movement] = []
        self.handles: set[str] = set()
        # Of the app's installation: parsed values by (namespace, key).
        self.app_metafields: dict[tuple[str, str], Any] = {}
        self._numbers: dict[str, int] = {"InventoryItem": FIRST_ITEM_NUMBER}

    def new_gid(self, kind: str) -> tuple[Gid, int]:
        """A fresh id of a kind; ids of a kind rise, so that order of id is order of birth."""
        last = self._numbers.get(kind)
        number = self.random.randrange(10**8, 10**9) if last is None else last + self.random.randrange(1, 9)
        self._numbers[kind] = number
        return f"gid://shopify/{kind}/{number}", number

    def new_uuid(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def announce(self, topic: str, subject: object, *, event: str) -> None:
        self.index.note(subject)
        self.tell(Happening(topic=topic, subject=subject, event=event))

    def find(self, found: dict[Gid, T], gid: Gid, *, what: str) -> T:
        """The object of a gid, or a ShopError that names what is missing."""
        thing = found.get(gid)
        if thing is None:
            raise ShopError(f"the shop has no {what} {gid!r}; GET /_emulator/state lists the ids")
        return thing

    def location(self, gid: Gid) -> Location:
        return self.find(self.locations, gid, what="location")

    def product(self, gid: Gid) -> Product:
        return self.find(self.products, gid, what="product")

    def variant(self, gid: Gid) -> Variant:
        return self.find(self.variants, gid, what="variant")

    def item(self, gid: Gid) -> Item:
        return self.find(self.items, gid, what="inventory item")

    def order(self, gid: Gid) -> Order:
        return self.find(self.orders, gid, what="order")

    def level(self, item_gid: Gid, location_gid: Gid) -> Level:
        level = self.item(item_gid).levels.get(self.location(location_gid).gid)
        if level is None:
            raise ShopError(f"item {item_gid} is not stocked at {location_gid}; connect it first")
        return level

    def primary_location(self) -> Location | None:
        active = [location for location in self.locations.values() if location.active]
        return next((location for location in active if location.primary), active[0] if active else None)

    def locations_for_sale(self) -> Iterator[Location]:
        """Where online orders are taken from, the primary location first."""
        selling = (loc for loc in self.locations.values() if loc.active and loc.fulfills_online)
        yield from sorted(selling, key=lambda location: not location.primary)

    def lag_s(self) -> float:
        """How old aggregates and what searches know are."""
        return LAG_S[self.switches.derived_lag]
