"""One request of the site: who makes it, from where, with which form. What every handler may ask for.

Handlers take a `Request`; everything about it that is ours hangs on `visit_of(request)`.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from stockwright.access import Visitor, session_of
from stockwright.deps import Deps
from stockwright.model import JsonObject
from stockwright.store import mail_settings
from stockwright.store.audit import Actor
from stockwright.store.mail_settings import Stopped
from stockwright.store.sessions import SessionRow
from stockwright.web.admin.site import Site
from stockwright.web.clients import client_address

_ANONYMOUS_COOKIE_S = 3600 * 12


@dataclass(kw_only=True)
class Visit:
    """What is known of a request, and what the answer is to carry."""

    site: Site
    request_id: str
    now: datetime
    session: SessionRow | None = None
    token: str = ""  # the cookie by which forms are bound to the browser, signed in or not
    form: FormData = field(default_factory=FormData)
    flashes: list[JsonObject] = field(default_factory=list)  # to be said, on this page or the next
    said: bool = False  # this page has said them
    mail_stopped: Sequence[Stopped] = ()  # told on every page: by mail it cannot be told

    @property
    def csrf(self) -> str:
        """What every form must send back."""
        return hmac.new(self.token.encode(), b"form", hashlib.sha256).hexdigest()


def visit_of(request: Request) -> Visit:
    """The visit of a request that went through a route of ours."""
    visit: Visit = request.state.visit
    return visit


def site_of(request: Request) -> Site:
    """The site, with its settings."""
    return visit_of(request).site


def deps_of(request: Request) -> Deps:
    """Database, shop clients, clock: what the service's functions take."""
    return visit_of(request).site.own.deps


def actor_of(request: Request) -> Actor:
    """Who is signed in, for the audit log."""
    session = visit_of(request).session
    assert session is not None, "the route is for signed-in people"
    return Actor(user_id=session.user_id, name=session.user_name)


def session_of_visit(request: Request) -> SessionRow:
    """The session of a signed-in person."""
    session = visit_of(request).session
    assert session is not None, "the route is for signed-in people"
    return session


def form_of(request: Request) -> FormData:
    """The posted form, within limits and checked against forgery."""
    return visit_of(request).form


def flash(request: Request, text: str, *, kind: str = "good") -> None:
    """Say something at the top of the next page. Kinds: good, info, warn, bad."""
    visit_of(request).flashes.append({"kind": kind, "text": text})


def visitor_of(request: Request) -> Visitor:
    """Where a request comes from, for limits and the list of sessions."""
    trusted = site_of(request).own.settings.proxy_networks
    address = client_address(request, trusted) or "unknown"
    return Visitor(address=address, agent=request.headers.get("user-agent", ""))


# --- cookies ----------------------------------------------------------------------------------------------


def session_cookie(site: Site) -> str:
    """The name of the session's cookie; with https, one that no other host can set."""
    return "__Host-stockwright" if site.is_https else "stockwright"


def form_cookie(site: Site) -> str:
    """The name of the cookie that binds forms to a browser that is not signed in."""
    return session_cookie(site) + "-form"


def set_cookie(response: Response, site: Site, name: str, value: str, *, max_age_s: int) -> None:
    """Set a cookie that scripts and other sites do not get; an empty value deletes it."""
    response.set_cookie(
        name,
        value,
        max_age=max_age_s if value else 0,
        path="/",
        secure=site.is_https,
        httponly=True,
        samesite="lax",
    )


async def arrive(request: Request, request_id: str) -> Visit:
    """Find out who is there. The database is asked only when there is a cookie."""
    site: Site = request.app.state.site
    visit = Visit(site=site, request_id=request_id, now=site.own.deps.clock())
    request.state.visit = visit
    visit.token = request.cookies.get(form_cookie(site), "") or secrets.token_urlsafe(24)
    if cookie := request.cookies.get(session_cookie(site)):
        async with site.own.deps.database.connection() as conn:
            # A page that looks again by itself does not keep anybody signed in.
            seen = "x-poll" not in request.headers
            visit.session = await session_of(
                conn, cookie, now=visit.now, seen=seen, limits=site.session_limits
            )
            if visit.session:
                visit.mail_stopped = await mail_settings.stopped(conn)
        if visit.session:
            visit.token = cookie
            visit.flashes = list(visit.session.flashes)
    return visit


def bind_forms(request: Request, response: Response) -> None:
    """Give a browser that is not signed in the cookie that its forms are bound to."""
    visit = visit_of(request)
    name = form_cookie(visit.site)
    if visit.session is None and request.cookies.get(name) != visit.token:
        set_cookie(response, visit.site, name, visit.token, max_age_s=_ANONYMOUS_COOKIE_S)
