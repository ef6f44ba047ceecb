"""Writing inventory: every rule and error of the quantity mutations."""

from __future__ import annotations

from typing import Any

import pytest

from shopify_emulator import VariantSpec
from tests.unit.test_emulator_shop import Stage, stage

SET = """mutation($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { changes { name delta } } userErrors { code field message } } }"""
STALE = "The changeFromQuantity argument no longer matches the persisted quantity."


def only_error(payload: dict[str, Any]) -> tuple[str, list[str] | None, str]:
    assert payload["inventoryAdjustmentGroup"] is None
    assert len(payload["userErrors"]) == 1, payload
    error = payload["userErrors"][0]
    return error["code"], error["field"], error["message"]


def set_quantities(
    s: Stage, *rows: dict[str, Any], name: str = "available", key: str = "set-1"
) -> dict[str, Any]:
    given = {"name": name, "reason": "correction", "quantities": list(rows)}
    payload: dict[str, Any] = s.data(SET, {"input": given, "key": key})["inventorySetQuantities"]
    return payload


def quantity(s: Stage, amount: int, change_from: int | None = None) -> dict[str, Any]:
    row = {"inventoryItemId": s.a.item.gid, "locationId": s.toronto, "quantity": amount}
    return {**row, "changeFromQuantity": change_from}


def test_a_success_answers_an_available_and_an_on_hand_row_per_pair() -> None:
    # Observed: both rows carry the same delta, quantityAfterChange is null on both.
    s = stage()
    payload = s.adjust(s.row(s.a, -2, 10), s.row(s.b, 3, 10))
    rows = payload["inventoryAdjustmentGroup"]["changes"]
    assert payload["userErrors"] == []
    assert [(row["name"], row["delta"], row["item"]["id"]) for row in rows] == [
        ("available", -2, s.a.item.gid),
        ("on_hand", -2, s.a.item.gid),
        ("available", 3, s.b.item.gid),
        ("on_hand", 3, s.b.item.gid),
    ]
    assert {row["quantityAfterChange"] for row in rows} == {None}
    assert (s.level(s.a), s.level(s.b)) == (8, 13)


def test_a_delta_may_drive_available_below_zero() -> None:
    # Shopify does not stop an oversell by the API.
    s = stage(levels=1)
    assert s.adjust(s.row(s.a, -5, 1))["userErrors"] == []
    assert s.level(s.a) == -4


def test_all_zero_deltas_answer_no_group_and_no_error() -> None:
    s = stage()
    assert s.adjust(s.row(s.a, 0, 10)) == {"inventoryAdjustmentGroup": None, "userErrors": []}


def test_zero_rows_among_others_are_left_out() -> None:
    s = stage()
    changes = s.adjust(s.row(s.a, 0, 10), s.row(s.b, 1, 10))["inventoryAdjustmentGroup"]["changes"]
    assert {row["item"]["id"] for row in changes} == {s.b.item.gid}


@pytest.mark.parametrize(("mode", "codes"), [("noop", []), ("checked", ["CHANGE_FROM_QUANTITY_STALE"])])
def test_a_zero_delta_is_compared_only_in_one_mode(mode: str, codes: list[str]) -> None:
    s = stage(zero_delta_cas=mode)
    assert [error["code"] for error in s.adjust(s.row(s.a, 0, 99))["userErrors"]] == codes


def test_a_null_change_from_quantity_is_not_compared() -> None:
    s = stage()
    assert s.adjust(s.row(s.a, 1, None))["userErrors"] == []


@pytest.mark.parametrize(
    ("mode", "field"),
    [
        ("row_and_field", ["input", "changes", "1", "changeFromQuantity"]),
        ("row", ["input", "changes", "1"]),
        ("null", None),
    ],
)
def test_a_stale_row_is_refused_and_nothing_is_applied(mode: str, field: list[str] | None) -> None:
    s = stage(stale_field=mode)
    payload = s.adjust(s.row(s.a, -1, 10), s.row(s.b, -1, 9))
    assert only_error(payload) == ("CHANGE_FROM_QUANTITY_STALE", field, STALE)
    assert (s.level(s.a), s.level(s.b)) == (10, 10)


