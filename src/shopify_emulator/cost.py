"""Query cost: requested, from the document and its variables; actual, from the answer.

The logarithmic rule is the one that fits recorded answers; the linear one is the switch's other mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor, log
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

FREE = frozenset({"PageInfo", "MoneyV2", "MoneyBag", "InventoryItemMeasurement", "LocationAddress"})
FREE_FIELDS = frozenset({"userErrors", "pageInfo"})
MUTATION_COST = 10
COUNT_COST = 10
MAX_COST = 1000


def log_size(n: int) -> int:
    """f(n) of the logarithmic rule: 2:1 3:2 5:3 10:4 20:5 50:7 100:9 250:11."""
    return 0 if n <= 0 else 1 if n == 1 else floor(2 * log(n))


def linear_size(n: int) -> int:
    return max(n, 0)


@dataclass(frozen=True, kw_only=True)
class Costing:
    """The cost of one operation with one set of variables."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: Mapping[str, Any]
    size: Callable[[int], int] = log_size

    def requested(self) -> int:
        return sum(cost for _, cost in self.by_root_field())

    def by_root_field(self) -> list[tuple[str, int]]:
        """(response name, cost) of each root field."""
        root = self._root()
        if self.operation.operation is OperationType.MUTATION:
            return [
                (_key(node), self._mutation(root, node))
                for node in self._fields(self.operation.selection_set)
            ]
        return [
            (_key(node), self._root_field(root, node)) for node in self._fields(self.operation.selection_set)
        ]

    def actual(self, data: Mapping[str, Any] | None) -> int:
        """What the answer really cost; never more than was requested."""
        if data is None:
            return 0
        root, total = self._root(), 0
        for node in self._fields(self.operation.selection_set):
            value = data.get(_key(node))
            if self.operation.operation is OperationType.MUTATION:
                total += self._mutation_actual(root, node, value)
            elif self._is_count(node):
                total += COUNT_COST
            else:
                total += self._actual(root, node, value)
        return min(total, self.requested())

    def _root(self) -> GraphQLObjectType:
        root = self.schema.get_root_type(self.operation.operation)
        assert root is not None
        return root

    def _is_count(self, node: FieldNode) -> bool:
        return node.name.value.endswith("Count")

    def _root_field(self, root: GraphQLCompositeType, node: FieldNode) -> int:
        return COUNT_COST if self._is_count(node) else self._field(root, node)

    def _mutation(self, root: GraphQLCompositeType, node: FieldNode) -> int:
        """10, and the children of the payload's object and list fields, which are free themselves."""
        payload = self._composite(root, node)
        if payload is None or node.selection_set is None:
            return MUTATION_COST
        parts = (self._below(payload, part) for part in self._fields(node.selection_set))
        return MUTATION_COST + sum(parts)

    def _below(self, parent: GraphQLCompositeType, node: FieldNode) -> int:
        kind = self._composite(parent, node)
        if kind is None or node.selection_set is None or node.name.value in FREE_FIELDS:
            return 0
        return self._children(kind, node.selection_set)

    def _children(self, kind: GraphQLCompositeType, selection: SelectionSetNode) -> int:
        """Sum over the fields; of several typed fragments the dearest."""
        own, typed = 0, [0]
        for part in selection.selections:
            if isinstance(part, FieldNode):
                own += self._field(kind, part)
                continue
            inner, body = self._fragment(kind, part)
            cost = self._children(inner, body)
            if inner is kind:
                own += cost
            else:
                typed.append(cost)
        return own + max(typed)

    def _field(self, parent: GraphQLCompositeType, node: FieldNode) -> int:
        kind = self._composite(parent, node)
        if kind is None or node.selection_set is None or node.name.value in FREE_FIELDS or kind.name in FREE:
            return 0
        if kind.name.endswith("Connection"):
            return self._connection(kind, node)
        return 1 + self._children(kind, node.selection_set)

    def _connection(self, kind: GraphQLCompositeType, node: FieldNode) -> int:
        size = self.size(self.page_size(node) or 0)
        return 2 + sum(size * (1 + self._children(row, body)) for row, body in self._rows(kind, node))

    def _rows(
        self, kind: GraphQLCompositeType, node: FieldNode
    ) -> Iterator[tuple[GraphQLCompositeType, SelectionSetNode]]:
        """The row type and selection of `nodes` and of `edges { node }`, where selected."""
        assert node.selection_set is not None
        for part in self._fields(node.selection_set):
            inner = self._composite(kind, part)
            if inner is None or part.selection_set is None:
                continue
            if part.name.value == "nodes":
                yield inner, part.selection_set
            elif part.name.value == "edges":
                for leaf in self._fields(part.selection_set):
                    row = self._composite(inner, leaf)
                    if leaf.name.value == "node" and row is not None and leaf.selection_set is not None:
                        yield row, leaf.selection_set

    def page_size(self, node: FieldNode) -> int | None:
        """first or last of a connection field, literal or variable."""
        for argument in node.arguments or ():
            if argument.name.value not in ("first", "last"):
                continue
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
            if isinstance(argument.value, VariableNode):
                value = self.variables.get(argument.value.name.value)
                if isinstance(value, int):
                    return value
        return None

    def _fields(self, selection: SelectionSetNode) -> Iterator[FieldNode]:
        """The fields of a selection, fragments opened."""
        for part in selection.selections:
            if isinstance(part, FieldNode):
                yield part
            elif isinstance(part, InlineFragmentNode):
                yield from self._fields(part.selection_set)
            elif isinstance(part, FragmentSpreadNode):
                yield from self._fields(self._named_fragment(part).selection_set)

    def _fragment(
        self, kind: GraphQLCompositeType, part: Any
    ) -> tuple[GraphQLCompositeType, SelectionSetNode]:
        fragment = self._named_fragment(part) if isinstance(part, FragmentSpreadNode) else part
        condition = fragment.type_condition
        inner = self.schema.type_map.get(condition.name.value) if condition is not None else kind
        typed = inner if isinstance(inner, GraphQLObjectType | GraphQLInterfaceType) else kind
        return typed, fragment.selection_set

    def _named_fragment(self, part: FragmentSpreadNode) -> FragmentDefinitionNode:
        for definition in self.document.definitions:
            if isinstance(definition, FragmentDefinitionNode) and definition.name.value == part.name.value:
                return definition
        raise LookupError(f"fragment {part.name.value} passed validation but is not there")

    def _composite(self, parent: GraphQLCompositeType, node: FieldNode) -> GraphQLCompositeType | None:
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return None
        found = parent.fields.get(node.name.value)
        kind = get_named_type(found.type) if found is not None else None
        return kind if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) else None

    def _mutation_actual(self, root: GraphQLCompositeType, node: FieldNode, value: Any) -> int:
        payload = self._composite(root, node)
        if payload is None or node.selection_set is None or not isinstance(value, Mapping):
            return MUTATION_COST
        if value.get("userErrors"):
            return MUTATION_COST
        total = MUTATION_COST
        for part in self._fields(node.selection_set):
            inner, content = self._composite(payload, part), value.get(_key(part))
            if inner is None or part.selection_set is None or part.name.value in FREE_FIELDS:
                continue
            rows = content if isinstance(content, list) else [content]
            total += sum(self._children_actual(inner, part.selection_set, row) for row in rows[:1])
        return total

    def _children_actual(self, kind: GraphQLCompositeType, selection: SelectionSetNode, value: Any) -> int:
        if not isinstance(value, Mapping):
            return 0
        total = 0
        for part in selection.selections:
            if isinstance(part, FieldNode):
                if _key(part) in value:
                    total += self._actual(kind, part, value[_key(part)])
                continue
            inner, body = self._fragment(kind, part)
            total += self._children_actual(inner, body, value)
        return total

    def _actual(self, parent: GraphQLCompositeType, node: FieldNode, value: Any) -> int:
        kind = self._composite(parent, node)
        if kind is None or node.selection_set is None or node.name.value in FREE_FIELDS or kind.name in FREE:
            return 0
        if kind.name.endswith("Connection"):
            return self._connection_actual(kind, node, value)
        if isinstance(value, list):
            return 1 + max((self._children_actual(kind, node.selection_set, row) for row in value), default=0)
        return 1 + self._children_actual(kind, node.selection_set, value)

    def _connection_actual(self, kind: GraphQLCompositeType, node: FieldNode, value: Any) -> int:
        """2 + f(first) / first for each row's worth; an empty page still costs its `nodes`."""
        asked = self.page_size(node) or 0
        if not isinstance(value, Mapping) or not asked:
            return 1 if value is None else 2
        total, empty = 0, 2
        for row, body in self._rows(kind, node):
            found = _rows_of(value, self._fields(node.selection_set) if node.selection_set else iter(()))
            total += sum(1 + self._children_actual(row, body, each) for each in found)
            empty = 2 + self.size(asked) if "nodes" in value else 2
        return 2 + ceil(self.size(asked) / asked * total) if total else empty


def _rows_of(value: Mapping[str, Any], fields: Iterator[FieldNode]) -> list[Any]:
    for node in fields:
        content = value.get(_key(node))
        if node.name.value == "nodes" and content:
            return list(content)
        if node.name.value == "edges" and content:
            return [edge.get("node") for edge in content]
    return []


def _key(node: FieldNode) -> str:
    return node.alias.value if node.alias is not None else node.name.value
