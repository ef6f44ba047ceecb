"""The OpenAPI 3.1 description, made from the table of operations and the models of what they say.

Nothing is described here that the table or a model does not hold.
"""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stockwright.web.api.operations import AnyOperation, Nothing
from stockwright.web.api.problems import MEDIA_TYPE, TYPE_PREFIX, Kind, Problem
from stockwright.web.api.reading import BODY_LIMIT_BYTES

PREFIX = "/api/v1"
_JSON = "application/json"
_SCHEMAS = "#/components/schemas/{model}"

_ABOUT = f"""The same that the admin site and the command line do.

Every request carries a token: `Authorization: Bearer TOKEN`. Make one with `stockwright token create NAME [--write]`.
Bodies are JSON of at most {BODY_LIMIT_BYTES} bytes; unknown fields are refused. Times are ISO 8601, in UTC.
Lists come in pages: follow `next` until it is null. Errors are application/problem+json (RFC 9457)."""

Described = dict[str, Any]


def describe(operations: Sequence[AnyOperation], *, version: str) -> Described:
    """The whole description as JSON."""
    schemas, refs = _schemas(operations)
    paths: Described = {}
    for operation in operations:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _operation(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stockwright", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API token."}
            },
        },
    }


Refs = dict[type[BaseModel], Described]


def _schemas(operations: Sequence[AnyOperation]) -> tuple[Described, Refs]:
    bodies = {operation.body for operation in operations if operation.has_body}
    answers = {operation.answer for operation in operations if operation.answer} | {Problem}
    wanted = [(model, "validation") for model in bodies] + [(model, "serialization") for model in answers]
    wanted.sort(key=lambda one: one[0].__name__)
    found, defs = models_json_schema(wanted, ref_template=_SCHEMAS)  # type: ignore[arg-type]
    refs: Refs = {model: found[model, mode] for model, mode in wanted}  # type: ignore[index]
    return defs["$defs"], refs


def _operation(operation: AnyOperation, refs: Refs) -> Described:
    described: Described = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": _told(operation),
        "security": [{"bearer": []}],
        "parameters": [*_path(operation), *_query(operation), *_headers(operation)],
        "responses": {**_answer(operation, refs), **_problems(operation)},
    }
    if operation.has_body:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": refs[operation.body]}}}
    return described


def _told(operation: AnyOperation) -> str:
    needs = f"Needs a token that may {operation.scope}."
    return f"{operation.description}\n\n{needs}".strip()


# --- parameters -----------------------------------------------------------------------------------------------


def _path(operation: AnyOperation) -> list[Described]:
    schema = {"type": "string", "minLength": 1, "maxLength": 300}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in operation.names]


def _query(operation: AnyOperation) -> list[Described]:
    if operation.query is Nothing:
        return []
    fields = operation.query.model_json_schema()["properties"]
    return [_parameter(name, schema) for name, schema in fields.items()]


def _parameter(name: str, schema: Described) -> Described:
    """A field of a query model: one that may be absent is not one that may be null."""
    schema = {key: value for key, value in schema.items() if key != "title"}
    description = schema.pop("description")
    if "anyOf" in schema:
        present = [one for one in schema.pop("anyOf") if one.get("type") != "null"]
        schema.pop("default", None)
        schema |= present[0]
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _headers(operation: AnyOperation) -> list[Described]:
    headers = []
    if operation.takes_if_match:
        told = (
            "The ETag that was read: when the thing was changed since, nothing is done and the answer is 412."
        )
        headers.append(_header("If-Match", told, {"type": "string"}))
    if operation.is_repeatable:
        told = (
            "Makes it safe to send the request again: within 24 hours the same key with the same request is "
            "answered as before and does nothing."
        )
        headers.append(_header("Idempotency-Key", told, {"type": "string", "pattern": "^[!-~]{1,255}$"}))
    return headers


def _header(name: str, description: str, schema: Described) -> Described:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


# --- answers --------------------------------------------------------------------------------------------------


def _answer(operation: AnyOperation, refs: Refs) -> Described:
    described: Described = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        described["content"] = {_JSON: {"schema": refs[operation.answer]}}
    headers = {}
    if operation.has_etag:
        headers["ETag"] = _answer_header("Stands for this state; send it as If-Match with a change.")
    if operation.has_location:
        headers["Location"] = _answer_header("The address of what was made.")
    if operation.is_repeatable:
        headers["Idempotent-Replayed"] = _answer_header("true: told from memory.")
    if headers:
        described["headers"] = headers
    return {str(operation.status): described}


def _answer_header(description: str) -> Described:
    return {"description": description, "schema": {"type": "string"}}


def _problems(operation: AnyOperation) -> Described:
    by_status = groupby(operation.all_problems, key=lambda kind: kind.value.status)
    return {str(status): _problem(list(kinds)) for status, kinds in by_status}


def _problem(kinds: Sequence[Kind]) -> Described:
    content = {"schema": {"$ref": _SCHEMAS.format(model="Problem")}, "examples": dict(_examples(kinds))}
    described: Described = {
        "description": " Or: ".join(kind.value.meaning for kind in kinds),
        "content": {MEDIA_TYPE: content},
    }
    if kinds[0] in (Kind.TOO_MANY, Kind.UNAVAILABLE):
        described["headers"] = {"Retry-After": _answer_header("Seconds to wait.")}
    if kinds[0] is Kind.UNAUTHENTICATED:
        described["headers"] = {"WWW-Authenticate": _answer_header("Bearer.")}
    return described


def _examples(kinds: Iterable[Kind]) -> Iterable[tuple[str, Described]]:
    for kind in kinds:
        about = kind.value
        value = Problem(
            type=TYPE_PREFIX + about.slug,
            title=about.title,
            status=about.status,
            detail=about.meaning,
            instance=f"{PREFIX}/automations",
            errors=[],
        )
        yield about.slug, {"value": value.model_dump()}
