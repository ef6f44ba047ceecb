"""Negative controls: rules that are known to be wrong, run against the same shop model.

A harness that cannot see these fail proves nothing about ours. Each control passes one sale per
cycle on to the other members and meets a fault with a small probability per cycle.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.core.shop import ChangeRow, LevelKey, Shop

MEMBERS = 4
CYCLES = 200
START = 1_000


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """How often a control ended with wrong stock, and by how much."""

    name: str
    probability: float
    runs: int
    wrong: int
    mean_error: float
    worst_error: int

    @property
    def share(self) -> float:
        return self.wrong / self.runs


class Cycle:
    """One run of one control: the shop, its members, the sales so far and the rule's own memory."""

    def __init__(self, rng: random.Random, *, probability: float) -> None:
        self.rng = rng
        self.probability = probability
        self.shop = Shop(replays=True, stamp_resolution_s=0.001)
        self.members = [LevelKey(f"item-{index}", "here") for index in range(MEMBERS)]
        self.cache = START
        self.sold = 0
        self.now_s = 0.0
        self._keys = 0
        for member in self.members:
            self.shop.add(member, quantity=START, now_s=0.0)

    def strikes(self) -> bool:
        """Whether a fault of the kind asked about happens now."""
        return self.rng.random() < self.probability

    def sell(self, *, not_of: LevelKey | None = None) -> LevelKey:
        self.now_s += 60.0
        member = self.rng.choice([member for member in self.members if member != not_of])
        self.shop.move(member, delta=-1, cause="sale", now_s=self.now_s)
        self.sold += 1
        return member

    def read(self) -> list[int]:
        return [self.shop.levels[member].quantity for member in self.members]

    def write(self, levels: list[int], goal: int) -> None:
        """Bring every member from its read level to the goal in one call that compares every row."""
        self._keys += 1
        rows = tuple(
            ChangeRow(member, goal - level, level) for member, level in zip(self.members, levels, strict=True)
        )
        self.shop.adjust(f"control-{self._keys}", rows, now_s=self.now_s)

    def put(self, goal: int) -> None:
        """An absolute set: whatever the levels are when it arrives, they become the goal."""
        for member in self.members:
            difference = goal - self.shop.levels[member].quantity
            if difference:
                self.shop.move(member, delta=difference, cause="ours", now_s=self.now_s)

    @property
    def error(self) -> int:
        """The largest distance of a level from the truth."""
        truth = START - self.sold
        return max(abs(level - truth) for level in self.read())


@dataclass(frozen=True, kw_only=True)
class MechanicFaults:
    """Which of the three kinds strike: an adjustment or cache write fails, a sale comes between."""

    adjust: bool = True
    cache: bool = True
    between: bool = True


def mechanics_rule(cycle: Cycle, faults: MechanicFaults) -> None:
    """new = old + (sum of levels - n * old), with cache and adjustment as independent actions."""
    cycle.sell()
    levels = cycle.read()
    goal = cycle.cache + sum(levels) - MEMBERS * cycle.cache
    if goal == cycle.cache:
        return
    if not (faults.cache and cycle.strikes()):
        cycle.cache = goal
    if faults.between and cycle.strikes():
        cycle.sell()
    if not (faults.adjust and cycle.strikes()):
        cycle.write(levels, goal)


def mechanic_three_kinds(cycle: Cycle) -> None:
    mechanics_rule(cycle, MechanicFaults())


def mechanic_adjust_fails(cycle: Cycle) -> None:
    mechanics_rule(cycle, MechanicFaults(cache=False, between=False))


def last_event_wins(cycle: Cycle) -> None:
    """Every event carries its member's level to all others; a second member may sell before."""
    changed = cycle.sell()
    if cycle.strikes():
        changed = cycle.sell(not_of=changed)
    levels = cycle.read()
    cycle.write(levels, cycle.shop.levels[changed].quantity)


def absolute_set(cycle: Cycle) -> None:
    """Reads, takes away what was sold, sets without comparing; a sale may land in between."""
    cycle.sell()
    levels = cycle.read()
    goal = cycle.cache + sum(level - cycle.cache for level in levels)
    if cycle.strikes():
        cycle.sell()
    cycle.put(goal)
    cycle.cache = goal


CONTROLS: dict[str, Callable[[Cycle], None]] = {
    "mechanic": mechanic_three_kinds,
    "mechanic-one-kind": mechanic_adjust_fails,
    "last-event-wins": last_event_wins,
    "absolute-set": absolute_set,
}


def run_control(name: str, *, probability: float, seeds: range) -> ControlResult:
    """Run one control over all seeds at one fault probability per cycle."""
    errors = [_one_run(CONTROLS[name], probability=probability, seed=seed) for seed in seeds]
    wrong = [error for error in errors if error]
    return ControlResult(
        name=name,
        probability=probability,
        runs=len(errors),
        wrong=len(wrong),
        mean_error=sum(wrong) / len(wrong) if wrong else 0.0,
        worst_error=max(errors),
    )


def _one_run(rule: Callable[[Cycle], None], *, probability: float, seed: int) -> int:
    cycle = Cycle(random.Random(seed), probability=probability)
    for _ in range(CYCLES):
        rule(cycle)
    return cycle.error
