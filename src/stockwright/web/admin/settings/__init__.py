"""Settings: shops, users, API tokens, retention, the audit log. One module per tab.

A new tab is one module with TAB, ROUTES and SAMPLES, and one line in `TABS`.
"""

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from stockwright.web.admin.pages import go
from stockwright.web.admin.routing import get
from stockwright.web.admin.settings import (
    account,
    audit_log,
    privacy,
    retention,
    shop_adding,
    shops,
    tokens,
    users,
)
from stockwright.web.admin.site import Section, Tab

HREF = "/settings"


class TabModule(Protocol):
    """What the module of a tab has."""

    @property
    def TAB(self) -> Tab: ...
    @property
    def ROUTES(self) -> Sequence[BaseRoute]: ...
    @property
    def SAMPLES(self) -> Sequence[str]: ...


TABS: tuple[TabModule, ...] = (shops, users, tokens, retention, privacy, audit_log)


async def first(_request: Request) -> Response:
    """The first tab."""
    return go(TABS[0].TAB.href)


SECTION = Section(
    title="Settings",
    href=HREF,
    icon="settings",
    routes=(
        get(HREF, first),
        *shop_adding.ROUTES,  # before /settings/shops/{shop_id}
        *(route for module in TABS for route in module.ROUTES),
        *account.ROUTES,
    ),
    tabs=tuple(module.TAB for module in TABS),
    samples=(*shop_adding.SAMPLES, *(path for module in TABS for path in module.SAMPLES), *account.SAMPLES),
)
