"""Runs and the history of shared stocks in words. Pure: it is given rows and returns lines."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import groupby

from stockwright.ledger import wire
from stockwright.ledger.draft import short
from stockwright.ledger.history import describe
from stockwright.ledger.hypotheses import Hypotheses, Hypothesis, hypotheses
from stockwright.ledger.state import MemberId, PoolState
from stockwright.model import (
    ENABLED,
    INVENTORY_UPDATE,
    PRODUCT_CHECK,
    RECONCILE,
    SCHEDULER_PREFIX,
    USER_TRIGGER,
    Event,
    Json,
    JsonObject,
    gid_number,
)
from stockwright.store.api_reads import PoolLine
from stockwright.store.pools import JournalRow, PoolRow
from stockwright.store.runs import AttemptRow, EffectRow, RunRow

Titles = Mapping[MemberId, str]

# Told by their outcome, or of no interest to a person who asks why a number is what it is.
_UNTOLD = frozenset({"intent_opened", "stamped", "checkpoint"})


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    """What one run, or one decision of a person, did to a shared stock."""

    at: datetime
    text: str
    run_id: str | None


@dataclass(frozen=True, kw_only=True)
class RunStory:
    """Everything that is known of a run."""

    run: RunRow
    events: Sequence[Event]
    effects: Sequence[EffectRow]
    attempts: Sequence[AttemptRow]
    history: Mapping[str, Sequence[JournalRow]]  # entries of this run by pool id
    titles: Titles


def history_lines(entries: Iterable[JournalRow], titles: Titles) -> list[HistoryLine]:
    """The journal of a pool, one line per run; an open correction is told as such."""
    rows = list(entries)
    lines = []
    for run_id, group in groupby(rows, key=lambda row: row.run_id):
        together = list(group)
        told = [describe(wire.entry_from_json(row.data), titles) for row in together if _is_told(row, rows)]
        if told:
            lines.append(HistoryLine(at=together[0].at, text="; ".join(told), run_id=run_id))
    return lines


def _is_told(row: JournalRow, rows: Sequence[JournalRow]) -> bool:
    return row.kind not in _UNTOLD or (row.kind == "intent_opened" and row is rows[-1])


def titles_of(members: Iterable[tuple[str, str, str]]) -> dict[MemberId, str]:
    """Titles by level, from (item id, location id, title)."""
    return {MemberId(item, location): title for item, location, title in members if title}


def clock_text(at: datetime, zone: tzinfo) -> str:
    """A moment as a person in that zone writes it."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


# --- runs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EffectTold:
    """One effect in words, with a line for each attempt and its reply."""

    text: str
    state: str
    attempts: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class RunTold:
    """A run in words, by the parts of its story."""

    causes: Sequence[str]
    facts: Sequence[str]
    because: str
    reported: str  # "" when it went well
    effects: Sequence[EffectTold]
    ledger: Sequence[str]


def tell(story: RunStory, zone: tzinfo) -> RunTold:
    """A run in words; times in the zone given."""
    run = story.run
    return RunTold(
        causes=[_event_line(event, zone, _items(run.input)) for event in story.events],
        facts=_fact_lines(run.input),
        because=run.because,
        reported=str(run.error.get("message", run.error)) if run.error else "",
        effects=[_effect_told(effect, story, zone) for effect in story.effects],
        ledger=_ledger_lines(story, zone),
    )


def explain(story: RunStory, zone: tzinfo) -> list[str]:
    """A run from its cause to its end, line by line."""
    run, told = story.run, tell(story, zone)
    took = f", {(run.finished_at - run.started_at).total_seconds():.3f} s" if run.finished_at else ""
    lines = [
        f"Run {run.run_id} of {run.kind} on {run.title or run.subject}",
        f"{run.state} at {clock_text(run.started_at, zone)}{took}, {run.requests} Admin API requests",
        "",
        "Because of:",
        *_bullets(told.causes),
        "",
        "It read:",
        *_bullets(told.facts),
        "",
        f"It decided: {told.because}",
    ]
    if told.reported:
        lines += ["", f"It reported: {told.reported}"]
    lines += ["", "It did:", *_bullets(_effect_lines(told.effects))]
    return [*lines, "", "In the ledger:", *_bullets(told.ledger)]


