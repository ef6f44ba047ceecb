"""The rules of stock: moving quantities, adjusting and setting them with compare-and-set.

Each rule is the one of reference section "Writing inventory"; no GraphQL and no idempotency here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Literal

from shopify_emulator.catalogue import connect
from shopify_emulator.model import AdjustmentGroup, Cause, Change, Gid, Item, Level, Location, Movement
from shopify_emulator.state import State

ADJUSTABLE = ("available", "damaged", "incoming", "quality_control", "reserved", "safety_stock")
REASONS = (
    "correction",
    "cycle_count_available",
    "damaged",
    "movement_canceled",
    "movement_created",
    "movement_received",
    "movement_updated",
    "other",
    "promotion",
    "quality_control",
    "received",
    "reservation_created",
    "reservation_deleted",
    "reservation_updated",
    "restock",
    "safety_stock",
    "shrinkage",
)
STALE = "CHANGE_FROM_QUANTITY_STALE"
ADJUST_BOUND = 2_000_000_000
SET_BOUND = 1_000_000_000
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//)?[^\s/].*")
Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class UserError:
    message: str
    field: Path | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of an adjust or set call. `amount` is a delta or the wanted quantity."""

    item: Gid
    location: Gid
    amount: int
    change_from: int | None
    ledger_document_uri: str | None = None


