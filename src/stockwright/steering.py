"""A person's hand on runs: repeat one, stop a scan. Both leave rows for the worker; neither calls a shop."""

from stockwright.deps import Deps
from stockwright.model import (
    PRODUCT_CHECK,
    USER_TRIGGER,
    WHOLE_SHOP,
    Conflicting,
    EventId,
    Key,
    NewEvent,
    Source,
)
from stockwright.store import automations, inbox, keys, steering, wake
from stockwright.store.audit import COMMAND_LINE, Actor, audit
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.runs import RunRow
from stockwright.store.steering import Cause


async def repeat(deps: Deps, run: RunRow, *, by: Actor = COMMAND_LINE) -> list[EventId]:
    """Put a run's events into the inbox once more, for its automation and subject, due now.

    A run whose events are gone, or that had none, is repeated by a fresh look at its subject.

    Raises:
        Conflicting: it still goes on, or its automation is disabled or removed.
    """
    if run.state == "running":
        raise Conflicting(
            f"The run {run.run_id} still goes on. Wait for its end or cancel it, then repeat it."
        )
    async with deps.database.connection() as conn, conn.transaction():
        await _check_automation(conn, run)
        await _audit(deps, conn, by, "run.repeat", run)
        causes = await steering.events_to_repeat(conn, run.shop_id, run.run_id)
        events = [_again(deps, run, cause) for cause in causes or [_fresh_look(run)]]
        event_ids = [event.event_id for event in events]
        await inbox.receive(conn, events)
        key = _key(run)
        await steering.hurry(conn, key, event_ids)
        await wake.wake(conn, [(key, None)])
    return event_ids


async def _check_automation(conn: Connection, run: RunRow) -> None:
    row = await automations.get(conn, run.shop_id, run.automation_id)
    if row is None:
        raise Conflicting(f"The automation of the run {run.run_id} was removed, so nothing can repeat it.")
    if not row.enabled:
        raise Conflicting(f"{row.name!r} ({row.automation_id}) is disabled. Enable it, then repeat the run.")


def _fresh_look(run: RunRow) -> Cause:
    topic = USER_TRIGGER if run.subject == WHOLE_SHOP else PRODUCT_CHECK
    return Cause(topic=topic, payload={"because": "a person asked for it again", "run_id": run.run_id})


def _again(deps: Deps, run: RunRow, cause: Cause) -> NewEvent:
    return NewEvent(
        shop_id=run.shop_id,
        event_id=EventId(new_id("evt", deps.clock())),
        topic=cause.topic,
        payload=cause.payload,
        source=Source.PERSON,
        subject=run.subject,
        automation_id=run.automation_id,
    )


async def cancel(deps: Deps, run: RunRow, *, by: Actor = COMMAND_LINE) -> None:
    """Stop a scan: at once when no worker is at it, else between two of its pages. What is done stays done.

    Raises:
        Conflicting: it has ended.
    """
    async with deps.database.connection() as conn, conn.transaction():
        if not await steering.ask_to_stop(conn, run.shop_id, run.run_id, by=by.name):
            raise Conflicting(f"The run {run.run_id} has ended already: {run.state}.")
        await _audit(deps, conn, by, "run.cancel", run)
        cursor = (await keys.state(conn, _key(run))).cursor
        if cursor is None or cursor.get("run_id") != run.run_id:
            because = f"Cancelled by {by.name}; no worker was at it any more."
            await steering.close(conn, run.shop_id, run.run_id, because=because, at=deps.clock())


def _key(run: RunRow) -> Key:
    return Key(shop_id=run.shop_id, automation_id=run.automation_id, subject=run.subject)


async def _audit(deps: Deps, conn: Connection, by: Actor, action: str, run: RunRow) -> None:
    await audit(conn, by, action, run.title or run.kind, {"run_id": run.run_id}, at=deps.clock())
