"""The negative controls on the same stage as ours: same shop, network, clock, inbox, workers, faults and judge.

A harness in which these conserve stock with faults proves nothing about ours. Their only acts are sales of
one line, so that nothing but faults and sales that overlap can make them wrong.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.simulation.core.driver import Job, Pause, Worker
from tests.simulation.core.network import Reading
from tests.simulation.core.oracle import Oracle
from tests.simulation.core.scenario import RECONCILE_S, Scenario, scenario_of
from tests.simulation.core.shop import ChangeRow, LevelKey
from tests.simulation.core.stage import Stage
from tests.simulation.core.store import Event

APART_S = 30.0  # far enough for each sale to be passed on before the next
SERIAL_SALES = 15

Levels = Mapping[LevelKey, int]
Told = Sequence[int]
"""The levels that the waiting webhooks carry, oldest first."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A way to share stock that is known to be wrong."""

    goal: Callable[[int, Levels, Told], int]  # from what it remembers, the levels read and the webhooks
    compares: bool  # whether its write is refused when a level has moved since the read


def _sum_of_differences(old: int, levels: Levels, _told: Told) -> int:
    """Mechanic's: what every level differs from the remembered stock was sold or came in."""
    return old + sum(levels.values()) - len(levels) * old


def _last_told(old: int, _levels: Levels, told: Told) -> int:
    return told[-1] if told else old


RULES: Mapping[str, Rule] = {
    "mechanic": Rule(goal=_sum_of_differences, compares=True),
    "last-event-wins": Rule(goal=_last_told, compares=True),
    "absolute-set": Rule(goal=_sum_of_differences, compares=False),
}


class ControlRun(Stage):
    """One seed of one rule. What it remembers of a pool is its stock, saved apart from the write."""

    def __init__(self, rule: Rule, scenario: Scenario, *, serial: bool) -> None:
        super().__init__(scenario)
        self._rule = rule
        self._serial = serial
        self._keys = 0
        self._remembered = dict.fromkeys(self.store.pools, scenario.stock)
        self._oracle = Oracle(scenario, shop=self.shop, outside=self.outside)
        for key in self.store.pools:
            self._oracle.unseen(key, stock=scenario.stock, members=self.outside.scope_of(key))

    def ends_right(self) -> bool:
        """Whether every level shows the true stock at rest."""
        self._begin()
        if self._serial:
            self._sell_serially()
        else:
            self._faulty_phase()
        self.clock.run_until(self.clock.now_s + 2 * RECONCILE_S)
        return all(self._oracle.shows_stock(key) for key in self.store.pools)

    def _sell_serially(self) -> None:
        self.faults.on = False
        for _ in range(SERIAL_SALES):
            self._move()
            self.clock.run_until(self.clock.now_s + APART_S)

    def _move(self) -> None:
        self.outside.sell()

    def _job(self, worker: Worker, key: str) -> Job:
        record = self.store.pools[key]
        told, upto = _told(record.events), record.arrived
        yield Pause("before_read", 0.01)
        yield Pause("reading", 0.1)
        reading = self.network.read(self.outside.scope_of(key))
        yield Pause("reading", 0.1)
        if reading is None:
            self.store.wake_by(key, self.clock.now_s + 3.0)
        else:
            yield from self._pass_on(key, reading, told)
            self.store.done(key, upto=upto, wake_at_s=None)
        yield Pause("before_ack", 0.01)
        self.store.release(key, worker=worker.name)

    def _pass_on(self, key: str, reading: Reading, told: Told) -> Generator[Pause, None, None]:
        """Two acts that do not know of each other: the write, then the memory of the new stock."""
        levels = {
            level: shown.quantity for level, shown in reading.levels.items() if shown.quantity is not None
        }
        goal = self._rule.goal(self._remembered[key], levels, told)
        rows = tuple(self._row(level, was, goal) for level, was in levels.items() if was != goal)
        if rows:
            yield Pause("before_send", 0.01)
            self._keys += 1
            call = self.network.write(f"control-{self._keys}", rows)
            yield Pause("after_send", call.answer_after_s)
        yield Pause("after_reply", 0.02)
        self._remembered[key] = goal

    def _row(self, level: LevelKey, was: int, goal: int) -> ChangeRow:
        return ChangeRow(level, goal - was, was, sets_to=None if self._rule.compares else goal)


def _told(events: Sequence[Event]) -> Told:
    return tuple(event.available for event in events if event.available is not None)


def wrong_share(name: str, *, seeds: range, serial: bool) -> float:
    """How many seeds end with wrong stock: with faults, or (`serial`) with none and one sale at a time."""
    wrong = 0
    for seed in seeds:
        run = ControlRun(RULES[name], _sales_only(scenario_of(seed)), serial=serial)
        wrong += not run.ends_right()
        run.forget()
    return wrong / len(seeds)


def _sales_only(scenario: Scenario) -> Scenario:
    """Single units, and nothing that would be unfair to a rule without packs or members that come and go."""
    return replace(
        scenario, units=(1,) * scenario.members, only_orders=True, bulk_raises=False, membership_changes=False
    )
