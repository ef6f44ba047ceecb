"""The schema slice: it agrees with the full schema, and every field of it is resolved."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from graphql import (
    DirectiveDefinitionNode,
    EnumTypeDefinitionNode,
    GraphQLObjectType,
    Node,
    SchemaDefinitionNode,
    build_schema,
    parse,
    print_ast,
    validate_schema,
)

from shopify_emulator.documents import SCHEMA_FILE
from shopify_emulator.fields.schema import executable_schema, resolvers_of

ROOT = Path(__file__).resolve().parents[2]
FULL = ROOT.parent / "shared" / "shopify" / "admin_schema_2026-10.graphql"
# Where the full schema is not at hand, the slice stands for it: it is its own slice, and its sum is written here.
SOURCES = [path for path in (FULL, SCHEMA_FILE) if path.is_file()]
SLICE_SHA256 = "8893e00f6c22f46c1a781e05c5ea7aaad3085154ce4a898aa148a77822284580"


def definitions(text: str) -> dict[str, Any]:
    nodes = parse(text, no_location=True).definitions
    return {getattr(n, "name").value: n for n in nodes if not isinstance(n, SchemaDefinitionNode)}  # noqa: B009


def cut_schema() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cut_schema", ROOT / "scripts" / "cut_schema.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cut_schema"] = module
    spec.loader.exec_module(module)
    return module


def printed(node: Node, cut: ModuleType) -> str:
    return print_ast(cut.bare(node))


@pytest.mark.parametrize("source", SOURCES)
def test_every_part_of_the_slice_stands_unchanged_in_the_full_schema(source: Path) -> None:
    # Types, fields, arguments, nullability, enum values, deprecations and directives.
    cut, full = cut_schema(), definitions(source.read_text(encoding="utf-8"))
    for name, node in definitions(SCHEMA_FILE.read_text(encoding="utf-8")).items():
        original = full[name]
        assert type(node) is type(original), name
        if isinstance(node, DirectiveDefinitionNode | EnumTypeDefinitionNode):
            assert printed(node, cut) == printed(original, cut)
            continue
        fields = {f.name.value: printed(f, cut) for f in getattr(original, "fields", None) or ()}
        for kept in getattr(node, "fields", None) or ():
            assert printed(kept, cut) == fields[kept.name.value], f"{name}.{kept.name.value}"
        interfaces = {i.name.value for i in getattr(original, "interfaces", None) or ()}
        assert {i.name.value for i in getattr(node, "interfaces", None) or ()} <= interfaces


@pytest.mark.parametrize("source", SOURCES)
def test_inputs_are_kept_whole_so_that_the_slice_refuses_what_the_full_schema_refuses(source: Path) -> None:
    full = definitions(source.read_text(encoding="utf-8"))
    for name, node in definitions(SCHEMA_FILE.read_text(encoding="utf-8")).items():
        if node.kind == "input_object_type_definition":
            assert len(node.fields) == len(full[name].fields), name


@pytest.mark.parametrize("source", SOURCES)
def test_cutting_again_gives_the_slice_that_is_kept(source: Path) -> None:
    cut = cut_schema()
    assert cut.cut(source.read_text(encoding="utf-8")) == SCHEMA_FILE.read_text(encoding="utf-8")


def test_the_slice_was_not_changed_by_hand() -> None:
    told = "cut it again from the full schema (make schema), then write its new sum here"
    assert sha256(SCHEMA_FILE.read_bytes()).hexdigest() == SLICE_SHA256, told


def test_the_slice_is_a_valid_schema_with_its_licence_beside_it() -> None:
    assert validate_schema(build_schema(SCHEMA_FILE.read_text(encoding="utf-8"))) == []
    licence = (SCHEMA_FILE.parent / "LICENSE.txt").read_text(encoding="utf-8")
    assert "ISC License" in licence
    assert "Shopify Inc." in licence


def test_every_field_of_the_slice_has_a_resolver() -> None:
    for kind in executable_schema().type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            missing = [name for name, field in kind.fields.items() if field.resolve is None]
            assert missing == [], kind.name


def test_a_field_without_resolver_is_found_when_the_shop_starts() -> None:
    schema = build_schema("type Query { product: Product } type Product { id: ID! colour: String }")
    product = schema.type_map["Product"]
    assert isinstance(product, GraphQLObjectType)
    with pytest.raises(LookupError, match=r"Product\.colour"):
        resolvers_of(product)


def test_a_wrong_table_is_refused_with_the_name_that_is_wrong() -> None:
    cut = cut_schema()
    text = "schema { query: QueryRoot } type QueryRoot { shop: Shop } type Shop { id: ID! }"
    with pytest.raises(cut.CutError, match="QueryRoot has no field"):
        cut.cut(text)
