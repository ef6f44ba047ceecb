"""Runs, the effects they decided on, and each attempt at an effect."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import AutomationId, EffectId, Event, Json, JsonObject, Key, RunId, ShopId
from stockwright.store.queries import queries

SQL = queries("runs")


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run: what was decided for a subject, and why."""

    shop_id: ShopId
    run_id: RunId
    automation_id: AutomationId
    kind: str
    subject: str
    title: str
    state: str  # running | succeeded | failed | cancelled
    because: str
    error: JsonObject | None = None
    plan: JsonObject | None = None
    input: JsonObject | None = None
    progress: JsonObject | None = None
    requests: int = 0
    started_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class EffectRow:
    """One effect of a run."""

    effect_id: EffectId
    kind: str
    payload: JsonObject
    state: str = "pending"  # pending | done | failed | unknown | cancelled
    attempts: int = 0
    result: JsonObject | None = None
    created_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """One try at an effect."""

    effect_id: EffectId
    attempt: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    detail: JsonObject | None = field(default=None)


async def save(conn: AsyncConnection, run: RunRow) -> None:
    """Write a run, or its newer state."""
    values: dict[str, Any] = {**run.__dict__}
    for column in ("error", "plan", "input", "progress"):
        values[column] = _jsonb(values[column])
    await conn.execute(SQL.insert_run, values)


def _jsonb(value: Json) -> Jsonb | None:
    return None if value is None else Jsonb(value)


async def add_requests(conn: AsyncConnection, shop_id: ShopId, run_id: RunId, requests: int) -> None:
    """Count Admin API requests that a run's effects made."""
    await conn.execute(SQL.add_requests, {"shop_id": shop_id, "run_id": run_id, "requests": requests})


async def get(conn: AsyncConnection, run_id: str) -> RunRow | None:
    """One run by its id alone; ids are unique over all shops."""
    async with conn.cursor(row_factory=class_row(RunRow)) as cursor:
        await cursor.execute(SQL.get_run, {"run_id": run_id})
        return await cursor.fetchone()


async def list_runs(
    conn: AsyncConnection,
    *,
    shop_id: ShopId | None = None,
    automation_id: str | None = None,
    state: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[RunRow]:
    """Runs, newest first, without their plans and inputs; `before` is the last id of the page before."""
    values = {
        "shop_id": shop_id,
        "automation_id": automation_id,
        "state": state,
        "before": before,
        "limit": limit,
    }
    async with conn.cursor(row_factory=class_row(RunRow)) as cursor:
        await cursor.execute(SQL.list_runs, values)
        return await cursor.fetchall()


async def events(conn: AsyncConnection, shop_id: ShopId, run_id: str) -> list[Event]:
    """The events that went into a run."""
    async with conn.cursor(row_factory=class_row(Event)) as cursor:
        await cursor.execute(SQL.events_of_run, {"shop_id": shop_id, "run_id": run_id})
        return await cursor.fetchall()


async def add_effect(conn: AsyncConnection, key: Key, run_id: RunId, effect: EffectRow) -> None:
    """Write an effect of a run, to be performed once."""
    values = {
        "shop_id": key.shop_id,
        "automation_id": key.automation_id,
        "subject": key.subject,
        "run_id": run_id,
        "effect_id": effect.effect_id,
        "kind": effect.kind,
        "payload": Jsonb(effect.payload),
        "state": effect.state,
        "result": _jsonb(effect.result),
        "created_at": effect.created_at,
        "finished_at": effect.finished_at,
    }
    await conn.execute(SQL.insert_effect, values)


async def begin_attempt(
    conn: AsyncConnection, shop_id: ShopId, effect_id: EffectId, at: datetime
) -> int | None:
    """Record that an effect is about to be tried; None when it is not pending any more."""
    cursor = await conn.execute(SQL.begin_attempt, {"shop_id": shop_id, "effect_id": effect_id, "at": at})
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def end_attempt(
    conn: AsyncConnection,
    shop_id: ShopId,
    effect_id: EffectId,
    attempt: int,
    *,
    outcome: str,
    detail: JsonObject,
    at: datetime,
) -> None:
    """Record what came of an attempt."""
    values = {
        "shop_id": shop_id,
        "effect_id": effect_id,
        "attempt": attempt,
        "outcome": outcome,
        "detail": Jsonb(detail),
        "at": at,
    }
    await conn.execute(SQL.end_attempt, values)


async def finish_effect(
    conn: AsyncConnection,
    shop_id: ShopId,
    effect_id: EffectId,
    *,
    state: str,
    result: JsonObject,
    at: datetime,
) -> None:
    """Set an effect's final state."""
    values = {
        "shop_id": shop_id,
        "effect_id": effect_id,
        "state": state,
        "result": Jsonb(result),
        "at": at,
    }
    await conn.execute(SQL.finish_effect, values)


async def orphan_corrections(conn: AsyncConnection, key: Key, at: datetime, reason: str) -> None:
    """Close corrections that a crashed run left pending."""
    values = {
        "shop_id": key.shop_id,
        "automation_id": key.automation_id,
        "subject": key.subject,
        "at": at,
        "result": Jsonb({"reason": reason}),
    }
    await conn.execute(SQL.orphan_corrections, values)


async def orphan_placements(conn: AsyncConnection, key: Key, at: datetime, reason: str) -> list[JsonObject]:
    """Close publishing effects that a crashed run left pending; their payloads."""
    values = {
        "shop_id": key.shop_id,
        "automation_id": key.automation_id,
        "subject": key.subject,
        "at": at,
        "result": Jsonb({"reason": reason}),
    }
    cursor = await conn.execute(SQL.orphan_placements, values)
    return [row[0] for row in await cursor.fetchall()]


async def report_error(conn: AsyncConnection, shop_id: ShopId, run_id: RunId, error: JsonObject) -> bool:
    """A run that had ended well reports an error all the same, of one of its effects; False when it failed before."""
    values = {"shop_id": shop_id, "run_id": run_id, "error": Jsonb(error)}
    return await (await conn.execute(SQL.report_error, values)).fetchone() is not None


async def failed_with_code(
    conn: AsyncConnection, shop_id: ShopId, automation_id: str, *, code: str, since: datetime
) -> int:
    """How many runs of an automation have failed with an error of this code since."""
    values = {"shop_id": shop_id, "automation_id": automation_id, "code": code, "since": since}
    row = await (await conn.execute(SQL.failed_with_code, values)).fetchone()
    return int(row[0]) if row else 0


async def effects(conn: AsyncConnection, shop_id: ShopId, run_id: str) -> list[EffectRow]:
    """The effects of a run."""
    async with conn.cursor(row_factory=class_row(EffectRow)) as cursor:
        await cursor.execute(SQL.effects_of_run, {"shop_id": shop_id, "run_id": run_id})
        return await cursor.fetchall()


async def attempts(conn: AsyncConnection, shop_id: ShopId, run_id: str) -> list[AttemptRow]:
    """Every attempt at every effect of a run."""
    async with conn.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(SQL.attempts_of_run, {"shop_id": shop_id, "run_id": run_id})
        return await cursor.fetchall()
