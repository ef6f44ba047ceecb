"""A model of the shop: levels, who moved them, compare-and-set adjustments and their keys.

The shop is the truth of a run. It keeps its whole history, so the oracle can ask what really
happened to a level between two moments. It knows nothing of the ledger and imports nothing of it.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

OURS = "ours"


class LevelKey(NamedTuple):
    """A level in the shop: an item at a location."""

    item: str
    location: str


class Movement(NamedTuple):
    """One change of one level. `cause` is "ours" or what the outside did."""

    seq: int
    time_s: float
    delta: int
    cause: str
    key: str  # idempotency key of our call, "" for the outside


@dataclass(slots=True)
class Level:
    """One level with its past. `quantity` lives on while the level is hidden."""

    quantity: int
    stamp_s: float
    tracked: bool = True
    stocked: bool = True
    deleted: bool = False
    movements: list[Movement] = field(default_factory=list)
    past: list[tuple[float, int, float, int]] = field(default_factory=list)  # since, quantity, stamp, seq
    seqs: list[int] = field(default_factory=list)  # of the movements
    ours: list[int] = field(
        default_factory=lambda: [0]
    )  # net movement by us: before all, after the first, ...
    others: list[int] = field(default_factory=lambda: [0])  # the same by everybody else

    def moved(self, movement: Movement) -> None:
        """Remember a movement, and how much that is by now."""
        is_ours = movement.cause == OURS
        self.movements.append(movement)
        self.seqs.append(movement.seq)
        self.ours.append(self.ours[-1] + (movement.delta if is_ours else 0))
        self.others.append(self.others[-1] + (0 if is_ours else movement.delta))

    @property
    def available(self) -> int | None:
        hidden = self.deleted or not self.tracked or not self.stocked
        return None if hidden else self.quantity

    @property
    def why_not(self) -> str:
        if not self.tracked:
            return "untracked"
        return "" if self.stocked else "inactive"


class ChangeRow(NamedTuple):
    """One row of an adjustment call."""

    level: LevelKey
    delta: int
    from_quantity: int
    sets_to: int | None = None  # set the level to this instead, comparing nothing: only a mutant sends that


class Verdict(StrEnum):
    """What the shop says when it has executed a call."""

    APPLIED = "applied"
    STALE = "stale"
    NO_SUCH_ITEM = "no_such_item"
    KEY_MISMATCH = "key_mismatch"


class Answer(NamedTuple):
    verdict: Verdict
    offenders: tuple[LevelKey, ...] = ()


class Application(NamedTuple):
    """One adjustment of ours that took effect, in the rows that did."""

    seq: int
    time_s: float
    key: str
    rows: tuple[ChangeRow, ...]
    whole: bool = True


class Shop:
    """All levels of one shop. `seq` counts changes and names moments exactly."""

    def __init__(self, *, replays: bool, stamp_resolution_s: float, skew_s: float = 0.0) -> None:
        self.levels: dict[LevelKey, Level] = {}
        self.seq = 0
        self.replays = replays
        self.applications: list[Application] = []
        self.on_application: Callable[[Application], None] = lambda application: None
        self.calls = 0
        self._stamp_resolution_s = stamp_resolution_s
        self._skew_s = skew_s
        self._answers: dict[str, tuple[tuple[ChangeRow, ...], Answer]] = {}

    def stamp(self, now_s: float) -> float:
        """The shop's own clock, rounded down as its timestamps are."""
        time_s = now_s + self._skew_s
        step_s = self._stamp_resolution_s
        return time_s // step_s * step_s

    def add(self, level: LevelKey, *, quantity: int, now_s: float) -> None:
        self.seq += 1
        stamp_s = self.stamp(now_s)
        self.levels[level] = Level(
            quantity=quantity, stamp_s=stamp_s, past=[(now_s, quantity, stamp_s, self.seq)]
        )

    def move(self, level: LevelKey, *, delta: int, cause: str, now_s: float, key: str = "") -> None:
        """Change one level and remember who did it."""
        self.seq += 1
        it = self.levels[level]
        it.quantity += delta
        it.stamp_s = self.stamp(now_s)
        it.moved(Movement(self.seq, now_s, delta, cause, key))
        it.past.append((now_s, it.quantity, it.stamp_s, self.seq))

    def adjust(
        self,
        key: str,
        rows: tuple[ChangeRow, ...],
        *,
        now_s: float,
        only: tuple[ChangeRow, ...] | None = None,
    ) -> Answer:
        """Execute one adjustment call: all rows or none, once per key when the shop replays.

        `only`: the rows that take effect where the shop breaks its word and applies a part of a call.
        """
        self.calls += 1
        known = self._answers.get(key)
        if known is not None and known[0] != rows:
            return Answer(Verdict.KEY_MISMATCH)
        if known is not None and self.replays:
            return known[1]
        answer = self._execute(key, rows, now_s=now_s, only=rows if only is None else only)
        self._answers[key] = (rows, answer)
        return answer

    def _execute(
        self, key: str, rows: tuple[ChangeRow, ...], *, now_s: float, only: tuple[ChangeRow, ...]
    ) -> Answer:
        gone = tuple(row.level for row in rows if self.levels[row.level].deleted)
        if gone:
            return Answer(Verdict.NO_SUCH_ITEM, gone)
        if any(self._is_stale(row) for row in rows):
            return Answer(Verdict.STALE)
        for row in only:
            delta = row.delta if row.sets_to is None else row.sets_to - self.levels[row.level].quantity
            self.move(row.level, delta=delta, cause=OURS, now_s=now_s, key=key)
        application = Application(self.seq, now_s, key, only, whole=len(only) == len(rows))
        self.applications.append(application)
        self.on_application(application)
        return Answer(Verdict.APPLIED)

    def _is_stale(self, row: ChangeRow) -> bool:
        return row.sets_to is None and self.levels[row.level].quantity != row.from_quantity

    def value_at(self, level: LevelKey, time_s: float) -> tuple[int, float, int]:
        """Quantity, stamp and seq that the level had at `time_s` (a lagging read shows them)."""
        past = self.levels[level].past
        index = bisect_right(past, time_s, key=lambda entry: entry[0]) - 1
        _, quantity, stamp_s, seq = past[max(index, 0)]
        return quantity, stamp_s, seq

    def outside(self, level: LevelKey, *, after: int, upto: int) -> int:
        """Net movement of the level by everybody but us, with after < seq <= upto."""
        it = self.levels[level]
        return it.others[bisect_right(it.seqs, upto)] - it.others[bisect_right(it.seqs, after)]

    def ours(self, level: LevelKey, *, after: int) -> int:
        """Net movement of the level by us, with after < seq."""
        it = self.levels[level]
        return it.ours[-1] - it.ours[bisect_right(it.seqs, after)]

    def outside_volume(self, level: LevelKey, *, after: int, upto: int) -> int:
        """Sum of absolute outside movements, with after < seq <= upto."""
        return sum(abs(m.delta) for m in self.between(level, after=after, upto=upto) if m.cause != OURS)

    def between(self, level: LevelKey, *, after: int, upto: int) -> Iterable[Movement]:
        """Every movement of the level with after < seq <= upto."""
        return (m for m in self.levels[level].movements if after < m.seq <= upto)
