"""Settings, Retention: for how long things are kept, and how to change that. Read from the environment's settings."""

from starlette.requests import Request
from starlette.responses import Response

from stockwright.settings import SettingLine, describe
from stockwright.web.admin.pages import page
from stockwright.web.admin.routing import get
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, wants_csv
from stockwright.web.admin.visits import site_of

HREF = "/settings/retention"
TAB = Tab(title="Retention", href=HREF)
SAMPLES = (HREF,)
_PREFIX = "STOCKWRIGHT_KEEP_"


async def show(request: Request) -> Response:
    """The table."""
    lines = kept_for(describe(site_of(request).own.settings))
    if wants_csv(request):
        rows = [
            {"setting": line.name, "days": line.value, "default": line.default, "meaning": line.meaning}
            for line in lines
        ]
        return csv_response("retention", rows, header=("setting", "days", "default", "meaning"))
    return page(
        request,
        "settings/retention.html",
        title="Retention",
        crumbs=(("Settings", "/settings"),),
        lines=lines,
    )


def kept_for(lines: list[SettingLine]) -> list[SettingLine]:
    """The settings that are about keeping."""
    return [line for line in lines if line.name.startswith(_PREFIX)]


ROUTES = (get(HREF, show),)
