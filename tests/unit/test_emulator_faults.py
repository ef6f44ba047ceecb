"""Faults of the Admin API as a client meets them: applied or not, and what it sees."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from shopify_emulator import EmulatorTransport, Fault, Shop, WebhookFault, asgi_app
from shopify_emulator.clock import ManualClock
from shopify_emulator.faults import AT_TOKEN_ENDPOINT, Faults, Operation, fault_named, fits
from tests.unit.test_emulator_shop import ADJUST, Stage, stage

Seen = int | type[Exception]
GRAPHQL = "/admin/api/2026-10/graphql.json"
HEADERS = {"X-Shopify-Access-Token": "shpat_demo"}
BEFORE: list[tuple[Fault, Seen]] = [
    (Fault.CONNECT_REFUSED, httpx2.ConnectError),
    (Fault.DROPPED_BEFORE, httpx2.ReadError),
    (Fault.TIMEOUT_BEFORE, httpx2.ReadTimeout),
    (Fault.SERVER_ERROR_BEFORE, 503),
    (Fault.TOO_MANY_REQUESTS, 429),
    (Fault.PAYMENT_REQUIRED, 402),
    (Fault.LOCKED, 423),
    (Fault.SECURITY_REJECTION, 430),
    (Fault.TOKEN_REVOKED, 401),
    (Fault.THROTTLED, 200),
    (Fault.INTERNAL_ERROR, 200),
    (Fault.STALE, 200),
    (Fault.UNAVAILABLE_BEFORE, 200),
    (Fault.ADJUST_FAILED, 200),
    (Fault.KEY_CONCURRENT, 200),
    (Fault.KEY_MISMATCH, 200),
    (Fault.KEY_PREVIOUS_FAILED, 200),
    (Fault.LATE_ARRIVAL, httpx2.ReadTimeout),
    (Fault.SLOW, httpx2.ReadTimeout),
]
AFTER: list[tuple[Fault, Seen]] = [
    (Fault.DROPPED_AFTER, httpx2.ReadError),
    (Fault.TIMEOUT_AFTER, httpx2.ReadTimeout),
    (Fault.SERVER_ERROR_AFTER, 503),
    (Fault.TRUNCATED_AFTER, 200),
    (Fault.THROTTLED_AFTER, 200),
    (Fault.UNAVAILABLE_AFTER, 200),
    (Fault.ADJUST_FAILED_AFTER, 200),
]
ELSEWHERE = {
    Fault.LAGGING_READ,
    Fault.BULK_FAILED,
    Fault.BULK_PARTIAL,
    Fault.BULK_EXPIRED,
    Fault.SUBSCRIPTION_DELETED,
    Fault.PRODUCT_DELETED,
}


def call(s: Stage, *, key: str = "k") -> dict[str, Any]:
    given = {"name": "available", "reason": "correction", "changes": [s.row(s.a, -1, 10)]}
    return {"query": ADJUST, "variables": {"input": given, "key": key}}


def send(shop: Shop, body: dict[str, Any]) -> httpx2.Response | Exception:
    """What a client on the emulator's transport gets for one POST."""

    async def run() -> httpx2.Response | Exception:
        transport = EmulatorTransport(shop)
        async with httpx2.AsyncClient(transport=transport, base_url=f"https://{shop.domain}") as client:
            try:
                return await client.post(GRAPHQL, json=body, headers=HEADERS)
            except httpx2.TransportError as error:
                return error

    return asyncio.run(run())


def seen(result: httpx2.Response | Exception) -> Seen:
    return result.status_code if isinstance(result, httpx2.Response) else type(result)


@pytest.mark.parametrize(("fault", "expected"), BEFORE)
def test_a_fault_before_applying_leaves_stock_alone(fault: Fault, expected: Seen) -> None:
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", fault)
    assert seen(send(s.shop, call(s))) == expected
    assert s.level(s.a) == 10
    assert s.shop.faults.injected == {fault: 1}


@pytest.mark.parametrize(("fault", "expected"), AFTER)
def test_a_fault_after_applying_has_moved_stock(fault: Fault, expected: Seen) -> None:
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", fault)
    assert seen(send(s.shop, call(s))) == expected
    assert s.level(s.a) == 9
    assert s.shop.faults.injected == {fault: 1}


def test_every_fault_is_either_before_or_after_or_tested_with_its_subject() -> None:
    assert {fault for fault, _ in (*BEFORE, *AFTER)} | ELSEWHERE == set(Fault)


