"""Movements in one read: falls are accepted at once, rises settle, an equal rise of all may count once.

A fall can oversell, so it never waits. A bulk edit reaches us in pieces, so rises wait until the set of
risen levels has been quiet for `raise_settle_s`, at most three times as long. Nothing here writes stock.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from stockwright.ledger.arithmetic import restock
from stockwright.ledger.draft import Draft, short
from stockwright.ledger.state import LedgerError, MemberId, Policy, PoolState, RaiseWait, Seen
from stockwright.ledger.wire import (
    Json,
    levels_to_json,
    member_id_to_json,
    optional_time_to_json,
    time_to_json,
)

LONGEST_WAIT = 3
"""Times `raise_settle_s` after which rises are accepted although levels keep changing."""

Levels = Mapping[MemberId, int]


def accept_movements(
    draft: Draft, seen: Mapping[MemberId, Seen], policy: Policy, *, refunds: Levels | None
) -> None:
    """Fold what others moved into the pool. Every member must stand in `seen` with a level."""
    moved = _movements(draft.pool, seen)
    risen = {id: level_of(seen[id]) for id, by in moved.items() if by > 0}
    if risen and not _settled(draft.pool.raise_wait, risen, at=draft.at, policy=policy):
        peaks = _peaks(draft.pool.raise_wait, moved)
        _book(draft, {id: by for id, by in moved.items() if by < 0}, seen, surplus=0)
        _keep_waiting(draft, risen, peaks)
    else:
        refunded = _refunded(draft, moved, refunds)
        surplus = 0 if refunded else _surplus(draft, moved, policy)
        _book(draft, moved, seen, surplus=surplus, refunded=refunded)
        _clear_wait(draft, accepted=bool(risen))
    _note_stamps(draft, seen)


def due_at(wait: RaiseWait, policy: Policy) -> datetime:
    """When the rises are accepted if nothing changes any more."""
    settle = timedelta(seconds=policy.raise_settle_s)
    return min(wait.changed_at + settle, wait.since + LONGEST_WAIT * settle)


def asks_for_refunds(pool: PoolState, at: datetime, policy: Policy) -> bool:
    """Whether a read that is asked for now would count a rise of every level once, unless refunds explain it."""
    wait = pool.raise_wait
    if wait is None or policy.bulk_raise != "once" or at < due_at(wait, policy):
        return False
    return len(wait.peaks) > 1 and set(wait.peaks) == set(pool.members)


def level_of(seen: Seen) -> int:
    if seen.available is None:
        raise LedgerError(f"{seen.id} has no level and cannot be counted")
    return seen.available


def _movements(pool: PoolState, seen: Mapping[MemberId, Seen]) -> dict[MemberId, int]:
    moved = {id: level_of(seen[id]) - member.expected for id, member in sorted(pool.members.items())}
    return {id: by for id, by in moved.items() if by}


def _settled(wait: RaiseWait | None, risen: Levels, *, at: datetime, policy: Policy) -> bool:
    if policy.raise_settle_s <= 0:
        return True
    if wait is None:
        return False
    settle = timedelta(seconds=policy.raise_settle_s)
    quiet = wait.levels == risen and at >= wait.changed_at + settle
    return quiet or at >= wait.since + LONGEST_WAIT * settle


def _keep_waiting(draft: Draft, risen: Levels, peaks: Levels) -> None:
    wait = draft.pool.raise_wait
    if wait is not None and wait.levels == risen:
        return
    since = draft.at if wait is None else wait.since
    draft.write(
        "raise_seen", since=time_to_json(since), levels=levels_to_json(risen), peaks=levels_to_json(peaks)
    )


def _peaks(wait: RaiseWait | None, moved: Levels) -> dict[MemberId, int]:
    """How far each level was seen above `expected` since the first rise: a sale meanwhile takes nothing off."""
    peaks = dict(wait.peaks) if wait is not None else {}
    for id, by in moved.items():
        if by > peaks.get(id, 0):
            peaks[id] = by
    return peaks


def _clear_wait(draft: Draft, *, accepted: bool) -> None:
    if draft.pool.raise_wait is not None:
        draft.write("raise_cleared", accepted=accepted)


def _refunded(draft: Draft, moved: Levels, refunds: Levels | None) -> bool:
    """Whether refunds explain the whole rise of every level, so that it is a sum and no bulk edit."""
    peaks = _peaks(draft.pool.raise_wait, moved)
    if refunds is None or any(refunds.get(id) != by for id, by in peaks.items()):
        return False
    draft.note(f"All {len(peaks)} levels rose together; refunds explain each, so they are summed.")
    return True


def _surplus(draft: Draft, moved: Levels, policy: Policy) -> int:
    """Base units to take off again because every member showed the same one restock.

    It is judged by how far they rose, not by what a sale left of it. A rise that is gone everywhere was undone.
    """
    pool, peaks = draft.pool, _peaks(draft.pool.raise_wait, moved)
    undone = all(by < 0 for by in moved.values())
    if undone or policy.bulk_raise != "once" or len(peaks) < max(2, len(pool.members)):
        return 0
    units = restock(pool, peaks)
    if units is None:
        return 0
    draft.note(f"All {len(peaks)} levels rose together: counted once, as a restock of {units}.")
    return sum(pool.members[id].units * by for id, by in peaks.items()) - units


def _book(
    draft: Draft, moved: Levels, seen: Mapping[MemberId, Seen], *, surplus: int, refunded: bool = False
) -> None:
    if not moved:
        return
    pool = draft.pool
    stock = pool.stock + sum(pool.members[id].units * by for id, by in moved.items()) - surplus
    moves = [_move(pool.members[id].expected, by, seen[id]) for id, by in moved.items()]
    told = ", ".join(f"{short(id)} {pool.members[id].expected} -> {level_of(seen[id])}" for id in moved)
    draft.write("observed", moves=moves, surplus=surplus, stock=stock, refunded=refunded)
    draft.note(f"Moved by others: {told}.")


def _move(expected: int, by: int, seen: Seen) -> Json:
    return {
        "member": member_id_to_json(seen.id),
        "from": expected,
        "to": expected + by,
        "stamp": optional_time_to_json(seen.stamp),
    }


def _note_stamps(draft: Draft, seen: Mapping[MemberId, Seen]) -> None:
    """A newer stamp on an unmoved level is remembered: an older one later is a read that lags."""
    stamps: list[Json] = []
    for id, member in sorted(draft.pool.members.items()):
        stamp = seen[id].stamp
        if stamp is not None and (member.stamp is None or stamp > member.stamp):
            stamps.append({"member": member_id_to_json(id), "stamp": time_to_json(stamp)})
    if stamps:
        draft.write("stamped", stamps=stamps)
