"""Settling a correction whose answer was lost. Neither a retry nor a level proves what happened.

The first read is stored as such and never decides: it must be quick, so no orders are asked for with it. The
order of evidence, in a second read after the dead time: a row unchanged in value and stamp (not applied: calls
are all or nothing); rows that orders explain; with `settle`, a first read that showed every row at its
after-value (assumed applied); else the pool freezes. The dead time is never cut short, not even by orders. Their
list lags behind the levels, so they say nothing of a level that moved in the last minutes: it is waited until they
do, for a while (decision 0028).

Not detectable here: a database restored from before corrections that were closed since. Their effect looks
like sales. Whoever restores calls `people.freeze(..., HISTORY_BEHIND)`. An intent that was open in the
backup is found: it is older than the dead time, its first read comes too late to be assumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stockwright.ledger.correction import rest_frozen, tell_rows
from stockwright.ledger.draft import Draft, clock, short
from stockwright.ledger.hypotheses import tell_hypotheses
from stockwright.ledger.state import (
    FreezeCode,
    Intent,
    IntentRow,
    LedgerError,
    MemberId,
    Observation,
    Policy,
    PoolState,
    Seen,
    Step,
)
from stockwright.ledger.wire import levels_to_json, rows_to_json

SECOND = timedelta(seconds=1)
ORDERS_PATIENCE = 3  # times `order_lag_s` for which levels may keep moving before the pool freezes
RUNS = timedelta(seconds=3)  # how long a request that runs already is given before the first look


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of the correction, and how we know."""

    applied: bool
    how: str  # orders, unchanged, assumed, resolved, confirmed
    evidence: str


def open_intent(draft: Draft) -> Intent:
    if draft.pool.intent is None:
        raise LedgerError(f"pool {draft.pool_id} has no open correction")
    return draft.pool.intent


def dead_at(intent: Intent, policy: Policy) -> datetime:
    """From then on a request that was sent can no longer be applied."""
    return intent.sent_at + timedelta(seconds=policy.dead_time_s)


def may_be_decided(pool: PoolState, at: datetime, policy: Policy) -> bool:
    """Whether a read that is asked for at this moment may settle a lost answer: its first look was taken."""
    intent = pool.intent
    return intent is not None and intent.first_read is not None and at >= dead_at(intent, policy)


def doubt(draft: Draft, policy: Policy, *, detail: str) -> Step:
    """The answer is lost: read at once, then wait for the dead time."""
    if open_intent(draft).unknown_since is None:
        draft.write("outcome_unknown", key=open_intent(draft).key, detail=detail)
    return wait_for_proof(draft, policy)


def doubt_later(draft: Draft, *, detail: str) -> Step:
    """Another request with our key is running: look when it has had time to end, or when a webhook tells."""
    draft.write("outcome_unknown", key=open_intent(draft).key, detail=detail)
    rows = tell_rows(open_intent(draft).rows)
    return draft.rest(
        f"Shopify is busy with {rows} already: looking at the levels soon.", wake_at=draft.at + RUNS
    )


def wait_for_proof(draft: Draft, policy: Policy) -> Step:
    """What to do about a correction in doubt when no read is at hand."""
    intent, until = open_intent(draft), dead_at(open_intent(draft), policy)
    if intent.first_read is None:
        return draft.read(
            f"It is not known whether {tell_rows(intent.rows)} was applied: reading the levels."
        )
    if draft.at >= until:
        return draft.read("The lost correction can no longer arrive: reading the levels to settle it.")
    return draft.rest(
        f"It is not known whether {tell_rows(intent.rows)} was applied; it may arrive until {clock(until)}.",
        wake_at=until,
    )


def settle(draft: Draft, seen: Mapping[MemberId, Seen], read: Observation, policy: Policy) -> Step | None:
    """Weigh one read. None when the correction is closed and the read may be derived from."""
    if draft.pool.frozen is not None:
        return _settle_frozen(draft, seen, read, policy)
    if open_intent(draft).unknown_since is None:
        draft.write("outcome_unknown", key=open_intent(draft).key, detail="no answer was recorded")
    if open_intent(draft).first_read is None:
        _write_first_read(draft, seen, read, policy)
        return wait_for_proof(draft, policy)
    if draft.at < dead_at(open_intent(draft), policy):
        return wait_for_proof(draft, policy)
    return _decide(draft, seen, read, policy)


