"""One seed: the real protocol with a simulated shop, network, database and two workers.

Phase 1 is full of faults, phase 2 has none and must converge. Then a person answers what is frozen, one
calm sale is passed on and counted, and nothing more may be written. The journal must replay to the state.
"""

import random
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from stockwright.ledger import journal, protocol, wire
from stockwright.ledger.state import FreezeCode, Observation, PoolState, Resolution, Resolve
from tests.simulation.core.clock import Clock, instant
from tests.simulation.core.driver import Committed, Driver, Habits, Job, StepFunction, Worker, seen_as
from tests.simulation.core.faults import CRASH_POINTS, Faults
from tests.simulation.core.network import Network
from tests.simulation.core.oracle import Oracle, Violation
from tests.simulation.core.outside import Outside
from tests.simulation.core.scenario import RECONCILE_S, Scenario
from tests.simulation.core.shop import Application, LevelKey, Shop
from tests.simulation.core.store import Store
from tests.simulation.core.webhooks import Delivery, Webhooks

SWEEP_S = 20.0
SETTLED_IN_S = 2 * RECONCILE_S
CALM_S = 45.0
JUMP_S = 3600.0


@dataclass(slots=True)
class Result:
    """What one seed showed. `failure` is empty when every invariant held."""

    seed: int
    failure: str = ""
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    convergence_s: float = 0.0
    calm_calls: int = 0
    calm_pools: int = 0


@dataclass(slots=True)
class Running:
    """A job on a worker."""

    worker: Worker
    key: str
    job: Job
    dead: bool = False


