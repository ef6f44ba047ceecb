"""The JSON API over the whole service: what each resource does, and how each wrong request is answered."""

from dataclasses import replace

import pytest

from shopify_emulator import Fault, ManualClock
from stockwright.store import audit, messages
from stockwright.store.api_requests import Rate
from stockwright.store.database import pool
from stockwright.web.api import OPERATIONS, ApiDeps, api_routes
from stockwright.web.api.openapi import PREFIX, describe
from tests.journey.api_client import GENEROUS, PUBLIC_URL, Api, make_token, play
from tests.journey.listings import TAG, add_listing
from tests.journey.service import DOMAIN, Service, new_shop
from tests.journey.test_shared_stock import ACROSS, WITHIN
from tests.journey.test_shared_stock_faults import WITHOUT_ORDERS, set_rule, sold_twice

SHARE = {"shop": DOMAIN, "kind": ACROSS[0], "options": {"product_tags": [TAG]}}


async def shared(api: Api, **changes) -> dict:
    """One product whose variants share stock, installed through the API and adopted."""
    api.service.shop.add_location("Toronto")
    add_listing(api.service.shop)
    answer = await api.client.post("/automations", json=SHARE | changes)
    assert answer.status_code == 201, answer.text
    await api.service.settle()
    return answer.json()


