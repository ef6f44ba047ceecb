"""One request to the Admin API, from bytes to reply: token, faults, cost, throttle, execution.

Knows no web framework. What a reply looks like on the wire is written in server and transport.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
)

from shopify_emulator.cost import MAX_COST, Costing, linear_size, log_size
from shopify_emulator.deletions import delete_for_fault
from shopify_emulator.documents import Documents, Prepared
from shopify_emulator.faults import Fault, Injection, Operation
from shopify_emulator.fields.schema import type_of
from shopify_emulator.paging import RequestRefused
from shopify_emulator.request import Parts, Request
from shopify_emulator.throttle import Bucket
from shopify_emulator.tokens import Tokens
from shopify_emulator.variables import locations_of, oversized, variable_errors

API_VERSION = "2026-10"
LIMITS_URL = "https://shopify.dev/api/usage/rate-limits"
UNAUTHORIZED = {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
Body = dict[str, Any]

REFUSALS: dict[Fault, tuple[int, Body]] = {
    Fault.PAYMENT_REQUIRED: (402, {"errors": "This shop's plan does not have access to this feature"}),
    Fault.LOCKED: (423, {"errors": "This shop is locked"}),
    Fault.SECURITY_REJECTION: (430, {"errors": "Shopify Security Rejection"}),
    Fault.TOO_MANY_REQUESTS: (429, {"errors": "Exceeded 2 calls per second for api client."}),
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply that reaches the caller."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """The connection breaks. Refused: it was never made, so nothing can have been applied."""

    refused: bool = False


@dataclass(frozen=True)
class Silence:
    """Nothing ever comes back."""


Reply = Answer | Dropped | Silence


def json_answer(status: int, body: Body, headers: Mapping[str, str] | None = None) -> Answer:
    content = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Answer(status=status, body=json.dumps(body, separators=(",", ":")).encode(), headers=content)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A parsed request body."""

    text: str
    variables: Mapping[str, Any]
    operation_name: str | None


