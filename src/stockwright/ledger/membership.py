"""Who belongs to a pool: adoption of the first read, joining, leaving, and refused levels kept out.

A joining level brings no stock along and a leaving one takes none away: what it moved while it was a
member stays in `t`. A pool may shrink to one or no member and keeps its stock; whoever joins is corrected.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import assert_never

from stockwright.ledger.arithmetic import common_stock
from stockwright.ledger.draft import Draft, short
from stockwright.ledger.raises import level_of
from stockwright.ledger.state import (
    LedgerError,
    Member,
    MemberId,
    Next,
    Observation,
    Policy,
    PoolState,
    Seen,
    Step,
)
from stockwright.ledger.wire import Json, member_id_to_json, optional_time_to_json, time_to_json

EXCLUSION = timedelta(days=1)
"""How long a level that Shopify refused to correct stays out, unless a person resolves the pool before."""


def index(observation: Observation) -> dict[MemberId, Seen]:
    """The read by level. LedgerError when it shows one level twice and differently."""
    seen: dict[MemberId, Seen] = {}
    for row in observation.seen:
        if seen.setdefault(row.id, row) != row:
            raise LedgerError(f"one read shows {row.id} both as {seen[row.id]} and as {row}")
    return seen


def eligible(seen: Seen) -> bool:
    """Whether the level can be a member: it has a quantity and nothing speaks against it."""
    return seen.available is not None and not seen.why_not


def lagging(draft: Draft, seen: Mapping[MemberId, Seen], policy: Policy) -> MemberId | None:
    """A member whose row is older than what we know: the read came from a copy that lags."""
    members = draft.pool.members
    late = (id for id in sorted(members) if id in seen and _lags(members[id], seen[id], draft.at, policy))
    return next(late, None)


def _lags(member: Member, seen: Seen, at: datetime, policy: Policy) -> bool:
    """Older than an accepted stamp, or still the stamp that our confirmed correction has replaced.

    The second is believed for the dead time only: a shop that does not renew stamps must not stop us.
    """
    if seen.stamp is None:
        return False
    if member.stamp is not None and seen.stamp < member.stamp:
        return True
    if member.overwrote is None or member.wrote_at is None or seen.stamp > member.overwrote:
        return False
    return at < member.wrote_at + timedelta(seconds=policy.dead_time_s)


# --- adoption -----------------------------------------------------------------------------------


def adopt(draft: Draft, observation: Observation, policy: Policy) -> Step | None:
    """Start the ledger from the first read. None when it was adopted, else why it was not."""
    rows = _candidates(observation)
    if not rows:
        return draft.rest(
            f"None of {len(observation.seen)} levels can share a stock yet: {_reasons(observation)}"
        )
    stock = _shown_by(rows)
    how = "equal"
    if stock is None:
        stock, how = _choose(rows, observation, policy), policy.unequal_at_start
    if stock is None:
        return draft.step(Next.REST, _tell_unequal(rows, policy), unequal=rows)
    write_adopted(draft, rows, stock=stock, how=how, by="")
    draft.note(f"Adopted {len(rows)} levels with a shared stock of {stock} ({how}).")
    return None


def write_adopted(draft: Draft, rows: tuple[Seen, ...], *, stock: int, how: str, by: str) -> None:
    """`by` is the person who decided, empty when a rule did."""
    members: list[Json] = [
        {
            "member": member_id_to_json(row.id),
            "units": row.units,
            "level": level_of(row),
            "stamp": optional_time_to_json(row.stamp),
        }
        for row in rows
    ]
    draft.write("adopted", pool_id=draft.pool_id, stock=stock, how=how, by=by, members=members)


def _candidates(observation: Observation) -> tuple[Seen, ...]:
    return tuple(row for _, row in sorted(index(observation).items()) if eligible(row))


def _shown_by(rows: Iterable[Seen]) -> int | None:
    return common_stock((level_of(row), row.units) for row in rows)


def _choose(rows: tuple[Seen, ...], observation: Observation, policy: Policy) -> int | None:
    match policy.unequal_at_start:
        case "report":
            return None
        case "take_changed":
            return _shown_by(row for row in rows if row.id in observation.changed)
        case "take_lowest":
            return min(row.units * level_of(row) for row in rows)
        case "take_highest":
            return max(row.units * level_of(row) for row in rows)
        case never:
            assert_never(never)


def tell_levels(rows: Iterable[Seen]) -> str:
    """ "item 1 at 10, item 2 at 9"."""
    return ", ".join(f"{short(row.id)} at {row.available}" for row in rows)


def _tell_unequal(rows: tuple[Seen, ...], policy: Policy) -> str:
    why = {
        "take_changed": "it is not known which level changed, or several changed and differ",
    }.get(policy.unequal_at_start, "nothing is written until they are made equal")
    return f"The levels differ at the start, {why}: {tell_levels(rows)}."


def _reasons(observation: Observation) -> str:
    told = [f"{short(row.id)} {row.why_not or 'has no level'}" for row in observation.seen]
    return ", ".join(told) + "." if told else "the read shows none."


def dissolve(state: PoolState, at: datetime, *, why: str) -> Step:
    """The end of a pool: its levels are free. The driver decides when; see decision 0003."""
    draft = Draft(state, pool_id=state.pool_id, at=at)
    draft.write("dissolved", why=why)
    return draft.rest(f"Dissolved: {why}.")


# --- leaving and joining --------------------------------------------------------------------------


def let_leave(draft: Draft, seen: Mapping[MemberId, Seen]) -> None:
    """Members that the read does not show as members any more leave; also on a change of pack size."""
    for member in sorted(draft.pool.members.values(), key=lambda m: m.id):
        why = _why_leaving(member, seen.get(member.id))
        if why:
            leave(draft, member.id, why=why)


def _why_leaving(member: Member, seen: Seen | None) -> str:
    if seen is None:
        return "it is no longer in scope"
    if not eligible(seen):
        return seen.why_not or "it has no level"
    if seen.units != member.units:
        return f"its pack size changed from {member.units} to {seen.units}"
    return ""


def leave(draft: Draft, id: MemberId, *, why: str, exclude: bool = False) -> None:
    """`exclude`: it may not join again for a day, because Shopify refuses to correct it."""
    until = time_to_json(draft.at + EXCLUSION) if exclude else None
    draft.write("left", member=member_id_to_json(id), why=why, excluded_until=until, stock=draft.pool.stock)
    draft.note(f"{short(id)} left: {why}.")


def let_join(draft: Draft, seen: Mapping[MemberId, Seen]) -> None:
    """Levels new in scope join as they are. While a rise settles they wait: it may be one bulk edit."""
    if draft.pool.raise_wait is not None:
        return
    for id, row in sorted(seen.items()):
        if id not in draft.pool.members and eligible(row) and not _kept_out(draft, id):
            _join(draft, row)


def _kept_out(draft: Draft, id: MemberId) -> bool:
    exclusion = draft.pool.excluded.get(id)
    return exclusion is not None and draft.at < exclusion.until


def _join(draft: Draft, row: Seen) -> None:
    draft.write(
        "joined",
        member=member_id_to_json(row.id),
        units=row.units,
        level=level_of(row),
        stamp=optional_time_to_json(row.stamp),
        stock=draft.pool.stock,
    )
    draft.note(f"{short(row.id)} joined with {row.available}, which is not added to the stock.")