def test_a_stale_row_among_others_is_the_only_one_refused_in_partial_mode() -> None:
    s = stage(batch_failure="partial")
    payload = s.adjust(s.row(s.a, -1, 10), s.row(s.b, -1, 9))
    assert payload["inventoryAdjustmentGroup"] is not None
    assert [error["code"] for error in payload["userErrors"]] == ["CHANGE_FROM_QUANTITY_STALE"]
    assert (s.level(s.a), s.level(s.b)) == (9, 10)


@pytest.mark.parametrize(("mode", "reported"), [("every_row", 2), ("first_row", 1)])
def test_stale_rows_are_reported_all_or_first_only(mode: str, reported: int) -> None:
    s = stage(stale_report=mode)
    assert len(s.adjust(s.row(s.a, -1, 1), s.row(s.b, -1, 1))["userErrors"]) == reported


def test_unknown_items_and_locations_are_named_row_by_row() -> None:
    s = stage()
    missing_item = {**s.row(s.a, 1, 10), "inventoryItemId": "gid://shopify/InventoryItem/1"}
    missing_place = {**s.row(s.a, 1, 10), "locationId": "gid://shopify/Location/1"}
    errors = s.adjust(missing_item, missing_place)["userErrors"]
    assert errors == [
        {
            "code": "INVALID_INVENTORY_ITEM",
            "field": ["input", "changes", "0", "inventoryItemId"],
            "message": "The specified inventory item could not be found.",
        },
        {
            "code": "INVALID_LOCATION",
            "field": ["input", "changes", "1", "locationId"],
            "message": "The specified location could not be found.",
        },
    ]


def test_a_wrong_name_lists_the_names() -> None:
    s = stage()
    assert only_error(s.adjust(s.row(s.a, 1, 10), name="on_hand")) == (
        "INVALID_QUANTITY_NAME",
        ["input", "name"],
        "The specified quantity name is invalid. Valid values are: available, damaged, incoming, "
        "quality_control, reserved, safety_stock.",
    )


def test_a_wrong_reason_lists_the_reasons() -> None:
    s = stage()
    code, field, message = only_error(s.adjust(s.row(s.a, 1, 10), reason="because"))
    assert (code, field) == ("INVALID_REASON", ["input", "reason"])
    assert message.startswith(
        "The specified reason is invalid. Valid values are: correction, cycle_count_available,"
    )


def test_a_reference_document_has_to_be_a_uri_and_is_kept() -> None:
    s = stage()
    bad = s.adjust(s.row(s.a, 1, 10), referenceDocumentUri="nothing")
    assert only_error(bad)[0] == "INVALID_REFERENCE_DOCUMENT"
    good = s.adjust(s.row(s.a, 1, 10), referenceDocumentUri="gid://stockwright/Intent/7", key="key-2")
    assert good["inventoryAdjustmentGroup"]["referenceDocumentUri"] == "gid://stockwright/Intent/7"


@pytest.mark.parametrize(
    ("name", "uris", "code"),
    [
        ("available", ["app://doc/1"], "INVALID_AVAILABLE_DOCUMENT"),
        ("damaged", [None], "INVALID_QUANTITY_DOCUMENT"),
        ("damaged", ["gid://shopify/Order/1"], "INTERNAL_LEDGER_DOCUMENT"),
        ("damaged", ["nothing"], "INVALID_LEDGER_DOCUMENT"),
        ("damaged", ["app://doc/1", "app://doc/2"], "MAX_ONE_LEDGER_DOCUMENT"),
    ],
)
def test_ledger_documents_are_forbidden_for_available_and_required_elsewhere(
    name: str, uris: list[str | None], code: str
) -> None:
    s = stage()
    pairs = zip((s.a, s.b), uris, strict=False)
    rows = [s.row(variant, 1, None, ledgerDocumentUri=uri) for variant, uri in pairs]
    assert only_error(s.adjust(*rows, name=name))[0] == code


