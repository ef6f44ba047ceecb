"""`notify-back-in-stock`: shoppers who wait for a variant are told when it is back.

What a look means is decided in `notify.restock`; the people are told wave by wave, by a step of its own.
"""

from collections.abc import Sequence
from datetime import datetime

from stockwright.automations import availability, places
from stockwright.automations.contract import (
    CheckWaiting,
    Claim,
    Facts,
    Names,
    Need,
    NoRead,
    PagePlan,
    Plan,
    ReadShown,
    Situation,
    Tally,
)
from stockwright.automations.notify_options import NotifyOptions
from stockwright.model import (
    ENABLED,
    INVENTORY_UPDATE,
    RECONCILE,
    SCHEDULER_PREFIX,
    USER_TRIGGER,
    WHOLE_SHOP,
    Event,
    ProductGid,
    ProductRead,
    ShopRead,
    gid,
)
from stockwright.notify import KIND, restock
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.notify.restock import Rule, Stock

SCHEDULE = f"{SCHEDULER_PREFIX}10min"
_FULL_LOOK = (USER_TRIGGER, ENABLED, RECONCILE)


class NotifyBackInStock:
    """See the module."""

    kind = KIND
    title = "Notify shoppers when products are back in stock"
    summary = "Shoppers leave their address at what is sold out, and get one mail when it is back."
    options: type[NotifyOptions] = NotifyOptions
    topics: tuple[str, ...] = (
        INVENTORY_UPDATE,
        "shopify/products/update",
        "shopify/products/delete",
        USER_TRIGGER,
        SCHEDULE,
    )
    scopes: tuple[str, ...] = ("read_products", "read_inventory", "read_locations")
    shares_stock = False
    watches_restocks = False
    tells_shoppers = True

    def names(self, options: NotifyOptions) -> Names:
        """The names that must exist in the shop."""
        return Names(locations=options.location_names)

    def search(self, options: NotifyOptions) -> str:  # noqa: ARG002 - people wait for products, whatever they are
        """No search finds what people wait for; the database knows it."""
        return ""

    def location_ids(self, options: NotifyOptions, shop: ShopRead) -> frozenset[str]:
        """The locations whose stock counts."""
        where = availability.counted(shop, options.location_names)
        return frozenset(one.id for one in shop.locations if where.holds(one.id))

    def needs(self, situation: Situation[NotifyOptions]) -> Need:
        """The product, if anybody waits for it and the events can concern them."""
        where = _where(situation)  # wrong names are told before anything is read
        if situation.subject == WHOLE_SHOP:
            return CheckWaiting(offers=any(_looks_at_offers(one) for one in situation.events))
        matters = any(_matters(where, one) for one in situation.events)
        if not matters or not situation.alerts.concerns_anybody:
            return NoRead()
        return ReadShown(product_id=ProductGid(situation.subject))

    def decide(self, situation: Situation[NotifyOptions], facts: Facts) -> Plan:
        """What a look at one product means for those who wait for it."""
        if isinstance(self.needs(situation), NoRead):
            return Plan(because=_without_read(situation))
        product = facts.shown
        if product is None:
            gone = restock.product_gone(situation.alerts)
            return Plan(because=gone.because, alerts=gone)
        stock = stock_of(product, _where(situation), situation.options)
        looked = restock.look(
            rule_of(situation.options),
            situation.alerts,
            product,
            stock,
            now=situation.now,
            nonce=situation.nonce,
        )
        return Plan(because=looked.because, alerts=looked, title=product.title)

    def decide_page(
        self,
        situation: Situation[NotifyOptions],
        page: Sequence[ProductRead],
        claims: Sequence[Claim],
    ) -> PagePlan:
        """Never asked for: this kind scans no catalogue."""
        raise AssertionError(f"{self.kind} does not scan ({situation.subject}, {len(page)}, {len(claims)})")

    def conclude(self, situation: Situation[NotifyOptions], tally: Tally) -> Plan:
        """What to say after the products were put on the list to be looked at."""
        offers = any(_looks_at_offers(one) for one in situation.events)
        besides = ", and those of offers with auto-disable," if offers else ""
        found = f"{tally.woken} product" if tally.woken == 1 else f"{tally.woken} products"
        return Plan(because=f"Products that people wait for{besides} are looked at one by one: {found}.")


def rule_of(options: NotifyOptions) -> Rule:
    """What the options say of a restock."""
    return Rule(quantity=options.quantity, settle_s=options.settle_s)


def stock_of(product: ShownProduct, where: availability.Counted, options: NotifyOptions) -> Stock:
    """Units of each variant at the locations that count; None for one that never runs out."""
    return {one.id: _units(one, where, options) for one in product.variants}


def _units(variant: ShownVariant, where: availability.Counted, options: NotifyOptions) -> int | None:
    if options.continue_selling_counts and variant.continue_selling:
        return None
    return variant.available(
        {level.location_id for level in variant.levels if where.holds(level.location_id)}
    )


def _where(situation: Situation[NotifyOptions]) -> availability.Counted:
    places.check_locations(situation.shop, situation.options.location_names)
    return availability.counted(situation.shop, situation.options.location_names)


def _matters(where: availability.Counted, event: Event) -> bool:
    """False only for a level at a location that does not count: it brings nothing back."""
    location = event.payload.get("location_id") if event.topic == INVENTORY_UPDATE else None
    return not isinstance(location, int) or where.holds(gid("Location", location))


def _looks_at_offers(event: Event) -> bool:
    """The first look of an hour, and every look that somebody asks for."""
    if event.topic in _FULL_LOOK:
        return True
    at = event.payload.get("scheduled_at")
    return isinstance(at, str) and datetime.fromisoformat(at).minute < 10


def _without_read(situation: Situation[NotifyOptions]) -> str:
    if not situation.alerts.concerns_anybody:
        return "Nobody waits for this product: nothing was read."
    return "The level that changed is at a location whose stock does not count here: nothing was read."
