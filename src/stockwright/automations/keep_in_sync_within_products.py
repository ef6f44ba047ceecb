"""`keep-in-sync-within-products`: a change of one variant is carried to all others of its product.

Each location is a stock of its own, unless the chosen locations are treated as one level.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

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
from stockwright.model import INVENTORY_UPDATE, ProductRead, ShopRead


class Options(SharedStockOptions):
    """Which products and locations, and what to do where levels differ at the start."""

    location_names: NameList = Field(
        default=(),
        title="Locations",
        description="Exact names of the locations whose levels are kept in step; none = all active locations.",
    )
    product_types: NameList = Field(
        default=(), title="Product types", description="Only products of these types; none = all products."
    )
    locations_as_one: bool = Field(
        default=False,
        title="Treat all chosen locations as one level",
        description="Every level of a product at every chosen location shows the same stock. "
        "Off: each location has a stock of its own.",
    )
    unequal_at_start: Literal["report", "take_changed", "take_lowest", "take_highest"] = Field(
        default="take_changed",
        title="When levels differ at the start",
        description="take_changed: all take the value of the one variant known to have changed; when several "
        "changed and differ, they are reported and nothing is written. report: write nothing and list the products. "
        "take_lowest, take_highest: all take that value.",
    )


class KeepInSyncWithinProducts:
    """See the module."""

    kind = "keep-in-sync-within-products"
    title = "Keep inventory levels in sync within products"
    summary = "A change of one variant's stock is carried to all other variants of its product, at once."
    options: type[Options] = Options
    topics: tuple[str, ...] = (INVENTORY_UPDATE,)
    scopes: tuple[str, ...] = STOCK_SCOPES
    shares_stock = True
    watches_restocks = False
    tells_shoppers = False

    def names(self, options: Options) -> Names:
        """The names that must exist in the shop."""
        return Names(locations=options.location_names, product_types=options.product_types)

    def search(self, options: Options) -> str:
        """The product search that finds what is in scope; empty = all products."""
        return places.any_of("product_type", options.product_types)

    def location_ids(self, options: Options, shop: ShopRead) -> frozenset[str]:
        """The locations whose levels it may hold."""
        return places.locations_of(places.places_named(shop, options.location_names))

    def needs(self, situation: Situation[Options]) -> Need:
        """What must be read for these events."""
        return shared_stock.needs(self._sharing(situation), situation)

    def decide(self, situation: Situation[Options], facts: Facts) -> Plan:
        """What to do about one product."""
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
        chosen = places.places_named(situation.shop, options.location_names)
        return places.Sharing(
            search=self.search(options),
            places=places.as_one(chosen) if options.locations_as_one else chosen,
            out_of_scope=lambda product: places.type_out_of_scope(options.product_types, product),
            policy=places.policy(situation.policy, options, options.unequal_at_start),
            adopt_by_event=False,
            nothing_found="No product of these types was found. Check the product types of this automation.",
        )
