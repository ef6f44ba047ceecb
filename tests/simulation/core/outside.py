"""Everybody but us: buyers, staff and other apps, who move levels, hide them and change what is in scope.

It also keeps the list of orders and refunds, as a shop that grants `read_orders` shows it.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from stockwright.ledger.state import MemberId
from tests.simulation.core.clock import Clock
from tests.simulation.core.network import LAG_S
from tests.simulation.core.scenario import Scenario
from tests.simulation.core.shop import LevelKey, Shop

SALE, REFUND, MANUAL = "sale", "refund", "manual"
BY_ORDERS = (SALE, REFUND)
EVIDENCE_MARGIN_S = 6.0
"""Orders this near to the read that opened an intent cannot be placed before or after it."""

Announce = Callable[[LevelKey, str], None]


class Outside:
    """Moves one shop. `scope` maps each level that shares stock to its pack size."""

    def __init__(
        self, scenario: Scenario, *, clock: Clock, shop: Shop, rng: random.Random, announce: Announce
    ) -> None:
        self._scenario = scenario
        self._clock = clock
        self._shop = shop
        self._rng = rng
        self._announce = announce
        self._items = 0
        self._actions = 0
        self.locations = [f"place-{index}" for index in range(scenario.locations)]
        self.scope: dict[LevelKey, int] = {}
        self.ids: dict[LevelKey, MemberId] = {}
        self.levels: dict[MemberId, LevelKey] = {}
        for units in scenario.units:
            self._new_item(units, stock=scenario.stock)

    # --- what others ask ---

    def scope_of(self, location: str) -> Mapping[LevelKey, int]:
        """The levels that share one stock at a location, with their pack sizes."""
        return {level: units for level, units in self.scope.items() if level.location == location}

    def id_at(self, level: LevelKey, location: str) -> MemberId:
        """The same item at another location."""
        return self.ids.get(LevelKey(level.item, location), self.ids[level])

    def order_moves(
        self, levels: Mapping[MemberId, LevelKey], *, since_s: float
    ) -> Mapping[MemberId, int] | None:
        """Net movement by orders since a moment of our clock; None when an order lies too near to an end."""
        moves: dict[MemberId, int] = {}
        now_s = self._clock.now_s
        for id, level in levels.items():
            for movement in self._shop.levels[level].movements:
                if movement.cause not in BY_ORDERS or movement.time_s < since_s - EVIDENCE_MARGIN_S:
                    continue
                if movement.time_s <= since_s + EVIDENCE_MARGIN_S or movement.time_s > now_s - LAG_S - 1:
                    return None
                moves[id] = moves.get(id, 0) + movement.delta
        return moves

    # --- acting ---

    def act(self) -> None:
        """One random act of the outside."""
        kinds = self._kinds()
        self._rng.choices(list(kinds), list(kinds.values()))[0]()

    def _kinds(self) -> Mapping[Callable[[], None], int]:
        kinds: dict[Callable[[], None], int] = {self.sell: 40, self._order: 15, self._refund: 10}
        scenario = self._scenario
        if not scenario.only_orders:
            kinds |= {self._restock: 8, self._count_one: 6, self._same_value: 2}
            if scenario.bulk_raises:
                kinds |= {self._add_to_all: 4, self._count_all: 3, self._add_unequally: 3}
            if len(self.locations) > 1:
                kinds[self.transfer] = 6
        if scenario.membership_changes:
            kinds |= {
                self._add_variant: 2,
                self._remove_variant: 1,
                self._toggle_tracking: 3,
                self._toggle_stocking: 2,
                self._change_pack: 1,
            }
        return kinds

    def sell(self) -> None:
        self._buy([(level, self._rng.choice((1, 1, 1, 2))) for level in self._some_level()], SALE)

    def sell_at(self, level: LevelKey) -> None:
        """A sale of just this level (to come between a read and a write)."""
        if self._shop.levels[level].available is not None:
            self._buy([(level, 1)], SALE)

    def _order(self) -> None:
        """Several lines of one stock, also the same one twice, in one order."""
        location = self._rng.choice(self.locations)
        levels = self._visible(location)
        if levels:
            lines = [
                (self._rng.choice(levels), self._rng.choice((1, 1, 2)))
                for _ in range(self._rng.randint(2, 4))
            ]
            self._buy(lines, SALE)

    def _refund(self) -> None:
        self._move_all([(level, self._rng.choice((1, 2))) for level in self._some_level()], REFUND)

    def _restock(self) -> None:
        self._move_all([(level, self._rng.randint(1, 15)) for level in self._some_level()], MANUAL)

    def _count_one(self) -> None:
        """Staff type a number over a level, as they counted."""
        self._move_all(
            [(level, self._typed(level) - self._shop.levels[level].quantity) for level in self._some_level()],
            MANUAL,
        )

    def _typed(self, level: LevelKey) -> int:
        return max(-2, self._shop.levels[level].quantity + self._rng.randint(-6, 10))

    def _same_value(self) -> None:
        for level in self._some_level():
            self._actions += 1
            self._announce(level, f"event-{self._actions}")

    def _add_to_all(self) -> None:
        by = self._rng.randint(1, 12)
        self._move_all([(level, by) for level in self._visible(self._rng.choice(self.locations))], MANUAL)

    def _count_all(self) -> None:
        levels = self._visible(self._rng.choice(self.locations))
        if levels:
            value = self._typed(levels[0])
            self._move_all([(level, value - self._shop.levels[level].quantity) for level in levels], MANUAL)

    def _add_unequally(self) -> None:
        levels = self._visible(self._rng.choice(self.locations))
        self._move_all([(level, self._rng.randint(-3, 8)) for level in levels], MANUAL)

    def transfer(self) -> None:
        """Stock of one item goes from one location to another: one act, two pools."""
        for level in self._some_level():
            other = LevelKey(level.item, next(place for place in self.locations if place != level.location))
            if other in self.scope and self._shop.levels[other].available is not None:
                count = self._rng.randint(1, 5)
                self._move_all([(level, -count), (other, count)], MANUAL)

    # --- scope ---

    def _add_variant(self) -> None:
        units = self._rng.choice(self._scenario.units)
        self._new_item(units, stock=self._rng.choice((0, 0, 3, 50)))

    def _remove_variant(self) -> None:
        items = sorted({level.item for level in self.scope})
        if len(items) > 2:
            gone = self._rng.choice(items)
            for level in [level for level in self.scope if level.item == gone]:
                self._shop.levels[level].deleted = True
                del self.scope[level]

    def _toggle_tracking(self) -> None:
        for level in self._some_scoped():
            for other in [other for other in self.scope if other.item == level.item]:
                self._shop.levels[other].tracked = not self._shop.levels[other].tracked
            self._announce(level, "tracking")

    def _toggle_stocking(self) -> None:
        for level in self._some_scoped():
            self._shop.levels[level].stocked = not self._shop.levels[level].stocked
            self._announce(level, "stocking")

    def _change_pack(self) -> None:
        for level in self._some_scoped():
            self.scope[level] = self._rng.choice(self._scenario.units)

    def _new_item(self, units: int, *, stock: int) -> None:
        self._items += 1
        for location in self.locations:
            level = LevelKey(f"item-{self._items}", location)
            id = MemberId(f"gid://shopify/InventoryItem/{self._items}", f"gid://shopify/Location/{location}")
            self._shop.add(level, quantity=stock // units, now_s=self._clock.now_s)
            self.scope[level] = units
            self.ids[level] = id
            self.levels[id] = level

    # --- the means ---

    def _visible(self, location: str) -> list[LevelKey]:
        return [
            level
            for level in self.scope
            if level.location == location and self._shop.levels[level].available is not None
        ]

    def _some_level(self) -> Sequence[LevelKey]:
        levels = self._visible(self._rng.choice(self.locations))
        return [self._rng.choice(levels)] if levels else []

    def _some_scoped(self) -> Sequence[LevelKey]:
        return [self._rng.choice(list(self.scope))]

    def _buy(self, lines: Sequence[tuple[LevelKey, int]], cause: str) -> None:
        moves = []
        left = {level: self._shop.levels[level].quantity for level, _ in lines}
        for level, count in lines:
            if self._scenario.sells_below_zero or left[level] >= count:
                left[level] -= count
                moves.append((level, -count))
        self._move_all(moves, cause)

    def _move_all(self, moves: Iterable[tuple[LevelKey, int]], cause: str) -> None:
        """One act: all its levels move at the same moment, and every level is announced under one event."""
        self._actions += 1
        for level, delta in moves:
            if delta:
                self._shop.move(level, delta=delta, cause=cause, now_s=self._clock.now_s)
                self._announce(level, f"event-{self._actions}")
