"""How handlers answer: a page, a redirect, a problem, a question. And the headers that every answer carries."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stockwright.web.admin.visits import visit_of

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not no-referrer: browsers would send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PROBLEMS = {
    400: "That request cannot be understood",
    403: "That is not allowed",
    404: "There is no such page",
    405: "That is not possible here",
    413: "That is too much",
    429: "Too many tries",
    500: "Something went wrong here",
    503: "The database does not answer",
}

Crumb = tuple[str, str]  # title, path


def page(
    request: Request,
    template: str,
    *,
    title: str,
    crumbs: Sequence[Crumb] = (),
    status: int = 200,
    **context: Any,
) -> Response:
    """An HTML page from `templates/<template>`; `crumbs` are the pages above it."""
    visit = visit_of(request)
    visit.said = True
    site = visit.site
    text = site.templates.get_template(template).render(
        title=title,
        crumbs=crumbs,
        path=request.url.path,
        query=dict(request.query_params),
        sections=site.sections,
        section=site.section_at(request.url.path),
        user=visit.session.user_name if visit.session else None,
        csrf_token=visit.csrf,
        flashes=visit.flashes,
        mail_stopped=visit.mail_stopped,
        now=visit.now,
        version=site.own.version,
        request_id=visit.request_id,
        has=lambda href: site.section_at(href.split("?")[0]) is not None,
        **context,
    )
    return HTMLResponse(text, status_code=status)


def go(path: str) -> Response:
    """Answer a POST: show another page of this site."""
    return RedirectResponse(local_path(path), status_code=303)


def local_path(path: str) -> str:
    """The path if it is one of this site's, else the home page: nobody is sent elsewhere by a link of ours."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    if not is_local or any(ord(letter) < 33 or letter == "\\" for letter in path):
        return "/"
    return quote(path, safe="/?&=%:,+-_.~*@#!$'()[];")


def problem(request: Request, status: int, message: str) -> Response:
    """A page that says what is wrong and what to do."""
    return page(
        request,
        "problem.html",
        title=_PROBLEMS.get(status, "That did not work"),
        status=status,
        message=message,
        status_code=status,
    )


def not_found(what: str) -> HTTPException:
    """To be raised: 404 with what is not there."""
    return HTTPException(404, what)


def confirm(
    request: Request,
    *,
    title: str,
    question: str,
    action: str,
    submit: str,
    cancel: str,
    crumbs: Sequence[Crumb] = (),
    consequences: Sequence[str] = (),
    hidden: Mapping[str, str] | None = None,
    danger: bool = True,
) -> Response:
    """Ask before something that cannot be undone. `action` gets a POST when the answer is yes.

    A link with the attribute `data-confirm` opens this page in a dialog where scripts run.
    """
    return page(
        request,
        "confirm.html",
        title=title,
        crumbs=crumbs,
        question=question,
        consequences=consequences,
        action=action,
        submit=submit,
        cancel=cancel,
        hidden=hidden or {},
        danger=danger,
    )
