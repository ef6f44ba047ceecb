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

import httpx2
import pytest

from shopify_emulator import Faults, ShopError, WebhookFault, deliver_with
from shopify_emulator.pump import pump
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


def test_a_variant_tells_when_the_last_of_it_goes_and_when_the_first_comes_back() -> None:
    s, receiver = listening("VARIANTS_IN_STOCK", "VARIANTS_OUT_OF_STOCK")
    s.shop.sell([(s.a.gid, 10)], location=s.toronto)
    settle(s)
    assert receiver.topics() == [], "there is more at the other location"
    s.shop.sell([(s.a.gid, 10)], location=s.montreal)
    s.shop.sell([(s.a.gid, 1)], force=True)
    s.shop.edit(s.a.item.gid, s.toronto, 3)
    settle(s)
    assert receiver.topics() == ["variants/out_of_stock", "variants/in_stock"]
    assert [body["id"] for body in receiver.bodies()] == [s.a.number] * 2


def test_changes_of_shop_scopes_channels_and_locations_are_told() -> None:
    s, receiver = listening("SHOP_UPDATE", "APP_SCOPES_UPDATE", "CHANNELS_DELETE", "LOCATIONS_DELETE")
    channel = next(one for one in s.shop.publications() if one.handle == "pos")
    montreal = s.shop.state.location(s.montreal)
    s.shop.change_settings(name="Renamed", timezone="Europe/Berlin")
    s.shop.set_scopes(["read_products", "read_inventory"])
    s.shop.remove_publication(channel.gid)
    s.shop.set_location_active(s.montreal, active=False)
    s.shop.remove_location(s.montreal)
    settle(s)
    told = dict(zip(receiver.topics(), receiver.bodies(), strict=True))
    assert list(told) == ["shop/update", "app/scopes_update", "channels/delete", "locations/delete"]
    assert (told["shop/update"]["name"], told["shop/update"]["iana_timezone"]) == ("Renamed", "Europe/Berlin")
    assert told["app/scopes_update"]["current"] == ["read_inventory", "read_products"]
    assert told["channels/delete"] == {"id": channel.number}
    assert told["locations/delete"] == {"id": montreal.number}
    assert s.data("{ shop { name ianaTimezone } }")["shop"] == {
        "name": "Renamed",
        "ianaTimezone": "Europe/Berlin",
    }
    assert [level.location.name for level in s.a.item.levels.values()] == ["Toronto"]


def test_what_the_shop_cannot_delete_or_become_is_explained() -> None:
    s = stage()
    online = next(one for one in s.shop.publications() if one.handle == "online_store")
    with pytest.raises(ShopError, match="Montreal is active; deactivate it"):
        s.shop.remove_location(s.montreal)
    with pytest.raises(ShopError, match="the Online Store cannot be deleted"):
        s.shop.remove_publication(online.gid)
    with pytest.raises(ShopError, match="no time zone 'Mars/Olympus'"):
        s.shop.change_settings(timezone="Mars/Olympus")


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


def test_a_subscription_is_deleted_after_eight_failures_in_a_row() -> None:
    s, receiver = listening(statuses=[500] * 20)
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    for _ in range(7):
        assert len(s.shop.subscriptions.by_gid) == 1
        s.clock.advance(4 * 3600)
        settle(s)
    assert (len(receiver.got), s.shop.subscriptions.by_gid, s.shop.pending_webhooks()) == (8, {}, [])


def test_anything_that_is_accepted_ends_a_row_of_failures_and_a_lost_webhook_costs_no_subscription() -> None:
    s, receiver = listening(statuses=[500] * 7 + [200] + [500] * 20)
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    for _ in range(6):
        s.clock.advance(4 * 3600)
        settle(s)
    s.shop.sell([(s.b.gid, 1)])
    settle(s)
    for _ in range(10):
        s.clock.advance(4 * 3600)
        settle(s)
    first = receiver.ids()[0]
    assert receiver.ids().count(first) == 1 + RETRIES, "it is given up after its last retry"
    assert len(s.shop.subscriptions.by_gid) == 1
    assert s.shop.pending_webhooks() == []


