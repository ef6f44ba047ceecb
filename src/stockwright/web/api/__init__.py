"""The JSON API: /api/v1 and its description at /api/openapi.json. Thin: it reads requests, asks, answers."""

import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from stockwright.web.api import automations, messages, offers, people, pools, runs, shops, subscribers
from stockwright.web.api.answering import Door
from stockwright.web.api.openapi import PREFIX, describe
from stockwright.web.api.operations import AnyOperation, ApiDeps
from stockwright.web.api.problems import ApiProblem, Kind, respond
from stockwright.web.api.reading import url_path

__all__ = ["OPERATIONS", "ApiDeps", "api_routes"]

OPERATIONS: tuple[AnyOperation, ...] = (
    *shops.OPERATIONS,
    *automations.OPERATIONS,
    *runs.OPERATIONS,
    *pools.OPERATIONS,
    *messages.OPERATIONS,
    *subscribers.OPERATIONS,
    *people.OPERATIONS,
    *offers.OPERATIONS,
)

_ROOT = "/api"


def api_routes(api: ApiDeps) -> list[Mount]:
    """What the web server mounts; everything below /api answers in JSON, wrong addresses too."""
    door = Door(api=api)
    described = describe(OPERATIONS, version=api.version)
    by_path: dict[str, dict[str, AnyOperation]] = {}
    for operation in OPERATIONS:
        path = (PREFIX + operation.path).removeprefix(_ROOT)
        by_path.setdefault(path, {})[operation.method] = operation
    app = Starlette(
        routes=[
            Route("/openapi.json", lambda _request: JSONResponse(described), name="openapi"),
            *(
                Route(path, _endpoint(door, methods), methods=list(methods))
                for path, methods in by_path.items()
            ),
        ],
        exception_handlers={HTTPException: _http_problem},
    )
    app.router.redirect_slashes = False
    below = Mount(_ROOT, app=app, name="api")
    # Line ends in a path are ours to refuse too.
    below.path_regex = re.compile(rf"{_ROOT}/(?P<path>.*)\Z", re.DOTALL)
    return [below]


def _endpoint(door: Door, operations: Mapping[str, AnyOperation]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await door.answer(operations[method], request)

    return answer


async def _http_problem(request: Request, error: Exception) -> Response:
    """What routing itself refuses: no such address, or not with this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"{request.method} is not possible here. Possible: {allowed}."
        problem = ApiProblem(kind=Kind.METHOD_NOT_ALLOWED, detail=detail, headers={"Allow": allowed})
    else:
        problem = ApiProblem(kind=Kind.NOT_FOUND, detail="There is nothing here. See /api/openapi.json.")
    return respond(problem, url_path(request))
