"""One message as a value, and as the bytes of RFC 5322. No clock, no network."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from stockwright.mail.addresses import MailRefused, checked_address, checked_name, checked_text
from stockwright.mail.wire_format import mailbox, written

_OURS = frozenset(
    {"from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "reply-to", "return-path",
     "received", "auto-submitted", "mime-version"}
)  # fmt: skip
_BODY_LIMIT = 1_000_000  # characters of one part


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is said to whom. Everything in it is checked when it is made.

    Raises:
        MailRefused: an address, a header or a text that must not be sent.
    """

    kind: str  # staff_back_in_stock, error_report, test_mail, ...
    key: str  # what it is about: a shop never sends two messages of one key
    to: str  # one address
    subject: str
    text: str
    html: str = ""  # "" = plain text only
    headers: Mapping[str, str] = field(default_factory=dict)  # more of them, such as List-Unsubscribe
    from_name: str = ""  # "" = as the mail settings say
    reply_to: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "to", checked_address(self.to))
        if self.reply_to:
            object.__setattr__(self, "reply_to", checked_address(self.reply_to, what="reply address"))
        checked_text(self.subject, what="subject")
        checked_text(self.from_name, what="sender's name")
        for name, value in self.headers.items():
            if checked_name(name).lower() in _OURS or name.lower().startswith("content-"):
                raise MailRefused(f"The header {name} is set by the service and cannot be given.")
            checked_text(value, what=f"header {name}")
        for part, body in (("text", self.text), ("HTML", self.html)):
            _check_body(body, part)


def _check_body(body: str, part: str) -> None:
    if "\0" in body:
        raise MailRefused(f"The {part} part holds a NUL character.")
    if len(body) > _BODY_LIMIT:
        raise MailRefused(f"The {part} part has {len(body)} characters; at most {_BODY_LIMIT} are sent.")
    try:
        body.encode()
    except UnicodeEncodeError:
        raise MailRefused(f"The {part} part holds half of a character.") from None


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """Who sends: checked when it is made."""

    from_address: str
    from_name: str = ""
    reply_to: str = ""
    bounce_address: str = ""  # where mail that comes back goes; "" = the sender's address

    def __post_init__(self) -> None:
        object.__setattr__(self, "from_address", checked_address(self.from_address, what="sender's address"))
        if self.bounce_address:
            bounce = checked_address(self.bounce_address, what="address for mail that comes back")
            object.__setattr__(self, "bounce_address", bounce)
        checked_text(self.from_name, what="sender's name")
        if self.reply_to:
            object.__setattr__(self, "reply_to", checked_address(self.reply_to, what="reply address"))


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A message ready for a server: the envelope's two addresses and the bytes."""

    message_id: str  # the Message-ID header
    sender: str
    recipient: str
    data: bytes

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it: a character beyond ASCII left of the @."""
        return not (self.sender.isascii() and self.recipient.isascii())


def message_id(number: str, *, sender: str) -> str:
    """The Message-ID of one of our messages: the same at every attempt, e.g. <msg_01k9....8f3a@example.com>."""
    domain = sender.rpartition("@")[2]
    digest = hashlib.sha256(f"{number} {domain}".encode()).hexdigest()[:16]
    return f"<{number}.{digest}@{domain}>"


def return_path(number: str, envelope: Envelope) -> str:
    """The envelope's sender: bounces@example.com becomes bounces+msg_01k9...@example.com, one for each message."""
    if not envelope.bounce_address:
        return envelope.from_address
    local, _, domain = envelope.bounce_address.rpartition("@")
    return f"{local}+{number}@{domain}"


def letter(message: Message, envelope: Envelope, *, number: str, date: datetime) -> Letter:
    """Build the bytes: text and HTML as alternatives, every line short, nothing but ASCII where it can be."""
    needs_utf8 = not (message.to.isascii() and envelope.from_address.isascii())
    own_id = message_id(number, sender=envelope.from_address)
    reply_to = message.reply_to or envelope.reply_to
    headers = [
        ("From", mailbox(envelope.from_address, message.from_name or envelope.from_name)),
        ("To", mailbox(message.to)),
        *([("Reply-To", mailbox(reply_to))] if reply_to else []),
        ("Subject", message.subject),
        ("Date", format_datetime(date)),
        ("Message-ID", own_id),
        ("Auto-Submitted", "auto-generated"),
        *message.headers.items(),
    ]
    return Letter(
        message_id=own_id,
        sender=return_path(number, envelope),
        recipient=message.to,
        data=written(headers, message.text, message.html, seed=own_id, needs_utf8=needs_utf8),
    )
