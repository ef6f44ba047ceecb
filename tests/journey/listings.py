"""Products whose variants share one stock, spoken of by their titles: to sell, to edit, to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shopify_emulator import Order, Product, Shop, Variant, VariantSpec

TAG = "shared"
TYPE = "Print"


@dataclass(kw_only=True)
class Listing:
    """One product and the shop that it is in; levels in the order of its variants."""

    shop: Shop
    product: Product

    @property
    def gid(self) -> str:
        return self.product.gid

    def variant(self, title: str) -> Variant:
        return next(variant for variant in self.product.variants if variant.title == title)

    def item(self, title: str) -> str:
        return self.variant(title).item.gid

    def levels(self, location: str | None = None) -> list[int]:
        """`available` of every variant at a location (the first by default) in the shop itself."""
        place = location or self.first_location
        return [self.shop.level(variant.item.gid, place) for variant in self.product.variants]

    @property
    def first_location(self) -> str:
        return self.shop.locations()[0].gid

    def sell(self, *titles: str, count: int = 1, location: str | None = None) -> Order:
        """One order with a line for each title; stock may go below zero."""
        lines = [(self.variant(title).gid, count) for title in titles]
        return self.shop.sell(lines, location=location or self.first_location, force=True)

    def edit(self, location: str | None = None, **levels: int) -> None:
        """A merchant types levels over those of these variants and saves once."""
        place = location or self.first_location
        self.shop.bulk_edit([(self.item(title), place, level) for title, level in levels.items()])


def add_listing(
    shop: Shop,
    title: str = "Poster",
    *,
    levels: Sequence[int] | int = 10,
    titles: Sequence[str] = ("A", "B", "C"),
    tags: Sequence[str] = (TAG,),
    product_type: str = TYPE,
    at: Mapping[str, int] | None = None,
    **options: object,
) -> Listing:
    """A product with a variant per title. `levels`: of each variant, at every location or only `at` those."""
    each = [levels] * len(titles) if isinstance(levels, int) else list(levels)
    specs = [
        VariantSpec(title=name, levels=level, policy="CONTINUE")
        for name, level in zip(titles, each, strict=True)
    ]
    if at is not None:
        specs = [VariantSpec(title=name, levels=at, policy="CONTINUE") for name in titles]
    product = shop.add_product(title, variants=specs, tags=tags, product_type=product_type, **options)  # type: ignore[arg-type]
    return Listing(shop=shop, product=product)
