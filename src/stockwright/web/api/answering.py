"""Takes a request through its operation: who asks, how often, what exactly; then the answer, or a problem.

The order is the same for every operation. Holds no rule of the service and no route.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from stockwright import access
from stockwright.model import StockwrightError
from stockwright.store import api_requests
from stockwright.store.api_requests import StoredReply
from stockwright.store.database import Unreachable
from stockwright.store.tokens import TokenRow
from stockwright.web.api import reading
from stockwright.web.api.operations import AnyOperation, ApiDeps, Call, Nothing, Reply
from stockwright.web.api.problems import ApiProblem, Kind, of_error, respond

LOG = structlog.get_logger(__name__)

KEY_KEPT = timedelta(hours=24)
_JSON = "application/json"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_UNAVAILABLE = ApiProblem(
    kind=Kind.UNAVAILABLE,
    detail="The database does not answer. Send the request again later.",
    headers={"Retry-After": "2"},
)
_INTERNAL = ApiProblem(kind=Kind.INTERNAL, detail="This is a fault of the service; see its log.")


@dataclass(frozen=True, kw_only=True)
class Door:
    """Lets requests in, one operation at a time."""

    api: ApiDeps

    async def answer(self, operation: AnyOperation, request: Request) -> Response:
        """The answer of an operation; every failure is one of the problems that it documents."""
        path = reading.url_path(request)
        try:
            response = await self._answer(operation, request)
        except ApiProblem as problem:
            response = respond(problem, path)
        except StockwrightError as error:
            response = respond(of_error(error, "body" if operation.has_body else "stored"), path)
        except Unreachable as error:
            LOG.warning("the database does not answer", error=str(error))
            response = respond(_UNAVAILABLE, path)
        except Exception:
            LOG.exception("a request to the API failed", operation=operation.id)
            response = respond(_INTERNAL, path)
        response.headers.update(_HEADERS)
        return response

    async def _answer(self, operation: AnyOperation, request: Request) -> Response:
        token = await self._let_in(operation, request)
        path = reading.read_path(request)
        query = reading.read_query(operation.query, request)
        key = reading.idempotency_key(request) if operation.is_repeatable else None
        body = await reading.read_body(request) if operation.has_body else b""
        call = Call(
            api=self.api,
            token=token,
            url_path=reading.url_path(request),
            path=path,
            query=query,
            body=reading.parse_body(operation.body, body) if operation.has_body else Nothing(),
            if_match=request.headers.get("if-match") if operation.takes_if_match else None,
        )
        if key is None:
            return _response(operation, await operation.handler(call))
        return await self._once(operation, call, key, body)

    async def _let_in(self, operation: AnyOperation, request: Request) -> TokenRow:
        """Who asks, if they may.

        Raises:
            ApiProblem: unknown, not allowed, or too often.
        """
        now = self.api.deps.clock()
        given = reading.bearer_token(request)
        async with self.api.deps.database.connection() as conn:
            token = await access.bearer(conn, given, now=now)
            if token is None:
                raise reading.unauthenticated(
                    "This token is unknown or revoked. See them: stockwright token list"
                )
            wait_s = await api_requests.take(conn, token.token_id, self.api.rate, at=now)
        if wait_s:
            raise _too_many(wait_s)
        if operation.scope == "write" and token.scope != "write":
            detail = (
                "This token may only read. Make one that may write: stockwright token create NAME --write"
            )
            raise ApiProblem(kind=Kind.SCOPE_MISSING, detail=detail)
        return token

    # --- once only --------------------------------------------------------------------------------------------

    async def _once(self, operation: AnyOperation, call: Call[Any, Any], key: str, body: bytes) -> Response:
        """The answer of a request that may be sent again: done once, then told from memory for a day."""
        token_id = call.token.token_id
        request_hash = _request_hash(operation, call.url_path, body)
        now = self.api.deps.clock()
        async with self.api.deps.database.connection() as conn:
            stored = await api_requests.begin(
                conn, token_id, key, request_hash=request_hash, at=now, before=now - KEY_KEPT
            )
        if stored is not None:
            return _told_again(stored, request_hash, key)
        try:
            response = _response(operation, await operation.handler(call))
        except (ApiProblem, StockwrightError):
            await self._forget(token_id, key)
            raise
        async with self.api.deps.database.connection() as conn:
            await api_requests.keep(
                conn,
                token_id,
                key,
                status=response.status_code,
                location=response.headers.get("location", ""),
                body=bytes(response.body).decode(),
            )
        return response

    async def _forget(self, token_id: str, key: str) -> None:
        """A request that was refused did nothing: it may be made again with its key."""
        async with self.api.deps.database.connection() as conn:
            await api_requests.forget(conn, token_id, key)


def _request_hash(operation: AnyOperation, path: str, body: bytes) -> bytes:
    return hashlib.sha256(b"\n".join([operation.method.encode(), path.encode(), body])).digest()


def _told_again(stored: StoredReply, request_hash: bytes, key: str) -> Response:
    if stored.request_hash != request_hash:
        detail = f"The Idempotency-Key {key!r} was sent before with another request. Use a new one."
        raise ApiProblem(kind=Kind.KEY_REUSED, detail=detail)
    if stored.status is None:
        detail = (
            f"A request with the Idempotency-Key {key!r} was begun and its outcome is not known. If it does not end "
            "within a minute, look at what it was to make, then use a new key."
        )
        raise ApiProblem(kind=Kind.KEY_IN_USE, detail=detail)
    headers = {"Idempotent-Replayed": "true", **({"Location": stored.location} if stored.location else {})}
    return Response(stored.body, status_code=stored.status, media_type=_JSON, headers=headers)


def _response(operation: AnyOperation, reply: Reply) -> Response:
    headers = dict(reply.headers)
    if reply.content is None:
        return Response(status_code=operation.status, headers=headers)
    text = reply.content.model_dump_json(by_alias=True)
    return Response(text, status_code=operation.status, media_type=_JSON, headers=headers)


def _too_many(wait_s: float) -> ApiProblem:
    wait = math.ceil(wait_s)
    detail = f"This token asks too often. Wait {wait} s."
    return ApiProblem(kind=Kind.TOO_MANY, detail=detail, headers={"Retry-After": str(wait)})
