"""The append-only history of a pool, and the only way its state changes: `apply` one entry.

Entries are self-contained JSON, so replaying them from nothing rebuilds the state bit for bit. An entry
records the stock that it leads to; a replay that arrives at another number stops with LedgerError.
Nothing here decides what to journal.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from stockwright.ledger.arithmetic import check
from stockwright.ledger.state import (
    AssumedRow,
    Assumption,
    Closed,
    Entry,
    Exclusion,
    FirstRead,
    Frozen,
    Intent,
    LedgerError,
    Member,
    MemberId,
    PoolState,
    RaiseWait,
)
from stockwright.ledger.wire import (
    Fields,
    freeze_code_from_json,
    levels_from_json,
    rows_from_json,
    state_from_json,
)


def apply(state: PoolState | None, entry: Entry) -> PoolState:
    """The state after one more entry. LedgerError when the entry cannot follow the state."""
    if entry.kind == "adopted":
        after = _adopted(state, entry)
    elif entry.kind == "checkpoint":
        after = _checkpoint(state, entry)
    elif state is None:
        raise LedgerError(f"a history begins with 'adopted' or 'checkpoint', not with {entry.kind!r}")
    else:
        change = _CHANGES.get(entry.kind)
        if change is None:
            raise LedgerError(f"{entry.kind!r} is not a kind of journal entry")
        after = change(state, Fields(entry.data), entry.at)
    check(after)
    return after


def replay(entries: Iterable[Entry]) -> PoolState:
    """The state that a whole history leads to. LedgerError when it is empty or does not add up."""
    state: PoolState | None = None
    for entry in entries:
        state = apply(state, entry)
    if state is None:
        raise LedgerError("there is no entry to replay")
    return state


def _adopted(state: PoolState | None, entry: Entry) -> PoolState:
    data = Fields(entry.data)
    members = [
        Member(
            id=row.member("member"),
            units=row.int("units"),
            base=row.int("level"),
            stamp=row.optional_time("stamp"),
        )
        for row in data.rows("members")
    ]
    return PoolState(
        pool_id=data.text("pool_id"),
        version=1 if state is None else state.version + 1,
        s0=data.int("stock"),
        members={member.id: member for member in members},
    )


def _checkpoint(state: PoolState | None, entry: Entry) -> PoolState:
    recorded = state_from_json(entry.data.get("state"))
    if state is not None and recorded != checkpointed(state):
        raise LedgerError(f"the checkpoint of pool {state.pool_id} does not match its history")
    return recorded


def checkpointed(state: PoolState) -> PoolState:
    """The same stock and levels with nothing left to sum up, one version later.

    Nothing writes checkpoints: the journal is kept for ever. Those of a restored or moved history are read.
    """
    members = {
        id: replace(member, base=member.expected, confirmed=0, external=0)
        for id, member in state.members.items()
    }
    return replace(state, version=state.version + 1, s0=state.stock, t=0, members=members, assumptions=())


def _observed(state: PoolState, data: Fields, _at: datetime) -> PoolState:
    members = dict(state.members)
    for row in data.rows("moves"):
        member = _member(state, row)
        if member.expected != row.int("from"):
            raise LedgerError(f"{member.id} stood at {member.expected}, the journal says {row.int('from')}")
        external = member.external + row.int("to") - row.int("from")
        members[member.id] = replace(member, external=external, stamp=_newest_stamp(member, row))
    return _demand_stock(_next(state, members=members, t=state.t - data.int("surplus")), data)


def _stamped(state: PoolState, data: Fields, _at: datetime) -> PoolState:
    members = dict(state.members)
    for row in data.rows("stamps"):
        member = _member(state, row)
        members[member.id] = replace(member, stamp=_newest_stamp(member, row))
    return _next(state, members=members)


def _joined(state: PoolState, data: Fields, _at: datetime) -> PoolState:
    id = data.member("member")
    if id in state.members:
        raise LedgerError(f"{id} joins pool {state.pool_id} twice")
    member = Member(id=id, units=data.int("units"), base=data.int("level"), stamp=data.optional_time("stamp"))
    excluded = {other: why for other, why in state.excluded.items() if other != id}
    return _demand_stock(_next(state, members={**state.members, id: member}, excluded=excluded), data)


def _left(state: PoolState, data: Fields, _at: datetime) -> PoolState:
    leaver = _member(state, data)
    members = {id: member for id, member in state.members.items() if id != leaver.id}
    excluded = dict(state.excluded)
    until = data.optional_time("excluded_until")
    if until is not None:
        excluded[leaver.id] = Exclusion(reason=data.text("why"), until=until)
    left = _next(
        state,
        members=members,
        t=state.t + leaver.units * leaver.external,
        raise_wait=_without(state.raise_wait, leaver.id),
        excluded=excluded,
        assumptions=tuple(
            one for one in state.assumptions if all(row.member != leaver.id for row in one.rows)
        ),
    )
    return _demand_stock(left, data)


def _without(wait: RaiseWait | None, id: MemberId) -> RaiseWait | None:
    if wait is None:
        return None
    levels = {other: level for other, level in wait.levels.items() if other != id}
    peaks = {other: peak for other, peak in wait.peaks.items() if other != id}
    return replace(wait, levels=levels, peaks=peaks) if levels else None


def _raise_seen(state: PoolState, data: Fields, at: datetime) -> PoolState:
    levels, peaks = levels_from_json(data.rows("levels")), levels_from_json(data.rows("peaks"))
    return _next(
        state, raise_wait=RaiseWait(since=data.time("since"), changed_at=at, levels=levels, peaks=peaks)
    )


def _raise_cleared(state: PoolState, _data: Fields, _at: datetime) -> PoolState:
    return _next(state, raise_wait=None)


def _intent_opened(state: PoolState, data: Fields, at: datetime) -> PoolState:
    if state.intent is not None:
        raise LedgerError(f"pool {state.pool_id} already has the open correction {state.intent.key}")
    if state.closed is not None and state.closed.key == data.text("key"):
        raise LedgerError(f"pool {state.pool_id}: key {state.closed.key} was used before; each needs its own")
    rows = rows_from_json(data.rows("rows"))
    read_at = data.optional_time("read_at") or at
    return _next(state, intent=Intent(key=data.text("key"), rows=rows, opened_at=read_at, sent_at=at))


def _outcome_unknown(state: PoolState, data: Fields, at: datetime) -> PoolState:
    return _next(state, intent=replace(_intent(state, data), unknown_since=at, resend_at=None))


def _first_read(state: PoolState, data: Fields, at: datetime) -> PoolState:
    first = FirstRead(at=at, all_at_after_value=data.bool("all_at_after_value"))
    return _next(state, intent=replace(_intent(state, data), first_read=first))


def _postponed(state: PoolState, data: Fields, _at: datetime) -> PoolState:
    intent = _intent(state, data)
    return _next(
        state, intent=replace(intent, attempts=intent.attempts + 1, resend_at=data.time("resend_at"))
    )


def _resent(state: PoolState, data: Fields, at: datetime) -> PoolState:
    return _next(state, intent=replace(_intent(state, data), sent_at=at, resend_at=None))


def _intent_applied(state: PoolState, data: Fields, at: datetime) -> PoolState:
    intent = _intent(state, data)
    members = dict(state.members)
    overwritten = {row.member("member"): row.time("stamp") for row in data.rows("overwritten")}
    for row in intent.rows:
        member, stamp = members[row.member], overwritten.pop(row.member, None)
        members[row.member] = replace(
            member,
            confirmed=member.confirmed + row.delta,
            overwrote=stamp or member.overwrote,
            wrote_at=at if stamp else member.wrote_at,
        )
    if overwritten:
        raise LedgerError(f"the correction {intent.key} overwrote levels that it did not write")
    booked = _next(
        state,
        members=members,
        intent=None,
        closed=Closed(key=intent.key, applied=True),
        raise_wait=_shifted(state.raise_wait, intent),
        stale_streak=0,
        failed_streak=0,
    )
    return _demand_stock(_assumed(booked, intent, at) if data.text("how") == "assumed" else booked, data)


_ASSUMPTIONS = 10  # kept of one pool; older ones stay to be reviewed


def _assumed(booked: PoolState, intent: Intent, at: datetime) -> PoolState:
    rows = tuple(
        AssumedRow(row.member, row.delta, booked.members[row.member].external, row.stamp)
        for row in intent.rows
    )
    one = Assumption(key=intent.key, at=at, opened_at=intent.opened_at, rows=rows)
    kept = (*booked.assumptions, one)[-_ASSUMPTIONS:]
    return replace(booked, assumed=booked.assumed + 1, assumptions=kept)


def _shifted(wait: RaiseWait | None, intent: Intent) -> RaiseWait | None:
    """Our own correction carries a level that still settles along: that is not a change of the rise."""
    if wait is None:
        return None
    deltas = {row.member: row.delta for row in intent.rows}
    return replace(wait, levels={id: level + deltas.get(id, 0) for id, level in wait.levels.items()})


def _intent_not_applied(state: PoolState, data: Fields, _at: datetime) -> PoolState:
    intent, why = _intent(state, data), data.text("why")
    return _next(
        state,
        intent=None,
        closed=Closed(key=intent.key, applied=False),
        stale_streak=state.stale_streak + (why == "stale"),
        failed_streak=state.failed_streak + (why in FAILURES),
    )


FAILURES = frozenset({"not_sent", "throttled", "previous_failed"})
"""Why a correction was closed without an answer about the stock; they lengthen the pause before the next."""


def _frozen(state: PoolState, data: Fields, at: datetime) -> PoolState:
    frozen = Frozen(
        code=freeze_code_from_json(data.text("code")),
        reason=data.text("reason"),
        since=at,
        levels=levels_from_json(data.rows("levels")),
    )
    return _next(state, frozen=frozen)


def _frozen_read(state: PoolState, data: Fields, _at: datetime) -> PoolState:
    if state.frozen is None:
        raise LedgerError(f"pool {state.pool_id} is not frozen")
    return _next(state, frozen=replace(state.frozen, levels=levels_from_json(data.rows("levels"))))


def _unfrozen(state: PoolState, _data: Fields, _at: datetime) -> PoolState:
    return _next(state, frozen=None)


def _resolved(state: PoolState, _data: Fields, _at: datetime) -> PoolState:
    return _next(state, excluded={}, failed_streak=0, stale_streak=0)


def _reviewed(state: PoolState, _data: Fields, _at: datetime) -> PoolState:
    return _next(state, assumed=0, assumptions=())


def _weighed(state: PoolState, data: Fields, _at: datetime) -> PoolState:
    """Orders have spoken, or have been asked for long enough. What they confirm need not be reviewed."""
    kept = tuple(one for one in state.assumptions if one.key != data.text("key"))
    if len(kept) == len(state.assumptions):
        raise LedgerError(f"pool {state.pool_id} has no assumed correction {data.text('key')}")
    return _next(state, assumptions=kept, assumed=state.assumed - (data.text("verdict") == "confirmed"))


def _dissolved(state: PoolState, _data: Fields, _at: datetime) -> PoolState:
    return _next(state)  # the last entry of a history: why it ends


_CHANGES: Mapping[str, Callable[[PoolState, Fields, datetime], PoolState]] = {
    "observed": _observed,
    "stamped": _stamped,
    "joined": _joined,
    "left": _left,
    "raise_seen": _raise_seen,
    "raise_cleared": _raise_cleared,
    "intent_opened": _intent_opened,
    "outcome_unknown": _outcome_unknown,
    "first_read": _first_read,
    "postponed": _postponed,
    "resent": _resent,
    "intent_applied": _intent_applied,
    "intent_not_applied": _intent_not_applied,
    "frozen": _frozen,
    "frozen_read": _frozen_read,
    "unfrozen": _unfrozen,
    "resolved": _resolved,
    "reviewed": _reviewed,
    "weighed": _weighed,
    "dissolved": _dissolved,
}

ENTRY_KINDS = frozenset({"adopted", "checkpoint", *_CHANGES})


_FIELDS = tuple(field.name for field in fields(PoolState))
_values = attrgetter(*_FIELDS)


def _next(state: PoolState, **changes: Any) -> PoolState:
    """The state with these fields changed, one entry later. `replace` would do, in twice the time."""
    values = dict(zip(_FIELDS, _values(state), strict=True))
    return PoolState(**{**values, "version": state.version + 1, **changes})


def _member(state: PoolState, row: Fields) -> Member:
    id = row.member("member")
    if id not in state.members:
        raise LedgerError(f"{id} is not a member of pool {state.pool_id}")
    return state.members[id]


def _newest_stamp(member: Member, row: Fields) -> datetime | None:
    stamp = row.optional_time("stamp")
    if stamp is None or (member.stamp is not None and stamp <= member.stamp):
        return member.stamp
    return stamp


def _intent(state: PoolState, data: Fields) -> Intent:
    if state.intent is None or state.intent.key != data.text("key"):
        raise LedgerError(f"pool {state.pool_id} has no open correction {data.text('key')}")
    return state.intent


def _demand_stock(state: PoolState, data: Fields) -> PoolState:
    """The running number that was journaled must equal the sum S0 + T + units * external."""
    if state.stock != data.int("stock"):
        raise LedgerError(
            f"pool {state.pool_id}: the journal says stock {data.int('stock')}, the sums say {state.stock}"
        )
    return state