def test_damaged_mirrors_to_on_hand_and_incoming_does_not() -> None:
    s = stage()
    row = s.row(s.a, 2, None, ledgerDocumentUri="app://doc/1")
    damaged = s.adjust(row, name="damaged")["inventoryAdjustmentGroup"]["changes"]
    incoming = s.adjust(row, name="incoming", key="key-2")["inventoryAdjustmentGroup"]["changes"]
    assert [change["name"] for change in damaged] == ["damaged", "on_hand"]
    assert [change["name"] for change in incoming] == ["incoming"]
    assert s.shop.state.level(s.a.item.gid, s.toronto).quantity("on_hand") == 12


def test_deltas_are_bounded() -> None:
    s = stage()
    high = only_error(s.adjust(s.row(s.a, 2_000_000_001, 10)))
    low = only_error(s.adjust(s.row(s.a, -2_000_000_001, 10), key="key-2"))
    assert (high[0], low[0]) == ("INVALID_QUANTITY_TOO_HIGH", "INVALID_QUANTITY_TOO_LOW")
    assert "2,000,000,000" in high[2]


def test_the_stock_of_a_bundle_parent_cannot_be_written() -> None:
    s = stage()
    bundle = s.shop.add_product("Bundle", variants=[VariantSpec(requires_components=True)], levels=1)
    assert only_error(s.adjust(s.row(bundle.variants[0], 1, 1)))[0] == "NON_MUTABLE_INVENTORY_ITEM"


def test_more_than_250_rows_are_refused_without_data() -> None:
    s = stage()
    rows = [s.row(s.a, 1, 10)] * 251
    given = {"name": "available", "reason": "correction", "changes": rows}
    query = "mutation($i: InventoryAdjustQuantitiesInput!) { inventoryAdjustQuantities(input: $i)"
    body = s.shop.execute(f'{query} @idempotent(key: "k") {{ userErrors {{ code }} }} }}', {"i": given})
    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert body["extensions"]["cost"]["actualQueryCost"] is None


@pytest.mark.parametrize(
    ("mode", "active"), [("creates_active", True), ("creates_inactive", False), ("INVALID_LOCATION", None)]
)
def test_a_write_to_an_unstocked_location_follows_its_switch(mode: str, active: bool | None) -> None:
    # 2026-10 has no ITEM_NOT_STOCKED_AT_LOCATION any more; what a blind write does is not settled.
    s = stage(unstocked_write=mode)
    harbour = s.shop.add_location("Harbour")
    payload = s.adjust({**s.row(s.a, 4, 0), "locationId": harbour})
    level = s.a.item.levels.get(harbour)
    assert (level.active if level is not None else None) is active
    if active is None:
        assert only_error(payload)[0] == "INVALID_LOCATION"
    else:
        assert s.level(s.a, harbour) == 4


def test_without_the_directive_the_mutation_is_refused_at_run_time() -> None:
    s = stage()
    given = {"name": "available", "reason": "correction", "changes": [s.row(s.a, 1, 10)]}
    query = "mutation($i: InventoryAdjustQuantitiesInput!) { inventoryAdjustQuantities(input: $i) { userErrors { code } } }"
    body = s.shop.execute(query, {"i": given})
    assert body["data"] == {"inventoryAdjustQuantities": None}
    error = body["errors"][0]
    assert error["message"] == "The @idempotent directive is required for this mutation but was not provided."
    assert (error["extensions"]["code"], error["path"]) == ("BAD_REQUEST", ["inventoryAdjustQuantities"])


def test_an_absent_change_from_quantity_is_refused_before_the_directive_is_missed() -> None:
    s = stage()
    row = s.row(s.a, 1, 10)
    del row["changeFromQuantity"]
    given = {"name": "available", "reason": "correction", "changes": [row]}
    query = "mutation($i: InventoryAdjustQuantitiesInput!) { inventoryAdjustQuantities(input: $i) { userErrors { code } } }"
    error = s.error(query, {"i": given})
    assert error["message"] == "InventoryChangeInput must include the following argument: changeFromQuantity."
    assert error["extensions"]["code"] == "INVALID_FIELD_ARGUMENTS"


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        (
            '@idempotent(key: "k")',
            "InventoryQuantityInput must include the following argument: changeFromQuantity.",
        ),
        ("", "The @idempotent directive is required for this mutation but was not provided."),
    ],
)
def test_an_absent_change_from_quantity_of_set_is_refused_after_the_directive_is_missed(
    directive: str, message: str
) -> None:
    # Observed: adjust looks at the rows first, set at the directive.
    s = stage()
    row = quantity(s, 4)
    del row["changeFromQuantity"]
    given = {"name": "available", "reason": "correction", "quantities": [row]}
    query = "mutation($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i)"
    assert s.error(f"{query} {directive} {{ userErrors {{ code }} }} }}", {"i": given})["message"] == message
    assert s.level(s.a) == 10


