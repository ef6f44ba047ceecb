"""Bulk operations: what they take, their life, their JSONL, and how they fail."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from shopify_emulator import Fault
from shopify_emulator.api import Answer
from tests.unit.test_emulator_shop import Stage, stage

LEVELS = """{ inventoryItems { edges { node { id tracked inventoryLevels(includeInactive: true) { edges { node {
  id isActive location { id } quantities(names: ["available", "on_hand"]) { name quantity updatedAt } } } } } } } }"""
PRODUCTS = "{ products { edges { node { id title variants { edges { node { id sku } } } } } } }"
RUN = """mutation($q: String!) { bulkOperationRunQuery(query: $q) {
  bulkOperation { id status objectCount url } userErrors { code field message } } }"""
READ = """query($id: ID!) { bulkOperation(id: $id) { status errorCode objectCount rootObjectCount fileSize url
  partialDataUrl completedAt } }"""


def run(s: Stage, query: str) -> dict[str, Any]:
    payload: dict[str, Any] = s.data(RUN, {"q": query})["bulkOperationRunQuery"]
    return payload


def read(s: Stage, gid: str) -> dict[str, Any]:
    operation: dict[str, Any] = s.data(READ, {"id": gid})["bulkOperation"]
    return operation


def lines(s: Stage, url: str) -> list[dict[str, Any]]:
    number, name = url.rsplit("/", 2)[1:]
    answer = s.shop.bulk_result(int(number), name.removesuffix(".jsonl"))
    assert isinstance(answer, Answer)
    return [json.loads(line) for line in answer.body.decode().splitlines()]


def finished(s: Stage, query: str) -> dict[str, Any]:
    made = run(s, query)
    assert made["userErrors"] == []
    s.clock.advance(10)
    return read(s, made["bulkOperation"]["id"])


def through_fault(s: Stage, fault: Fault) -> dict[str, Any]:
    s.shop.faults.next("bulkOperationRunQuery", fault)
    body = json.dumps({"query": RUN, "variables": {"q": PRODUCTS}}).encode()
    reply = s.shop.post(body, {"X-Shopify-Access-Token": "shpat_demo"})
    assert isinstance(reply, Answer)
    gid = json.loads(reply.body)["data"]["bulkOperationRunQuery"]["bulkOperation"]["id"]
    s.clock.advance(10)
    return read(s, gid)


def test_an_operation_is_created_then_running_then_completed_by_the_clock() -> None:
    s = stage()
    made = run(s, LEVELS)["bulkOperation"]
    assert (made["status"], made["objectCount"], made["url"]) == ("CREATED", "0", None)
    s.clock.advance(1)
    assert read(s, made["id"])["status"] == "RUNNING"
    s.clock.advance(2)
    done = read(s, made["id"])
    assert (done["status"], done["objectCount"], done["rootObjectCount"]) == ("COMPLETED", "6", "2")
    assert done["url"].startswith("https://test-shop.myshopify.com/bulk/")
    assert int(done["fileSize"]) > 100


def test_the_documented_inventory_query_gives_items_and_their_levels_in_lines() -> None:
    s = stage()
    s.shop.sell([(s.a.gid, 3)])
    rows = lines(s, finished(s, LEVELS)["url"])
    assert [("__parentId" in row) for row in rows] == [False, True, True, False, True, True]
    assert rows[0] == {"id": s.a.item.gid, "tracked": True}
    assert rows[1]["__parentId"] == s.a.item.gid
    assert rows[1]["location"] == {"id": s.toronto}
    assert [(q["name"], q["quantity"]) for q in rows[1]["quantities"]] == [("available", 7), ("on_hand", 10)]


def test_products_and_variants_come_without_a_page_limit() -> None:
    s = stage()
    for number in range(300):
        s.shop.add_product(f"Print {number}")
    rows = lines(s, finished(s, PRODUCTS)["url"])
    assert len([row for row in rows if "__parentId" not in row]) == 301


def test_three_levels_of_nesting_depend_on_the_switch() -> None:
    deep = """{ products { edges { node { id variants { edges { node { id inventoryItem { id
      inventoryLevels { edges { node { id } } } } } } } } } } }"""
    s = stage()
    rows = lines(s, finished(s, deep)["url"])
    assert [row["__parentId"] for row in rows if "/InventoryLevel/" in row["id"]][:2] == [s.a.gid, s.a.gid]
    refused = run(stage(bulk_depth="1"), deep)["userErrors"]
    assert refused[0]["message"].startswith("Bulk queries cannot contain connections with a nesting depth")


def test_four_levels_of_nesting_are_refused_whatever_the_switch() -> None:
    deep = """{ products { edges { node { id variants { edges { node { id inventoryItem { id
      inventoryLevels { edges { node { id location { id
      inventoryLevels { edges { node { id } } } } } } } } } } } } } } }"""
    for mode in ("2", "1"):
        messages = [error["message"] for error in run(stage(bulk_depth=mode), deep)["userErrors"]]
        assert (
            f"Bulk queries cannot contain connections with a nesting depth greater than {mode}." in messages
        )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "{ orders { edges { node { id refunds { id refundLineItems { edges { node { id } } } } } } } }",
            "Bulk queries cannot contain a connection field within a list field.",
        ),
        ("{ shop { name } }", "Bulk queries must contain at least one connection."),
        (
            '{ node(id: "gid://shopify/Product/1") { id } }',
            "Bulk queries cannot contain a top level `node` field.",
        ),
        ("{ products { nodes { id } } }", "Bulk queries must use edges and node, not nodes."),
        (
            "{ products { edges { node { variants { edges { node { id } } } } } } }",
            "The parent of a connection field must select its 'id' field.",
        ),
        ("{ nope }", "Invalid bulk query: Field 'nope' doesn't exist on type 'QueryRoot'"),
        (
            "{ " + " ".join(f"p{n}: products {{ edges {{ node {{ id }} }} }}" for n in range(6)) + " }",
            "Bulk queries cannot contain more than 5 connections.",
        ),
        (
            "{ products { edges { node { id } } } } #" + "x" * 65_535,
            "Bulk queries cannot be longer than 65,535 bytes.",
        ),
    ],
)
def test_a_query_that_bulk_cannot_run_is_invalid(query: str, message: str) -> None:
    errors = run(stage(), query)["userErrors"]
    assert {"code": "INVALID", "field": ["query"], "message": message} in errors


def test_a_sixth_operation_at_once_is_refused_and_names_the_five() -> None:
    s = stage()
    running = [run(s, PRODUCTS)["bulkOperation"]["id"] for _ in range(5)]
    error = run(s, PRODUCTS)["userErrors"][0]
    assert (error["code"], error["field"]) == ("OPERATION_IN_PROGRESS", None)
    assert all(gid in error["message"] for gid in running)
    listed = s.data('{ bulkOperations(first: 9, query: "status:created") { nodes { id } } }')
    assert [node["id"] for node in listed["bulkOperations"]["nodes"]] == running


def test_a_cancelled_operation_leaves_nothing() -> None:
    s = stage()
    gid = run(s, PRODUCTS)["bulkOperation"]["id"]
    cancel = "mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status } userErrors { message } } }"
    assert s.data(cancel, {"id": gid})["bulkOperationCancel"]["bulkOperation"] == {"status": "CANCELING"}
    s.clock.advance(10)
    assert (read(s, gid)["status"], read(s, gid)["url"]) == ("CANCELED", None)
    assert s.data(cancel, {"id": gid})["bulkOperationCancel"]["userErrors"] != []


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.BULK_FAILED, "FAILED", "INTERNAL_SERVER_ERROR"),
        (Fault.BULK_EXPIRED, "EXPIRED", None),
        (Fault.BULK_PARTIAL, "FAILED", "TIMEOUT"),
    ],
)
def test_an_operation_can_fail_expire_or_leave_a_part(fault: Fault, status: str, code: str | None) -> None:
    s = stage()
    done = through_fault(s, fault)
    assert (done["status"], done["errorCode"], done["url"]) == (status, code, None)
    assert (done["partialDataUrl"] is not None) == (fault is Fault.BULK_PARTIAL)
    assert s.shop.faults.injected[fault] == 1


def test_a_missing_scope_fails_the_operation() -> None:
    s = stage(scopes={"read_products"})
    done = finished(s, LEVELS)
    assert (done["status"], done["errorCode"]) == ("FAILED", "ACCESS_DENIED")


def test_a_result_is_kept_for_seven_days_and_not_under_a_guessed_address() -> None:
    s = stage()
    url = finished(s, PRODUCTS)["url"]
    number = int(url.rsplit("/", 2)[1])
    assert s.shop.bulk_result(number, "00000000-0000-4000-8000-000000000000") is None
    s.clock.advance(7 * 86_400)
    assert s.shop.bulk_result(number, url.rsplit("/", 1)[1].removesuffix(".jsonl")) is None


def test_the_end_is_told_by_webhook() -> None:
    s = stage()
    got: list[bytes] = []

    async def deliver(_url: str, _headers: object, body: bytes) -> int:
        got.append(body)
        return 200

    s.shop.deliver = deliver
    s.data(
        'mutation { webhookSubscriptionCreate(topic: BULK_OPERATIONS_FINISH, webhookSubscription: {uri: "https://x.test/"})'
        " { userErrors { message } } }"
    )
    gid = run(s, PRODUCTS)["bulkOperation"]["id"]
    s.clock.advance(10)
    asyncio.run(s.shop.settle_webhooks())
    body = json.loads(got[0])
    assert list(body) == [
        "admin_graphql_api_id",
        "completed_at",
        "created_at",
        "error_code",
        "status",
        "type",
    ]
    assert (body["admin_graphql_api_id"], body["status"], body["type"]) == (gid, "completed", "query")