def read_call(body: bytes) -> Call | None:
    """The call of a request body, or None when it is not one."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("query"), str):
        return None
    variables = data.get("variables") or {}
    if not isinstance(variables, dict):
        return None
    return Call(text=data["query"], variables=variables, operation_name=data.get("operationName"))


@dataclass(kw_only=True)
class Api:
    parts: Parts
    schema: GraphQLSchema
    documents: Documents
    bucket: Bucket
    tokens: Tokens
    version: str = API_VERSION
    calls: Counter[str] = field(default_factory=Counter)  # by root field
    _costs: dict[tuple[object, ...], int] = field(default_factory=dict)

    def handle(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answers one POST; header names are lower case."""
        self.parts.agenda.run_due()
        call = read_call(body)
        if call is None:
            return json_answer(400, {"errors": {"query": "Required parameter missing or invalid"}})
        token = headers.get("x-shopify-access-token", "")
        if not self.tokens.accepts(token):
            return json_answer(401, UNAUTHORIZED)
        prepared = self.documents.prepare(call.text)
        operation = prepared.operation(call.operation_name)
        target = _target(operation)
        self.calls.update(target.fields)
        injection = self.parts.faults.pick(target)
        reply = self._before(injection, call, token) if injection is not None else None
        if reply is not None:
            return reply
        debug = headers.get("shopify-graphql-cost-debug") == "1"
        return self._after(injection, self.execute(call, injection=injection, debug=debug))

    def _before(self, injection: Injection, call: Call, token: str) -> Reply | None:
        """What a fault does instead of running the request; None: run it."""
        fault = injection.fault
        if fault is Fault.SLOW and "@idempotent" not in call.text:
            fault = Fault.LATE_ARRIVAL  # no key to hold
        match fault:
            case Fault.CONNECT_REFUSED | Fault.DROPPED_BEFORE:
                return Dropped(refused=fault is Fault.CONNECT_REFUSED)
            case Fault.TIMEOUT_BEFORE:
                return Silence()
            case Fault.LATE_ARRIVAL:
                self.parts.agenda.later(injection.delay_s, lambda: self._arrive_late(call, token))
                return Silence()
            case Fault.SERVER_ERROR_BEFORE:
                return server_error(injection.status)
            case Fault.THROTTLED:
                self.bucket.drain()
                return self._answer(self._throttled(self._requested(call)))
            case Fault.TOKEN_REVOKED:
                self.tokens.revoke(token)
                return json_answer(401, UNAUTHORIZED)
            case Fault.INTERNAL_ERROR:
                return self._answer(self._internal_error())
            case Fault.TOO_MANY_REQUESTS | Fault.PAYMENT_REQUIRED | Fault.LOCKED | Fault.SECURITY_REJECTION:
                return refusal(fault)
            case Fault.SUBSCRIPTION_DELETED | Fault.PRODUCT_DELETED:
                delete_for_fault(self.parts, fault, json.dumps(call.variables))
                return None
            case _:
                return None

    def _arrive_late(self, call: Call, token: str) -> None:
        """What arrives late is judged when it arrives: its token may be dead by then."""
        if self.tokens.accepts(token):
            self.execute(call)

    def _answer(self, body: Body) -> Answer:
        """What the API itself says, which names its version; refusals before it do not."""
        return json_answer(
            200, body, {"X-Shopify-API-Version": self.version, "X-Request-Id": self._request_id()}
        )

    def _after(self, injection: Injection | None, body: Body) -> Reply:
        """What a fault does to the answer of a request that has run."""
        answer = self._answer(body)
        match injection.fault if injection is not None else None:
            case Fault.DROPPED_AFTER:
                return Dropped()
            case Fault.TIMEOUT_AFTER | Fault.SLOW:
                return Silence()
            case Fault.SERVER_ERROR_AFTER if injection is not None:
                return server_error(injection.status)
            case Fault.TRUNCATED_AFTER:
                return Answer(status=200, body=answer.body[: len(answer.body) // 2], headers=answer.headers)
            case Fault.THROTTLED_AFTER:
                return self._answer(self._throttled(10))
            case _:
                return answer

    def _request_id(self) -> str:
        return f"{sum(self.calls.values()):08x}-emulator"

    def execute(self, call: Call, *, injection: Injection | None = None, debug: bool = False) -> Body:
        """Runs one call with the app's scopes; returns the JSON body."""
        prepared = self.documents.prepare(call.text)
        if prepared.errors:
            return {"errors": list(prepared.errors)}
        operation = prepared.operation(call.operation_name)
        if operation is None:
            return {"errors": [_unnamed(prepared, call.operation_name)]}
        problems = variable_errors(self.schema, operation, call.variables)
        if problems:
            return {"errors": problems}
        costing = self._costing(prepared, operation, call)
        requested = self._requested(call)
        if requested > MAX_COST:
            return _too_dear(requested)
        if not self.bucket.charge(requested):
            return self._throttled(requested)
        return self._run(prepared, call, costing, injection=injection, debug=debug)

    def _run(
        self, prepared: Prepared, call: Call, costing: Costing, *, injection: Injection | None, debug: bool
    ) -> Body:
        requested = self._requested(call)
        too_long = oversized(prepared.arguments, call.variables)
        if too_long is not None:
            return {"errors": [too_long.error()], "extensions": {"cost": self._cost(requested, None)}}
        request = Request(parts=self.parts, scopes=self.tokens.scopes, injection=injection)
        body = self._result(prepared, call, request)
        actual = min(costing.actual(body["data"]), requested)
        self.bucket.refund(requested - actual)
        cost = self._cost(requested, actual)
        if debug:
            cost["fields"] = [
                {"path": [name], "requestedTotalCost": part} for name, part in costing.by_root_field()
            ]
        searches = {"search": [s.report(path) for path, s in request.searches]} if request.searches else {}
        return {**body, "extensions": {"cost": cost, **searches}}

    def _result(self, prepared: Prepared, call: Call, request: Request) -> Body:
        """The data and errors of an execution."""
        assert prepared.document is not None
        result = execute_sync(
            self.schema,
            prepared.document,
            context_value=request,
            variable_values=dict(call.variables),
            operation_name=call.operation_name,
            type_resolver=type_of,
        )
        if not result.errors:
            return {"data": result.data}
        return _with_errors(result)

    def bulk_data(self, text: str) -> Mapping[str, Any] | None:
        """Runs the inner query of a bulk operation: all rows; None when it was refused."""
        prepared = self.documents.prepare(text)
        call = Call(text=text, variables={}, operation_name=None)
        body = self._result(prepared, call, Request(parts=self.parts, scopes=self.tokens.scopes, bulk=True))
        return body.get("data") if "errors" not in body else None

    def _costing(self, prepared: Prepared, operation: OperationDefinitionNode, call: Call) -> Costing:
        assert prepared.document is not None
        linear = self.parts.state.switches.cost == "linear"
        return Costing(
            schema=self.schema,
            document=prepared.document,
            operation=operation,
            variables={**_defaults(operation), **call.variables},
            size=linear_size if linear else log_size,
        )

    def _requested(self, call: Call) -> int:
        """Requested cost, remembered per text and page sizes."""
        sizes = tuple((k, v) for k, v in call.variables.items() if isinstance(v, int))
        key = (call.text, call.operation_name, sizes)
        if key not in self._costs:
            prepared = self.documents.prepare(call.text)
            operation = prepared.operation(call.operation_name)
            if operation is None:
                return 0
            if len(self._costs) > 10_000:
                self._costs.clear()
            self._costs[key] = self._costing(prepared, operation, call).requested()
        return self._costs[key]

    def _cost(self, requested: int, actual: int | None) -> Body:
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": self.bucket.status(),
        }

    def _throttled(self, requested: int) -> Body:
        extensions = {"code": "THROTTLED", "documentation": LIMITS_URL}
        return {
            "errors": [{"message": "Throttled", "extensions": extensions}],
            "extensions": {"cost": self._cost(requested, None)},
        }

    def _internal_error(self) -> Body:
        extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": self._request_id()}
        message = "Internal error. Looks like something went wrong on our end."
        return {"errors": [{"message": message, "extensions": extensions}], "data": None}


def server_error(status: int) -> Answer:
    body = f"<html><body><h1>{status}</h1>Something went wrong.</body></html>".encode()
    return Answer(status=status, body=body, headers={"Content-Type": "text/html"})


def refusal(fault: Fault) -> Answer:
    """The plain HTTP refusals, which are not GraphQL at all."""
    status, body = REFUSALS[fault]
    headers = {"Retry-After": "2.0"} if status == 429 else {}
    return json_answer(status, body, headers)


def _target(operation: OperationDefinitionNode | None) -> Operation:
    if operation is None:
        return Operation(fields=(), is_mutation=False)
    selections = operation.selection_set.selections
    fields = tuple(part.name.value for part in selections if isinstance(part, FieldNode))
    return Operation(fields=fields, is_mutation=operation.operation is OperationType.MUTATION)


def _unnamed(prepared: Prepared, name: str | None) -> Body:
    """What is said when it is not clear which operation of a document is to run."""
    message = "An operation name is required" if name is None else f'No operation named "{name}"'
    locations = locations_of(*prepared.operations)
    return {"message": message, "locations": locations, "extensions": {"code": "BAD_REQUEST"}}


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """Default page sizes written in the document."""
    pairs = (
        (d.variable.name.value, getattr(d.default_value, "value", None))
        for d in operation.variable_definitions or ()
    )
    return {name: int(value) for name, value in pairs if isinstance(value, str) and value.isdigit()}


def _with_errors(result: ExecutionResult) -> Body:
    errors = list(result.errors or [])
    for error in errors:
        if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
            raise error.original_error
    refused = [error for error in errors if isinstance(error.original_error or error, RequestRefused)]
    if not refused:
        return {"data": result.data, "errors": [_formatted(error) for error in errors]}
    return {"errors": [_formatted(error) for error in refused], "data": None}


def _formatted(error: GraphQLError) -> Body:
    return {"extensions": {"code": "BAD_REQUEST"}, **error.formatted}


def _too_dear(requested: int) -> Body:
    message = f"Query cost is {requested}, which exceeds the single query max cost limit ({MAX_COST})."
    extensions = {
        "code": "MAX_COST_EXCEEDED",
        "cost": requested,
        "maxCost": MAX_COST,
        "documentation": LIMITS_URL,
    }
    return {"errors": [{"message": message, "extensions": extensions}]}
