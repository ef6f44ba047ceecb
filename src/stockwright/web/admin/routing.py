"""Routes of the site: sign-in, forgery check, form limits, problem pages and headers around every handler."""

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stockwright.model import StockwrightError
from stockwright.store import sessions
from stockwright.store.database import Unreachable
from stockwright.web.admin.csrf import refuse_forgery
from stockwright.web.admin.forms import FORM_LIMIT_BYTES, receive_form
from stockwright.web.admin.pages import HEADERS, problem
from stockwright.web.admin.visits import Visit, arrive, bind_forms, visit_of

LOG = structlog.get_logger(__name__)

Handler = Callable[[Request], Awaitable[Response]]

_NO_DATABASE = "Nothing is lost: Shopify sends refused webhooks again. See the log of this process, then reload this page."


def get(path: str, handler: Handler) -> Route:
    """A page for signed-in people."""
    return Route(path, signed_in(handler), methods=["GET"])


def post(path: str, handler: Handler, *, limit_bytes: int = FORM_LIMIT_BYTES) -> Route:
    """Something that signed-in people do: `handler` finds its form with `form_of(request)`."""
    return Route(path, signed_in(handler, limit_bytes=limit_bytes), methods=["POST"])


def open_get(path: str, handler: Handler) -> Route:
    """A page for everybody."""
    return Route(path, _answering(handler, for_all=True), methods=["GET"])


def open_post(path: str, handler: Handler) -> Route:
    """Something that everybody may do; the form is checked all the same."""
    return Route(path, _answering(handler, for_all=True), methods=["POST"])


def signed_in(handler: Handler, *, limit_bytes: int = FORM_LIMIT_BYTES) -> Handler:
    """The handler behind everything that a request must pass; others are sent to the sign-in page."""
    return _answering(handler, limit_bytes=limit_bytes)


def problem_for_all(status: int, message: str) -> Handler:
    """A handler that answers with a problem, signed in or not."""

    async def handler(request: Request) -> Response:
        return problem(request, status, message)

    return _answering(handler, for_all=True, checks_form=False)


def _answering(
    handler: Handler,
    *,
    for_all: bool = False,
    checks_form: bool = True,
    limit_bytes: int = FORM_LIMIT_BYTES,
) -> Handler:
    async def endpoint(request: Request) -> Response:
        request_id = secrets.token_hex(6)
        try:
            visit = await arrive(request, request_id)
            _refuse_nul(request)
            if visit.session is None and not for_all:
                response = _to_sign_in(request)
            else:
                if request.method == "POST" and checks_form:
                    visit.form = await receive_form(request, limit_bytes)
                    refuse_forgery(request)
                response = await handler(request)
            await _keep_flashes(visit)
        except Exception as error:  # noqa: BLE001 - it becomes a page, and what we did not expect is logged
            response = _apology(request, request_id, error)
        await visit_of(request).form.close()  # files that were sent
        return _finished(request, response)

    return endpoint


def _refuse_nul(request: Request) -> None:
    """No text of ours holds a NUL, and the database takes none."""
    if "\0" in request.scope["path"] or "%00" in request.url.query:
        raise HTTPException(400, "The address holds a NUL character (%00). Type it anew, or start from Home.")


def _to_sign_in(request: Request) -> Response:
    path = request.url.path
    if request.method != "GET":
        return RedirectResponse("/sign-in", status_code=303)
    wanted = f"{path}?{request.url.query}" if request.url.query else path
    target = "/sign-in" if wanted == "/" else f"/sign-in?next={quote(wanted, safe='')}"
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"HX-Redirect": target})
    return RedirectResponse(target, status_code=303)


async def _keep_flashes(visit: Visit) -> None:
    """What a page has said is forgotten; what a redirect is to say is kept for the page that follows."""
    session = visit.session
    if session is None:
        return
    kept = [] if visit.said else visit.flashes
    if kept != session.flashes:
        async with visit.site.own.deps.database.connection() as conn:
            await sessions.save_flashes(conn, session.session_id, kept)


def _apology(request: Request, request_id: str, error: Exception) -> Response:
    """What went wrong as a page; only what we did not expect is logged."""
    if isinstance(error, HTTPException):
        return problem(request, error.status_code, error.detail)
    if isinstance(error, StockwrightError):
        return problem(request, 400, str(error))
    if isinstance(error, Unreachable):
        LOG.warning("the database does not answer", error=str(error), request_id=request_id)
        return problem(request, 503, _NO_DATABASE)
    LOG.error("a page failed", path=request.url.path, request_id=request_id, exc_info=error)
    return problem(
        request,
        500,
        f"It is written down in the log under the number {request_id}. Going back and trying again may help.",
    )


def _finished(request: Request, response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = visit_of(request).request_id
    bind_forms(request, response)
    return response
