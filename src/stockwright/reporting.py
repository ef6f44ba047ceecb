"""Tells of failed runs: an event that automations may listen to, and one mail per cause and hour to the owner.

Part of the transaction that saves the run. Must never make that transaction fail.
"""

import hashlib
import re
from datetime import datetime, timedelta

import structlog

from stockwright.deps import Deps
from stockwright.mail.addresses import MailRefused
from stockwright.mail.templates import one_line
from stockwright.mailing import queue_mail, time_text
from stockwright.model import EventId, Json, JsonObject, NewEvent, Source
from stockwright.situations import Loaded
from stockwright.store import inbox, mail_settings, messages
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.runs import RunRow

LOG = structlog.get_logger(__name__)

ERRORS = "mechanic/errors/"
TASK_ERROR = f"{ERRORS}task"
_DETAILS = 12  # of a report
_VALUE_LIMIT = 300
_VARYING = re.compile(r"gid://\S+|\b[a-z]{2,5}_[0-9a-z]{20}\b|\d+|\"[^\"]*\"|“[^”]*”|'[^']*'")


async def report_failure(conn: Connection, deps: Deps, loaded: Loaded, run: RunRow) -> None:
    """Emit the error event and queue the owner's mail for a run that failed; nothing for any other run.

    Call it last in the transaction that saves the run: it wakes keys. A run that answers an error event does not
    report its own failure as an event, or two automations could keep each other busy for ever.
    """
    if run.state != "failed" or run.error is None:
        return
    if not any(event.topic.startswith(ERRORS) for event in loaded.situation.events):
        await inbox.receive(conn, [_event(loaded, run, deps.clock())])
    try:
        await _mail_owner(conn, deps, loaded, run)
    except MailRefused as error:
        LOG.warning("the owner cannot be told of a failed run", shop=loaded.shop.domain, error=str(error))


def cause_of(error: JsonObject) -> str:
    """What went wrong, for a person."""
    return one_line(str(error.get("message") or "The run failed without saying why."))


def cause_key(error: JsonObject) -> str:
    """The same for failures of one cause, whatever product, number or time they name."""
    text = f"{error.get('code', '')} {_VARYING.sub('#', cause_of(error))}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _event(loaded: Loaded, run: RunRow, at: datetime) -> NewEvent:
    events = loaded.situation.events
    return NewEvent(
        shop_id=run.shop_id,
        event_id=EventId(new_id("evt", at)),
        topic=TASK_ERROR,
        payload={
            "message": cause_of(run.error or {}),
            "task": {"id": run.automation_id, "name": loaded.row.name, "kind": run.kind},
            "run": {"id": run.run_id, "subject": run.subject, "because": run.because, "error": run.error},
            "event": {"id": events[0].event_id, "topic": events[0].topic} if events else None,
        },
        source=Source.AUTOMATION,
    )


async def _mail_owner(conn: Connection, deps: Deps, loaded: Loaded, run: RunRow) -> None:
    error, at = run.error or {}, deps.clock()
    row = await mail_settings.get(conn, run.shop_id)
    to = row.owner_email or deps.mailing.owner_email
    if not to:
        return
    key = f"error:{run.automation_id}:{cause_key(error)}:{at:%Y%m%d%H}"
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
        "automation": {"name": loaded.row.name},
        "run": {**run_data(deps, run.run_id), "failed_at": time_text(at, loaded.shop)},
        "cause": cause_of(error),
        "because": run.because,
        "subject": run.title,
        "failures_24h": max(1, failures),
        "details": _details(error),
    }
    await queue_mail(conn, loaded.shop, kind="error_report", key=key, to=to, data=data, at=at)


def run_data(deps: Deps, run_id: str) -> dict[str, str]:
    """How a mail points to a run."""
    public_url = deps.mailing.public_url
    return {
        "id": run_id,
        "url": f"{public_url}/runs/{run_id}" if public_url else "",
        "command": f"stockwright explain {run_id}",
    }


def _details(error: JsonObject) -> list[dict[str, str]]:
    more = [(name, value) for name, value in error.items() if name not in ("message", "code") and value]
    return [{"name": name.replace("_", " "), "value": _value(value)} for name, value in more[:_DETAILS]]


def _value(value: Json) -> str:
    text = (
        ", ".join(_value(one) for one in value) if isinstance(value, list | tuple) else one_line(str(value))
    )
    return text if len(text) <= _VALUE_LIMIT else f"{text[:_VALUE_LIMIT]}…"
