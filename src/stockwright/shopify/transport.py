"""The one place that speaks HTTP: a POST without retries, redirects or proxies, with every wait limited.

Says only whether the request surely never left, or may have been received. Knows nothing of Shopify.
"""

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from stockwright.model import StockwrightError

CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 20.0  # stays far below the dead time (120 s) after which a write counts as dead
MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_CONNECTIONS = 64
KEEPALIVE_S = 4.0  # short: a connection that the far side just closed would leave a write unanswered

_HEADERS = {"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"}
_NEVER_LEFT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)


class NotSent(Exception):
    """No byte of the request was received: refused connection, failed DNS answer or TLS handshake."""


class Unanswered(Exception):
    """The request may have been received and executed, but no whole answer came back."""


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    """Status, headers (lower-case names) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_http(transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncBaseTransport:
    """The connections for `post`, closed with `async with`; `transport` replaces the network, for an in-process shop.

    Without the library's client around them: of cookies, redirects, proxies and retries we want none.
    """
    if transport is not None:
        return transport
    limits = httpx2.Limits(
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_CONNECTIONS,
        keepalive_expiry=KEEPALIVE_S,
    )
    return httpx2.AsyncHTTPTransport(trust_env=False, limits=limits)


async def post(
    http: httpx2.AsyncBaseTransport,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    timeout_s: float = TOTAL_TIMEOUT_S,
) -> HttpAnswer:
    """Send one request, once.

    Raises:
        NotSent: it surely never arrived.
        Unanswered: anything else that is not a whole answer.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(http, url, headers=headers, body=body, timeout_s=timeout_s)
    except _NEVER_LEFT as error:
        raise NotSent(_named(error)) from error
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise Unanswered(_named(error)) from error
    except TimeoutError as error:
        raise Unanswered(f"no answer within {timeout_s:g} s") from error


async def _exchange(
    http: httpx2.AsyncBaseTransport, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
) -> HttpAnswer:
    timeout = httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S, pool=CONNECT_TIMEOUT_S)
    request = httpx2.Request(
        "POST",
        url,
        headers={**_HEADERS, **headers},
        content=body,
        extensions={"timeout": timeout.as_dict()},
    )
    response = await http.handle_async_request(request)
    try:
        return HttpAnswer(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=await _limited_body(response),
        )
    finally:
        await response.aclose()


async def _limited_body(response: httpx2.Response) -> bytes:
    chunks = bytearray()
    async for chunk in response.aiter_bytes():
        chunks += chunk
        if len(chunks) > MAX_BODY_BYTES:
            raise Unanswered(f"the answer is larger than {MAX_BODY_BYTES // 2**20} MiB")
    return bytes(chunks)


def _named(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def checked_api_url(text: str) -> str:
    """The base address of an Admin API, without a trailing slash.

    Raises:
        StockwrightError: not an absolute http(s) address, or plain http to another machine.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise StockwrightError(f"The API address {text!r} is not a web address: {error}.") from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise StockwrightError(
            f"The API address {text!r} is not a web address such as https://example.myshopify.com."
        )
    if parts.username or parts.password:
        raise StockwrightError("The API address must not contain a user name or password.")
    if parts.scheme == "http" and not is_loopback(host):
        raise StockwrightError(
            f"The API address {text!r} uses plain http, which would send the access token in the clear. "
            "Use https; plain http is accepted for this machine only (localhost, 127.0.0.1, ::1)."
        )
    shown_host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown_host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
