"""The SMTP side: as much of RFC 5321 as a sender needs, and faults where they are ordered."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from mail_sink.faults import Fault, Faults
from mail_sink.mailbox import Mailbox

SIZE_LIMIT = 20 * 1_048_576
LINE_LIMIT = 65_536
IDLE_LIMIT_S = 300.0
MAX_SESSIONS = 500


@dataclass(kw_only=True)
class SmtpSink:
    """One listening server. `users`: name -> password; with any, mail is taken from them only."""

    mailbox: Mailbox = field(default_factory=Mailbox)
    faults: Faults = field(default_factory=Faults)
    host: str = "127.0.0.1"
    port: int = 0  # 0 = any; the real one once it listens
    name: str = "sink.localhost"
    users: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None  # offers STARTTLS
    tls_from_start: bool = False  # speaks TLS at once (needs `tls`)
    smtputf8: bool = True
    delay_s: float = 0.0  # before every answer, as a server far away answers
    connections: int = 0  # that were ever opened
    handed_over: int = 0  # messages whose final dot came in, answered or not
    commands: list[str] = field(default_factory=list)  # of all sessions, without secrets
    _server: asyncio.Server | None = None
    _sessions: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> SmtpSink:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        context = self.tls if self.tls_from_start else None
        self._server = await asyncio.start_server(
            self._accept, self.host, self.port, ssl=context, limit=LINE_LIMIT
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the door and every session."""
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        self.connections += 1
        try:
            if len(self._sessions) <= MAX_SESSIONS:
                await _Session(self, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.LimitOverrunError, ValueError):
            pass  # the sender went away, or sends what no sender sends: the session is over
        except asyncio.CancelledError:
            pass  # the server stops
        finally:
            self._sessions.discard(task)
            writer.close()


class _Gone(OSError):
    """We hang up."""


