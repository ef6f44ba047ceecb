"""Opening a correction, or saying why none is needed. The last act of every step that may write.

Nothing here reads the outcome of a correction; see `replies` and `settlement`.
"""

from collections.abc import Mapping
from datetime import datetime

from stockwright.ledger.arithmetic import correction_rows, out_of_step
from stockwright.ledger.draft import Draft, clock, short
from stockwright.ledger.raises import due_at
from stockwright.ledger.state import IntentRow, MemberId, Policy, PoolState, Seen, Step
from stockwright.ledger.wire import rows_to_json, time_to_json

SHOWN_ROWS = 5
"""Rows named in a sentence; the rest are counted."""


def correct(
    draft: Draft,
    seen: Mapping[MemberId, Seen],
    *,
    key: str,
    policy: Policy,
    read_at: datetime | None = None,
) -> Step:
    """Open one correction for the levels that are off, or rest. Every member must stand in `seen`.

    `read_at`: when `seen` was read, if that was not now.
    """
    if draft.pool.frozen is not None:
        return rest_frozen(draft)
    rows = correction_rows(draft.pool, seen, limit=policy.rows_per_intent)
    if not rows:
        return rest_in_step(draft, policy)
    earlier = {} if read_at is None else {"read_at": time_to_json(read_at)}
    draft.write("intent_opened", key=key, rows=rows_to_json(rows), **earlier)
    more = len(out_of_step(draft.pool)) - len(rows)
    later = f" ({more} more follow)" if more else ""
    return draft.send(f"Stock is {draft.pool.stock}: correcting {tell_rows(rows)}{later}.")


def rest_in_step(draft: Draft, policy: Policy) -> Step:
    """Nothing to write; wakes when rises that settle are due."""
    pool = draft.pool
    shown = f"The shared stock is {pool.stock}; {_tell_levels(len(pool.members))}."
    if pool.raise_wait is None:
        return draft.rest(shown)
    wake_at = due_at(pool.raise_wait, policy)
    return draft.rest(tell_wait(pool, wake_at=clock(wake_at)), wake_at=wake_at)


def _tell_levels(levels: int) -> str:
    match levels:
        case 0:
            return "no level is left to show it"
        case 1:
            return "its only level shows it"
        case _:
            return f"all {levels} levels show it"


def rest_frozen(draft: Draft) -> Step:
    """Nothing is written until a person, or a proof, ends the freeze."""
    frozen = draft.pool.frozen
    return draft.rest(f"Frozen, nothing is written: {frozen.reason if frozen else ''}")


def tell_rows(rows: tuple[IntentRow, ...]) -> str:
    """ "item 1 10 -> 9, item 2 10 -> 9"."""
    told = [f"{short(row.member)} {row.from_quantity} -> {row.after}" for row in rows[:SHOWN_ROWS]]
    if len(rows) > SHOWN_ROWS:
        told.append(f"{len(rows) - SHOWN_ROWS} more")
    return ", ".join(told)


def tell_wait(pool: PoolState, *, wake_at: str) -> str:
    risen = pool.raise_wait.levels if pool.raise_wait else {}
    told = ", ".join(f"{short(id)} {pool.members[id].expected} -> {risen[id]}" for id in sorted(risen))
    return f"The shared stock is {pool.stock}; a rise settles until {wake_at} before it counts: {told}."
