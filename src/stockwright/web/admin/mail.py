"""Mail: messages, templates, storefront texts, settings. One module per tab, like Settings."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright.web.admin import mail_accounts, mail_messages, mail_templates, storefront_texts
from stockwright.web.admin.pages import go
from stockwright.web.admin.routing import get
from stockwright.web.admin.site import Section

HREF = "/mail"
_TABS = (mail_messages, mail_templates, storefront_texts, mail_accounts)


async def first(_request: Request) -> Response:
    """The first tab."""
    return go(mail_messages.HREF)


SECTION = Section(
    title="Mail",
    href=HREF,
    icon="mail",
    routes=(get(HREF, first), *(route for tab in _TABS for route in tab.ROUTES)),
    tabs=tuple(tab.TAB for tab in _TABS),
    samples=tuple(path for tab in _TABS for path in tab.SAMPLES),
)
