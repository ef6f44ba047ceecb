"""The admin site: server-rendered pages, one section per entry of the navigation.

A new section is one module with a `SECTION` and one line in `SECTIONS`; docs/admin-site.md shows how.
"""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from stockwright.web.admin import automations, home, mail, offers, runs, settings, signing, stock, subscribers
from stockwright.web.admin.rendering import environment
from stockwright.web.admin.routing import problem_for_all
from stockwright.web.admin.site import AdminDeps, Section, Site
from stockwright.web.admin.static import PATH, StaticFolder

SECTIONS: tuple[Section, ...] = (
    home.SECTION,
    automations.SECTION,
    runs.SECTION,
    stock.SECTION,
    offers.SECTION,
    subscribers.SECTION,
    mail.SECTION,
    settings.SECTION,
)


def admin_app(own: AdminDeps, *, sections: Sequence[Section] = SECTIONS) -> Starlette:
    """The site as an application of its own, to be mounted at "/" behind all other routes."""
    static = StaticFolder()
    app = Starlette(
        routes=[
            Mount(PATH, app=static.app(), name="static"),
            *signing.ROUTES,
            *(route for section in sections for route in section.routes),
        ],
        exception_handlers={HTTPException: _problem},
    )
    app.state.site = Site(
        own=own, sections=tuple(sections), templates=environment(static), static=static.address
    )
    return app


async def _problem(request: Request, error: Exception) -> Response:
    """What no route of ours answers."""
    assert isinstance(error, HTTPException)
    known = {
        404: "Nothing is at this address. Perhaps it was removed, or the link is incomplete.",
        405: "This address answers to forms of this site only.",
    }
    return await problem_for_all(error.status_code, known.get(error.status_code, error.detail))(request)
