"""Over real sockets: what surely never left, what may have arrived, and what is not followed or swallowed."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from stockwright.model import StockwrightError
from stockwright.shopify import transport
from stockwright.shopify.transport import HttpAnswer, NotSent, Unanswered, checked_api_url, open_http, post

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nX-Shopify-API-Version: 2026-10\r\n"


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """The address of a server; its open conversations are ended with it."""
    tasks: list[asyncio.Task[None]] = []

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(tracked, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def exchange(serve: Serve, *, timeout_s: float = 5.0) -> HttpAnswer:
    async def run() -> HttpAnswer:
        async with serving(serve) as url, open_http() as http:
            return await post(http, url, headers={}, body=b"hello", timeout_s=timeout_s)

    return asyncio.run(run())


def posted(answer: bytes) -> HttpAnswer:
    """What comes back from a server that answers with these bytes and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hello")
        writer.write(answer)
        await writer.drain()

    return exchange(serve)


def test_a_whole_answer_comes_with_lower_case_header_names() -> None:
    answer = posted(HEAD + b"Content-Length: 2\r\n\r\n{}")
    assert (answer.status, answer.headers["x-shopify-api-version"], answer.body) == (200, "2026-10", b"{}")


def test_a_packed_answer_is_unpacked() -> None:
    packed = gzip.compress(b'{"data": {}}')
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert posted(head + packed).body == b'{"data": {}}'
    with pytest.raises(Unanswered):
        posted(head + b"?" * len(packed))


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    answer = posted(b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, answer.headers["location"]) == (302, "/y")


@pytest.mark.parametrize(
    "answer", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{}", b"no http at all\r\n\r\n"]
)
def test_an_answer_that_is_cut_may_have_been_executed(answer: bytes) -> None:
    with pytest.raises(Unanswered):
        posted(answer)


def test_silence_ends_at_the_time_limit() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(Unanswered):
        exchange(silent, timeout_s=0.2)


def test_an_answer_that_trickles_ends_at_the_time_limit_too() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    with pytest.raises(Unanswered, match=r"within 0\.3 s"):
        exchange(trickle, timeout_s=0.3)


def test_an_answer_above_the_limit_is_not_read_to_its_end() -> None:
    size = transport.MAX_BODY_BYTES + 1
    with pytest.raises(Unanswered, match="larger than 32 MiB"):
        posted(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://name.invalid/"])
def test_a_refused_connection_and_an_unknown_name_were_never_sent(url: str) -> None:
    async def run() -> None:
        async with open_http() as http:
            await post(http, url, headers={}, body=b"hello", timeout_s=5)

    with pytest.raises(NotSent):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://one.myshopify.com", "https://one.myshopify.com"),
        ("https://one.myshopify.com/", "https://one.myshopify.com"),
        (" https://one.myshopify.com:8443/base/ ", "https://one.myshopify.com:8443/base"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
        ("http://shop.localhost", "http://shop.localhost"),
    ],
)
def test_an_api_address_is_taken_without_its_slash(text: str, url: str) -> None:
    assert checked_api_url(text) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://one.myshopify.com", "plain http"),
        ("http://192.168.1.5", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("one.myshopify.com", "not a web address"),
        ("ftp://localhost", "not a web address"),
        ("https://", "not a web address"),
        ("https://a.example/?x=1", "not a web address"),
        ("https://a.example:port", "not a web address"),
        ("https://[::1", "not a web address"),
        ("https://me:secret@a.example", "user name"),
    ],
)
def test_another_address_is_refused_with_its_reason(text: str, words: str) -> None:
    with pytest.raises(StockwrightError, match=words) as caught:
        checked_api_url(text)
    assert "secret" not in str(caught.value)
