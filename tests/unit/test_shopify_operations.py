"""Our operations are valid against the API, priced as documented, and never write stock blindly."""

from pathlib import Path

import pytest
from graphql import (
    FieldNode,
    GraphQLSchema,
    NoDeprecatedCustomRule,
    OperationDefinitionNode,
    build_schema,
    parse,
    validate,
)

from stockwright.shopify.budget import MAX_QUERY_COST
from stockwright.shopify.cost import requested_cost
from stockwright.shopify.operations import operation, operation_names

ROOT = Path(__file__).resolve().parents[2]
SLICE = ROOT / "src/shopify_emulator/schema/admin_2026_10.graphql"
FULL = ROOT.parent / "shared/shopify/admin_schema_2026-10.graphql"


def _schema(path: Path) -> GraphQLSchema:
    return build_schema(path.read_text(encoding="utf-8"), assume_valid=True)


@pytest.fixture(scope="module", params=[path for path in (SLICE, FULL) if path.exists()])
def schema(request: pytest.FixtureRequest) -> GraphQLSchema:
    """The slice, which is part of the full schema word for word; the full one too where it is at hand."""
    return _schema(request.param)


def test_every_operation_is_valid(schema: GraphQLSchema) -> None:
    for name in operation_names():
        errors = validate(schema, parse(operation(name).text))
        assert not errors, f"{name}: {errors}"


def test_no_operation_uses_a_deprecated_field(schema: GraphQLSchema) -> None:
    for name in operation_names():
        assert not validate(schema, parse(operation(name).text), [NoDeprecatedCustomRule]), name


def test_each_file_holds_one_named_operation() -> None:
    names = [operation(name).name for name in operation_names()]
    assert len(names) == len(set(names)) >= 15


def test_every_inventory_mutation_is_idempotent_on_the_field() -> None:
    mutations = [operation(name) for name in operation_names() if operation(name).is_mutation]
    fields = [field for mutation in mutations for field in mutation.definition.selection_set.selections]
    stock = [
        field for field in fields if isinstance(field, FieldNode) and field.name.value.startswith("inventory")
    ]
    assert [field.name.value for field in stock] == ["inventoryAdjustQuantities"]
    for field in stock:
        assert [directive.name.value for directive in field.directives or ()] == ["idempotent"]


def test_no_operation_sets_stock_in_another_way() -> None:
    for name in operation_names():
        for forbidden in (
            "productSet",
            "productVariantsBulkUpdate",
            "inventorySetQuantities",
            "inventoryActivate",
        ):
            assert forbidden not in operation(name).text


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("{ product(id: 1) { variants(first: 250) { nodes { inventoryItem { id } } } } }", 25),
        ("{ products(first: 250) { nodes { id } } }", 13),
        ("{ products(first: 250) { edges { node { id } } } }", 13),
        ("{ publications(first: 50) { nodes { id } } }", 9),
        ("{ products(first: 2) { nodes { id } } }", 3),
        ("{ products(first: 1) { nodes { id } pageInfo { hasNextPage } } }", 3),
        ("{ products(first: 0) { nodes { id } } }", 2),
        ("{ productsCount { count } shop { name } }", 11),
        (
            "mutation { inventoryAdjustQuantities { inventoryAdjustmentGroup "
            "{ changes { item { id } location { id } } } userErrors { field } } }",
            13,
        ),
        (
            "mutation { inventoryAdjustQuantities { inventoryAdjustmentGroup { id } userErrors { field } } }",
            10,
        ),
        (
            "{ nodes(ids: []) { ... on InventoryItem { id inventoryLevels(first: 10) { pageInfo { endCursor } "
            "nodes { location { id } quantities(names: []) { name } } } } ... on Product { id } } }",
            15,
        ),
    ],
)
def test_the_cost_follows_the_documented_examples(text: str, points: int) -> None:
    definition = parse(text).definitions[0]
    assert isinstance(definition, OperationDefinitionNode)
    assert requested_cost(definition, {}, {}) == points


@pytest.mark.parametrize(
    ("name", "variables", "points"),
    [
        ("adjust_quantities", {}, 10),
        ("read_items", {"levels": 10}, 15),
        ("read_product", {"variants": 10, "levels": 10}, 26),
        ("read_product", {"variants": 250, "levels": 250}, 61),
        ("read_new_product", {"variants": 50, "levels": 10}, 115),
        ("read_shown_product", {"variants": 50, "levels": 10}, 161),
        ("read_shown_product", {"variants": 250, "levels": 250}, 480),
        ("scan_products", {"products": 50, "variants": 20, "levels": 10, "total": False}, 583),
        ("scan_products", {"products": 50, "variants": 20, "levels": 10, "total": True}, 593),
        ("orders_since", {"orders": 10, "lines": 50, "placed": True}, 346),
    ],
)
def test_what_our_operations_cost_at_their_usual_sizes(name: str, variables: dict, points: int) -> None:
    assert operation(name).cost(variables) == points <= MAX_QUERY_COST
