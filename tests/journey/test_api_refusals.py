"""Wrong requests to the JSON API: what is refused, how it is told, and that nothing was done."""

from dataclasses import replace

import pytest

from shopify_emulator import Fault
from stockwright.store.database import pool
from stockwright.web.api import OPERATIONS, ApiDeps, api_routes
from tests.journey.api_client import (
    GENEROUS,
    PUBLIC_URL,
    SHARE,
    Api,
    a_request,
    play,
    problem,
    shared,
    wrong_fields,
)
from tests.journey.listings import TAG, add_listing
from tests.journey.service import DOMAIN
from tests.journey.test_shared_stock import WITHIN


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"options": {"product_tags": [TAG], "raise_settle_s": 1000}}, "options.raise_settle_s"),
        ({"options": {"product_tags": [TAG], "colour": "red"}}, "options.colour"),
        ({"options": {"product_types": ["Mug"]}}, "options.product_types"),
        ({"options": {"product_tags": [TAG], "locations": "named", "location_names": ["Rome"]}}, "options.location_names"),
        ({"options": {}}, "options"),
        ({"options": [1]}, "options"),
        ({"kind": "no-such-kind"}, "kind"),
        ({"kind": 7}, "kind"),
        ({"shop": "nobody.myshopify.com"}, "shop"),
        ({"topics": ["shopify/inventory_levels/update", "not a topic"]}, "topics.1"),
        ({"name": "a\0b"}, "name"),
        ({"options": {"product_tags": ["a\0b"]}}, "options.product_tags.0"),
        ({"enabled": "yes"}, "enabled"),
        ({"color": "red"}, "color"),
        ({"name": "x" * 201}, "name"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_and_nothing_is_stored(emptied, changes, where) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        add_listing(api.service.shop)
        answer = await api.client.post("/automations", json=SHARE | changes)
        assert wrong_fields(answer) == [("body", where)]
        assert (await api.client.get("/automations")).json()["items"] == []

    play(emptied, story)


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"{", {}, (400, "malformed")),
        (b"\xff\xfe", {}, (400, "malformed")),
        (b'{"name": NaN}', {}, (400, "malformed")),
        (b"[" * 100_000, {}, (400, "malformed")),
        (b'"text"', {}, (422, "invalid")),
        (b"{}", {}, (422, "invalid")),
        (b'{"options": {"raise_settle_s": 1e999}}', {}, (422, "invalid")),
        (b'{"options": {"raise_settle_s": 99999999999999999999}}', {}, (422, "invalid")),
        (b"{}", {"Content-Type": "text/plain"}, (415, "unsupported-media-type")),
        (b"{}", {"Content-Type": ""}, (415, "unsupported-media-type")),
        (b" " * 1_048_577, {}, (413, "too-large")),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_by_its_fault(emptied, body, headers, expected) -> None:
    async def story(api: Api) -> None:
        answer = await api.client.post(
            "/automations", content=body, headers={"Content-Type": "application/json"} | headers
        )
        assert problem(answer) == expected

    play(emptied, story)


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("/runs?limit=0", "limit"),
        ("/runs?limit=201", "limit"),
        ("/runs?limit=ten", "limit"),
        ("/runs?limit=5&limit=6", "limit"),
        ("/runs?since=yesterday", "since"),
        ("/runs?since=2026-11-20T09:00:00", "since"),
        ("/runs?since=1700000000", "since"),
        ("/runs?state=odd", "state"),
        ("/runs?search=", "search"),
        ("/runs?search=%00", "search"),
        ("/runs?colour=red", "colour"),
        ("/runs?cursor=nonsense", "cursor"),
        ("/pools?frozen=1", "frozen"),
        ("/automations?enabled=yes", "enabled"),
        ("/shops?shop=x", "shop"),
    ],
)
def test_a_wrong_query_parameter_is_named(emptied, address, where) -> None:
    async def story(api: Api) -> None:
        assert wrong_fields(await api.client.get(address)) == [("query", where)]

    play(emptied, story)


def test_what_is_not_there_is_not_found_whatever_is_asked_of_it(emptied) -> None:
    async def story(api: Api) -> None:
        person, items = {"email": "mia@example.com"}, {"items": ["gid://shopify/Product/1"]}
        bodies = {
            "resolvePool": {"resolution": "was_applied"},
            "exportPerson": person,
            "erasePerson": person,
            "addSubscriberImport": {"csv": "email,variant_id\nmia@example.com,1"},
            "startSubscriberImport": {},
            "addOfferItems": items,
            "removeOfferItems": items,
        }
        for operation in OPERATIONS:
            if not operation.names:
                continue
            method, path = a_request(operation)
            body = {"json": bodies.get(operation.id, {"name": "x"})} if operation.has_body else {}
            assert problem(await api.client.ask(method, path, **body)) == (404, "not-found"), operation.id
        for address in ("/nothing", "/runs/", "/api/v2/shops", "/pools?shop=nobody.myshopify.com"):
            assert problem(await api.client.get(address)) == (404, "not-found"), address
        refused = await api.client.ask("PUT", "/automations")
        assert problem(refused) == (405, "method-not-allowed")
        assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}

    play(emptied, story)


def test_a_second_automation_for_the_same_stock_is_a_conflict_naming_both(emptied) -> None:
    async def story(api: Api) -> None:
        await shared(api)
        answer = await api.client.post("/automations", json={"shop": DOMAIN, "kind": WITHIN[0]})
        assert problem(answer) == (409, "conflict")
        assert "would both hold the stock of 'Poster'" in answer.json()["detail"]

    play(emptied, story)


def test_a_shop_that_does_not_answer_is_told_as_such_and_nothing_is_stored(emptied) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        for _ in range(10):
            api.service.shop.faults.next("shop", Fault.SERVER_ERROR_BEFORE)
        answer = await api.client.post("/automations", json=SHARE)
        assert problem(answer) == (502, "shop-failed")
        api.service.shop.faults.clear()
        assert (await api.client.get("/automations")).json()["items"] == []

    play(emptied, story)


def test_a_database_that_is_away_is_told_as_such(emptied) -> None:
    async def story(api: Api) -> None:
        dead = pool("postgresql://127.0.0.1:1/nothing", size=1, name="dead", timeout_s=0.1)
        async with dead:
            deps = replace(api.service.deps, database=dead)
            own = ApiDeps(deps=deps, public_url=PUBLIC_URL, version="1.2.3", rate=GENEROUS)
            api.app.routes[:] = api_routes(own)
            answer = await api.client.get("/shops")
        assert problem(answer) == (503, "unavailable")
        assert answer.headers["retry-after"] == "2"

    play(emptied, story)
