"""The arithmetic of one stock shown on many levels: goals, movements, corrections, and the identities.

Numbers only. Nothing here decides when to write or what to believe.
"""

from collections.abc import Collection, Iterable, Mapping

from stockwright.ledger.state import FreezeCode, IntentRow, LedgerError, Member, MemberId, PoolState, Seen


def goal(*, stock: int, units: int) -> int:
    """The level that shows `stock` base units in packs of `units`: rounded towards minus infinity."""
    return stock // units


def goal_of(state: PoolState, member: Member) -> int:
    """The level that the member should stand at now."""
    return goal(stock=state.stock, units=member.units)


def common_stock(levels: Iterable[tuple[int, int]]) -> int | None:
    """The least stock that every (level, units) shows exactly, or None when they contradict each other.

    Packs leave a remainder open: 4 packs of 2 may be 8 or 9. The least is taken, it can never oversell.
    """
    pairs = tuple(levels)
    if not pairs:
        return None
    least = max(level * units for level, units in pairs)
    beyond = min((level + 1) * units for level, units in pairs)
    return least if least < beyond else None


def restock(state: PoolState, raises: Mapping[MemberId, int]) -> int | None:
    """Base units of the one restock that explains a rise of every member, or None when none does.

    `raises` are movements above `expected`. Either all levels show one stock above ours (a recount
    typed into every variant), or all rose by the same number of base units (plus ten on each).
    """
    members = state.members
    shown = common_stock((members[id].expected + moved, members[id].units) for id, moved in raises.items())
    if shown is not None and shown > state.stock:
        return shown - state.stock
    amounts = {members[id].units * moved for id, moved in raises.items()}
    return amounts.pop() if len(amounts) == 1 else None


def out_of_step(state: PoolState) -> tuple[Member, ...]:
    """Members whose believed level is not the goal, in the order of their ids."""
    stock = state.stock
    members = (m for m in state.members.values() if m.expected != stock // m.units)
    return tuple(sorted(members, key=lambda m: m.id))


def correction_rows(state: PoolState, seen: Mapping[MemberId, Seen], *, limit: int) -> tuple[IntentRow, ...]:
    """Rows that bring every level to its goal, falls first, at most `limit`.

    A rise that still settles stays on top: the row moves the level by goal - expected from where it is.
    """
    rows = [_row(state, member, seen[member.id]) for member in out_of_step(state)]
    rows.sort(key=lambda row: (row.delta > 0, row.member))
    return tuple(rows[:limit])


def _row(state: PoolState, member: Member, seen: Seen) -> IntentRow:
    if seen.available is None:
        raise LedgerError(f"{member.id} has no level and must not be corrected")
    delta = goal_of(state, member) - member.expected
    return IntentRow(member=member.id, delta=delta, from_quantity=seen.available, stamp=seen.stamp)


def check(state: PoolState) -> None:
    """Raise LedgerError when the state breaks a rule that no shop can break. Called for every entry."""
    _check_members(state)
    _check_intent(state)
    if state.frozen and state.frozen.code is FreezeCode.OUTCOME_UNKNOWN and state.intent is None:
        raise LedgerError(f"pool {state.pool_id} is frozen for an unknown outcome but no correction is open")
    if state.raise_wait is not None:
        _demand_members(state, state.raise_wait.levels, "waits for a rise of")
        _demand_members(state, state.raise_wait.peaks, "remembers a rise of")


def _check_members(state: PoolState) -> None:
    for id, member in state.members.items():
        if member.id != id or member.units < 1:
            raise LedgerError(f"pool {state.pool_id} holds {id} as {member.id} with {member.units} units")


def _check_intent(state: PoolState) -> None:
    if state.intent is None:
        return
    rows = [row.member for row in state.intent.rows]
    _demand_members(state, rows, "corrects")
    if not rows or len(set(rows)) < len(rows) or not all(row.delta for row in state.intent.rows):
        raise LedgerError(f"pool {state.pool_id}: the rows of {state.intent.key} repeat or move nothing")


def _demand_members(state: PoolState, ids: Collection[MemberId], verb: str) -> None:
    strangers = [id for id in ids if id not in state.members]
    if strangers:
        raise LedgerError(f"pool {state.pool_id} {verb} {strangers[0]}, which is not a member")
