"""Journal entries as sentences for people: what happened, to which level, with numbers.

Only words: nothing here changes or judges a state.
"""

from collections.abc import Callable, Mapping

from stockwright.ledger.draft import clock, short
from stockwright.ledger.state import Entry, LedgerError, MemberId
from stockwright.ledger.wire import Fields

Names = Callable[[MemberId], str]


def describe(entry: Entry, titles: Mapping[MemberId, str]) -> str:
    """One line of history. Levels without a title are named by the number of their item."""
    tell = _SENTENCES.get(entry.kind)
    if tell is None:
        raise LedgerError(f"{entry.kind!r} is not a kind of journal entry")
    return tell(Fields(entry.data), lambda id: titles.get(id) or short(id))


def _adopted(data: Fields, name: Names) -> str:
    levels = ", ".join(f"{name(row.member('member'))} at {row.int('level')}" for row in data.rows("members"))
    by = f" by {data.text('by')}" if data.text("by") else ""
    return f"adopted{by} with a shared stock of {data.int('stock')} ({data.text('how')}): {levels}"


def _observed(data: Fields, name: Names) -> str:
    moves = "; ".join(_move(row, name) for row in data.rows("moves"))
    surplus = data.int("surplus")
    once = f" (all rose together: {surplus} of it counted only once)" if surplus else ""
    once = " (all rose together; refunds explain it)" if data.holds("refunded") else once
    return f"{moves}{once}; the stock is {data.int('stock')}"


def _move(row: Fields, name: Names) -> str:
    before, after = row.int("from"), row.int("to")
    cause = "sale or edit" if after < before else "restock, refund or edit"
    return f"{cause} of {after - before:+d} on {name(row.member('member'))}: {before} -> {after}"


def _stamped(data: Fields, name: Names) -> str:
    return "unmoved with a newer stamp: " + ", ".join(
        name(row.member("member")) for row in data.rows("stamps")
    )


def _joined(data: Fields, name: Names) -> str:
    return f"{name(data.member('member'))} joined with {data.int('level')}, not added to the stock"


def _left(data: Fields, name: Names) -> str:
    until = data.optional_time("excluded_until")
    out = f"; it may join again after {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return f"{name(data.member('member'))} left: {data.text('why')}{out}"


def _raise_seen(data: Fields, name: Names) -> str:
    rows = data.rows("levels")
    return "rise seen, settling: " + ", ".join(
        f"{name(row.member('member'))} now {row.int('level')}" for row in rows
    )


def _raise_cleared(data: Fields, _name: Names) -> str:
    return "the rise was accepted" if data.bool("accepted") else "the rise went away before it was accepted"


def _intent_opened(data: Fields, name: Names) -> str:
    return f"correcting {_corrections(data, name)}"


def _corrections(data: Fields, name: Names) -> str:
    return ", ".join(
        f"{name(row.member('member'))} {row.int('from')} -> {row.int('from') + row.int('delta')}"
        for row in data.rows("rows")
    )


def _outcome_unknown(data: Fields, _name: Names) -> str:
    return f"no clear answer to the correction: {data.text('detail') or 'none arrived'}"


def _first_read(data: Fields, name: Names) -> str:
    levels = ", ".join(f"{name(row.member('member'))} at {row.int('level')}" for row in data.rows("levels"))
    found = "as if applied" if data.bool("all_at_after_value") else "which proves nothing yet"
    return f"read at once after the lost answer: {levels or 'no level'}, {found}"


def _postponed(data: Fields, _name: Names) -> str:
    answer = data.text("answer").replace("_", " ")
    return f"Shopify said {answer}; sending again after {clock(data.time('resend_at'))}"


def _resent(_data: Fields, _name: Names) -> str:
    return "sent again with the same key"


def _intent_applied(data: Fields, name: Names) -> str:
    corrected = "; ".join(
        f"{name(row.member('member'))} corrected {row.int('from')} -> {row.int('from') + row.int('delta')}"
        for row in data.rows("rows")
    )
    return f"{corrected} ({data.text('evidence')})"


def _intent_not_applied(data: Fields, _name: Names) -> str:
    return f"the correction was not applied: {data.text('detail')}"


def _frozen(data: Fields, _name: Names) -> str:
    return f"frozen: {data.text('reason')}"


def _frozen_read(data: Fields, name: Names) -> str:
    rows = data.rows("levels")
    levels = ", ".join(f"{name(row.member('member'))} at {row.int('level')}" for row in rows)
    return f"read while frozen: {levels or 'no level'}"


def _unfrozen(data: Fields, _name: Names) -> str:
    return f"the freeze ended: {data.text('why')}"


def _resolved(data: Fields, _name: Names) -> str:
    return f"{data.text('by')} decided: {data.text('resolution').replace('_', ' ')}"


def _reviewed(data: Fields, _name: Names) -> str:
    return f"{data.text('by')} reviewed {data.int('outcomes')} assumed outcomes"


def _weighed(data: Fields, _name: Names) -> str:
    at = clock(data.time("assumed_at"))
    return f"the outcome assumed at {at} was compared with orders: {data.text('evidence')}"


def _dissolved(data: Fields, _name: Names) -> str:
    return f"dissolved, its levels are free: {data.text('why')}"


def _checkpoint(data: Fields, _name: Names) -> str:
    state = data.optional("state")
    return f"checkpoint with a shared stock of {state.int('s0')}" if state else "checkpoint"


_SENTENCES: Mapping[str, Callable[[Fields, Names], str]] = {
    "adopted": _adopted,
    "checkpoint": _checkpoint,
    "observed": _observed,
    "stamped": _stamped,
    "joined": _joined,
    "left": _left,
    "raise_seen": _raise_seen,
    "raise_cleared": _raise_cleared,
    "intent_opened": _intent_opened,
    "outcome_unknown": _outcome_unknown,
    "first_read": _first_read,
    "postponed": _postponed,
    "resent": _resent,
    "intent_applied": _intent_applied,
    "intent_not_applied": _intent_not_applied,
    "frozen": _frozen,
    "frozen_read": _frozen_read,
    "unfrozen": _unfrozen,
    "resolved": _resolved,
    "reviewed": _reviewed,
    "weighed": _weighed,
    "dissolved": _dissolved,
}
