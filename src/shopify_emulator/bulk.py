"""Bulk operations: which queries they take, their life on the clock, and the JSONL they leave.

The inner query is run by an injected `run`, with the shop's own executor and without page sizes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
)

from shopify_emulator.clock import Agenda
from shopify_emulator.documents import Documents, Prepared
from shopify_emulator.faults import Fault
from shopify_emulator.model import Gid
from shopify_emulator.state import State
from shopify_emulator.stock import UserError

MAX_CONNECTIONS = 5
MAX_AT_ONCE = 5
MAX_BYTES = 65_535
RESULT_LIFE_S = 7 * 86_400.0
ENDED = ("COMPLETED", "CANCELED", "FAILED", "EXPIRED")

Run = Callable[[str], Mapping[str, Any] | None]


@dataclass(eq=False, kw_only=True)
class BulkOperation:
    gid: Gid
    number: int
    query: str
    created_at: datetime
    token: str  # part of the address of the result, so that it cannot be guessed
    status: str = "CREATED"
    error_code: str | None = None
    completed_at: datetime | None = None
    lines: list[str] = field(default_factory=list)
    root_count: int = 0
    partial: bool = False

    @property
    def body(self) -> bytes:
        return "".join(f"{line}\n" for line in self.lines).encode()


@dataclass(kw_only=True)
class BulkOperations:
    state: State
    schema: GraphQLSchema
    documents: Documents
    agenda: Agenda
    run: Run
    start_s: float = 1.0
    duration_s: float = 2.0
    by_gid: dict[Gid, BulkOperation] = field(default_factory=dict)

    def start(self, query: str, fault: Fault | None) -> tuple[BulkOperation | None, tuple[UserError, ...]]:
        errors = tuple(self._errors(query))
        if errors:
            return None, errors
        gid, number = self.state.new_gid("BulkOperation")
        now = self.state.clock.now()
        operation = BulkOperation(
            gid=gid, number=number, query=query, created_at=now, token=self.state.new_uuid()
        )
        self.by_gid[gid] = self.state.nodes[gid] = operation
        self.agenda.later(self.start_s, lambda: self._running(operation))
        self.agenda.later(self.start_s + self.duration_s, lambda: self._finish(operation, fault))
        return operation, ()

    def cancel(self, gid: Gid) -> tuple[BulkOperation | None, tuple[UserError, ...]]:
        operation = self.by_gid.get(gid)
        if operation is None:
            return None, (UserError(field=("id",), message="Bulk operation does not exist"),)
        if operation.status in ENDED:
            message = f"A bulk operation cannot be canceled when it is {operation.status.lower()}"
            return operation, (UserError(field=None, message=message),)
        operation.status = "CANCELING"
        return operation, ()

    def _running(self, operation: BulkOperation) -> None:
        if operation.status == "CREATED":
            operation.status = "RUNNING"

    def _finish(self, operation: BulkOperation, fault: Fault | None) -> None:
        if operation.status == "CANCELING":
            self._end(operation, "CANCELED")
        elif fault is Fault.BULK_FAILED:
            self._end(operation, "FAILED", error_code="INTERNAL_SERVER_ERROR")
        elif fault is Fault.BULK_EXPIRED:
            self._end(operation, "EXPIRED")
        else:
            self._collect(operation, cut=fault is Fault.BULK_PARTIAL)

    def _collect(self, operation: BulkOperation, *, cut: bool) -> None:
        data = self.run(operation.query)
        if data is None:
            self._end(operation, "FAILED", error_code="ACCESS_DENIED")
            return
        lines = list(_lines(data))
        operation.lines = [json.dumps(line, separators=(",", ":")) for line in lines]
        operation.root_count = sum("__parentId" not in line for line in lines)
        if cut:
            operation.lines = operation.lines[: len(lines) // 2]
            operation.partial = True
            self._end(operation, "FAILED", error_code="TIMEOUT")
        else:
            self._end(operation, "COMPLETED")

    def _end(self, operation: BulkOperation, status: str, *, error_code: str | None = None) -> None:
        operation.status, operation.error_code = status, error_code
        operation.completed_at = self.state.clock.now()
        self.state.announce("bulk_operations/finish", operation, event=self.state.new_uuid())

    def result(self, number: int, token: str) -> BulkOperation | None:
        """The operation whose result is kept under this address."""
        for operation in self.by_gid.values():
            if operation.number == number and operation.token == token and self.has_result(operation):
                return operation
        return None

    def has_result(self, operation: BulkOperation) -> bool:
        """A result exists for seven days after the end, if there were any lines."""
        if operation.completed_at is None or not operation.lines:
            return False
        return (self.state.clock.now() - operation.completed_at).total_seconds() < RESULT_LIFE_S

    def _errors(self, query: str) -> Iterator[UserError]:
        if len(query.encode()) > MAX_BYTES:
            yield _invalid("Bulk queries cannot be longer than 65,535 bytes.")
            return
        prepared = self.documents.prepare(query)
        operation = prepared.operation(None)
        if prepared.errors or operation is None or operation.operation is not OperationType.QUERY:
            reason = prepared.errors[0]["message"] if prepared.errors else "exactly one query is needed"
            yield _invalid(f"Invalid bulk query: {reason}")
            return
        yield from (_invalid(message) for message in self._rule_errors(prepared, operation))
        running = [op.gid for op in self.by_gid.values() if op.status not in ENDED]
        if len(running) >= MAX_AT_ONCE:
            message = "A bulk query operation for this app and shop is already in progress: "
            yield UserError(code="OPERATION_IN_PROGRESS", message=f"{message}{', '.join(running)}.")

    def _rule_errors(self, prepared: Prepared, operation: OperationDefinitionNode) -> Iterator[str]:
        walk = _Walk(schema=self.schema, prepared=prepared, depth_limit=int(self.state.switches.bulk_depth))
        root = self.schema.query_type
        assert root is not None
        yield from walk.faults(root, operation.selection_set, depth=0, in_list=False, has_id=True)
        if not walk.connections:
            yield "Bulk queries must contain at least one connection."
        if walk.connections > MAX_CONNECTIONS:
            yield f"Bulk queries cannot contain more than {MAX_CONNECTIONS} connections."


@dataclass(kw_only=True)
class _Walk:
    """One walk over a bulk query that counts connections and finds what is not allowed."""

    schema: GraphQLSchema
    prepared: Prepared
    depth_limit: int
    connections: int = 0

    def faults(
        self,
        parent: GraphQLObjectType | GraphQLInterfaceType,
        selection: SelectionSetNode,
        *,
        depth: int,
        in_list: bool,
        has_id: bool,
    ) -> Iterator[str]:
        for kind, node in self._fields(parent, selection):
            name = node.name.value
            found = kind.fields.get(name)
            if depth == 0 and name in ("node", "nodes") and kind is self.schema.query_type:
                yield f"Bulk queries cannot contain a top level `{name}` field."
            named = get_named_type(found.type) if found is not None else None
            if not isinstance(named, GraphQLObjectType | GraphQLInterfaceType) or node.selection_set is None:
                continue
            assert found is not None
            if named.name.endswith("Connection"):
                yield from self._connection(named, node, depth=depth + 1, in_list=in_list, has_id=has_id)
                continue
            listed = in_list or _is_list(found.type)
            yield from self.faults(named, node.selection_set, depth=depth, in_list=listed, has_id=has_id)

    def _connection(
        self,
        kind: GraphQLObjectType | GraphQLInterfaceType,
        node: FieldNode,
        *,
        depth: int,
        in_list: bool,
        has_id: bool,
    ) -> Iterator[str]:
        assert node.selection_set is not None
        self.connections += 1
        if in_list:
            yield "Bulk queries cannot contain a connection field within a list field."
        if depth > self.depth_limit + 1:
            yield f"Bulk queries cannot contain connections with a nesting depth greater than {self.depth_limit}."
        if depth > 1 and not has_id:
            yield "The parent of a connection field must select its 'id' field."
        for inner, part in self._fields(kind, node.selection_set):
            if part.name.value == "nodes":
                yield "Bulk queries must use edges and node, not nodes."
            if part.name.value == "edges" and part.selection_set is not None:
                edge = get_named_type(inner.fields["edges"].type)
                assert isinstance(edge, GraphQLObjectType)
                yield from self._edges(edge, part.selection_set, depth=depth)

    def _edges(self, edge: GraphQLObjectType, selection: SelectionSetNode, *, depth: int) -> Iterator[str]:
        for _, leaf in self._fields(edge, selection):
            row = get_named_type(edge.fields["node"].type)
            if leaf.name.value != "node" or leaf.selection_set is None:
                continue
            if not isinstance(row, GraphQLObjectType | GraphQLInterfaceType):
                continue
            fields = [part.name.value for _, part in self._fields(row, leaf.selection_set)]
            yield from self.faults(row, leaf.selection_set, depth=depth, in_list=False, has_id="id" in fields)

    def _fields(
        self, parent: GraphQLObjectType | GraphQLInterfaceType, selection: SelectionSetNode
    ) -> Iterator[tuple[GraphQLObjectType | GraphQLInterfaceType, FieldNode]]:
        for part in selection.selections:
            if isinstance(part, FieldNode):
                yield parent, part
            elif isinstance(part, InlineFragmentNode | FragmentSpreadNode):
                fragment = self._opened(part)
                named = fragment.type_condition.name.value if fragment.type_condition else parent.name
                kind = self.schema.type_map.get(named)
                if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
                    yield from self._fields(kind, fragment.selection_set)

    def _opened(self, part: InlineFragmentNode | FragmentSpreadNode) -> Any:
        if isinstance(part, InlineFragmentNode):
            return part
        assert self.prepared.document is not None
        named = [d for d in self.prepared.document.definitions if getattr(d, "name", None) is not None]
        return next(d for d in named if getattr(d, "name").value == part.name.value)  # noqa: B009


def _is_list(kind: Any) -> bool:
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    return isinstance(inner, GraphQLList)


def _invalid(message: str) -> UserError:
    return UserError(code="INVALID", field=("query",), message=message)


def _lines(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One object per node in the order of the walk; children follow their parent and name it."""
    for value in data.values():
        if isinstance(value, Mapping) and isinstance(value.get("edges"), list):
            yield from _rows(value, parent=None)
        elif isinstance(value, Mapping):
            yield from _lines(value)


def _rows(connection: Mapping[str, Any], *, parent: str | None) -> Iterator[dict[str, Any]]:
    for edge in connection["edges"]:
        flat, inner = _split(edge["node"])
        yield {**flat, "__parentId": parent} if parent is not None else flat
        for child in inner:
            yield from _rows(child, parent=flat.get("id"))


def _split(node: Mapping[str, Any]) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """A node without its connections, and those connections, also of objects inside it."""
    flat: dict[str, Any] = {}
    inner: list[Mapping[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, Mapping) and isinstance(value.get("edges"), list):
            inner.append(value)
        elif isinstance(value, Mapping):
            flat[key], deeper = _split(value)
            inner.extend(deeper)
        else:
            flat[key] = value
    return flat, inner
