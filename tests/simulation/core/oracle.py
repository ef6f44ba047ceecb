"""The judge: what the shared stock truly is, from the shop's own history, and whether the ledger is honest.

It looks at what was stored and at what the shop did, never at why the protocol decided it. The one thing
it lets pass is written down in `_pardon`: a booking without proof that the reference allows, and only
when the shop's history shows that its exact condition occurred. Such a pool is `tainted` and its stock
is not judged any more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stockwright.ledger.state import Entry, FreezeCode, Intent, MemberId, Next, Observation, PoolState
from tests.simulation.core.clock import seconds
from tests.simulation.core.driver import Committed
from tests.simulation.core.network import Reading, Shown
from tests.simulation.core.outside import BY_ORDERS, Outside
from tests.simulation.core.scenario import Scenario
from tests.simulation.core.shop import OURS, Application, LevelKey, Shop

RESTORED = "restored"


class Violation(Exception):
    """An invariant does not hold. The message names it and shows the numbers."""


@dataclass(slots=True)
class Tenure:
    """One stay of a level in a pool: from the read that let it in to the newest read that was accepted."""

    units: int
    start: int  # seq of the read that it joined with
    accepted: int  # seq of the newest read whose value the ledger has folded in
    calm: int = 0  # what was accepted when no rise was settling
    behind: bool = False
    """The accepted row lagged behind one of our own corrections. It bears the stamp that we knew before, so
    nothing in it tells: the correction looks undone until the next good read. Should reads really lag like
    that, it does lasting harm only when the level leaves or joins just then."""


@dataclass(slots=True)
class Doubt:
    """What the oracle remembers of an open intent."""

    intent: Intent
    opened: Mapping[MemberId, Shown]  # each row as the read showed it that opened the intent
    sent_at: datetime
    opened_behind: bool  # a row of that read lagged behind a correction of ours
    first_at: datetime | None = None
    first: Mapping[MemberId, Shown] = field(
        default_factory=dict
    )  # each row in the first read after the failure

    def first_within(self, window_s: float) -> bool:
        """Whether there was a first read, soon enough after the send to be worth something."""
        return self.first_at is not None and (self.first_at - self.sent_at).total_seconds() <= window_s


@dataclass(slots=True)
class PoolTruth:
    """What one pool's ledger should say."""

    s0: int = 0
    left: int = 0  # base units moved in stays that have ended
    surplus: int = 0
    stays: dict[MemberId, Tenure] = field(default_factory=dict)
    read: Reading | None = None  # what the newest correction was derived from; more rows may follow from it
    doubt: Doubt | None = None
    tainted: str = ""


