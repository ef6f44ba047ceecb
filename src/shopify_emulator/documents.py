"""The schema slice, and documents parsed and validated once per text.

Validation errors are told in Shopify's words and codes. Execution is not done here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Node,
    OperationDefinitionNode,
    StringValueNode,
    ValidationContext,
    ValidationRule,
    build_schema,
    get_named_type,
    parse,
    specified_rules,
    validate,
)

from shopify_emulator.state import GID
from shopify_emulator.variables import Given

SCHEMA_FILE = Path(__file__).parent / "schema" / "admin_2026_10.graphql"
CACHED_DOCUMENTS = 2_000
MAX_TOKENS = 50_000

Error = dict[str, Any]

CODES = {
    "FieldsOnCorrectTypeRule": "undefinedField",
    "KnownArgumentNamesRule": "argumentNotAccepted",
    "ProvidedRequiredArgumentsRule": "missingRequiredArguments",
    "NoUnusedVariablesRule": "variableNotUsed",
    "NoUndefinedVariablesRule": "variableNotDefined",
    "VariablesInAllowedPositionRule": "variableMismatch",
    "ValuesOfCorrectTypeRule": "argumentLiteralsIncompatible",
    "GlobalIdRule": "argumentLiteralsIncompatible",
    "ScalarLeafsRule": "selectionMismatch",
    "KnownTypeNamesRule": "undefinedType",
    "KnownFragmentNamesRule": "useAndDefineFragment",
    "NoUnusedFragmentsRule": "useAndDefineFragment",
    "OverlappingFieldsCanBeMergedRule": "fieldConflict",
    "UniqueArgumentNamesRule": "argumentNotUnique",
    "UniqueVariableNamesRule": "variableNotUnique",
    "PossibleFragmentSpreadsRule": "cannotSpreadFragment",
}


class GlobalIdRule(ValidationRule):
    """A literal id has to be a global id."""

    context: ValidationContext

    def enter_string_value(self, node: StringValueNode, *_args: Any) -> None:
        kind = get_named_type(self.context.get_input_type())
        if kind is not None and kind.name == "ID" and not GID.fullmatch(node.value):
            self.report_error(GraphQLError(f"Invalid global id '{node.value}'", node))


RULES: Sequence[type[ASTValidationRule]] = (*specified_rules, GlobalIdRule)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A text that parsed: its document, or what is wrong with it."""

    document: DocumentNode | None = None
    errors: tuple[Error, ...] = ()

    @cached_property
    def arguments(self) -> tuple[Given, ...]:
        """Every argument of every field."""
        if self.document is None:
            return ()
        found = [(node, path[1:]) for node, path in _paths(self.document) if isinstance(node, FieldNode)]
        return tuple(
            Given(path=(*path, argument.name.value), field=node, value=argument.value)
            for node, path in found
            for argument in node.arguments or ()
        )

    @property
    def operations(self) -> list[OperationDefinitionNode]:
        definitions = self.document.definitions if self.document is not None else ()
        return [d for d in definitions if isinstance(d, OperationDefinitionNode)]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation to run; None when the name does not settle it."""
        if name is None:
            return self.operations[0] if len(self.operations) == 1 else None
        return next((op for op in self.operations if op.name is not None and op.name.value == name), None)


@cache
def load_schema() -> GraphQLSchema:
    """The slice as an executable schema without resolvers."""
    return build_schema(SCHEMA_FILE.read_text(encoding="utf-8"), assume_valid=True)


class Documents:
    """Prepared documents by text; the least recently used goes first."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._known: OrderedDict[str, Prepared] = OrderedDict()

    def prepare(self, text: str) -> Prepared:
        known = self._known.get(text)
        if known is not None:
            self._known.move_to_end(text)
            return known
        prepared = self._prepare(text)
        self._known[text] = prepared
        if len(self._known) > CACHED_DOCUMENTS:
            self._known.popitem(last=False)
        return prepared

    def _prepare(self, text: str) -> Prepared:
        try:
            document = parse(text, max_tokens=MAX_TOKENS)
        except GraphQLSyntaxError as error:
            return Prepared(errors=(_told(error, code="PARSE_ERROR"),))
        if not validate(self._schema, document, RULES):
            return Prepared(document=document)
        return Prepared(errors=tuple(self._explained(document)))

    def _explained(self, document: DocumentNode) -> Iterator[Error]:
        """Each rule by itself, so that an error is known to be of its rule."""
        paths = {id(node): path for node, path in _paths(document)}
        for rule in RULES:
            for error in validate(self._schema, document, (rule,)):
                yield self._shopify_error(rule.__name__, error, paths)

    def _shopify_error(self, rule: str, error: GraphQLError, paths: dict[int, list[str]]) -> Error:
        node = error.nodes[0] if error.nodes else None
        code = CODES.get(rule, rule.removesuffix("Rule"))
        message = error.message
        if rule == "KnownDirectivesRule":
            code, message = _directive_words(error)
        elif node is not None:
            message = _words(rule, node, error, paths.get(id(node), [])) or message
        told = _told(error, code=code, message=message)
        return {**told, "path": paths.get(id(node), [])}