def _bullets(texts: Iterable[str]) -> list[str]:
    return [f"  {'  ' if text.startswith(' ') else '- '}{text}" for text in texts] or ["  - nothing"]


_CAUSES = {
    INVENTORY_UPDATE: "A stock level changed in the shop",
    USER_TRIGGER: "Somebody pressed Run now",
    ENABLED: "The automation was switched on",
    RECONCILE: "The regular look at all stocks",
    PRODUCT_CHECK: "A look at many products found this one to be looked at",
    "mechanic/errors/task": "A run of an automation failed",
}


def cause_text(topic: str) -> str:
    """What an event says that happened; a topic that has no words here is quoted."""
    if topic.startswith(SCHEDULER_PREFIX):
        return f"It was due by its schedule ({topic.removeprefix(SCHEDULER_PREFIX)})"
    return _CAUSES.get(topic, f"The event {topic} came")


def _event_line(event: Event, zone: tzinfo, items: Mapping[str, str]) -> str:
    payload = event.payload
    level = ""
    if "inventory_item_id" in payload:
        number = str(payload["inventory_item_id"])
        named = items.get(number) or f"item {number}"
        level = f": {named} at {payload.get('available')} (not trusted, read instead)"
    return f"{clock_text(event.received_at, zone)} {cause_text(event.topic)}{level}"


def _product(recorded: JsonObject | None) -> Json:
    """The product that the run read; None when it read none."""
    return (recorded or {}).get("product") or (recorded or {}).get("shown")


def _items(recorded: JsonObject | None) -> dict[str, str]:
    """Titles of the product's variants by the numbers of their items, as the run saw them."""
    product = _product(recorded)
    variants = product["variants"] if product else ()
    return {gid_number(variant["item_id"]): variant["title"] for variant in variants}


def _fact_lines(recorded: JsonObject | None) -> list[str]:
    """The levels of the product as the run saw them, from its recorded input."""
    product = _product(recorded)
    if recorded is None or product is None:
        return []
    names = {location["id"]: location["name"] for location in recorded["shop"]["locations"]}
    shown = [
        f"{variant['title']} at {names.get(level['location_id'], gid_number(level['location_id']))}: {level['available']}"
        for variant in product["variants"]
        for level in variant["levels"]
        if level["is_active"]
    ]
    return [f"{product['title']}, {len(product['variants'])} variants", *shown]


def _effect_told(effect: EffectRow, story: RunStory, zone: tzinfo) -> EffectTold:
    tries = [
        f"attempt {attempt.attempt} at {clock_text(attempt.started_at, zone)}: "
        f"{_named(_attempt_text(attempt), story.titles)}"
        for attempt in story.attempts
        if attempt.effect_id == effect.effect_id
    ]
    return EffectTold(text=effect_text(effect), state=effect.state, attempts=tries)


def _effect_lines(effects: Iterable[EffectTold]) -> list[str]:
    lines = []
    for effect in effects:
        lines.append(f"{effect.text}: {effect.state}")
        lines += [f"  {attempt}" for attempt in effect.attempts]
    return lines


def effect_text(effect: EffectRow) -> str:
    """What an effect is, in words."""
    if effect.kind == "correct":
        rows = ", ".join(f"{row['level']} {row['from']} -> {row['to']}" for row in effect.payload["rows"])
        return f"correct {rows}"
    if effect.kind in ("publish", "unpublish"):
        names = ", ".join(channel["name"] for channel in effect.payload["channels"])
        done = "publish to" if effect.kind == "publish" else "take off"
        return f"{done} {names}: {effect.payload['title']} ({effect.payload['quantity']} available)"
    if effect.kind == "mail":
        return f"mail to {effect.payload['to']} about {', '.join(effect.payload['products'][:5])}"
    if effect.kind == "emit":
        return f"emit {effect.payload.get('topic')}"
    if effect.kind == "offer":
        return f"offer {effect.payload['name']}: {effect.payload['because']}"
    return effect.kind