class Oracle:
    """Judges every stored step, every adjustment that the shop executes, and the end of a run."""

    def __init__(self, scenario: Scenario, *, shop: Shop, outside: Outside) -> None:
        self._scenario = scenario
        self._shop = shop
        self._outside = outside
        self.pools: dict[str, PoolTruth] = {}
        self.counts: Counter[str] = Counter()
        self._closed: dict[str, bool] = {}  # key -> how it was booked
        self._applied: dict[str, Application] = {}
        self._pool_of_key: dict[str, str] = {}

    # --- the truth ---

    def stock(self, key: str) -> int:
        """The true shared stock of a pool now, in base units."""
        truth = self.pools[key]
        now = self._shop.seq
        moved = sum(
            stay.units * self._shop.outside(self._outside.levels[id], after=stay.start, upto=now)
            for id, stay in truth.stays.items()
        )
        return truth.s0 + truth.left + moved - truth.surplus

    def in_step(self, key: str, state: PoolState) -> bool:
        """Whether every level of the pool shows the true stock."""
        stock = self.stock(key)
        return all(
            self._shop.levels[self._outside.levels[id]].available == stock // member.units
            for id, member in state.members.items()
        )

    def unseen(self, key: str, *, stock: int, members: Iterable[LevelKey]) -> None:
        """These levels share a stock from now on, whatever rule passes it on. Only its end can be judged."""
        now = self._shop.seq
        stays = {self._outside.ids[level]: Tenure(units=1, start=now, accepted=now) for level in members}
        self.pools[key] = PoolTruth(s0=stock, stays=stays)

    def shows_stock(self, key: str) -> bool:
        """Whether every level of a pool of single units shows the true stock."""
        stock = self.stock(key)
        levels = (self._outside.levels[id] for id in self.pools[key].stays)
        return all(self._shop.levels[level].quantity == stock for level in levels)

    def was_applied(self, intent_key: str) -> bool:
        return intent_key in self._applied

    def was_half_applied(self, intent_key: str) -> bool:
        application = self._applied.get(intent_key)
        return application is not None and not application.whole

    def restored(self, key: str) -> None:
        """The pool's ledger is an old one. Until somebody adopts the levels it must not write."""
        truth = self.pools[key]
        truth.tainted, truth.doubt = RESTORED, None

    # --- what the shop does ---

    def executed(self, application: Application) -> None:
        """I2 and I3 at the moment when an adjustment takes effect."""
        key = application.key
        if key in self._applied:
            raise Violation(f"I2: correction {key} was applied twice")
        self._applied[key] = application
        pool = self._pool_of_key.get(key)
        if pool is None:
            raise Violation(f"durable intent: correction {key} was applied but never stored before")
        if key in self._closed:
            self._judge_late(pool, key)
        elif not self.pools[pool].tainted and self._scenario.rates.get("read_lagging") is None:
            self._judge_amplification(pool, application)

    def _judge_late(self, pool: str, key: str) -> None:
        if not self._closed[key] and not self.pools[pool].tainted:
            raise Violation(f"I2: correction {key} took effect after it was booked as not applied")

    def _judge_amplification(self, pool: str, application: Application) -> None:
        truth, stock = self.pools[pool], self.stock(pool)
        waiting = sum(
            stay.units
            * self._shop.outside_volume(self._outside.levels[id], after=stay.accepted, upto=self._shop.seq)
            for id, stay in truth.stays.items()
        )
        for row in application.rows:
            id = self._outside.ids[row.level]
            units = truth.stays[id].units if id in truth.stays else 1
            distance = abs(self._shop.levels[row.level].quantity - stock // units)
            if distance * units > waiting + units:
                raise Violation(
                    f"I3: {row.level.item} was written to a distance of {distance} from its goal while only "
                    f"{waiting} base units were on their way"
                )

    # --- what is stored ---

    def committed(self, commit: Committed) -> None:
        """Judge one stored step against the shop's history."""
        state = commit.step.state
        if state is None:
            return
        truth = self.pools.setdefault(commit.key, PoolTruth())
        if truth.tainted == RESTORED and not _holds("adopted", commit.step.entries):
            self._judge_restored(commit, state)
            return
        if commit.before is None or commit.before.raise_wait is None:
            for stay in truth.stays.values():
                stay.calm = stay.accepted
        for entry in commit.step.entries:
            self._enter(truth, commit, state, entry)
        if (commit.reading is not None and truth.doubt is None) or _holds(
            "intent_opened", commit.step.entries
        ):
            self._accept(truth, state, commit.reading)
        self._judge_identity(commit.key, truth, state)

    def _judge_restored(self, commit: Committed, state: PoolState) -> None:
        """What the ledger says of a history that it has lost is worth nothing, so it must stand still."""
        if commit.step.next is Next.SEND:
            raise Violation(f"I9: {commit.key} sends although its history is older than the shop")
        if state.frozen is None or state.frozen.code is not FreezeCode.HISTORY_BEHIND:
            raise Violation(f"I9: {commit.key} is not frozen although its history is older than the shop")
        self.counts["frozen_history_behind"] += _holds("frozen", commit.step.entries)

    def _enter(self, truth: PoolTruth, commit: Committed, state: PoolState, entry: Entry) -> None:
        match entry.kind:
            case "adopted":
                self._adopted(truth, entry, commit.reading)
            case "joined":
                id = _member(entry.data["member"])
                truth.stays[id] = self._stay(truth, id, _int(entry, "units"), commit.reading)
            case "left":
                self._left(truth, _member(entry.data["member"]))
            case "observed":
                self._observed(truth, entry, commit)
            case "intent_opened":
                self._opened(truth, commit, state)
            case "first_read":
                self._first_read(truth, entry, commit.reading)
            case "resent":
                self._doubt(truth).sent_at = entry.at
            case "intent_applied" | "intent_not_applied":
                self._booked(truth, commit, entry)
            case "frozen":
                self._frozen(truth, commit, state)
            case _:
                pass

    def _adopted(self, truth: PoolTruth, entry: Entry, reading: Reading | None) -> None:
        truth.s0, truth.left, truth.surplus, truth.tainted = _int(entry, "stock"), 0, 0, ""
        truth.doubt = None
        members = entry.data["members"]
        assert isinstance(members, Sequence)
        truth.stays = {
            (id := _member(row["member"])): self._stay(truth, id, row["units"], reading) for row in members
        }

    def _stay(self, truth: PoolTruth, id: MemberId, units: int, reading: Reading | None) -> Tenure:
        seq, behind = self._row(id, reading).seq, self._is_behind(id, reading)
        if behind:
            self._taint(truth, "joined_on_lag")
        return Tenure(units=units, start=seq, accepted=seq)

    def _row(self, id: MemberId, reading: Reading | None) -> Shown:
        if reading is None:
            raise Violation(f"a step without a read speaks of the level of {id.item_id}")
        shown = reading.levels.get(self._outside.levels[id])
        if shown is None:
            raise Violation(f"I7: a step speaks of {id}, which its read does not show")
        return shown

    def _is_behind(self, id: MemberId, reading: Reading | None) -> bool:
        """Whether the row of this read shows a moment before a correction of ours that was already made."""
        if reading is None or not reading.lagging:
            return False
        level = self._outside.levels[id]
        movements, seq = self._shop.levels[level].movements, self._row(id, reading).seq
        return any(seq < m.seq <= reading.seq and m.cause == OURS for m in movements)

    def _taint(self, truth: PoolTruth, why: str) -> None:
        truth.tainted = why
        self.counts[f"{why}_when_{self._scenario.policy.on_unknown}"] += 1

    def _left(self, truth: PoolTruth, id: MemberId) -> None:
        """What a level moved counts up to the last read that was accepted, not beyond."""
        stay = truth.stays.pop(id)
        if stay.behind:
            self._taint(truth, "left_on_lag")
        moved = self._shop.outside(self._outside.levels[id], after=stay.start, upto=stay.accepted)
        truth.left += stay.units * moved

    def _observed(self, truth: PoolTruth, entry: Entry, commit: Committed) -> None:
        surplus, rises = _int(entry, "surplus"), _rises(commit.before, entry)
        rises = {id: by for id, by in rises.items() if id in truth.stays}
        if surplus:
            self._judge_surplus(truth, surplus, rises, entry, commit.reading)
        elif self._is_one_restock(truth, rises, entry):
            raise Violation(f"I1: the levels rose by {rises} and were not counted as one restock")
        for move in _rows(entry, "moves"):
            id = _member(move["member"])
            truth.stays[id].accepted = self._row(id, commit.reading).seq
            truth.stays[id].behind = self._is_behind(id, commit.reading)
        truth.surplus += surplus

    def _is_one_restock(self, truth: PoolTruth, rises: Mapping[MemberId, int], entry: Entry) -> bool:
        """Every member stands above what was known of it, all by the same: `once` must count that once."""
        amounts = {truth.stays[id].units * by for id, by in rises.items()}
        risen = {_member(move["member"]) for move in _rows(entry, "moves") if move["to"] > move["from"]}
        together = len(truth.stays) > 1 and risen == set(truth.stays) and len(amounts) == 1
        return together and self._scenario.policy.bulk_raise == "once"

    def _judge_surplus(
        self,
        truth: PoolTruth,
        surplus: int,
        rises: Mapping[MemberId, int],
        entry: Entry,
        reading: Reading | None,
    ) -> None:
        """A rise counts once only when every member really rose, by one amount or to one common stock."""
        if truth.tainted:
            return
        units = {id: stay.units for id, stay in truth.stays.items()}
        everyone = set(rises) == set(units) and all(
            self._rose(truth, id, reading) >= rises[id] for id in rises
        )
        total = sum(units[id] * by for id, by in rises.items())
        same_amount = len({units[id] * by for id, by in rises.items()}) == 1
        same_amount = same_amount and surplus == total - total // max(len(rises), 1)
        moved = {_member(move["member"]): move for move in _rows(entry, "moves")}
        known = {id: move["from"] for id, move in moved.items()}
        before = _int(entry, "stock") + surplus
        before -= sum(units[id] * (move["to"] - move["from"]) for id, move in moved.items())
        typed = before + total - surplus
        same_stock = all(
            known.get(id, self._row(id, reading).quantity) + by == typed // units[id]
            for id, by in rises.items()
        )
        if self._scenario.policy.bulk_raise != "once" or not everyone or not (same_amount or same_stock):
            raise Violation(f"I1: a surplus of {surplus} was taken off although the levels rose by {rises}")

    def _rose(self, truth: PoolTruth, id: MemberId, reading: Reading | None) -> int:
        """How far the level rose at most, whatever it stood at, since no rise was settling."""
        stay, upto = truth.stays[id], self._row(id, reading).seq
        lowest = level = highest = 0
        for movement in self._shop.between(self._outside.levels[id], after=stay.calm, upto=upto):
            level += movement.delta if movement.cause != OURS else 0
            lowest = min(lowest, level)
            highest = max(highest, level - lowest)
        return highest

    def _opened(self, truth: PoolTruth, commit: Committed, state: PoolState) -> None:
        assert state.intent is not None
        if state.intent.key in self._pool_of_key:
            raise Violation(f"I2: the key {state.intent.key} was used for two corrections")
        self._pool_of_key[state.intent.key] = commit.key
        truth.read = commit.reading or truth.read
        rows = {row.member: self._row(row.member, truth.read) for row in state.intent.rows}
        truth.doubt = Doubt(
            intent=state.intent,
            opened=rows,
            sent_at=state.intent.sent_at,
            opened_behind=any(self._is_behind(id, truth.read) for id in rows),
        )
        self.counts["intents"] += 1

    def _first_read(self, truth: PoolTruth, entry: Entry, reading: Reading | None) -> None:
        doubt, levels = self._doubt(truth), reading.levels if reading else {}
        doubt.first_at = entry.at
        doubt.first = {
            id: shown for id in doubt.opened if (shown := levels.get(self._outside.levels[id])) is not None
        }

    def _doubt(self, truth: PoolTruth) -> Doubt:
        if truth.doubt is None:
            raise Violation("I2: the ledger speaks of an open correction that was never opened or has ended")
        return truth.doubt

    # --- how intents end ---

    def _booked(self, truth: PoolTruth, commit: Committed, entry: Entry) -> None:
        doubt, key = truth.doubt, str(entry.data["key"])
        if doubt is None or doubt.intent.key != key:
            raise Violation(f"I2: correction {key} was booked twice or never opened")
        booked = entry.kind == "intent_applied"
        how = str(entry.data["how" if booked else "why"])
        self._closed[key] = booked
        self.counts[f"booked_{how}"] += 1
        if how == "assumed" and self._scenario.policy.on_unknown != "settle":
            raise Violation("I9: an outcome was assumed although the shop chose `certain`")
        if how == "assumed" and not doubt.first_within(self._scenario.policy.settle_window_s):
            raise Violation("I9: an outcome was assumed from a first read outside the window")
        if self.was_half_applied(key) and not truth.tainted:
            self._pardon_half(truth, doubt, commit, how=how)
        elif booked != self.was_applied(key) and not truth.tainted:
            self._pardon(truth, doubt, commit, booked=booked, how=how)
        truth.doubt = None

    def _pardon(self, truth: PoolTruth, doubt: Doubt, commit: Committed, *, booked: bool, how: str) -> None:
        """A wrong booking: allowed only under the exact condition that the reference names."""
        if how == "assumed" and booked and self._all_moved_to_after_values(doubt):
            self._taint(truth, "assumed_wrong")
        elif how == "orders" and self._hidden_moves_imitated(doubt, commit, booked=booked):
            self._taint(truth, "orders_misled")
        elif how == "orders" and doubt.opened_behind:
            self._taint(truth, "orders_misled_on_lag")
        else:
            was = "was" if self.was_applied(doubt.intent.key) else "was not"
            raise Violation(
                f"I2: correction {doubt.intent.key} {was} applied and was booked as the opposite ({how})"
            )

    def _pardon_half(self, truth: PoolTruth, doubt: Doubt, commit: Committed, *, how: str) -> None:
        """Nothing but complete orders shows that a call was half applied; then it must not be booked."""
        told = isinstance(commit.input, Observation) and commit.input.order_moves is not None
        levels = commit.reading.levels if commit.reading else {}
        shown = all(_quantity(levels.get(self._outside.levels[id])) is not None for id in doubt.opened)
        if how in ("confirmed", "orders") or (told and shown):
            raise Violation(
                f"I9: correction {doubt.intent.key} was half applied, orders tell, and it was booked ({how})"
            )
        self._taint(truth, "half_applied_unseen")

    def _all_moved_to_after_values(self, doubt: Doubt) -> bool:
        """The write was lost and, before the first read in the window, others moved every row by its delta."""
        if not doubt.first_within(self._scenario.policy.settle_window_s):
            return False
        return all(
            row.member in doubt.first
            and self._moved(row.member, doubt.opened[row.member].seq, doubt.first[row.member].seq)
            == row.delta
            for row in doubt.intent.rows
        )

    def _hidden_moves_imitated(self, doubt: Doubt, commit: Committed, *, booked: bool) -> bool:
        """Movements without an order (by hand, by apps) equal our deltas on every row, or undo them."""
        if self._scenario.only_orders or commit.reading is None:
            return False
        sign = 1 if booked else -1
        return all(
            self._moved_by_hand(
                row.member, doubt.opened[row.member].seq, self._row(row.member, commit.reading).seq
            )
            == sign * row.delta
            for row in doubt.intent.rows
        )

    def _moved(self, id: MemberId, after: int, upto: int) -> int:
        return self._shop.outside(self._outside.levels[id], after=after, upto=upto)

    def _moved_by_hand(self, id: MemberId, after: int, upto: int) -> int:
        movements = self._shop.levels[self._outside.levels[id]].movements
        return sum(
            m.delta
            for m in movements
            if after < m.seq <= upto and m.cause != OURS and m.cause not in BY_ORDERS
        )

    # --- freezing ---

    def _frozen(self, truth: PoolTruth, commit: Committed, state: PoolState) -> None:
        assert state.frozen is not None
        code = state.frozen.code
        self.counts[f"frozen_{code.value}"] += 1
        if not state.frozen.reason:
            raise Violation("I9: a pool is frozen without a reason")
        if code is FreezeCode.OUTCOME_UNKNOWN:
            self._judge_freeze(truth, commit)
        elif code is FreezeCode.REFUSED:
            self._demand_fault("write_refused", code)
        elif code is FreezeCode.KEY_MISMATCH:
            self._demand_fault("write_key_mismatch", code)
        elif code is FreezeCode.PARTIAL:
            half = truth.doubt is not None and self.was_half_applied(truth.doubt.intent.key)
            if not half and (not self._scenario.order_evidence or self._scenario.only_orders):
                raise Violation("I9: frozen as half applied although every movement has an order")
        elif not truth.tainted:
            raise Violation(
                f"I9: frozen as {code.value}, which nothing in this run can cause: {state.frozen.reason}"
            )

    def _demand_fault(self, kind: str, code: FreezeCode) -> None:
        if kind not in self._scenario.rates:
            raise Violation(f"I9: frozen as {code.value} although the shop never said so")

    def _judge_freeze(self, truth: PoolTruth, commit: Committed) -> None:
        """Freezing is honest only when no rule could have decided."""
        doubt = truth.doubt
        if doubt is None or commit.reading is None:
            raise Violation("I9: frozen for an unknown outcome without an open correction or a read")
        quiet = [id for id in doubt.opened if self._surely_unchanged(doubt, id, commit.reading)]
        if quiet and not commit.reading.lagging:
            raise Violation(f"I9: frozen although {quiet[0].item_id} stood unchanged: that was not applied")
        if self._should_have_been_assumed(doubt):
            raise Violation("I9: frozen although the first read proved enough for `settle`")

    def _surely_unchanged(self, doubt: Doubt, id: MemberId, reading: Reading) -> bool:
        level = self._outside.levels[id]
        shown = reading.levels.get(level)
        if shown is None or shown.quantity is None or "clock_jump" in self._scenario.rates:
            return False
        if any(m.seq > doubt.opened[id].seq for m in self._shop.levels[level].movements):
            return False
        old_enough_s = 2.0 + self._scenario.policy.clock_skew_s + abs(self._scenario.shop_skew_s)
        return doubt.opened[id].stamp_s < seconds(doubt.intent.opened_at) - old_enough_s

    def _should_have_been_assumed(self, doubt: Doubt) -> bool:
        """In the first read, within the window, every row showed our write and nothing else.

        Not demanded where orders moved a row since and did not decide: they may be why it showed that.
        """
        policy = self._scenario.policy
        application = self._applied.get(doubt.intent.key)
        hard = {"clock_jump", "read_lagging"} & set(self._scenario.rates)
        if policy.on_unknown != "settle" or application is None or hard:
            return False
        resent = doubt.sent_at != doubt.intent.sent_at  # then a stamp of the first send looks too old
        if resent or not doubt.first_within(policy.settle_window_s):
            return False
        if self._scenario.order_evidence and any(
            self._ordered(doubt, row.member) for row in doubt.intent.rows
        ):
            return False
        return all(self._plainly_ours(doubt, row.member, application) for row in doubt.intent.rows)

    def _ordered(self, doubt: Doubt, id: MemberId) -> bool:
        movements = self._shop.levels[self._outside.levels[id]].movements
        return any(m.seq > doubt.opened[id].seq and m.cause in BY_ORDERS for m in movements)

    def _plainly_ours(self, doubt: Doubt, id: MemberId, application: Application) -> bool:
        shown, opened = doubt.first.get(id), doubt.opened[id]
        if shown is None or shown.quantity is None or shown.seq < application.seq:
            return False
        movements = self._shop.levels[self._outside.levels[id]].movements
        others = any(opened.seq < m.seq <= shown.seq and m.cause != OURS for m in movements)
        return not others and shown.stamp_s > opened.stamp_s

    # --- identities ---

    def _accept(self, truth: PoolTruth, state: PoolState, reading: Reading | None) -> None:
        """Levels that stand in the ledger as they stood in this read are accepted up to it."""
        if reading is None:
            return
        for id, stay in truth.stays.items():
            shown = reading.levels.get(self._outside.levels[id])
            if shown is not None and shown.quantity == state.members[id].expected:
                stay.accepted, stay.behind = shown.seq, self._is_behind(id, reading)

    def _judge_identity(self, key: str, truth: PoolTruth, state: PoolState) -> None:
        """I1 and I2 for what the ledger says it has seen and done."""
        if set(state.members) != set(truth.stays):
            raise Violation(f"{key}: the ledger's members are not those that joined and did not leave")
        if truth.tainted or truth.doubt is not None:
            return
        for id, stay in truth.stays.items():
            member = state.members[id]
            ours = self._shop.ours(self._outside.levels[id], after=stay.start)
            if member.confirmed != ours:
                raise Violation(
                    f"I2: {key} says it moved {id.item_id} by {member.confirmed}, the shop says {ours}"
                )

        seen = self._seen_stock(truth)
        behind = any(stay.behind for stay in truth.stays.values())
        if state.stock != seen and not behind:
            raise Violation(
                f"I1: {key} says {state.stock}; what it has seen of the shop's history says {seen}"
            )

    def _seen_stock(self, truth: PoolTruth) -> int:
        """The stock that follows from every movement up to the reads that were accepted."""
        moved = sum(
            stay.units * self._shop.outside(self._outside.levels[id], after=stay.start, upto=stay.accepted)
            for id, stay in truth.stays.items()
        )
        return truth.s0 + truth.left + moved - truth.surplus


def _holds(kind: str, entries: Sequence[Entry]) -> bool:
    return any(entry.kind == kind for entry in entries)


def _quantity(shown: Shown | None) -> int | None:
    return None if shown is None else shown.quantity


def _member(value: object) -> MemberId:
    assert isinstance(value, Sequence)
    return MemberId(str(value[0]), str(value[1]))


def _rows(entry: Entry, name: str) -> Sequence[Mapping[str, Any]]:
    rows = entry.data[name]
    assert isinstance(rows, Sequence)
    return rows


def _rises(before: PoolState | None, entry: Entry) -> dict[MemberId, int]:
    """How far the ledger has seen each level rise, as it says: while the rise settled, and now."""
    wait = before.raise_wait if before else None
    rises = dict(wait.peaks) if wait else {}
    for move in _rows(entry, "moves"):
        id, by = _member(move["member"]), move["to"] - move["from"]
        if by > 0:
            rises[id] = max(by, rises.get(id, 0))
    return rises


def _int(entry: Entry, name: str) -> int:
    value = entry.data[name]
    assert isinstance(value, int)
    return value