def test_a_truncated_answer_is_no_json() -> None:
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", Fault.TRUNCATED_AFTER)
    response = send(s.shop, call(s))
    assert isinstance(response, httpx2.Response)
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_failed_adjustment_may_have_been_applied_after_all() -> None:
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", Fault.ADJUST_FAILED_AFTER)
    response = send(s.shop, call(s))
    assert isinstance(response, httpx2.Response)
    payload = response.json()["data"]["inventoryAdjustQuantities"]
    assert [error["code"] for error in payload["userErrors"]] == ["ADJUST_QUANTITIES_FAILED"]
    assert payload["inventoryAdjustmentGroup"] is None
    assert s.level(s.a) == 9


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.THROTTLED_AFTER, Fault.INTERNAL_ERROR])
def test_what_the_api_itself_says_carries_its_version(fault: Fault) -> None:
    s = stage()
    s.shop.faults.next("*", fault)
    response = send(s.shop, call(s))
    assert isinstance(response, httpx2.Response)
    assert response.headers["X-Shopify-API-Version"] == "2026-10"


def test_a_request_that_arrives_after_the_app_was_removed_changes_nothing() -> None:
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", Fault.LATE_ARRIVAL, delay_s=90)
    send(s.shop, call(s))
    s.shop.uninstall()
    s.clock.advance(90)
    s.shop.tick()
    assert s.level(s.a) == 10


def test_a_product_that_the_request_names_can_be_gone_before_it_runs() -> None:
    s = stage()
    other = s.shop.add_product("Other", levels=1)
    s.shop.faults.next("inventoryAdjustQuantities", Fault.PRODUCT_DELETED)
    response = send(s.shop, call(s))
    assert isinstance(response, httpx2.Response)
    errors = response.json()["data"]["inventoryAdjustQuantities"]["userErrors"]
    assert [error["code"] for error in errors] == ["INVALID_INVENTORY_ITEM"]
    assert [product.gid for product in s.shop.products()] == [other.gid]


def test_a_subscription_can_be_gone_at_any_request_which_is_answered_as_usual() -> None:
    s = stage()
    create = """mutation { webhookSubscriptionCreate(topic: PRODUCTS_UPDATE, webhookSubscription:
      {uri: "https://stockwright.test/"}) { userErrors { message } } }"""
    assert s.data(create)["webhookSubscriptionCreate"]["userErrors"] == []
    s.shop.faults.next("*", Fault.SUBSCRIPTION_DELETED, count=2)
    assert [seen(send(s.shop, {"query": "{ shop { name } }"})) for _ in range(2)] == [200, 200]
    assert s.shop.subscriptions.by_gid == {}


def test_seeded_server_errors_answer_the_statuses_that_were_chosen() -> None:
    def statuses(seed: int) -> list[Seen]:
        s = stage(seed=seed)
        s.shop.faults.rates({Fault.SERVER_ERROR_BEFORE: 1.0}, statuses=[500, 502, 504])
        return [seen(send(s.shop, call(s))) for _ in range(30)]

    assert set(statuses(1)) == {500, 502, 504}
    assert statuses(1) == statuses(1) != statuses(2)
    with pytest.raises(ValueError, match="one of 500, 502, 503, 504, not 418"):
        Faults().rates({}, statuses=[418])


def test_429_says_when_to_come_back() -> None:
    s = stage()
    s.shop.faults.next("*", Fault.TOO_MANY_REQUESTS)
    response = send(s.shop, call(s))
    assert isinstance(response, httpx2.Response)
    assert response.headers["Retry-After"] == "2.0"


def test_an_internal_error_has_a_request_id_and_null_data() -> None:
    s = stage()
    s.shop.faults.next("*", Fault.INTERNAL_ERROR)
    response = send(s.shop, call(s))
    assert isinstance(response, httpx2.Response)
    body = response.json()
    assert body["data"] is None
    assert body["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert body["errors"][0]["extensions"]["requestId"]


@pytest.mark.parametrize("fault", [Fault.LATE_ARRIVAL, Fault.SLOW])
def test_a_delayed_request_is_applied_when_its_time_has_come(fault: Fault) -> None:
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", fault, delay_s=90)
    send(s.shop, call(s))
    s.clock.advance(89)
    s.shop.tick()
    assert s.level(s.a) == 10
    s.clock.advance(1)
    s.shop.tick()
    assert s.level(s.a) == 9


def test_a_forced_stale_names_the_row_that_was_asked_for() -> None:
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", Fault.STALE, row=1)
    body = call(s)
    body["variables"]["input"]["changes"].append(s.row(s.b, -1, 10))
    response = send(s.shop, body)
    assert isinstance(response, httpx2.Response)
    errors = response.json()["data"]["inventoryAdjustQuantities"]["userErrors"]
    assert [error["field"][2] for error in errors] == ["1"]


def test_a_one_shot_fault_waits_for_its_operation() -> None:
    s = stage()
    s.shop.faults.next("products", Fault.DROPPED_BEFORE)
    assert seen(send(s.shop, call(s))) == 200
    assert seen(send(s.shop, {"query": "{ products(first: 1) { nodes { id } } }"})) is httpx2.ReadError
    assert seen(send(s.shop, {"query": "{ products(first: 1) { nodes { id } } }"})) == 200


def test_a_revoked_token_stays_dead_until_another_is_granted() -> None:
    s = stage()
    s.shop.faults.next("*", Fault.TOKEN_REVOKED)
    assert [seen(send(s.shop, call(s))) for _ in range(2)] == [401, 401]
    granted = s.shop.tokens.grant(
        {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "hush"}
    )
    assert isinstance(granted, dict)
    assert s.shop.tokens.accepts(granted["access_token"])


def test_the_token_endpoint_has_faults_of_its_own() -> None:
    async def ask(shop: Shop) -> Seen:
        transport = EmulatorTransport(shop)
        form = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "hush"}
        async with httpx2.AsyncClient(transport=transport, base_url=f"https://{shop.domain}") as client:
            try:
                return seen(await client.post("/admin/oauth/access_token", data=form))
            except httpx2.TransportError as error:
                return type(error)

    expected = {
        Fault.CONNECT_REFUSED: httpx2.ConnectError,
        Fault.DROPPED_BEFORE: httpx2.ReadError,
        Fault.TIMEOUT_BEFORE: httpx2.ReadTimeout,
        Fault.SERVER_ERROR_BEFORE: 503,
        Fault.TOO_MANY_REQUESTS: 429,
    }
    assert set(expected) == AT_TOKEN_ENDPOINT
    s = stage()
    for fault, outcome in expected.items():
        s.shop.faults.next("access_token", fault)
        assert asyncio.run(ask(s.shop)) == outcome
    assert asyncio.run(ask(s.shop)) == 200


