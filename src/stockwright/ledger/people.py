"""Decisions that come from people or from the operator: resolving, reviewing, freezing.

Every one is journaled. A decision that does not fit the pool is refused with a sentence and no entry.
"""

from datetime import datetime
from typing import assert_never

from stockwright.ledger.arithmetic import common_stock
from stockwright.ledger.correction import correct, rest_frozen
from stockwright.ledger.draft import Draft, clock, short
from stockwright.ledger.membership import eligible, index, lagging, tell_levels, write_adopted
from stockwright.ledger.raises import level_of
from stockwright.ledger.settlement import Verdict, close, dead_at
from stockwright.ledger.state import (
    FreezeCode,
    Observation,
    Policy,
    PoolState,
    Resolution,
    Resolve,
    Seen,
    Step,
)

ONLY_ADOPT = frozenset({FreezeCode.PARTIAL, FreezeCode.HISTORY_BEHIND})
"""Freezes that "was applied" or "was not" cannot answer."""


def resolve(draft: Draft, decision: Resolve, policy: Policy) -> Step:
    """A person's way out of a freeze, or a fresh start from the levels as they are."""
    match decision.resolution:
        case Resolution.WAS_APPLIED | Resolution.WAS_NOT_APPLIED:
            return _answer(draft, decision)
        case Resolution.ADOPT_LEVELS:
            return _adopt_levels(draft, decision, policy)
        case never:
            assert_never(never)


def _answer(draft: Draft, decision: Resolve) -> Step:
    applied = decision.resolution is Resolution.WAS_APPLIED
    refusal = _why_no_answer(draft.state, applied=applied)
    if refusal:
        return draft.rest(refusal)
    draft.write("resolved", by=decision.by, resolution=decision.resolution.value)
    if draft.pool.intent is not None:
        close(draft, Verdict(applied=applied, how="resolved", evidence=f"{decision.by} said so"))
    if draft.pool.frozen is not None:
        draft.write("unfrozen", why=f"{decision.by} decided")
    return draft.read(f"{decision.by} ended the freeze: reading the levels.")


def _why_no_answer(state: PoolState | None, *, applied: bool) -> str:
    if state is None or state.frozen is None:
        return "The pool is not frozen: there is nothing to resolve."
    if state.frozen.code in ONLY_ADOPT:
        return "That does not answer why the pool is frozen: adopt the levels instead."
    if state.intent is None and applied:
        return "No correction is open that could have been applied: say that it was not, or adopt the levels."
    return ""


def _adopt_levels(draft: Draft, decision: Resolve, policy: Policy) -> Step:
    refusal = _why_not_adopted(draft, decision, policy)
    if decision.observation is None or refusal:
        return draft.rest(refusal)
    seen = {id: row for id, row in index(decision.observation).items() if eligible(row)}
    rows = tuple(row for _, row in sorted(seen.items()))
    stock = _stock_of(decision, rows)
    if stock is None:
        return draft.rest(f"The levels differ ({tell_levels(rows)}): say which stock to take.")
    if draft.state is not None:
        draft.write("resolved", by=decision.by, resolution=decision.resolution.value)
    write_adopted(draft, rows, stock=stock, how="resolved", by=decision.by)
    draft.note(f"{decision.by} adopted {len(rows)} levels with a shared stock of {stock}.")
    return correct(draft, seen, key=decision.observation.key, policy=policy)


def _stock_of(decision: Resolve, rows: tuple[Seen, ...]) -> int | None:
    if decision.stock is not None:
        return decision.stock
    return common_stock((level_of(row), row.units) for row in rows)


def _why_not_adopted(draft: Draft, decision: Resolve, policy: Policy) -> str:
    read = decision.observation
    if read is None or not any(eligible(row) for row in read.seen):
        return "Adopting levels needs a read that shows at least one."
    return _why_not_now(draft, read, policy) if draft.state is not None else ""


def _why_not_now(draft: Draft, read: Observation, policy: Policy) -> str:
    pool = draft.pool
    late = lagging(draft, index(read), policy)
    if late is not None:
        return f"The read shows {short(late)} older than it was seen before: read again."
    if pool.intent is not None and (pool.frozen is None or draft.at < dead_at(pool.intent, policy)):
        return f"A correction may still arrive until {clock(dead_at(pool.intent, policy))}: adopt the levels after it."
    return ""


def review(state: PoolState, at: datetime, *, by: str) -> Step:
    """A person has looked at the outcomes that were assumed."""
    draft = Draft(state, pool_id=state.pool_id, at=at)
    if not state.assumed:
        return draft.rest("There is nothing to review.")
    draft.write("reviewed", by=by, outcomes=state.assumed)
    return draft.rest(f"{by} reviewed {state.assumed} assumed outcomes.")


def freeze(state: PoolState, at: datetime, *, code: FreezeCode, reason: str) -> Step:
    """Stop writing on the operator's word: after a restore (HISTORY_BEHIND), which no level can prove.

    A restore replaces any other reason, for a proof that ended that one would have the pool write again.
    LedgerError for OUTCOME_UNKNOWN without an open correction.
    """
    draft = Draft(state, pool_id=state.pool_id, at=at)
    known = state.frozen.code if state.frozen is not None else None
    if known is None or (code is FreezeCode.HISTORY_BEHIND and known is not code):
        draft.write("frozen", code=code.value, reason=reason, levels=[])
    return rest_frozen(draft)
