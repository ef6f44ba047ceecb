"""The protocol of shared stock: one input in, entries to store and the next act out. Pure.

The driver stores a step's entries, checked against the version, in one transaction and only then does
what `next` says. It asks `may_send` right before the request leaves, feeds the answer as a Reply, and
after a restart feeds any open intent as Reply(UNKNOWN) or simply the next Observation.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_never

from stockwright.ledger.arithmetic import out_of_step
from stockwright.ledger.correction import correct, rest_frozen, rest_in_step
from stockwright.ledger.draft import Draft, short
from stockwright.ledger.history import describe
from stockwright.ledger.hypotheses import Hypotheses, Hypothesis, hypotheses
from stockwright.ledger.membership import adopt, index, lagging, let_join, let_leave
from stockwright.ledger.people import resolve
from stockwright.ledger.raises import accept_movements, asks_for_refunds, due_at
from stockwright.ledger.replies import hear, resume
from stockwright.ledger.settlement import doubt, settle
from stockwright.ledger.state import (
    Input,
    MemberId,
    Observation,
    Policy,
    PoolState,
    Reply,
    Resolve,
    Seen,
    Step,
    Tick,
)

__all__ = [
    "Hypotheses",
    "Hypothesis",
    "asks_for_refunds",
    "describe",
    "hypotheses",
    "is_echo",
    "may_send",
    "step",
]


def step(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """What one input means. Same arguments, same answer. LedgerError on a defect, never on a shop's doing."""
    draft = Draft(state, pool_id=pool_id, at=input.at)
    match input:
        case Observation():
            return _observe(draft, input, policy)
        case Reply():
            return _hear(draft, input, policy)
        case Tick():
            return _tick(draft, policy)
        case Resolve():
            return resolve(draft, input, policy)
        case never:
            assert_never(never)


def is_echo(state: PoolState, member_id: MemberId, available: int | None) -> bool:
    """Whether a webhook tells nothing new: the level that we last saw or wrote, and nothing is pending.

    Ask when no intent is open; while one is, its own echo cannot be told from a sale.
    """
    member = state.members.get(member_id)
    pending = state.intent or state.frozen or state.raise_wait
    if member is None or available is None or pending:
        return False
    return member.expected == available and not out_of_step(state)


def may_send(state: PoolState, *, key: str, at: datetime, policy: Policy) -> bool:
    """Whether the open intent may leave now. A worker that paused must not send into a later settlement."""
    intent = state.intent
    if intent is None or intent.key != key or state.frozen is not None:
        return False
    if intent.unknown_since is not None or intent.resend_at is not None:
        return False
    return at - intent.sent_at <= timedelta(seconds=policy.dead_time_s / 4)


def _observe(draft: Draft, read: Observation, policy: Policy) -> Step:
    seen = index(read)
    if draft.state is None:
        return adopt(draft, read, policy) or _join_and_correct(draft, seen, read, policy)
    if draft.pool.intent is not None and draft.pool.intent.resend_at is not None:
        return resume(draft)
    late = lagging(draft, seen, policy)
    if late is not None:
        return draft.read(f"The read shows {short(late)} older than it was seen before: reading again.")
    if draft.pool.intent is not None:
        waiting = settle(draft, seen, read, policy)
        if waiting is not None:
            return waiting
    return _derive(draft, seen, read, policy)


def _derive(draft: Draft, seen: Mapping[MemberId, Seen], read: Observation, policy: Policy) -> Step:
    let_leave(draft, seen)
    accept_movements(draft, seen, policy, refunds=read.refunds)
    return _join_and_correct(draft, seen, read, policy)


def _join_and_correct(draft: Draft, seen: Mapping[MemberId, Seen], read: Observation, policy: Policy) -> Step:
    let_join(draft, seen)
    return correct(draft, seen, key=read.key, policy=policy)


def _hear(draft: Draft, reply: Reply, policy: Policy) -> Step:
    if draft.state is None:
        return draft.rest(f"Ignored the answer {reply.outcome.value}: the pool was never adopted.")
    return hear(draft, reply, policy)


def _tick(draft: Draft, policy: Policy) -> Step:
    if draft.state is None:
        return draft.read("Nothing is known of this pool yet: reading its levels.")
    if draft.pool.frozen is not None:
        return rest_frozen(draft)
    if draft.pool.intent is not None:
        return _tick_open(draft, policy)
    if out_of_step(draft.pool):
        return draft.read("A correction is still owed: reading the levels.")
    wait = draft.pool.raise_wait
    if wait is not None and draft.at >= due_at(wait, policy):
        return draft.read("The rise has settled: reading the levels.")
    return rest_in_step(draft, policy)


def _tick_open(draft: Draft, policy: Policy) -> Step:
    if draft.pool.intent is not None and draft.pool.intent.resend_at is not None:
        return resume(draft)
    return doubt(draft, policy, detail="no answer was recorded")
