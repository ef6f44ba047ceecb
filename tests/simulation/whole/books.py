"""One pool's journal against the shop's own history: when each level was a member, and what others moved it by then.

Trusts the journal only for what the ledger claims to have read. Each such claim is looked up in the shop's
history by value and stamp; how much stock there is follows from the history alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shopify_emulator import Movement, Shop
from stockwright.ledger.state import Entry

Level = tuple[str, str]  # item and location, by gid


class Violation(Exception):
    """An invariant does not hold. The message names it and shows the numbers."""


class Trails:
    """The shop's history, level by level."""

    def __init__(self, shop: Shop) -> None:
        self._moves: dict[Level, list[Movement]] = {}
        for move in shop.history():
            self._moves.setdefault((move.item, move.location), []).append(move)

    def of(self, level: Level) -> Sequence[Movement]:
        """Every movement of a level, oldest first."""
        return self._moves.get(level, ())

    def where(self, level: Level, available: int, stamp: datetime | None) -> int:
        """After how many movements the level showed this value under this stamp, which is in whole seconds.

        Several within one second: the last of them, for between two equal values nothing has moved in sum.
        """
        moves = self.of(level)
        found = [
            count
            for count, move in enumerate(moves, start=1)
            if move.after == available and move.at.replace(microsecond=0) == stamp
        ]
        if found:
            return found[-1]
        if moves and moves[0].after - moves[0].delta != available:
            raise Violation(
                f"the journal says that {level} showed {available} at {stamp}; the shop never did"
            )
        return 0


@dataclass(kw_only=True)
class Stay:
    """A level's time as a member, in movements of that level."""

    start: int  # the read that it joined with
    accepted: int  # the newest read with a movement that was accepted
    behind: bool = False  # that read lagged behind a correction of ours


@dataclass(kw_only=True)
class Books:
    """What one pool should hold, by the shop's history."""

    trails: Trails
    once: bool  # an equal rise of all members counts once
    keys: set[str] = field(default_factory=set)  # of this pool's own corrections
    rows: dict[str, frozenset[Level]] = field(default_factory=dict)  # which levels each of them moves
    stays: dict[Level, Stay] = field(default_factory=dict)
    settled: int = 0  # stock at adoption, and what was moved on levels that have left, less surplus
    told: int = 0  # the stock by the ledger's own word
    expected: dict[Level, int] = field(default_factory=dict)  # each member's level by the ledger's own word
    peaks: dict[Level, int] = field(default_factory=dict)  # how far each was seen to rise while rises settle
    doubtful: bool = False  # a level joined or left by a read that lagged behind our own correction

    @property
    def stock(self) -> int:
        """The shared stock as of the history that was read."""
        return self.settled + sum(self._moved(level, stay.start) for level, stay in self.stays.items())

    def ours(self, level: Level) -> int:
        """What our corrections have moved a member by since it joined."""
        moves = self.trails.of(level)[self.stays[level].start :]
        return sum(move.delta for move in moves if move.idempotency_key in self.keys)

    def _moved(self, level: Level, start: int, end: int | None = None) -> int:
        """What others moved; a correction of a pool that was dissolved is like any other movement."""
        moves = self.trails.of(level)[start:end]
        return sum(move.delta for move in moves if move.idempotency_key not in self.keys)

    def read(self, entries: Iterable[Entry]) -> None:
        """Fold a whole journal in."""
        entries = list(entries)
        for entry in entries:
            if entry.kind == "intent_opened":
                data: Mapping[str, Any] = entry.data
                self.keys.add(data["key"])
                self.rows[data["key"]] = frozenset(_level(row) for row in data["rows"])
        for entry in entries:
            self._fold(entry.kind, entry.data, entry.at)

    def _fold(self, kind: str, data: Mapping[str, Any], at: datetime) -> None:
        match kind:
            case "adopted":
                self.settled, self.stays, self.doubtful = data["stock"], {}, False
                self.peaks, self.expected = {}, {}
                for row in data["members"]:
                    self._begin(row, at)
            case "joined":
                self._begin(data, at)
            case "observed":
                self._observe(data, at)
            case "left":
                self._end(_level(data))
            case "raise_seen":
                self.peaks = {_level(row): row["level"] for row in data["peaks"]}
            case "raise_cleared":
                self.peaks = {}
            case "intent_applied":
                for row in data["rows"]:
                    self.expected[_level(row)] += row["delta"]
            case "checkpoint":
                raise Violation("a checkpoint was made, which these books cannot follow")
        self.told = data.get("stock", self.told)

    def _begin(self, row: Mapping[str, Any], at: datetime) -> None:
        level = _level(row)
        start = self.trails.where(level, row["level"], _stamp(row))
        self.stays[level], self.expected[level] = Stay(start=start, accepted=start), row["level"]
        self.doubtful |= self._lags(level, start, at)

    def _observe(self, data: Mapping[str, Any], at: datetime) -> None:
        if data["surplus"] != (surplus := self._surplus(data["moves"])):
            raise Violation(f"{data['surplus']} units were counted as one bulk edit's surplus, not {surplus}")
        self.settled -= surplus
        for row in data["moves"]:
            level, stay = _level(row), self.stays[_level(row)]
            stay.accepted = self.trails.where(level, row["to"], _stamp(row))
            stay.behind = self._lags(level, stay.accepted, at)
            self.expected[level] = row["to"]

    def _surplus(self, moves: Sequence[Mapping[str, Any]]) -> int:
        """What an equal rise of every member counts too much, by how far each rose before a sale took off of it."""
        moved = {_level(row): row["to"] - row["from"] for row in moves}
        rises = self.peaks | {
            level: max(by, self.peaks.get(level, 0)) for level, by in moved.items() if by > 0
        }
        undone = all(by < 0 for by in moved.values())
        if undone or not self.once or len(rises) < max(2, len(self.stays)):
            return 0
        shown = {self.expected[level] + by for level, by in rises.items()}
        if len(shown) == 1 and (level := shown.pop()) > self.told:
            return sum(rises.values()) - (level - self.told)
        amounts = set(rises.values())
        return sum(rises.values()) - amounts.pop() if len(amounts) == 1 else 0

    def _end(self, level: Level) -> None:
        stay = self.stays.pop(level)
        self.peaks.pop(level, None)
        del self.expected[level]
        self.settled += self._moved(level, stay.start, stay.accepted)
        self.doubtful |= stay.behind

    def _lags(self, level: Level, read: int, at: datetime) -> bool:
        later = self.trails.of(level)[read:]
        return any(move.idempotency_key in self.keys and move.at < at for move in later)


def _level(row: Mapping[str, Any]) -> Level:
    item, location = row["member"]
    return item, location


def _stamp(row: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(row["stamp"]) if row["stamp"] else None
