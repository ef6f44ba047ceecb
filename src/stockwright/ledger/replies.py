"""What an answer to a sent correction means. Reads no levels and decides no stock.

Once a request may have been executed, only "applied" closes a correction: a later "stale", "refused" or
"not sent" says nothing about it. "In progress" is such an answer: it speaks of another request with our key,
and sending once more could apply both (decision 0026).
"""

import uuid
from datetime import timedelta
from typing import assert_never

from stockwright.ledger.arithmetic import out_of_step
from stockwright.ledger.correction import correct, rest_frozen, rest_in_step, tell_rows
from stockwright.ledger.draft import Draft, clock, pause, short
from stockwright.ledger.membership import leave
from stockwright.ledger.settlement import Verdict, close, doubt, doubt_later, open_intent, renews_stamp
from stockwright.ledger.state import FreezeCode, MemberId, Outcome, Policy, PoolState, Reply, Seen, Step
from stockwright.ledger.wire import time_to_json

MOST_ATTEMPTS = 20
"""Answers "throttled" after which the correction is given up."""

PATIENCE = 4
"""Stale answers in a row that are read again at once; from then on with a growing pause."""


def hear(draft: Draft, reply: Reply, policy: Policy) -> Step:
    """One answer. Answers that were heard already, or to a correction closed long ago, change nothing."""
    intent = draft.pool.intent
    if intent is None or intent.key != reply.key:
        return _hear_late(draft, reply)
    if reply.outcome is Outcome.APPLIED:
        return _applied(draft, reply, policy)
    if intent.resend_at is not None:
        return resume(draft)
    if draft.pool.frozen is not None:
        return rest_frozen(draft)
    if intent.unknown_since is not None:
        return doubt(draft, policy, detail="")
    return _hear_open(draft, reply, policy)


def resume(draft: Draft) -> Step:
    """A correction that was told to wait: send it again when its pause is over."""
    intent = open_intent(draft)
    if intent.resend_at is None or draft.at >= intent.resend_at:
        draft.write("resent", key=intent.key)
        return draft.send(f"The pause is over: sending {tell_rows(intent.rows)} again with the same key.")
    return draft.rest(
        f"Waiting until {clock(intent.resend_at)} to send {tell_rows(intent.rows)} again.",
        wake_at=intent.resend_at,
    )


def _hear_open(draft: Draft, reply: Reply, policy: Policy) -> Step:
    match reply.outcome:
        case Outcome.THROTTLED:
            return _postpone(draft, reply)
        case Outcome.IN_PROGRESS:
            return doubt_later(draft, detail=f"in progress already {reply.detail}".strip())
        case Outcome.UNKNOWN | Outcome.APPLIED:
            return doubt(draft, policy, detail=reply.detail)
        case Outcome.PARTIAL:
            told = f"Shopify wrote only a part of the correction: {reply.detail}"
            return _freeze(draft, FreezeCode.PARTIAL, f"{told}. Count, then adopt the levels.")
        case (
            Outcome.STALE
            | Outcome.NOT_SENT
            | Outcome.PREVIOUS_FAILED
            | Outcome.REFUSED
            | Outcome.KEY_MISMATCH
        ):
            return _not_applied(draft, reply)
        case never:
            assert_never(never)


def _applied(draft: Draft, reply: Reply, policy: Policy) -> Step:
    evidence = "Shopify confirmed it" + (f" at {clock(reply.stamp_hint)}" if reply.stamp_hint else "")
    intent = open_intent(draft)
    overwritten = tuple(row for row in intent.rows if renews_stamp(row, intent, skew_s=policy.clock_skew_s))
    close(draft, Verdict(applied=True, how="confirmed", evidence=evidence), overwritten=overwritten)
    if draft.pool.frozen is not None:
        return rest_frozen(draft)
    if intent.attempts or intent.unknown_since is not None:
        return draft.read("Reads in the meantime were not counted: reading the levels again.")
    if not out_of_step(draft.pool):
        return rest_in_step(draft, policy)
    if draft.pool.raise_wait is not None:
        return draft.read("More levels are to be corrected under a rise that settles: reading them again.")
    seen, key = _as_believed(draft.pool), _next_key(intent.key)
    return correct(draft, seen, key=key, policy=policy, read_at=intent.opened_at)