class Simulation:
    """One run of one scenario."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        step: StepFunction = protocol.step,
        habits: Habits | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.scenario = scenario
        self._rng = random.Random(scenario.seed)
        self._trace = trace
        self._habits = habits or Habits()
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
        self.oracle = Oracle(scenario, shop=self.shop, outside=self.outside)
        self.driver = Driver(
            clock=self.clock,
            store=self.store,
            network=self.network,
            outside=self.outside,
            policy=scenario.policy,
            step=step,
            habits=self._habits,
            new_key=self._new_key,
            order_evidence=scenario.order_evidence,
        )
        self.workers = [Worker("worker-1"), Worker("worker-2")]
        self._running: list[Running] = []
        self._step = step
        self._keys = 0
        self._merchant_events: set[str] = set()
        self.steps = 0
        self.result = Result(scenario.seed)
        self.network.sell_at = self.outside.sell_at
        self.shop.on_application = self._executed
        self.driver.on_commit = self._committed
        self.webhooks.deliver_to(self._receive)

    # --- one run ---

    def run(self) -> Result:
        """All phases. A broken invariant, or any exception, becomes the result's failure."""
        try:
            self._phases()
        except Violation as violation:
            self.result.failure = f"{violation} (at {self.clock.now_s:.1f} s)"
        except Exception:  # noqa: BLE001  every defect of the code under test is a finding, not a crash of ours
            self.result.failure = f"at {self.clock.now_s:.1f} s: {traceback.format_exc(limit=-4)}"
        self.result.faults = self.faults.counts
        self.result.events = self.oracle.counts
        self.result.steps = self.steps
        return self.result

    def forget(self) -> None:
        """Let go of everything: its parts hold each other, and only a search for rubbish would find them."""
        self.clock.forget()
        self.__dict__.clear()

    def _phases(self) -> None:
        self._adopt()
        quiet_s = self._faulty_phase()
        self._converge(quiet_s)
        self._let_people_answer()
        self._calm_phase()
        self._quiet_phase()
        self._judge_history()

    def _adopt(self) -> None:
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
        self.outside.act()
        if self.faults.strikes("clock_jump"):
            worker = self._rng.choice(self.workers)
            worker.clock_error_s = self._rng.choice((-JUMP_S, JUMP_S, 0.0))

    def _converge(self, since_s: float) -> None:
        """I5: without faults every pool is in step, or frozen with a reason, in two reconcile periods."""
        extra_s = JUMP_S + RECONCILE_S if "clock_jump" in self.scenario.rates else 0.0
        self.clock.run_until(since_s + SETTLED_IN_S + extra_s)
        for key, record in self.store.pools.items():
            self._judge_rest(key, record.state, "I5: after two reconcile periods without faults")
        if self.shop.applications:
            self.result.convergence_s = max(0.0, self.shop.applications[-1].time_s - since_s)

    def _judge_rest(self, key: str, state: PoolState | None, when: str) -> None:
        if state is None:
            raise Violation(f"{when}: {key} was never adopted")
        truth = self.oracle.pools[key]
        if state.frozen is not None:
            self.oracle.counts["frozen_at_rest"] += 1
            return
        if state.intent is not None or state.raise_wait is not None:
            raise Violation(f"{when}: {key} still has work: {state.intent or state.raise_wait}")
        if truth.tainted:
            return
        if not self.oracle.in_step(key, state) or state.stock != self.oracle.stock(key):
            levels = {id.item_id: self.shop.levels[self.outside.levels[id]].available for id in state.members}
            true_stock = self.oracle.stock(key)
            raise Violation(
                f"I1: {when}: {key} says {state.stock}, the truth is {true_stock}, levels {levels}"
            )
        self._judge_complete(key, state, when)

    def _judge_complete(self, key: str, state: PoolState, when: str) -> None:
        for level in self.outside.scope:
            id = self.outside.ids[level]
            here = level.location == key and self.shop.levels[level].available is not None
            if here and id not in state.members and id not in state.excluded:
                raise Violation(f"I5: {when}: {id.item_id} did not join {key}")

    def _let_people_answer(self) -> None:
        """Who knows what really happened says so; then the pool must be in step like any other."""
        frozen = [key for key, record in self.store.pools.items() if record.state and record.state.frozen]
        for key in frozen:
            self._resolve(key)
        if frozen:
            self.clock.run_until(self.clock.now_s + RECONCILE_S)
        for key in frozen:
            state = self.store.pools[key].state
            if state is not None and state.frozen is not None:
                raise Violation(
                    f"I9: {key} is still frozen after a person resolved it: {state.frozen.reason}"
                )
            self._judge_rest(key, state, "after a person resolved the freeze")

    def _resolve(self, key: str) -> None:
        """A person who knows the truth ends a freeze."""
        state = self.store.pools[key].state
        if state is None or state.frozen is None:
            return
        at = instant(self.clock.now_s)
        resolution, observation, reading = Resolution.WAS_NOT_APPLIED, None, None
        truth = self.oracle.pools[key]
        counted = state.stock if truth.tainted else self.oracle.stock(key)
        if state.frozen.code in (FreezeCode.HISTORY_BEHIND, FreezeCode.PARTIAL):
            resolution = Resolution.ADOPT_LEVELS
            reading = self.network.read(self.outside.scope_of(key))
            levels = reading.levels if reading else {}
            seen = tuple(seen_as(self.outside.ids[level], shown) for level, shown in levels.items())
            observation = Observation(at=at, seen=seen, key=self._new_key())
        elif state.intent is not None and self.oracle.was_applied(state.intent.key):
            resolution = Resolution.WAS_APPLIED
        decision = Resolve(
            at=at, by="simulated person", resolution=resolution, stock=counted, observation=observation
        )
        step = self._step(state, decision, self.scenario.policy, pool_id=key)
        self.store.save(key, was=state, state=step.state, entries=step.entries, fenced=True)
        self.store.receive(key)
        self._committed(Committed(key, "person", state, step, decision, reading))

    def _calm_phase(self) -> None:
        """I5: one calm movement is passed on at once, in no more calls than allowed, and its echo is free."""
        if any(self._is_off(key) for key in self.store.pools):
            return
        self._wait_for_reconcile()
        before = self.shop.seq
        calls = self.network.reads + self.network.writes
        if len(self.outside.locations) > 1:
            self.outside.transfer()
        else:
            self.outside.sell()
        if self.shop.seq == before:
            return
        self.clock.run_until(self.clock.now_s + CALM_S)
        for key, record in self.store.pools.items():
            self._judge_rest(key, record.state, f"{CALM_S:.0f} s after one calm movement")
        self.result.calm_calls = self.network.reads + self.network.writes - calls
        self.result.calm_pools = len(self.outside.locations)
        # a rise is read once more when it has settled
        allowed = 3 if len(self.outside.locations) == 1 else 7
        if self.result.calm_calls > allowed:
            raise Violation(
                f"I5: one calm movement took {self.result.calm_calls} calls, {allowed} are allowed"
            )

    def _is_off(self, key: str) -> bool:
        state = self.store.pools[key].state
        return bool(self.oracle.pools[key].tainted) or state is None or state.frozen is not None

    def _wait_for_reconcile(self) -> None:
        """Until late deliveries are through and a reconcile has just passed, so that it cannot help."""
        if "webhook_delayed" in self.scenario.rates:
            self.clock.run_until(self.clock.now_s + 1000.0)
        periods = int(self.clock.now_s / RECONCILE_S) + 1
        self.clock.run_until(periods * RECONCILE_S + 20.0)

    def _quiet_phase(self) -> None:
        """I6: in step, nothing is written."""
        writes = self.network.writes
        self.clock.run_until(self.clock.now_s + RECONCILE_S)
        if self.network.writes != writes:
            raise Violation("I6: something was written although every level was in step")

    def _judge_history(self) -> None:
        """I8: the journal alone gives the state, also through its stored form. A replay costs a tenth of a run."""
        for key, record in self.store.pools.items():
            if record.state is None or record.state.version != len(record.journal):
                raise Violation(f"I8: {key} has {len(record.journal)} entries for its state {record.state}")
            if self.scenario.replays_journal:
                self._judge_replay(key, record.state)

    def _judge_replay(self, key: str, state: PoolState) -> None:
        entries = self.store.pools[key].journal
        if journal.replay(entries) != state:
            raise Violation(f"I8: the journal of {key} does not replay to its state")
        through = [wire.entry_from_json(wire.entry_to_json(entry)) for entry in entries]
        if wire.state_from_json(wire.state_to_json(state)) != state or journal.replay(through) != state:
            raise Violation(f"I8: {key} is another one after it was stored and loaded")

    # --- what happens ---

    def _new_key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    def _changed(self, level: LevelKey, event_id: str) -> None:
        self._say("shop", lambda: f"{level} is {self.shop.levels[level].available}")
        self.webhooks.announce(level, event_id)

    def _executed(self, application: Application) -> None:
        self._say("shop", lambda: f"applied {application}")
        self.oracle.executed(application)
        for row in application.rows:
            self._changed(row.level, application.key)

    def _receive(self, delivery: Delivery) -> None:
        if not self.store.is_new_delivery(delivery.delivery_id):
            return
        if self._habits.dedupes_by_event and delivery.event_id in self._merchant_events:
            return
        self._merchant_events.add(delivery.event_id)
        key = delivery.level.location
        self.store.receive(key, member=self.outside.ids[delivery.level], available=delivery.available)
        self._wake(key)

    def _reconcile(self) -> None:
        for key in self.store.pools:
            self.store.receive(key)
            self._wake(key)
        self.clock.after(RECONCILE_S, self._reconcile)

    def _sweep(self) -> None:
        for key in self.store.pools:
            self._wake(key)
        self.clock.after(SWEEP_S, self._sweep)

    def _committed(self, committed: Committed) -> None:
        self.steps += 1
        self._say(committed.worker, lambda: _told(committed))
        self.oracle.committed(committed)
        frozen = committed.step.state and committed.step.state.frozen
        if frozen and self.faults.on and not (committed.before and committed.before.frozen):
            self.clock.after(self._rng.uniform(5.0, 120.0), lambda: self._resolve(committed.key))
        if committed.step.wake_at is not None:
            wake_in_s = (committed.step.wake_at - instant(self.clock.now_s)).total_seconds()
            self.clock.after(wake_in_s + 0.1, lambda: self._wake(committed.key))

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
        running = Running(worker, key, self.driver.job(worker, key))
        self._running.append(running)
        self._advance(running)

    def _advance(self, running: Running) -> None:
        if running.dead:
            return
        try:
            pause = next(running.job)
        except StopIteration:
            self._running.remove(running)
            self._wake(running.key)
            return
        delay_s = pause.delay_s
        if self.faults.on:
            if pause.point in CRASH_POINTS and self.faults.strikes(f"crash_{pause.point}"):
                self._crash(running.worker, at=pause.point)
                return
            delay_s += self._held_up_s()
        self.clock.after(delay_s, partial(self._advance, running))

    def _held_up_s(self) -> float:
        if self.faults.strikes("pause_short"):
            return self._rng.uniform(1.0, 14.0)
        if not self.faults.strikes("pause_long"):
            return 0.0
        # A worker that wakes just when another one has waited for the dead time does the most harm.
        dead_s = self.scenario.policy.dead_time_s
        return self._rng.choice((self._rng.uniform(15.0, 90.0), self._rng.uniform(dead_s, dead_s + 1.0)))

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


def _told(committed: Committed) -> str:
    kinds = ", ".join(entry.kind for entry in committed.step.entries)
    return f"{committed.key}: {committed.step.next.value} [{kinds}] {committed.step.because}"
