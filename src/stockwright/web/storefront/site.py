"""What the storefront routes are made of, and how every one of them answers: limits, headers, problems."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stockwright.deps import Deps
from stockwright.fresh_products import FreshProducts
from stockwright.inbox import FindSender
from stockwright.store.database import Unreachable
from stockwright.web.clients import Networks

LOG = structlog.get_logger(__name__)

BODY_LIMIT_BYTES = 16 * 1024
ANSWER_FLOOR_S = 0.25
_READ_LIMIT_S = 5.0
_RETRY_AFTER_S = 5

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",  # the address of a contact page is a secret
}


@dataclass(frozen=True, kw_only=True)
class StorefrontDeps:
    """What the routes need; built and closed by whoever starts them."""

    deps: Deps
    products: FreshProducts
    find_sender: FindSender  # asked for every request: remembers its answers
    trusted: Networks  # proxies of our own
    floor_s: float = ANSWER_FLOOR_S  # no sign-up is answered sooner: the time tells nothing of the address
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        HTTPException: 413 too large, 408 too slow.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > BODY_LIMIT_BYTES:
        raise HTTPException(413, "The body is larger than this address accepts.")
    body = bytearray()
    try:
        async with asyncio.timeout(_READ_LIMIT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT_BYTES:
                    raise HTTPException(413, "The body is larger than this address accepts.")
    except TimeoutError:
        raise HTTPException(408, "The body did not arrive in time.") from None
    return bytes(body)


def refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer for programs: what is wrong."""
    return finished(JSONResponse({"ok": False, "message": message}, status_code=status, headers=headers))


def finished(response: Response) -> Response:
    """The answer with the headers that every one carries."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


Handler = Callable[[Request], Awaitable[Response]]


async def answered(request: Request, handler: Handler) -> Response:
    """What a handler answers; an expected failure becomes an answer, too."""
    try:
        return finished(await handler(request))
    except HTTPException as error:
        return refused(error.status_code, error.detail)
    except Unreachable as error:
        LOG.warning("the database does not answer", error=str(error))
        retry = {"Retry-After": str(_RETRY_AFTER_S)}
        return refused(503, "That did not work. Nothing was stored; try again in a moment.", retry)