def _as_believed(pool: PoolState) -> dict[MemberId, Seen]:
    """The levels as they were read for the first rows; each later row compares with it when it is written."""
    return {
        id: Seen(id=id, units=member.units, available=member.expected, stamp=member.stamp)
        for id, member in pool.members.items()
    }


def _next_key(key: str) -> str:
    """The key of a correction that follows at once. As unique as the random one that it is derived from."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


def _postpone(draft: Draft, reply: Reply) -> Step:
    """Throttled, so surely not executed: the same key again after a pause. Given up after too many."""
    intent = open_intent(draft)
    if intent.attempts + 1 >= MOST_ATTEMPTS:
        return _give_up(draft, why="throttled", detail=f"throttled {MOST_ATTEMPTS} times")
    resend_at = draft.at + max(pause(intent.attempts + 1), timedelta(seconds=reply.retry_after_s))
    draft.write(
        "postponed",
        key=intent.key,
        answer=reply.outcome.value,
        detail=reply.detail,
        resend_at=time_to_json(resend_at),
    )
    return resume(draft)


def _not_applied(draft: Draft, reply: Reply) -> Step:
    """The first and only request was surely not executed."""
    match reply.outcome:
        case Outcome.STALE:
            return _stale(draft, reply)
        case Outcome.REFUSED:
            return _refused(draft, reply)
        case Outcome.KEY_MISMATCH:
            _close(draft, why="key_mismatch", detail=reply.detail)
            return _freeze(
                draft, FreezeCode.KEY_MISMATCH, f"our key was used for something else: {reply.detail}"
            )
        case _:
            return _give_up(draft, why=reply.outcome.value, detail=reply.detail)


def _stale(draft: Draft, reply: Reply) -> Step:
    _close(draft, why="stale", detail=reply.detail)
    streak = draft.pool.stale_streak
    because = f"A level moved between our read and our write ({streak} times in a row); nothing was written."
    if streak <= PATIENCE:
        return draft.read(f"{because} Reading again.")
    return draft.rest(because, wake_at=draft.at + pause(streak - PATIENCE))


def _refused(draft: Draft, reply: Reply) -> Step:
    offenders = [id for id in sorted(set(reply.offenders)) if id in draft.pool.members]
    _close(draft, why="refused", detail=reply.detail)
    if not offenders:
        return _freeze(draft, FreezeCode.REFUSED, f"Shopify refused the correction: {reply.detail}")
    for id in offenders:
        leave(draft, id, why=f"Shopify refused to correct it: {reply.detail}", exclude=True)
    return draft.read(f"Shopify refused {', '.join(map(short, offenders))}: reading to correct the others.")


def _give_up(draft: Draft, *, why: str, detail: str) -> Step:
    """Nothing was executed. A failure alone is read again at once, failures in a row after a pause."""
    _close(draft, why=why, detail=detail)
    streak = draft.pool.failed_streak
    wake_at = draft.at + pause(streak)
    return draft.rest(f"Trying again at {clock(wake_at)} with a new read and key.", wake_at=wake_at)


def _close(draft: Draft, *, why: str, detail: str) -> None:
    close(draft, Verdict(applied=False, how=why, evidence=f"{why.replace('_', ' ')} {detail}".strip()))


def _freeze(draft: Draft, code: FreezeCode, reason: str) -> Step:
    draft.write("frozen", code=code.value, reason=reason, levels=[])
    return rest_frozen(draft)


def _hear_late(draft: Draft, reply: Reply) -> Step:
    """An answer to no open correction. "Applied" to one that was booked as not applied is a contradiction."""
    closed = draft.pool.closed
    contradicts = closed is not None and closed.key == reply.key and not closed.applied
    if reply.outcome is Outcome.APPLIED and contradicts and draft.pool.frozen is None:
        reason = (
            f"Shopify says that correction {reply.key} was applied, after it was booked as not applied. "
            "The shared stock may be off by it: count, then adopt the levels."
        )
        return _freeze(draft, FreezeCode.HISTORY_BEHIND, reason)
    return draft.rest(f"Ignored the answer {reply.outcome.value}: it belongs to no open correction.")
