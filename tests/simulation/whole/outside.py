"""Everybody but us: buyers and staff, whose acts are put on the shop's agenda before the storm begins."""

import random
from collections.abc import Callable

from shopify_emulator import Order, Shop, ShopError
from tests.journey.listings import Listing, add_listing
from tests.simulation.whole.scenario import Scenario

TITLES = "ABCDEFGH"


class Outside:
    """Acts on one shop at seeded moments."""

    def __init__(self, scenario: Scenario, shop: Shop, rng: random.Random) -> None:
        self._scenario = scenario
        self._shop = shop
        self._rng = rng
        self._orders: list[Order] = []
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
        kinds: dict[Callable[[], None], int] = {
            self.sell: 40,
            self._order: 15,
            self._refund: 8,
            self._cancel: 4,
            self._fulfil: 3,
        }
        if not self._scenario.orders_only:
            kinds |= {self._restock: 10, self._count: 6, self._edit_order: 4, self._count_all: 3}
        try:
            self._rng.choices(list(kinds), list(kinds.values()))[0]()
        except ShopError:
            return

    def sell(self) -> None:
        listing = self._listing()
        self._buy(listing, [self._title()], self._rng.choice((1, 1, 1, 2)))

    def _order(self) -> None:
        """Several lines of one stock, also the same one twice, in one order."""
        self._buy(self._listing(), [self._title() for _ in range(self._rng.randint(2, 4))], 1)

    def _buy(self, listing: Listing, titles: list[str], count: int) -> None:
        self._orders.append(listing.sell(*titles, count=count, location=self._place()))

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
            variant = self._listing().variant(self._title()).gid
            self._shop.edit_order(self._rng.choice(self._orders).gid, [(variant, 1)], force=True)

    def _restock(self) -> None:
        self._type([self._title()], self._rng.randint(1, 12))

    def _count(self) -> None:
        self._type([self._title()], self._rng.randint(-5, 6))

    def _count_all(self) -> None:
        self._type(list(TITLES[: self._scenario.variants]), self._rng.randint(-4, 8))

    def _type(self, titles: list[str], by: int) -> None:
        """Staff type numbers over levels: what they see, and some more or less."""
        listing, place = self._listing(), self._place()
        typed = {title: self._shop.level(listing.item(title), place) + by for title in titles}
        listing.edit(location=place, **typed)

    def _listing(self) -> Listing:
        return self._rng.choice(self.listings)

    def _title(self) -> str:
        return self._rng.choice(TITLES[: self._scenario.variants])

    def _place(self) -> str:
        return self._rng.choice(self.locations)
