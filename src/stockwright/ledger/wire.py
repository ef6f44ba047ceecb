"""Ledger values as JSON and back, exactly: dictionaries, lists, strings, whole numbers, booleans and None.

Times are ISO 8601 in UTC with microseconds. A member is [item id, location id]. Nothing here decides.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from stockwright.ledger.state import (
    AssumedRow,
    Assumption,
    Closed,
    Entry,
    Exclusion,
    FirstRead,
    FreezeCode,
    Frozen,
    Intent,
    IntentRow,
    LedgerError,
    Member,
    MemberId,
    PoolState,
    RaiseWait,
)

FORMAT = 1
Json = dict[str, object]


class Fields:
    """A JSON object that is read field by field; each reader raises LedgerError when the type is wrong."""

    __slots__ = ("_data",)

    def __init__(self, data: object) -> None:
        # The first question is quick, and nearly always answers.
        if type(data) is not dict and not isinstance(data, Mapping):
            raise LedgerError(f"expected a JSON object in the ledger, found {data!r}")
        self._data: Mapping[str, object] = data

    def int(self, name: str) -> int:
        value = self._data.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._wrong(name, "a whole number")

    def holds(self, name: str) -> bool:
        """Whether the field is true; one that older entries lack is not."""
        return self._data.get(name) is True

    def bool(self, name: str) -> bool:
        value = self._data.get(name)
        if isinstance(value, bool):
            return value
        raise self._wrong(name, "true or false")

    def text(self, name: str) -> str:
        value = self._data.get(name)
        if isinstance(value, str):
            return value
        raise self._wrong(name, "a text")

    def time(self, name: str) -> datetime:
        return time_from_json(self.text(name))

    def optional_time(self, name: str) -> datetime | None:
        return None if self._data.get(name) is None else self.time(name)

    def member(self, name: str) -> MemberId:
        return member_id_from_json(self._data.get(name))

    def optional(self, name: str) -> "Fields | None":
        value = self._data.get(name)
        return None if value is None else Fields(value)

    def rows(self, name: str) -> tuple["Fields", ...]:
        value = self._data.get(name)
        if isinstance(value, list):
            return tuple(Fields(item) for item in value)
        raise self._wrong(name, "a list")

    def rows_if_any(self, name: str) -> tuple["Fields", ...]:
        """The rows of a field that older states lack."""
        return self.rows(name) if name in self._data else ()

    def _wrong(self, name: str, wanted: str) -> LedgerError:
        return LedgerError(f"ledger field {name!r} should be {wanted}, is {self._data.get(name)!r}")


def time_to_json(at: datetime) -> str:
    if at.tzinfo is None:
        raise LedgerError(f"time {at} has no zone; the ledger holds aware UTC times")
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="microseconds")


def optional_time_to_json(at: datetime | None) -> str | None:
    return None if at is None else time_to_json(at)


def time_from_json(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise LedgerError(f"ledger time {text!r} is not ISO 8601") from error


def member_id_to_json(id: MemberId) -> list[str]:
    return [id.item_id, id.location_id]


def member_id_from_json(data: object) -> MemberId:
    if isinstance(data, (list, tuple)) and len(data) == 2:
        item, location = data
        if isinstance(item, str) and isinstance(location, str):
            return MemberId(item, location)
    raise LedgerError(f"a member should be [item id, location id], is {data!r}")


def levels_to_json(levels: Mapping[MemberId, int]) -> list[Json]:
    return [{"member": member_id_to_json(id), "level": levels[id]} for id in sorted(levels)]


def levels_from_json(rows: Iterable[Fields]) -> dict[MemberId, int]:
    return {row.member("member"): row.int("level") for row in rows}


def entry_to_json(entry: Entry) -> Json:
    return {
        "format": FORMAT,
        "kind": entry.kind,
        "at": time_to_json(entry.at),
        "data": dict(entry.data),
    }


def entry_from_json(data: object) -> Entry:
    fields = _formatted(data)
    if not isinstance(data, Mapping) or not isinstance(data.get("data"), Mapping):
        raise LedgerError("a journal entry has no data")
    return Entry(kind=fields.text("kind"), at=fields.time("at"), data=data["data"])


def state_to_json(state: PoolState) -> Json:
    return {
        "format": FORMAT,
        "pool_id": state.pool_id,
        "version": state.version,
        "s0": state.s0,
        "t": state.t,
        "members": [_member_to_json(state.members[id]) for id in sorted(state.members)],
        "intent": None if state.intent is None else _intent_to_json(state.intent),
        "frozen": None if state.frozen is None else _frozen_to_json(state.frozen),
        "raise_wait": None if state.raise_wait is None else _raise_wait_to_json(state.raise_wait),
        "stale_streak": state.stale_streak,
        "assumed": state.assumed,
        "assumptions": [_assumption_to_json(one) for one in state.assumptions],
        "failed_streak": state.failed_streak,
        "excluded": [_exclusion_to_json(id, state.excluded[id]) for id in sorted(state.excluded)],
        "closed": None if state.closed is None else _closed_to_json(state.closed),
    }


def state_from_json(data: object) -> PoolState:
    fields = _formatted(data)
    members = [_member_from_json(row) for row in fields.rows("members")]
    intent, frozen = fields.optional("intent"), fields.optional("frozen")
    raise_wait, closed = fields.optional("raise_wait"), fields.optional("closed")
    return PoolState(
        pool_id=fields.text("pool_id"),
        version=fields.int("version"),
        s0=fields.int("s0"),
        t=fields.int("t"),
        members={member.id: member for member in members},
        intent=None if intent is None else _intent_from_json(intent),
        frozen=None if frozen is None else _frozen_from_json(frozen),
        raise_wait=None if raise_wait is None else _raise_wait_from_json(raise_wait),
        stale_streak=fields.int("stale_streak"),
        assumed=fields.int("assumed"),
        assumptions=tuple(_assumption_from_json(row) for row in fields.rows_if_any("assumptions")),
        failed_streak=fields.int("failed_streak"),
        excluded=dict(_exclusion_from_json(row) for row in fields.rows("excluded")),
        closed=None if closed is None else Closed(key=closed.text("key"), applied=closed.bool("applied")),
    )


def _formatted(data: object) -> Fields:
    fields = Fields(data)
    if fields.int("format") != FORMAT:
        raise LedgerError(f"ledger format {fields.int('format')} is not known; this program reads {FORMAT}")
    return fields


def _member_to_json(member: Member) -> Json:
    return {
        "member": member_id_to_json(member.id),
        "units": member.units,
        "base": member.base,
        "confirmed": member.confirmed,
        "external": member.external,
        "stamp": optional_time_to_json(member.stamp),
        "overwrote": optional_time_to_json(member.overwrote),
        "wrote_at": optional_time_to_json(member.wrote_at),
    }


def _member_from_json(fields: Fields) -> Member:
    return Member(
        id=fields.member("member"),
        units=fields.int("units"),
        base=fields.int("base"),
        confirmed=fields.int("confirmed"),
        external=fields.int("external"),
        stamp=fields.optional_time("stamp"),
        overwrote=fields.optional_time("overwrote"),
        wrote_at=fields.optional_time("wrote_at"),
    )


def rows_to_json(rows: Iterable[IntentRow]) -> list[Json]:
    return [
        {
            "member": member_id_to_json(row.member),
            "delta": row.delta,
            "from": row.from_quantity,
            "stamp": optional_time_to_json(row.stamp),
        }
        for row in rows
    ]


def rows_from_json(rows: Iterable[Fields]) -> tuple[IntentRow, ...]:
    return tuple(
        IntentRow(
            member=row.member("member"),
            delta=row.int("delta"),
            from_quantity=row.int("from"),
            stamp=row.optional_time("stamp"),
        )
        for row in rows
    )


def _intent_to_json(intent: Intent) -> Json:
    first = intent.first_read
    return {
        "key": intent.key,
        "rows": rows_to_json(intent.rows),
        "opened_at": time_to_json(intent.opened_at),
        "sent_at": time_to_json(intent.sent_at),
        "attempts": intent.attempts,
        "unknown_since": optional_time_to_json(intent.unknown_since),
        "first_read": first
        and {"at": time_to_json(first.at), "all_at_after_value": first.all_at_after_value},
        "resend_at": optional_time_to_json(intent.resend_at),
    }


def _intent_from_json(fields: Fields) -> Intent:
    first = fields.optional("first_read")
    return Intent(
        key=fields.text("key"),
        rows=rows_from_json(fields.rows("rows")),
        opened_at=fields.time("opened_at"),
        sent_at=fields.time("sent_at"),
        attempts=fields.int("attempts"),
        unknown_since=fields.optional_time("unknown_since"),
        first_read=None if first is None else _first_read_from_json(first),
        resend_at=fields.optional_time("resend_at"),
    )


def _first_read_from_json(fields: Fields) -> FirstRead:
    return FirstRead(at=fields.time("at"), all_at_after_value=fields.bool("all_at_after_value"))


def _frozen_to_json(frozen: Frozen) -> Json:
    return {
        "code": frozen.code.value,
        "reason": frozen.reason,
        "since": time_to_json(frozen.since),
        "levels": levels_to_json(frozen.levels),
    }


def _frozen_from_json(fields: Fields) -> Frozen:
    return Frozen(
        code=freeze_code_from_json(fields.text("code")),
        reason=fields.text("reason"),
        since=fields.time("since"),
        levels=levels_from_json(fields.rows("levels")),
    )


def freeze_code_from_json(text: str) -> FreezeCode:
    try:
        return FreezeCode(text)
    except ValueError as error:
        raise LedgerError(f"{text!r} is not a reason to freeze a pool") from error


def _raise_wait_to_json(wait: RaiseWait) -> Json:
    return {
        "since": time_to_json(wait.since),
        "changed_at": time_to_json(wait.changed_at),
        "levels": levels_to_json(wait.levels),
        "peaks": levels_to_json(wait.peaks),
    }


def _raise_wait_from_json(fields: Fields) -> RaiseWait:
    return RaiseWait(
        since=fields.time("since"),
        changed_at=fields.time("changed_at"),
        levels=levels_from_json(fields.rows("levels")),
        peaks=levels_from_json(fields.rows("peaks")),
    )


def _assumption_to_json(one: Assumption) -> Json:
    return {
        "key": one.key,
        "at": time_to_json(one.at),
        "opened_at": time_to_json(one.opened_at),
        "rows": [
            {
                "member": member_id_to_json(row.member),
                "delta": row.delta,
                "external": row.external,
                "stamp": optional_time_to_json(row.stamp),
            }
            for row in one.rows
        ],
    }


def _assumption_from_json(fields: Fields) -> Assumption:
    rows = (
        AssumedRow(
            member=row.member("member"),
            delta=row.int("delta"),
            external=row.int("external"),
            stamp=row.optional_time("stamp"),
        )
        for row in fields.rows("rows")
    )
    return Assumption(
        key=fields.text("key"), at=fields.time("at"), opened_at=fields.time("opened_at"), rows=tuple(rows)
    )


def _exclusion_to_json(id: MemberId, exclusion: Exclusion) -> Json:
    return {
        "member": member_id_to_json(id),
        "reason": exclusion.reason,
        "until": time_to_json(exclusion.until),
    }


def _exclusion_from_json(fields: Fields) -> tuple[MemberId, Exclusion]:
    exclusion = Exclusion(reason=fields.text("reason"), until=fields.time("until"))
    return fields.member("member"), exclusion


def _closed_to_json(closed: Closed) -> Json:
    return {"key": closed.key, "applied": closed.applied}
