"""The bundled shop as its own process: Admin API, control API, page and webhooks over real sockets."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shopify_emulator.webhooks import sign

GRAPHQL = "/admin/api/2026-10/graphql.json"
ADJUST = """mutation($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) { userErrors { code } } }"""
LIMIT_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(ready: Callable[[], bool], what: str) -> None:
    """Polls a condition; fails by name when it does not come true in time."""
    pause, until = threading.Event(), time.monotonic() + LIMIT_S
    while not ready():
        assert time.monotonic() < until, f"{what} did not happen within {LIMIT_S} s"
        pause.wait(0.05)


@dataclass(kw_only=True)
class Running:
    client: httpx2.Client
    state: dict[str, Any] = field(default_factory=dict)

    def refresh(self) -> dict[str, Any]:
        self.state = self.client.get("/_emulator/state").json()
        return self.state

    def variant(self, product: str) -> dict[str, Any]:
        found: dict[str, Any] = next(p for p in self.refresh()["products"] if p["title"] == product)
        first: dict[str, Any] = found["variants"][0]
        return first

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> httpx2.Response:
        body = {"query": query, "variables": variables or {}}
        return self.client.post(GRAPHQL, json=body, headers={"X-Shopify-Access-Token": "shpat_demo"})

    def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        return self.client.post(f"/_emulator/{path}", json=body)


@contextmanager
def running(*options: str) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "shopify_emulator", "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert str(port) in process.stdout.readline()
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=5, trust_env=False) as client:
            wait_for(lambda: answers(client), "the shop's start")
            yield Running(client=client)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert errors == ""


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/_emulator/state").status_code == 200
    except httpx2.ConnectError:
        return False


@pytest.fixture(scope="module")
def shop() -> Iterator[Running]:
    with running() as started:
        yield started


def test_the_demo_catalogue_has_what_the_story_needs(shop: Running) -> None:
    state = shop.refresh()
    assert [place["name"] for place in state["locations"]] == ["Toronto", "Montreal", "Online warehouse"]
    assert [place["primary"] for place in state["locations"]] == [True, False, False]
    assert len(state["products"]) >= 8
    assert any(product["status"] == "DRAFT" for product in state["products"])
    assert any(product["gift_card"] for product in state["products"])
    assert any(not v["tracked"] for p in state["products"] for v in p["variants"] if not p["gift_card"])
    assert any(not p["published_on"] and p["status"] == "ACTIVE" for p in state["products"])


def test_a_token_is_granted_and_the_admin_api_answers(shop: Running) -> None:
    form = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "hush"}
    token = shop.client.post("/admin/oauth/access_token", data=form).json()["access_token"]
    body = {"query": "{ shop { myshopifyDomain } }"}
    answer = shop.client.post(GRAPHQL, json=body, headers={"X-Shopify-Access-Token": token})
    assert answer.headers["X-Shopify-API-Version"] == "2026-10"
    assert answer.json()["data"] == {"shop": {"myshopifyDomain": "demo-shop.myshopify.com"}}
    assert shop.client.post(GRAPHQL, json=body).status_code == 401


def test_selling_refunding_and_editing_move_levels_and_the_history(shop: Running) -> None:
    variant = shop.variant("Winter Birches")
    place = shop.state["locations"][0]["id"]
    before = len(shop.client.get("/_emulator/history").json())
    order = shop.post("sell", {"lines": [{"variant": variant["id"], "quantity": 2}]}).json()
    assert shop.variant("Winter Birches")["levels"][place] == variant["levels"][place] - 2
    refunded = shop.post("refund", {"order": order["id"]}).json()
    assert refunded["quantity"] == 2
    edit = {"item": variant["item"], "location": place, "available": 30}
    assert shop.post("edit", {"edits": [edit]}).json() == {"deltas": [30 - variant["levels"][place]]}
    moved = shop.client.get("/_emulator/history", params={"since": before}).json()
    assert [m["cause"] for m in moved] == ["order", "refund", "edit"]


def test_bad_input_to_the_control_api_is_explained(shop: Running) -> None:
    missing = shop.post("sell", {"lines": [{"variant": "gid://x"}]})
    assert (missing.status_code, missing.json()["error"]) == (
        409,
        "the shop has no variant 'gid://x'; GET /_emulator/state lists the ids",
    )
    wrong = shop.post("sell", {"lines": [{"variant": "x", "quantity": 0}], "colour": "red"})
    assert wrong.status_code == 422
    assert "lines.0.quantity" in wrong.json()["error"]
    assert "colour" in wrong.json()["error"]
    assert "there is no fault 'gremlin'" in shop.post("faults", {"rates": {"gremlin": 1}}).json()["error"]
    foreign = shop.client.post("/_emulator/sell", json={}, headers={"Origin": "https://evil.test"})
    assert foreign.status_code == 403


def test_a_product_can_be_added_changed_and_removed(shop: Running) -> None:
    made = shop.post(
        "product", {"title": "New Print", "tags": ["x"], "levels": 4, "variants": [{"sku": "N-1"}]}
    ).json()
    assert set(made["variants"][0]["levels"].values()) == {4}
    changed = shop.post("change-product", {"product": made["id"], "status": "ARCHIVED"}).json()
    assert changed["status"] == "ARCHIVED"
    shop.post("change-product", {"product": made["id"], "remove": True})
    assert made["id"] not in [product["id"] for product in shop.refresh()["products"]]


def test_an_order_can_be_edited(shop: Running) -> None:
    variant = shop.variant("Winter Birches")
    place = shop.state["locations"][0]["id"]
    shop.post("sell", {"lines": [{"variant": variant["id"], "quantity": 2}], "location": place})
    edited = shop.post("edit-order", {"changes": [{"variant": variant["id"], "quantity": -1}]}).json()
    assert [line["current"] for line in edited["lines"]] == [1]
    assert shop.variant("Winter Birches")["levels"][place] == variant["levels"][place] - 1


def test_variants_come_change_go_and_are_stocked_elsewhere(shop: Running) -> None:
    made = shop.post("product", {"title": "Stages", "levels": 4, "variants": [{"title": "One"}]}).json()
    here, there, _ = (place["id"] for place in shop.refresh()["locations"])
    added = shop.post("variant", {"product": made["id"], "title": "Two", "levels": {here: 7}}).json()
    assert added["levels"] == {here: 7}
    stocked = shop.post("connect", {"item": added["item"], "location": there, "available": 5}).json()
    assert stocked["levels"] == {here: 7, there: 5}
    left = shop.post("disconnect", {"item": added["item"], "location": here}).json()
    assert left["levels"] == {there: 5}
    change = {"variant": added["id"], "policy": "CONTINUE", "tracked": False, "sku": "S-2"}
    changed = shop.post("change-variant", change).json()
    assert (changed["policy"], changed["tracked"], changed["sku"]) == ("CONTINUE", False, "S-2")
    shop.post("change-variant", {"variant": added["id"], "remove": True})
    last = shop.post("change-variant", {"variant": made["variants"][0]["id"], "remove": True})
    assert (last.status_code, last.json()["error"]) == (
        409,
        "'Stages' has no other variant; remove the product instead",
    )


def test_locations_and_channels_come_change_and_go(shop: Running) -> None:
    made = shop.post("location", {"name": "Attic", "fulfills_online": False}).json()
    renamed = shop.post("change-location", {"location": made["id"], "name": "Cellar"}).json()
    assert renamed["name"] == "Cellar"
    early = shop.post("change-location", {"location": made["id"], "remove": True})
    assert early.json()["error"] == "Cellar is active; deactivate it before it is deleted"
    shop.post("change-location", {"location": made["id"], "active": False, "remove": True})
    channel = shop.post("channel", {"name": "Market", "handle": "market"}).json()
    assert channel["id"] in [one["id"] for one in shop.refresh()["publications"]]
    assert shop.post("remove-channel", {"publication": channel["id"]}).status_code == 200
    state = shop.refresh()
    assert "Cellar" not in [place["name"] for place in state["locations"]]
    assert channel["id"] not in [one["id"] for one in state["publications"]]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("edit", {"edits": [{"item": "x", "location": "y", "available": 10**30}]}),
        ("sell", {"lines": [{"variant": "x", "quantity": 10**30}]}),
        ("edit-order", {"changes": [{"variant": "x", "quantity": -(10**30)}]}),
        ("connect", {"item": "x", "location": "y", "available": 10**30}),
        ("product", {"title": "Too many", "levels": 10**30}),
        ("variant", {"product": "x", "levels": {"y": 10**30}}),
        ("faults", {"webhook_delay_s": 86_401}),
        ("faults", {"next": [{"fault": "http_429", "delay_s": -1}]}),
        ("faults", {"statuses": [418]}),
    ],
)
def test_numbers_beyond_what_a_shop_takes_are_refused(
    shop: Running, path: str, field: dict[str, Any]
) -> None:
    before = shop.refresh()
    refused = shop.post(path, field)
    assert refused.status_code == 422, refused.text
    assert "Input should be" in refused.json()["error"]
    assert {**shop.refresh(), "now": ""} == {**before, "now": ""}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"next": [{"fault": "connect_refused"}]}, "dropped_before closes it without an answer"),
        ({"rates": {"connect_refused": 0.1}}, "connect_refused is for a shop in the same process"),
        ({"rates": {"stale": 0.6, "http_429": 0.6}}, "may add up to 1, not to 1.2"),
        ({"next": [{"fault": "stale", "also": ["webhook_drop"]}]}, "one request suffers one fault"),
    ],
)
def test_faults_that_cannot_be_had_are_refused_in_words(
    shop: Running, plan: dict[str, Any], message: str
) -> None:
    refused = shop.post("faults", plan)
    assert refused.status_code == 409
    assert message in refused.json()["error"]
    shop.post("faults", {"clear": True})


def test_broken_connections_and_silence_reach_a_real_client(shop: Running) -> None:
    variant = shop.variant("Harbour at Dawn")
    place = shop.state["locations"][0]["id"]
    level = variant["levels"][place]

    def adjust(fault: str, change_from: int, timeout_s: float) -> httpx2.Response:
        shop.post("faults", {"next": [{"fault": fault, "operation": "inventoryAdjustQuantities"}]})
        row = {
            "inventoryItemId": variant["item"],
            "locationId": place,
            "delta": -1,
            "changeFromQuantity": change_from,
        }
        given = {"name": "available", "reason": "correction", "changes": [row]}
        body = {"query": ADJUST, "variables": {"input": given, "key": fault}}
        headers = {"X-Shopify-Access-Token": "shpat_demo"}
        return shop.client.post(GRAPHQL, json=body, headers=headers, timeout=timeout_s)

    with pytest.raises(httpx2.RemoteProtocolError):
        adjust("dropped_before", level, 5)
    with pytest.raises(httpx2.RemoteProtocolError):
        adjust("dropped_after", level, 5)
    with pytest.raises(httpx2.ReadTimeout):
        adjust("timeout_after", level - 1, 0.5)
    assert shop.variant("Harbour at Dawn")["levels"][place] == level - 2
    injected = shop.state["faults_injected"]
    assert injected["dropped_before"] == injected["dropped_after"] == injected["timeout_after"] == 1
    assert shop.state["requests"]["inventoryAdjustQuantities"] == 3
    shop.post("reset-counts", {})
    assert (shop.refresh()["requests"], shop.state["points_used"]) == ({}, 0)


def test_a_bulk_result_is_fetched_from_its_url(shop: Running) -> None:
    query = "{ products { edges { node { id title } } } }"
    run = "mutation($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id } userErrors { message } } }"
    made = shop.graphql(run, {"q": query}).json()["data"]["bulkOperationRunQuery"]
    read = "query($id: ID!) { bulkOperation(id: $id) { status url } }"

    def operation() -> dict[str, Any]:
        found: dict[str, Any] = shop.graphql(read, {"id": made["bulkOperation"]["id"]}).json()["data"][
            "bulkOperation"
        ]
        return found

    wait_for(lambda: operation()["status"] == "COMPLETED", "the bulk operation's end")
    lines = shop.client.get(operation()["url"]).text.splitlines()
    assert len(lines) == len(shop.refresh()["products"])
    assert set(json.loads(lines[0])) == {"id", "title"}


def test_webhooks_are_delivered_signed_to_this_machine(shop: Running) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        create = """mutation($uri: String!) { webhookSubscriptionCreate(topic: INVENTORY_LEVELS_UPDATE,
          webhookSubscription: {uri: $uri}) { userErrors { message } } }"""
        shop.graphql(create, {"uri": f"http://127.0.0.1:{server.server_port}/webhooks"})
        shop.post("sell", {"lines": [{"variant": shop.variant("Linen Tote")["id"]}]})
        wait_for(lambda: bool(got), "a webhook")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        shop.post("forget-subscriptions", {})
    headers, body = got[0]
    assert headers["X-Shopify-Hmac-Sha256"] == sign("hush", body)
    assert headers["X-Shopify-Topic"] == "inventory_levels/update"
    assert json.loads(body)["available"] == 17


def test_the_page_shows_stock_and_its_forms_work_without_javascript(shop: Running) -> None:
    variant = shop.variant("Linen Tote")
    place = shop.state["locations"][0]["id"]
    page = shop.client.get("/")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "Linen Tote" in page.text
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page.text)
    sold = shop.client.post(
        "/sell", data={"sell": variant["id"], f"q:{variant['id']}": "2"}, follow_redirects=True
    )
    assert "2 × Linen Tote (Natural)" in sold.text
    edited = shop.client.post(
        "/edit", data={"item": variant["item"], f"a:{place}": "44"}, follow_redirects=True
    )
    assert "1 level changed" in edited.text
    refunded = shop.client.post("/refund", data={"restock": "1"}, follow_redirects=True)
    assert "2 items, back in stock" in refunded.text
    assert shop.variant("Linen Tote")["levels"][place] == 46
    live = shop.client.get("/live.json").json()
    assert [move["cause"] for move in live["movements"][:2]][1] == "Edited by hand"


def test_a_form_that_was_filled_before_a_sale_changes_only_what_was_changed_in_it(shop: Running) -> None:
    variant = shop.variant("Winter Birches")
    toronto, montreal = (place["id"] for place in shop.state["locations"][:2])
    levels = dict(variant["levels"])
    shop.post("sell", {"lines": [{"variant": variant["id"]}], "location": toronto})
    fields = {"item": variant["item"]}
    for place in (toronto, montreal):
        fields |= {f"a:{place}": str(levels[place]), f"was:{place}": str(levels[place])}
    fields[f"a:{montreal}"] = str(levels[montreal] + 2)
    page = shop.client.post("/edit", data=fields, follow_redirects=True)
    assert "1 level changed" in page.text
    after = shop.variant("Winter Birches")["levels"]
    assert (after[toronto], after[montreal]) == (levels[toronto] - 1, levels[montreal] + 2)


def test_one_line_of_an_earlier_order_is_refunded_and_nothing_twice(shop: Running) -> None:
    tote, bundle = shop.variant("Linen Tote"), shop.variant("Mystery Print Bundle")
    order = shop.post(
        "sell", {"lines": [{"variant": tote["id"], "quantity": 2}, {"variant": bundle["id"]}]}
    ).json()
    shop.post("sell", {"lines": [{"variant": tote["id"]}]})
    line = {"line": order["lines"][0]["id"], "restock": "1"}
    page = shop.client.post("/refund", data=line, follow_redirects=True)
    assert f"{order['name']} refunded: 2 items, back in stock" in page.text
    again = shop.client.post("/refund", data=line, follow_redirects=True)
    assert f"order {order['name']} has nothing left to refund" in again.text
    rest = shop.post("refund", {"order": order["id"]}).json()
    assert rest["quantity"] == 1
    refused = shop.post("refund", {"order": order["id"]})
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        f"order {order['name']} has nothing left to refund",
    )
    listed = shop.client.get("/live.json").json()["refundable"]
    assert order["name"] not in [each["name"] for each in listed]


def test_several_filled_lines_become_one_order(shop: Running) -> None:
    tote, bundle = shop.variant("Linen Tote"), shop.variant("Mystery Print Bundle")
    fields = {f"q:{tote['id']}": "1", f"q:{bundle['id']}": "3", "location": ""}
    page = shop.client.post("/sell", data=fields, follow_redirects=True)
    assert "3 × Mystery Print Bundle (Three prints)" in page.text
    last = shop.refresh()["orders"][-1]
    assert [line["quantity"] for line in last["lines"]] == [1, 3]


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        ("/sell", {"q:x": "many"}, "&#39;many&#39; is not a whole number"),
        ("/sell", {}, "no line has a quantity"),
        ("/edit", {"item": "<b>"}, "the shop has no inventory item &#39;&lt;b&gt;&#39;"),
    ],
)
def test_the_page_says_what_was_wrong_with_a_form(
    shop: Running, path: str, fields: dict[str, str], message: str
) -> None:
    page = shop.client.post(path, data=fields, follow_redirects=True)
    assert page.status_code == 200
    assert f"Nothing was changed: {message}" in page.text


def test_a_form_from_another_site_is_refused(shop: Running) -> None:
    assert shop.client.post("/sell", data={}, headers={"Origin": "https://evil.test"}).status_code == 403


def test_a_shop_starts_from_a_file_with_switches_and_seeded_faults(tmp_path: Path) -> None:
    catalogue = {
        "locations": [{"name": "Here"}, {"name": "There", "fulfills_online": False}],
        "products": [{"title": "One", "variants": [{"sku": "1", "levels": {"Here": 7}}], "tags": ["t"]}],
    }
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(catalogue), encoding="utf-8")
    options = ("--catalogue", str(path), "--switch", "cost=linear", "--fault", "http_429=1", "--seed", "4")
    with running(*options) as started:
        assert list(started.variant("One")["levels"].values()) == [7]
        assert started.graphql("{ shop { name } }").status_code == 429
        started.post("faults", {"clear": True})
        cost = started.graphql("{ products(first: 100) { nodes { id } } }").json()["extensions"]["cost"]
        assert cost["requestedQueryCost"] == 102


def test_the_merchant_can_change_the_shop_its_grants_and_its_secret_and_remove_the_app() -> None:
    options = ("--fault", "server_error_before=1", "--server-error", "502", "--webhook-delay", "3600")
    with running(*options) as started:
        assert started.graphql("{ shop { name } }").status_code == 502
        started.post("faults", {"clear": True, "statuses": [504], "rates": {"server_error_before": 1}})
        assert started.graphql("{ shop { name } }").status_code == 504
        started.post("faults", {"clear": True})
        started.post("change-shop", {"name": "Renamed", "timezone": "Europe/Berlin"})
        told = started.graphql("{ shop { name ianaTimezone } }").json()["data"]["shop"]
        assert told == {"name": "Renamed", "ianaTimezone": "Europe/Berlin"}
        started.post("scopes", {"scopes": ["read_products"]})
        granted = started.graphql("{ currentAppInstallation { accessScopes { handle } } }").json()["data"]
        assert granted["currentAppInstallation"]["accessScopes"] == [{"handle": "read_products"}]
        started.post("rotate-secret", {"secret": "another"})
        form = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "another"}
        assert started.client.post("/admin/oauth/access_token", data=form).status_code == 200
        started.post("uninstall", {})
        assert started.graphql("{ shop { name } }").status_code == 401
        started.post("reinstall", {})
        assert started.graphql("{ shop { name } }").status_code == 200


def test_one_webhook_can_be_late_and_doubled_on_request(shop: Running) -> None:
    uri = "http://127.0.0.1:9/nobody-listens-here"
    create = """mutation($uri: String!) { webhookSubscriptionCreate(topic: INVENTORY_LEVELS_UPDATE,
      webhookSubscription: {uri: $uri}) { userErrors { message } } }"""
    shop.graphql(create, {"uri": uri})
    both = {"fault": "webhook_delay", "also": ["webhook_duplicate"], "delay_s": 3600, "copy_delay_s": 60}
    shop.post("faults", {"next": [both]})
    shop.post("sell", {"lines": [{"variant": shop.variant("Linen Tote")["id"]}]})
    assert shop.refresh()["webhooks"]["pending"] == 2
    shop.post("forget-subscriptions", {})
    assert shop.state["faults_injected"]["webhook_delay"] == 1
    assert shop.state["faults_injected"]["webhook_duplicate"] == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--switch", "cost=cubic"), "switch cost has no mode 'cubic'"),
        (("--fault", "gremlin=1"), "there is no fault 'gremlin'"),
        (("--fault", "connect_refused=1"), "dropped_before closes it without an answer"),
        (("--fault", "stale=0.7", "--fault", "http_429=0.4"), "may add up to 1, not to 1.1"),
        (("--server-error", "418"), "invalid choice: 418"),
        (("--webhook-delay", "86401"), "up to 86400 s"),
        (("--catalogue", "/nowhere.json"), "the catalogue /nowhere.json cannot be read"),
    ],
)
def test_a_wrong_option_ends_with_status_two_and_a_reason(option: tuple[str, str], message: str) -> None:
    command = [sys.executable, "-m", "shopify_emulator", *option]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert message in ended.stderr
