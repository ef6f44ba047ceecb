"""Everybody but us: buyers and staff, whose acts are put on the shop's agenda before the storm begins.

Knows which levels share a stock, as the merchant means it.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from shopify_emulator import Order, Shop, ShopError, Variant, VariantSpec
from tests.journey.listings import TAG, Listing, add_listing
from tests.simulation.whole.books import Level
from tests.simulation.whole.scenario import OTHER_TYPE, PRINT_TYPE, Scenario

TITLES = "ABCDEFGH"
ALL_AS_ONE = "*"
MOST_VARIANTS = 7

Pool = tuple[str, str]  # product and place, by gid


class Outside:
    """Acts on one shop at seeded moments. `counts` are acts that change who shares; `tell` hears of every act."""

    def __init__(
        self, scenario: Scenario, shop: Shop, rng: random.Random, tell: Callable[[str], None]
    ) -> None:
        self._scenario = scenario
        self._shop = shop
        self._rng = rng
        self._tell = tell
        self._orders: list[Order] = []
        self.counts: Counter[str] = Counter()
        self.locations = [shop.add_location(f"Place {number}") for number in range(scenario.locations)]
        self.listings = [
            add_listing(shop, f"Poster {number}", titles=TITLES[: scenario.variants], levels=scenario.stock)
            for number in range(scenario.products)
        ]

    def plan(self) -> None:
        """Spread all acts of the storm over its length, some of them close together."""
        for _ in range(self._scenario.acts):
            at_s = self._rng.uniform(0, self._scenario.storm_s)
            for twin in range(self._rng.choice((1, 1, 1, 2, 3))):
                self._shop.agenda.later(at_s + twin * self._rng.uniform(0, 0.3), self.act)

    def act(self) -> None:
        """One random act; what the shop refuses (an order refunded twice) does not happen."""
        kinds = self._kinds()
        self._try(self._rng.choices(list(kinds), list(kinds.values()))[0])

    def act_between(self) -> None:
        """What meets a correction on its way: mostly a sale."""
        if self._scenario.membership_changes and self._rng.random() < 0.3:
            self.act()
        else:
            self._try(self._sell)

    def _try(self, act: Callable[[], None]) -> None:
        self._tell(f"outside: {act.__name__.strip('_')}")
        try:
            act()
        except ShopError as refusal:
            self._tell(f"  the shop refuses: {refusal}")

    def _kinds(self) -> Mapping[Callable[[], None], int]:
        scenario = self._scenario
        kinds: dict[Callable[[], None], int] = {
            self._sell: 40,
            self._order: 15,
            self._refund: 8,
            self._cancel: 4,
            self._fulfil: 3,
        }
        if not scenario.orders_only:
            kinds |= {self._restock: 10, self._count: 6, self._edit_order: 4, self._count_all: 8}
            if scenario.locations > 1:
                kinds[self._transfer] = 8
        if scenario.membership_changes:
            kinds |= {
                self._add_variant: 5,
                self._remove_variant: 4,
                self._change_tracking: 5,
                self._change_scope: 6,
                self._delete_product: 3,
            }
            if scenario.locations > 1:
                kinds[self._change_stocking] = 6
        return kinds

    # --- orders -----------------------------------------------------------------------------------------

    def _sell(self) -> None:
        """One line of one variant."""
        listing = self._listing()
        self._buy([self._variant(listing)], self._rng.choice((1, 1, 1, 2)))

    def _order(self) -> None:
        """Several lines of one stock, also the same one twice, in one order."""
        listing = self._listing()
        self._buy([self._variant(listing) for _ in range(self._rng.randint(2, 4))], 1)

    def _buy(self, variants: Sequence[Variant], count: int) -> None:
        lines = [(variant.gid, count) for variant in variants]
        self._orders.append(self._shop.sell(lines, location=self._place(), force=True))

    def _refund(self) -> None:
        if self._orders:
            self._shop.refund(self._rng.choice(self._orders).gid, restock=self._rng.random() < 0.8)

    def _cancel(self) -> None:
        if self._orders:
            self._shop.cancel(self._rng.choice(self._orders).gid, restock=self._rng.random() < 0.8)

    def _fulfil(self) -> None:
        if self._orders:
            self._shop.fulfil(self._rng.choice(self._orders).gid)

    def _edit_order(self) -> None:
        if self._orders:
            variant = self._variant(self._listing()).gid
            self._shop.edit_order(self._rng.choice(self._orders).gid, [(variant, 1)], force=True)

    # --- levels typed by hand -----------------------------------------------------------------------------

    def _restock(self) -> None:
        self._type([self._variant(self._listing())], self._rng.randint(1, 12))

    def _count(self) -> None:
        self._type([self._variant(self._listing())], self._rng.randint(-5, 6))

    def _count_all(self) -> None:
        self._type(self._listing().product.variants, self._rng.randint(-4, 12))

    def _type(self, variants: Sequence[Variant], by: int) -> None:
        """Staff type numbers over levels: what they see, and some more or less."""
        place = self._place()
        items = [variant.item.gid for variant in variants if self._is_stocked(variant, place)]
        self._shop.bulk_edit([(item, place, self._shop.level(item, place) + by) for item in items])

    def _transfer(self) -> None:
        """Stock of one variant goes from one location to another: one act, two levels."""
        variant, count = self._variant(self._listing()), self._rng.randint(1, 5)
        here, there = self._rng.sample(self.locations, 2)
        if self._is_stocked(variant, here) and self._is_stocked(variant, there):
            item = variant.item.gid
            moves = ((here, -count), (there, count))
            self._shop.bulk_edit([(item, place, self._shop.level(item, place) + by) for place, by in moves])
            self.counts["transfer"] += 1

    # --- who shares ---------------------------------------------------------------------------------------

    def _add_variant(self) -> None:
        listing = self._listing()
        if len(listing.product.variants) < MOST_VARIANTS:
            title = f"New {self.counts['variant_added']}"
            spec = VariantSpec(title=title, policy="CONTINUE")
            self._shop.add_variant(listing.gid, spec, levels=self._rng.choice((0, 0, 3, 50)))
            self.counts["variant_added"] += 1

    def _remove_variant(self) -> None:
        listing = self._listing()
        if len(listing.product.variants) > 2:
            self._shop.remove_variant(self._variant(listing).gid)
            self.counts["variant_removed"] += 1

    def _change_tracking(self) -> None:
        item = self._variant(self._listing()).item
        self._shop.set_tracked(item.gid, tracked=not item.tracked)
        self.counts["tracking_changed"] += 1

    def _change_stocking(self) -> None:
        variant, place = self._variant(self._listing()), self._place()
        if self._is_stocked(variant, place):
            self._shop.disconnect(variant.item.gid, place)
        else:
            self._shop.connect(variant.item.gid, place)
        self.counts["stocking_changed"] += 1

    def _change_scope(self) -> None:
        """The tag or type that puts a product in scope is taken off, or put on again."""
        listing = self._listing()
        was = self._in_scope(listing)
        if self._scenario.kind == "sync-across-variants":
            self._shop.set_tags(listing.gid, () if was else (TAG,))
        else:
            self._shop.set_type(listing.gid, OTHER_TYPE if was else PRINT_TYPE)
        self.counts["product_out_of_scope" if was else "product_back_in_scope"] += 1

    def _delete_product(self) -> None:
        if len(self.listings) > 1:
            listing = self._listing()
            self.listings.remove(listing)
            self._shop.remove_product(listing.gid)
            self.counts["product_deleted"] += 1

    def _in_scope(self, listing: Listing) -> bool:
        if self._scenario.kind == "sync-across-variants":
            return TAG in listing.product.tags
        return listing.product.product_type == PRINT_TYPE

    # --- what should be shared ----------------------------------------------------------------------------

    def shared(self) -> dict[Pool, list[Level]]:
        """The levels that share a stock now, by product and place."""
        found: dict[Pool, list[Level]] = {}
        for listing in self.listings:
            if self._in_scope(listing):
                for variant in listing.product.variants:
                    for place in self.locations:
                        if variant.item.tracked and self._is_stocked(variant, place):
                            pool = (listing.gid, ALL_AS_ONE if self._scenario.as_one else place)
                            found.setdefault(pool, []).append((variant.item.gid, place))
        return found

    def make_equal(self, levels: Sequence[Level]) -> None:
        """Staff do as they are asked where levels differ at the start."""
        stock = max(self._shop.level(*level) for level in levels)
        self._shop.bulk_edit([(item, place, stock) for item, place in levels])

    def sell_one(self, level: Level) -> None:
        """A sale of just this level."""
        item, place = level
        variant = next(
            variant
            for listing in self.listings
            for variant in listing.product.variants
            if variant.item.gid == item
        )
        self._shop.sell([(variant.gid, 1)], location=place, force=True)

    def _is_stocked(self, variant: Variant, place: str) -> bool:
        level = variant.item.levels.get(place)
        return level is not None and level.active

    def _listing(self) -> Listing:
        return self._rng.choice(self.listings)

    def _variant(self, listing: Listing) -> Variant:
        return self._rng.choice(listing.product.variants)

    def _place(self) -> str:
        return self._rng.choice(self.locations)
