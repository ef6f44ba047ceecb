"""A light HTTP/1.1 client for load: keep-alive connections, whole requests as bytes, one at a time on each.

The requests are made before the clock runs, so that little but sending and waiting is measured.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

_HEAD_END = b"\r\n\r\n"


class _Exchange(asyncio.Protocol):
    """One connection. Reads answers with a Content-Length only."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one without being derived from it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return
        head, body = self._buffer[:end], self._buffer[end + len(_HEAD_END) :]
        if len(body) >= _length(head):
            self._buffer = b""
            self._resolve((int(head.split(b" ", 2)[1]), body))

    def _resolve(self, found: tuple[int, bytes]) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(found)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(exc or ConnectionResetError("the server closed the connection"))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Connection:
    """One keep-alive connection, opened when first used and again after a break."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._exchange: _Exchange | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exchange is not None and self._exchange.transport is not None:
            self._exchange.transport.close()

    async def send(self, message: bytes, *, limit_s: float = 30.0) -> tuple[int, bytes]:
        """Send one whole request; status and body.

        Raises:
            OSError: refused or broken.
            TimeoutError: no answer within `limit_s`.
        """
        exchange = await self._open()
        assert exchange.transport is not None
        exchange.answer = asyncio.get_running_loop().create_future()
        exchange.transport.write(message)
        async with asyncio.timeout(limit_s):
            return await exchange.answer

    async def _open(self) -> _Exchange:
        if self._exchange is None or self._exchange.transport is None:
            loop = asyncio.get_running_loop()
            _, self._exchange = await loop.create_connection(_Exchange, self._host, self._port)
        return self._exchange


def post(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A whole POST request as bytes."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path or '/'} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + _HEAD_END + body
