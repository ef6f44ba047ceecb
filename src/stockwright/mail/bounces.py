"""Reading reports of mail that came back: delivery status (RFC 3464) and complaints (RFC 5965). Pure.

Which message a report is about is told by our id in the address that it was sent to, or by the Message-ID in the
headers that came back. A report without either of ours says nothing: anybody can write one.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from enum import StrEnum

REPORT_LIMIT_BYTES = 2_000_000
RECIPIENTS_LIMIT = 100
_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})")
_OURS = re.compile(
    r"<(?P<number>[a-z]{2,8}_[0-9a-z]{10,40})\.(?P<digest>[0-9a-f]{16})@(?P<domain>[^>\s]{1,255})>"
)
_RETURN_PATH = re.compile(r"\+(?P<number>[a-z]{2,8}_[0-9a-z]{10,40})@")  # as `message.return_path` writes it
_HARD = re.compile(r"5\.1\.\d+|5\.2\.1")  # there is no such mailbox, or it is switched off
_NO_COMPLAINTS = ("not-spam", "virus", "auth-failure")
_DETAIL_LIMIT = 500


class Verdict(StrEnum):
    """What a report says of the address."""

    HARD = "hard"  # it does not exist: never again
    SOFT = "soft"  # refused this time
    DELAYED = "delayed"  # the server still tries: no bounce
    COMPLAINT = "complaint"  # its owner called it spam
    NONE = "none"  # delivered, relayed or expanded


@dataclass(frozen=True, kw_only=True)
class Report:
    """One recipient's part of a report."""

    verdict: Verdict
    recipient: str  # Final-Recipient, as the reporting server has it; "" = not said
    message_id: str  # the Message-ID header of ours that came back, with its brackets; "" = none
    number: str  # our id in it, e.g. msg_01k9q2zt7m4h8x2c6v0b; "" = none
    action: str = ""
    status: str = ""  # x.y.z
    diagnostic: str = ""

    @property
    def digest(self) -> str:
        """The same for the same report read twice, by whatever way it came."""
        parts = (self.verdict.value, self.recipient.lower(), self.message_id, self.action, self.status)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


class NoReport(ValueError):
    """A mail that is no report: an out-of-office note, an answer, advertising."""


def read_report(data: bytes) -> tuple[Report, ...]:
    """The recipients' parts of a report.

    Raises:
        NoReport: it is something else, too large, or broken; the message says which.
    """
    if len(data) > REPORT_LIMIT_BYTES:
        raise NoReport(f"{len(data)} bytes are more than a report has")
    mail = message_from_bytes(data, policy=default)
    kind = _report_type(mail)
    if kind == "delivery-status":
        return tuple(_deliveries(mail))[:RECIPIENTS_LIMIT]
    if kind == "feedback-report":
        return (_complaint(mail),)
    raise NoReport(f"the content is {mail.get_content_type()}, not a report")


def _report_type(mail: EmailMessage) -> str:
    if mail.get_content_type() != "multipart/report":
        return ""
    named = str(mail.get_param("report-type", "")).lower()
    if named:
        return named
    kinds = {part.get_content_type() for part in mail.walk()}
    return "delivery-status" if "message/delivery-status" in kinds else ""


# --- delivery status -----------------------------------------------------------------------------------------


def _deliveries(mail: EmailMessage) -> Iterator[Report]:
    message_id, number = _returned(mail)
    for block in _blocks(mail):
        if block.get("Final-Recipient") is None and block.get("Original-Recipient") is None:
            continue  # the block about the message as a whole
        status = _status(block)
        action = _field(block, "Action").lower()
        yield Report(
            verdict=_verdict(action, status),
            recipient=_address(_field(block, "Final-Recipient") or _field(block, "Original-Recipient")),
            message_id=message_id,
            number=number,
            action=action,
            status=status,
            diagnostic=_field(block, "Diagnostic-Code"),
        )


def _blocks(mail: EmailMessage) -> Iterator[Message]:
    for part in mail.walk():
        if part.get_content_type() == "message/delivery-status":
            payload = part.get_payload()
            yield from (
                (one for one in payload if isinstance(one, Message)) if isinstance(payload, list) else ()
            )


def _verdict(action: str, status: str) -> Verdict:
    if action == "delayed":
        return Verdict.DELAYED
    if action in ("delivered", "relayed", "expanded") or (not action and status.startswith("2")):
        return Verdict.NONE
    if status.startswith("5"):
        return Verdict.HARD if _HARD.fullmatch(status) else Verdict.SOFT
    return Verdict.SOFT


def _status(block: Message) -> str:
    """The status field, or the code inside the diagnostic where the field has none."""
    for text in (_field(block, "Status"), _field(block, "Diagnostic-Code")):
        if found := _STATUS.search(text):
            return found[0]
    return ""


def _address(field: str) -> str:
    """`rfc822; mia@example.com` -> mia@example.com."""
    return field.rpartition(";")[2].strip().strip("<>")


# --- complaints ------------------------------------------------------------------------------------------------


def _complaint(mail: EmailMessage) -> Report:
    message_id, number = _returned(mail)
    fields = next((_feedback(part) for part in mail.walk() if _is_feedback(part)), Message())
    kind = _field(fields, "Feedback-Type").lower()
    return Report(
        verdict=Verdict.NONE if kind in _NO_COMPLAINTS else Verdict.COMPLAINT,
        recipient=_address(_field(fields, "Original-Rcpt-To")),
        message_id=message_id,
        number=number,
        action="complained",
        diagnostic=kind or "complaint",
    )


def _is_feedback(part: Message) -> bool:
    return part.get_content_type() == "message/feedback-report"


def _feedback(part: Message) -> Message:
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return payload[0]
    raw = part.get_payload(decode=True)
    return message_from_bytes(raw if isinstance(raw, bytes) else str(payload).encode(), policy=default)


# --- what came back ----------------------------------------------------------------------------------------------


def _returned(mail: EmailMessage) -> tuple[str, str]:
    """The Message-ID of ours in the returned headers and our id, there or in the report's address; "" = none."""
    for part in mail.walk():
        if part.get_content_type() in ("message/rfc822", "message/rfc822-headers", "text/rfc822-headers"):
            found = _OURS.search(_headers_of(part))
            if found:
                return found[0], found["number"]
    return "", _number_in_address(mail)


def _number_in_address(mail: EmailMessage) -> str:
    for name in ("To", "Delivered-To", "X-Original-To"):
        if found := _RETURN_PATH.search(_field(mail, name)):
            return found["number"]
    return ""


def _headers_of(part: Message) -> str:
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return str(payload[0].get("Message-ID", ""))
    raw = part.get_payload(decode=True)
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(payload)
    return str(message_from_bytes(text.encode("utf-8", "replace"), policy=default).get("Message-ID", ""))


def _field(block: Message, name: str) -> str:
    text = " ".join(str(block.get(name, "")).split())
    return "".join(one for one in text if one.isprintable())[:_DETAIL_LIMIT]
