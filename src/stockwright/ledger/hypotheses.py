"""What the levels would mean if a correction in doubt was applied, and if it was not. For people to choose.

Numbers for a page or a sentence; nothing here decides which one is true.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stockwright.ledger.arithmetic import goal
from stockwright.ledger.draft import short
from stockwright.ledger.state import Intent, MemberId, PoolState


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """One reading of the levels."""

    stock: int  # the shared stock that follows, in base units
    moves: Mapping[MemberId, int]  # what others must have moved meanwhile, without zeros
    goals: Mapping[MemberId, int]  # where every level would be brought to


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypotheses:
    if_applied: Hypothesis
    if_not: Hypothesis


def hypotheses(state: PoolState, seen: Mapping[MemberId, int] | None = None) -> Hypotheses | None:
    """Both readings of `seen` (default: the levels kept at the freeze). None when no correction is open."""
    if state.intent is None:
        return None
    levels = seen if seen is not None else state.frozen.levels if state.frozen else {}
    ours = {row.member: row.delta for row in state.intent.rows}
    return Hypotheses(if_applied=_given(state, levels, ours), if_not=_given(state, levels, {}))


def _given(state: PoolState, levels: Mapping[MemberId, int], ours: Mapping[MemberId, int]) -> Hypothesis:
    moves = {
        id: levels[id] - member.expected - ours.get(id, 0)
        for id, member in sorted(state.members.items())
        if id in levels
    }
    stock = state.stock + sum(state.members[id].units * by for id, by in moves.items())
    goals = {id: goal(stock=stock, units=m.units) for id, m in sorted(state.members.items())}
    return Hypothesis(stock=stock, moves={id: by for id, by in moves.items() if by}, goals=goals)


def tell_hypotheses(state: PoolState, intent: Intent, seen: Mapping[MemberId, int]) -> str:
    """Both readings with numbers, for the reason of a freeze."""
    both = hypotheses(state, seen)
    rows = ", ".join(
        f"{short(row.member)} {row.from_quantity} -> {row.after}, now {seen.get(row.member, 'without a level')}"
        for row in intent.rows[:5]
    )
    if both is None:
        return rows
    return (
        f"{rows}. If it was applied, the stock is {both.if_applied.stock}; if it was not, {both.if_not.stock}"
    )
