"""Reading a webhook: who sent it, what it is about, what is refused."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from stockwright.inbox import UNKNOWN_SENDER, Rejection, Sender, read_webhook, sender_domain, subject_of
from stockwright.model import WHOLE_SHOP, EventId, NewEvent, ShopId, Source

SENDER = Sender(shop_id=ShopId(7), secrets=("hush", "before"))
# The documented example of a delivery, whose signature with the secret "hush" is known.
BODY = (
    b'{"inventory_item_id":9007199254740995,"location_id":88412230715,"available":7,'
    b'"updated_at":"2026-11-03T10:15:42-05:00",'
    b'"admin_graphql_api_id":"gid://shopify/InventoryLevel/702845513?inventory_item_id=9007199254740995"}'
)
SIGNATURE = "IyJ/JuwaCC1VuLE3+BUkXaDofxLXkmAlLvyP7J3Xdy4="
HEADERS = {
    "x-shopify-topic": "inventory_levels/update",
    "x-shopify-hmac-sha256": SIGNATURE,
    "x-shopify-shop-domain": "One.myshopify.com",
    "x-shopify-webhook-id": "webhook-1",
    "x-shopify-event-id": "event-1",
    "x-shopify-triggered-at": "2026-11-03T15:15:42.123456789Z",
}


def sign(body: bytes, secret: str = "hush") -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def read(headers: dict[str, str], body: bytes, sender: Sender | None = SENDER) -> NewEvent | Rejection:
    return read_webhook(headers, body, sender, event_id=EventId("evt_1"))


def signed(body: bytes, **changed: str) -> NewEvent | Rejection:
    return read(HEADERS | {"x-shopify-hmac-sha256": sign(body)} | changed, body)


def test_a_genuine_delivery_is_read() -> None:
    assert read(HEADERS, BODY) == NewEvent(
        shop_id=ShopId(7),
        event_id=EventId("evt_1"),
        topic="shopify/inventory_levels/update",
        payload=json.loads(BODY),
        source=Source.SHOPIFY,
        subject="gid://shopify/InventoryItem/9007199254740995",
        webhook_id="webhook-1",
        shopify_event_id="event-1",
        triggered_at=datetime(2026, 11, 3, 15, 15, 42, 123456, tzinfo=UTC),
    )


def test_the_newer_spelling_of_the_headers_is_read_alike() -> None:
    assert read({name.removeprefix("x-"): value for name, value in HEADERS.items()}, BODY) == read(
        HEADERS, BODY
    )
    assert sender_domain({"shopify-shop-domain": " One.MyShopify.com "}) == "one.myshopify.com"
    assert sender_domain({}) == ""


def test_the_secret_before_the_last_change_is_still_good() -> None:
    assert isinstance(read(HEADERS | {"x-shopify-hmac-sha256": sign(BODY, "before")}, BODY), NewEvent)


@pytest.mark.parametrize(
    ("headers", "body", "sender"),
    [
        (HEADERS, BODY, None),
        (HEADERS, BODY + b" ", SENDER),
        (HEADERS | {"x-shopify-hmac-sha256": sign(BODY, "guess")}, BODY, SENDER),
        (HEADERS | {"x-shopify-hmac-sha256": ""}, BODY, SENDER),
        ({"x-shopify-topic": "inventory_levels/update"}, BODY, SENDER),
        (HEADERS, BODY, Sender(shop_id=ShopId(7), secrets=())),
        (HEADERS | {"x-shopify-hmac-sha256": sign(BODY, "")}, BODY, Sender(shop_id=ShopId(7), secrets=("",))),
    ],
    ids=["unknown shop", "body changed", "other secret", "empty", "no header", "no secrets", "empty secret"],
)
def test_what_is_not_signed_by_an_installed_shop_is_refused(headers, body, sender) -> None:
    assert read(headers, body, sender) == UNKNOWN_SENDER
    assert UNKNOWN_SENDER.status == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"7", b"null", b'"text"', b"{", b"\xff\xfe", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e400}', b"[" * 100_000,
     b'{"a": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_signed_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    found = signed(body)
    assert isinstance(found, Rejection)
    assert found.status == 400


@pytest.mark.parametrize(
    "changed", [{"x-shopify-topic": ""}, {"x-shopify-topic": "a" * 300}, {"x-shopify-webhook-id": "a" * 300}]
)
def test_a_header_that_is_missing_or_too_long_is_refused(changed: dict[str, str]) -> None:
    found = signed(BODY, **changed)
    assert isinstance(found, Rejection)
    assert found.status == 400


def test_a_delivery_without_an_id_is_accepted_and_will_not_be_deduplicated() -> None:
    found = signed(BODY, **{"x-shopify-webhook-id": ""})
    assert isinstance(found, NewEvent)
    assert found.webhook_id is None


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-45T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_cannot_be_read_is_left_out(text: str) -> None:
    found = signed(BODY, **{"x-shopify-triggered-at": text})
    assert isinstance(found, NewEvent)
    assert found.triggered_at is None


@pytest.mark.parametrize(
    ("topic", "payload", "subject"),
    [
        ("inventory_levels/update", {"inventory_item_id": 9007199254740995}, "gid://shopify/InventoryItem/9007199254740995"),
        ("inventory_levels/disconnect", {"inventory_item_id": 5}, "gid://shopify/InventoryItem/5"),
        ("inventory_items/update", {"id": 5}, "gid://shopify/InventoryItem/5"),
        ("products/update", {"id": 5}, "gid://shopify/Product/5"),
        ("products/delete", {"id": "5"}, "gid://shopify/Product/5"),
        ("orders/create", {"id": 5}, WHOLE_SHOP),
        ("app/uninstalled", {}, WHOLE_SHOP),
        ("products/update", {}, WHOLE_SHOP),
        ("products/update", {"id": None}, WHOLE_SHOP),
        ("products/update", {"id": True}, WHOLE_SHOP),
        ("products/update", {"id": -5}, WHOLE_SHOP),
        ("products/update", {"id": 5.5}, WHOLE_SHOP),
        ("products/update", {"id": "../5"}, WHOLE_SHOP),
        ("products/update", {"id": 10**30}, WHOLE_SHOP),
        ("products/update", {"id": {"id": 5}}, WHOLE_SHOP),
    ],
)  # fmt: skip
def test_what_a_delivery_is_about(topic: str, payload: dict[str, object], subject: str) -> None:
    assert subject_of(topic, payload) == subject
