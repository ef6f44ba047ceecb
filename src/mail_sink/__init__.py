"""A mail server that keeps what it gets: for the demo and the tests. Shares no code with stockwright.

`SmtpSink` speaks SMTP with faults to order; `Mailbox` keeps the mails; `web_app` shows them.
"""

from mail_sink.faults import Fault, Faults
from mail_sink.mailbox import Mail, Mailbox
from mail_sink.server import SmtpSink
from mail_sink.web import web_app

__all__ = ["Fault", "Faults", "Mail", "Mailbox", "SmtpSink", "web_app"]
