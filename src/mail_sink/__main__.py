"""Runs one sink: `python -m mail_sink --smtp-port 1025 --port 9025`."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from mail_sink.mailbox import Mailbox
from mail_sink.server import SmtpSink
from mail_sink.web import web_app


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mail-sink", description="A mail server that keeps and shows what it gets."
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1)")
    parser.add_argument(
        "--smtp-port", type=int, default=1025, help="port for SMTP (default 1025; 0 takes any)"
    )
    parser.add_argument("--port", type=int, default=9025, help="port of the web page (default 9025)")
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME:PASSWORD",
        help="who may send; nobody named: everybody",
    )
    parser.add_argument("--certificate", type=Path, help="PEM with key and certificate: offers STARTTLS")
    parser.add_argument(
        "--delay-ms", type=float, default=0.0, help="wait so long before every answer, as over a network"
    )
    parser.add_argument("--journal", type=Path, help="a file that gets a line for every mail that was taken")
    return parser


def build(options: argparse.Namespace) -> SmtpSink:
    """The sink that the command line describes.

    Raises:
        ValueError, OSError: a user without a password, or a certificate that cannot be read.
    """
    if any(":" not in user for user in options.user):
        raise ValueError("--user is NAME:PASSWORD")
    tls = None
    if options.certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)
    users = dict(user.split(":", 1) for user in options.user)
    journal = options.journal.open("a", encoding="utf-8") if options.journal is not None else None
    mailbox = Mailbox(journal=journal)
    return SmtpSink(
        mailbox=mailbox,
        host=options.host,
        port=options.smtp_port,
        users=users,
        tls=tls,
        delay_s=options.delay_ms / 1000,
    )


async def serve(sink: SmtpSink, host: str, port: int) -> None:
    """Run both sides until the process is asked to end."""
    async with sink:
        sys.stdout.write(f"SMTP at {host}:{sink.port}, mails at http://{host}:{port}/\n")
        sys.stdout.flush()
        config = uvicorn.Config(web_app(sink), host=host, port=port, log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments().parse_args(argv)
    try:
        asyncio.run(serve(build(options), options.host, options.port))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"mail-sink: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
