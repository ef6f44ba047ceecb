"""A product as notifications need it: what a shopper sees of it, and what stock each variant has."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from stockwright.model import ItemGid, LevelRead, ProductGid, VariantGid

DEFAULT_TITLE = (
    "Default Title"  # Shopify's name for the only variant of a product without options; never shown
)


@dataclass(frozen=True, kw_only=True)
class ShownVariant:
    """One variant with what a mail may say of it, and its levels at every location."""

    id: VariantGid
    title: str  # as Shopify has it, e.g. "Black / M"; `name` is for people
    item_id: ItemGid
    tracked: bool
    sku: str = ""
    options: tuple[tuple[str, str], ...] = ()  # (name, value), e.g. ("Size", "M")
    price: str = ""  # decimal text in the shop's currency; "" = unknown
    compare_at_price: str = ""
    continue_selling: bool = False  # inventory policy CONTINUE
    requires_components: bool = False  # a bundle parent: its stock is that of its parts
    image_url: str = ""
    levels: tuple[LevelRead, ...] = ()

    @property
    def name(self) -> str:
        """The title for people; "" for the only variant of a product without options."""
        return "" if self.title == DEFAULT_TITLE else self.title

    def available(self, location_ids: Collection[str]) -> int | None:
        """Units at these locations together; None when the item is not tracked, so that it never runs out."""
        if not self.tracked:
            return None
        levels = (one for one in self.levels if one.is_active and one.location_id in location_ids)
        return sum(one.available or 0 for one in levels)


@dataclass(frozen=True, kw_only=True)
class ShownProduct:
    """A product with all its variants, complete, from one read."""

    id: ProductGid
    title: str
    handle: str
    status: str  # ACTIVE | DRAFT | ARCHIVED | UNLISTED
    is_gift_card: bool
    variants: tuple[ShownVariant, ...]
    read_at: datetime
    vendor: str = ""
    tags: frozenset[str] = frozenset()
    url: str = ""  # on the online store; "" while it is not published there
    image_url: str = ""
    image_alt: str = ""
    currency: str = ""  # ISO 4217

    @property
    def is_published(self) -> bool:
        """Whether shoppers can open its page: active and on the online store."""
        return self.status in ("ACTIVE", "UNLISTED") and bool(self.url)

    def variant(self, variant_id: str) -> ShownVariant | None:
        """One of its variants; None when there is none of that id (any more)."""
        return next((one for one in self.variants if one.id == variant_id), None)
