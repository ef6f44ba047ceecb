"""One seed: the real protocol with a simulated shop, network, database and two workers.

Phase 1 is full of faults, phase 2 has none and must converge. Then a person answers what is frozen, one
calm sale is passed on and counted, and nothing more may be written, not even when deliveries come that
are hours old. The journal must replay to the state.
"""

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from stockwright.ledger import journal, people, protocol, wire
from stockwright.ledger.people import ONLY_ADOPT
from stockwright.ledger.state import (
    FreezeCode,
    LedgerError,
    Observation,
    PoolState,
    Resolution,
    Resolve,
    Tick,
)
from tests.simulation.core.clock import instant
from tests.simulation.core.driver import Committed, Driver, Habits, Job, StepFunction, Worker, seen_as
from tests.simulation.core.oracle import Oracle, Violation
from tests.simulation.core.scenario import RECONCILE_S, Scenario
from tests.simulation.core.shop import Application
from tests.simulation.core.stage import JUMP_S, Stage
from tests.simulation.core.store import Backup
from tests.simulation.core.webhooks import HOURS_S, Delivery

SETTLED_IN_S = 2 * RECONCILE_S
MADE = 0.3  # of the acts, until one has been followed by a backup
TWICE_S = 600.0  # at least between two losses of the database
CALM_S = 45.0

Catcher = Literal["", "oracle", "ledger", "crash"]
"""Who noticed: an invariant of ours, an identity of the ledger's own, or merely code that fell over."""


@dataclass(slots=True)
class Result:
    """What one seed showed. `failure` is empty when every invariant held."""

    seed: int
    failure: str = ""
    caught_by: Catcher = ""
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    convergence_s: float = 0.0
    calm_calls: int = 0
    calm_pools: int = 0