def test_a_removed_compare_quantity_is_an_invalid_variable() -> None:
    s = stage()
    given = {"name": "available", "reason": "correction", "changes": [s.row(s.a, 1, 10, compareQuantity=10)]}
    query = "mutation($i: InventoryAdjustQuantitiesInput!) { inventoryAdjustQuantities(input: $i) { userErrors { code } } }"
    extensions = s.error(query, {"i": given})["extensions"]
    assert extensions["code"] == "INVALID_VARIABLE"
    assert extensions["problems"] == [
        {
            "path": ["changes", 0, "compareQuantity"],
            "explanation": "Field is not defined on InventoryChangeInput",
        }
    ]


def test_set_moves_to_the_wanted_quantity_and_compares() -> None:
    s = stage()
    changes = set_quantities(s, quantity(s, 4, 10))["inventoryAdjustmentGroup"]["changes"]
    assert [(change["name"], change["delta"]) for change in changes] == [("available", -6), ("on_hand", -6)]
    code, field, message = only_error(set_quantities(s, quantity(s, 5, 10), key="set-2"))
    assert (code, field) == ("CHANGE_FROM_QUANTITY_STALE", ["input", "quantities", "0", "changeFromQuantity"])
    assert message == "The changeFromQuantity value does not match persisted value."


def test_set_of_on_hand_moves_available_around_what_is_committed() -> None:
    s = stage()
    s.shop.sell([(s.a.gid, 3)])
    set_quantities(s, quantity(s, 20, 10), name="on_hand")
    assert s.level(s.a) == 17


@pytest.mark.parametrize(
    ("name", "amount", "code"),
    [
        ("on_hand", -1, "INVALID_QUANTITY_NEGATIVE"),
        ("available", 1_000_000_001, "INVALID_QUANTITY_TOO_HIGH"),
        ("available", -1_000_000_001, "INVALID_QUANTITY_TOO_LOW"),
    ],
)
def test_set_has_bounds_of_its_own(name: str, amount: int, code: str) -> None:
    s = stage()
    assert only_error(set_quantities(s, quantity(s, amount), name=name))[:2] == (
        code,
        ["input", "quantities", "0", "quantity"],
    )


def test_set_refuses_other_names_and_the_same_pair_twice() -> None:
    s = stage()
    assert only_error(set_quantities(s, quantity(s, 1), name="damaged")) == (
        "INVALID_NAME",
        ["input", "name"],
        "The quantity name must be either 'available' or 'on_hand'.",
    )
    errors = set_quantities(s, quantity(s, 1), quantity(s, 2), key="set-2")["userErrors"]
    assert [error["field"] for error in errors] == [
        ["input", "quantities", "0", "locationId"],
        ["input", "quantities", "1", "locationId"],
    ]
    assert {error["code"] for error in errors} == {"NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"}


def test_activate_stocks_an_item_and_deactivate_keeps_its_quantity() -> None:
    s = stage()
    harbour = s.shop.add_location("Harbour")
    made = s.data(
        "mutation($i: ID!, $l: ID!) { inventoryActivate(inventoryItemId: $i, locationId: $l, available: 6)"
        " { inventoryLevel { id isActive } userErrors { message } } }",
        {"i": s.a.item.gid, "l": harbour},
    )["inventoryActivate"]
    assert made["userErrors"] == []
    assert s.level(s.a, harbour) == 6
    gone = s.data(
        "mutation($id: ID!) { inventoryDeactivate(inventoryLevelId: $id) { userErrors { message } } }",
        {"id": made["inventoryLevel"]["id"]},
    )
    assert gone["inventoryDeactivate"]["userErrors"] == []
    assert s.level(s.a, harbour) == 6
    assert not s.shop.state.level(s.a.item.gid, harbour).active
