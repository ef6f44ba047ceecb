"""The JSON API over the whole service: one description, who may ask, the main path of each resource."""

import pytest

from shopify_emulator import Fault, ManualClock
from stockwright.store import audit, messages
from stockwright.store.api_requests import Rate
from stockwright.web.api import OPERATIONS
from stockwright.web.api.openapi import PREFIX, describe
from tests.journey.api_client import (
    SHARE,
    Api,
    a_message,
    a_request,
    every_page,
    make_token,
    play,
    problem,
    shared,
    wrong_fields,
)
from tests.journey.listings import add_listing
from tests.journey.service import DOMAIN, new_shop
from tests.journey.test_shared_stock import ACROSS, WITHIN
from tests.journey.test_shared_stock_faults import WITHOUT_ORDERS, set_rule, sold_twice

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


# --- who may ask ----------------------------------------------------------------------------------------------


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
                else:  # one that reads by a body has none here
                    assert answer.status_code in (200, 404, 415), operation.id

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


# --- the main path --------------------------------------------------------------------------------------------


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


# --- a frozen stock -------------------------------------------------------------------------------------------


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


# --- mail -----------------------------------------------------------------------------------------------------


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


# --- who did what ---------------------------------------------------------------------------------------------


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