class Simulation(Stage):
    """One run of one scenario with our own protocol."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        step: StepFunction = protocol.step,
        habits: Habits | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(scenario, trace=trace)
        self._habits = habits or Habits()
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
        self._step = step
        self._keys = 0
        self._merchant_events: set[str] = set()
        self.steps = 0
        self._backup: Backup | None = None
        self._restored_at_s = float("-inf")
        self.result = Result(scenario.seed)
        self.shop.on_application = self._executed
        self.driver.on_commit = self._committed

    # --- one run ---

    def run(self) -> Result:
        """All phases. A broken invariant, or any exception, becomes the result's failure."""
        try:
            self._phases()
        except Violation as violation:
            self._fail("oracle", f"{violation} (at {self.clock.now_s:.1f} s)")
        except LedgerError:
            self._fail("ledger", f"at {self.clock.now_s:.1f} s: {traceback.format_exc(limit=-4)}")
        except Exception:  # noqa: BLE001  every defect of the code under test is a finding, not a crash of ours
            self._fail("crash", f"at {self.clock.now_s:.1f} s: {traceback.format_exc(limit=-4)}")
        self.result.faults = self.faults.counts
        self.result.events = self.oracle.counts
        self.result.acts = self.outside.counts
        self.result.steps = self.steps
        return self.result

    def _fail(self, caught_by: Catcher, failure: str) -> None:
        self.result.caught_by, self.result.failure = caught_by, failure

    def _phases(self) -> None:
        self._begin()
        quiet_s = self._faulty_phase()
        self._converge(quiet_s)
        self._let_people_answer()
        self._calm_phase()
        self._quiet_phase()
        self._late_phase()
        self._judge_history()

    def _converge(self, since_s: float) -> None:
        """I5: without faults every pool is in step, or frozen with a reason, in two reconcile periods."""
        extra_s = JUMP_S + RECONCILE_S if self.faults.counts["clock_jump"] else 0.0
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
            if state is not None and state.frozen is not None and self._can_be_resolved(key, state):
                raise Violation(
                    f"I9: {key} is still frozen after a person resolved it: {state.frozen.reason}"
                )
            self._judge_rest(key, state, "after a person resolved the freeze")

    def _can_be_resolved(self, key: str, state: PoolState) -> bool:
        """Levels can be adopted only where one is shown."""
        adopts = state.frozen is not None and state.frozen.code in ONLY_ADOPT
        shown = any(self.shop.levels[level].available is not None for level in self.outside.scope_of(key))
        return shown or not adopts

    def _resolve(self, key: str) -> None:
        """A person who knows the truth ends a freeze."""
        state = self.store.pools[key].state
        if state is None or state.frozen is None:
            return
        at = instant(self.clock.now_s)
        if self.clock.now_s < self._restored_at_s + self.scenario.policy.dead_time_s:
            return  # who restored a backup waits until no request from before can arrive any more
        resolution, observation, reading = Resolution.WAS_NOT_APPLIED, None, None
        truth = self.oracle.pools[key]
        counted = state.stock if truth.tainted else self.oracle.stock(key)
        half = state.intent is not None and self.oracle.was_half_applied(state.intent.key)
        if half or state.frozen.code in ONLY_ADOPT:
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
        allowed = self._allowed_calls()
        if self.result.calm_calls > allowed:
            raise Violation(
                f"I5: one calm movement took {self.result.calm_calls} calls, {allowed} are allowed"
            )

    def _allowed_calls(self) -> int:
        """One read and one write; a rise, which a transfer makes, is read once more when it has settled."""
        scenario, calls = self.scenario, 3 if len(self.outside.locations) == 1 else 7
        rows = max(len(self.outside.scope_of(key)) for key in self.store.pools)
        more_intents = -(-rows // scenario.policy.rows_per_intent) - 1
        return calls + 2 * max(more_intents, 0) * len(self.outside.locations)

    def _is_off(self, key: str) -> bool:
        state = self.store.pools[key].state
        return bool(self.oracle.pools[key].tainted) or state is None or state.frozen is not None

    def _wait_for_reconcile(self) -> None:
        """Until late deliveries are through and a reconcile has just passed, so that it cannot help."""
        self.clock.run_until(max(self.clock.now_s, self.webhooks.delayed_until_s))
        periods = int(self.clock.now_s / RECONCILE_S) + 1
        self.clock.run_until(periods * RECONCILE_S + 20.0)

    def _quiet_phase(self) -> None:
        """I6: in step, nothing is written."""
        writes = self.network.writes
        self.clock.run_until(self.clock.now_s + RECONCILE_S)
        if self.network.writes != writes:
            raise Violation("I6: something was written although every level was in step")

    def _late_phase(self) -> None:
        """A delivery from hours ago meets a pool that has gone on: it moves nothing (I6)."""
        if self.webhooks.last_s <= self.clock.now_s:
            return
        writes = self.network.writes
        self._reconcile_s = self._sweep_s = HOURS_S  # nothing else happens; only the time is long
        self.clock.run_until(self.webhooks.last_s + RECONCILE_S)
        for key, record in self.store.pools.items():
            self._judge_rest(key, record.state, "after deliveries that were hours late")
        kept_out = any(record.state and record.state.excluded for record in self.store.pools.values())
        if self.network.writes != writes and not kept_out:  # who was kept out for a day joins again
            raise Violation("I6: something was written for a delivery that was hours late")

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

    def _executed(self, application: Application) -> None:
        self._say("shop", lambda: f"applied {application}")
        self.oracle.executed(application)
        for row in application.rows:
            self._changed(row.level, application.key)

    def _move(self) -> None:
        self.outside.act()
        if "restored_backup" in self.scenario.rates and self.faults.on:
            self._risk_the_database()

    def _risk_the_database(self) -> None:
        """A backup is made at some act; at a later one the database may be lost."""
        if self._backup is None:
            self._backup = self.store.backup() if self._rng.random() < MADE else None
        elif self.clock.now_s > self._restored_at_s + TWICE_S and self.faults.strikes("restored_backup"):
            self._restore(self._backup)

    def _restore(self, backup: Backup) -> None:
        """The backup is older than the shop. No level proves it, so who restores says so (and stops both)."""
        self._restored_at_s = self.clock.now_s
        for worker in self.workers:
            self._crash(worker, at="the loss of the database")
        self.store.restore(backup)
        at = instant(self.clock.now_s)
        for key, record in self.store.pools.items():
            self.oracle.restored(key)
            before = record.state
            if before is not None:
                step = people.freeze(before, at, code=FreezeCode.HISTORY_BEHIND, reason="restored a backup")
                self.store.save(key, was=before, state=step.state, entries=step.entries, fenced=True)
                self._committed(Committed(key, "person", before, step, Tick(at=at), None))

    def _job(self, worker: Worker, key: str) -> Job:
        return self.driver.job(worker, key)

    def _is_dropped(self, delivery: Delivery) -> bool:
        if not self._habits.dedupes_by_event:
            return False
        known = delivery.event_id in self._merchant_events
        self._merchant_events.add(delivery.event_id)
        return known

    def _committed(self, committed: Committed) -> None:
        self.steps += 1
        self._say(committed.worker, lambda: _told(committed))
        self.oracle.committed(committed)
        frozen = committed.step.state and committed.step.state.frozen
        if frozen and self.faults.on and not (committed.before and committed.before.frozen):
            answers_in_s = self._rng.uniform(5.0, 120.0)
            if frozen.code is FreezeCode.HISTORY_BEHIND:
                answers_in_s += self.scenario.policy.dead_time_s
            self.clock.after(answers_in_s, lambda: self._resolve(committed.key))
        if committed.step.wake_at is not None:
            wake_in_s = (committed.step.wake_at - instant(self.clock.now_s)).total_seconds()
            self.clock.after(wake_in_s + 0.1, lambda: self._wake(committed.key))


def _told(committed: Committed) -> str:
    kinds = ", ".join(entry.kind for entry in committed.step.entries)
    return f"{committed.key}: {committed.step.next.value} [{kinds}] {committed.step.because}"
