"""Which subscriptions are made, changed and dropped; foreign ones are never touched."""

import re
from pathlib import Path

import pytest

from stockwright.shopify.subscriptions import (
    Create,
    Delete,
    Update,
    WebhookSubscription,
    enum_topic,
    header_topic,
    missing_scope,
    plan_changes,
    webhook_uri,
)

OURS, FORMER = "https://we.example/webhooks/shopify", "https://before.example/webhooks/shopify"
LEVELS, PRODUCTS = "shopify/inventory_levels/update", "shopify/products/update"
ROOT = Path(__file__).resolve().parents[2]
SLICE = ROOT / "src/shopify_emulator/schema/admin_2026_10.graphql"
FULL = ROOT.parent / "shared/shopify/admin_schema_2026-10.graphql"


def sub(no: int, topic: str = LEVELS, uri: str = OURS, **more: object) -> WebhookSubscription:
    return WebhookSubscription(
        id=f"gid://shopify/WebhookSubscription/{no}", topic=enum_topic(topic), uri=uri, **more
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "enum"),
    [
        ("inventory_levels/update", "INVENTORY_LEVELS_UPDATE"),
        ("inventory_items/delete", "INVENTORY_ITEMS_DELETE"),
        ("products/update", "PRODUCTS_UPDATE"),
        ("orders/create", "ORDERS_CREATE"),
        ("refunds/create", "REFUNDS_CREATE"),
        ("variants/out_of_stock", "VARIANTS_OUT_OF_STOCK"),
        ("app/uninstalled", "APP_UNINSTALLED"),
        ("app/scopes_update", "APP_SCOPES_UPDATE"),
        ("bulk_operations/finish", "BULK_OPERATIONS_FINISH"),
        ("locations/deactivate", "LOCATIONS_DEACTIVATE"),
        ("product_publications/create", "PRODUCT_PUBLICATIONS_CREATE"),
    ],
)
def test_both_forms_of_a_topic_name_each_other(header: str, enum: str) -> None:
    assert enum_topic(header) == enum_topic(f"shopify/{header}") == enum
    assert header_topic(enum) == header


def topics(schema: Path) -> str:
    text = schema.read_text(encoding="utf-8")
    start = text.index("\nenum WebhookSubscriptionTopic {")
    return text[start : text.index("\n}\n", start)]


def test_every_topic_of_the_schema_has_a_header_that_names_it() -> None:
    enums = re.findall(r"^  ([A-Z0-9_]+)$", topics(SLICE), re.MULTILINE)
    assert len(enums) > 200
    assert [enum for enum in enums if enum_topic(header_topic(enum)) != enum] == []


@pytest.mark.parametrize("schema", [path for path in (SLICE, FULL) if path.exists()])
def test_every_topic_whose_header_the_schema_gives_is_known(schema: Path) -> None:
    """The full schema describes its topics; the slice is without descriptions."""
    described = re.findall(r'topic for `([a-z_/]+)` events.*?"""\s+([A-Z0-9_]+)', topics(schema), re.DOTALL)
    assert (len(described) > 200) is (schema == FULL)
    assert [(header, enum) for header, enum in described if header_topic(enum) != header] == []


def test_what_is_missing_is_created_and_what_fits_is_left_alone() -> None:
    assert plan_changes([LEVELS, PRODUCTS], [sub(1)], uri=OURS) == (
        Create(topic="PRODUCTS_UPDATE", uri=OURS),
    )
    assert plan_changes([LEVELS, PRODUCTS], [sub(1), sub(2, PRODUCTS)], uri=OURS) == ()


def test_subscriptions_of_others_are_never_touched() -> None:
    others = [sub(1, uri="https://other.example/hook"), sub(2, PRODUCTS, uri=OURS + "/more")]
    assert plan_changes([LEVELS], others, uri=OURS) == (Create(topic="INVENTORY_LEVELS_UPDATE", uri=OURS),)
    assert plan_changes([], others, uri=OURS) == ()


def test_what_is_not_wanted_any_more_and_what_is_doubled_is_dropped() -> None:
    changes = plan_changes([LEVELS], [sub(1), sub(2), sub(3, PRODUCTS)], uri=OURS)
    assert {(type(change), change.id) for change in changes if isinstance(change, Delete)} == {
        (Delete, sub(2).id),
        (Delete, sub(3).id),
    }
    assert len(changes) == 2


def test_a_former_address_of_ours_is_pointed_at_the_new_one() -> None:
    change = Update(id=sub(1).id, topic="INVENTORY_LEVELS_UPDATE", uri=OURS)
    assert plan_changes([LEVELS], [sub(1, uri=FORMER)], uri=OURS, former_uris=[FORMER]) == (change,)


def test_a_former_address_beside_the_right_one_is_dropped_first() -> None:
    changes = plan_changes([LEVELS, PRODUCTS], [sub(1, uri=FORMER), sub(2)], uri=OURS, former_uris=[FORMER])
    assert changes == (
        Delete(id=sub(1).id, topic="INVENTORY_LEVELS_UPDATE"),
        Create(topic="PRODUCTS_UPDATE", uri=OURS),
    )


@pytest.mark.parametrize("odd", [{"filter": "id:1"}, {"include_fields": ("id",)}, {"format": "XML"}])
def test_one_that_hides_or_reshapes_deliveries_is_replaced(odd: dict[str, object]) -> None:
    assert plan_changes([LEVELS], [sub(1, **odd)], uri=OURS) == (
        Delete(id=sub(1).id, topic="INVENTORY_LEVELS_UPDATE"),
        Create(topic="INVENTORY_LEVELS_UPDATE", uri=OURS),
    )


@pytest.mark.parametrize(
    ("topic", "granted", "words"),
    [
        (LEVELS, ["read_products"], "inventory_levels/update needs the access scope read_inventory"),
        ("shopify/inventory_items/update", ["read_orders"], "read_inventory or read_products"),
        ("shopify/orders/create", [], "read_orders"),
    ],
)
def test_a_missing_scope_is_named(topic: str, granted: list[str], words: str) -> None:
    assert words in (missing_scope(topic, granted) or "")


@pytest.mark.parametrize(
    ("topic", "granted"),
    [(LEVELS, ["read_inventory"]), (LEVELS, ["write_inventory"]), ("shopify/app/uninstalled", [])],
)
def test_a_scope_that_suffices_is_not_asked_for(topic: str, granted: list[str]) -> None:
    assert missing_scope(topic, granted) is None


def test_deliveries_go_to_one_address() -> None:
    assert webhook_uri("https://we.example/") == webhook_uri("https://we.example") == OURS
