"""What a request can fail with: every kind of problem once, as RFC 9457 tells it. Holds no rule of the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from stockwright.model import Conflicting, Fault, FaultyFields, StockwrightError
from stockwright.shopify.errors import ShopifyError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:stockwright:problem:"


@dataclass(frozen=True, kw_only=True)
class About:
    """A kind of problem: `slug` ends its type, `meaning` is for the documentation."""

    slug: str
    status: int
    title: str
    meaning: str


def _about(slug: str, status: int, title: str, meaning: str) -> About:
    return About(slug=slug, status=status, title=title, meaning=meaning)


class Kind(Enum):
    """Every kind of problem."""

    MALFORMED = _about("malformed", 400, "Malformed request", "The body is not JSON in UTF-8.")
    UNAUTHENTICATED = _about(
        "unauthenticated", 401, "Not authenticated", "No token, or one that is unknown or revoked."
    )
    SCOPE_MISSING = _about(
        "scope-missing", 403, "Not allowed", "The token may only read, and this request changes something."
    )
    NOT_FOUND = _about("not-found", 404, "Not found", "There is nothing at this address.")
    METHOD_NOT_ALLOWED = _about(
        "method-not-allowed", 405, "Method not allowed", "The address is right, the method is not."
    )
    CONFLICT = _about(
        "conflict", 409, "Conflict", "The request does not fit the state as it is now; detail says why."
    )
    KEY_IN_USE = _about(
        "idempotency-key-in-use",
        409,
        "Idempotency key in use",
        "A request with this Idempotency-Key was begun and its outcome is not known.",
    )
    CHANGED = _about(
        "changed-meanwhile", 412, "Changed meanwhile", "If-Match names another state than the present one."
    )
    TOO_LARGE = _about("too-large", 413, "Body too large", "The body is larger than 1 MiB.")
    MEDIA_TYPE = _about(
        "unsupported-media-type", 415, "Unsupported media type", "The body is not sent as application/json."
    )
    INVALID = _about(
        "invalid", 422, "Invalid input", "Fields are missing, unknown or wrong; errors[] names each of them."
    )
    KEY_REUSED = _about(
        "idempotency-key-reused",
        422,
        "Idempotency key reused",
        "This Idempotency-Key was sent before with another request.",
    )
    TOO_MANY = _about(
        "too-many-requests", 429, "Too many requests", "The token's rate is used up; see Retry-After."
    )
    INTERNAL = _about("internal", 500, "Internal error", "A fault of this service; its log has the details.")
    SHOP = _about("shop-failed", 502, "The shop did not answer", "Shopify refused or gave no usable answer.")
    UNAVAILABLE = _about(
        "unavailable", 503, "Unavailable", "The database does not answer. Send the request again later."
    )


class FieldError(BaseModel):
    """One wrong field."""

    model_config = ConfigDict(json_schema_extra={"examples": [
        {"where": "body", "path": "options.raise_settle_s", "message": "Input should be less than or equal to 300"}
    ]})  # fmt: skip

    where: str = Field(description="body, query, path or header; stored: what was saved before fits no more.")
    path: str = Field(description="The field, dotted: options.location_names.0. Empty: the whole.")
    message: str = Field(description="What is wrong and what is possible.")


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="Names the kind of problem; see docs/api.md.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong here and what to do next.")
    instance: str = Field(description="The path of the request.")
    errors: list[FieldError] = Field(description="Each wrong field; empty for other kinds.")


class ApiProblem(Exception):
    """Ends a request with a problem."""

    def __init__(
        self,
        *,
        kind: Kind,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}


def respond(problem: ApiProblem, instance: str) -> Response:
    """The HTTP answer of a problem."""
    about = problem.kind.value
    body = Problem(
        type=TYPE_PREFIX + about.slug,
        title=about.title,
        status=about.status,
        detail=problem.detail,
        instance=instance,
        errors=list(problem.errors),
    )
    return Response(
        body.model_dump_json(), status_code=about.status, media_type=MEDIA_TYPE, headers=dict(problem.headers)
    )


def invalid(where: str, faults: Sequence[Fault]) -> ApiProblem:
    """Wrong fields of a part of the request: body, query, path or header."""
    errors = [FieldError(where=where, path=fault.path, message=fault.message) for fault in faults]
    told = "; ".join(f"{error.path or where}: {error.message}" for error in errors)
    return ApiProblem(kind=Kind.INVALID, detail=told, errors=errors)


def invalid_fields(where: str, error: ValidationError) -> ApiProblem:
    """The same, from a model that refused the fields."""
    faults = [
        Fault(path=".".join(str(part) for part in detail["loc"]), message=_worded(detail["msg"]))
        for detail in error.errors(include_url=False, include_input=False)
    ]
    return invalid(where, faults)


def _worded(message: str) -> str:
    return message.removeprefix("Value error, ")


def not_found(what: str) -> ApiProblem:
    """There is no such thing."""
    return ApiProblem(kind=Kind.NOT_FOUND, detail=what)


def of_error(error: StockwrightError, where: str) -> ApiProblem:
    """An expected failure of the service as a problem; `where` the fields stand that it may name."""
    match error:
        case FaultyFields():
            return invalid(where, error.faults)
        case Conflicting():
            return ApiProblem(kind=Kind.CONFLICT, detail=str(error))
        case ShopifyError():
            wait_s = error.retry_after_s
            headers = {"Retry-After": str(max(1, round(wait_s)))} if wait_s else {}
            return ApiProblem(kind=Kind.SHOP, detail=str(error), headers=headers)
        case StockwrightError():
            return invalid(where, [Fault(path="", message=str(error))])
        case _:
            assert_never(error)