def _told(error: GraphQLError, *, code: str, message: str | None = None) -> Error:
    locations = [{"line": at.line, "column": at.column} for at in error.locations or []]
    return {"message": message or error.message, "locations": locations, "extensions": {"code": code}}


def _directive_words(error: GraphQLError) -> tuple[str, str]:
    if "may not be used" in error.message:
        name = error.message.split("'")[1]
        place = error.message.rsplit(" ", 1)[1].rstrip(".")
        places = {"mutation": "mutations", "query": "queries"}
        return (
            "directiveCannotBeApplied",
            f"'{name}' can't be applied to {places.get(place, place)} (allowed: fields)",
        )
    name = error.message.split("'")[1]
    return "undefinedDirective", f"Directive {name} is not defined"


def _words(rule: str, node: Any, error: GraphQLError, path: list[str]) -> str | None:
    """The message in Shopify's wording, or None to keep graphql-core's."""
    match rule:
        case "FieldsOnCorrectTypeRule":
            kind = error.message.split("'")[3]
            return f"Field '{node.name.value}' doesn't exist on type '{kind}'"
        case "KnownArgumentNamesRule":
            field = path[-2] if len(path) > 1 else ""
            return f"Field '{field}' doesn't accept argument '{node.name.value}'"
        case "ProvidedRequiredArgumentsRule":
            what = "Field" if isinstance(node, FieldNode) else "Directive"
            argument = error.message.split("(", 1)[1].split(":", 1)[0]
            return f"{what} '{node.name.value}' is missing required arguments: {argument}"
        case "NoUnusedVariablesRule":
            name = path[0].partition(" ")[2] or "anonymous " + path[0]
            return f"Variable ${node.variable.name.value} is declared by {name} but not used"
        case _:
            return None


def _paths(document: DocumentNode) -> Iterator[tuple[Node, list[str]]]:
    """(node, path) for every node, as Shopify writes paths: operation, fields, arguments."""
    for definition in document.definitions:
        name = getattr(definition, "name", None)
        kind = getattr(definition, "operation", None)
        head = kind.value if kind is not None else "fragment"
        yield from _below(definition, [f"{head} {name.value}" if name is not None else head])


def _below(node: Node, path: list[str]) -> Iterator[tuple[Node, list[str]]]:
    yield node, path
    for key in node.keys:
        value = getattr(node, key)
        for child in value if isinstance(value, tuple | list) else (value,):
            if isinstance(child, Node):
                yield from _below(child, path + _step(child))


def _step(node: Node) -> list[str]:
    if node.kind == "field":
        alias = getattr(node, "alias", None)
        return [(alias or getattr(node, "name")).value]  # noqa: B009
    if node.kind in ("argument", "object_field"):
        return [getattr(node, "name").value]  # noqa: B009
    return []
