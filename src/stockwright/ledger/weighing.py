"""Orders as a later witness: was a correction that was booked as applied by rule applied indeed?

`settle` assumes what the first look suggests (see `settlement`). It is wrong where outside moves changed every row to
its after-value. Orders that were not in their list yet show that later: the movements of the rows since the
correction was decided are then those booked plus the correction itself. Writes no stock: a person decides.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from stockwright.ledger.draft import Draft, clock, short
from stockwright.ledger.state import Assumption, LedgerError, MemberId, Policy, PoolState, Step
from stockwright.ledger.wire import time_to_json

PATIENCE = timedelta(hours=1)
"""For so long orders are asked about an assumption that they neither confirm nor contradict."""

Moves = Mapping[MemberId, int]


class Witness(StrEnum):
    """What orders say of an assumption."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNCLEAR = "unclear"  # as where staff edited a level, too


def due(pool: PoolState, at: datetime, policy: Policy) -> tuple[Assumption, ...]:
    """The assumptions that the list of orders can speak of at this moment: it holds all that moved their levels.

    None while a correction is in doubt or a rise settles: not every movement is booked then.
    """
    if pool.intent is not None or pool.raise_wait is not None:
        return ()
    lag = timedelta(seconds=policy.order_lag_s)
    return tuple(one for one in pool.assumptions if at >= max(one.at, _last_move(pool, one)) + lag)


def _last_move(pool: PoolState, one: Assumption) -> datetime:
    stamps = (pool.members[row.member].stamp for row in one.rows)
    return max((stamp for stamp in stamps if stamp is not None), default=one.at)


def witness(pool: PoolState, one: Assumption, moves: Moves | None) -> Witness:
    """Compare what orders moved since the correction was decided with what is booked. None: they cannot be read."""
    if moves is None:
        return Witness.UNCLEAR
    unbooked = [moves.get(row.member, 0) - _booked(pool, one)[row.member] for row in one.rows]
    if not any(unbooked):
        return Witness.CONFIRMED
    return Witness.CONTRADICTED if unbooked == [row.delta for row in one.rows] else Witness.UNCLEAR


def _booked(pool: PoolState, one: Assumption) -> dict[MemberId, int]:
    return {row.member: pool.members[row.member].external - row.external for row in one.rows}


def weigh(pool: PoolState, one: Assumption, moves: Moves | None, at: datetime) -> Step:
    """Journal what orders say; nothing yet while they are unclear and may still speak.

    LedgerError for an assumption that the pool does not hold.
    """
    if one not in pool.assumptions:
        raise LedgerError(f"pool {pool.pool_id} holds no assumption {one.key}")
    draft, found = Draft(pool, pool_id=pool.pool_id, at=at), witness(pool, one, moves)
    told = tell(pool, one, found)
    if found is Witness.UNCLEAR and at < one.at + PATIENCE:
        return draft.rest(told)
    draft.write("weighed", key=one.key, verdict=found.value, assumed_at=time_to_json(one.at), evidence=told)
    return draft.rest(told)


def stock_if_not_applied(pool: PoolState, one: Assumption) -> int:
    """The shared stock if the correction was never applied: what it wrote was sold by others besides."""
    return pool.stock + sum(pool.members[row.member].units * row.delta for row in one.rows)


def tell(pool: PoolState, one: Assumption, found: Witness) -> str:
    """The verdict with its numbers, for a person."""
    rows = ", ".join(f"{short(row.member)} by {row.delta:+d}" for row in one.rows)
    match found:
        case Witness.CONFIRMED:
            return f"they confirm that {rows} was applied"
        case Witness.UNCLEAR:
            return f"they neither confirm nor deny that {rows} was applied"
        case Witness.CONTRADICTED:
            stock = stock_if_not_applied(pool, one)
            return (
                f"they say that {rows}, assumed at {clock(one.at)} to be applied, was not: others moved these levels by "
                f"as much. The shared stock is {stock} then, and not {pool.stock}"
            )