def test_many_deliveries_that_fail_at_once_are_not_a_row_of_failures() -> None:
    s, receiver = listening(statuses=[503] * 30)
    for _ in range(30):
        s.shop.edit(s.a.item.gid, s.toronto, s.level(s.a) + 1)
    settle(s)
    s.clock.advance(retry_delay_s(1))
    settle(s)
    assert len(receiver.got) == 60
    assert len(s.shop.subscriptions.by_gid) == 1


def test_a_webhook_that_nobody_answers_in_time_has_failed() -> None:
    s, _ = listening()
    assert s.shop.outbox.limit_s == 5, "the documented limit, which this test shortens"
    s.shop.outbox.limit_s = 0.01
    s.shop.deliver = never_answers
    s.shop.sell([(s.a.gid, 1)])
    asyncio.run(asyncio.wait_for(s.shop.settle_webhooks(), 5))
    assert s.shop.outbox.sent[-1].status is None
    assert len(s.shop.pending_webhooks()) == 1


async def never_answers(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
    await asyncio.Event().wait()
    return 200


def test_connecting_may_take_one_second_and_each_step_after_it_five() -> None:
    seen: list[Any] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.extensions["timeout"])
        return httpx2.Response(204)

    deliver = deliver_with(httpx2.MockTransport(answer))
    assert asyncio.run(deliver(URI, {}, b"{}")) == 204
    assert seen == [{"connect": 1.0, "read": 5.0, "write": 5.0, "pool": 5.0}]