class _Session:
    """One connection."""

    def __init__(self, sink: SmtpSink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._user = ""
        self._encrypted = sink.tls_from_start
        self._sender: str | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self._answer("greeting", f"220 {self._sink.name} ESMTP mail sink")
        while (line := await self._line()) is not None:
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            self._sink.commands.append("AUTH ********" if verb == "AUTH" else line)
            if verb == "QUIT":
                await self._answer("QUIT", "221 2.0.0 bye")
                return
            await self._command(verb, rest.strip())

    async def _command(self, verb: str, rest: str) -> None:
        handlers: dict[str, Callable[[str], object]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
        }
        handler = handlers.get(verb)
        if handler is None:
            await self._say("502 5.5.1 unknown command")
            return
        result = handler(rest)
        assert asyncio.iscoroutine(result)
        await result

    # --- commands ---------------------------------------------------------------------------------------

    async def _ehlo(self, _rest: str) -> None:
        self._forget()
        features = [self._sink.name, f"SIZE {SIZE_LIMIT}", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if self._sink.smtputf8:
            features.append("SMTPUTF8")
        if self._sink.tls is not None and not self._encrypted:
            features.append("STARTTLS")
        if self._sink.users:
            features.append("AUTH PLAIN LOGIN")
        lines = [f"250-{one}" for one in features[:-1]]
        await self._answer("EHLO", "\r\n".join([*lines, f"250 {features[-1]}"]))

    async def _helo(self, _rest: str) -> None:
        self._forget()
        await self._answer("EHLO", f"250 {self._sink.name}")

    async def _noop(self, _rest: str) -> None:
        await self._say("250 2.0.0 still here")

    async def _rset(self, _rest: str) -> None:
        self._forget()
        await self._say("250 2.0.0 forgotten")

    async def _starttls(self, _rest: str) -> None:
        if self._sink.tls is None or self._encrypted:
            await self._say("502 5.5.1 no STARTTLS here")
            return
        if await self._answer("STARTTLS", "220 2.0.0 go ahead"):
            await self._writer.start_tls(self._sink.tls)
            self._encrypted = True
            self._forget()

    async def _auth(self, rest: str) -> None:
        method, _, initial = rest.partition(" ")
        if not self._sink.users or method.upper() not in ("PLAIN", "LOGIN"):
            await self._say("504 5.5.4 no such way to sign in")
            return
        user, password = await (self._plain(initial) if method.upper() == "PLAIN" else self._login(initial))
        if self._sink.users.get(user) != password:
            await self._answer("AUTH", "535 5.7.8 wrong user or password")
        elif await self._answer("AUTH", "235 2.7.0 signed in"):
            self._user = user

    async def _plain(self, initial: str) -> tuple[str, str]:
        text = initial or await self._ask("334 ")
        _, user, password = base64.b64decode(text).decode().split("\0")
        return user, password

    async def _login(self, initial: str) -> tuple[str, str]:
        user = initial or await self._ask("334 VXNlcm5hbWU6")
        password = await self._ask("334 UGFzc3dvcmQ6")
        return base64.b64decode(user).decode(), base64.b64decode(password).decode()

    async def _mail(self, rest: str) -> None:
        if self._sink.users and not self._user:
            await self._say("530 5.7.0 sign in first")
        elif await self._answer("MAIL", "250 2.1.0 sender ok"):
            self._sender = _address(rest)

    async def _rcpt(self, rest: str) -> None:
        if self._sender is None:
            await self._say("503 5.5.1 MAIL first")
        elif await self._answer("RCPT", "250 2.1.5 recipient ok", [_address(rest)]):
            self._recipients.append(_address(rest))

    async def _data(self, _rest: str) -> None:
        if not self._recipients:
            await self._say("503 5.5.1 RCPT first")
            return
        if not await self._answer("DATA", "354 go ahead", self._recipients):
            return
        async with asyncio.timeout(IDLE_LIMIT_S):
            raw = await self._body()
        self._sink.handed_over += 1
        fault = self._sink.faults.take("dot", self._recipients)
        if fault is None or fault.keep or not (fault.reply or fault.drop):
            self._keep(raw)
        self._forget()
        await self._as_ordered(fault, f"250 2.0.0 kept as number {len(self._sink.mailbox.mails)}")

    async def _body(self) -> bytes:
        """The message up to its final dot, with doubled dots made single."""
        fault = self._sink.faults.take("body", self._recipients)
        if fault is not None:
            return await self._slow_body(fault)
        raw = b"\r\n" + await self._until_final_dot()
        return raw.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.").removeprefix(b"\r\n")

    async def _until_final_dot(self) -> bytes:
        """Everything up to a line that is a dot alone, that line included; most of it in one read."""
        parts: list[bytes] = []
        while True:
            head = await self._reader.readexactly(3)
            if b"\n" not in head:
                return b"".join([*parts, head, await self._until(b"\n.\r\n")])
            rest = b"" if head.endswith(b"\n") else await self._reader.readuntil(b"\n")
            parts.append(head + rest)
            if (b"\n" + head + rest).endswith(b"\n.\r\n"):
                return b"".join(parts)

    async def _until(self, end: bytes) -> bytes:
        parts: list[bytes] = []
        while sum(map(len, parts)) <= SIZE_LIMIT:
            try:
                parts.append(await self._reader.readuntil(end))
            except asyncio.LimitOverrunError as error:
                parts.append(await self._reader.readexactly(error.consumed))
            else:
                return b"".join(parts)
        raise _Gone

    async def _slow_body(self, fault: Fault) -> bytes:
        """Line by line, each as slowly as ordered, or only the first of them."""
        lines: list[bytes] = []
        while (line := await self._reader.readuntil(b"\n")) != b".\r\n":
            await asyncio.sleep(fault.slow_s)
            if fault.drop:
                raise _Gone
            lines.append(line.removeprefix(b".") if line.startswith(b".") else line)
        return b"".join(lines)

    def _keep(self, raw: bytes) -> None:
        self._sink.mailbox.add(
            raw,
            sender=self._sender or "",
            recipients=tuple(self._recipients),
            user=self._user,
            encrypted=self._encrypted,
        )

    def _forget(self) -> None:
        self._sender = None
        self._recipients = []

    # --- lines -------------------------------------------------------------------------------------------

    async def _answer(self, stage: str, reply: str, recipients: list[str] | None = None) -> bool:
        """Answer as is right, or as a fault orders; whether the answer was the right one."""
        return await self._as_ordered(self._sink.faults.take(stage, recipients or self._recipients), reply)

    async def _as_ordered(self, fault: Fault | None, reply: str) -> bool:
        if fault is None:
            await self._say(reply)
            return True
        await asyncio.sleep(fault.slow_s)
        if fault.reply:
            await self._say(fault.reply)
        if fault.drop:
            raise _Gone
        if not fault.reply:
            await self._say(reply)
        return not fault.reply

    async def _ask(self, reply: str) -> str:
        await self._say(reply)
        return (await self._line()) or ""

    async def _say(self, reply: str) -> None:
        if self._sink.delay_s:
            await asyncio.sleep(self._sink.delay_s)
        self._writer.write(f"{reply}\r\n".encode())
        await self._writer.drain()

    async def _line(self) -> str | None:
        try:
            return (await self._read()).decode("utf-8", "replace").rstrip("\r\n")
        except asyncio.IncompleteReadError:
            return None

    async def _read(self) -> bytes:
        async with asyncio.timeout(IDLE_LIMIT_S):
            return await self._reader.readuntil(b"\n")


def _address(rest: str) -> str:
    inside = rest.partition("<")[2].partition(">")[0] if "<" in rest else rest.partition(":")[2]
    return inside.strip()
