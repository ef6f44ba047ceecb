"""Settings, API tokens: made, shown once, revoked."""

from typing import Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from stockwright import access
from stockwright.store import tokens
from stockwright.store.audit import audit
from stockwright.store.tokens import TokenRow
from stockwright.web.admin.forms import Filled, fields, read_model
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, form_of, visit_of

HREF = "/settings/tokens"
TAB = Tab(title="API tokens", href=HREF)
SAMPLES = (HREF, HREF + "/add")
_CRUMBS: tuple[Crumb, ...] = (("Settings", "/settings"), ("API tokens", HREF))
_COLUMNS = ("name", "scope", "created_by", "created_at", "last_used_at", "revoked_at")


class NewToken(BaseModel):
    """What somebody wants of a token."""

    name: str = Field(
        title="Name", description="What it is for, such as “warehouse report”.", min_length=1, max_length=100
    )
    scope: Literal["read", "write"] = Field(
        default="read",
        title="It may",
        description="read: look at everything but secrets. write: change automations and act, too.",
    )


async def show_all(request: Request) -> Response:
    """The list."""
    async with deps_of(request).database.connection() as conn:
        found = await tokens.list_all(conn)
    if wants_csv(request):
        rows = [{column: getattr(token, column) for column in _COLUMNS} for token in found]
        return csv_response("api-tokens", rows, header=_COLUMNS)
    return page(request, "settings/tokens.html", title="API tokens", crumbs=_CRUMBS[:1], tokens=found)


async def show_form(request: Request) -> Response:
    """The form for a new token."""
    return _form(request, Filled(model=None, values={}))


def _form(request: Request, filled: Filled[NewToken]) -> Response:
    return page(
        request,
        "settings/token_add.html",
        title="Create an API token",
        crumbs=_CRUMBS,
        status=422 if filled.errors else 200,
        fields=fields(NewToken, filled.values, errors=filled.errors),
    )


async def add(request: Request) -> Response:
    """Make a token and show it, this once."""
    filled = read_model(NewToken, form_of(request))
    if filled.model is None:
        return _form(request, filled)
    wanted, now = filled.model, visit_of(request).now
    async with deps_of(request).database.connection() as conn, conn.transaction():
        token = await access.add_token(conn, actor_of(request), name=wanted.name, scope=wanted.scope, at=now)
    return page(
        request,
        "settings/token_made.html",
        title="Copy the token now",
        crumbs=_CRUMBS,
        token=token,
        name=wanted.name,
        scope=wanted.scope,
    )


async def _token_of(request: Request) -> TokenRow:
    async with deps_of(request).database.connection() as conn:
        token = await tokens.get(conn, request.path_params["token_id"])
    if token is None:
        raise not_found("There is no such API token.")
    return token


async def ask_revocation(request: Request) -> Response:
    """What revocation means."""
    token = await _token_of(request)
    return confirm(
        request,
        title=f"Revoke {token.name}",
        question=f"Revoke the token “{token.name}”?",
        consequences=("Requests with it are refused from now on.", "A revoked token cannot be brought back."),
        action=f"{HREF}/{token.token_id}/revoke",
        submit="Revoke the token",
        cancel=HREF,
        crumbs=_CRUMBS,
    )


async def revoke(request: Request) -> Response:
    """Refuse the token from now on."""
    token, now = await _token_of(request), visit_of(request).now
    async with deps_of(request).database.connection() as conn, conn.transaction():
        if await tokens.revoke(conn, token.token_id, at=now):
            await audit(conn, actor_of(request), "token.revoke", token.name, {}, at=now)
    flash(request, f"The token “{token.name}” is revoked.")
    return go(HREF)


ROUTES = (
    get(HREF, show_all),
    get(HREF + "/add", show_form),
    post(HREF + "/add", add),
    get(HREF + "/{token_id}/revoke", ask_revocation),
    post(HREF + "/{token_id}/revoke", revoke),
)
