"""Shared stocks as pages show them: levels with differences, both readings of a doubt, history by day.

Pure: it is given rows and returns what templates and CSV files need. Nothing here decides anything.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import groupby

from stockwright.automations.places import ALL_AS_ONE
from stockwright.explaining import Titles, history_lines, pool_state, titles_of
from stockwright.ledger.arithmetic import goal_of
from stockwright.ledger.draft import short
from stockwright.ledger.hypotheses import Hypothesis, hypotheses
from stockwright.ledger.people import ONLY_ADOPT
from stockwright.ledger.state import MemberId, PoolState
from stockwright.model import Json, gid_number
from stockwright.store.pools import JournalRow, MemberRow, PoolRow
from stockwright.store.shops import Shop


@dataclass(frozen=True, kw_only=True)
class LevelLine:
    """One level of a stock."""

    title: str
    place: str  # "" where the stock's place says it already
    item_number: str
    level: int  # as last seen or written
    units: int
    goal: int
    is_ambiguous: bool = False  # another level has the same title and place

    @property
    def off_by(self) -> int:
        """How far the level is from where it should stand."""
        return self.level - self.goal

    @property
    def sub(self) -> str:
        """What the title does not say."""
        parts = (
            self.place,
            f"item {self.item_number}" if self.is_ambiguous else "",
            f"{self.units} units each" if self.units > 1 else "",
        )
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the levels mean under one answer to the question of a freeze."""

    stock: int
    moves: Sequence[str]  # what others must have moved meanwhile
    goals: Sequence[str]  # where levels will be brought to


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One stock, ready to be shown."""

    row: PoolRow
    shop: str  # its name, or its domain
    zone: str
    place: str
    levels: Sequence[LevelLine]
    status: str  # active | correcting | frozen

    product_number: str
    product_url: str  # the product in Shopify's admin; "" when the shop is unknown

    @property
    def differing(self) -> Sequence[LevelLine]:
        """Levels that do not stand where they should."""
        return [line for line in self.levels if line.off_by]


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A freeze, for the person who ends it."""

    reason: str  # with titles
    since: str  # names this freeze: an answer to another one is refused
    if_applied: Reading | None
    if_not: Reading | None
    answers: Sequence[str]  # what makes sense: values of Resolution, best known first
    levels_differ: bool


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One line of history."""

    time: str  # HH:MM:SS in the shop's time zone
    text: str
    run_id: str | None


@dataclass(frozen=True, kw_only=True)
class Day:
    """The lines of one day, newest first."""

    date: str
    lines: Sequence[Happening]


def shown(row: PoolRow, members: Iterable[MemberRow], shop: Shop | None) -> Shown:
    """A stock with its levels in words."""
    titles = titles_of((one.item_id, one.location_id, one.title) for one in members)
    state = pool_state(row.state)
    names: dict[str, str] = {location.id: location.name for location in shop.locations} if shop else {}
    is_one = len({id.location_id for id in state.members}) <= 1
    return Shown(
        row=row,
        shop=(shop.name or shop.domain) if shop else "a shop that was removed",
        zone=shop.timezone if shop else "UTC",
        place=_place(row.location_id, names),
        levels=_told_apart([
            _line(id, state, titles, "" if is_one else names.get(id.location_id, gid_number(id.location_id)))
            for id in sorted(state.members)
        ]),
        product_number=gid_number(row.product_id),
        product_url=_admin_url(row, shop),
        status="correcting" if state.intent and row.status == "active" else row.status,
    )  # fmt: skip


def _told_apart(lines: Sequence[LevelLine]) -> list[LevelLine]:
    """The same lines, with their items' numbers shown where titles alone do not tell them apart."""
    counts = Counter((line.title, line.place) for line in lines)
    return [replace(line, is_ambiguous=counts[line.title, line.place] > 1) for line in lines]


