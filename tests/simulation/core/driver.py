"""What a worker does for one pool: read, step, store, send, record. It mirrors the engine and the effects.

A job is a generator that pauses at every point where a process can die or be held up; between two
pauses it is one transaction or one request. `Habits` names the rules that keep it right: a mutant
breaks one of them.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from stockwright.ledger.protocol import is_echo, may_send
from stockwright.ledger.settlement import may_be_decided
from stockwright.ledger.state import (
    Input,
    Intent,
    MemberId,
    Next,
    Observation,
    Outcome,
    Policy,
    PoolState,
    Reply,
    Seen,
    Step,
    Tick,
)
from tests.simulation.core.clock import Clock, instant, seconds
from tests.simulation.core.network import Network, Reading, Shown
from tests.simulation.core.outside import Outside
from tests.simulation.core.shop import ChangeRow, LevelKey
from tests.simulation.core.store import Event, Store

ROUNDS = 10  # reads in a row of one job before it gives way to the sweep
CONFLICTS = 5
READ_LIMIT_S = 5.0  # a read that took longer is too vague to place orders before or after it

StepFunction = Callable[..., Step]


@dataclass(frozen=True, kw_only=True)
class Habits:
    """The driver's own rules. Every default is right; each mutant turns one of them."""

    fenced: bool = True  # a step is stored only on the version that it was made from
    stores_before_sending: bool = True
    records_before_sending: bool = False
    moves_and_compares: bool = True  # rows are deltas that carry the quantity that was read
    renews_key_when_unknown: bool = False
    one_key_for_all: bool = False
    trusts_payload: bool = False
    ignores_location: bool = False
    dedupes_by_event: bool = False
    asks_before_sending: bool = True  # a worker that was held up may not send any more


class Pause(NamedTuple):
    """A point where the worker may die or be held up, and how long the way to the next one takes."""

    point: str
    delay_s: float


Job = Generator[Pause, None, None]


@dataclass(slots=True)
class Worker:
    """One process. `clock_error_s` is how far its wall clock is off."""

    name: str
    clock_error_s: float = 0.0
    down: bool = False


class Loaded(NamedTuple):
    """What a run starts from."""

    state: PoolState | None
    events: tuple[Event, ...]
    upto: int
    wake_at_s: float | None


class Committed(NamedTuple):
    """One stored step, for the oracle and the trace."""

    key: str
    worker: str
    before: PoolState | None
    step: Step
    input: Input
    reading: Reading | None