def problem(answer) -> tuple[int, str]:
    """Status and kind of a problem, whose form is checked."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors"}
    assert body["status"] == answer.status_code
    assert body["detail"]
    assert body["instance"] == answer.request.url.path
    return answer.status_code, body["type"].removeprefix("urn:stockwright:problem:")


def wrong_fields(answer) -> list[tuple[str, str]]:
    assert problem(answer) == (422, "invalid")
    return [(error["where"], error["path"]) for error in answer.json()["errors"]]


async def every_page(api: Api, address: str) -> list[dict]:
    items: list[dict] = []
    following = address
    for _ in range(1000):
        page = (await api.client.get(following)).json()
        items += page["items"]
        if page["next"] is None:
            return items
        following = page["next"]
    raise AssertionError("the pages do not end")


# --- one source -----------------------------------------------------------------------------------------------


def test_every_route_is_documented_and_everything_documented_is_a_route(emptied) -> None:
    async def story(api: Api) -> None:
        described = (await api.client.get("/api/openapi.json")).json()
        documented = {
            (method.upper(), path) for path, methods in described["paths"].items() for method in methods
        }
        (mount,) = api.app.routes
        routed = {
            (method, mount.path + route.path)
            for route in mount.app.routes
            for method in route.methods - {"HEAD"}
        }
        assert routed - {("GET", "/api/openapi.json")} == documented
        assert len(documented) == len(OPERATIONS)
        assert described["openapi"] == "3.1.0"

    play(emptied, story)


def test_every_operation_documents_its_security_its_errors_and_what_it_says() -> None:
    described = describe(OPERATIONS, version="1")
    for operation in OPERATIONS:
        told = described["paths"][PREFIX + operation.path][operation.method.lower()]
        assert told["security"] == [{"bearer": []}]
        assert {"401", "422", "429", "500", "503"} <= set(told["responses"]), operation.id
        assert ("403" in told["responses"]) == (operation.scope == "write")
        assert ("requestBody" in told) == operation.has_body
        for status, answer in told["responses"].items():
            if int(status) >= 400:
                examples = answer["content"]["application/problem+json"]["examples"]
                assert all(one["value"]["status"] == int(status) for one in examples.values())
    assert len({operation.id for operation in OPERATIONS}) == len(OPERATIONS)


# --- who may ask ------------------------------------------------------------------------------------------------


def a_request(operation) -> tuple[str, str]:
    path = operation.path
    for name in operation.names:
        path = path.replace(f"{{{name}}}", "nothing")
    return operation.method, path


@pytest.mark.parametrize("token", [None, "stockwright_unknown", "nonsense", ""])
def test_nothing_is_told_without_a_good_token(emptied, token) -> None:
    async def story(api: Api) -> None:
        async with api.client_with(token) as stranger:
            for operation in OPERATIONS:
                answer = await stranger.ask(*a_request(operation))
                assert problem(answer) == (401, "unauthenticated"), operation.id
                assert answer.headers["www-authenticate"].startswith("Bearer")

    play(emptied, story)


def test_a_revoked_token_is_refused_from_then_on(emptied) -> None:
    async def story(api: Api) -> None:
        assert (await api.client.get("/shops")).status_code == 200
        async with api.service.database.connection() as conn:
            await conn.execute("update api_tokens set revoked_at = now()")
        assert problem(await api.client.get("/shops")) == (401, "unauthenticated")

    play(emptied, story)


def test_a_token_that_may_read_changes_nothing(emptied) -> None:
    async def story(api: Api) -> None:
        token = await make_token(api.service, "read")
        async with api.client_with(token) as reader:
            for operation in OPERATIONS:
                answer = await reader.ask(*a_request(operation))
                if operation.scope == "write":
                    assert problem(answer) == (403, "scope-missing"), operation.id
                else:
                    assert answer.status_code in (200, 404), operation.id

    play(emptied, story)


def test_a_token_that_asks_too_often_waits_and_others_do_not(emptied) -> None:
    async def story(api: Api) -> None:
        other = await make_token(api.service, "read")
        statuses = [(await api.client.get("/shops")).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await api.client.get("/shops")
        assert problem(refused) == (429, "too-many-requests")
        assert refused.headers["retry-after"] == "1"
        async with api.client_with(other) as reader:
            assert (await reader.get("/shops")).status_code == 200
        await api.service.move(1.0)
        assert (await api.client.get("/shops")).status_code == 200
        assert (await api.client.get("/shops")).status_code == 429

    play(emptied, story, rate=Rate(per_s=1.0, burst=3.0))


# --- the main path ------------------------------------------------------------------------------------------------


def test_an_automation_installed_through_the_api_shares_stock_and_can_be_explained(emptied) -> None:
    async def story(api: Api) -> None:
        service, client = api.service, api.client
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        made = await client.post("/automations", json=SHARE)
        assert made.status_code == 201
        assert made.json()["warnings"] == []
        location = made.headers["location"]
        assert (await client.get(location)).json()["id"] == made.json()["id"]
        await service.settle()
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [9, 9, 9]
        (stock,) = (await client.get("/pools")).json()["items"]
        assert (stock["stock"], stock["state"], stock["shop"]) == (9, "active", DOMAIN)
        assert [(level["title"], level["level"], level["off_by"]) for level in stock["levels"]] == [
            ("A", 9, 0),
            ("B", 9, 0),
            ("C", 9, 0),
        ]
        history = (await client.get(f"/pools/{stock['pool']}/history")).json()
        assert "A" in history["lines"][-1]["text"]
        run = next(
            run for run in reversed(await every_page(api, "/runs?search=poster")) if run["subject"] != "*"
        )
        story = (await client.get(f"/runs/{run['run']}")).json()
        assert [event["topic"] for event in story["events"]] == ["shopify/inventory_levels/update"]
        assert [effect["state"] for effect in story["effects"]] == ["done"]
        assert story["attempts"][0]["outcome"] == "applied"
        assert story["ledger"][stock["pool"]]
        assert any("It decided" in line for line in story["told"])

    play(emptied, story)


async def newest_run(api: Api, **filters) -> dict:
    answer = await api.client.get("/runs", params={"limit": 50, **filters})
    return next(run for run in answer.json()["items"] if run["subject"] != "*")


def test_a_preview_shows_what_would_be_corrected_and_writes_nothing(emptied) -> None:
    async def story(api: Api) -> None:
        service = api.service
        automation = await shared(api)
        posters = [add_listing(service.shop, f"Poster {number}") for number in range(3)]
        before = [poster.levels() for poster in posters]
        whole = (await api.client.get(f"/automations/{automation['id']}/preview")).json()
        assert (len(whole["products"]), whole["complete"]) == (4, True)
        part = (await api.client.get(f"/automations/{automation['id']}/preview?limit=2")).json()
        assert (len(part["products"]), part["complete"]) == (2, False)
        assert [poster.levels() for poster in posters] == before
        assert service.writes == []

    play(emptied, story)


def test_an_export_is_imported_disabled_and_equal(emptied) -> None:
    async def story(api: Api) -> None:
        automation = await shared(api, name="Prints")
        file = (await api.client.get(f"/automations/{automation['id']}/export")).json()
        answer = await api.client.post("/automations/import", json={"shop": DOMAIN, "automation": file})
        assert answer.status_code == 201
        copy = answer.json()
        assert copy["enabled"] is False
        assert {name: copy[name] for name in ("kind", "name", "options", "topics")} == {
            name: automation[name] for name in ("kind", "name", "options", "topics")
        }

    play(emptied, story)


def test_enabling_disabling_and_removing_do_what_they_say(emptied) -> None:
    async def story(api: Api) -> None:
        client = api.client
        path = f"/automations/{(await shared(api))['id']}"
        assert (await client.post(f"{path}/disable")).json()["enabled"] is False
        assert problem(await client.post(f"{path}/run")) == (409, "conflict")
        assert (await client.post(f"{path}/enable")).json()["enabled"] is True
        started = await client.post(f"{path}/run")
        assert (started.status_code, len(started.json()["events"])) == (202, 1)
        await api.service.settle()
        removed = await client.ask("DELETE", path)
        assert (removed.status_code, removed.content) == (204, b"")
        assert problem(await client.get(path)) == (404, "not-found")
        assert (await client.get("/pools")).json()["items"] == []

    play(emptied, story)


def test_kinds_carry_the_schema_of_their_options(emptied) -> None:
    async def story(api: Api) -> None:
        kinds = (await api.client.get("/automation-kinds")).json()["items"]
        assert {ACROSS[0], WITHIN[0]} <= {kind["kind"] for kind in kinds}
        one = (await api.client.get(f"/automation-kinds/{ACROSS[0]}")).json()
        assert one["options"]["properties"]["raise_settle_s"]["maximum"] == 300

    play(emptied, story)


# --- wrong input ----------------------------------------------------------------------------------------------------


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
        bodies = {"PATCH": {"name": "x"}}
        for operation in OPERATIONS:
            if not operation.names:
                continue
            method, path = a_request(operation)
            body = {"json": bodies.get(method, {"resolution": "was_applied"})} if operation.has_body else {}
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


# --- two who change ---------------------------------------------------------------------------------------------------


def test_a_change_is_refused_when_somebody_was_faster(emptied) -> None:
    async def story(api: Api) -> None:
        path = f"/automations/{(await shared(api))['id']}"
        first = await api.client.get(path)
        tag = {"If-Match": first.headers["etag"]}
        changed = await api.client.ask("PATCH", path, json={"options": {"raise_settle_s": 10}}, headers=tag)
        assert changed.status_code == 200
        assert changed.json()["options"]["raise_settle_s"] == 10
        assert changed.json()["options"]["product_tags"] == [TAG]
        late = await api.client.ask("PATCH", path, json={"name": "Late"}, headers=tag)
        assert problem(late) == (412, "changed-meanwhile")
        assert late.headers["etag"] == changed.headers["etag"] == (await api.client.get(path)).headers["etag"]
        assert problem(await api.client.ask("DELETE", path, headers=tag)) == (412, "changed-meanwhile")
        now = {"If-Match": changed.headers["etag"]}
        assert (await api.client.ask("PATCH", path, json={"name": "In time"}, headers=now)).status_code == 200

    play(emptied, story)


def test_a_change_that_meets_another_on_its_way_does_not_undo_it(emptied) -> None:
    async def story(api: Api) -> None:
        path = f"/automations/{(await shared(api))['id']}"
        met: list[int] = []

        async def meet(point: str) -> None:
            if point == "reading" and not met:
                met.append(0)
                met[0] = (await api.client.ask("PATCH", path, json={"name": "First"})).status_code

        api.service.seam = meet
        second = await api.client.ask("PATCH", path, json={"options": {"raise_settle_s": 10}})
        assert met == [200]
        assert problem(second) == (409, "conflict")
        assert (await api.client.get(path)).json()["name"] == "First"

    play(emptied, story)


def test_an_empty_change_is_refused(emptied) -> None:
    async def story(api: Api) -> None:
        path = f"/automations/{(await shared(api))['id']}"
        assert wrong_fields(await api.client.ask("PATCH", path, json={})) == [("body", "")]

    play(emptied, story)


# --- once only ----------------------------------------------------------------------------------------------------------


def test_a_request_sent_again_with_its_key_is_done_once_and_answered_alike(emptied) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        add_listing(api.service.shop)
        key = {"Idempotency-Key": "one"}
        first = await api.client.post("/automations", json=SHARE, headers=key)
        again = await api.client.post("/automations", json=SHARE, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content
        assert first.headers["location"] == again.headers["location"]
        assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (
            None,
            "true",
        )
        assert len((await api.client.get("/automations")).json()["items"]) == 1
        run = f"/automations/{first.json()['id']}/run"
        events = {(await api.client.post(run, headers={"Idempotency-Key": "two"})).text for _ in range(3)}
        assert len(events) == 1
        reused = await api.client.post(run, headers=key)
        assert problem(reused) == (422, "idempotency-key-reused")

    play(emptied, story)


def test_a_key_belongs_to_its_token_for_a_day(emptied) -> None:
    async def story(api: Api) -> None:
        run, key = f"/automations/{(await shared(api))['id']}/run", {"Idempotency-Key": "one"}
        first = (await api.client.post(run, headers=key)).json()
        async with api.client_with(await make_token(api.service, "write", "another")) as other:
            assert (await other.post(run, headers=key)).json() != first
        await api.service.wait(86_000)
        assert (await api.client.post(run, headers=key)).json() == first
        await api.service.move(401)
        assert (await api.client.post(run, headers=key)).json() != first

    play(emptied, story)


def test_a_refused_request_leaves_its_key_free(emptied) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        add_listing(api.service.shop)
        key = {"Idempotency-Key": "one"}
        refused = await api.client.post("/automations", json=SHARE | {"shop": "x.myshopify.com"}, headers=key)
        assert wrong_fields(refused) == [("body", "shop")]
        assert (await api.client.post("/automations", json=SHARE, headers=key)).status_code == 201

    play(emptied, story)


def test_two_requests_with_one_key_at_once_do_not_both_act(emptied) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        add_listing(api.service.shop)
        met = []

        async def meet(point: str) -> None:
            if point == "reading" and not met:
                met.append(None)
                met[0] = problem(await send())

        async def send():
            return await api.client.post("/automations", json=SHARE, headers={"Idempotency-Key": "one"})

        api.service.seam = meet
        assert (await send()).status_code == 201
        assert met == [(409, "idempotency-key-in-use")]

    play(emptied, story)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_a_key_that_cannot_be_one_is_refused(emptied, key) -> None:
    async def story(api: Api) -> None:
        headers = {"Idempotency-Key": key.encode()}
        answer = await api.client.post("/automations/nothing/run", headers=headers)
        assert wrong_fields(answer) == [("header", "Idempotency-Key")]

    play(emptied, story)


# --- lists ----------------------------------------------------------------------------------------------------------------


async def add_runs(service: Service, count: int, title: str = "filler") -> None:
    """Finished runs, one a second, oldest first."""
    async with service.database.connection() as conn:
        await conn.execute(
            """insert into runs (shop_id, run_id, automation_id, kind, subject, title, state, because, started_at)
               select %s, 'run_' || lpad(n::text, 20, '0'), 'aut_1', 'k', 's',
                      case when n = 1 then 'Winter Birches' else %s end,
                      case when n %% 10 = 0 then 'failed' else 'succeeded' end, '',
                      timestamptz '2026-01-01' + n * interval '1 second'
               from generate_series(1, %s) n""",
            (service.shop_id, title, count),
        )


def test_pages_hold_everything_once_in_order_whatever_their_size(emptied) -> None:
    async def story(api: Api) -> None:
        await add_runs(api.service, 57)
        whole = await every_page(api, "/runs?limit=200")
        assert len(whole) == 57
        assert [run["run"] for run in whole] == sorted((run["run"] for run in whole), reverse=True)
        for size in (1, 7, 19, 57):
            assert await every_page(api, f"/runs?limit={size}") == whole, size
        failed = await every_page(api, "/runs?state=failed&limit=2")
        assert failed == [run for run in whole if run["state"] == "failed"]

    play(emptied, story)


def test_every_list_goes_on_where_its_page_ended(emptied) -> None:
    async def story(api: Api) -> None:
        service = api.service
        service.shop.add_location("Toronto")
        for number in range(5):
            add_listing(service.shop, f"Poster {number}")
        for number in range(4):
            await api.client.post("/automations", json=SHARE | {"enabled": False, "name": f"No {number}"})
        await api.client.post("/automations", json=SHARE)
        await service.settle()
        async with service.database.connection() as conn, conn.transaction():
            for number in range(5):
                await messages.insert(conn, service.shop_id, a_message(number), service.clock.now())
            for number in range(4):
                await conn.execute(
                    "insert into shops (domain, api_url, auth_mode, secrets) values (%s, '', 'access_token', '')",
                    (f"shop-{number}.myshopify.com",),
                )
        for address in ("/pools", "/automations", "/messages", "/shops"):
            whole = (await api.client.get(address)).json()
            assert (len(whole["items"]), whole["next"]) == (5, None), address
            assert await every_page(api, f"{address}?limit=2") == whole["items"]
        assert len(await every_page(api, "/automations?enabled=false&limit=1")) == 4
        assert len(await every_page(api, f"/pools?shop={DOMAIN.upper()}&frozen=false&limit=1")) == 5
        product = (await api.client.get("/pools")).json()["items"][0]["product_id"]
        number = product.rsplit("/", 1)[-1]
        for text in (product, number):
            (one,) = (await api.client.get("/pools", params={"product": text})).json()["items"]
            assert one["product_id"] == product

    play(emptied, story)


def test_a_cursor_of_another_list_is_refused(emptied) -> None:
    async def story(api: Api) -> None:
        await add_runs(api.service, 3)
        following = (await api.client.get("/runs?limit=1")).json()["next"]
        cursor = following.partition("cursor=")[2]
        assert wrong_fields(await api.client.get(f"/pools?cursor={cursor}")) == [("query", "cursor")]

    play(emptied, story)


def test_runs_are_found_by_time_and_by_text_however_far_back(emptied) -> None:
    async def story(api: Api) -> None:
        await add_runs(api.service, 20_100)
        first = (await api.client.get("/runs?search=birches")).json()
        assert first["items"] == []
        (found,) = await every_page(api, "/runs?search=birches")
        assert found["about"] == "Winter Birches"
        assert await every_page(api, "/runs?search=nowhere&state=failed&limit=1") == []
        filler = (await api.client.get("/runs?search=FILLER&limit=3")).json()
        assert len(filler["items"]) == 3

    play(emptied, story)


def test_runs_since_a_time_include_it_and_nothing_older(emptied) -> None:
    async def story(api: Api) -> None:
        automation = await shared(api)
        runs = []
        for _ in range(3):
            await api.service.wait(60)
            await api.client.post(f"/automations/{automation['id']}/run")
            await api.service.settle()
            runs.append((await api.client.get("/runs?limit=1")).json()["items"][0])
        newer = await every_page(api, f"/runs?since={runs[1]['started_at']}")
        ids = [run["run"] for run in newer]
        assert runs[1]["run"] in ids
        assert runs[0]["run"] not in ids
        assert all(run["started_at"] >= runs[1]["started_at"] for run in newer)
        own = await every_page(api, f"/runs?automation={automation['id']}&shop={DOMAIN}")
        assert own == await every_page(api, "/runs")
        assert await every_page(api, "/runs?automation=aut_other") == []
        assert await every_page(api, "/runs?since=9999-12-31T23:59:59-14:00") == []
        assert await every_page(api, "/runs?since=0001-01-01T00:00:00%2B14:00") == own

    play(emptied, story)


# --- runs by hand -----------------------------------------------------------------------------------------------------------


def test_a_run_is_repeated_with_its_events_at_once_whatever_the_delay_of_their_topic(emptied) -> None:
    async def story(api: Api) -> None:
        topics = ["mechanic/user/trigger+1.hour"]
        automation = await shared(api, topics=topics)
        await api.client.post(f"/automations/{automation['id']}/run")
        await api.service.settle()
        assert len((await api.client.get("/runs")).json()["items"]) == 1
        await api.service.wait(3600)
        first = (await api.client.get("/runs?limit=1")).json()["items"][0]
        started = await api.client.post(f"/runs/{first['run']}/retry")
        assert started.status_code == 202
        await api.service.settle()
        second = (await api.client.get("/runs?limit=1")).json()["items"][0]
        assert second["run"] != first["run"]
        events = (await api.client.get(f"/runs/{second['run']}")).json()["events"]
        assert [event["event_id"] for event in events] == started.json()["events"]
        assert [event["topic"] for event in events] == ["mechanic/user/trigger"]
        kept = (await api.client.get(f"/runs/{first['run']}")).json()
        assert len(kept["events"]) == 1

    play(emptied, story)


def test_a_run_whose_events_are_gone_is_repeated_by_a_fresh_look(emptied) -> None:
    async def story(api: Api) -> None:
        await shared(api)
        poster = add_listing(api.service.shop, "Second")
        poster.sell("A")
        await api.service.settle()
        run = await newest_run(api)
        async with api.service.database.connection() as conn:
            await conn.execute("delete from work where run_id = %s", (run["run"],))
        await api.client.post(f"/runs/{run['run']}/retry")
        await api.service.settle()
        again = await newest_run(api)
        assert again["subject"] == run["subject"]
        assert again["run"] != run["run"]

    play(emptied, story)


def test_a_run_of_a_disabled_or_removed_automation_is_not_repeated(emptied) -> None:
    async def story(api: Api) -> None:
        automation = await shared(api)
        (run,) = (await api.client.get("/runs")).json()["items"]
        await api.client.post(f"/automations/{automation['id']}/disable")
        refused = await api.client.post(f"/runs/{run['run']}/retry")
        assert problem(refused) == (409, "conflict")
        assert "is disabled" in refused.json()["detail"]
        await api.client.ask("DELETE", f"/automations/{automation['id']}")
        refused = await api.client.post(f"/runs/{run['run']}/retry")
        assert "was removed" in refused.json()["detail"]

    play(emptied, story)


def test_a_scan_is_stopped_between_two_pages_and_keeps_what_it_did(emptied) -> None:
    async def story(api: Api) -> None:
        service = api.service
        service.shop.add_location("Toronto")
        for number in range(60):
            add_listing(service.shop, f"Poster {number:02}")
        await api.client.post("/automations", json=SHARE)
        asked = []

        async def meet(point: str) -> None:
            if point == "shown" and service.requests[-1].operation == "ScanProducts" and not asked:
                asked.append(None)
                (going,) = (await api.client.get("/runs?state=running")).json()["items"]
                refused = await api.client.post(f"/runs/{going['run']}/retry")
                assert problem(refused) == (409, "conflict")
                asked[0] = (await api.client.post(f"/runs/{going['run']}/cancel")).status_code

        service.seam = meet
        await service.settle()
        assert asked == [202]
        scan = (await api.client.get("/runs?state=cancelled")).json()["items"][0]
        done = scan["progress"]["done"]
        assert 0 < done < 60
        assert scan["because"].startswith(f"Cancelled by API token tests after {done} products")
        assert len(await every_page(api, "/pools")) == done
        assert problem(await api.client.post(f"/runs/{scan['run']}/cancel")) == (409, "conflict")

    play(emptied, story)


def test_a_scan_that_nothing_works_on_any_more_is_closed_at_once(emptied) -> None:
    async def story(api: Api) -> None:
        automation = await shared(api)
        async with api.service.database.connection() as conn:
            await conn.execute(
                """insert into runs (shop_id, run_id, automation_id, kind, subject, state, started_at)
                   values (%s, 'run_left', %s, 'k', '*', 'running', now())""",
                (api.service.shop_id, automation["id"]),
            )
        answer = await api.client.post("/runs/run_left/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
        assert "no worker was at it" in answer.json()["because"]

    play(emptied, story)


# --- a frozen stock -----------------------------------------------------------------------------------------------------------


def test_a_frozen_stock_shows_both_readings_and_goes_on_after_a_decision(emptied) -> None:
    async def story(api: Api) -> None:
        service = api.service
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        await api.client.post("/automations", json=SHARE)
        await service.settle()
        await set_rule(service, "certain")
        service.shop.faults.next("inventoryAdjustQuantities", Fault.TIMEOUT_AFTER)
        await sold_twice(service, poster)
        (stock,) = (await api.client.get("/pools?frozen=true")).json()["items"]
        assert (await api.client.get("/shops")).json()["items"][0]["frozen"] == 1
        assert (await api.client.get("/pools?frozen=false")).json()["items"] == []
        detail = (await api.client.get(f"/pools/{stock['pool']}")).json()
        assert {name: one["stock"] for name, one in detail["hypotheses"].items()} == {
            "if_applied": 8,
            "if_not": 6,
        }
        path = f"/pools/{stock['pool']}/resolve"
        wrong = await api.client.post(path, json={"resolution": "was_applied", "stock": 3})
        assert wrong_fields(wrong) == [("body", "stock")]
        unsaid = await api.client.post(path, json={"resolution": "adopt_levels"})
        assert problem(unsaid) == (409, "conflict")
        answer = await api.client.post(path, json={"resolution": "adopt_levels", "stock": 8})
        assert answer.status_code == 200, answer.text
        await service.wait(60)
        assert poster.levels() == [8, 8, 8]
        history = (await api.client.get(f"/pools/{stock['pool']}/history")).json()
        assert any("API token tests" in line["text"] for line in history["lines"])
        assert problem(await api.client.post(path, json={"resolution": "was_applied"})) == (409, "conflict")

    play(emptied, story, shop=new_shop(ManualClock(), scopes=WITHOUT_ORDERS))


# --- mail -----------------------------------------------------------------------------------------------------------------------


def a_message(number: int) -> messages.NewMessage:
    return messages.NewMessage(
        key=f"key {number}",
        kind="test_mail",
        to=f"Ann{number}@example.com",
        subject=f"Restocked {number}",
        text="Poster is back.",
        html="<p>Poster is back.</p>",
        headers={},
    )


def test_messages_are_listed_shown_and_sent_again(emptied) -> None:
    async def story(api: Api) -> None:
        service = api.service
        async with service.database.connection() as conn:
            for number in range(3):
                await messages.insert(conn, service.shop_id, a_message(number), service.clock.now())
            await conn.execute("update messages set state = 'sent', sent_at = now() where key = 'key 1'")
            await conn.execute("update messages set state = 'failed', reason = 'no' where key = 'key 2'")
        assert len((await api.client.get("/messages")).json()["items"]) == 3
        (failed,) = (await api.client.get("/messages?state=failed")).json()["items"]
        (sent,) = (await api.client.get("/messages?to=ANN1@example.com")).json()["items"]
        shown = (await api.client.get(f"/messages/{failed['message']}")).json()
        assert (shown["text"], shown["html"], shown["to"]) == (
            "Poster is back.",
            "<p>Poster is back.</p>",
            "Ann2@example.com",
        )
        again = await api.client.post(f"/messages/{failed['message']}/retry")
        assert (again.status_code, again.json()["state"]) == (202, "pending")
        refused = await api.client.post(f"/messages/{sent['message']}/retry")
        assert problem(refused) == (409, "conflict")
        assert [entry.action for entry in await logged(api)] == ["message.retry"]

    play(emptied, story)


# --- who did what -----------------------------------------------------------------------------------------------------------------


async def logged(api: Api) -> list[audit.Entry]:
    """What the token did, oldest first."""
    async with api.service.database.connection() as conn:
        found = await audit.entries(conn, limit=100)
    return [entry for entry in reversed(found) if entry.user_name == "API token tests"]


def test_every_change_is_in_the_audit_log_under_the_token_s_name(emptied) -> None:
    async def story(api: Api) -> None:
        path = f"/automations/{(await shared(api, name='Prints'))['id']}"
        await api.service.wait(1)
        for method, address, body in (
            ("PATCH", path, {"options": {"raise_settle_s": 7}}),
            ("POST", f"{path}/run", None),
            ("POST", f"{path}/disable", None),
            ("POST", f"{path}/enable", None),
            ("DELETE", path, None),
        ):
            answer = await api.client.ask(method, address, **({"json": body} if body else {}))
            assert answer.status_code < 300, answer.text
            await api.service.wait(1)
        entries = await logged(api)
        assert [entry.action for entry in entries] == [
            "automation.add",
            "automation.change",
            "automation.run",
            "automation.disable",
            "automation.enable",
            "automation.remove",
        ]
        assert {entry.target for entry in entries} == {"Prints"}
        assert entries[1].detail["options"] == {"raise_settle_s": 7}

    play(emptied, story)
