"""All schedules of a small scope: the real protocol, a tiny shop, every order of what can happen.

Depth-first over states that are told apart only by what can matter later (stamps by rank, keys by role).
A state at rest is wrong when a level does not show the true stock and the pool is not frozen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from stockwright.ledger import protocol
from stockwright.ledger.state import (
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
)
from tests.simulation.core.clock import START, instant

StepFunction = Callable[..., Step]
EPOCH_S = 130.0  # longer than the dead time: one wait
OLD = 2  # waits after which one more makes no difference
SENDS_WITHIN = timedelta(seconds=20)
LEVEL = 10


POLICY = Policy(on_unknown="certain", bulk_raise="sum", raise_settle_s=0.0)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What may happen, and how often."""

    members: int = 2
    workers: int = 1
    changes: int = 2  # outside changes of one unit
    losses: int = 1  # answers that never come; the request may still arrive, also later
    crashes: int = 1
    drops: int = 1  # webhooks that never come
    duplicates: int = 1  # wake-ups without a reason
    in_progress: int = 0  # answers "in progress" although the request arrives too
    policy: Policy = POLICY


class Budget(NamedTuple):
    """What may still happen."""

    changes: int
    losses: int
    crashes: int
    drops: int
    duplicates: int
    in_progress: int


class Hand(NamedTuple):
    """What a worker holds: nothing, a read to step with, a key to send, or an answer to record."""

    at: str = "idle"  # idle | read | to_send | waiting | heard
    loaded: PoolState | None = None
    levels: tuple[int, ...] = ()
    stamps: tuple[tuple[int, int], ...] = ()
    epoch: int = 0
    key: str = ""
    outcome: Outcome = Outcome.UNKNOWN


IDLE = Hand()


class Flight(NamedTuple):
    """A request on its way. `rows`: member index, delta, from."""

    key: str
    rows: tuple[tuple[int, int, int], ...]
    worker: int  # who waits for the answer; -1: nobody any more


class World(NamedTuple):
    """One state of everything."""

    ledger: PoolState | None
    levels: tuple[int, ...]
    stamps: tuple[tuple[int, int], ...]  # per level: epoch and number of the newest change
    moved: int  # net outside movement so far
    epoch: int
    number: int  # of the newest change, for stamps
    wake: bool
    missed: bool
    hands: tuple[Hand, ...]
    flights: tuple[Flight, ...]
    left: Budget


class Act(NamedTuple):
    """One thing that can happen next."""

    name: str
    world: World


class Path(NamedTuple):
    """How a state was reached, newest first."""

    name: str
    before: "Path | None"


@dataclass(slots=True)
class Explored:
    """What all schedules of a scope led to."""

    states: int = 0
    at_rest: int = 0
    frozen: int = 0
    wrong: int = 0
    assumed: int = 0  # of the wrong ones: states whose ledger says that it assumed an outcome
    examples: list[str] = field(default_factory=list)