@dataclass(frozen=True, kw_only=True)
class Write:
    kind: Literal["adjust", "set"]
    name: str
    reason: str
    reference_document_uri: str | None
    rows: tuple[Row, ...]

    @cached_property
    def pairs(self) -> Counter[tuple[Gid, Gid]]:
        return Counter((row.item, row.location) for row in self.rows)

    def at(self, index: int, leaf: str) -> Path:
        return ("input", "changes" if self.kind == "adjust" else "quantities", str(index), leaf)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    group: AdjustmentGroup | None = None
    errors: tuple[UserError, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who moved stock, why, and under which merchant action."""

    cause: Cause
    actor: str
    event: str
    reference: Gid | None = None
    idempotency_key: str | None = None


def move(state: State, level: Level, deltas: Mapping[str, int], origin: Origin) -> None:
    """Applies deltas to one level at once: stamps, history and announcement included."""
    now = state.clock.now()
    before = _on_sale(level.item)
    for name, delta in deltas.items():
        if name == "available":
            _move_available(state, level, delta, origin)
        level.quantities[name] = level.quantities.get(name, 0) + delta
        level.stamps[name] = now
    level.updated_at = now
    state.index.note(level)
    if "available" in deltas or state.switches.levels_update_on == "any_name":
        state.announce("inventory_levels/update", level, event=origin.event)
    if _on_sale(level.item) != before:
        topic = "variants/out_of_stock" if before else "variants/in_stock"
        state.announce(topic, level.item.variant, event=origin.event)


def _on_sale(item: Item) -> bool:
    """Whether there is any of it; of what is not tracked there always is."""
    return not item.tracked or sum(level.available for level in item.levels.values() if level.active) > 0


def _move_available(state: State, level: Level, delta: int, origin: Origin) -> None:
    now = state.clock.now()
    level.before = (level.available, level.stamps["available"])
    state.history.append(
        Movement(
            at=now,
            item=level.item.gid,
            location=level.location.gid,
            delta=delta,
            after=level.available + delta,
            cause=origin.cause,
            actor=origin.actor,
            reference=origin.reference,
            idempotency_key=origin.idempotency_key,
        )
    )
    lag_s = state.lag_s()
    if lag_s:
        horizon = now - timedelta(seconds=lag_s)
        recent = [moved for moved in level.item.recent if moved[0] > horizon]
        level.item.recent[:] = [*recent, (now, delta, level)]  # in place: older versions of the item share it


def edit(state: State, level: Level, available: int, *, origin: Origin) -> int:
    """Sets `available` without compare-and-set; returns the delta, 0 when nothing changed."""
    delta = available - level.available
    if delta:
        move(state, level, {"available": delta}, origin)
    return delta


def total_available(state: State, item: Item, *, fresh: bool) -> int:
    """Sum of `available` over active levels; aged by the derived lag unless fresh."""
    return available_at(state, item, [lvl for lvl in item.levels.values() if lvl.active], fresh=fresh)


def available_at(state: State, item: Item, levels: Sequence[Level], *, fresh: bool) -> int:
    total = sum(level.available for level in levels)
    if fresh or not state.lag_s():
        return total
    horizon = state.clock.now() - timedelta(seconds=state.lag_s())
    return total - sum(delta for at, delta, level in item.recent if at > horizon and level in levels)


def write(state: State, request: Write, *, actor: str, idempotency_key: str | None) -> Outcome:
    """Performs an adjust or set call: all rows, or none and one error per offending row."""
    refused = tuple(_head_errors(request))
    if refused:
        return Outcome(errors=refused)
    by_row = {
        index: found for index in range(len(request.rows)) if (found := _row_errors(state, request, index))
    }
    errors = _reported(state, [error for found in by_row.values() for error in found])
    if errors and state.switches.batch_failure == "atomic":
        return Outcome(errors=errors)
    rows = tuple(row for index, row in enumerate(request.rows) if index not in by_row)
    accepted = replace(request, rows=rows)
    return Outcome(group=_apply(state, accepted, actor=actor, key=idempotency_key), errors=errors)


def _reported(state: State, errors: list[UserError]) -> tuple[UserError, ...]:
    if state.switches.stale_report == "every_row":
        return tuple(errors)
    stale = [error for error in errors if error.code == STALE]
    return (*(error for error in errors if error.code != STALE), *stale[:1])


def _head_errors(request: Write) -> Iterator[UserError]:
    names = ADJUSTABLE if request.kind == "adjust" else ("available", "on_hand")
    if request.name not in names:
        yield _name_error(request.kind)
    if request.reason not in REASONS:
        valid = ", ".join(REASONS)
        yield UserError(
            code="INVALID_REASON",
            field=("input", "reason"),
            message=f"The specified reason is invalid. Valid values are: {valid}.",
        )
    uri = request.reference_document_uri
    if uri is not None and not URI.fullmatch(uri):
        yield UserError(
            code="INVALID_REFERENCE_DOCUMENT",
            field=("input", "referenceDocumentUri"),
            message="The specified reference document is invalid.",
        )
    yield from _ledger_count_errors(request)


def _name_error(kind: str) -> UserError:
    if kind == "adjust":
        return UserError(
            code="INVALID_QUANTITY_NAME",
            field=("input", "name"),
            message=f"The specified quantity name is invalid. Valid values are: {', '.join(ADJUSTABLE)}.",
        )
    return UserError(
        code="INVALID_NAME",
        field=("input", "name"),
        message="The quantity name must be either 'available' or 'on_hand'.",
    )


def _ledger_count_errors(request: Write) -> Iterator[UserError]:
    if len({row.ledger_document_uri for row in request.rows if row.ledger_document_uri}) > 1:
        yield UserError(
            code="MAX_ONE_LEDGER_DOCUMENT",
            field=("input", "changes"),
            message="All changes must have the same ledger document URI or, in the case of adjusting "
            "available, no ledger document URI.",
        )


def _row_errors(state: State, request: Write, index: int) -> list[UserError]:
    row = request.rows[index]
    item, location = state.items.get(row.item), state.locations.get(row.location)
    errors = [*_unknown_errors(request, index, item=item, location=location)]
    errors += _ledger_errors(request, index) if request.kind == "adjust" else _pair_errors(request, index)
    errors += _bound_errors(request, index)
    if errors or item is None or location is None:
        return errors
    level = item.levels.get(location.gid)
    if (level is None or not level.active) and state.switches.unstocked_write == "INVALID_LOCATION":
        return [_location_error(request, index)]
    if _is_stale(state, request, row, level):
        return [stale_error(state, request, index)]
    return []


def _unknown_errors(
    request: Write, index: int, *, item: Item | None, location: Location | None
) -> Iterator[UserError]:
    if item is None:
        yield UserError(
            code="INVALID_INVENTORY_ITEM",
            field=request.at(index, "inventoryItemId"),
            message="The specified inventory item could not be found.",
        )
    elif item.variant.requires_components:
        yield UserError(
            code="NON_MUTABLE_INVENTORY_ITEM",
            field=request.at(index, "inventoryItemId"),
            message="The specified inventory item is not allowed to be adjusted via API.",
        )
    if location is None or not location.active:
        yield _location_error(request, index)


def _location_error(request: Write, index: int) -> UserError:
    return UserError(
        code="INVALID_LOCATION",
        field=request.at(index, "locationId"),
        message="The specified location could not be found.",
    )


def _ledger_errors(request: Write, index: int) -> Iterator[UserError]:
    uri, field = request.rows[index].ledger_document_uri, request.at(index, "ledgerDocumentUri")
    if request.name == "available":
        if uri is not None:
            yield UserError(
                code="INVALID_AVAILABLE_DOCUMENT",
                field=field,
                message="A ledger document URI is not allowed when adjusting available.",
            )
    elif uri is None:
        yield UserError(
            code="INVALID_QUANTITY_DOCUMENT",
            field=field,
            message="A ledger document URI is required except when adjusting available.",
        )
    elif uri.startswith("gid://shopify/"):
        yield UserError(
            code="INTERNAL_LEDGER_DOCUMENT",
            field=field,
            message="Internal (gid://shopify/) ledger documents are not allowed to be adjusted via API.",
        )
    elif not URI.fullmatch(uri):
        yield UserError(
            code="INVALID_LEDGER_DOCUMENT", field=field, message="The specified ledger document is invalid."
        )


def _pair_errors(request: Write, index: int) -> Iterator[UserError]:
    row = request.rows[index]
    if request.pairs[row.item, row.location] > 1:
        yield UserError(
            code="NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR",
            field=request.at(index, "locationId"),
            message="The combination of inventoryItemId and locationId must be unique.",
        )


def _bound_errors(request: Write, index: int) -> Iterator[UserError]:
    amount, is_set = request.rows[index].amount, request.kind == "set"
    bound, field = (SET_BOUND, "quantity") if is_set else (ADJUST_BOUND, "delta")
    if amount > bound:
        yield UserError(
            code="INVALID_QUANTITY_TOO_HIGH",
            field=request.at(index, field),
            message=f"The quantity can't be higher than {bound:,}.",
        )
    elif amount < -bound:
        yield UserError(
            code="INVALID_QUANTITY_TOO_LOW",
            field=request.at(index, field),
            message=f"The quantity can't be lower than -{bound:,}.",
        )
    elif is_set and request.name == "on_hand" and amount < 0:
        yield UserError(
            code="INVALID_QUANTITY_NEGATIVE",
            field=request.at(index, field),
            message="The quantity can't be negative.",
        )


def _is_stale(state: State, request: Write, row: Row, level: Level | None) -> bool:
    current = level.quantity(request.name) if level is not None else 0
    if row.change_from is None or row.change_from == current:
        return False
    no_change = row.amount == (0 if request.kind == "adjust" else current)
    return not (no_change and state.switches.zero_delta_cas == "noop")


def stale_error(state: State, request: Write, index: int) -> UserError:
    """What is said of a row whose changeFromQuantity is not the quantity that is there."""
    fields: dict[str, Path | None] = {
        "row_and_field": request.at(index, "changeFromQuantity"),
        "row": request.at(index, "changeFromQuantity")[:-1],
        "null": None,
    }
    message = (
        "The changeFromQuantity argument no longer matches the persisted quantity."
        if request.kind == "adjust"
        else "The changeFromQuantity value does not match persisted value."
    )
    field = fields[state.switches.stale_field]
    return UserError(code=STALE, field=field, message=message)


def _apply(state: State, request: Write, *, actor: str, key: str | None) -> AdjustmentGroup | None:
    """Moves every row that changes something; no group when none does."""
    gid, number = state.new_gid("InventoryAdjustmentGroup")
    origin = Origin(cause="api", actor=actor, event=state.new_uuid(), reference=gid, idempotency_key=key)
    changes = [change for row in request.rows for change in _apply_row(state, request, row, origin)]
    if not changes:
        return None
    group = AdjustmentGroup(
        gid=gid,
        number=number,
        created_at=state.clock.now(),
        reason=request.reason,
        reference_document_uri=request.reference_document_uri,
        changes=tuple(changes),
    )
    state.groups[gid] = state.nodes[gid] = group
    return group


def _apply_row(state: State, request: Write, row: Row, origin: Origin) -> Iterator[Change]:
    item, location = state.items[row.item], state.locations[row.location]
    level = item.levels.get(location.gid)
    current = level.quantity(request.name) if level is not None else 0
    delta = row.amount if request.kind == "adjust" else row.amount - current
    if not delta:
        return
    level = _writable(state, item, location, origin=origin)
    moved = "available" if request.name == "on_hand" else request.name
    move(state, level, {moved: delta}, origin)
    rows = (moved,) if moved == "incoming" else (moved, "on_hand")
    for name in rows:
        uri = row.ledger_document_uri if name == moved else None
        yield Change(name=name, delta=delta, item=item, location=location, ledger_document_uri=uri)


def _writable(state: State, item: Item, location: Location, *, origin: Origin) -> Level:
    level = item.levels.get(location.gid)
    active = state.switches.unstocked_write == "creates_active"
    if level is not None and (level.active or not active):
        return level
    return connect(state, item, location, active=active, event=origin.event)
