"""The way between a worker and the shop: calls that arrive late, twice failing or without an answer.

A request lives on when the worker that sent it has died. At most `LONGEST_FLIGHT_S` after it was sent
it is gone for ever; the protocol's dead time rests on that.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.simulation.core.clock import Clock
from tests.simulation.core.faults import PARTIAL, REFUSALS, WRITE, Faults
from tests.simulation.core.shop import Answer, ChangeRow, LevelKey, Shop, Verdict

TIMEOUT_S = 10.0
LONGEST_FLIGHT_S = 95.0
LAG_S = 4.0

LOST = {  # fault -> whether the call takes effect although its answer is lost
    "write_5xx_before": False,
    "write_5xx_after": True,
    "write_timeout_before": False,
    "write_timeout_after": True,
    "write_answer_cut": True,
    "write_unavailable_before": False,
    "write_unavailable_after": True,
    "write_delayed": True,
    "write_partial": True,
}
SAID = {  # fault -> what the answer says; nothing is executed
    "write_throttled": "throttled",
    "write_not_sent": "not_sent",
    "write_in_progress_nothing": "in_progress",
    "write_in_progress_applied": "in_progress",
    "write_previous_failed": "previous_failed",
    "write_refused": "refused",
    "write_member_refused": "refused",
    "write_key_mismatch": "key_mismatch",
}
_SEVERAL_ROWS = ("write_several_rows_stale", *PARTIAL)
_ANY_WRITE = WRITE + PARTIAL + REFUSALS
_ONE_ROW_WRITE = tuple(kind for kind in _ANY_WRITE if kind not in _SEVERAL_ROWS)
VERDICTS = {
    Verdict.APPLIED: "applied",
    Verdict.STALE: "stale",
    Verdict.NO_SUCH_ITEM: "refused",
    Verdict.KEY_MISMATCH: "key_mismatch",
}


@dataclass(slots=True)
class Call:
    """One adjustment on its way. `outcome` is what the worker learns after `answer_after_s`."""

    key: str
    rows: tuple[ChangeRow, ...]
    answer_after_s: float
    outcome: str = "unknown"
    offenders: tuple[LevelKey, ...] = ()


class Shown(NamedTuple):
    """One level in an answer. `quantity` None: hidden, and why. `seq`: the moment that it shows.

    `units` is its pack size, as it is configured when the answer is made.
    """

    quantity: int | None
    stamp_s: float
    why_not: str
    seq: int
    units: int


class Reading(NamedTuple):
    """One answer to a read of levels, made at `seq`."""

    seq: int
    levels: Mapping[LevelKey, Shown]
    lagging: bool


class Network:
    """Carries calls to the shop and injects the faults of the API."""

    def __init__(self, *, clock: Clock, shop: Shop, faults: Faults, rng: random.Random) -> None:
        self._clock = clock
        self._shop = shop
        self._faults = faults
        self._rng = rng
        self.sell_at: Callable[[LevelKey], None] = lambda _level: None
        self.writes = 0
        self.reads = 0

    def write(self, key: str, rows: tuple[ChangeRow, ...]) -> Call:
        """Send an adjustment; the shop executes it, or not, at a later time of this run."""
        self.writes += 1
        fault = self._faults.pick(_ANY_WRITE if len(rows) > 1 else _ONE_ROW_WRITE)
        travel_s = self._rng.uniform(0.05, 0.4)
        call = Call(key=key, rows=rows, answer_after_s=2 * travel_s)
        if fault in LOST:
            self._lose(call, fault, travel_s)
        elif fault in SAID:
            self._answer_without_executing(call, fault)
        else:
            sold = self._sold_before(rows, fault)
            self._clock.after(travel_s, lambda: self._arrive(call, sold))
        return call

    def _lose(self, call: Call, fault: str, travel_s: float) -> None:
        call.answer_after_s = TIMEOUT_S if "timeout" in fault or fault == "write_delayed" else travel_s * 2
        if fault == "write_delayed":
            travel_s = self._rng.uniform(TIMEOUT_S, LONGEST_FLIGHT_S)
        rows = call.rows
        if fault == "write_partial":
            rows = tuple(self._rng.sample(rows, self._rng.randint(1, len(rows) - 1)))
        if LOST[fault]:
            self._clock.after(travel_s, lambda: self._execute(call, only=rows))

    def _sold_before(self, rows: tuple[ChangeRow, ...], fault: str | None) -> Sequence[ChangeRow]:
        """Rows whose level is sold while the call is on its way: it is stale in one row or in several."""
        if fault == "write_sale_between":
            return (self._rng.choice(rows),)
        if fault == "write_several_rows_stale":
            return self._rng.sample(rows, self._rng.randint(2, len(rows)))
        return ()

    def _answer_without_executing(self, call: Call, fault: str) -> None:
        call.outcome = SAID[fault]
        if fault == "write_member_refused":
            call.offenders = (self._rng.choice(call.rows).level,)
        if fault == "write_in_progress_applied":
            self._clock.after(self._rng.uniform(0.0, 3.0), lambda: self._execute(call))

    def _arrive(self, call: Call, sold: Sequence[ChangeRow]) -> None:
        for row in sold:
            self.sell_at(row.level)
        answer = self._execute(call)
        call.outcome = VERDICTS[answer.verdict]
        call.offenders = answer.offenders

    def _execute(self, call: Call, *, only: tuple[ChangeRow, ...] | None = None) -> Answer:
        return self._shop.adjust(call.key, call.rows, only=only or call.rows, now_s=self._clock.now_s)

    def read(self, levels: Mapping[LevelKey, int]) -> Reading | None:
        """These levels (with their pack sizes) now, in one query; None when it failed. Some rows may lag."""
        self.reads += 1
        if self._faults.strikes("read_failed"):
            return None
        lags = self._faults.strikes("read_lagging")
        hides = self._faults.strikes("read_null_level")
        shown = {
            level: self._show(level, units)
            for level, units in levels.items()
            if not self._shop.levels[level].deleted
        }
        if lags and shown:
            self._lag(shown)
        if hides and shown:
            level = self._rng.choice(sorted(shown))
            shown[level] = shown[level]._replace(quantity=None, why_not="inactive")
        return Reading(self._shop.seq, shown, lags)

    def _show(self, level: LevelKey, units: int) -> Shown:
        it = self._shop.levels[level]
        return Shown(it.available, it.stamp_s, it.why_not, self._shop.seq, units)

    def _lag(self, shown: dict[LevelKey, Shown]) -> None:
        level = self._rng.choice(sorted(shown))
        then_s = self._clock.now_s - self._rng.uniform(0.5, LAG_S)
        quantity, stamp_s, seq = self._shop.value_at(level, then_s)
        if shown[level].quantity is not None:
            shown[level] = shown[level]._replace(quantity=quantity, stamp_s=stamp_s, seq=seq)
