"""Settings, Users: who may sign in."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright import access
from stockwright.model import StockwrightError
from stockwright.store import users
from stockwright.store.audit import audit
from stockwright.store.users import UserRow
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.signing import password_errors
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of, site_of, visit_of

HREF = "/settings/users"
TAB = Tab(title="Users", href=HREF)
SAMPLES = (HREF, HREF + "/add")
_CRUMBS: tuple[Crumb, ...] = (("Settings", "/settings"), ("Users", HREF))
_COLUMNS = ("name", "created_at", "last_sign_in_at")


async def show_all(request: Request) -> Response:
    """The list."""
    async with deps_of(request).database.connection() as conn:
        found = await users.list_all(conn)
    if wants_csv(request):
        rows = [{column: getattr(user, column) for column in _COLUMNS} for user in found]
        return csv_response("users", rows, header=_COLUMNS)
    me = actor_of(request).user_id
    return page(request, "settings/users.html", title="Users", crumbs=_CRUMBS[:1], users=found, me=me)


async def show_form(request: Request) -> Response:
    """The form for a new user."""
    return _form(request)


def _form(request: Request, *, name: str = "", errors: dict[str, str] | None = None) -> Response:
    return page(
        request,
        "settings/user_add.html",
        title="Add a user",
        crumbs=_CRUMBS,
        status=422 if errors else 200,
        name=name,
        errors=errors or {},
        shortest=access.SHORTEST_PASSWORD,
    )


async def add(request: Request) -> Response:
    """Store the user."""
    form = form_of(request)
    name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
    errors = password_errors(name=name, password=password, again=str(form.get("again", "")))
    if errors:
        return _form(request, name=name, errors=errors)
    hashed = await site_of(request).own.passwords.hash(password)
    try:
        async with deps_of(request).database.connection() as conn, conn.transaction():
            now = visit_of(request).now
            await access.add_user(conn, actor_of(request), name=name, password_hash=hashed, at=now)
    except StockwrightError as error:
        return _form(request, name=name, errors={"name": str(error)})
    flash(
        request, f"{name} can sign in now. Pass the password on safely; it can be changed under My account."
    )
    return go(HREF)


async def _user_of(request: Request) -> UserRow:
    async with deps_of(request).database.connection() as conn:
        user = await users.get(conn, request.path_params["user_id"])
    if user is None:
        raise not_found("There is no such user. They may have been removed.")
    return user


async def ask_removal(request: Request) -> Response:
    """What removal means."""
    user = await _user_of(request)
    return confirm(
        request,
        title=f"Remove {user.name}",
        question=f"Remove {user.name}?",
        consequences=(
            "They are signed out everywhere and cannot sign in again.",
            "What they did stays in the audit log.",
        ),
        action=f"{HREF}/{user.user_id}/remove",
        submit="Remove the user",
        cancel=HREF,
        crumbs=_CRUMBS,
    )


async def remove(request: Request) -> Response:
    """Remove the user, unless it is the last one or oneself."""
    user = await _user_of(request)
    if user.user_id == actor_of(request).user_id:
        raise StockwrightError("You cannot remove yourself. Ask another user to do it.")
    async with deps_of(request).database.connection() as conn, conn.transaction():
        await users.lock(conn)
        if not await users.remove(conn, user.user_id):
            raise StockwrightError("The last user cannot be removed: nobody could sign in any more.")
        await audit(conn, actor_of(request), "user.remove", user.name, {}, at=visit_of(request).now)
    flash(request, f"{user.name} is removed.")
    return go(HREF)


ROUTES = (
    get(HREF, show_all),
    get(HREF + "/add", show_form),
    post(HREF + "/add", add),
    get(HREF + "/{user_id}/remove", ask_removal),
    post(HREF + "/{user_id}/remove", remove),
)
