"""The app proxy: requests to /apps/<subpath>/... go to the app, signed as Shopify signs them.

Source: docs/apps/build/online-store/app-proxies. The query is signed, the body is not; cookies are taken out
both ways; the client's address is told in X-Forwarded-For. Redirects are followed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

import httpx2

TIME_LIMIT_S = 10.0
MAX_REDIRECTS = 5
MAX_ANSWER_BYTES = 4_000_000
# Set by the proxy itself: what a shopper adds under these names is dropped.
OWN_PARAMETERS = frozenset({"shop", "logged_in_customer_id", "path_prefix", "timestamp", "signature"})
PASSED_ON = ("accept", "accept-language", "content-type", "user-agent", "referer")
PASSED_BACK = ("content-type", "cache-control", "content-language", "retry-after")
Pairs = Sequence[tuple[str, str]]


class ProxyError(Exception):
    """The app did not answer; the message is for the shopper's page."""


def signature(pairs: Iterable[tuple[str, str]], secret: str) -> str:
    """Hex HMAC-SHA256 over `key=value` of all pairs, repeated keys joined by commas, sorted, without separator."""
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    message = "".join(sorted(f"{key}={','.join(found)}" for key, found in values.items()))
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def signed_query(
    query: str, *, shop: str, customer_id: str, path_prefix: str, secret: str, now: datetime
) -> str:
    """The shopper's query with Shopify's parameters and the signature over all of it."""
    pairs: list[tuple[str, str]] = [
        (key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key not in OWN_PARAMETERS
    ]
    pairs += [
        ("shop", shop),
        ("logged_in_customer_id", customer_id),
        ("path_prefix", path_prefix),
        ("timestamp", str(int(now.timestamp()))),
    ]
    return urlencode([*pairs, ("signature", signature(pairs, secret))])


async def forward(
    client: httpx2.AsyncClient,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    client_host: str,
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the app's answer.

    Raises:
        ProxyError: there was none within the time limit, or it is too large.
    """
    sent = {name: headers[name] for name in PASSED_ON if name in headers}
    sent["x-forwarded-for"] = client_host
    try:
        response = await client.request(
            method, url, headers=sent, content=body, timeout=TIME_LIMIT_S, follow_redirects=True
        )
    except httpx2.TimeoutException as error:
        raise ProxyError("The app did not answer in time.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProxyError("The app cannot be reached.") from error
    if len(response.content) > MAX_ANSWER_BYTES:
        raise ProxyError("The app's answer is too large.")
    back = {name: response.headers[name] for name in PASSED_BACK if name in response.headers}
    return response.status_code, back, response.content


def proxy_client() -> httpx2.AsyncClient:
    """A client that keeps no cookies of the app and uses no proxy of the machine."""
    return httpx2.AsyncClient(trust_env=False, max_redirects=MAX_REDIRECTS)