class Driver:
    """The code of the workers. Holds no state of its own: all that lasts is in the store."""

    def __init__(
        self,
        *,
        clock: Clock,
        store: Store,
        network: Network,
        outside: Outside,
        policy: Policy,
        step: StepFunction,
        habits: Habits,
        new_key: Callable[[], str],
        order_evidence: bool,
    ) -> None:
        self._clock = clock
        self._store = store
        self._network = network
        self._outside = outside
        self._policy = policy
        self._step = step
        self._habits = habits
        self._new_key = new_key
        self._order_evidence = order_evidence
        self.on_commit: Callable[[Committed], None] = lambda committed: None

    def job(self, worker: Worker, key: str) -> Job:
        """All work of one key, for as long as the protocol asks for another read."""
        for _ in range(ROUNDS):
            if not (yield from self._run(worker, key)):
                break
            self._store.take(key, worker=worker.name, now_s=self._clock.now_s)
        yield Pause("before_ack", 0.01)
        self._store.release(key, worker=worker.name)

    # --- the engine ---

    def _run(self, worker: Worker, key: str) -> Generator[Pause, None, bool]:
        """Decide once; True when the levels must be read again at once."""
        for _ in range(CONFLICTS):
            loaded = self._load(key)
            yield Pause("before_read", 0.01)
            if not self._wants_read(loaded):
                done = yield from self._without_read(worker, key, loaded)
            else:
                done = yield from self._with_read(worker, key, loaded)
            if done is not None:
                return done
        self._store.wake_by(key, self._clock.now_s + 2.0)
        return False

    def _load(self, key: str) -> Loaded:
        record = self._store.pools[key]
        return Loaded(record.state, tuple(record.events), record.arrived, record.wake_at_s)

    def _wants_read(self, loaded: Loaded) -> bool:
        state = loaded.state
        if state is None:
            return True
        if state.intent is not None:
            return state.intent.resend_at is None
        if loaded.wake_at_s is not None and loaded.wake_at_s <= self._clock.now_s:
            return True
        return not all(
            event.member is not None and is_echo(state, event.member, event.available)
            for event in loaded.events
        )

    def _without_read(self, worker: Worker, key: str, loaded: Loaded) -> Generator[Pause, None, bool | None]:
        if loaded.state is None or loaded.state.intent is None:
            self._store.done(key, upto=loaded.upto, wake_at_s=loaded.wake_at_s)
            return False
        return (yield from self._take_step(worker, key, loaded, Tick(at=self._now(worker)), None))

    def _with_read(self, worker: Worker, key: str, loaded: Loaded) -> Generator[Pause, None, bool | None]:
        at, key_of_intent = self._now(worker), self._new_key()
        intent = loaded.state.intent if loaded.state else None
        before = self._order_moves(intent) if self._asks_for_orders(loaded.state, at) else None
        yield Pause("reading", 0.1)
        reading = self._network.read(self._levels_of(key))
        yield Pause("reading", 0.1)
        if reading is None:
            self._store.wake_by(key, self._clock.now_s + 3.0)
            return False
        if abs((self._now(worker) - at).total_seconds()) > READ_LIMIT_S:
            return True
        moves = before if before is not None and before == self._order_moves(intent) else None
        yield Pause("after_read", 0.02)
        observation = Observation(
            at=at,
            seen=self._seen(key, loaded, reading),
            key="always-the-same" if self._habits.one_key_for_all else key_of_intent,
            changed=frozenset(event.member for event in loaded.events if event.member),
            order_moves=moves,
        )
        return (yield from self._take_step(worker, key, loaded, observation, reading))

    def _take_step(
        self, worker: Worker, key: str, loaded: Loaded, input: Input, reading: Reading | None
    ) -> Generator[Pause, None, bool | None]:
        """Step, store, act. None when another worker was faster."""
        step = self._step(loaded.state, input, self._policy, pool_id=key)
        sends = step.next is Next.SEND
        if sends and not self._habits.stores_before_sending:
            return (yield from self._send_unstored(worker, key, loaded, step, input, reading))
        if not self._save(worker, key, loaded.state, step, input, reading):
            return None
        wake_at_s = self._clock.now_s if step.next is Next.READ else _stored_s(step.wake_at)
        self._store.done(key, upto=loaded.upto, wake_at_s=wake_at_s)
        if sends and step.state is not None and step.state.intent is not None:
            self._store.pools[key].pending_effects = {step.state.intent.key}
            return (yield from self._correct(worker, key, step.state.intent.key))
        return step.next is Next.READ

    def _save(
        self,
        worker: Worker,
        key: str,
        before: PoolState | None,
        step: Step,
        input: Input,
        reading: Reading | None,
    ) -> bool:
        saved = self._store.save(
            key, was=before, state=step.state, entries=step.entries, fenced=self._habits.fenced
        )
        if saved:
            if before is not None and before.intent is not None:
                self._store.pools[key].pending_effects.clear()  # left behind by a worker that is gone
            self.on_commit(Committed(key, worker.name, before, step, input, reading))
        return saved

    # --- the effects ---

    def _correct(self, worker: Worker, key: str, intent_key: str) -> Generator[Pause, None, bool]:
        yield Pause("after_store", 0.02)
        state = self._store.pools[key].state
        intent = state.intent if state else None
        if intent is None or intent.key != intent_key or not self._begin_attempt(key, intent_key):
            return True
        if self._habits.records_before_sending:
            self._record(worker, key, state, _reply(intent, self._now(worker), "applied"))
        reply = yield from self._send(worker, state, intent)
        yield Pause("after_reply", 0.02)
        if self._habits.records_before_sending:
            return False
        step = self._record(worker, key, state, reply)
        if step.next is Next.SEND and step.state is not None and step.state.intent is not None:
            self._store.pools[key].pending_effects = {step.state.intent.key}  # the rows that did not fit
            return (yield from self._correct(worker, key, step.state.intent.key))
        if step.next is Next.READ:
            self._store.wake_by(key, self._clock.now_s)
        elif step.wake_at is not None:
            self._store.wake_by(key, seconds(step.wake_at))
        return step.next is Next.READ

    def _begin_attempt(self, key: str, intent_key: str) -> bool:
        """One attempt per stored effect: a second worker finds it taken."""
        pending = self._store.pools[key].pending_effects
        if intent_key not in pending:
            return not self._habits.fenced
        pending.discard(intent_key)
        return True

    def _send(self, worker: Worker, state: PoolState | None, intent: Intent) -> Generator[Pause, None, Reply]:
        yield Pause("before_send", 0.01)
        if self._habits.asks_before_sending and not self._may_send(worker, state, intent):
            return _reply(intent, self._now(worker), "not_sent")
        call = self._network.write(intent.key, self._rows(intent))
        yield Pause("after_send", call.answer_after_s)
        if call.outcome == "unknown" and self._habits.renews_key_when_unknown:
            call = self._network.write(self._new_key(), self._rows(intent))
            yield Pause("after_send", call.answer_after_s)
        offenders = tuple(self._outside.ids[level] for level in call.offenders)
        return replace(_reply(intent, self._now(worker), call.outcome), offenders=offenders)

    def _may_send(self, worker: Worker, state: PoolState | None, intent: Intent) -> bool:
        now = self._now(worker)
        return state is not None and may_send(state, key=intent.key, at=now, policy=self._policy)

    def _record(self, worker: Worker, key: str, sent_from: PoolState | None, reply: Reply) -> Step:
        """Load, step and store in one transaction, so no other worker comes between."""
        state = self._store.pools[key].state if self._habits.fenced else sent_from
        step = self._step(state, reply, self._policy, pool_id=key)
        self._save(worker, key, state, step, reply, None)
        return step

    def _send_unstored(
        self, worker: Worker, key: str, loaded: Loaded, step: Step, input: Input, reading: Reading | None
    ) -> Generator[Pause, None, bool | None]:
        """What the mutant without an intent row does: the answer is stored together with the intent."""
        assert step.state is not None and step.state.intent is not None
        reply = yield from self._send(worker, step.state, step.state.intent)
        yield Pause("after_reply", 0.02)
        if not self._save(worker, key, loaded.state, step, input, reading):
            return None
        self._store.done(key, upto=loaded.upto, wake_at_s=None)
        return self._record(worker, key, step.state, reply).next is Next.READ

    # --- between the shop's words and the ledger's ---

    def _now(self, worker: Worker) -> datetime:
        return instant(self._clock.now_s + worker.clock_error_s)

    def _levels_of(self, key: str) -> Mapping[LevelKey, int]:
        return self._outside.scope_of(self._outside.locations[0] if self._habits.ignores_location else key)

    def _seen(self, key: str, loaded: Loaded, reading: Reading) -> tuple[Seen, ...]:
        told = self._told(loaded.events) if self._habits.trusts_payload else {}
        if self._habits.ignores_location:
            return tuple(seen_as(self._outside.id_at(row[0], key), row[1]) for row in reading.levels.items())
        ids = self._outside.ids
        seen = [seen_as(ids[level], shown) for level, shown in reading.levels.items()]
        return (
            tuple(replace(row, available=told.get(row.id, row.available)) for row in seen)
            if told
            else tuple(seen)
        )

    def _told(self, events: tuple[Event, ...]) -> Mapping[MemberId, int]:
        return {
            event.member: event.available for event in events if event.member and event.available is not None
        }

    def _asks_for_orders(self, state: PoolState | None, at: datetime) -> bool:
        """As production does: not with a first look, which must be quick, and not before anything can be decided."""
        return state is not None and (state.frozen is not None or may_be_decided(state, at, self._policy))

    def _order_moves(self, intent: Intent | None) -> Mapping[MemberId, int] | None:
        if intent is None or intent.resend_at is not None or not self._order_evidence:
            return None
        levels = {row.member: self._outside.levels[row.member] for row in intent.rows}
        return self._outside.order_moves(levels, since_s=seconds(intent.opened_at))

    def _rows(self, intent: Intent) -> tuple[ChangeRow, ...]:
        moves = self._habits.moves_and_compares
        return tuple(
            ChangeRow(
                self._outside.levels[row.member],
                row.delta,
                row.from_quantity,
                sets_to=None if moves else row.after,
            )
            for row in intent.rows
        )


def seen_as(id: MemberId, shown: Shown) -> Seen:
    """One level of an answer in the ledger's words."""
    return Seen(
        id=id,
        units=shown.units,
        available=shown.quantity,
        stamp=instant(shown.stamp_s),
        why_not=shown.why_not,
    )


def _stored_s(moment: datetime | None) -> float | None:
    """A moment by the worker's clock as it is stored; the database compares it with its own clock."""
    return None if moment is None else seconds(moment)


def _reply(intent: Intent, at: datetime, outcome: str) -> Reply:
    return Reply(at=at, key=intent.key, outcome=Outcome(outcome), detail=outcome)
