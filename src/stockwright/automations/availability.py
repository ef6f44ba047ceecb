"""How much of a product is available where it counts, and why a product is left alone. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from stockwright.model import LocationGid, ProductRead, ShopRead


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Which locations count: those chosen, or all that are not known to be inactive."""

    chosen: frozenset[LocationGid] | None  # None: every active one
    inactive: frozenset[LocationGid]
    names: str  # of those chosen, for comparison and for people; "" = all

    def holds(self, location_id: str) -> bool:
        """Whether stock at this location counts."""
        if self.chosen is not None:
            return location_id in self.chosen
        return location_id not in self.inactive


def counted(shop: ShopRead, names: Collection[str]) -> Counted:
    """The locations of these names, which must exist; none named = all active ones."""
    return Counted(
        chosen=frozenset(one.id for one in shop.locations if one.name in names) if names else None,
        inactive=frozenset(one.id for one in shop.locations if not one.is_active),
        names=", ".join(sorted(names)),
    )


@dataclass(frozen=True, kw_only=True)
class Stock:
    """What a product has: the sum of `available` over tracked items at the locations that count."""

    quantity: int
    tracked: int  # inventory items that were counted
    untracked: tuple[str, ...]  # titles of variants that were not


def stock_of(product: ProductRead, where: Counted) -> Stock:
    """The product's stock; two variants on one inventory item are counted once."""
    items = {variant.item_id: variant for variant in product.variants if variant.tracked}
    quantity = sum(
        level.available
        for variant in items.values()
        for level in variant.levels
        if level.is_active and level.available is not None and where.holds(level.location_id)
    )
    untracked = tuple(variant.title for variant in product.variants if not variant.tracked)
    return Stock(quantity=quantity, tracked=len(items), untracked=untracked)


def why_left_alone(
    product: ProductRead, stock: Stock, *, include_tags: Collection[str], exclude_tags: Collection[str]
) -> str:
    """Why the product is none of this automation's business; "" when it is. Tags are compared without case."""
    tags = {tag.casefold(): tag for tag in product.tags}
    excluded = [tag for tag in exclude_tags if tag.casefold() in tags]
    if product.is_gift_card:
        return "gift cards have no stock that could come back"
    if product.status != "ACTIVE":
        return f"the product is {product.status.lower()}, and only active products are published"
    if excluded:
        return f"it has the excluded tag {tags[excluded[0].casefold()]!r}"
    if include_tags and not any(tag.casefold() in tags for tag in include_tags):
        return "it has none of the tags that were chosen"
    if not stock.tracked:
        return "its inventory is not tracked"
    return ""