def _decide(draft: Draft, seen: Mapping[MemberId, Seen], read: Observation, policy: Policy) -> Step | None:
    intent, moves = open_intent(draft), _settled_moves(open_intent(draft), seen, read, policy)
    if _half_applied(intent, seen, moves):
        return _freeze(draft, seen, FreezeCode.PARTIAL, "orders explain some rows as written and some as not")
    verdict = _prove(intent, seen, moves, policy) or _assume(intent, read.order_moves, policy)
    if verdict is not None:
        close(draft, verdict)
        return None
    asks_again_at = min(_orders_due(intent, seen, policy), _patience_ends(intent, policy))
    if read.order_moves is not None and moves is None and draft.at < asks_again_at:
        return draft.rest(
            f"It is not known whether {tell_rows(intent.rows)} was applied; orders of the last minutes may still be "
            f"missing from their list: asking again at {clock(asks_again_at)}.",
            wake_at=asks_again_at,
        )
    return _freeze(draft, seen, FreezeCode.OUTCOME_UNKNOWN, "all levels moved meanwhile")


def close(draft: Draft, verdict: Verdict, *, overwritten: tuple[IntentRow, ...] = ()) -> None:
    """Book the verdict. Ends a freeze that was about this very question.

    `overwritten`: rows whose stamp was surely replaced, so that a read that still shows it lags.
    """
    intent, pool = open_intent(draft), draft.pool
    if pool.frozen is not None and pool.frozen.code is FreezeCode.OUTCOME_UNKNOWN:
        draft.write("unfrozen", why=verdict.evidence)
    if verdict.applied:
        draft.write(
            "intent_applied",
            key=intent.key,
            how=verdict.how,
            evidence=verdict.evidence,
            rows=rows_to_json(intent.rows),
            overwritten=rows_to_json(overwritten),
            stock=pool.stock,
        )
    else:
        draft.write("intent_not_applied", key=intent.key, why=verdict.how, detail=verdict.evidence)
    outcome = "was applied" if verdict.applied else "was not applied"
    draft.note(f"The correction {tell_rows(intent.rows)} {outcome}: {verdict.evidence}.")


# --- the first read -------------------------------------------------------------------------------


def _write_first_read(draft: Draft, seen: Mapping[MemberId, Seen], read: Observation, policy: Policy) -> None:
    intent = open_intent(draft)
    at_after = all(_at_after_value(row, seen.get(row.member), intent, policy) for row in intent.rows)
    within = timedelta(0) <= read.at - intent.sent_at <= timedelta(seconds=policy.settle_window_s)
    ordered = any((read.order_moves or {}).get(row.member, 0) for row in intent.rows)
    draft.write(
        "first_read",
        key=intent.key,
        all_at_after_value=at_after and within and not ordered,
        within_window=within,
        levels=levels_to_json(_row_levels(intent, seen)),
    )


def _at_after_value(row: IntentRow, seen: Seen | None, intent: Intent, policy: Policy) -> bool:
    if seen is None or seen.stamp is None or seen.available != row.after:
        return False
    renewed = row.stamp is None or seen.stamp > row.stamp or _same_second(seen.stamp, row.stamp)
    return renewed and _latest(seen.stamp) >= intent.sent_at - timedelta(seconds=policy.clock_skew_s)


def _same_second(one: datetime, other: datetime) -> bool:
    """Two changes of a level within one second carry the same stamp, where stamps are whole seconds."""
    return one == other and not one.microsecond


# --- evidence -------------------------------------------------------------------------------------


def _prove(
    intent: Intent, seen: Mapping[MemberId, Seen], moves: Mapping[MemberId, int] | None, policy: Policy
) -> Verdict | None:
    for row in intent.rows:
        if _unchanged(row, seen.get(row.member), intent, policy):
            evidence = (
                f"{short(row.member)} still stands at {row.from_quantity}, unchanged since before the send"
            )
            return Verdict(applied=False, how="unchanged", evidence=evidence)
    fits = _fits(intent, seen, moves)
    if len(fits) != 1 or None in fits:
        return None
    applied = True in fits
    return Verdict(
        applied=applied, how="orders", evidence=f"orders explain every level only if it {_was(applied)}"
    )


def _settled_moves(
    intent: Intent, seen: Mapping[MemberId, Seen], read: Observation, policy: Policy
) -> Mapping[MemberId, int] | None:
    """What orders moved, if their list has had time to hold all that moved the rows to where they stand."""
    return read.order_moves if read.at >= _orders_due(intent, seen, policy) else None


def _orders_due(intent: Intent, seen: Mapping[MemberId, Seen], policy: Policy) -> datetime:
    stamps = [seen[row.member].stamp for row in intent.rows if row.member in seen]
    newest = max([_latest(stamp) for stamp in stamps if stamp is not None], default=intent.sent_at)
    return newest + timedelta(seconds=policy.order_lag_s)


