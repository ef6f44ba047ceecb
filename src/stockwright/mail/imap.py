"""Reading a mailbox by IMAP (RFC 9051): each unseen mail is handed over, then marked as seen; nothing is deleted.

Blocking: for a thread. Every wait has a limit, and one visit reads at most so many mails.
"""

import imaplib
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from stockwright.mail.account import is_loopback
from stockwright.mail.addresses import MailRefused
from stockwright.mail.bounces import REPORT_LIMIT_BYTES
from stockwright.model import StockwrightError

PORTS = {"tls": 993, "none": 143}
MAILS_PER_VISIT = 200
_TIMEOUT_S = 30.0
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,12})")


class MailboxUnreachable(StockwrightError):
    """The mailbox could not be opened or read; what was handed over stays so, the rest is read next time."""


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """Where mail comes back to. Checked when it is made.

    Raises:
        MailRefused: unprotected beyond this machine, or a folder that cannot be named.
    """

    host: str
    user: str
    password: str = field(repr=False)
    port: int
    security: Literal["tls", "none"] = "tls"
    folder: str = "INBOX"

    def __post_init__(self) -> None:
        if self.security == "none" and not is_loopback(self.host):
            raise MailRefused(f"The password for {self.host} would travel readable for everybody. Use tls.")
        if not self.folder or any(one in '"\\\r\n' for one in self.folder):
            raise MailRefused(f"{self.folder!r} is not the name of a mail folder.")


def read_unseen(mailbox: Mailbox, take: Callable[[bytes], None]) -> int:
    """Hand each unseen mail to `take` and mark it as seen; how many. Mail too large for a report is only marked.

    A mail at which `take` raises stays unseen, and ends the visit.

    Raises:
        MailboxUnreachable: the server refused, broke off or was silent for 30 s.
    """
    with _opened(mailbox) as box:
        numbers = box.ask("SEARCH", "UNSEEN")[0].split()[:MAILS_PER_VISIT]
        for number in numbers:
            if box.size(number.decode()) <= REPORT_LIMIT_BYTES:
                take(box.body(number.decode()))
            box.ask("STORE", number.decode(), "+FLAGS", r"(\Seen)")
        return len(numbers)


class _Box:
    """A signed-in connection with its folder open; every failure is a MailboxUnreachable."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        with self._told():
            self._imap = _connected(mailbox)

    def open(self) -> None:
        with self._told():
            self._imap.login(self._mailbox.user, self._mailbox.password)
            answer, told = self._imap.select(f'"{self._mailbox.folder}"')
        if answer != "OK":
            raise MailboxUnreachable(f"There is no folder {self._mailbox.folder!r}: {told!r}")

    def ask(self, command: str, *arguments: str) -> list[bytes]:
        """The data of an answer; a literal comes as its own element."""
        with self._told():
            answer, data = self._imap.uid(command, *arguments)
        if answer != "OK":
            raise MailboxUnreachable(f"The mailbox at {self._mailbox.host} refused {command}: {data!r}")
        parts = [part for one in data for part in (one if isinstance(one, tuple) else (one,))]
        return [part for part in parts if isinstance(part, bytes)] or [b""]

    def size(self, number: str) -> int:
        found = _SIZE.search(b" ".join(self.ask("FETCH", number, "(RFC822.SIZE)")))
        return int(found[1]) if found else 0

    def body(self, number: str) -> bytes:
        """The whole mail, which stays unseen."""
        return max(self.ask("FETCH", number, "(BODY.PEEK[])"), key=len)

    def close(self) -> None:
        try:
            self._imap.logout()
        except (imaplib.IMAP4.error, OSError):
            self._imap.shutdown()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (imaplib.IMAP4.error, OSError) as error:
            place = f"{self._mailbox.user} at {self._mailbox.host}:{self._mailbox.port}"
            raise MailboxUnreachable(f"The mailbox {place} cannot be read: {error}") from error


@contextmanager
def _opened(mailbox: Mailbox) -> Iterator[_Box]:
    box = _Box(mailbox)
    try:
        box.open()
        yield box
    finally:
        box.close()


def _connected(mailbox: Mailbox) -> imaplib.IMAP4:
    if mailbox.security == "tls":
        context = ssl.create_default_context()
        return imaplib.IMAP4_SSL(mailbox.host, mailbox.port, ssl_context=context, timeout=_TIMEOUT_S)
    return imaplib.IMAP4(mailbox.host, mailbox.port, timeout=_TIMEOUT_S)
