"""What came of handing a message over: a closed set, read from the server's replies by RFC 5321 and RFC 3463."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Failure(StrEnum):
    """Classes of failure, by what is to be done."""

    TRANSPORT = "transport"  # no connection, or lost before the end of the message: later again
    TEMPORARY = "temporary"  # the server asks for patience: later again
    CONFIGURATION = "configuration"  # the settings do not work: stop, tell, count nothing
    RECIPIENT = "recipient"  # there is no such recipient: failed
    SIZE = "size"  # failed
    POLICY = "policy"  # refused for what it is or who we are: failed, the address is not to blame


class Stage(StrEnum):
    """How far the conversation had come."""

    CONNECT = "connect"
    GREETING = "greeting"
    TLS = "TLS"
    AUTH = "AUTH"
    SENDER = "MAIL FROM"
    RECIPIENT = "RCPT TO"
    DATA = "DATA"
    BODY = "message"  # after its final dot


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Accepted by the server."""

    reply: str


@dataclass(frozen=True, kw_only=True)
class NotSent:
    """Certainly not accepted."""

    failure: Failure
    stage: Stage
    reply: str  # the server's words, or ours where it said none
    code: int | None = None
    suppress: bool = False  # the address does not exist: do not write to it again
    pauses: bool = False  # says something about the server, not about this message


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """The connection was lost after the final dot and before the answer: perhaps delivered."""

    reply: str


@dataclass(frozen=True, kw_only=True)
class Yielded:
    """Nothing was sent: another sender took the message over."""


Outcome = Sent | NotSent | Unknown | Yielded

_ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_SIGN_IN = frozenset({530, 534, 535, 538})
_NO_SUCH = frozenset({"5.1.1", "5.1.10"})
_ABOUT_US = frozenset({Stage.CONNECT, Stage.GREETING, Stage.TLS, Stage.AUTH, Stage.SENDER})


def refused(code: int, text: str, stage: Stage) -> NotSent:
    """Read a reply of 4xx or 5xx."""
    enhanced = enhanced_code(text)
    failure = _class(code, enhanced, stage)
    return NotSent(
        failure=failure,
        stage=stage,
        reply=reply_text(code, text),
        code=code,
        suppress=failure is Failure.RECIPIENT and (enhanced in _NO_SUCH or code == 553),
        pauses=code == 421 or (failure is Failure.TEMPORARY and stage in _ABOUT_US),
    )


def enhanced_code(text: str) -> str:
    """The status of RFC 3463 at the start of a reply's text, "" when it has none."""
    found = _ENHANCED.match(text.lstrip())
    return found[0] if found else ""


def reply_text(code: int, text: str) -> str:
    """A reply on one line, without control characters, shortened."""
    words = " ".join(text.encode("utf-8", "replace").decode().split())
    return f"{code} {words}"[:500].replace("\0", "")


def _class(code: int, enhanced: str, stage: Stage) -> Failure:
    if code in _SIGN_IN:
        return Failure.CONFIGURATION
    if 400 <= code < 500:
        return Failure.TEMPORARY
    if code == 552 or enhanced == "5.3.4":
        return Failure.SIZE
    if stage in _ABOUT_US:
        return Failure.CONFIGURATION  # it would meet every message
    if enhanced.startswith("5.7.") or code == 554:
        return Failure.RECIPIENT if enhanced in _NO_SUCH else Failure.POLICY
    if enhanced.startswith("5.1.") or code in (550, 551, 553) or stage is Stage.RECIPIENT:
        return Failure.RECIPIENT
    return Failure.POLICY
