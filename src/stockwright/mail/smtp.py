"""The way to a mail server: one account's connection, kept open, and one message at a time over it.

The seam is `Sender`: `send(letter, begin) -> Outcome`. Nothing here retries; what an outcome means for a message
is decided by the caller.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Protocol

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from stockwright.mail.account import Account, Security
from stockwright.mail.message import Letter
from stockwright.mail.outcome import (
    Failure,
    NotSent,
    Outcome,
    Sent,
    Stage,
    Unknown,
    Yielded,
    refused,
    reply_text,
)

Begin = Callable[[], Awaitable[bool]]  # just before DATA: store that it may be delivered; False: do not send
Hear = Callable[[str], None]  # one line of the conversation, without secrets

_IDLE_LIMIT_S = 20.0  # servers hang up after 30 s or more without a command
_LETTERS_PER_CONNECTION = 100
_QUIT_LIMIT_S = 2.0
_LAST_ANSWER_TIMES = 4  # servers look into a message before they accept it
_LONE_ENDS = re.compile(rb"\r\n|\r|\n")


class Sender(Protocol):
    """What sends. Tests may put their own in its place."""

    async def send(self, letter: Letter, begin: Begin) -> Outcome: ...

    async def look(self) -> NotSent | None: ...

    async def close(self) -> None: ...


class _End(Exception):
    """The conversation ends here."""

    def __init__(self, outcome: NotSent | Unknown | Yielded) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def _silent(_line: str) -> None:
    """Nobody listens."""


class SmtpSender:
    """Sends letters of one account over one connection, which it opens, reuses and renews."""

    def __init__(self, account: Account, *, hear: Hear = _silent) -> None:
        self._account = account
        self._hear = hear
        self._client: SMTP | None = None
        self._stage = Stage.CONNECT
        self._letters = 0  # over this connection
        self._used_at = 0.0
        self._tls: ssl.SSLContext | None = None

    async def send(self, letter: Letter, begin: Begin) -> Outcome:
        """Hand one letter over. `begin` is called once, before DATA; it may raise, and nothing is sent then.

        Cancelled, or ended by an error of `begin`, it drops the connection.
        """
        if self._client is not None and (outcome := await self._over_old(letter, begin)) is not None:
            return outcome
        return await self._attempt(letter, begin)

    async def _over_old(self, letter: Letter, begin: Begin) -> Outcome | None:
        """Over the open connection; None when it turns out to be dead before anything was said."""
        is_worn = monotonic() - self._used_at > _IDLE_LIMIT_S or self._letters >= _LETTERS_PER_CONNECTION
        if is_worn:
            await self.close()
            return None
        outcome = await self._attempt(letter, begin)
        is_dead = (
            isinstance(outcome, NotSent) and outcome.stage is Stage.SENDER and outcome.code in (None, 421)
        )
        return None if is_dead else outcome

    async def look(self) -> NotSent | None:
        """Connect and sign in without sending anything; None: the settings work."""
        await self.close()
        outcome = await self._guard(self._open)
        await self.close()
        return outcome if isinstance(outcome, NotSent) else None

    async def close(self) -> None:
        """Say goodbye, if there is anybody to say it to."""
        client, self._client = self._client, None
        if client is None or not client.is_connected:
            return
        try:
            await self._say(client, "QUIT", limit_s=_QUIT_LIMIT_S)
        except (SMTPException, OSError):
            pass  # it is gone already: that is what we wanted
        finally:
            client.close()

    # --- one conversation -------------------------------------------------------------------------------

    async def _attempt(self, letter: Letter, begin: Begin) -> Outcome:
        async def talk() -> Outcome:
            if self._client is None:
                await self._open()
            return await self._hand_over(letter, begin)

        return await self._guard(talk)

    async def _guard(self, talk: Callable[[], Awaitable[Outcome | None]]) -> Outcome:
        """Run a part of the conversation; after anything but a clean end the connection is dropped."""
        try:
            outcome = await talk()
        except _End as end:
            outcome = end.outcome
            if not await self._start_over(end.outcome):
                self._drop()
        except (SMTPException, OSError) as error:
            outcome = self._lost(error)
            self._drop()
        except BaseException:
            self._drop()
            raise
        self._used_at = monotonic()
        return outcome or Sent(reply="")

    async def _start_over(self, outcome: NotSent | Unknown | Yielded) -> bool:
        """Whether the connection can be used again after a refusal."""
        client = self._client
        about_message = self._stage in (Stage.SENDER, Stage.RECIPIENT, Stage.DATA, Stage.BODY)
        if client is None or not about_message or getattr(outcome, "code", None) == 421:
            return False
        try:
            return (await self._say(client, "RSET", limit_s=self._account.timeout_s)).code == 250
        except (SMTPException, OSError):
            return False

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _open(self) -> None:
        account = self._account
        self._stage = Stage.CONNECT
        self._letters = 0
        if account.security is not Security.NONE and self._tls is None:
            self._tls = await asyncio.to_thread(_tls_context, account)
        client = SMTP(
            hostname=account.host,
            port=account.port,
            timeout=account.timeout_s,
            use_tls=account.security is Security.TLS,
            start_tls=False,
            tls_context=self._tls if account.security is Security.TLS else None,
            local_hostname=account.ehlo_name or None,
        )
        self._hear(f"* connecting to {account.server} ({account.security.value})")
        greeting = await client.connect()
        self._client = client
        self._hear_reply(greeting)
        await self._hello(client)
        if account.security is Security.STARTTLS:
            await self._start_tls(client)
        if account.username:
            await self._sign_in(client)

    async def _hello(self, client: SMTP) -> None:
        self._stage = Stage.GREETING
        self._hear(f"C: EHLO {client.local_hostname}")
        try:
            self._hear_reply(await client.ehlo())
        except SMTPResponseException as error:
            raise self._no(SMTPResponse(error.code, error.message)) from error

    async def _start_tls(self, client: SMTP) -> None:
        self._stage = Stage.TLS
        if not client.supports_extension("starttls"):
            raise self._end(
                Failure.CONFIGURATION,
                f"{self._account.server} offers no STARTTLS, and without it nothing is sent. "
                "Check the port (587 as a rule), or choose tls or none.",
            )
        self._hear("C: STARTTLS")
        reply = await client.starttls(server_hostname=self._account.host, tls_context=self._tls)
        self._hear_reply(reply)
        self._hear("* the connection is encrypted now")
        await self._hello(client)

    async def _sign_in(self, client: SMTP) -> None:
        self._stage = Stage.AUTH
        if not client.supports_extension("auth"):
            raise self._end(
                Failure.CONFIGURATION,
                f"{self._account.server} takes no user and password. "
                "Remove them, or choose starttls or tls: many servers take them over an encrypted connection only.",
            )
        self._hear(f"C: AUTH {self._account.username} ********")
        self._hear_reply(await client.login(self._account.username, self._account.password))

    async def _hand_over(self, letter: Letter, begin: Begin) -> Sent:
        client = self._client
        assert client is not None, "opened before"
        self._letters += 1
        await self._envelope(client, letter)
        if not await begin():
            raise _End(Yielded())
        self._stage = Stage.DATA
        reply = await self._say(client, "DATA")
        if reply.code != 354:
            raise self._no(reply)
        self._stage = Stage.BODY
        reply = await self._transmit(client, letter)
        if not 200 <= reply.code < 300:
            raise self._no(reply)
        return Sent(reply=reply_text(reply.code, reply.message))

    async def _envelope(self, client: SMTP, letter: Letter) -> None:
        self._stage = Stage.SENDER
        options = [f"SIZE={len(letter.data)}"] if client.supports_extension("size") else []
        if letter.needs_utf8:
            options.append("SMTPUTF8")
            if not client.supports_extension("smtputf8"):
                self._stage = Stage.RECIPIENT
                words = (
                    f"{self._account.server} cannot take an address with letters beyond ASCII (no SMTPUTF8)."
                )
                raise self._end(Failure.RECIPIENT, words)
        reply = await self._say(client, " ".join([f"MAIL FROM:<{letter.sender}>", *options]))
        if reply.code != 250:
            raise self._no(reply)
        self._stage = Stage.RECIPIENT
        reply = await self._say(client, f"RCPT TO:<{letter.recipient}>")
        if reply.code not in (250, 251):
            raise self._no(reply)

    async def _transmit(self, client: SMTP, letter: Letter) -> SMTPResponse:
        """The message and its final dot, in one write: from here on a lost connection leaves us in doubt."""
        protocol = client.protocol
        if protocol is None or not client.is_connected:
            self._stage = Stage.DATA
            raise SMTPServerDisconnected("the connection was lost before the message was sent")
        self._hear(f"C: (the message, {len(letter.data)} bytes)")
        self._hear("C: .")
        protocol.write(_transparent(letter.data))
        reply = await protocol.read_response(timeout=self._account.timeout_s * _LAST_ANSWER_TIMES)
        self._hear_reply(reply)
        return reply

    # --- lines -------------------------------------------------------------------------------------------

    async def _say(self, client: SMTP, line: str, *, limit_s: float | None = None) -> SMTPResponse:
        self._hear(f"C: {line}")
        reply = await client.execute_command(
            line.encode(), timeout=self._account.timeout_s if limit_s is None else limit_s
        )
        self._hear_reply(reply)
        return reply

    def _hear_reply(self, reply: SMTPResponse) -> None:
        lines = self._without_secrets(reply.message).split("\n")
        for no, line in enumerate(lines, 1):
            self._hear(f"S: {reply.code}{'-' if no < len(lines) else ' '}{line.strip()}")

    def _without_secrets(self, text: str) -> str:
        password = self._account.password
        for secret in (password, base64.b64encode(password.encode()).decode()):
            text = text.replace(secret, "********") if secret else text
        return text

    # --- ends --------------------------------------------------------------------------------------------

    def _no(self, reply: SMTPResponse) -> _End:
        """The end that a reply means."""
        text = self._without_secrets(reply.message)
        if 400 <= reply.code < 600:
            return _End(refused(reply.code, text, self._stage))
        return _End(self._broken(f"an answer that is none: {reply_text(reply.code, text)}"))

    def _end(self, failure: Failure, words: str) -> _End:
        self._hear(f"* {words}")
        return _End(NotSent(failure=failure, stage=self._stage, reply=words))

    def _lost(self, error: SMTPException | OSError) -> NotSent | Unknown:
        """What an exception of the connection means."""
        if isinstance(error, SMTPResponseException) and 400 <= error.code < 600:
            self._hear_reply(SMTPResponse(error.code, error.message))
            outcome = self._no(SMTPResponse(error.code, error.message)).outcome
            assert isinstance(outcome, NotSent)
            return outcome
        self._hear(f"* {error}")
        if (certificate := _certificate_error(error)) is not None:
            words = (
                f"The certificate of {self._account.server} is refused: {certificate.verify_message}. "
                "Check the host name, or give the authority's certificate (STOCKWRIGHT_SMTP_CA_FILE)."
            )
            return NotSent(failure=Failure.CONFIGURATION, stage=Stage.TLS, reply=words)
        if self._stage is Stage.AUTH and not isinstance(error, OSError):
            return NotSent(failure=Failure.CONFIGURATION, stage=Stage.AUTH, reply=str(error))
        return self._broken(_words(error, self._stage, self._account))

    def _broken(self, words: str) -> NotSent | Unknown:
        """After an end without an answer, by how far we had come."""
        if self._stage is Stage.BODY:
            return Unknown(reply=words)
        return NotSent(failure=Failure.TRANSPORT, stage=self._stage, reply=words, pauses=True)


def _tls_context(account: Account) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(account.ca_file) if account.ca_file else None)
    if not account.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _transparent(data: bytes) -> bytes:
    """The bytes as DATA takes them: CRLF only, leading dots doubled, the final dot at the end (RFC 5321, 4.5.2)."""
    lines = _LONE_ENDS.sub(b"\r\n", data).removesuffix(b"\r\n")
    return re.sub(rb"(?m)^\.", b"..", lines) + b"\r\n.\r\n"


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _words(error: Exception, stage: Stage, account: Account) -> str:
    how = "did not answer in time" if isinstance(error, SMTPTimeoutError | TimeoutError) else str(error)
    return f"{account.server} at {stage.value}: {how or type(error).__name__}"[:500]