def test_seeded_rates_strike_about_as_often_as_asked_and_repeat() -> None:
    def struck(seed: int) -> int:
        faults = Faults(seed)
        faults.rates({Fault.DROPPED_AFTER: 0.05, Fault.STALE: 0.05})
        operation = Operation(fields=("inventoryAdjustQuantities",), is_mutation=True)
        for _ in range(4000):
            faults.pick(operation)
        return faults.injected.total()

    assert struck(3) == struck(3)
    assert 300 < struck(3) < 500


def test_a_fault_never_strikes_where_it_makes_no_sense() -> None:
    read = Operation(fields=("products",), is_mutation=False)
    publish = Operation(fields=("publishablePublish",), is_mutation=True)
    assert not fits(Fault.STALE, read)
    assert not fits(Fault.STALE, publish)
    assert not fits(Fault.LAGGING_READ, publish)
    assert not fits(Fault.LATE_ARRIVAL, read)
    assert fits(Fault.LATE_ARRIVAL, publish)


def test_cleared_faults_strike_no_more_and_wrong_rates_are_refused() -> None:
    faults = Faults()
    faults.next("*", Fault.STALE)
    faults.rates({Fault.DROPPED_AFTER: 1.0})
    faults.clear()
    assert faults.pick(Operation(fields=("inventoryAdjustQuantities",), is_mutation=True)) is None
    with pytest.raises(ValueError, match="between 0 and 1"):
        faults.rates({Fault.STALE: 2})
    with pytest.raises(ValueError, match="the faults are: connect_refused"):
        fault_named("gremlin")


def test_rates_of_one_request_may_not_add_up_to_more_than_one() -> None:
    faults = Faults()
    faults.rates({Fault.STALE: 0.6, WebhookFault.DROP: 0.9, WebhookFault.DELAY: 0.9})
    with pytest.raises(ValueError, match=r"add up to 1, not to 1\.1 \(stale 0\.6, dropped_after 0\.5\)"):
        faults.rates({Fault.DROPPED_AFTER: 0.5})
    faults.rates({Fault.DROPPED_AFTER: 0.4})
    faults.rates({Fault.STALE: 0.0, Fault.DROPPED_AFTER: 1.0})


def test_several_shops_share_a_server_by_host_and_by_prefix() -> None:
    clock = ManualClock()
    one = Shop(domain="one.myshopify.com", clock=clock, name="One")
    two = Shop(domain="two.myshopify.com", clock=clock, name="Two")

    async def names() -> list[str]:
        transport = httpx2.ASGITransport(app=asgi_app(one, two))
        urls = (
            f"https://two.myshopify.com{GRAPHQL}",
            f"https://127.0.0.1/shops/two.myshopify.com{GRAPHQL}",
            f"https://127.0.0.1{GRAPHQL}",
        )
        async with httpx2.AsyncClient(transport=transport) as client:
            answers = [
                await client.post(url, json={"query": "{ shop { name } }"}, headers=HEADERS) for url in urls
            ]
            missing = await client.post(f"https://x/shops/no.myshopify.com{GRAPHQL}", json={})
        assert missing.status_code == 404
        return [answer.json()["data"]["shop"]["name"] for answer in answers]

    assert asyncio.run(names()) == ["Two", "Two", "One"]
