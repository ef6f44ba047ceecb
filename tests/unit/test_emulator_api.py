"""The door of the Admin API: tokens, static errors, cost and throttling, in Shopify's shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shopify_emulator.api import Answer, Reply
from tests.unit.test_emulator_shop import ADJUST, Stage, stage

GID = "gid://shopify/Product/1"


def post(s: Stage, query: str, *, token: str = "shpat_demo", **headers: str) -> Answer:
    return answered(
        s.shop.post(json.dumps({"query": query}).encode(), {"X-Shopify-Access-Token": token, **headers})
    )


def answered(reply: Reply) -> Answer:
    assert isinstance(reply, Answer)
    return reply


def grant(s: Stage, **changes: str) -> tuple[int, dict[str, Any]]:
    form = {
        "grant_type": "client_credentials",
        "client_id": "demo-client",
        "client_secret": "hush",
        **changes,
    }
    answer = answered(s.shop.grant_token(form))
    return answer.status, json.loads(answer.body)


def codes(body: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in body["errors"]]


def cost(s: Stage, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = s.shop.execute(query, variables)["extensions"]["cost"]
    return found


def test_a_wrong_token_is_401() -> None:
    assert post(stage(), "{ shop { name } }", token="nope").status == 401


def test_a_granted_token_works_for_a_day_and_then_no_more() -> None:
    # Client credentials: 24 h, no refresh token; ask again.
    s = stage()
    status, granted = grant(s)
    assert (status, granted["expires_in"]) == (200, 86_399)
    assert "read_inventory" in granted["scope"].split(",")
    assert post(s, "{ shop { name } }", token=granted["access_token"]).status == 200
    s.clock.advance(86_400)
    assert post(s, "{ shop { name } }", token=granted["access_token"]).status == 401
    assert post(s, "{ shop { name } }").status == 200


def test_a_wrong_client_is_invalid_client_also_after_uninstall() -> None:
    s = stage()
    assert grant(s, client_secret="wrong")[1]["error"] == "invalid_client"
    assert grant(s, grant_type="password")[1]["error"] == "unsupported_grant_type"
    s.shop.uninstall()
    assert grant(s)[1]["error"] == "invalid_client"
    assert post(s, "{ shop { name } }").status == 401
    s.shop.reinstall()
    assert post(s, "{ shop { name } }").status == 200


def test_an_answer_names_the_api_version() -> None:
    assert post(stage(), "{ shop { name } }").headers["X-Shopify-API-Version"] == "2026-10"


def test_a_body_that_is_no_call_is_400() -> None:
    s = stage()
    assert answered(s.shop.post(b"{", {"X-Shopify-Access-Token": "shpat_demo"})).status == 400


def test_a_syntax_error_is_a_parse_error_without_data() -> None:
    body = stage().shop.execute("{ shop {")
    assert codes(body) == ["PARSE_ERROR"]
    assert "data" not in body


@pytest.mark.parametrize(
    ("query", "code", "message", "path"),
    [
        ("{ nope }", "undefinedField", "Field 'nope' doesn't exist on type 'QueryRoot'", ["query", "nope"]),
        (
            "query Q { shop { name(x: 1) } }",
            "argumentNotAccepted",
            "Field 'name' doesn't accept argument 'x'",
            ["query Q", "shop", "name", "x"],
        ),
        (
            "{ product { id } }",
            "missingRequiredArguments",
            "Field 'product' is missing required arguments: id",
            ["query", "product"],
        ),
        (
            "query Q($x: Int) { shop { name } }",
            "variableNotUsed",
            "Variable $x is declared by Q but not used",
            ["query Q"],
        ),
        (
            '{ product(id: "7") { id } }',
            "argumentLiteralsIncompatible",
            "Invalid global id '7'",
            ["query", "product", "id"],
        ),
    ],
)
def test_static_errors_have_codes_and_paths(query: str, code: str, message: str, path: list[str]) -> None:
    body = stage().shop.execute(query)
    assert "data" not in body
    assert "extensions" not in body
    assert [(e["extensions"]["code"], e["message"], e["path"]) for e in body["errors"]] == [
        (code, message, path)
    ]
    assert body["errors"][0]["locations"]


def test_several_static_errors_are_told_at_once() -> None:
    assert codes(stage().shop.execute("{ nope shop { other } }")) == ["undefinedField", "undefinedField"]


def test_the_directive_without_key_and_on_the_operation_is_a_static_error() -> None:
    s = stage()
    field = 'webhookSubscriptionDelete(id: "gid://shopify/WebhookSubscription/1") { userErrors { message } }'
    placed = s.shop.execute(f'mutation @idempotent(key: "k") {{ {field} }}')
    assert placed["errors"][0]["message"] == "'@idempotent' can't be applied to mutations (allowed: fields)"
    keyless = s.shop.execute(
        'mutation { webhookSubscriptionDelete(id: "gid://shopify/WebhookSubscription/1") @idempotent'
        " { userErrors { message } } }"
    )
    assert codes(keyless) == ["missingRequiredArguments"]


@pytest.mark.parametrize(
    ("value", "explanation"),
    [
        (None, "Expected value to not be null"),
        ("7", "Invalid global id '7'"),
        ("", "Invalid global id ''"),
    ],
)
def test_a_bad_variable_tells_its_problem(value: str | None, explanation: str) -> None:
    s = stage()
    error = s.error("query($id: ID!) { product(id: $id) { id } }", {"id": value})
    assert error["extensions"]["code"] == "INVALID_VARIABLE"
    assert error["extensions"]["value"] == value
    assert error["extensions"]["problems"] == [{"path": [], "explanation": explanation}]


def test_problems_inside_an_input_name_their_path() -> None:
    s = stage()
    given = {"name": "available", "reason": "correction", "changes": [{"delta": "1"}]}
    problems = s.error(ADJUST, {"input": given, "key": "k"})["extensions"]["problems"]
    assert {tuple(p["path"]) for p in problems} == {
        ("changes", 0, "delta"),
        ("changes", 0, "inventoryItemId"),
        ("changes", 0, "locationId"),
    }


@pytest.mark.parametrize(
    ("query", "points"),
    [
        (
            '{ product(id: "gid://shopify/Product/1") { variants(first: 250) { nodes { inventoryItem { id } } } } }',
            25,
        ),
        ("{ products(first: 250) { nodes { id } } }", 13),
        ("{ publications(first: 50) { nodes { id } } }", 9),
        ("{ products(first: 250) { edges { node { id } } pageInfo { hasNextPage } } }", 13),
        ("{ productsCount { count } }", 10),
        ("{ shop { name plan { publicDisplayName } } }", 2),
        (
            "{ nodes(ids: []) { ... on InventoryItem { id tracked inventoryLevels(first: 10) { pageInfo { hasNextPage }"
            ' nodes { isActive location { id } quantities(names: ["available"]) { name quantity updatedAt } } } } } }',
            15,
        ),
    ],
)
def test_requested_cost_is_what_was_recorded(query: str, points: int) -> None:
    assert cost(stage(), query)["requestedQueryCost"] == points


def test_page_sizes_in_variables_and_their_defaults_count() -> None:
    s = stage()
    query = "query($n: Int = 2) { products(first: $n) { nodes { id } } }"
    assert cost(s, query)["requestedQueryCost"] == 3
    assert cost(s, query, {"n": 250})["requestedQueryCost"] == 13


@pytest.mark.parametrize(
    ("selection", "points"), [("id", 10), ("changes { item { id } location { id } }", 13)]
)
def test_a_mutation_costs_ten_and_what_its_payload_selects(selection: str, points: int) -> None:
    s = stage()
    given = {"name": "available", "reason": "correction", "changes": [s.row(s.a, 1, 10)]}
    query = (
        'mutation($i: InventoryAdjustQuantitiesInput!) { inventoryAdjustQuantities(input: $i) @idempotent(key: "k")'
        f" {{ inventoryAdjustmentGroup {{ {selection} }} userErrors {{ code }} }} }}"
    )
    found = cost(s, query, {"i": given})
    assert (found["requestedQueryCost"], found["actualQueryCost"]) == (points, points)
    failed = cost(s, query, {"i": given})
    assert (failed["requestedQueryCost"], failed["actualQueryCost"]) == (points, 10)


def test_the_linear_rule_is_the_other_mode() -> None:
    query = '{ product(id: "gid://shopify/Product/1") { variants(first: 250) { nodes { inventoryItem { id } } } } }'
    assert cost(stage(cost="linear"), query)["requestedQueryCost"] == 503


def test_actual_cost_follows_the_rows_and_never_exceeds_the_requested() -> None:
    s = stage()
    found = cost(s, "{ products(first: 250) { nodes { id variants(first: 10) { nodes { id } } } } }")
    assert found["actualQueryCost"] < found["requestedQueryCost"]
    assert cost(s, '{ product(id: "gid://shopify/Product/1") { id } }')["actualQueryCost"] == 1
    empty = '{ products(first: 250, query: "tag:none") { nodes { id } } }'
    assert cost(s, empty)["actualQueryCost"] == 13


def test_points_are_charged_by_the_request_refunded_and_restored_by_the_clock() -> None:
    s = stage(rate=100)
    first = cost(s, "{ products(first: 250) { nodes { id } } }")
    status = first["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (2000.0, 100.0)
    assert status["currentlyAvailable"] == 2000 - first["actualQueryCost"]
    s.clock.advance(1)
    assert cost(s, "{ shop { name } }")["throttleStatus"]["currentlyAvailable"] == 1999


def test_a_request_beyond_the_bucket_is_throttled_and_not_executed() -> None:
    s = stage(rate=1)
    s.shop.execute("{ products(first: 250) { nodes { id variants(first: 1) { nodes { id } } } } }")
    s.shop.bucket.drain()
    payload = {"name": "available", "reason": "correction", "changes": [s.row(s.a, -1, 10)]}
    body = s.shop.execute(ADJUST, {"input": payload, "key": "k"})
    assert body["errors"] == [
        {
            "message": "Throttled",
            "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
        }
    ]
    assert "data" not in body
    spent = body["extensions"]["cost"]
    assert (spent["requestedQueryCost"], spent["actualQueryCost"]) == (13, None)
    assert s.level(s.a) == 10
    s.clock.advance(13)
    assert "errors" not in s.shop.execute(ADJUST, {"input": payload, "key": "k"})


def test_a_query_over_a_thousand_points_is_refused() -> None:
    inner = "variants(first: 250) { nodes { inventoryItem { inventoryLevels(first: 250) { nodes { item { id } } } } } }"
    body = stage().shop.execute(f"{{ products(first: 250) {{ nodes {{ {inner} }} }} }}")
    error = body["errors"][0]["extensions"]
    assert (error["code"], error["maxCost"]) == ("MAX_COST_EXCEEDED", 1000)
    assert error["cost"] > 1000
    assert "data" not in body


def test_the_debug_header_adds_the_cost_of_each_root_field() -> None:
    answer = post(stage(), "{ shop { name } productsCount { count } }", **{"Shopify-GraphQL-Cost-Debug": "1"})
    fields = json.loads(answer.body)["extensions"]["cost"]["fields"]
    assert fields == [
        {"path": ["shop"], "requestedTotalCost": 1},
        {"path": ["productsCount"], "requestedTotalCost": 10},
    ]


@pytest.mark.parametrize(
    ("query", "variables", "path"),
    [
        ("{{ nodes(ids: [{ids}]) {{ id }} }}", {}, ["nodes", "ids"]),
        ("query($x: [ID!]!) {{ nodes(ids: $x) {{ id }} }}", {"x": [GID] * 300}, ["nodes", "ids"]),
        ("{{ shop {{ name }} again: nodes(ids: [{ids}]) {{ id }} }}", {}, ["again", "ids"]),
    ],
)
def test_an_array_of_more_than_250_is_refused_written_out_or_in_a_variable(
    query: str, variables: dict[str, Any], path: list[str]
) -> None:
    # A/usage/limits: input arguments that accept an array have a maximum size of 250.
    ids = ", ".join([f'"{GID}"'] * 300)
    body = stage().shop.execute(query.format(ids=ids), variables)
    assert "data" not in body
    error = body["errors"][0]
    assert error["message"] == "The input array size of 300 is greater than the maximum allowed of 250."
    assert (error["path"], error["extensions"]) == (path, {"code": "MAX_INPUT_SIZE_EXCEEDED"})
    assert error["locations"][0]["line"] == 1
    assert body["extensions"]["cost"]["actualQueryCost"] is None


def test_a_document_of_several_operations_needs_the_name_of_one() -> None:
    s, text = stage(), "query A { shop { name } }\nquery B { shop { id } }"
    assert s.shop.execute(text, operation_name="A")["data"] == {"shop": {"name": "Demo Shop"}}
    places = [{"line": 1, "column": 1}, {"line": 2, "column": 1}]
    for name, message in ((None, "An operation name is required"), ("C", 'No operation named "C"')):
        error = s.shop.execute(text, operation_name=name)["errors"][0]
        assert (error["message"], error["locations"]) == (message, places)
