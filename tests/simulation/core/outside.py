"""Everybody but us: buyers, staff and other apps, who move levels, hide them and change what is in scope.

It also keeps the list of orders and refunds, as a shop that grants `read_orders` shows it.
"""

import random
from collections import Counter
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

ACTS = (
    "sell",
    "order_of_lines",
    "refund",
    "restock",
    "count_one",
    "same_value_again",
    "add_to_all",
    "count_all",
    "add_unequally",
    "transfer",
    "variant_added",
    "variant_removed",
    "scope_switched",
    "tracking_switched",
    "stocking_switched",
    "pack_changed",
)

Act = Callable[[], bool]  # whether it did anything
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
        self.counts: Counter[str] = Counter()
        self._untagged: dict[LevelKey, int] = {}
        self._items = 0
        self._actions = 0
        self.locations = [f"place-{index}" for index in range(scenario.locations)]
        self.scope: dict[LevelKey, int] = {}
        self.ids: dict[LevelKey, MemberId] = {}
        self.levels: dict[MemberId, LevelKey] = {}
        for units in scenario.units:
            self._new_item(units, stock=scenario.stock)
        kinds = self._kinds()
        self._names, self._weights = list(kinds), [weight for _, weight in kinds.values()]
        self._acts = {name: act for name, (act, _) in kinds.items()}

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
        """One random act of the outside. It counts when it changed or announced something."""
        name = self._rng.choices(self._names, self._weights)[0]
        self.counts[name] += self._acts[name]()

    def _kinds(self) -> dict[str, tuple[Act, int]]:
        """The acts of this run by name, with their weights."""
        scenario, kinds = self._scenario, self._by_orders()
        if not scenario.only_orders:
            kinds |= self._by_hand()
        if scenario.membership_changes:
            kinds |= self._of_scope()
        return kinds

    def _by_orders(self) -> dict[str, tuple[Act, int]]:
        return {"sell": (self.sell, 40), "order_of_lines": (self._order, 15), "refund": (self._refund, 10)}

    def _by_hand(self) -> dict[str, tuple[Act, int]]:
        kinds: dict[str, tuple[Act, int]] = {
            "restock": (self._restock, 8),
            "count_one": (self._count_one, 6),
            "same_value_again": (self._same_value, 2),
        }
        if self._scenario.bulk_raises:
            kinds |= {
                "add_to_all": (self._add_to_all, 4),
                "count_all": (self._count_all, 3),
                "add_unequally": (self._add_unequally, 3),
            }
        if len(self.locations) > 1:
            kinds["transfer"] = (self.transfer, 6)
        return kinds

    def _of_scope(self) -> dict[str, tuple[Act, int]]:
        return {
            "variant_added": (self._add_variant, 2),
            "variant_removed": (self._remove_variant, 1),
            "scope_switched": (self._switch_scope, 2),
            "tracking_switched": (self._switch_tracking, 3),
            "stocking_switched": (self._switch_stocking, 2),
            "pack_changed": (self._change_pack, 1),
        }

    def sell(self) -> bool:
        return self._buy([(level, self._rng.choice((1, 1, 1, 2))) for level in self._some_level()])

    def sell_at(self, level: LevelKey) -> None:
        """A sale of just this level (to come between a read and a write)."""
        if self._shop.levels[level].available is not None:
            self._buy([(level, 1)])

    def _order(self) -> bool:
        """Several lines of one stock, also the same one twice, in one order."""
        levels = self._visible(self._rng.choice(self.locations))
        if not levels:
            return False
        count = self._rng.randint(2, 4)
        return self._buy([(self._rng.choice(levels), self._rng.choice((1, 1, 2))) for _ in range(count)])

    def _refund(self) -> bool:
        return self._move_all([(level, self._rng.choice((1, 2))) for level in self._some_level()], REFUND)

    def _restock(self) -> bool:
        return self._move_all([(level, self._rng.randint(1, 15)) for level in self._some_level()], MANUAL)

    def _count_one(self) -> bool:
        """Staff type a number over a level, as they counted."""
        return self._type_over((level, self._typed(level)) for level in self._some_level())

    def _typed(self, level: LevelKey) -> int:
        return max(-2, self._shop.levels[level].quantity + self._rng.randint(-6, 10))

    def _type_over(self, typed: Iterable[tuple[LevelKey, int]]) -> bool:
        moves = [(level, value - self._shop.levels[level].quantity) for level, value in typed]
        return self._move_all(moves, MANUAL)

    def _same_value(self) -> bool:
        levels = self._some_level()
        for level in levels:
            self._actions += 1
            self._announce(level, f"event-{self._actions}")
        return bool(levels)

    def _add_to_all(self) -> bool:
        by = self._rng.randint(1, 12)
        return self._move_all([(level, by) for level in self._visible_somewhere()], MANUAL)

    def _count_all(self) -> bool:
        levels = self._visible_somewhere()
        value = self._typed(levels[0]) if levels else 0
        return self._type_over((level, value) for level in levels)

    def _add_unequally(self) -> bool:
        return self._move_all(
            [(level, self._rng.randint(-3, 8)) for level in self._visible_somewhere()], MANUAL
        )

    def transfer(self) -> bool:
        """Stock of one item goes from one location to another: one act, two pools."""
        for level in self._some_level():
            other = LevelKey(level.item, next(place for place in self.locations if place != level.location))
            if other in self.scope and self._shop.levels[other].available is not None:
                count = self._rng.randint(1, 5)
                return self._move_all([(level, -count), (other, count)], MANUAL)
        return False

    # --- scope ---

    def _add_variant(self) -> bool:
        units = self._rng.choice(self._scenario.units)
        self._new_item(units, stock=self._rng.choice((0, 0, 3, 50)))
        return True

    def _remove_variant(self) -> bool:
        gone = self._take_away()
        for level in gone:
            self._shop.levels[level].deleted = True
        return bool(gone)

    def _switch_scope(self) -> bool:
        """A product loses its tag or has it again. Its levels live on, and requests still reach them."""
        if self._untagged:
            self.scope |= self._untagged
            self._untagged = {}
            return True
        self._untagged = self._take_away()
        return bool(self._untagged)

    def _take_away(self) -> dict[LevelKey, int]:
        """Some item's levels are in scope no more; two items stay."""
        items = sorted({level.item for level in self.scope})
        if len(items) <= 2:
            return {}
        item = self._rng.choice(items)
        return {level: self.scope.pop(level) for level in list(self.scope) if level.item == item}

    def _switch_tracking(self) -> bool:
        level = self._some_scoped()
        for other in [other for other in self.scope if other.item == level.item]:
            self._shop.levels[other].tracked = not self._shop.levels[other].tracked
        self._announce(level, "tracking")
        return True

    def _switch_stocking(self) -> bool:
        level = self._some_scoped()
        self._shop.levels[level].stocked = not self._shop.levels[level].stocked
        self._announce(level, "stocking")
        return True

    def _change_pack(self) -> bool:
        level = self._some_scoped()
        before = self.scope[level]
        self.scope[level] = self._rng.choice(self._scenario.units)
        return self.scope[level] != before

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

    def _visible_somewhere(self) -> list[LevelKey]:
        return self._visible(self._rng.choice(self.locations))

    def _some_level(self) -> Sequence[LevelKey]:
        levels = self._visible_somewhere()
        return [self._rng.choice(levels)] if levels else []

    def _some_scoped(self) -> LevelKey:
        return self._rng.choice(list(self.scope))

    def _buy(self, lines: Sequence[tuple[LevelKey, int]]) -> bool:
        moves = []
        left = {level: self._shop.levels[level].quantity for level, _ in lines}
        for level, count in lines:
            if self._scenario.sells_below_zero or left[level] >= count:
                left[level] -= count
                moves.append((level, -count))
        return self._move_all(moves, SALE)

    def _move_all(self, moves: Iterable[tuple[LevelKey, int]], cause: str) -> bool:
        """One act: all its levels move at the same moment, and every level is announced under one event."""
        self._actions += 1
        moving = [(level, delta) for level, delta in moves if delta]
        for level, delta in moving:
            self._shop.move(level, delta=delta, cause=cause, now_s=self._clock.now_s)
            self._announce(level, f"event-{self._actions}")
        return bool(moving)
