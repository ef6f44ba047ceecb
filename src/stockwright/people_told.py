"""Why somebody was told, or was not: one sentence, and everything that happened, in words. Pure but for `story_of`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stockwright.deps import Deps
from stockwright.notify.states import State
from stockwright.store import people
from stockwright.store.people import (
    NotificationRow,
    OtherRow,
    PersonRow,
    StepRow,
    Suppressed,
    TryRow,
)

STATES = {
    State.UNCONFIRMED: "address not confirmed",
    State.PENDING: "waits for a restock",
    State.QUEUED: "mail is queued",
    State.SENT: "sent",
    State.UNKNOWN: "perhaps sent",
    State.FAILED: "not delivered",
    State.BOUNCED: "came back",
    State.UNSUBSCRIBED: "unsubscribed",
    State.CANCELLED: "cancelled",
    State.EXPIRED: "expired",
    State.SUPPRESSED: "not mailed any more",
}
_STEPS = {
    "signed_up": "Signed up",
    "imported": "Imported",
    "confirmed": "Confirmed the address",
    "asked_to_confirm": "Asked to confirm the address",
    "queued": "A mail was queued",
    "held": "Not told yet",
    "sent": "The mail server took the mail",
    "unknown": "Nobody knows whether the mail was delivered",
    "failed": "The mail was not delivered",
    "bounced": "The mail came back",
    "dropped": "Not told",
    "unsubscribed": "Unsubscribed",
    "cancelled": "Cancelled",
    "expired": "Expired",
    "suppressed": "Taken off: the address is not mailed any more",
    "sent_again": "Sent again",
    "erased": "Erased",
}
_BAD = frozenset({"failed", "bounced"})
_WARN = frozenset({"unknown", "held", "dropped", "suppressed"})
_GOOD = frozenset({"sent", "confirmed"})
_OUTCOMES = {
    "started": "was begun; its end is not known",
    "sent": "was taken by the mail server",
    "unknown": "ended without an answer",
    "recipient": "was refused: the server does not take mail for this address",
    "policy": "was refused by the server's rules",
    "size": "was refused: the message is too large",
    "temporary": "was put off by the server",
    "transport": "did not reach the server",
    "configuration": "failed: the mail settings do not work",
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """One thing that happened, in words."""

    at: datetime
    text: str
    detail: str = ""
    kind: str = "info"  # good | info | warn | bad
    by: str = ""  # "" = the service or the shopper
    wave_id: str = ""
    message_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Story:
    """One request with all that is known of it."""

    row: PersonRow
    because: str  # why it was, or was not, sent
    told: tuple[Told, ...]  # oldest first
    notifications: tuple[NotificationRow, ...]
    tries: tuple[TryRow, ...]
    others: tuple[OtherRow, ...]
    suppressed: Suppressed | None


async def story_of(deps: Deps, row: PersonRow) -> Story:
    """Everything about one request."""
    async with deps.database.connection() as conn:
        steps = await people.steps(conn, row.shop_id, row.subscriber_id)
        tellings = await people.notifications(conn, row.shop_id, row.subscriber_id)
        ids = sorted({one.message_id for one in tellings if one.message_id} | ({row.message_id} - {""}))
        tries = await people.tries(conn, row.shop_id, ids)
        others = await people.others(conn, row.shop_id, row.subscriber_id)
        suppressed = await people.suppression(conn, row.shop_id, row.subscriber_id)
    return Story(
        row=row,
        because=because(row, tellings, suppressed),
        told=timeline(row, steps, tries),
        notifications=tuple(tellings),
        tries=tuple(tries),
        others=tuple(others),
        suppressed=suppressed,
    )


def because(row: PersonRow, tellings: Sequence[NotificationRow], suppressed: Suppressed | None) -> str:
    """Why this was, or was not, sent."""
    if not row.email:
        return "Erased: nothing that names this person is kept, and nothing is sent."
    if suppressed is not None and row.state in (State.PENDING, State.QUEUED, State.UNCONFIRMED):
        return f"Not sent: the address is on the suppression list ({suppressed.reason})."
    last = tellings[-1] if tellings else None
    held = last.reason if last and last.state in ("held", "dropped") else ""
    reply = last.smtp_reply if last else ""
    match row.state:
        case State.UNCONFIRMED:
            return "Not sent: the address is not confirmed. Nobody is told before pressing the button of that mail."
        case State.PENDING:
            return f"Not sent yet: {_sentence(row.reason or held or 'the variant has not come back in stock since.')}"
        case State.QUEUED:
            return f"Not sent yet: a mail is queued. {_sentence(row.reason)}".strip()
        case State.SENT:
            return f"Sent: the mail server took the mail. {_quoted(reply)}".strip()
        case State.UNKNOWN:
            return (
                "Perhaps sent: the connection was lost before the server answered. It is not sent again by itself. "
                + _sentence(row.reason)
            ).strip()
        case State.FAILED | State.BOUNCED:
            return (
                f"Not delivered: {_sentence(row.reason or 'the mail was refused.')} {_quoted(reply)}".strip()
            )
        case State.UNSUBSCRIBED:
            return f"Nothing more is sent: the person unsubscribed. {_sentence(row.reason)}".strip()
        case _:
            return f"Not sent: {_sentence(row.reason or STATES[State(row.state)] + '.')}"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _quoted(reply: str) -> str:
    return f"The mail server said: {reply}" if reply else ""


def note_of(row: PersonRow) -> str:
    """The note beside the status in lists: the finer state, and why."""
    words = STATES[State(row.state)]
    plain = row.state in (State.SENT, State.PENDING)
    if plain and not row.reason:
        return ""
    return f"{words}: {row.reason}" if row.reason else words


def timeline(row: PersonRow, steps: Sequence[StepRow], tries: Sequence[TryRow]) -> tuple[Told, ...]:
    """What happened, oldest first; a sign-up without a step of its own is told from the row."""
    found = [_step(one) for one in steps] + [_try(one) for one in tries]
    if not any(one.what in ("signed_up", "imported") for one in steps):
        detail = _SOURCES.get(row.source, row.source)
        found.insert(0, Told(at=row.created_at, text=_STEPS["signed_up"], detail=detail))
    return tuple(sorted(found, key=lambda one: one.at))


_SOURCES = {
    "proxy": "On the product page.",
    "direct": "On a page of the shop.",
    "import": "From a file.",
    "admin": "By a person.",
    "api": "Through the API.",
}


def source_words(source: str) -> str:
    """Where a request was made, in words."""
    return _SOURCES.get(source, source).rstrip(".")


def _step(one: StepRow) -> Told:
    kinds = {**dict.fromkeys(_BAD, "bad"), **dict.fromkeys(_WARN, "warn"), **dict.fromkeys(_GOOD, "good")}
    return Told(
        at=one.at,
        text=_STEPS.get(one.what, one.what.replace("_", " ").capitalize()),
        detail=one.detail,
        kind=kinds.get(one.what, "info"),
        by=one.actor,
        wave_id=one.wave_id,
    )


def _try(one: TryRow) -> Told:
    outcome = _OUTCOMES.get(one.outcome, f"failed ({one.outcome})")
    kind = "good" if one.outcome == "sent" else "warn" if one.outcome in ("started", "unknown") else "bad"
    return Told(
        at=one.started_at,
        text=f"Attempt {one.attempt} at {one.server} {outcome}",
        detail=one.reply,
        kind=kind,
        message_id=one.message_id,
    )