def _patience_ends(intent: Intent, policy: Policy) -> datetime:
    """A product that sells all the time is frozen in the end, instead of showing a wrong stock for hours."""
    return dead_at(intent, policy) + ORDERS_PATIENCE * timedelta(seconds=policy.order_lag_s)


def _was(applied: bool) -> str:  # noqa: FBT001
    return "was" if applied else "was not"


def _assume(intent: Intent, moves: Mapping[MemberId, int] | None, policy: Policy) -> Verdict | None:
    """What the first read suggests. Not where orders moved a row and fit neither reading: they may be why."""
    first = intent.first_read
    if policy.on_unknown != "settle" or first is None or not first.all_at_after_value:
        return None
    if any((moves or {}).get(row.member, 0) for row in intent.rows):
        return None
    evidence = (
        f"assumed, because every level stood at its after-value at {clock(first.at)}, right after the send"
    )
    return Verdict(applied=True, how="assumed", evidence=evidence)


def _unchanged(row: IntentRow, seen: Seen | None, intent: Intent, policy: Policy) -> bool:
    """Value and stamp are those before the send, so the row was never written: all or nothing.

    Shopify's stamps are whole seconds. A level that changed in the very second of our read could be
    corrected and moved back under the same stamp, so such a row proves nothing. Its clock may be behind
    ours, so "the very second" is as wide as the skew, also under `settle`.
    """
    if seen is None or row.stamp is None or seen.available != row.from_quantity or seen.stamp != row.stamp:
        return False
    return renews_stamp(row, intent, skew_s=policy.clock_skew_s)


def renews_stamp(row: IntentRow, intent: Intent, *, skew_s: float) -> bool:
    """Whether applying the row must have given the level another stamp than it had when it was read."""
    if row.stamp is None:
        return False
    return bool(row.stamp.microsecond) or row.stamp + SECOND <= intent.opened_at - timedelta(seconds=skew_s)


def _latest(stamp: datetime) -> datetime:
    """The latest moment that a stamp of whole seconds may stand for."""
    return stamp if stamp.microsecond else stamp + SECOND


def _half_applied(
    intent: Intent, seen: Mapping[MemberId, Seen], moves: Mapping[MemberId, int] | None
) -> bool:
    return _fits(intent, seen, moves) == {True, False}


def _fits(
    intent: Intent, seen: Mapping[MemberId, Seen], moves: Mapping[MemberId, int] | None
) -> set[bool | None]:
    """Per row: True when orders explain its level only if applied, False only if not, None neither."""
    if moves is None:
        return set()
    return {_fit(row, seen.get(row.member), moves.get(row.member, 0)) for row in intent.rows}


def _fit(row: IntentRow, seen: Seen | None, moved: int) -> bool | None:
    if seen is None or seen.available is None:
        return None
    return {row.after + moved: True, row.from_quantity + moved: False}.get(seen.available)


# --- freezing -------------------------------------------------------------------------------------


def _freeze(draft: Draft, seen: Mapping[MemberId, Seen], code: FreezeCode, why: str) -> Step:
    levels = _levels(draft, seen)
    intent = open_intent(draft)
    told = tell_hypotheses(draft.pool, intent, levels)
    reason = (
        f"The answer to our correction of {clock(intent.sent_at)} was lost and {why}: {told}. "
        "Say which it was, or adopt the levels."
    )
    draft.write("frozen", code=code.value, reason=reason, levels=levels_to_json(levels))
    return rest_frozen(draft)


def _settle_frozen(
    draft: Draft, seen: Mapping[MemberId, Seen], read: Observation, policy: Policy
) -> Step | None:
    """While a correction is in doubt no movement is folded in; only a proof may end it, never a rule."""
    intent, frozen = open_intent(draft), draft.pool.frozen
    if frozen is not None and frozen.code is not FreezeCode.PARTIAL and draft.at >= dead_at(intent, policy):
        moves = _settled_moves(intent, seen, read, policy)
        verdict = _prove(intent, seen, moves, policy)
        if verdict is not None and not _half_applied(intent, seen, moves):
            close(draft, verdict)
            return None
    levels = _levels(draft, seen)
    if frozen is not None and frozen.levels != levels:
        draft.write("frozen_read", levels=levels_to_json(levels))
    return rest_frozen(draft)


def _levels(draft: Draft, seen: Mapping[MemberId, Seen]) -> dict[MemberId, int]:
    rows = {id: seen[id].available for id in draft.pool.members if id in seen}
    return {id: level for id, level in rows.items() if level is not None}


def _row_levels(intent: Intent, seen: Mapping[MemberId, Seen]) -> dict[MemberId, int]:
    rows = {row.member: seen[row.member].available for row in intent.rows if row.member in seen}
    return {id: level for id, level in rows.items() if level is not None}
