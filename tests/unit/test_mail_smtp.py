"""The way to a mail server, against a real one over loopback: every class of reply, TLS, reuse, what is in doubt."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mail_sink import Fault, SmtpSink
from stockwright.mail.account import Account, Security
from stockwright.mail.message import Envelope, Letter, Message, letter
from stockwright.mail.outcome import Failure, NotSent, Outcome, Sent, Stage, Unknown, Yielded, refused
from stockwright.mail.smtp import SmtpSender

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def a_letter(number: str = "msg_1", **changes) -> Letter:
    given = {
        "kind": "test_mail",
        "key": "k",
        "to": "ann@example.com",
        "subject": "Hello",
        "text": "Hi.\n.\n..two\n",
    }
    message = Message(**(given | changes))
    return letter(message, Envelope(from_address="shop@example.com"), number=number, date=NOON)


def account(sink: SmtpSink, **changes) -> Account:
    given = {
        "host": "127.0.0.1",
        "port": sink.port,
        "security": Security.NONE,
        "envelope": Envelope(from_address="shop@example.com"),
        "timeout_s": 5.0,
    }
    return Account(**(given | changes))


async def yes() -> bool:
    return True


def play(story: Callable[[SmtpSink], Awaitable[None]], **options) -> None:
    async def whole() -> None:
        async with SmtpSink(**options) as sink:
            await story(sink)

    asyncio.run(whole())


def send(
    *faults: Fault, sink: SmtpSink | None = None, to: str = "ann@example.com", **changes
) -> tuple[Outcome, SmtpSink]:
    """Send one letter to a sink in which these faults wait."""
    sink = sink or SmtpSink()
    sink.faults.add(*faults)

    async def whole() -> Outcome:
        async with sink:
            sender = SmtpSender(account(sink, **changes))
            try:
                return await sender.send(a_letter(to=to), yes)
            finally:
                await sender.close()

    return asyncio.run(whole()), sink


def test_a_letter_arrives_as_it_was_sent() -> None:
    outcome, sink = send()
    assert isinstance(outcome, Sent) and outcome.reply.startswith("250 2.0.0")
    [mail] = sink.mailbox.mails
    assert (mail.sender, mail.recipients) == ("shop@example.com", ("ann@example.com",))
    assert mail.raw == a_letter().data
    assert mail.text.replace("\r\n", "\n") == "Hi.\n.\n..two\n"


# --- classes of replies --------------------------------------------------------------------------------------

CLASSES = [
    ("MAIL", "421 4.3.2 closing", Failure.TEMPORARY),
    ("RCPT", "450 4.2.0 try later", Failure.TEMPORARY),
    ("RCPT", "451 4.3.0 try later", Failure.TEMPORARY),
    ("RCPT", "452 4.2.2 full", Failure.TEMPORARY),
    ("dot", "451 4.7.1 greylisted", Failure.TEMPORARY),
    ("dot", "454 4.3.0 whatever", Failure.TEMPORARY),
    ("MAIL", "530 5.7.0 sign in first", Failure.CONFIGURATION),
    ("MAIL", "550 5.7.60 not allowed to send as", Failure.CONFIGURATION),
    ("MAIL", "553 5.1.8 sender refused", Failure.CONFIGURATION),
    ("RCPT", "550 5.1.1 no such user", Failure.RECIPIENT),
    ("RCPT", "550 5.1.10 no such user", Failure.RECIPIENT),
    ("RCPT", "550 no such user", Failure.RECIPIENT),
    ("RCPT", "553 5.1.3 bad address", Failure.RECIPIENT),
    ("dot", "550 5.1.1 no such user", Failure.RECIPIENT),
    ("MAIL", "552 5.3.4 too large", Failure.SIZE),
    ("dot", "552 5.3.4 too large", Failure.SIZE),
    ("dot", "554 5.3.4 too large", Failure.SIZE),
    ("RCPT", "554 5.7.1 refused", Failure.POLICY),
    ("RCPT", "550 5.7.1 relaying denied", Failure.POLICY),
    ("dot", "554 spam", Failure.POLICY),
    ("dot", "550 5.7.26 unauthenticated", Failure.POLICY),
    ("DATA", "554 5.5.1 no", Failure.POLICY),
    ("greeting", "554 5.7.1 go away", Failure.CONFIGURATION),
    ("greeting", "421 4.3.2 too busy", Failure.TEMPORARY),
]


@pytest.mark.parametrize(
    ("stage", "reply", "failure"), CLASSES, ids=[f"{one[0]} {one[1]}" for one in CLASSES]
)
def test_a_reply_is_of_its_class(stage: str, reply: str, failure: Failure) -> None:
    outcome, sink = send(Fault(stage=stage, reply=reply))
    assert isinstance(outcome, NotSent)
    assert (outcome.failure, outcome.reply, outcome.code) == (failure, reply, int(reply[:3]))
    assert not sink.mailbox.mails


@pytest.mark.parametrize(
    ("reply", "suppress"),
    [("550 5.1.1 x", True), ("550 5.1.10 x", True), ("553 5.1.3 x", True), ("550 x", False), ("554 5.7.1 x", False),
     ("450 4.2.0 x", False), ("550 5.2.1 disabled", False)],
)  # fmt: skip
def test_only_an_address_that_does_not_exist_is_to_be_suppressed(reply: str, suppress: bool) -> None:
    outcome, _ = send(Fault(stage="RCPT", reply=reply))
    assert isinstance(outcome, NotSent) and outcome.suppress is suppress


@pytest.mark.parametrize("stage", [Stage.SENDER, Stage.RECIPIENT, Stage.BODY])
def test_every_code_has_a_class(stage: Stage) -> None:
    for code in range(400, 600):
        found = refused(code, "words", stage)
        is_later = found.failure is Failure.TEMPORARY
        assert is_later == (code < 500), code


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_connection_lost_before_the_message_is_tried_again(stage: str) -> None:
    outcome, sink = send(Fault(stage=stage, drop=True))
    assert isinstance(outcome, NotSent) and outcome.failure is Failure.TRANSPORT and outcome.pauses
    assert sink.handed_over == 0


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_silent_server_before_the_message_is_tried_again(stage: str) -> None:
    outcome, _ = send(Fault(stage=stage, slow_s=60), timeout_s=0.2)
    assert isinstance(outcome, NotSent) and outcome.failure is Failure.TRANSPORT
    assert "did not answer in time" in outcome.reply


@pytest.mark.parametrize("keep", [True, False])
def test_a_connection_lost_after_the_final_dot_leaves_it_in_doubt(keep: bool) -> None:
    outcome, sink = send(Fault(stage="dot", drop=True, keep=keep))
    assert isinstance(outcome, Unknown)
    assert len(sink.mailbox.mails) == keep


def test_silence_after_the_final_dot_leaves_it_in_doubt() -> None:
    outcome, _ = send(Fault(stage="dot", slow_s=60), timeout_s=0.1)
    assert isinstance(outcome, Unknown)


def test_a_connection_lost_amid_the_message_leaves_it_in_doubt() -> None:
    """We cannot tell it from one lost after the dot: both were written when we hear of it."""
    outcome, sink = send(Fault(stage="body", drop=True))
    assert isinstance(outcome, Unknown)
    assert not sink.mailbox.mails


@pytest.mark.parametrize("reply", ["hello", "99 x", "250", "2500 x", "\x7f"])
def test_an_answer_that_is_none_after_the_dot_leaves_it_in_doubt(reply: str) -> None:
    outcome, _ = send(Fault(stage="dot", reply=reply, drop=True))
    assert isinstance(outcome, Unknown | Sent)
    assert isinstance(outcome, Sent) == reply.startswith("250")


def test_a_server_that_is_not_there_is_tried_again() -> None:
    async def story() -> None:
        async with SmtpSink() as sink:
            pass
        outcome = await SmtpSender(account(sink)).send(a_letter(), yes)
        assert isinstance(outcome, NotSent)
        assert (outcome.failure, outcome.stage, outcome.pauses) == (Failure.TRANSPORT, Stage.CONNECT, True)

    asyncio.run(story())


def test_a_host_that_does_not_exist_is_tried_again() -> None:
    async def story() -> None:
        there = account(SmtpSink(port=25), host="no-such-host.invalid", allow_plain=True)
        outcome = await SmtpSender(there).send(a_letter(), yes)
        assert isinstance(outcome, NotSent) and outcome.failure is Failure.TRANSPORT

    asyncio.run(story())


# --- before the message goes out -----------------------------------------------------------------------------


def test_it_is_asked_just_before_data_and_a_no_sends_nothing() -> None:
    async def story(sink: SmtpSink) -> None:
        seen: list[list[str]] = []

        async def no() -> bool:
            seen.append([line.split()[0] for line in sink.commands])
            return False

        sender = SmtpSender(account(sink))
        assert await sender.send(a_letter(), no) == Yielded()
        assert seen == [["EHLO", "MAIL", "RCPT"]]
        assert isinstance(await sender.send(a_letter(), yes), Sent)
        assert (sink.connections, len(sink.mailbox.mails)) == (1, 1)
        await sender.close()

    play(story)


def test_an_error_before_data_sends_nothing_and_comes_through() -> None:
    async def story(sink: SmtpSink) -> None:
        async def fail() -> bool:
            raise RuntimeError("the database is away")

        sender = SmtpSender(account(sink))
        with pytest.raises(RuntimeError, match="away"):
            await sender.send(a_letter(), fail)
        assert sink.handed_over == 0
        assert isinstance(await sender.send(a_letter(), yes), Sent)
        await sender.close()

    play(story)


def test_a_refused_recipient_is_never_asked_about() -> None:
    async def story(sink: SmtpSink) -> None:
        sink.faults.add(Fault(stage="RCPT", reply="550 5.1.1 no such user"))
        asked = []

        async def begin() -> bool:
            asked.append(1)
            return True

        sender = SmtpSender(account(sink))
        await sender.send(a_letter(), begin)
        assert asked == []
        await sender.close()

    play(story)


# --- connections ---------------------------------------------------------------------------------------------


def test_one_connection_serves_many_letters_also_after_refusals() -> None:
    async def story(sink: SmtpSink) -> None:
        sender = SmtpSender(account(sink))
        for no in range(20):
            if no % 5 == 2:
                sink.faults.add(Fault(stage="RCPT", reply="550 5.1.1 no such user"))
            if no % 5 == 3:
                sink.faults.add(Fault(stage="dot", reply="554 5.7.1 spam"))
            await sender.send(a_letter(f"msg_{no}"), yes)
        await sender.close()
        assert sink.connections == 1
        assert len(sink.mailbox.mails) == 12
        assert sink.commands[-1] == "QUIT"

    play(story)


def test_a_connection_carries_no_more_than_a_hundred_letters() -> None:
    async def story(sink: SmtpSink) -> None:
        sender = SmtpSender(account(sink))
        for no in range(150):
            assert isinstance(await sender.send(a_letter(f"msg_{no}"), yes), Sent)
        await sender.close()
        assert (sink.connections, len(sink.mailbox.mails)) == (2, 150)

    play(story)


@pytest.mark.parametrize(
    "fault", [Fault(stage="MAIL", drop=True), Fault(stage="MAIL", reply="421 4.4.2 idle", drop=True)]
)
def test_a_kept_connection_that_died_is_opened_again_at_once(fault: Fault) -> None:
    async def story(sink: SmtpSink) -> None:
        sender = SmtpSender(account(sink))
        await sender.send(a_letter("msg_1"), yes)
        sink.faults.add(fault)
        assert isinstance(await sender.send(a_letter("msg_2"), yes), Sent)
        await sender.close()
        assert (sink.connections, len(sink.mailbox.mails)) == (2, 2)

    play(story)


def test_a_new_connection_that_is_told_421_is_not_tried_twice() -> None:
    outcome, sink = send(Fault(stage="MAIL", reply="421 4.3.2 busy", count=9))
    assert isinstance(outcome, NotSent) and outcome.pauses
    assert sink.connections == 1


def test_looking_signs_in_and_sends_nothing() -> None:
    async def story(sink: SmtpSink) -> None:
        wrong = SmtpSender(account(sink, username="stock", password="wrong"))
        trouble = await wrong.look()
        assert trouble is not None and trouble.failure is Failure.CONFIGURATION
        assert await SmtpSender(account(sink, username="stock", password="hunter2")).look() is None
        assert "MAIL" not in " ".join(sink.commands)

    play(story, users={"stock": "hunter2"})


# --- signing in ----------------------------------------------------------------------------------------------

SIGN_IN = {"username": "stock", "password": "hunter2 ü"}


def test_it_signs_in() -> None:
    outcome, sink = send(sink=SmtpSink(users={"stock": "hunter2 ü"}), **SIGN_IN)
    assert isinstance(outcome, Sent)
    assert sink.mailbox.mails[0].user == "stock"


@pytest.mark.parametrize(
    "reply", ["535 5.7.8 wrong", "534 5.7.9 too weak", "530 5.7.0 first", "538 5.7.11 encrypt", "500 what"]
)
def test_a_refused_sign_in_is_a_matter_of_the_settings(reply: str) -> None:
    outcome, _ = send(
        Fault(stage="AUTH", reply=reply, count=9), sink=SmtpSink(users={"stock": "hunter2 ü"}), **SIGN_IN
    )
    assert isinstance(outcome, NotSent) and outcome.failure is Failure.CONFIGURATION


def test_a_sign_in_that_cannot_be_checked_now_is_tried_again() -> None:
    fault = Fault(stage="AUTH", reply="454 4.7.0 later", count=9)
    outcome, _ = send(fault, sink=SmtpSink(users={"stock": "hunter2 ü"}), **SIGN_IN)
    assert isinstance(outcome, NotSent) and outcome.failure is Failure.TEMPORARY and outcome.pauses


def test_a_server_that_takes_no_sign_in_is_a_matter_of_the_settings() -> None:
    outcome, _ = send(**SIGN_IN)
    assert isinstance(outcome, NotSent) and outcome.failure is Failure.CONFIGURATION
    assert "takes no user and password" in outcome.reply


def test_the_conversation_is_heard_without_the_password() -> None:
    async def story(sink: SmtpSink) -> None:
        heard: list[str] = []
        sink.faults.add(Fault(stage="AUTH", reply="535 5.7.8 hunter2 aHVudGVyMg== is wrong"))
        for _ in range(2):
            sender = SmtpSender(account(sink, username="stock", password="hunter2"), hear=heard.append)
            await sender.send(a_letter(), yes)
            await sender.close()
        text = "\n".join(heard)
        assert "hunter2" not in text and "aHVudGVyMg==" not in text and "c3RvY2s=" not in text
        assert "AHN0b2NrAGh1bnRlcjI=" not in text
        for line in ("C: AUTH stock ********", "S: 235 2.7.0 signed in", "C: MAIL FROM:<shop@example.com> SIZE=",
                     "C: RCPT TO:<ann@example.com>", "S: 354 go ahead", "C: .", "C: QUIT"):  # fmt: skip
            assert line in text, text

    play(story, users={"stock": "hunter2"})


# --- TLS -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> "Authority":
    return Authority(tmp_path_factory.mktemp("tls"))


class Authority:
    """A certificate authority of the test's own, and what it vouches for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's authority")])
        made = self._builder(self._name, self._key.public_key(), authority=True).sign(
            self._key, hashes.SHA256()
        )
        self.file = folder / "ca.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key, *, authority: bool, days: int = 1) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        usage = x509.KeyUsage(True, False, False, False, False, authority, authority, False, False)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(
            now - dt.timedelta(days=3)
        )
        builder = builder.not_valid_after(now + dt.timedelta(days=days)).add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        vouches = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(vouches, critical=False)
        return builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)

    def context(self, *names: x509.GeneralName, days: int = 1) -> ssl.SSLContext:
        """What a server with these names speaks TLS with."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        builder = self._builder(name, key.public_key(), authority=False, days=days)
        made = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(
            self._key, hashes.SHA256()
        )
        file = self._folder / f"{made.serial_number}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context


HERE = x509.IPAddress(ip_address("127.0.0.1"))


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_it_speaks_tls_with_a_server_that_the_given_authority_vouches_for(
    authority: Authority, security: Security
) -> None:
    sink = SmtpSink(
        tls=authority.context(HERE), tls_from_start=security is Security.TLS, users={"stock": "hunter2 ü"}
    )
    outcome, sink = send(sink=sink, security=security, ca_file=authority.file, **SIGN_IN)
    assert isinstance(outcome, Sent), outcome
    assert (sink.mailbox.mails[0].encrypted, sink.mailbox.mails[0].user) == (True, "stock")


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_a_certificate_that_nobody_vouches_for_is_refused_as_a_matter_of_the_settings(
    authority: Authority, security: Security
) -> None:
    sink = SmtpSink(tls=authority.context(HERE), tls_from_start=security is Security.TLS)
    outcome, sink = send(sink=sink, security=security)
    assert isinstance(outcome, NotSent), outcome
    assert (outcome.failure, outcome.stage) == (Failure.CONFIGURATION, Stage.TLS)
    assert "certificate" in outcome.reply
    assert not any(line.startswith(("MAIL", "AUTH")) for line in sink.commands)


@pytest.mark.parametrize("wrong", ["name", "time"])
def test_a_certificate_of_another_name_or_of_yesterday_is_refused(authority: Authority, wrong: str) -> None:
    context = (
        authority.context(x509.DNSName("mail.example.com"))
        if wrong == "name"
        else authority.context(HERE, days=-1)
    )
    outcome, _ = send(sink=SmtpSink(tls=context), security=Security.STARTTLS, ca_file=authority.file)
    assert isinstance(outcome, NotSent) and outcome.failure is Failure.CONFIGURATION


def test_without_verification_any_certificate_will_do(authority: Authority) -> None:
    sink = SmtpSink(tls=authority.context(x509.DNSName("mail.example.com")))
    outcome, sink = send(sink=sink, security=Security.STARTTLS, verify=False)
    assert isinstance(outcome, Sent)
    assert sink.mailbox.mails[0].encrypted


def test_starttls_never_goes_on_without(authority: Authority) -> None:
    outcome, sink = send(security=Security.STARTTLS, sink=SmtpSink(users={"stock": "hunter2 ü"}), **SIGN_IN)
    assert isinstance(outcome, NotSent) and outcome.failure is Failure.CONFIGURATION
    assert "offers no STARTTLS" in outcome.reply
    assert [line.split()[0] for line in sink.commands] == ["EHLO"]


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available", "501 5.5.4 no"])
def test_a_refused_starttls_sends_nothing(authority: Authority, reply: str) -> None:
    outcome, sink = send(
        Fault(stage="STARTTLS", reply=reply), sink=SmtpSink(tls=authority.context(HERE)),
        security=Security.STARTTLS, ca_file=authority.file,
    )  # fmt: skip
    assert isinstance(outcome, NotSent)
    assert outcome.failure is (Failure.TEMPORARY if reply.startswith("4") else Failure.CONFIGURATION)
    assert not any(line.startswith(("MAIL", "AUTH")) for line in sink.commands)


def test_tls_from_the_start_to_a_server_that_speaks_plainly_sends_nothing() -> None:
    outcome, sink = send(security=Security.TLS, timeout_s=2.0)
    assert isinstance(outcome, NotSent)
    assert not sink.mailbox.mails


# --- addresses beyond ASCII ----------------------------------------------------------------------------------


def test_an_address_beyond_ascii_goes_to_a_server_with_smtputf8() -> None:
    outcome, sink = send(to="änn@example.com")
    assert isinstance(outcome, Sent)
    assert sink.mailbox.mails[0].recipients == ("änn@example.com",)


def test_without_smtputf8_such_an_address_is_refused_and_not_suppressed() -> None:
    outcome, sink = send(to="änn@example.com", sink=SmtpSink(smtputf8=False))
    assert isinstance(outcome, NotSent)
    assert (outcome.failure, outcome.suppress) == (Failure.RECIPIENT, False)
    assert not sink.mailbox.mails
