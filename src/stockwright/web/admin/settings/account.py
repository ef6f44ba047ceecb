"""My account: one's own password, and the browsers one is signed in with."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright import access
from stockwright.store import sessions, users
from stockwright.store.audit import audit
from stockwright.store.users import UserRow
from stockwright.web.admin.pages import go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.signing import password_errors
from stockwright.web.admin.visits import (
    actor_of,
    deps_of,
    flash,
    form_of,
    session_of_visit,
    site_of,
    visit_of,
)

HREF = "/settings/account"
SAMPLES = (HREF,)


async def show(request: Request) -> Response:
    """The page."""
    return await _page(request)


async def _page(request: Request, errors: dict[str, str] | None = None) -> Response:
    session, now = session_of_visit(request), visit_of(request).now
    async with deps_of(request).database.connection() as conn:
        open_sessions = await sessions.list_of(
            conn, session.user_id, access.alive(now, site_of(request).session_limits)
        )
    return page(
        request,
        "settings/account.html",
        title="My account",
        status=422 if errors else 200,
        open_sessions=open_sessions,
        this_session=session.session_id,
        browser_told=browser_told,
        errors=errors or {},
        shortest=access.SHORTEST_PASSWORD,
    )


# The first that an agent names is what it is: Edge and Opera also call themselves Chrome, and Chrome Safari.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "a Mac"),
    ("Linux", "Linux"),
)  # fmt: skip


def browser_told(agent: str) -> str:
    """What a browser says of itself, such as "Firefox on Windows"; as it is where we do not know it."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if browser and system else agent or "a browser without a name"


async def change_password(request: Request) -> Response:
    """Change the password, with the old one as proof; all other browsers are signed out."""
    form, passwords = form_of(request), site_of(request).own.passwords
    session, now = session_of_visit(request), visit_of(request).now
    password = str(form.get("password", ""))
    errors = password_errors(name=session.user_name, password=password, again=str(form.get("again", "")))
    user = await _user(request, session.user_id)
    if not await passwords.fits(user.password_hash, str(form.get("current", ""))):
        errors["current"] = "This is not your current password."
    if errors:
        return await _page(request, errors)
    hashed = await passwords.hash(password)
    async with deps_of(request).database.connection() as conn, conn.transaction():
        ended = await access.change_password(conn, user, hashed, at=now, keep_session=session.session_id)
        detail = {"sessions_ended": ended}
        await audit(conn, actor_of(request), "user.password", user.name, detail, at=now)
    flash(request, f"Your password is changed. {_browsers(ended)} signed out.")
    return go(HREF)


async def _user(request: Request, user_id: str) -> UserRow:
    async with deps_of(request).database.connection() as conn:
        user = await users.get(conn, user_id)
    if user is None:
        raise not_found("Your account was removed a moment ago.")
    return user


def _browsers(count: int) -> str:
    return {0: "No other browser was", 1: "One other browser was"}.get(count, f"{count} other browsers were")


async def end_session(request: Request) -> Response:
    """Sign out one of one's other browsers."""
    session_id, user_id = request.path_params["session_id"], session_of_visit(request).user_id
    async with deps_of(request).database.connection() as conn:
        ended = await sessions.remove(conn, session_id, user_id=user_id)
    flash(request, "That browser is signed out." if ended else "That browser was signed out already.")
    return go(HREF)


ROUTES = (
    get(HREF, show),
    post(HREF + "/password", change_password),
    post(HREF + "/sessions/{session_id}/end", end_session),
)
