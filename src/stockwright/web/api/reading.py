"""Reads a request within limits: token, query, path, body. What it returns is checked; it decides nothing."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from stockwright.model import Fault, Json
from stockwright.web.api.problems import ApiProblem, Kind, invalid, invalid_fields, not_found

BODY_LIMIT_BYTES = 1_048_576
_LONGEST_KEY = 255
_LONGEST_NAME_IN_PATH = 300
_LARGEST_NUMBER = 2**63
_BEARER = {"WWW-Authenticate": 'Bearer realm="stockwright"'}
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

M = TypeVar("M", bound=BaseModel)


def _true_or_false(value: Any) -> Any:
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("must be true or false")


def _moment(value: Any) -> Any:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return value
    raise ValueError("must be a time with its zone, such as 2026-11-20T09:00:00Z")


def _whole_number(value: Any) -> Any:
    if isinstance(value, int) or re.fullmatch(r"-?\d{1,18}", str(value)):
        return int(value)
    raise ValueError("must be a whole number")


# Query parameters are texts: these accept what the documentation says, and no other spelling.
QueryBool = Annotated[bool, BeforeValidator(_true_or_false)]
QueryMoment = Annotated[AwareDatetime, BeforeValidator(_moment)]
QueryInt = Annotated[int, BeforeValidator(_whole_number)]


def url_path(request: Request) -> str:
    """The path of the request, encoded as in a URL."""
    return quote(request.scope["path"])


def bearer_token(request: Request) -> str:
    """The token of the request.

    Raises:
        ApiProblem: there is none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthenticated(
            "Send a token: Authorization: Bearer TOKEN. Make one: stockwright token create NAME"
        )
    return token.strip()


def unauthenticated(detail: str) -> ApiProblem:
    """The request carries no good token."""
    return ApiProblem(kind=Kind.UNAUTHENTICATED, detail=detail, headers=_BEARER)


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key of the request, or None.

    Raises:
        ApiProblem: it is empty, too long or not plain ASCII.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        message = f"must be 1 to {_LONGEST_KEY} visible ASCII characters"
        raise invalid("header", [Fault(path="Idempotency-Key", message=message)])
    return key


def read_path(request: Request) -> dict[str, str]:
    """The names in the path.

    Raises:
        ApiProblem: one is too long or has control characters, so nothing can be there.
    """
    for name, value in request.path_params.items():
        if len(value) > _LONGEST_NAME_IN_PATH or not value.isprintable():
            raise not_found(f"No {name} is of this form: it is too long, or has control characters.")
    return dict(request.path_params)


def read_query(model: type[M], request: Request) -> M:
    """The query as its model.

    Raises:
        ApiProblem: unknown names, a name twice, or wrong values.
    """
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise invalid("query", [Fault(path=name, message="is given twice")])
        if "\0" in value:
            raise invalid("query", [Fault(path=name, message="must not have NUL characters")])
        given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid_fields("query", error) from error


async def read_body(request: Request) -> bytes:
    """The whole JSON body.

    Raises:
        ApiProblem: it is too large or not sent as JSON.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiProblem(kind=Kind.MEDIA_TYPE, detail="Send the body as Content-Type: application/json.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_LIMIT_BYTES:
                raise _too_large()
    except ClientDisconnect as error:
        raise ApiProblem(kind=Kind.MALFORMED, detail="The body ended early.") from error
    return bytes(body)


def _too_large() -> ApiProblem:
    detail = f"The body is larger than {BODY_LIMIT_BYTES} bytes."
    return ApiProblem(kind=Kind.TOO_LARGE, detail=detail, headers={"Connection": "close"})


def parse_body(model: type[M], body: bytes) -> M:
    """The body as its model.

    Raises:
        ApiProblem: no JSON, or wrong fields.
    """
    try:
        data = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise ApiProblem(kind=Kind.MALFORMED, detail=f"The body is not JSON: {error}.") from error
    if fault := _unstorable(data, ""):
        raise invalid("body", [fault])
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid_fields("body", error) from error


def _unstorable(value: Json, path: str) -> Fault | None:
    """The first value inside that a database refuses, although JSON allows it."""
    match value:
        case str() if "\0" in value:
            return Fault(path=path, message="must not have NUL characters")
        case float() if not math.isfinite(value):
            return Fault(path=path, message="must be a finite number")
        case int() if abs(value) >= _LARGEST_NUMBER:
            return Fault(path=path, message="must be a number of at most 64 bits")
        case dict():
            names = Fault(path=path, message="must not have NUL characters in names")
            bad = any("\0" in name for name in value)
            return (
                names if bad else _first({f"{path}.{name}".lstrip("."): one for name, one in value.items()})
            )
        case list():
            return _first({f"{path}.{no}".lstrip("."): one for no, one in enumerate(value)})
        case _:
            return None


def _first(values: Mapping[str, Json]) -> Fault | None:
    return next((fault for path, one in values.items() if (fault := _unstorable(one, path))), None)
