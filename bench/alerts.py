"""Mails per second to people in line, against a new SMTP connection for each mail, through the same sink.

The clock of ours runs from the first message that is queued to the last that was taken: the hand-out, the re-check
before every attempt and both durable writes of each are in it. The other way has a mail ready and stores nothing.
"""

import datetime
import ipaddress
import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from bench.report import Figure, Result
from tests.alert_processes import PASSWORD, USER, Line, people_in_line

NAME = "alerts"
TIMES = 5  # as many mails per second as with a connection for each, at least
_DELAY_MS = 10.0  # of every answer of a mail service in the same region; loopback has none
_PEOPLE, _QUICK_PEOPLE = 4_000, 600
_SINGLY, _QUICK_SINGLY = 200, 30
_LIMIT_S = 1500.0
_SPAN = "select extract(epoch from max(sent_at) - min(created_at))::float8 from messages where state = 'sent'"


def run(*, quick: bool) -> Result:
    """A mail service as it is, over a network, STARTTLS and with a user; and what is left of it on one machine."""
    people, singly = (_QUICK_PEOPLE, _QUICK_SINGLY) if quick else (_PEOPLE, _SINGLY)
    with TemporaryDirectory(prefix="stockwright-bench-") as folder:
        certificate = Path(folder, "sink.pem")
        certificate.write_bytes(_certificate())
        figures = [
            *_measured(
                f"STARTTLS, {_DELAY_MS:g} ms away",
                people,
                singly,
                certificate,
                delay_ms=_DELAY_MS,
                goal=TIMES,
            ),
            *_measured("STARTTLS, no network", people, singly, certificate),
            *_measured("plain, no network", people, singly, None),
        ]
    return Result(
        name=NAME,
        title="mails per second to people in line, and with a new connection for each mail",
        conditions=f"service, shop and sink on this machine; {people} people by us, {singly} mails singly",
        figures=tuple(figures),
        notes=(
            "A mail is some 7 kB, in text and HTML. The sink shares the cores with the service.",
            "Both ways speak to the same sink in the same run. Without a network the cores are the limit of both, and "
            "ours also stores every attempt twice; a connection of one's own costs some eight answers more.",
        ),
    )


def _measured(
    name: str,
    people: int,
    singly: int,
    certificate: Path | None,
    *,
    delay_ms: float = 0.0,
    goal: float | None = None,
) -> list[Figure]:
    with people_in_line(people, certificate=certificate, delay_ms=delay_ms) as line:
        line.restock()
        line.until_told(_LIMIT_S)
        taken, states = line.sink.taken, line.states()
        ours = people / _span_s(line)
        mail = _example(line)
        theirs = _per_s(lambda no: _send(line.sink.port, mail, no, certificate), singly)
    wrong = people - sum(times == 1 for times in taken.values()) + states["unknown"] + states["failed"]
    return [
        Figure(name=f"{name}: ours", value=ours, unit="mails/s"),
        Figure(name=f"{name}: a new connection per mail", value=theirs, unit="mails/s"),
        Figure(name=f"{name}: times as many", value=ours / theirs, at_least=goal),
        Figure(name=f"{name}: people not mailed exactly once", value=wrong, at_most=0),
    ]


def _span_s(line: Line) -> float:
    with psycopg.connect(line.service.dsn(), autocommit=True) as conn:
        row = conn.execute(_SPAN).fetchone()
    assert row is not None
    return float(row[0])


def _example(line: Line) -> EmailMessage:
    """One of the mails that we sent, as another program would have it before it sends it."""
    with psycopg.connect(line.service.dsn(), autocommit=True) as conn:
        row = conn.execute("select subject, text, html from messages limit 1").fetchone()
    assert row is not None
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "ann@example.com", row[0]
    mail.set_content(row[1])
    mail.add_alternative(row[2], subtype="html")
    return mail


def _per_s(send: Callable[[int], None], count: int) -> float:
    begun = time.monotonic()
    for number in range(count):
        send(number)
    return count / (time.monotonic() - begun)


def _send(port: int, mail: EmailMessage, number: int, certificate: Path | None) -> None:
    """One mail over a connection of its own; the context that checks certificates is made once."""
    recipient = f"single{number}@example.com"
    with smtplib.SMTP("127.0.0.1", port) as client:
        if certificate is not None:
            client.starttls(context=_context())
            client.login(USER, PASSWORD)
        client.send_message(mail, "shop@example.com", [recipient])


_CONTEXTS: list[ssl.SSLContext] = []


def _context() -> ssl.SSLContext:
    if not _CONTEXTS:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _CONTEXTS.append(context)
    return _CONTEXTS[0]


def _certificate() -> bytes:
    """A key and a certificate for 127.0.0.1, good for an hour."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return secret + made.public_bytes(serialization.Encoding.PEM)
