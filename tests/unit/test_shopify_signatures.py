"""Signatures, against the published vectors."""

from datetime import UTC, datetime, timedelta

import pytest

from stockwright.shopify.signatures import proxy_request_is_genuine, webhook_is_genuine

BODY = (
    b'{"inventory_item_id":9007199254740995,"location_id":88412230715,"available":7,'
    b'"updated_at":"2026-11-03T10:15:42-05:00",'
    b'"admin_graphql_api_id":"gid://shopify/InventoryLevel/702845513?inventory_item_id=9007199254740995"}'
)
SIGNATURE = "IyJ/JuwaCC1VuLE3+BUkXaDofxLXkmAlLvyP7J3Xdy4="

PROXY = [
    ("extra", "1"),
    ("extra", "2"),
    ("shop", "shop-name.myshopify.com"),
    ("logged_in_customer_id", "1"),
    ("path_prefix", "/apps/awesome_reviews"),
    ("timestamp", "1317327555"),
    ("signature", "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb"),
]
SENT_AT = datetime.fromtimestamp(1317327555, UTC)


def test_a_delivery_signed_with_the_secret_is_genuine() -> None:
    assert len(BODY) == 218
    assert webhook_is_genuine(BODY, SIGNATURE, ["hush"])


def test_after_a_rotation_the_old_secret_still_signs() -> None:
    assert webhook_is_genuine(BODY, SIGNATURE, ["new", "hush"])


@pytest.mark.parametrize(
    ("body", "signature", "secrets"),
    [
        (BODY + b" ", SIGNATURE, ["hush"]),
        (BODY, SIGNATURE, ["other"]),
        (BODY, SIGNATURE, []),
        (BODY, SIGNATURE, [""]),
        (BODY, None, ["hush"]),
        (BODY, "", ["hush"]),
        (BODY, SIGNATURE.lower(), ["hush"]),
        (BODY, "ünicode", ["hush"]),
    ],
)
def test_anything_else_is_not(body: bytes, signature: str | None, secrets: list[str]) -> None:
    assert not webhook_is_genuine(body, signature, secrets)


def test_a_proxy_request_with_the_published_signature_is_genuine() -> None:
    assert proxy_request_is_genuine(PROXY, ["hush"], now=SENT_AT + timedelta(seconds=90))
    assert proxy_request_is_genuine(list(reversed(PROXY)), ["new", "hush"], now=SENT_AT) is False  # extra=2,1
    assert proxy_request_is_genuine([*PROXY[2:], *PROXY[:2]], ["new", "hush"], now=SENT_AT)


@pytest.mark.parametrize("seconds", [91, -91])
def test_an_old_or_future_proxy_request_is_refused(seconds: int) -> None:
    assert not proxy_request_is_genuine(PROXY, ["hush"], now=SENT_AT + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "pairs",
    [
        [*PROXY, ("more", "1")],
        [*PROXY, ("signature", "x")],
        [*PROXY, ("timestamp", "1317327555")],
        [pair for pair in PROXY if pair[0] != "signature"],
        [pair for pair in PROXY if pair[0] != "timestamp"],
        [(key, "²" if key == "timestamp" else value) for key, value in PROXY],
        [(key, "é" if key == "signature" else value) for key, value in PROXY],
    ],
)
def test_a_tampered_proxy_request_is_refused(pairs: list[tuple[str, str]]) -> None:
    assert not proxy_request_is_genuine(pairs, ["hush"], now=SENT_AT)
