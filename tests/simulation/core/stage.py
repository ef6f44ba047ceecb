"""The stage of one seed: a shop with its outside, network, clock, faults, inbox and two workers.

What a worker does for a key, and who judges it, is the matter of the runs that play on it. Nothing is
judged here.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.simulation.core.clock import Clock
from tests.simulation.core.driver import Job, Worker
from tests.simulation.core.faults import CRASH_AT, Faults
from tests.simulation.core.network import Network
from tests.simulation.core.outside import Outside
from tests.simulation.core.scenario import RECONCILE_S, Scenario
from tests.simulation.core.shop import LevelKey, Shop
from tests.simulation.core.store import Store
from tests.simulation.core.webhooks import Delivery, Webhooks

SWEEP_S = 20.0
JUMP_S = 3600.0


@dataclass(slots=True)
class Running:
    """A job on a worker."""

    worker: Worker
    key: str
    job: Job
    dead: bool = False


class Stage:
    """Everything around the code under test, and the two phases that every run begins with."""

    def __init__(self, scenario: Scenario, *, trace: Callable[[str], None] | None = None) -> None:
        self.scenario = scenario
        self._rng = random.Random(scenario.seed)
        self._trace = trace
        self.clock = Clock()
        self.faults = Faults(self._rng, scenario.rates)
        self.shop = Shop(
            replays=scenario.replays,
            stamp_resolution_s=scenario.stamp_resolution_s,
            skew_s=scenario.shop_skew_s,
        )
        self.webhooks = Webhooks(clock=self.clock, shop=self.shop, faults=self.faults, rng=self._rng)
        self.network = Network(clock=self.clock, shop=self.shop, faults=self.faults, rng=self._rng)
        self.outside = Outside(
            scenario, clock=self.clock, shop=self.shop, rng=self._rng, announce=self._changed
        )
        self.store = Store(self.outside.locations)
        self.workers = [Worker("worker-1"), Worker("worker-2")]
        self._running: list[Running] = []
        self._risky = frozenset(point for point in CRASH_AT if _harms(point) & scenario.rates.keys())
        self._reconcile_s = RECONCILE_S
        self._sweep_s = SWEEP_S
        self.network.sell_at = self.outside.sell_at
        self.webhooks.deliver_to(self._receive)

    def forget(self) -> None:
        """Let go of everything: its parts hold each other, and only a search for rubbish would find them."""
        self.clock.forget()
        self.__dict__.clear()

    # --- what a run brings along ---

    def _job(self, worker: Worker, key: str) -> Job:
        """All that a worker does for a key that has work."""
        raise NotImplementedError

    def _move(self) -> None:
        """One act of the outside."""
        raise NotImplementedError

    def _is_dropped(self, delivery: Delivery) -> bool:
        """Whether the inbox turns a delivery away that it has not stored yet."""
        return False

    # --- phases ---

    def _begin(self) -> None:
        """The first sweep finds every pool; nothing fails yet."""
        self.faults.on = False
        self.clock.after(0.0, self._sweep)
        self.clock.after(0.0, self._reconcile)
        self.clock.run_until(3.0)
        self.faults.on = True

    def _faulty_phase(self) -> float:
        """The outside moves stock while everything may fail. Returns when it ends."""
        at_s = self.clock.now_s
        for _ in range(self.scenario.moves):
            at_s += self._rng.expovariate(1 / self.scenario.pace_s)
            self.clock.at(at_s, self._act)
        self.clock.run_until(at_s + self._rng.uniform(0.0, 20.0))
        self.faults.on = False
        for worker in self.workers:
            worker.clock_error_s = 0.0
            self._start(worker)
        return self.clock.now_s

    def _act(self) -> None:
        self._say("outside", "acts")
        self._move()
        if self.faults.strikes("clock_jump"):
            worker = self._rng.choice(self.workers)
            worker.clock_error_s = self._rng.choice((-JUMP_S, JUMP_S, 0.0))

    # --- wake-ups ---

    def _changed(self, level: LevelKey, event_id: str) -> None:
        self._say("shop", lambda: f"{level} is {self.shop.levels[level].available}")
        self.webhooks.announce(level, event_id)

    def _receive(self, delivery: Delivery) -> None:
        if not self.store.is_new_delivery(delivery.delivery_id) or self._is_dropped(delivery):
            return
        key = delivery.level.location
        self.store.receive(key, member=self.outside.ids[delivery.level], available=delivery.available)
        self._wake(key)

    def _reconcile(self) -> None:
        for key in self.store.pools:
            self.store.receive(key)
            self._wake(key)
        self.clock.after(self._reconcile_s, self._reconcile)

    def _sweep(self) -> None:
        for key in self.store.pools:
            self._wake(key)
        self.clock.after(self._sweep_s, self._sweep)

    # --- workers ---

    def _wake(self, key: str) -> None:
        """Start a job, if there is work, a worker and nobody on it (or a second worker by fault)."""
        if not self.store.has_work(key, now_s=self.clock.now_s):
            return
        up = [worker for worker in self.workers if not worker.down]
        if not up:
            return
        worker = up[0] if len(up) == 1 else self._rng.choice(up)
        held = self.store.is_held(key, now_s=self.clock.now_s)
        if held and not self.faults.strikes("second_worker"):
            return
        self.store.take(key, worker=worker.name, now_s=self.clock.now_s)
        running = Running(worker, key, self._job(worker, key))
        self._running.append(running)
        self._advance(running)

    def _advance(self, running: Running) -> None:
        if running.dead:
            return
        try:
            point, delay_s = next(running.job)
        except StopIteration:
            self._running.remove(running)
            self._wake(running.key)
            return
        if point in self._risky and self.faults.on:
            if self.faults.strikes(CRASH_AT[point]):
                self._crash(running.worker, at=point)
                return
            delay_s += self._held_up_s(point)
        self.clock.after(delay_s, partial(self._advance, running))

    def _held_up_s(self, point: str) -> float:
        """How long the worker sleeps here, if it does."""
        strikes, dead_s = self.faults.strikes, self.scenario.policy.dead_time_s
        if strikes("pause_short"):
            return self._rng.uniform(1.0, 14.0)
        if strikes("pause_long"):
            # A worker that wakes just when another one has waited for the dead time does the most harm.
            return self._rng.choice((self._rng.uniform(15.0, 90.0), self._rng.uniform(dead_s, dead_s + 1.0)))
        if point == "before_send" and strikes("pause_before_send"):
            # It sends just when the other one has booked that nothing was sent and has not corrected yet.
            return dead_s + self._rng.uniform(-0.15, 0.15)
        return 0.0

    def _crash(self, worker: Worker, *, at: str) -> None:
        """The process is gone with all its jobs; requests on their way go on without it."""
        self._say(worker.name, lambda: f"crashed at {at}")
        worker.down = True
        for running in self._running:
            running.dead = running.dead or running.worker is worker
        self._running = [running for running in self._running if not running.dead]
        long = self.faults.strikes("outage")
        restart_s = self._rng.uniform(60.0, 400.0) if long else self._rng.uniform(0.5, 5.0)
        self.clock.after(restart_s, lambda: self._start(worker))

    def _start(self, worker: Worker) -> None:
        if worker.down:
            worker.down = False
            self.store.release_all(worker=worker.name)
            for key in self.store.pools:
                self._wake(key)

    # --- telling ---

    def _say(self, who: str, what: str | Callable[[], str]) -> None:
        if self._trace is not None:
            self._trace(f"{self.clock.now_s:9.2f}  {who:9}  {what if isinstance(what, str) else what()}")


def _harms(point: str) -> set[str]:
    """The faults that may strike a worker here."""
    pauses = {"pause_short", "pause_long"} | ({"pause_before_send"} if point == "before_send" else set())
    return pauses | {CRASH_AT[point]}
