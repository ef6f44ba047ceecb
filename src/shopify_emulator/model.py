"""The nouns of a shop: locations, products, variants, items, levels, publications, orders.

Plain state without rules. The rules that change it live in catalogue, stock, orders and publishing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

Gid = str
Levels = Mapping[Gid, int] | int
Policy = Literal["DENY", "CONTINUE"]
Status = Literal["ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED"]
Cause = Literal["order", "order_edit", "refund", "cancel", "edit", "api"]

STATUSES: tuple[Status, ...] = ("ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED")
ON_HAND_PARTS = ("available", "committed", "damaged", "quality_control", "reserved", "safety_stock")
QUANTITY_NAMES = (
    "available",
    "committed",
    "damaged",
    "incoming",
    "on_hand",
    "quality_control",
    "reserved",
    "safety_stock",
)


class ShopError(Exception):
    """The shop cannot do what was asked; the message says why and what would work."""


@dataclass(frozen=True, kw_only=True)
class VariantSpec:
    """What a new variant is to be. `levels`, when given, goes before those of the product."""

    title: str = "Default Title"
    sku: str = ""
    tracked: bool = True
    price: Decimal = Decimal("25.00")
    policy: Policy = "DENY"
    requires_components: bool = False  # a bundle parent, whose stock cannot be written
    compare_at_price: Decimal | None = None
    image_url: str = ""
    levels: Levels | None = None


@dataclass(eq=False, kw_only=True)
class Location:
    gid: Gid
    number: int
    name: str
    active: bool
    fulfills_online: bool
    primary: bool
    created_at: datetime
    updated_at: datetime
    deactivated_at: datetime | None = None


@dataclass(eq=False, kw_only=True)
class Level:
    """The stock of one item at one location. `quantities` holds every name but on_hand."""

    gid: Gid
    number: int
    item: Item
    location: Location
    active: bool
    start: int  # `available` when the level was made; start + all movements = available
    quantities: dict[str, int]
    created_at: datetime
    updated_at: datetime
    stamps: dict[str, datetime] = field(default_factory=dict)
    before: tuple[int, datetime] | None = None  # `available` and its stamp before the last movement

    @property
    def available(self) -> int:
        return self.quantities["available"]

    def quantity(self, name: str) -> int:
        if name == "on_hand":
            return sum(self.quantities.get(part, 0) for part in ON_HAND_PARTS)
        return self.quantities.get(name, 0)


@dataclass(eq=False, kw_only=True)
class Item:
    gid: Gid
    number: int
    sku: str
    tracked: bool
    created_at: datetime
    updated_at: datetime
    variant: Variant = field(init=False)
    levels: dict[Gid, Level] = field(default_factory=dict)  # by location
    recent: list[tuple[datetime, int, Level]] = field(default_factory=list)  # for the derived lag


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """An image of a product or a variant."""

    gid: Gid
    number: int
    url: str
    alt: str


@dataclass(eq=False, kw_only=True)
class Variant:
    gid: Gid
    number: int
    title: str
    price: Decimal
    policy: Policy
    requires_components: bool
    product: Product
    item: Item
    position: int
    created_at: datetime
    updated_at: datetime
    compare_at_price: Decimal | None = None
    image: Picture | None = None
    publications: dict[Gid, datetime] = field(default_factory=dict)

    @property
    def sku(self) -> str:
        return self.item.sku

    @property
    def options(self) -> list[tuple[str, str]]:
        """Option names with this variant's values, which its title joins: "Framed / Small"."""
        names = self.product.option_names
        return list(zip(names, self.title.split(" / ", len(names) - 1), strict=False))


@dataclass(eq=False, kw_only=True)
class Product:
    gid: Gid
    number: int
    title: str
    handle: str
    product_type: str
    vendor: str
    tags: tuple[str, ...]
    status: Status
    is_gift_card: bool
    requires_selling_plan: bool
    created_at: datetime
    updated_at: datetime
    option_names: tuple[str, ...] = ("Title",)
    image: Picture | None = None
    variants: list[Variant] = field(default_factory=list)
    publications: dict[Gid, datetime] = field(default_factory=dict)  # publication -> publish date


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One sales channel: the publication, its channel, its app and its catalog."""

    gid: Gid
    number: int
    name: str
    handle: str
    future_publishing: bool


@dataclass(frozen=True, kw_only=True)
class ScopesChange:
    """The merchant granted the app more or fewer access scopes."""

    app: Gid
    previous: tuple[str, ...]
    current: tuple[str, ...]
    at: datetime


@dataclass(eq=False, kw_only=True)
class OrderLine:
    gid: Gid
    number: int
    order: Order
    product: Product
    variant: Variant
    location: Location | None  # None: untracked, nothing was moved
    quantity: int
    current: int  # quantity after refunds and edits
    fulfilled: bool = False


@dataclass(eq=False, kw_only=True)
class RefundLine:
    gid: Gid
    number: int
    line: OrderLine
    quantity: int
    restock_type: Literal["CANCEL", "RETURN", "NO_RESTOCK"]
    location: Location | None


@dataclass(eq=False, kw_only=True)
class Refund:
    gid: Gid
    number: int
    order: Order
    created_at: datetime
    lines: list[RefundLine] = field(default_factory=list)


@dataclass(eq=False, kw_only=True)
class Order:
    gid: Gid
    number: int
    sequence: int
    created_at: datetime
    updated_at: datetime
    cancelled_at: datetime | None = None
    fulfilled_at: datetime | None = None
    customer_id: Gid | None = None  # of the signed-in customer; None: a guest
    lines: list[OrderLine] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"#{self.sequence}"


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One change of `available`: the shop's own truth, which tests compare the client with."""

    at: datetime
    item: Gid
    location: Gid
    delta: int
    after: int
    cause: Cause
    actor: str  # "storefront", "merchant" or the client id of an app
    reference: Gid | None = None  # the order, refund or adjustment group
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One row of an adjustment group, as it is answered."""

    name: str
    delta: int
    item: Item
    location: Location
    ledger_document_uri: str | None = None


@dataclass(frozen=True, kw_only=True)
class AdjustmentGroup:
    gid: Gid
    number: int
    created_at: datetime
    reason: str
    reference_document_uri: str | None
    changes: tuple[Change, ...]
