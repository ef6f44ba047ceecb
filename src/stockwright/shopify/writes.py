"""The one way we change stock: deltas, each with a compare-and-set value, under an idempotency key.

A write is sent once. Its answer becomes one of ten outcomes; whatever is not surely "applied", surely
"not executed" or told to be half done is "unknown", and settling that is the caller's rule, not ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stockwright.model import ItemGid, JsonObject, LocationGid
from stockwright.shopify.calls import Caller, MayLeave, at_any_time
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.wire import Node

MAX_ROWS = 250
MAX_DELTA = 2_000_000_000
_ROOT = "inventoryAdjustQuantities"


class WriteOutcome(StrEnum):
    """What the answer to a write says."""

    APPLIED = "applied"
    STALE = "stale"  # a compare-and-set value no longer held: nothing was written
    NOT_SENT = "not_sent"  # surely not executed; `problem` says why
    THROTTLED = "throttled"  # not executed; same key after the wait
    IN_PROGRESS = "in_progress"  # the same key is being executed: what becomes of that is not known
    KEY_MISMATCH = "key_mismatch"  # the key was used with other rows: our fault
    PREVIOUS_FAILED = "previous_failed"  # read again, new key
    REFUSED = "refused"  # nothing was written; `offending_rows` may name the rows
    PARTIAL = "partial"  # some rows were written and others refused, against what Shopify documents
    UNKNOWN = "unknown"  # applied or not: this answer does not tell


@dataclass(frozen=True, kw_only=True)
class AdjustRow:
    """Add `delta` (never 0) to the available quantity of an item at a location if it still is `change_from`."""

    item_id: ItemGid
    location_id: LocationGid
    delta: int
    change_from: int


@dataclass(frozen=True, kw_only=True)
class AdjustReply:
    """The outcome of one write."""

    outcome: WriteOutcome
    detail: str  # code and message as Shopify sent them
    offending_rows: tuple[int, ...] = ()  # indices into the rows sent, when a refusal named them
    retry_after_s: float | None = None
    applied_at: datetime | None = None  # Shopify's clock
    problem: ShopifyError | None = None  # why it was not sent: lets the caller pause a shop that is locked


_IDEMPOTENCY = {
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH": WriteOutcome.KEY_MISMATCH,
    "IDEMPOTENCY_CONCURRENT_REQUEST": WriteOutcome.IN_PROGRESS,
    "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED": WriteOutcome.PREVIOUS_FAILED,
}
_STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
_REFUSED = frozenset(
    {
        "INTERNAL_LEDGER_DOCUMENT",
        "INVALID_AVAILABLE_DOCUMENT",
        "INVALID_INVENTORY_ITEM",
        "INVALID_LEDGER_DOCUMENT",
        "INVALID_LOCATION",
        "INVALID_QUANTITY_DOCUMENT",
        "INVALID_QUANTITY_NAME",
        "INVALID_QUANTITY_TOO_HIGH",
        "INVALID_QUANTITY_TOO_LOW",
        "INVALID_REASON",
        "INVALID_REFERENCE_DOCUMENT",
        "MAX_ONE_LEDGER_DOCUMENT",
        "NON_MUTABLE_INVENTORY_ITEM",
    }
)


async def adjust(
    caller: Caller,
    *,
    key: str,
    rows: Sequence[AdjustRow],
    reference_uri: str,
    reason: str = "correction",
    may_leave: MayLeave = at_any_time,
) -> AdjustReply:
    """Send one adjustment, once, if it still `may_leave` after its waits. Never raises for what the wire does.

    Raises:
        ValueError: rows that must never be sent: none, over 250, a zero or huge delta, a pair twice.
    """
    variables = {"input": _input(rows, reference_uri, reason), "key": _checked_key(key)}
    try:
        data = await caller.write("adjust_quantities", variables, may_leave=may_leave)
        return _reply(data.optional_child(_ROOT))
    except ShopifyError as error:
        return _failed(error)


def _input(rows: Sequence[AdjustRow], reference_uri: str, reason: str) -> JsonObject:
    _check(rows)
    return {
        "reason": reason,
        "name": "available",
        "referenceDocumentUri": reference_uri,
        "changes": [
            {
                "delta": row.delta,
                "inventoryItemId": row.item_id,
                "locationId": row.location_id,
                "changeFromQuantity": row.change_from,
            }
            for row in rows
        ],
    }


def _check(rows: Sequence[AdjustRow]) -> None:
    if not 1 <= len(rows) <= MAX_ROWS:
        raise ValueError(f"an adjustment has 1 to {MAX_ROWS} rows, not {len(rows)}")
    if len({(row.item_id, row.location_id) for row in rows}) != len(rows):
        raise ValueError("an adjustment names a level twice")
    for row in rows:
        if not isinstance(row.delta, int) or row.delta == 0 or abs(row.delta) > MAX_DELTA:
            raise ValueError(f"the delta {row.delta!r} cannot be sent")
        if not isinstance(row.change_from, int):
            raise ValueError("a row without the value that it changes from would be applied blindly")


def _checked_key(key: str) -> str:
    if not key.strip():
        raise ValueError("the idempotency key is blank")
    return key


def _failed(error: ShopifyError) -> AdjustReply:
    if error.may_have_run:
        outcome = WriteOutcome.UNKNOWN
    elif error.code is ErrorCode.THROTTLED:
        outcome = WriteOutcome.THROTTLED
    elif error.code in (ErrorCode.INVALID_REQUEST, ErrorCode.TOO_COSTLY):
        outcome = WriteOutcome.REFUSED
    else:
        outcome = WriteOutcome.NOT_SENT
    return AdjustReply(outcome=outcome, detail=str(error), retry_after_s=error.retry_after_s, problem=error)


def _reply(payload: Node | None) -> AdjustReply:
    if payload is None:
        return AdjustReply(outcome=WriteOutcome.UNKNOWN, detail="the answer has neither result nor errors")
    errors = payload.children("userErrors")
    group = payload.optional_child("inventoryAdjustmentGroup")
    if group is None and errors:
        return _user_errors(errors)
    if group is None:
        # Documented for rows that change nothing only, and such rows are never sent.
        return AdjustReply(outcome=WriteOutcome.UNKNOWN, detail="no adjustment group and no errors")
    if errors:
        detail = "an adjustment group together with errors: " + _detail(errors)
        return AdjustReply(outcome=WriteOutcome.PARTIAL, detail=detail)
    applied_at = group.moment("createdAt") if group.has("createdAt") else None
    return AdjustReply(outcome=WriteOutcome.APPLIED, detail=group.text("id"), applied_at=applied_at)


def _user_errors(errors: Sequence[Node]) -> AdjustReply:
    """Several codes at once: the most cautious reading that is true of all of them.

    An unlisted or transient code may hide an applied write. "Stale" beside a refusal is told as stale:
    nothing was written either way, and the read that follows shows what became of the refused level.
    """
    codes = [error.optional_text("code") or "" for error in errors]
    detail = _detail(errors)
    special = [_IDEMPOTENCY[code] for code in codes if code in _IDEMPOTENCY]
    if not all(code in _IDEMPOTENCY or code in _STALE or code in _REFUSED for code in codes):
        return AdjustReply(outcome=WriteOutcome.UNKNOWN, detail=detail)
    if special:
        return AdjustReply(outcome=_gravest(special), detail=detail)
    if any(code in _STALE for code in codes):
        return AdjustReply(outcome=WriteOutcome.STALE, detail=detail)
    return AdjustReply(outcome=WriteOutcome.REFUSED, detail=detail, offending_rows=_rows(errors))


def _gravest(outcomes: Sequence[WriteOutcome]) -> WriteOutcome:
    order = list(_IDEMPOTENCY.values())
    return min(outcomes, key=order.index)


def _rows(errors: Sequence[Node]) -> tuple[int, ...]:
    found = set()
    for error in errors:
        path = error.values("field") if error.has("field") else []
        if len(path) >= 3 and path[:2] == ["input", "changes"] and str(path[2]).isdecimal():
            found.add(int(path[2]))
    return tuple(sorted(found))


def _detail(errors: Sequence[Node]) -> str:
    shown = [
        f"{error.optional_text('code') or 'no code'}: {error.text('message')[:300]}" for error in errors[:5]
    ]
    more = f" (and {len(errors) - 5} more)" if len(errors) > 5 else ""
    return "; ".join(shown) + more