def _admin_url(row: PoolRow, shop: Shop | None) -> str:
    return f"https://{shop.domain}/admin/products/{gid_number(row.product_id)}" if shop else ""


def _place(location: str, names: Mapping[str, str]) -> str:
    if location == ALL_AS_ONE:
        return "all chosen locations"
    return names.get(location) or f"location {gid_number(location)}"


def _line(id: MemberId, state: PoolState, titles: Titles, place: str) -> LevelLine:
    member = state.members[id]
    return LevelLine(
        title=titles.get(id) or f"item {gid_number(id.item_id)}",
        place=place,
        item_number=gid_number(id.item_id),
        level=member.expected,
        units=member.units,
        goal=goal_of(state, member),
    )


def doubt_of(row: PoolRow, members: Iterable[MemberRow]) -> Doubt | None:
    """Both readings with numbers; None when the stock is not frozen."""
    state = pool_state(row.state)
    if state.frozen is None:
        return None
    titles = titles_of((one.item_id, one.location_id, one.title) for one in members)
    both = hypotheses(state)
    levels = state.frozen.levels or {id: member.expected for id, member in state.members.items()}
    return Doubt(
        reason=_with_titles(state.frozen.reason, titles),
        since=state.frozen.since.isoformat(),
        if_applied=_reading(both.if_applied, titles) if both else None,
        if_not=_reading(both.if_not, titles) if both else None,
        answers=_answers(state),
        levels_differ=len(set(levels.values())) > 1,
    )


def _with_titles(text: str, titles: Titles) -> str:
    """The ledger knows no titles: it says the numbers of items."""
    for id, title in titles.items():
        text = re.sub(rf"\b{re.escape(short(id))}\b", lambda _found, title=title: title, text)  # type: ignore[misc]
    return text


def _answers(state: PoolState) -> Sequence[str]:
    if state.frozen is None or state.frozen.code in ONLY_ADOPT:
        return ("adopt_levels",)
    if state.intent is None:
        return ("was_not_applied", "adopt_levels")
    return ("was_applied", "was_not_applied", "adopt_levels")


def _reading(reading: Hypothesis, titles: Titles) -> Reading:
    def name(id: MemberId) -> str:
        return titles.get(id) or f"item {gid_number(id.item_id)}"

    return Reading(
        stock=reading.stock,
        moves=[f"{name(id)} {by:+d}" for id, by in reading.moves.items()],
        goals=[f"{name(id)} to {level}" for id, level in reading.goals.items()],
    )


def days_of(rows: Sequence[JournalRow], members: Iterable[MemberRow], zone: tzinfo) -> list[Day]:
    """A part of a journal as readable history, newest day and line first."""
    titles = titles_of((one.item_id, one.location_id, one.title) for one in members)
    told = list(reversed(history_lines(rows, titles)))
    return [
        Day(
            date=date,
            lines=[
                Happening(
                    time=f"{one.at.astimezone(zone):%H:%M:%S}",
                    text=_with_titles(one.text, titles),
                    run_id=one.run_id,
                )
                for one in lines
            ],
        )
        for date, lines in groupby(told, key=lambda one: f"{one.at.astimezone(zone):%A, %-d %B %Y}")
    ]


def csv_row(one: Shown) -> dict[str, Json]:
    """A stock as one row of a table."""
    return {
        "pool": one.row.pool_id,
        "shop": one.shop,
        "title": one.row.title,
        "product": one.row.product_id,
        "place": one.place,
        "stock": one.row.stock,
        "state": one.status,
        "levels": "; ".join(f"{line.title} {line.level}" for line in one.levels),
        "differences": "; ".join(f"{line.title} {line.off_by:+d}" for line in one.differing),
        "assumed": one.row.assumed,
        "reason": one.row.reason,
        "changed_at": one.row.updated_at,
    }


CSV_COLUMNS = (
    "pool", "shop", "title", "product", "place", "stock", "state", "levels", "differences", "assumed", "reason",
    "changed_at",
)  # fmt: skip
