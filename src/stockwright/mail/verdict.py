"""What an outcome means for its message: sent, tried again and when, failed, or nobody knows. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from stockwright.mail.outcome import Failure, NotSent, Sent, Unknown

RETRY_AFTER_MIN = (1, 5, 15, 30, 60)  # then every hour
GIVE_UP_AFTER = timedelta(hours=24)
IN_DOUBT = (
    "The mail server had the whole message and did not answer: perhaps it was delivered. Look whether it came, "
    "then send it again (or not)."
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A message's state after an attempt."""

    state: str
    outcome: str
    reason: str
    reply: str
    next_at: datetime | None = None


def judge(
    outcome: Sent | NotSent | Unknown,
    *,
    attempts: int,
    tried_since: datetime | None,
    now: datetime,
    spread: float,
) -> Verdict:
    """What an outcome means for the message; `attempts` were made before, `spread` 0..1 varies the pause."""
    match outcome:
        case Sent(reply=reply):
            return Verdict(state="sent", outcome="sent", reason="", reply=reply)
        case Unknown(reply=reply):
            return Verdict(state="unknown", outcome="unknown", reason=IN_DOUBT, reply=reply)
        case NotSent(failure=Failure.TRANSPORT | Failure.TEMPORARY):
            return _later(outcome, attempts, tried_since or now, now, spread)
        case NotSent(failure=Failure.CONFIGURATION):
            return _verdict(outcome, "pending", "The mail settings do not work.", now)
        case NotSent():
            return _verdict(outcome, "failed", _WHY_FAILED[outcome.failure])
        case _:
            assert_never(outcome)


_WHY_FAILED = {
    Failure.RECIPIENT: "The recipient was refused. Check the address.",
    Failure.SIZE: "The message is too large for the mail server.",
    Failure.POLICY: "The mail server refused the message by its rules. Its answer says which.",
}


def _later(outcome: NotSent, attempts: int, since: datetime, now: datetime, spread: float) -> Verdict:
    if now - since >= GIVE_UP_AFTER:
        hours = GIVE_UP_AFTER.total_seconds() / 3600
        return _verdict(outcome, "failed", f"Given up after {hours:.0f} hours of trying.")
    at = now + retry_pause(attempts, spread=spread)
    return _verdict(outcome, "pending", "The mail server could not take it yet.", at)


def _verdict(outcome: NotSent, state: str, reason: str, next_at: datetime | None = None) -> Verdict:
    return Verdict(
        state=state, outcome=outcome.failure.value, reason=reason, reply=outcome.reply, next_at=next_at
    )


def retry_pause(attempts: int, *, spread: float) -> timedelta:
    """The pause after the attempt that followed `attempts` others: 1, 5, 15, 30, 60 min, each up to 20 % longer."""
    minutes = RETRY_AFTER_MIN[min(attempts, len(RETRY_AFTER_MIN) - 1)]
    return timedelta(minutes=minutes * (1 + 0.2 * spread))