def test_a_delivery_that_ends_in_an_exception_has_failed_and_is_tried_again() -> None:
    s, receiver = listening()

    async def broken(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        raise ExceptionGroup("connecting", [OverflowError("port must be 0-65535")])

    s.shop.deliver = broken
    s.shop.sell([(s.a.gid, 1)])
    with pytest.raises(ExceptionGroup):
        settle(s)
    assert [(sent.attempt, sent.status) for sent in s.shop.outbox.sent] == [(1, None)]
    s.shop.deliver = receiver
    s.clock.advance(retry_delay_s(1))
    settle(s)
    assert [body["available"] for body in receiver.bodies()] == [9]


def test_the_pump_outlives_failures_and_one_address_that_hangs_holds_up_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    s = stage()
    for number, uri in enumerate(("https://broken.test/", "https://hangs.test/", URI)):
        assert subscribe(s, uri=uri, name=f"s{number}")["userErrors"] == []

    async def run() -> None:
        arrived: asyncio.Queue[bytes] = asyncio.Queue()

        async def deliver(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
            if url == "https://broken.test/":
                raise ValueError("cannot be sent")
            if url == "https://hangs.test/":
                await asyncio.Event().wait()
            arrived.put_nowait(body)
            return 200

        s.shop.deliver = deliver
        running = asyncio.create_task(pump(s.shop, pause_s=0))
        async with asyncio.timeout(3):  # less than the 5 s that the hanging address is waited for
            for sale in range(20):
                s.shop.edit(s.a.item.gid, s.toronto, 100 + sale)
                assert json.loads(await arrived.get())["available"] == 100 + sale
        assert len(s.shop.pending_webhooks()) == 40
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())
    assert "could not be sent to https://broken.test/" in caplog.text


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


def test_one_webhook_can_be_late_and_doubled_and_its_late_copy_says_what_the_first_said() -> None:
    s, receiver = listening()
    s.shop.faults.next_webhook(WebhookFault.DELAY, WebhookFault.DUPLICATE, delay_s=3600, copy_delay_s=72_000)
    s.shop.sell([(s.a.gid, 1)])
    assert settle(s) == 0
    s.clock.advance(3600)
    assert settle(s) == 1
    s.shop.sell([(s.a.gid, 5)])
    settle(s)
    s.clock.advance(72_000)
    assert settle(s) == 1
    first, _, copy = receiver.got
    assert first == copy, "the same id, body and signature, though the stock has moved on"
    assert json.loads(copy[1])["available"] == 9


def test_a_webhook_under_a_new_id_is_a_message_of_its_own() -> None:
    s, receiver = listening()
    s.shop.faults.next_webhook(WebhookFault.NEW_ID, copy_delay_s=60)
    s.shop.sell([(s.a.gid, 1)])
    settle(s)
    s.shop.sell([(s.a.gid, 1)])
    s.clock.advance(60)
    settle(s)
    assert [body["available"] for body in receiver.bodies()] == [9, 8, 8]
    assert len(set(receiver.ids())) == 3


def test_one_seed_gives_the_same_webhooks_in_the_same_order_and_another_seed_others() -> None:
    def run(seed: int) -> list[tuple[str, bytes, str]]:
        s, receiver = listening(seed=seed)
        s.shop.faults.webhook_delay_s = 86_400
        s.shop.faults.rates(dict.fromkeys(WebhookFault, 0.25))
        for number in range(60):
            s.shop.edit(s.a.item.gid, s.toronto, 100 + number)
            s.clock.advance(60)
            settle(s)
        while (due := s.shop.outbox.next_due()) is not None:
            s.clock.advance(max(0.0, (due - s.clock.now()).total_seconds()))
            settle(s)
        assert all(s.shop.faults.injected[fault] for fault in WebhookFault)
        sent_at = [sent.at.isoformat() for sent in s.shop.outbox.sent]
        return [(h["X-Shopify-Webhook-Id"], b, at) for (h, b), at in zip(receiver.got, sent_at, strict=True)]

    first = run(1)
    assert first == run(1)
    assert first != run(2)
    levels = [json.loads(body)["available"] for _, body, _ in first]
    assert levels != sorted(levels), "some were overtaken"


def test_drawn_delays_reach_from_moments_to_a_day() -> None:
    faults = Faults(seed=1)
    faults.webhook_delay_s = 86_400
    faults.rates({WebhookFault.DELAY: 1.0, WebhookFault.DUPLICATE: 1.0})
    fates = [faults.pick_webhook() for _ in range(300)]
    late = [fate.late_s for fate in fates]
    assert 0 < min(late) < 1
    assert 12 * 3600 < max(late) <= 86_400
    copies = [copy.later_s for fate in fates for copy in fate.copies]
    assert 100 < copies.count(0.0) < 200
    assert max(copies) > 3600


@pytest.mark.parametrize("delay_s", [0, -1, 86_401, float("nan")])
def test_a_delay_of_nothing_or_of_more_than_a_day_is_refused(delay_s: float) -> None:
    with pytest.raises(ValueError, match="up to 86400 s"):
        Faults().webhook_delay_s = delay_s


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "Address can't be blank"),
        ("ftp://x.test/", "Address is invalid"),
        ("https://", "Address is invalid"),
        ("http://public.test/hook", "Address protocol http:// is not supported"),
        ("https://demo.myshopify.com/hook", "Address cannot be a Shopify or an internal domain"),
        ("https://queue.internal/hook", "Address cannot be a Shopify or an internal domain"),
        ("https://queue/hook", "Address cannot be a Shopify or an internal domain"),
        ("https://10.0.0.5/hook", "Address cannot be a Shopify or an internal domain"),
        ("https://[fd00::5]/hook", "Address cannot be a Shopify or an internal domain"),
        ("https://169.254.169.254/hook", "Address cannot be a Shopify or an internal domain"),
        ("http://127.0.0.1:70000/h", "Address is invalid"),
        ("http://127.0.0.1:0/h", "Address is invalid"),
        ("http://127.0.0.1:port/h", "Address is invalid"),
        ("https://stockwright.test/a b", "Address is invalid"),
        ("https://stockwright.test/\n", "Address is invalid"),
        (" ", "Address can't be blank"),
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


@pytest.mark.parametrize("name", ["Größe", "two words", "n" * 51, "line\nbreak"])
def test_a_name_that_does_not_fit_a_header_is_refused(name: str) -> None:
    [error] = subscribe(stage(), name=name)["userErrors"]
    assert error["field"] == ["webhookSubscription", "name"]
    assert "up to 50 letters" in error["message"]


def test_a_topic_that_would_never_come_is_refused_and_the_others_are_listed() -> None:
    [error] = subscribe(stage(), "CARTS_CREATE")["userErrors"]
    assert error["field"] == ["topic"]
    assert error["message"].startswith(
        "The bundled shop never announces CARTS_CREATE. It announces: INVENTORY_"
    )


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