class Explorer:
    """Depth-first search over one scope."""

    def __init__(self, scope: Scope, *, step: StepFunction = protocol.step) -> None:
        self._scope = scope
        self._step = step
        self._ids = tuple(MemberId(f"item-{index}", "here") for index in range(scope.members))
        self._index = {id: index for index, id in enumerate(self._ids)}

    def explore(self, *, limit: int = 10_000_000) -> Explored:
        """Visit every state once. Stops with RuntimeError beyond `limit`: a count must be a whole count."""
        found = Explored()
        start = self._start()
        seen = {self._key(start)}
        stack: list[tuple[World, Path | None]] = [(start, None)]
        while stack:
            world, path = stack.pop()
            found.states += 1
            self._judge(world, path, found)
            for act in self._acts(world):
                key = self._key(act.world)
                if key not in seen:
                    seen.add(key)
                    stack.append((act.world, Path(act.name, path)))
            if found.states > limit:
                raise RuntimeError(f"more than {limit} states: make the scope smaller")
        return found

    def _start(self) -> World:
        scope = self._scope
        count = scope.members
        stamps = tuple((0, 1) for _ in range(count))
        levels = (LEVEL,) * count
        seen = self._observation(levels, stamps, epoch=0, key="adoption")
        ledger = self._step(None, seen, scope.policy, pool_id="pool").state
        left = Budget(
            scope.changes, scope.losses, scope.crashes, scope.drops, scope.duplicates, scope.in_progress
        )
        hands = (IDLE,) * scope.workers
        return World(ledger, levels, stamps, 0, 0, 1, False, False, hands, (), left)

    # --- judging ---

    def _judge(self, world: World, path: Path | None, found: Explored) -> None:
        if not self._rests(world) or world.ledger is None:
            return
        found.at_rest += 1
        if world.ledger.frozen is not None:
            found.frozen += 1
            return
        truth = LEVEL + world.moved
        if any(level != truth for level in world.levels):
            found.wrong += 1
            found.assumed += world.ledger.assumed > 0
            if len(found.examples) < 3:
                found.examples.append(f"{_told(path)} => levels {world.levels}, truth {truth}")

    def _rests(self, world: World) -> bool:
        busy = world.wake or world.missed or world.flights or any(hand.at != "idle" for hand in world.hands)
        ledger = world.ledger
        waits = ledger is not None and ledger.intent is not None and ledger.frozen is None
        return not busy and not waits

    # --- what can happen ---

    def _acts(self, world: World) -> Iterator[Act]:
        yield from self._changes(world)
        yield from self._wakes(world)
        for flight in world.flights:
            yield from self._of_flight(world, flight)
        for index, hand in enumerate(world.hands):
            yield from self._of_hand(world, index, hand)
        yield from self._wait(world)

    def _changes(self, world: World) -> Iterator[Act]:
        left = world.left
        if not left.changes:
            return
        for index in range(self._scope.members):
            for delta in (-1, 1):
                moved = self._moved(world, ((index, delta),))
                moved = moved._replace(
                    moved=world.moved + delta, left=left._replace(changes=left.changes - 1)
                )
                yield Act(f"member {index} {delta:+}", moved._replace(wake=True))
                if left.drops:
                    dropped = moved.left._replace(drops=left.drops - 1)
                    yield Act(
                        f"member {index} {delta:+} (webhook lost)", moved._replace(missed=True, left=dropped)
                    )

    def _moved(self, world: World, rows: tuple[tuple[int, int], ...]) -> World:
        levels, stamps = list(world.levels), list(world.stamps)
        for index, delta in rows:
            levels[index] += delta
            stamps[index] = (world.epoch, world.number + 1)
        return world._replace(levels=tuple(levels), stamps=tuple(stamps), number=world.number + 1)

    def _wakes(self, world: World) -> Iterator[Act]:
        if world.missed:
            yield Act("reconcile", world._replace(missed=False, wake=True))
        if world.left.duplicates and not world.wake:
            left = world.left._replace(duplicates=world.left.duplicates - 1)
            yield Act("duplicate webhook", world._replace(wake=True, left=left))

    def _wait(self, world: World) -> Iterator[Act]:
        """Time passes beyond the dead time: only when no request is on its way any more."""
        ledger = world.ledger
        open_intent = ledger is not None and ledger.intent is not None and ledger.frozen is None
        if open_intent and not world.flights:
            yield Act("the dead time passes", world._replace(epoch=world.epoch + 1, wake=True))

    # --- requests ---

    def _of_flight(self, world: World, flight: Flight) -> Iterator[Act]:
        others = tuple(other for other in world.flights if other is not flight)
        gone = world._replace(flights=others)
        after, applied = self._executed(gone, flight)
        answered = self._answered(after, flight, Outcome.APPLIED if applied else Outcome.STALE)
        yield Act(f"{flight.key} {'applied' if applied else 'stale'}", answered)
        if flight.worker < 0:
            yield Act(f"{flight.key} is lost on the way", gone)
            return
        left = world.left
        if left.losses:
            abandoned = (*others, flight._replace(worker=-1))
            lost = world._replace(flights=abandoned, left=left._replace(losses=left.losses - 1))
            yield Act(f"{flight.key}: no answer", self._answered(lost, flight, Outcome.UNKNOWN))
            silent = after._replace(left=left._replace(losses=left.losses - 1))
            yield Act(f"{flight.key} executed, answer lost", self._answered(silent, flight, Outcome.UNKNOWN))
        if left.in_progress:
            running = (*others, flight._replace(worker=-1))
            told = world._replace(flights=running, left=left._replace(in_progress=left.in_progress - 1))
            yield Act(f"{flight.key}: in progress", self._answered(told, flight, Outcome.IN_PROGRESS))

    def _executed(self, world: World, flight: Flight) -> tuple[World, bool]:
        applied = all(world.levels[index] == start for index, _, start in flight.rows)
        if applied:
            world = self._moved(world, tuple((index, delta) for index, delta, _ in flight.rows))
        return world, applied

    def _answered(self, world: World, flight: Flight, outcome: Outcome) -> World:
        if flight.worker < 0:
            return world._replace(wake=True)  # its echo, or nothing at all
        return _hold(world, flight.worker, Hand("heard", key=flight.key, outcome=outcome))

    # --- workers ---

    def _of_hand(self, world: World, index: int, hand: Hand) -> Iterator[Act]:
        if hand.at == "idle":
            if world.wake:
                yield Act(f"worker {index} reads", self._read(world, index))
            return
        if hand.at == "read":
            yield Act(f"worker {index} stores", self._store(world, index, hand))
        elif hand.at == "to_send":
            yield Act(f"worker {index} sends", self._send(world, index, hand))
        elif hand.at == "heard":
            yield Act(f"worker {index} records {hand.outcome.value}", self._record(world, index, hand))
        if world.left.crashes:
            yield Act(f"worker {index} crashes ({hand.at})", self._crash(world, index))

    def _crash(self, world: World, index: int) -> World:
        """The worker forgets all; its request flies on; the job will be tried again."""
        flights = tuple(
            flight._replace(worker=-1) if flight.worker == index else flight for flight in world.flights
        )
        left = world.left._replace(crashes=world.left.crashes - 1)
        return _hold(world, index, IDLE)._replace(flights=flights, left=left, wake=True)

    def _read(self, world: World, index: int) -> World:
        """Also the tick of a correction that was told to wait: it needs no read."""
        hand = Hand("read", world.ledger, world.levels, world.stamps, world.epoch)
        return _hold(world, index, hand)._replace(wake=False)

    def _store(self, world: World, index: int, hand: Hand) -> World:
        if world.ledger is None or hand.loaded is None or hand.loaded.version != world.ledger.version:
            return _hold(world, index, IDLE)._replace(wake=True)
        seen = self._observation(hand.levels, hand.stamps, epoch=hand.epoch, key=f"k{world.ledger.version}")
        return self._act_on(world, index, self._stepped(world, hand.loaded, seen))

    def _stepped(self, world: World, state: PoolState | None, input: Observation | Reply) -> Step:
        intent = state.intent if state else None
        if isinstance(input, Observation) and intent is not None and intent.resend_at is not None:
            input = replace(input, at=intent.resend_at)  # the pause is over
        return self._step(state, input, self._scope.policy, pool_id="pool")

    def _act_on(self, world: World, index: int, step: Step) -> World:
        world = world._replace(ledger=step.state)
        intent = step.state.intent if step.state else None
        if step.next is Next.SEND and intent is not None:
            return _hold(world, index, Hand("to_send", key=intent.key))
        soon = step.next is Next.READ or (step.wake_at is not None and not _in_doubt(intent))
        return _hold(world, index, IDLE)._replace(wake=world.wake or soon)

    def _send(self, world: World, index: int, hand: Hand) -> World:
        intent = world.ledger.intent if world.ledger else None
        if intent is None or intent.key != hand.key:
            return _hold(world, index, IDLE)._replace(wake=True)
        if instant(world.epoch * EPOCH_S) - intent.sent_at > SENDS_WITHIN:
            return _hold(world, index, Hand("heard", key=hand.key, outcome=Outcome.NOT_SENT))
        rows = tuple((self._index[row.member], row.delta, row.from_quantity) for row in intent.rows)
        flights = (*world.flights, Flight(intent.key, rows, index))
        return _hold(world, index, Hand("waiting", key=intent.key))._replace(flights=flights)

    def _record(self, world: World, index: int, hand: Hand) -> World:
        reply = Reply(at=instant(world.epoch * EPOCH_S), key=hand.key, outcome=hand.outcome)
        return self._act_on(world, index, self._stepped(world, world.ledger, reply))

    def _observation(
        self, levels: tuple[int, ...], stamps: tuple[tuple[int, int], ...], *, epoch: int, key: str
    ) -> Observation:
        seen = tuple(
            Seen(id=id, units=1, available=levels[index], stamp=_stamp(*stamps[index]))
            for index, id in enumerate(self._ids)
        )
        return Observation(at=instant(epoch * EPOCH_S), seen=seen, key=key)

    # --- telling states apart ---

    def _key(self, world: World) -> int:
        """All numbers are told relative to the true stock: a shop with 10 is like one with 11."""
        truth = world.moved
        flights = [
            (self._role(world, key), tuple((i, by, start - truth) for i, by, start in rows), worker < 0)
            for key, rows, worker in world.flights
        ]
        return hash(
            (
                self._ledger_key(world),
                tuple(level - truth for level in world.levels),
                self._ranks(world, world.stamps),
                world.wake,
                world.missed,
                tuple(sorted(self._hand_key(world, index) for index in range(len(world.hands)))),
                tuple(sorted(flights)),
                world.left,
            )
        )

    def _role(self, world: World, key: str) -> str:
        """What a key is to the ledger now: that of the open intent, of the one closed last, or an old one."""
        ledger = world.ledger
        if ledger and ledger.intent and ledger.intent.key == key:
            return "open"
        closed = ledger.closed if ledger else None
        if closed is None or closed.key != key:
            return "old"
        return "applied" if closed.applied else "not applied"

    def _ranks(self, world: World, stamps: tuple[tuple[int, int], ...]) -> tuple[object, ...]:
        """Stamps by what can be asked of them: against the ledger's, the intent row's and the send's."""
        ledger = world.ledger
        intent = ledger.intent if ledger else None
        rows = {row.member: row.stamp for row in intent.rows} if intent else {}
        ranks = []
        for index, id in enumerate(self._ids):
            stamp = _stamp(*stamps[index])
            member = ledger.members.get(id) if ledger else None
            known = member.stamp if member else None
            order = 0 if known is None else (stamp > known) - (stamp < known)
            row = rows.get(id)
            of_row = None if row is None else (stamp > row) - (stamp < row)
            since = intent is not None and stamp >= intent.sent_at
            ranks.append((order, of_row, since, stamps[index] == world.stamps[index]))
        return tuple(ranks)

    def _hand_key(self, world: World, index: int) -> tuple[object, ...]:
        hand = world.hands[index]
        flies = any(flight.worker == index for flight in world.flights)
        if hand.at != "read":
            return (hand.at, self._role(world, hand.key), hand.outcome.value, flies, "", 0)
        stale = hand.loaded is None or world.ledger is None or hand.loaded.version != world.ledger.version
        if stale:
            return (hand.at, "", "", flies, "stale", 0)
        levels = tuple(level - world.moved for level in hand.levels)
        told = repr((levels, self._ranks(world, hand.stamps)))
        return (hand.at, "", "", flies, told, min(world.epoch - hand.epoch, OLD))

    def _ledger_key(self, world: World) -> tuple[object, ...]:
        ledger, truth = world.ledger, world.moved
        if ledger is None:
            return ()
        return (
            ledger.stock - truth,
            tuple(m.expected - truth for _, m in sorted(ledger.members.items())),
            self._intent_key(world, ledger.intent),
            ledger.frozen.code.value if ledger.frozen else "",
            ledger.assumed > 0,
            ledger.stale_streak > 3,
            ledger.failed_streak > 3,
        )

    def _intent_key(self, world: World, intent: Intent | None) -> tuple[object, ...]:
        if intent is None:
            return ()
        rows = tuple((row.member.item_id, row.delta, row.from_quantity - world.moved) for row in intent.rows)
        age = round((instant(world.epoch * EPOCH_S) - intent.sent_at).total_seconds() / EPOCH_S)
        first = intent.first_read.all_at_after_value if intent.first_read else None
        told = intent.unknown_since is None, first, intent.resend_at is None
        return (rows, min(age, OLD), *told)


def _hold(world: World, index: int, hand: Hand) -> World:
    hands = tuple(hand if other == index else held for other, held in enumerate(world.hands))
    return world._replace(hands=hands)


def _in_doubt(intent: Intent | None) -> bool:
    return intent is not None and intent.unknown_since is not None


def _stamp(epoch: int, number: int) -> datetime:
    """A stamp that is finer than a second, so that two changes never share one."""
    return START + timedelta(seconds=epoch * EPOCH_S, microseconds=number)


def _told(path: Path | None) -> str:
    names = []
    while path is not None:
        names.append(path.name)
        path = path.before
    return "; ".join(reversed(names))


SMALL = {
    "one worker": Scope(drops=0, duplicates=0),
}
"""Every run of the tests explores these."""

LARGE = {
    **SMALL,
    "lost and double webhooks": Scope(),
    "two workers": Scope(workers=2, drops=0, duplicates=1),
    "three members": Scope(members=3, drops=0, duplicates=0),
    "three changes": Scope(changes=3, drops=0, duplicates=0),
    "two lost answers": Scope(losses=2, drops=0, duplicates=0),
    "in progress": Scope(in_progress=1, drops=0, duplicates=0),
}
"""The whole small scope, by `--exhaustive`."""
