"""Signing in and out, and the page that makes the first user. The only pages for people who are not signed in."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright import access
from stockwright.access import TooManyAttempts, WrongPassword, hash_of
from stockwright.model import StockwrightError
from stockwright.store import sessions, users
from stockwright.store.audit import Actor, audit
from stockwright.web.admin.pages import go, local_path, not_found, page
from stockwright.web.admin.routing import open_get, open_post, post
from stockwright.web.admin.visits import (
    actor_of,
    deps_of,
    form_cookie,
    form_of,
    session_cookie,
    session_of_visit,
    set_cookie,
    site_of,
    visit_of,
    visitor_of,
)

_LONGEST_NAME = 200


async def show(request: Request) -> Response:
    """The sign-in page; who is signed in goes on."""
    wanted = local_path(request.query_params.get("next", "/"))
    if visit_of(request).session is not None:
        return go(wanted)
    async with deps_of(request).database.connection() as conn:
        anybody = await users.exist(conn)
    return _page(request, wanted, left="out" in request.query_params, anybody=anybody)


def _page(
    request: Request,
    wanted: str,
    *,
    name: str = "",
    error: str = "",
    status: int = 200,
    left: bool = False,
    anybody: bool = True,
) -> Response:
    return page(
        request,
        "sign_in.html",
        title="Sign in",
        status=status,
        wanted=wanted,
        name=name,
        error=error,
        left=left,
        anybody=anybody,
    )


async def enter(request: Request) -> Response:
    """Check name and password; a new session with a new cookie, whatever the browser sent."""
    form = form_of(request)
    name = str(form.get("name", ""))[:_LONGEST_NAME].replace("\0", "")
    wanted = local_path(str(form.get("next", "/")))
    deps, site = deps_of(request), site_of(request)
    try:
        signed = await access.sign_in(
            deps.database,
            site.own.passwords,
            visitor_of(request),
            name=name,
            password=str(form.get("password", "")),
            now=visit_of(request).now,
        )
    except TooManyAttempts as error:
        return _page(request, wanted, name=name, error=str(error), status=429)
    except WrongPassword as error:
        return _page(request, wanted, name=name, error=str(error), status=422)
    await _end_session(request)
    return _with_session(request, go(wanted), signed.token)


def _with_session(request: Request, response: Response, token: str) -> Response:
    site = site_of(request)
    set_cookie(
        response, site, session_cookie(site), token, max_age_s=int(site.session_limits.whole.total_seconds())
    )
    if form_cookie(site) in request.cookies:
        set_cookie(response, site, form_cookie(site), "", max_age_s=0)
    visit_of(request).token = request.cookies.get(form_cookie(site), "")
    return response


async def _end_session(request: Request) -> None:
    """The session that the browser had until now is worth nothing any more."""
    session = visit_of(request).session
    if session is not None:
        async with deps_of(request).database.connection() as conn:
            await sessions.remove(conn, session.session_id, user_id=session.user_id)


async def leave(request: Request) -> Response:
    """Sign out this browser."""
    await _end_session(request)
    return _signed_out(request)


async def leave_everywhere(request: Request) -> Response:
    """Sign out all browsers of this user, this one too."""
    session = session_of_visit(request)
    at = visit_of(request).now
    async with deps_of(request).database.connection() as conn, conn.transaction():
        ended = await sessions.remove_all(conn, session.user_id)
        detail = {"sessions_ended": ended}
        await audit(conn, actor_of(request), "user.sign_out_everywhere", session.user_name, detail, at=at)
    return _signed_out(request)


def _signed_out(request: Request) -> Response:
    visit = visit_of(request)
    visit.session, visit.flashes = None, []
    response = go("/sign-in?out=1")
    set_cookie(response, visit.site, session_cookie(visit.site), "", max_age_s=0)
    visit.token = request.cookies.get(form_cookie(visit.site), "")
    return response


# --- the first user ---------------------------------------------------------------------------------------


async def show_setup(request: Request) -> Response:
    """The page behind the link that the first start prints."""
    await _checked_link(request)
    return _setup_page(request)


async def _checked_link(request: Request) -> bytes:
    token_hash = hash_of(request.path_params["token"])
    async with deps_of(request).database.connection() as conn:
        good = await users.is_setup_link(conn, token_hash, now=visit_of(request).now)
    if not good:
        raise not_found(
            "This link was used or is too old. Restart the service for a new one, or run: stockwright user add NAME"
        )
    return token_hash


def _setup_page(request: Request, *, name: str = "", errors: dict[str, str] | None = None) -> Response:
    return page(
        request,
        "setup.html",
        title="Welcome to Stockwright",
        status=422 if errors else 200,
        name=name,
        errors=errors or {},
        shortest=access.SHORTEST_PASSWORD,
    )


async def set_up(request: Request) -> Response:
    """Make the first user and sign them in; the link is worth nothing afterwards."""
    token_hash = await _checked_link(request)
    form = form_of(request)
    name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
    errors = password_errors(name=name, password=password, again=str(form.get("again", "")))
    if errors:
        return _setup_page(request, name=name, errors=errors)
    site, now = site_of(request), visit_of(request).now
    hashed = await site.own.passwords.hash(password)
    async with deps_of(request).database.connection() as conn, conn.transaction():
        if not await users.use_setup_link(conn, token_hash, now=now):
            raise StockwrightError(
                "Somebody else used this link a moment ago. Sign in, or ask them for an account."
            )
        actor = Actor(user_id=None, name="first start")
        user = await access.add_user(conn, actor, name=name, password_hash=hashed, at=now)
        signed = await access.open_session(conn, user, visitor_of(request), now=now)
    return _with_session(request, go("/"), signed.token)


def password_errors(*, name: str, password: str, again: str) -> dict[str, str]:
    """What is wrong with a name and a password that was typed twice, by field."""
    found = {
        "name": access.name_problem(name),
        "password": access.password_problem(password, name=name),
        "again": "" if password == again else "The two passwords differ. Type them again.",
    }
    return {field: problem for field, problem in found.items() if problem}


ROUTES = (
    open_get("/sign-in", show),
    open_post("/sign-in", enter),
    post("/sign-out", leave),
    post("/sign-out-everywhere", leave_everywhere),
    open_get("/setup/{token}", show_setup),
    open_post("/setup/{token}", set_up),
)
