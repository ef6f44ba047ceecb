"""The mails that came in, read into their parts."""

from __future__ import annotations

import email
import email.policy
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cached_property
from itertools import count
from typing import Any, TextIO

KEPT = 5_000
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One message as it was accepted."""

    number: int
    received_at: datetime
    sender: str  # of the envelope
    recipients: tuple[str, ...]
    user: str  # who had signed in, "" for nobody
    encrypted: bool
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        """Read when somebody looks: a sender should not wait for it."""
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "")

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"] or "")

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body(preferencelist=(kind,))
        return str(part.get_content()) if part is not None else ""

    def as_json(self, *, whole: bool) -> dict[str, Any]:
        """The mail for programs; `whole`: with its texts and headers."""
        short = {
            "number": self.number,
            "received_at": self.received_at.isoformat(),
            "sender": self.sender,
            "recipients": list(self.recipients),
            "from": str(self.message["From"] or ""),
            "to": str(self.message["To"] or ""),
            "subject": self.subject,
            "message_id": self.message_id,
            "encrypted": self.encrypted,
            "user": self.user,
            "size_bytes": len(self.raw),
        }
        if not whole:
            return short
        headers = [[name, str(value)] for name, value in self.message.items()]
        return {**short, "text": self.text, "html": self.html, "headers": headers}


@dataclass
class Mailbox:
    """The last 5,000 mails, oldest first."""

    mails: deque[Mail] = field(default_factory=lambda: deque(maxlen=KEPT))
    numbers: Any = field(default_factory=lambda: count(1))
    journal: TextIO | None = None  # gets a line for every mail: its recipients, and its Message-ID

    def add(
        self, raw: bytes, *, sender: str, recipients: tuple[str, ...], user: str, encrypted: bool
    ) -> Mail:
        """Keep a message."""
        mail = Mail(
            number=next(self.numbers),
            received_at=datetime.now(UTC),
            sender=sender,
            recipients=recipients,
            user=user,
            encrypted=encrypted,
            raw=raw,
        )
        self.mails.append(mail)
        if self.journal is not None:
            found = _MESSAGE_ID.search(raw)
            self.journal.write(f"{','.join(recipients)} {found[1].decode() if found else '-'}\n")
            self.journal.flush()
        return mail

    def find(self, number: int) -> Mail | None:
        """The mail of a number."""
        return next((mail for mail in self.mails if mail.number == number), None)

    def newest(self, *, recipient: str = "", limit: int = 200) -> list[Mail]:
        """The newest mails first, of one recipient or of all."""
        found = (mail for mail in reversed(self.mails) if not recipient or recipient in mail.recipients)
        return [mail for mail, _ in zip(found, range(limit), strict=False)]

    def clear(self) -> None:
        """Forget all mails; numbers go on."""
        self.mails.clear()
