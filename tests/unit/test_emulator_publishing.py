"""Publications and publishing: states, errors, and what publishing again does."""

from __future__ import annotations

from typing import Any

import pytest

from shopify_emulator import Product, VariantSpec
from tests.unit.test_emulator_shop import Stage, stage

PUBLISH = """mutation($id: ID!, $input: [PublicationInput!]!) { publishablePublish(id: $id, input: $input) {
  publishable { ... on Product { id } } shop { name } userErrors { field message } } }"""
UNPUBLISH = PUBLISH.replace("publishablePublish", "publishableUnpublish")
STATE = """query($id: ID!, $p: ID!) { product(id: $id) { publishedOnPublication(publicationId: $p)
  live: resourcePublicationsV2(first: 9) { nodes { publication { id } isPublished publishDate } }
  all: resourcePublicationsV2(first: 9, onlyPublished: false) { nodes { publication { id } isPublished } } } }"""


def hidden(s: Stage, **options: Any) -> Product:
    return s.shop.add_product("Hidden", levels=3, published_on=(), **options)


def publish(s: Stage, product: str, *rows: dict[str, Any], query: str = PUBLISH) -> dict[str, Any]:
    data = s.data(query, {"id": product, "input": list(rows)})
    payload: dict[str, Any] = next(iter(data.values()))
    return payload


def state(s: Stage, product: str, publication: str) -> dict[str, Any]:
    found: dict[str, Any] = s.data(STATE, {"id": product, "p": publication})["product"]
    return found


def test_channels_have_names_by_catalog_app_and_channel() -> None:
    query = """{ publications(catalogType: APP, first: 50) { nodes { id supportsFuturePublishing
      channels(first: 1) { nodes { name handle } }
      catalog { title ... on AppCatalog { apps(first: 1) { nodes { title handle } } } } } } }"""
    nodes = stage().data(query)["publications"]["nodes"]
    assert [n["catalog"]["apps"]["nodes"][0]["title"] for n in nodes] == [
        "Online Store",
        "Point of Sale",
        "Shop",
    ]
    assert [n["channels"]["nodes"][0]["handle"] for n in nodes] == ["online_store", "pos", "shop"]
    assert [n["supportsFuturePublishing"] for n in nodes] == [True, False, False]


def test_a_published_product_is_published_there_and_nowhere_else() -> None:
    s = stage()
    product, online = hidden(s), s.shop.publications()[0].gid
    payload = publish(s, product.gid, {"publicationId": online})
    assert payload == {"publishable": {"id": product.gid}, "shop": {"name": "Demo Shop"}, "userErrors": []}
    found = state(s, product.gid, online)
    assert found["publishedOnPublication"] is True
    assert [row["publication"]["id"] for row in found["live"]["nodes"]] == [online]
    publish(s, product.gid, {"publicationId": online}, query=UNPUBLISH)
    assert state(s, product.gid, online)["publishedOnPublication"] is False


@pytest.mark.parametrize(
    ("status", "shown"), [("ACTIVE", True), ("UNLISTED", True), ("DRAFT", False), ("ARCHIVED", False)]
)
def test_only_active_and_unlisted_products_count_as_published(status: Any, shown: bool) -> None:
    s = stage()
    product, online = hidden(s, status=status), s.shop.publications()[0].gid
    publish(s, product.gid, {"publicationId": online})
    found = state(s, product.gid, online)
    assert found["publishedOnPublication"] is shown
    assert len(found["live"]["nodes"]) == int(shown)
    assert [row["isPublished"] for row in found["all"]["nodes"]] == [shown]


def test_a_future_date_schedules_and_only_the_online_store_can() -> None:
    s = stage()
    product, (online, pos, _shop) = hidden(s), s.shop.publications()
    publish(s, product.gid, {"publicationId": online.gid, "publishDate": "2026-11-04T00:00:00Z"})
    assert state(s, product.gid, online.gid)["publishedOnPublication"] is False
    s.clock.advance(86_400)
    assert state(s, product.gid, online.gid)["publishedOnPublication"] is True
    refused = publish(s, product.gid, {"publicationId": pos.gid, "publishDate": "2027-01-01T00:00:00Z"})
    assert refused["userErrors"][0]["field"] == ["input", "0", "publishDate"]


