"""A mail account: which server, how it is spoken to, and who the sender is."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from stockwright.mail.addresses import MailRefused
from stockwright.mail.dkim import DkimKey
from stockwright.mail.message import Envelope


class Security(StrEnum):
    """How the connection is protected."""

    NONE = "none"
    STARTTLS = "starttls"  # never goes on without
    TLS = "tls"


PORTS = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}


@dataclass(frozen=True, kw_only=True)
class Account:
    """Everything that sending needs. Checked when it is made.

    Raises:
        MailRefused: no host, a wrong port or rate, or an open connection beyond this machine.
    """

    host: str
    port: int
    security: Security
    envelope: Envelope
    username: str = ""
    password: str = field(default="", repr=False)
    ehlo_name: str = ""  # "" = this machine's name
    ca_file: Path | None = None  # None = the authorities that this machine trusts
    verify: bool = True
    allow_plain: bool = False  # let `none` go beyond this machine
    rate_per_minute: int = 600
    dkim: DkimKey | None = None  # signs what is sent; None: the server does, or nobody
    timeout_s: float = 30.0  # for the connection, and for each answer; the last one may take four times that

    def __post_init__(self) -> None:
        if not self.host or any(one.isspace() or not one.isprintable() for one in self.host):
            raise MailRefused(f"The mail server {self.host!r} is not a host name.")
        if not 1 <= self.port <= 65535:
            raise MailRefused(f"The mail server's port {self.port} is not between 1 and 65535.")
        if not 1 <= self.rate_per_minute <= 100_000:
            raise MailRefused(f"The rate {self.rate_per_minute} is not between 1 and 100000 per minute.")
        if self.dkim is not None:
            self.dkim.check_sender(self.envelope.from_address)
        if self.security is Security.NONE and not (self.allow_plain or is_loopback(self.host)):
            raise MailRefused(
                f"Mail to {self.host} would travel readable for everybody on the way. Choose starttls or tls, "
                "or allow it explicitly (--allow-plain, STOCKWRIGHT_SMTP_ALLOW_PLAIN=true)."
            )

    @property
    def server(self) -> str:
        """host:port, as it is shown."""
        return f"{self.host}:{self.port}"

    @property
    def digest(self) -> str:
        """Changes whenever anything changes that could make a refused account work."""
        parts = (
            self.host, self.port, self.security.value, self.username, self.password, self.ehlo_name,
            self.ca_file, self.verify, self.envelope.from_address,
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
