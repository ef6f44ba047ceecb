"""Shopify's signatures: webhook deliveries and app proxy requests. Pure, constant-time, no I/O.

Sources: docs/apps/build/webhooks/verify-deliveries;
docs/apps/build/online-store/app-proxies/authenticate-app-proxies.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime

PROXY_MAX_AGE_S = 90


def webhook_is_genuine(body: bytes, signature: str | None, secrets: Sequence[str]) -> bool:
    """Whether the raw body was signed with one of the secrets (new and old during a rotation).

    `signature` is the Hmac-Sha256 header: base64 of HMAC-SHA256 over the raw bytes.
    """
    if not signature:
        return False
    given = signature.strip().encode("utf-8", "replace")
    expected = [base64.b64encode(_hmac(secret, body)) for secret in secrets if secret]
    return _any_equal(expected, given)


def proxy_request_is_genuine(
    pairs: Iterable[tuple[str, str]], secrets: Sequence[str], *, now: datetime
) -> bool:
    """Whether an app proxy request comes from Shopify and is at most 90 s old (in either direction).

    `pairs` are the decoded query pairs in order, `signature` among them. The body is not covered.
    """
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    signatures = values.pop("signature", [])
    if len(signatures) != 1 or not _is_fresh(values.get("timestamp", []), now):
        return False
    message = "".join(sorted(f"{key}={','.join(found)}" for key, found in values.items())).encode()
    expected = [_hmac(secret, message).hex().encode() for secret in secrets if secret]
    return _any_equal(expected, signatures[0].encode("utf-8", "replace"))


def _hmac(secret: str, message: bytes) -> bytes:
    return hmac.digest(secret.encode(), message, hashlib.sha256)


def _any_equal(expected: Sequence[bytes], given: bytes) -> bool:
    # Every candidate is compared, so that the time does not tell which secret matched.
    return sum([hmac.compare_digest(one, given) for one in expected]) > 0


def _is_fresh(timestamps: Sequence[str], now: datetime) -> bool:
    if len(timestamps) != 1 or not timestamps[0].isascii() or not timestamps[0].isdigit():
        return False
    age_s = now.timestamp() - int(timestamps[0][:15])
    return abs(age_s) <= PROXY_MAX_AGE_S
