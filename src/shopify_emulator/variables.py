"""Checks variables as Shopify does and tells each problem: INVALID_VARIABLE with value and path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    is_input_type,
    print_ast,
    type_from_ast,
)

from shopify_emulator.state import GID

MAX_INPUT_SIZE = 250
INT_BOUND = 2**31
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    path: Path
    explanation: str


@dataclass(frozen=True, kw_only=True)
class Given:
    """An argument of a field, as the document has it."""

    path: Path  # of the field, and the argument's name
    field: FieldNode
    value: ValueNode


@dataclass(frozen=True, kw_only=True)
class Oversized:
    """An array with more rows than one call may hold."""

    path: Path
    size: int
    field: FieldNode

    def error(self) -> dict[str, Any]:
        """What is said of it, in the shape of the API."""
        return {
            "message": f"The input array size of {self.size} is greater than the maximum allowed of {MAX_INPUT_SIZE}.",
            "locations": locations_of(self.field),
            "path": list(self.path),
            "extensions": {"code": "MAX_INPUT_SIZE_EXCEEDED"},
        }


def locations_of(*nodes: Node) -> list[dict[str, int]]:
    """Where nodes begin in their text."""
    starts = [node.loc.start_token for node in nodes if node.loc is not None]
    return [{"line": token.line, "column": token.column} for token in starts]


def variable_errors(
    schema: GraphQLSchema, operation: OperationDefinitionNode, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One error per bad variable, in the shape of the API."""
    errors = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        kind = type_from_ast(schema, definition.type)
        value = values.get(name, Undefined)
        if kind is None or not is_input_type(kind) or (value is Undefined and definition.default_value):
            continue
        problems = list(_problems(kind, value, ()))
        if problems:
            errors.append(_error(definition, None if value is Undefined else value, problems))
    return errors


def _error(definition: VariableDefinitionNode, value: Any, problems: Sequence[Problem]) -> dict[str, Any]:
    reasons = ", ".join(
        f"{'.'.join(map(str, p.path))} ({p.explanation})" if p.path else p.explanation for p in problems
    )
    return {
        "message": f"Variable ${definition.variable.name.value} of type {print_ast(definition.type)} "
        f"was provided invalid value{' for' if problems[0].path else ''} {reasons}",
        "locations": locations_of(definition),
        "extensions": {
            "code": "INVALID_VARIABLE",
            "value": value,
            "problems": [{"path": list(p.path), "explanation": p.explanation} for p in problems],
        },
    }


def _problems(kind: GraphQLInputType, value: Any, path: Path) -> Iterator[Problem]:
    if isinstance(kind, GraphQLNonNull):
        if value is None or value is Undefined:
            yield Problem(path, "Expected value to not be null")
        else:
            yield from _problems(kind.of_type, value, path)
    elif value is None or value is Undefined:
        return
    elif isinstance(kind, GraphQLList):
        rows = value if isinstance(value, list) else [value]
        for index, row in enumerate(rows):
            yield from _problems(kind.of_type, row, (*path, index))
    elif isinstance(kind, GraphQLInputObjectType):
        yield from _object_problems(kind, value, path)
    elif isinstance(kind, GraphQLEnumType):
        if value not in kind.values:
            yield Problem(path, f'Expected "{value}" to be one of: {", ".join(kind.values)}')
    else:
        yield from _scalar_problems(kind.name, value, path)


def _object_problems(kind: GraphQLInputObjectType, value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem(path, f"Could not coerce value {value!r} to {kind.name}")
        return
    for name in value:
        if name not in kind.fields:
            yield Problem((*path, name), f"Field is not defined on {kind.name}")
    for name, field in kind.fields.items():
        if name in value or field.default_value is Undefined:
            yield from _problems(field.type, value.get(name, Undefined), (*path, name))


def _scalar_problems(name: str, value: Any, path: Path) -> Iterator[Problem]:
    match name:
        case "ID" if not (isinstance(value, str) and GID.fullmatch(value)):
            yield Problem(path, f"Invalid global id '{value}'")
        case "Int" if not _is_int(value):
            yield Problem(path, f"Could not coerce value {value!r} to Int")
        case "Boolean" if not isinstance(value, bool):
            yield Problem(path, f"Could not coerce value {value!r} to Boolean")
        case "String" | "URL" | "Money" if not isinstance(value, str):
            yield Problem(path, f"Could not coerce value {value!r} to {name}")
        case "DateTime":
            try:
                read_time(value)
            except ValueError as error:
                yield Problem(path, str(error))
        case _:
            return


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -INT_BOUND <= value < INT_BOUND


def read_time(value: Any) -> datetime:
    """The moment that a DateTime says; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"invalid DateTime '{value}'") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def oversized(arguments: Iterable[Given], values: Mapping[str, Any]) -> Oversized | None:
    """The first array with more than 250 rows among arguments, written out or in a variable."""
    for given in arguments:
        for path, size in _arrays(given.value, values, given.path):
            if size > MAX_INPUT_SIZE:
                return Oversized(path=path, size=size, field=given.field)
    return None


def _arrays(value: Any, values: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, int]]:
    """(path, rows) of every array in a literal or a value."""
    match value:
        case VariableNode():
            yield from _arrays(values.get(value.name.value), values, path)
        case ListValueNode(values=rows) | list(rows):
            yield path, len(rows)
            for index, row in enumerate(rows):
                yield from _arrays(row, values, (*path, index))
        case ObjectValueNode():
            for field in value.fields:
                yield from _arrays(field.value, values, (*path, field.name.value))
        case Mapping():
            for name, inner in value.items():
                yield from _arrays(inner, values, (*path, name))
        case _:
            return