def test_the_errors_of_publishing_name_their_row() -> None:
    s = stage()
    product, online = hidden(s), s.shop.publications()[0].gid
    missing = publish(s, "gid://shopify/Product/1", {"publicationId": online})
    assert (missing["publishable"], missing["userErrors"]) == (
        None,
        [{"field": ["id"], "message": "Resource does not exist"}],
    )
    wrong = publish(
        s,
        product.gid,
        {"publicationId": online},
        {"publicationId": online},
        {},
        {"publicationId": "gid://shopify/Publication/1"},
        {"publicationId": s.shop.publications()[1].gid, "publishDate": "1969-12-31T00:00:00Z"},
    )
    assert wrong["publishable"] == {"id": product.gid}
    assert [(e["field"][1:], e["message"]) for e in wrong["userErrors"]] == [
        (["1", "publicationId"], "The same publication was specified more than once"),
        (["2", "publicationId"], "PublicationId cannot be empty"),
        (["3", "publicationId"], "Publication does not exist or is not publishable"),
        (["4", "publishDate"], "Publish date must be a date after the year 1969"),
    ]
    assert state(s, product.gid, online)["publishedOnPublication"] is False


def test_an_empty_publication_id_is_an_invalid_variable() -> None:
    s = stage()
    error = s.error(PUBLISH, {"id": s.product.gid, "input": [{"publicationId": ""}]})
    assert error["extensions"]["code"] == "INVALID_VARIABLE"


@pytest.mark.parametrize(("mode", "moved"), [("noop", False), ("moves_date", True)])
def test_publishing_again_moves_the_date_only_in_one_mode(mode: str, moved: bool) -> None:
    s = stage(republish=mode)
    online = s.shop.publications()[0].gid
    before = state(s, s.product.gid, online)["live"]["nodes"][0]["publishDate"]
    s.clock.advance(60)
    publish(s, s.product.gid, {"publicationId": online})
    after = state(s, s.product.gid, online)["live"]["nodes"][0]["publishDate"]
    assert (before != after) is moved


def test_a_product_that_requires_a_selling_plan_goes_to_the_online_store_only() -> None:
    s = stage()
    product = hidden(s, requires_selling_plan=True)
    online, pos, _shop = s.shop.publications()
    assert publish(s, product.gid, {"publicationId": online.gid})["userErrors"] == []
    assert publish(s, product.gid, {"publicationId": pos.gid})["userErrors"] != []


def test_variants_are_publishable_too() -> None:
    s = stage()
    online = s.shop.publications()[0].gid
    assert publish(s, s.a.gid, {"publicationId": online})["userErrors"] == []
    query = "query($v: ID!, $p: ID!) { productVariant(id: $v) { publishedOnPublication(publicationId: $p) } }"
    assert s.data(query, {"v": s.a.gid, "p": online})["productVariant"]["publishedOnPublication"] is True


def test_status_search_by_channel_finds_published_intended_and_hidden() -> None:
    s = stage()
    s.shop.add_product("Draft", variants=[VariantSpec()], status="DRAFT")
    query = "query($q: String) { products(first: 9, query: $q) { nodes { title } } }"

    def found(wanted: str) -> list[str]:
        return [n["title"] for n in s.data(query, {"q": f"published_status:{wanted}"})["products"]["nodes"]]

    assert found("online_store-published") == ["Harbour"]
    assert found("online_store-intended") == ["Harbour", "Draft"]
    assert found("online_store-hidden") == ["Draft"]


@pytest.mark.parametrize(
    "written", ["2026-11-04T00:00:00Z", "2026-11-04T00:00:00", "2026-11-03T19:00:00-05:00"]
)
def test_a_date_may_be_written_out_in_the_document(written: str) -> None:
    s = stage()
    product, online = hidden(s), s.shop.publications()[0].gid
    s.data(
        f'mutation {{ publishablePublish(id: "{product.gid}", input: [{{publicationId: "{online}", '
        f'publishDate: "{written}"}}]) {{ userErrors {{ message }} }} }}'
    )
    assert product.publications[online].isoformat() == "2026-11-04T00:00:00+00:00"


@pytest.mark.parametrize("written", ['"soon"', "5", "{year: 2026}"])
def test_a_wrong_date_in_the_document_is_a_static_error(written: str) -> None:
    s = stage()
    error = s.error(
        f'mutation {{ publishablePublish(id: "{s.product.gid}", input: [{{publicationId: "gid://shopify/Publication/1", '
        f"publishDate: {written}}}]) {{ userErrors {{ message }} }} }}"
    )
    assert error["extensions"]["code"] == "argumentLiteralsIncompatible"
    assert "invalid DateTime" in error["message"]
    assert error["path"][-2:] == ["input", "publishDate"]


def test_a_wrong_date_in_a_variable_is_an_invalid_variable() -> None:
    s = stage()
    given = {"publicationId": s.shop.publications()[0].gid, "publishDate": "soon"}
    error = s.error(PUBLISH, {"id": s.product.gid, "input": [given]})
    assert error["extensions"]["problems"] == [
        {"path": [0, "publishDate"], "explanation": "invalid DateTime 'soon'"}
    ]
