"""`sync-across-variants`: the variants of a product are listings of one stock.

A sale of one lowers all others by the amount sold. Products are chosen by tags or by types.
"""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from stockwright.automations import places, shared_stock, stock_scan
from stockwright.automations.contract import (
    STOCK_SCOPES,
    Claim,
    Facts,
    Names,
    Need,
    PagePlan,
    Plan,
    Situation,
    Tally,
)
from stockwright.automations.options import NameList, SharedStockOptions
from stockwright.model import INVENTORY_UPDATE, SET_CACHE, USER_TRIGGER, ProductRead, ShopRead

CHOOSE_ONE = "You must choose to monitor products either by tags or types."
NOT_BOTH = "Choose to monitor products either by tags or types, but not both."
NO_DATA = "No products with missing cache were passed to this event."


class Options(SharedStockOptions):
    """Which products share, at which locations, and what to do where levels differ at the start."""

    product_tags: NameList = Field(
        default=(),
        title="Product tags",
        description="Products with any of these tags. Give tags or types, not both.",
    )
    product_types: NameList = Field(
        default=(),
        title="Product types",
        description="Products of any of these types. Give tags or types, not both.",
    )
    only_active_products: bool = Field(
        default=False,
        title="Only active products",
        description="Leave draft, archived and unlisted products alone.",
    )
    locations: Literal["default", "all", "named"] = Field(
        default="default",
        title="Which locations",
        description="default: the shop's default location. all: every active location, each with its own stock. "
        "named: those listed under Locations.",
    )
    unequal_at_start: Literal["report", "take_changed", "take_lowest", "take_highest"] = Field(
        default="report",
        title="When levels differ at the start",
        description="report: write nothing and list the products. take_changed: all take the value of the one "
        "variant known to have changed. take_lowest, take_highest: all take that value.",
    )

    @model_validator(mode="after")
    def _tags_or_types(self) -> Self:
        if not self.product_tags and not self.product_types:
            raise ValueError(CHOOSE_ONE)
        if self.product_tags and self.product_types:
            raise ValueError(NOT_BOTH)
        if (self.locations == "named") != bool(self.location_names):
            raise ValueError("Give location_names together with locations=named, and only then.")
        return self


class SyncAcrossVariants:
    """See the module."""

    kind = "sync-across-variants"
    title = "Sync inventory across product variants"
    summary = "Variants are listings of one stock: a sale of one lowers all others by the amount sold."
    options: type[Options] = Options
    topics: tuple[str, ...] = (USER_TRIGGER, "mechanic/scheduler/10min", SET_CACHE, INVENTORY_UPDATE)
    scopes: tuple[str, ...] = STOCK_SCOPES
    shares_stock = True
    watches_restocks = False
    tells_shoppers = False

    def names(self, options: Options) -> Names:
        """The names that must exist in the shop."""
        return Names(
            locations=options.location_names,
            product_types=options.product_types,
            product_tags=options.product_tags,
        )

    def search(self, options: Options) -> str:
        """The product search that finds what is in scope."""
        field, values = (
            ("tag", options.product_tags) if options.product_tags else ("product_type", options.product_types)
        )
        found = places.any_of(field, values)
        return f"({found}) AND status:active" if options.only_active_products else found

    def location_ids(self, options: Options, shop: ShopRead) -> frozenset[str]:
        """The locations whose levels it may hold."""
        return places.locations_of(_places(options, shop))

    def needs(self, situation: Situation[Options]) -> Need:
        """What must be read for these events."""
        return shared_stock.needs(self._sharing(situation), situation)

    def decide(self, situation: Situation[Options], facts: Facts) -> Plan:
        """What to do about one product, or about an event without data."""
        return shared_stock.decide(self._sharing(situation), situation, facts)

    def decide_page(
        self, situation: Situation[Options], page: Sequence[ProductRead], claims: Sequence[Claim]
    ) -> PagePlan:
        """What to do about one page of products."""
        return stock_scan.decide_page(self._sharing(situation), situation, page, claims)

    def conclude(self, situation: Situation[Options], tally: Tally) -> Plan:
        """What to say of a whole scan."""
        return stock_scan.conclude(self._sharing(situation), tally)

    def _sharing(self, situation: Situation[Options]) -> places.Sharing:
        options = situation.options
        return places.Sharing(
            search=self.search(options),
            places=_places(options, situation.shop),
            out_of_scope=lambda product: _out_of_scope(options, product),
            policy=places.policy(situation.policy, options, options.unequal_at_start),
            adopt_by_event=True,
            nothing_found="No matching product variants found! Check your product tag or type settings for this task.",
        )


def _places(options: Options, shop: ShopRead) -> tuple[places.Place, ...]:
    match options.locations:
        case "default":
            return places.default_place(shop)
        case "all":
            return places.places_named(shop, ())
        case "named":
            return places.places_named(shop, options.location_names)


def _out_of_scope(options: Options, product: ProductRead) -> str:
    if options.only_active_products and product.status != "ACTIVE":
        return f"the product is {product.status.lower()}, and only active products are synced"
    if options.product_tags:
        tags = {tag.casefold() for tag in product.tags}
        has = any(tag.casefold() in tags for tag in options.product_tags)
        return "" if has else "the product has none of the tags"
    return places.type_out_of_scope(options.product_types, product)