def _named(text: str, titles: Titles) -> str:
    """The same sentence with titles where the ledger, which knows none, has numbers of items."""
    for id, title in titles.items():
        text = re.sub(rf"\b{re.escape(short(id))}\b", title, text)
    return text


def _attempt_text(attempt: AttemptRow) -> str:
    detail = attempt.detail or {}
    said = f" ({detail['detail']})" if detail.get("detail") else ""
    then = f". {detail['because']}" if detail.get("because") else ""
    return f"{attempt.outcome.replace('_', ' ')}{said}{then}"


def _ledger_lines(story: RunStory, zone: tzinfo) -> list[str]:
    return [
        f"{clock_text(line.at, zone)} {line.text}"
        for rows in story.history.values()
        for line in history_lines(rows, story.titles)
    ]


# --- shared stocks ----------------------------------------------------------------------------------------


def pool_row(
    *, pool_id: str, title: str, stock: int, status: str, reason: str, state: PoolState, titles: Titles
) -> dict[str, Json]:
    """A shared stock as one row of a table."""
    levels = {titles.get(id) or gid_number(id.item_id): m.expected for id, m in sorted(state.members.items())}
    off = {
        titles.get(id) or gid_number(id.item_id): m.expected - state.stock // m.units
        for id, m in sorted(state.members.items())
        if m.expected != state.stock // m.units
    }
    return {
        "pool": pool_id,
        "title": title,
        "stock": stock,
        "levels": ", ".join(f"{name} {level}" for name, level in levels.items()),
        "differences": ", ".join(f"{name} {by:+d}" for name, by in off.items()),
        "state": "correcting" if state.intent and status == "active" else status,
        "reason": reason,
    }


def pool_json(row: PoolRow | PoolLine, titles: Titles, *, shop: str) -> dict[str, Json]:
    """A shared stock for programs: what the API and `stock show --json` tell. `shop`: its domain."""
    state = pool_state(row.state)
    return {
        "pool": row.pool_id,
        "title": row.title,
        "stock": row.stock,
        "levels": [
            {
                "item_id": id.item_id,
                "location_id": id.location_id,
                "title": titles.get(id) or gid_number(id.item_id),
                "level": member.expected,
                "units": member.units,
                "off_by": member.expected - state.stock // member.units,
            }
            for id, member in sorted(state.members.items())
        ],
        "state": "correcting" if state.intent and row.status == "active" else row.status,
        "reason": row.reason,
        "automation": row.automation_id,
        "shop": shop,
        "product_id": row.product_id,
        "location_id": row.location_id,
        "version": row.version,
        "assumed": row.assumed,
        "updated_at": row.updated_at,
    }


def hypothesis_lines(state: PoolState, titles: Titles) -> list[str]:
    """Both readings of a correction in doubt, with numbers, for the person who decides."""
    both: Hypotheses | None = hypotheses(state)
    if both is None:
        return []
    return [
        f"If it was applied: {_reading(both.if_applied, titles)}",
        f"If it was not:     {_reading(both.if_not, titles)}",
    ]


def _reading(reading: Hypothesis, titles: Titles) -> str:
    moves = ", ".join(
        f"{titles.get(id) or gid_number(id.item_id)} {by:+d}" for id, by in reading.moves.items()
    )
    return f"the stock is {reading.stock}; others moved {moves or 'nothing'} meanwhile"


def pool_state(data: JsonObject) -> PoolState:
    """A stored pool's state."""
    return wire.state_from_json(data)
