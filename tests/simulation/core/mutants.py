"""Our own code with one rule broken, each in turn: the simulation must notice every one.

Driver rules are turned by `Habits`, protocol rules by changing what goes into or comes out of `step`.
No module is patched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stockwright.ledger import journal, protocol
from stockwright.ledger.state import (
    Entry,
    Input,
    Member,
    Next,
    Observation,
    Outcome,
    Policy,
    PoolState,
    Reply,
    Seen,
    Step,
)
from tests.simulation.core.driver import Habits, StepFunction
from tests.simulation.core.scenario import scenario_of
from tests.simulation.core.simulation import Simulation

KILLED_WITHIN = 1_000
KILLERS = ("oracle", "ledger")
"""Who must have noticed: a mutant whose code merely falls over shows nothing about our invariants."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One broken rule."""

    breaks: str
    habits: Habits = field(default_factory=Habits)
    step: StepFunction = protocol.step


@dataclass(frozen=True, kw_only=True)
class Kill:
    """The first seed that notices a mutant, and what it noticed. `seed` None: it survived."""

    name: str
    seed: int | None
    tried: int
    violation: str


# --- broken protocols ---------------------------------------------------------------------------


def _stale_is_success(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    return protocol.step(state, _as(input, Outcome.STALE, Outcome.APPLIED), policy, pool_id=pool_id)


def _success_is_ignored(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """Our own write is then met again in the next read, as if it were a movement by others."""
    return protocol.step(state, _as(input, Outcome.APPLIED, Outcome.STALE), policy, pool_id=pool_id)


def _as(input: Input, heard: Outcome, taken: Outcome) -> Input:
    if isinstance(input, Reply) and input.outcome is heard:
        return replace(input, outcome=taken)
    return input


def _unknown_is_failure(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    return _closing_doubt(
        state, _as(input, Outcome.UNKNOWN, Outcome.NOT_SENT), policy, pool_id, Outcome.NOT_SENT
    )


def _goal_means_applied(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """An open correction counts as applied when every row stands at its after-value, else as not."""
    intent = state.intent if state else None
    if not isinstance(input, Observation) or intent is None:
        return protocol.step(state, input, policy, pool_id=pool_id)
    levels = {seen.id: seen.available for seen in input.seen}
    arrived = all(levels.get(row.member) == row.after for row in intent.rows)
    verdict = Outcome.APPLIED if arrived else Outcome.NOT_SENT
    return _closing_doubt(state, input, policy, pool_id, verdict)


def _closing_doubt(
    state: PoolState | None, input: Input, policy: Policy, pool_id: str, verdict: Outcome
) -> Step:
    """Answer an open correction without proof before a read is looked at."""
    intent = state.intent if state else None
    if state is None or intent is None or not isinstance(input, Observation) or intent.resend_at is not None:
        return protocol.step(state, input, policy, pool_id=pool_id)
    answer = Reply(at=input.at, key=intent.key, outcome=verdict)
    known = replace(state, intent=replace(intent, unknown_since=None))
    closed = protocol.step(known, answer, policy, pool_id=pool_id)
    return _after(closed, protocol.step(closed.state, input, policy, pool_id=pool_id))


def _after(first: Step, second: Step) -> Step:
    return replace(second, entries=(*first.entries, *second.entries))


def _joining_is_a_delta(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """A newcomer is first met at 0, so that what it holds looks like a movement."""
    if state is None or not isinstance(input, Observation):
        return protocol.step(state, input, policy, pool_id=pool_id)
    met = tuple(_at_zero(state, seen) for seen in input.seen)
    return protocol.step(state, replace(input, seen=met), policy, pool_id=pool_id)


def _at_zero(state: PoolState, seen: Seen) -> Seen:
    is_new = seen.id not in state.members and seen.available is not None and not seen.why_not
    return replace(seen, available=0) if is_new else seen


def _tombstone_dropped(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """What a level moved while it was a member is forgotten just before it leaves."""
    if state is None or state.intent is not None or not isinstance(input, Observation):
        return protocol.step(state, input, policy, pool_id=pool_id)
    shown = {seen.id for seen in input.seen if seen.available is not None and not seen.why_not}
    leavers = [member for id, member in state.members.items() if id not in shown and member.external]
    first = Step(state=state, entries=(), next=Next.READ, because="")
    for member in leavers:
        first = _forget(first, member, input)
    return _after(first, protocol.step(first.state, input, policy, pool_id=pool_id))


def _forget(step: Step, member: Member, input: Observation) -> Step:
    assert step.state is not None
    stock = step.state.stock - member.units * member.external
    back = {
        "member": [member.id.item_id, member.id.location_id],
        "from": member.expected,
        "to": member.expected - member.external,
        "stamp": None,
    }
    entry = Entry(kind="observed", at=input.at, data={"moves": [back], "surplus": 0, "stock": stock})
    return replace(step, state=journal.apply(step.state, entry), entries=(*step.entries, entry))


def _dead_time_skipped(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    return protocol.step(state, input, replace(policy, dead_time_s=0.0), pool_id=pool_id)


def _any_first_read(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    return protocol.step(state, input, replace(policy, settle_window_s=1e6), pool_id=pool_id)


def _assumes_when_certain(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    return protocol.step(state, input, replace(policy, on_unknown="settle"), pool_id=pool_id)


def _stamps_ignored(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """A value that came back counts as unchanged: every level seems to bear the stamp that we know."""
    intent = state.intent if state else None
    if not isinstance(input, Observation) or intent is None:
        return protocol.step(state, input, policy, pool_id=pool_id)
    known = {row.member: row.stamp for row in intent.rows}
    seen = tuple(replace(row, stamp=known.get(row.id, row.stamp)) for row in input.seen)
    return protocol.step(state, replace(input, seen=seen), policy, pool_id=pool_id)


def _in_progress_resent(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """What is in progress is sent again with its key, as if it had only been throttled."""
    if isinstance(input, Reply) and input.outcome is Outcome.IN_PROGRESS:
        input = replace(input, outcome=Outcome.THROTTLED)
    return protocol.step(state, input, policy, pool_id=pool_id)


def _derives_with_open_intent(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """A sale is passed on while our own correction is still open: the two cannot be told apart."""
    return _closing_doubt(state, input, policy, pool_id, Outcome.STALE)


def _journal_forgets(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """Entries that seem to change nothing are not written."""
    step = protocol.step(state, input, policy, pool_id=pool_id)
    kept = tuple(entry for entry in step.entries if entry.kind != "stamped")
    return replace(step, entries=kept)


def _rises_forgotten(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
    """Nobody comes back when a rise has settled, and no reconcile looks at it."""
    step = protocol.step(state, input, policy, pool_id=pool_id)
    waits = step.state is not None and step.state.raise_wait is not None
    return replace(step, wake_at=None, next=Next.REST) if waits and step.next is not Next.SEND else step


MUTANTS: Mapping[str, Mutant] = {
    "no-intent-row": Mutant(
        breaks="the intent is stored together with its answer, not before the send",
        habits=Habits(stores_before_sending=False),
    ),
    "key-renewed-on-retry": Mutant(
        breaks="an unknown outcome is retried at once with a fresh key",
        habits=Habits(renews_key_when_unknown=True),
    ),
    "key-reused": Mutant(breaks="every correction has the same key", habits=Habits(one_key_for_all=True)),
    "recorded-before-sent": Mutant(
        breaks="the outcome is booked as applied before the request leaves",
        habits=Habits(records_before_sending=True),
    ),
    "dedupe-by-merchant-event": Mutant(
        breaks="a second delivery of one merchant's act is dropped", habits=Habits(dedupes_by_event=True)
    ),
    "payload-trusted": Mutant(
        breaks="the level in the webhook counts more than the one read", habits=Habits(trusts_payload=True)
    ),
    "no-cas": Mutant(
        breaks="levels are set, and nothing is compared", habits=Habits(moves_and_compares=False)
    ),
    "lease-without-fencing": Mutant(
        breaks="steps are stored whatever the version is", habits=Habits(fenced=False)
    ),
    "late-send": Mutant(
        breaks="a worker that slept sends an old intent", habits=Habits(asks_before_sending=False)
    ),
    "location-ignored": Mutant(
        breaks="every pool reads the first location", habits=Habits(ignores_location=True)
    ),
    "stale-taken-as-success": Mutant(breaks="a refused comparison counts as applied", step=_stale_is_success),
    "echo-as-sale": Mutant(breaks="our own write counts as a movement by others", step=_success_is_ignored),
    "unknown-as-failed": Mutant(breaks="a lost answer counts as not applied", step=_unknown_is_failure),
    "goal-means-applied": Mutant(
        breaks="levels at their after-values prove that we wrote them", step=_goal_means_applied
    ),
    "joining-as-delta": Mutant(breaks="a newcomer's level is added to the stock", step=_joining_is_a_delta),
    "tombstone-dropped": Mutant(breaks="what a leaver moved goes with it", step=_tombstone_dropped),
    "dead-time-skipped": Mutant(
        breaks="an unchanged row proves at once that nothing was applied", step=_dead_time_skipped
    ),
    "first-read-any-time": Mutant(
        breaks="a first read long after the send may be assumed upon", step=_any_first_read
    ),
    "assumes-when-certain": Mutant(breaks="`certain` assumes like `settle`", step=_assumes_when_certain),
    "stamps-ignored": Mutant(breaks="a value that came back counts as unchanged", step=_stamps_ignored),
    "in-progress-resent": Mutant(
        breaks="what is in progress is sent again with its key", step=_in_progress_resent
    ),
    "derives-with-open-intent": Mutant(
        breaks="stock is derived while a correction is open", step=_derives_with_open_intent
    ),
    "journal-forgets": Mutant(breaks="some entries are not journaled", step=_journal_forgets),
    "rises-forgotten": Mutant(breaks="nobody wakes when a rise has settled", step=_rises_forgotten),
}


def hunt(name: str, *, seeds: range = range(KILLED_WITHIN)) -> Kill:
    """Run a mutant until an invariant or an identity of the ledger notices it. To fall over is not enough."""
    mutant = MUTANTS[name]
    for tried, seed in enumerate(seeds, 1):
        result = Simulation(scenario_of(seed), step=mutant.step, habits=mutant.habits).run()
        if result.caught_by in KILLERS:
            violation = result.failure.strip().splitlines()[-1]
            return Kill(name=name, seed=seed, tried=tried, violation=violation)
    return Kill(name=name, seed=None, tried=len(seeds), violation="")
