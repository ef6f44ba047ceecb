"""Webhooks: subscriptions, bodies, signatures, delivery, retries and faults."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from shopify_emulator import ShopError, WebhookFault
from shopify_emulator.webhooks import RETRIES, retry_delay_s, sign
from tests.unit.test_emulator_shop import DOMAIN, Stage, stage

URI = "https://stockwright.test/webhooks/shopify"
CREATE = """mutation($topic: WebhookSubscriptionTopic!, $s: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $s) {
    webhookSubscription { id uri topic name apiVersion { handle } } userErrors { field message } } }"""


@dataclass
class Receiver:
    """What arrived; `statuses` are answered in turn, then 200."""

    statuses: list[int | None] = field(default_factory=list)
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        self.got.append((headers, body))
        return self.statuses.pop(0) if self.statuses else 200

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def topics(self) -> list[str]:
        return [headers["X-Shopify-Topic"] for headers, _ in self.got]

    def ids(self) -> list[str]:
        return [headers["X-Shopify-Webhook-Id"] for headers, _ in self.got]


def subscribe(s: Stage, topic: str = "INVENTORY_LEVELS_UPDATE", **more: Any) -> dict[str, Any]:
    given = {"uri": URI, **more}
    payload: dict[str, Any] = s.data(CREATE, {"topic": topic, "s": given})["webhookSubscriptionCreate"]
    return payload


def listening(
    *topics: str, statuses: list[int | None] | None = None, **options: Any
) -> tuple[Stage, Receiver]:
    s, receiver = stage(**options), Receiver(statuses or [])
    s.shop.deliver = receiver
    for topic in topics or ("INVENTORY_LEVELS_UPDATE",):
        assert subscribe(s, topic)["userErrors"] == []
    return s, receiver


def settle(s: Stage) -> int:
    return asyncio.run(s.shop.settle_webhooks())


def test_the_signature_is_that_of_the_published_vector() -> None:
    body = (
        b'{"inventory_item_id":9007199254740995,"location_id":88412230715,"available":7,"updated_at":'
        b'"2026-11-03T10:15:42-05:00","admin_graphql_api_id":'
        b'"gid://shopify/InventoryLevel/702845513?inventory_item_id=9007199254740995"}'
    )
    assert len(body) == 218
    assert sign("hush", body) == "IyJ/JuwaCC1VuLE3+BUkXaDofxLXkmAlLvyP7J3Xdy4="


def test_a_level_update_has_the_documented_body_in_the_shops_time_zone() -> None:
    s, receiver = listening()
    s.shop.sell([(s.a.gid, 3)])
    settle(s)
    level = s.shop.state.level(s.a.item.gid, s.toronto)
    assert (
        receiver.got[0][1]
        == (
            f'{{"inventory_item_id":{s.a.item.number},"location_id":{level.location.number},"available":7,'
            f'"updated_at":"2026-11-03T10:15:42-05:00","admin_graphql_api_id":"{level.gid}"}}'
        ).encode()
    )


def test_a_delivery_carries_every_header_and_a_signature_of_its_bytes() -> None:
    s, receiver = listening()
    subscribe(s, "ORDERS_CREATE", name="orders")
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    (order, _), (level, body) = receiver.got
    assert level["X-Shopify-Topic"] == "inventory_levels/update"
    assert level["X-Shopify-Shop-Domain"] == DOMAIN
    assert level["X-Shopify-API-Version"] == "2026-10"
    assert level["X-Shopify-Triggered-At"] == "2026-11-03T15:15:42.000000Z"
    digest = hmac.new(b"hush", body, hashlib.sha256).digest()
    assert level["X-Shopify-Hmac-Sha256"] == base64.b64encode(digest).decode()
    assert (order["X-Shopify-Name"], "X-Shopify-Name" in level) == ("orders", False)


def test_one_action_has_one_event_id_and_each_webhook_an_id_of_its_own() -> None:
    s, receiver = listening()
    s.shop.sell([(s.a.gid, 1), (s.b.gid, 1)])
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    events = [headers["X-Shopify-Event-Id"] for headers, _ in receiver.got]
    assert events[0] == events[1] != events[2]
    assert len(set(receiver.ids())) == 3


def test_only_subscribed_topics_are_delivered() -> None:
    s, receiver = listening("PRODUCTS_UPDATE")
    s.shop.sell([(s.a.gid, 1)])
    s.shop.set_tags(s.product.gid, ["new"])
    settle(s)
    assert receiver.topics() == ["products/update"]
    assert receiver.bodies()[0]["tags"] == "new"


def test_our_own_writes_echo_as_webhooks() -> None:
    s, receiver = listening()
    s.adjust(s.row(s.a, -1, 10))
    settle(s)
    assert [body["available"] for body in receiver.bodies()] == [9]


@pytest.mark.parametrize(("mode", "said"), [("build_time", [0, 0]), ("event_time", [20, 0])])
def test_a_payload_is_built_when_it_is_sent_or_when_it_happened(mode: str, said: list[int]) -> None:
    # Observed: 0 -> 10 -> 0 quickly gave two events that both said 0.
    s, receiver = listening(levels=0, event_payload=mode)
    s.shop.edit(s.a.item.gid, s.toronto, 20)
    s.shop.edit(s.a.item.gid, s.toronto, 0)
    settle(s)
    assert [body["available"] for body in receiver.bodies()] == said


@pytest.mark.parametrize(("mode", "count"), [("available", 1), ("any_name", 2)])
def test_a_change_of_another_name_tells_only_in_one_mode(mode: str, count: int) -> None:
    s, receiver = listening(levels_update_on=mode)
    order = s.shop.sell([(s.a.gid, 1)])
    s.shop.fulfil(order.gid)
    settle(s)
    assert len(receiver.got) == count


def test_an_untracked_item_says_null() -> None:
    s, receiver = listening()
    s.shop.set_tracked(s.a.item.gid, tracked=False)
    s.shop.edit(s.a.item.gid, s.toronto, 4)
    settle(s)
    assert receiver.bodies()[0]["available"] is None


def test_connect_and_disconnect_tell_what_they_know() -> None:
    s, receiver = listening("INVENTORY_LEVELS_CONNECT", "INVENTORY_LEVELS_DISCONNECT")
    s.shop.disconnect(s.a.item.gid, s.montreal)
    s.shop.connect(s.a.item.gid, s.montreal)
    settle(s)
    assert receiver.topics() == ["inventory_levels/disconnect", "inventory_levels/connect"]
    assert list(receiver.bodies()[0]) == ["inventory_item_id", "location_id"]
    assert receiver.bodies()[1]["available"] == 10


def test_orders_refunds_items_and_locations_are_told() -> None:
    topics = (
        "ORDERS_CREATE",
        "ORDERS_CANCELLED",
        "ORDERS_EDITED",
        "REFUNDS_CREATE",
        "INVENTORY_ITEMS_UPDATE",
        "INVENTORY_ITEMS_DELETE",
        "PRODUCTS_DELETE",
        "LOCATIONS_DEACTIVATE",
    )
    s, receiver = listening(*topics)
    order = s.shop.sell([(s.a.gid, 2)])
    s.shop.edit_order(order.gid, [(s.b.gid, 1)])
    s.shop.refund(order.gid, [(s.a.gid, 1)], restock=True)
    s.shop.cancel(order.gid, restock=True)
    s.shop.set_sku(s.a.item.gid, "NEW")
    s.shop.set_location_active(s.montreal, active=False)
    s.shop.remove_product(s.product.gid)
    settle(s)
    assert sorted(set(receiver.topics())) == sorted(
        [
            "orders/create",
            "orders/edited",
            "refunds/create",
            "orders/cancelled",
            "inventory_items/update",
            "inventory_items/delete",
            "products/delete",
            "locations/deactivate",
        ]
    )
    by_topic = dict(zip(receiver.topics(), receiver.bodies(), strict=True))
    assert by_topic["products/delete"] == {"id": s.product.number}
    assert by_topic["orders/create"]["line_items"][0]["variant_id"] == s.a.number
    assert by_topic["refunds/create"]["refund_line_items"][0]["restock_type"] == "cancel"


def test_an_uninstall_is_told_after_the_token_is_dead_and_ends_all_subscriptions() -> None:
    s, receiver = listening("APP_UNINSTALLED", "INVENTORY_LEVELS_UPDATE")
    s.shop.uninstall()
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    assert receiver.topics() == ["app/uninstalled"]
    assert receiver.bodies()[0]["myshopify_domain"] == DOMAIN


def test_eight_retries_span_four_hours_exponentially() -> None:
    delays = [retry_delay_s(n) for n in range(1, RETRIES + 1)]
    assert sum(delays) == pytest.approx(4 * 3600)
    assert all(later == pytest.approx(2 * sooner) for sooner, later in pairwise(delays))


@pytest.mark.parametrize(("mode", "ids"), [("stable", 1), ("new", 2)])
def test_a_failed_delivery_is_retried_with_its_first_payload(mode: str, ids: int) -> None:
    s, receiver = listening(statuses=[500], webhook_id_on_retry=mode)
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    s.clock.advance(retry_delay_s(1))
    settle(s)
    assert [body["available"] for body in receiver.bodies()] == [9, 8, 9]
    assert len({receiver.ids()[0], receiver.ids()[2]}) == ids


def test_a_redirect_counts_as_a_failure() -> None:
    s, _ = listening(statuses=[302])
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    assert [d.attempts for d in s.shop.pending_webhooks()] == [1]


def test_a_subscription_is_deleted_after_the_last_retry_failed() -> None:
    s, receiver = listening(statuses=[500] * 20)
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    for _ in range(RETRIES):
        assert len(s.shop.subscriptions.by_gid) == 1
        s.clock.advance(4 * 3600)
        settle(s)
    assert (len(receiver.got), s.shop.subscriptions.by_gid, s.shop.pending_webhooks()) == (9, {}, [])


def test_a_webhook_that_nobody_answers_within_five_seconds_has_failed() -> None:
    s, _ = listening()

    async def never(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        raise TimeoutError

    s.shop.deliver = never
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    assert s.shop.outbox.sent[-1].status is None
    assert len(s.shop.pending_webhooks()) == 1


def test_without_a_way_to_deliver_webhooks_wait_and_settling_says_so() -> None:
    s, _ = listening()
    s.shop.deliver = None
    s.shop.sell([(s.a.gid, 1)])
    with pytest.raises(ShopError, match=r"set shop\.deliver"):
        settle(s)
    assert len(s.shop.pending_webhooks()) == 1


def test_after_a_rotation_the_old_secret_signs_for_an_hour() -> None:
    s, receiver = listening()
    s.shop.rotate_secret("new secret")
    for _ in range(2):
        s.shop.sell([(s.a.gid, 1)])
        settle(s)
        s.clock.advance(3601)
    signatures = [(h["X-Shopify-Hmac-Sha256"], body) for h, body in receiver.got]
    assert [
        sign(secret, body) for secret, (_, body) in zip(("hush", "new secret"), signatures, strict=True)
    ] == [signature for signature, _ in signatures]


def test_each_webhook_fault_does_what_its_name_says_and_is_counted() -> None:
    s, receiver = listening()
    for fault in WebhookFault:
        s.shop.faults.next_webhook(fault)
    for number in range(len(WebhookFault)):
        s.shop.edit(s.a.item.gid, s.toronto, 100 + number)
    settle(s)
    duplicate, new_id = receiver.ids()[:2], receiver.ids()[2:4]
    assert duplicate[0] == duplicate[1]
    assert new_id[0] != new_id[1]
    at_once = len(receiver.got)
    bad_hmac, wrong_shop = receiver.got[4], receiver.got[5]
    assert bad_hmac[0]["X-Shopify-Hmac-Sha256"] != sign("hush", bad_hmac[1])
    assert wrong_shop[0]["X-Shopify-Shop-Domain"] != DOMAIN
    assert wrong_shop[0]["X-Shopify-Hmac-Sha256"] == sign("hush", wrong_shop[1])
    s.clock.advance(1)
    assert settle(s) == 1, "the overtaken one comes a second later"
    s.clock.advance(30)
    assert settle(s) == 1, "the delayed one comes half a minute later"
    assert (at_once, len(receiver.got)) == (6, 8)
    assert {s.shop.faults.injected[fault] for fault in WebhookFault} == {1}


def test_seeded_webhook_faults_repeat_exactly() -> None:
    def run(seed: int) -> list[int]:
        s, receiver = listening(seed=seed)
        s.shop.faults.rates({WebhookFault.DROP: 0.3, WebhookFault.DUPLICATE: 0.2})
        for number in range(60):
            s.shop.edit(s.a.item.gid, s.toronto, 100 + number)
        settle(s)
        return [s.shop.faults.injected[WebhookFault.DROP], len(receiver.got)]

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "Address can't be blank"),
        ("ftp://x.test/", "Address is invalid"),
        ("https://", "Address is invalid"),
        ("http://public.test/hook", "Address protocol http:// is not supported"),
        ("https://demo.myshopify.com/hook", "Address cannot be a Shopify or an internal domain"),
        ("https://queue.internal/hook", "Address cannot be a Shopify or an internal domain"),
    ],
)
def test_a_wrong_address_is_refused_in_the_old_fields_name(uri: str, message: str) -> None:
    payload = subscribe(stage(), uri=uri)
    assert payload["webhookSubscription"] is None
    assert payload["userErrors"] == [{"field": ["webhookSubscription", "callbackUrl"], "message": message}]


def test_plain_http_is_taken_on_this_machine_only() -> None:
    s = stage()
    assert subscribe(s, uri="http://127.0.0.1:8000/webhooks/shopify")["userErrors"] == []
    assert subscribe(s, uri="http://localhost:8000/webhooks/shopify")["userErrors"] == []


def test_an_address_is_taken_once_per_topic_and_a_name_once() -> None:
    s = stage()
    subscribe(s, name="one")
    again = subscribe(s)
    assert again["userErrors"][0]["message"] == "Address for this topic has already been taken"
    named = subscribe(s, "ORDERS_CREATE", name="one")
    assert named["userErrors"] == [
        {"field": ["webhookSubscription", "name"], "message": "Name already exists, no duplicate allowed"}
    ]


def test_a_topic_needs_its_scope() -> None:
    s = stage(scopes={"read_products"})
    assert "read_orders" in subscribe(s, "ORDERS_CREATE")["userErrors"][0]["message"]
    assert subscribe(s, "PRODUCTS_UPDATE")["userErrors"] == []


def test_subscriptions_are_listed_updated_and_deleted() -> None:
    s = stage()
    made = subscribe(s)["webhookSubscription"]
    subscribe(s, "PRODUCTS_UPDATE")
    query = """query($t: [WebhookSubscriptionTopic!]) { webhookSubscriptions(first: 9, topics: $t) {
      nodes { id uri topic } } }"""
    assert len(s.data(query)["webhookSubscriptions"]["nodes"]) == 2
    only = s.data(query, {"t": ["INVENTORY_LEVELS_UPDATE"]})["webhookSubscriptions"]["nodes"]
    assert [node["id"] for node in only] == [made["id"]]
    moved = s.data(
        """mutation($id: ID!) { webhookSubscriptionUpdate(id: $id, webhookSubscription:
          {uri: "https://other.test/"}) { webhookSubscription { uri } userErrors { message } } }""",
        {"id": made["id"]},
    )
    assert moved["webhookSubscriptionUpdate"]["webhookSubscription"] == {"uri": "https://other.test/"}
    delete = """mutation($id: ID!) { webhookSubscriptionDelete(id: $id) {
      deletedWebhookSubscriptionId userErrors { message } } }"""
    assert s.data(delete, {"id": made["id"]})["webhookSubscriptionDelete"]["userErrors"] == []
    again = s.data(delete, {"id": made["id"]})["webhookSubscriptionDelete"]
    assert again == {
        "deletedWebhookSubscriptionId": None,
        "userErrors": [{"message": "Webhook subscription does not exist"}],
    }


def test_included_fields_cut_the_body_and_a_filter_holds_it_back() -> None:
    s, receiver = stage(), Receiver()
    s.shop.deliver = receiver
    subscribe(s, includeFields=["inventory_item_id", "updated_at"])
    subscribe(s, "PRODUCTS_UPDATE", filter="status:active", includeFields=["id", "variants.sku"])
    s.shop.sell([(s.a.gid, 1)])
    s.shop.set_status(s.product.gid, "DRAFT")
    s.shop.set_status(s.product.gid, "ACTIVE")
    settle(s)
    assert receiver.topics() == ["inventory_levels/update", "products/update"]
    assert list(receiver.bodies()[0]) == ["inventory_item_id", "updated_at"]
    assert receiver.bodies()[1] == {"id": s.product.number, "variants": [{"sku": "P-F"}, {"sku": "P-U"}]}
