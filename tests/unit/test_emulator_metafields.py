"""Metafields of the app installation: all or none, JSON only, safe writes by digest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_emulator_shop import Stage, stage

SET = """mutation($m: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $m) {
  metafields { namespace key value jsonValue type ownerType sizeInBytes compareDigest }
  userErrors { code elementIndex field message } } }"""
ALL = """{ currentAppInstallation { id metafields(first: 50) { nodes { namespace key value } }
  metafield(namespace: "stockwright", key: "offers_01") { value compareDigest legacyResourceId id } } }"""


def owner(s: Stage) -> str:
    found: str = s.data(ALL)["currentAppInstallation"]["id"]
    return found


def write(s: Stage, *rows: dict[str, Any]) -> dict[str, Any]:
    given = {"ownerId": owner(s), "namespace": "stockwright", "key": "offers_01", "type": "json"}
    payload: dict[str, Any] = s.data(SET, {"m": [{**given, **row} for row in rows]})["metafieldsSet"]
    return payload


def test_what_is_written_is_read_back_and_known_to_the_storefront() -> None:
    s = stage()
    done = write(s, {"value": '{"7": "*"}'}, {"key": "offers_02", "value": "{}"})
    assert done["userErrors"] == []
    assert [one["jsonValue"] for one in done["metafields"]] == [{"7": "*"}, {}]
    found = s.data(ALL)["currentAppInstallation"]
    assert found["metafield"]["value"] == '{"7":"*"}'
    assert {one["key"] for one in found["metafields"]["nodes"]} == {"offers_01", "offers_02"}
    assert s.shop.state.app_metafields["stockwright", "offers_01"] == {"7": "*"}


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ({"value": "{"}, "value", "INVALID_VALUE"),
        ({"value": "{}", "type": "single_line_text_field"}, "type", "INVALID_TYPE"),
        ({"value": "{}", "key": "a"}, "key", "INVALID"),
        ({"value": "{}", "namespace": "no dots."}, "namespace", "INVALID"),
        ({"value": "{}", "ownerId": "gid://shopify/AppInstallation/1"}, "ownerId", "INVALID"),
        ({"value": '"' + "x" * 140_000 + '"'}, "value", "TOO_LONG"),
    ],
)
def test_one_wrong_metafield_keeps_all_from_being_written(row: dict[str, Any], field: str, code: str) -> None:
    s = stage()
    done = write(s, {"value": "{}", "key": "offers_09"}, row)
    assert done["metafields"] is None
    [error] = done["userErrors"]
    assert (error["code"], error["elementIndex"], error["field"]) == (code, 1, ["metafields", "1", field])
    assert s.shop.state.app_metafields == {}


def test_a_digest_guards_against_a_write_in_between() -> None:
    s = stage()
    assert write(s, {"value": "{}", "compareDigest": None})["userErrors"] == []
    assert write(s, {"value": "[]", "compareDigest": None})["userErrors"][0]["code"] == "STALE_OBJECT"
    digest = s.data(ALL)["currentAppInstallation"]["metafield"]["compareDigest"]
    assert write(s, {"value": "[]", "compareDigest": digest})["userErrors"] == []


def test_more_than_25_are_refused_and_a_missing_namespace_is_the_apps_own() -> None:
    s = stage()
    given = {"ownerId": owner(s), "key": "offers_01", "type": "json", "value": "{}"}
    assert "errors" in s.shop.execute(SET, {"m": [given] * 26})
    done = s.data(SET, {"m": [given]})["metafieldsSet"]
    assert done["metafields"][0]["namespace"].startswith("app--")


def test_an_order_names_its_customer_and_a_guests_none() -> None:
    s = stage()
    product = s.shop.add_product("Tea", levels=5)
    order = s.shop.sell([(product.variants[0].gid, 1)])
    query = "query($id: ID!) { order(id: $id) { customer { id legacyResourceId } } }"
    assert s.data(query, {"id": order.gid})["order"]["customer"] is None
    order.customer_id = "gid://shopify/Customer/7"
    assert s.data(query, {"id": order.gid})["order"]["customer"] == {
        "id": "gid://shopify/Customer/7",
        "legacyResourceId": "7",
    }
