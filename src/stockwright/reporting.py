"""Tells of failed runs: an event that automations may listen to, and one mail per cause and hour to the owner.

An alarm of a shared stock is a cause of its own, up to some in an hour.

Part of the transaction that saves the run. Must never make that transaction fail.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from stockwright.deps import Deps
from stockwright.mail.addresses import MailRefused
from stockwright.mail.templates import one_line
from stockwright.mailing import queue_mail, run_data, time_text
from stockwright.model import Event, EventId, Json, JsonObject, Key, NewEvent, RunId, Source
from stockwright.store import automations, inbox, keys, mail_settings, messages, runs, shops
from stockwright.store.automations import AutomationRow
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.runs import RunRow
from stockwright.store.shops import Shop

LOG = structlog.get_logger(__name__)

ERRORS = "mechanic/errors/"
TASK_ERROR = f"{ERRORS}task"
_DETAILS = 12  # of a report
_ALARM_MAILS = 20  # of one automation and kind in an hour, each about one stock
_VALUE_LIMIT = 300
_VARYING = re.compile(r"gid://\S+|\b[a-z]{2,5}_[0-9a-z]{20}\b|\d+|\"[^\"]*\"|“[^”]*”|'[^']*'")


async def report_failure(
    conn: Connection, deps: Deps, run_id: RunId, *, topics: Sequence[str] | None = None
) -> None:
    """Emit the error event and queue the owner's mail for a stored run that failed; nothing for any other run.

    Call it last in the transaction that saves the run: it wakes keys. `topics`: of the run's events, when they
    are not marked as its own. A run that answers an error event emits none for its own failure, or two
    automations could keep each other busy for ever.
    """
    run = await runs.get(conn, run_id)
    if run is None or run.state != "failed" or run.error is None:
        return
    automation = await automations.get(conn, run.shop_id, run.automation_id)
    shop = await shops.get(conn, run.shop_id)
    if automation is None or shop is None:
        return
    events = await runs.events(conn, run.shop_id, run.run_id)
    heard = topics if topics is not None else [event.topic for event in events]
    if not any(topic.startswith(ERRORS) for topic in heard):
        await inbox.receive(conn, [_event(automation, run, events, deps.clock())])
    try:
        await _mail_owner(conn, deps, shop, automation, run)
    except MailRefused as error:
        LOG.warning("the owner cannot be told of a failed run", shop=shop.domain, error=str(error))


async def save_failed_run(
    deps: Deps, conn: Connection, key: Key, *, because: str, error: JsonObject, tell: bool
) -> RunId | None:
    """Store a run that tells why there was none; its events are not marked as its own.

    None: the key is of no automation, or of one that was removed.
    """
    automation, now = await automations.get(conn, key.shop_id, key.automation_id), deps.clock()
    if automation is None:
        return None
    run = RunRow(
        shop_id=key.shop_id,
        run_id=RunId(new_id("run", now)),
        automation_id=key.automation_id,
        kind=automation.kind,
        subject=key.subject,
        title="",
        state="failed",
        because=because,
        error=error,
        started_at=now,
        finished_at=now,
    )
    await runs.save(conn, run)
    if tell:
        waiting = await keys.pending(conn, key, now)
        await report_failure(conn, deps, run.run_id, topics=[event.topic for event in waiting])
    return run.run_id


def cause_of(error: JsonObject) -> str:
    """What went wrong, for a person."""
    return one_line(str(error.get("message") or "The run failed without saying why."))


def cause_key(error: JsonObject) -> str:
    """The same for failures of one cause, whatever product, number or time they name."""
    text = f"{error.get('code', '')} {_VARYING.sub('#', cause_of(error))}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _event(automation: AutomationRow, run: RunRow, events: Sequence[Event], at: datetime) -> NewEvent:
    return NewEvent(
        shop_id=run.shop_id,
        event_id=EventId(new_id("evt", at)),
        topic=TASK_ERROR,
        payload={
            "message": cause_of(run.error or {}),
            "task": {"id": run.automation_id, "name": automation.name, "kind": run.kind},
            "run": {"id": run.run_id, "subject": run.subject, "because": run.because, "error": run.error},
            "event": {"id": events[0].event_id, "topic": events[0].topic} if events else None,
        },
        source=Source.AUTOMATION,
    )


async def _mail_owner(
    conn: Connection, deps: Deps, shop: Shop, automation: AutomationRow, run: RunRow
) -> None:
    error, at = run.error or {}, deps.clock()
    row = await mail_settings.get(conn, run.shop_id)
    to = row.owner_email or deps.mailing.owner_email
    if not to:
        return
    about = await _about(conn, run, error, at)
    key = f"error:{run.automation_id}:{cause_key(error)}{about}:{at:%Y%m%d%H}"
    if await messages.find_key(conn, run.shop_id, key) is not None:
        return
    failures = await messages.failures_like(
        conn,
        run.shop_id,
        run.automation_id,
        message=str(error.get("message")),
        since=at - timedelta(hours=24),
    )
    data = {
        "automation": {"name": automation.name},
        "run": {**run_data(deps.mailing, run.run_id), "failed_at": time_text(at, shop)},
        "cause": cause_of(error),
        "because": run.because,
        "subject": run.title,
        "failures_24h": max(1, failures),
        "details": _details(error),
    }
    await queue_mail(conn, shop, kind="error_report", key=key, to=to, data=data, at=at)


async def _about(conn: Connection, run: RunRow, error: JsonObject, at: datetime) -> str:
    """The stock that an alarm is about, for the first ones: a thousand at once are no thousand mails."""
    pool_id, code = error.get("pool_id"), error.get("code")
    if not pool_id or not code:
        return ""
    since = at - timedelta(hours=1)
    told = await runs.failed_with_code(conn, run.shop_id, run.automation_id, code=str(code), since=since)
    return f":{pool_id}" if told <= _ALARM_MAILS else ":more"


def _details(error: JsonObject) -> list[dict[str, str]]:
    more = [(name, value) for name, value in error.items() if name not in ("message", "code") and value]
    return [{"name": name.replace("_", " "), "value": _value(value)} for name, value in more[:_DETAILS]]


def _value(value: Json) -> str:
    text = (
        ", ".join(_value(one) for one in value) if isinstance(value, list | tuple) else one_line(str(value))
    )
    return text if len(text) <= _VALUE_LIMIT else f"{text[:_VALUE_LIMIT]}…"
