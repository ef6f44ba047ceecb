"""What holds for every registered page: accessible, fits a phone, one heading, light and dark."""

import pytest
from playwright.sync_api import Browser

from stockwright.web.admin import SECTIONS
from tests.browser.conftest import DESK, PHONE, overflow, serious_findings, sign_in
from tests.browser.seeding import fill
from tests.browser.site import running_site
from tests.postgres_fixture import DatabaseServer

pytestmark = pytest.mark.browser

PATHS = [path for section in SECTIONS for path in section.samples]


@pytest.fixture(scope="module")
def filled(pg_server: DatabaseServer, chromium: Browser):
    """Signed-in pages on one site with data: at a desk in dark, on a phone in light."""
    dsn = pg_server.fresh_database()
    with running_site(dsn) as site:
        names = fill(site)
        opened = {}
        for where, viewport, scheme in (("desk", DESK, "dark"), ("phone", PHONE, "light")):
            context = chromium.new_context(base_url=site.url, viewport=viewport, color_scheme=scheme)
            opened[where] = sign_in(context.new_page())
        yield opened, names
        for page in opened.values():
            page.context.close()
    pg_server.drop(dsn)


@pytest.mark.parametrize("where", ["desk", "phone"])
@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_accessible_and_no_wider_than_its_window(filled, path: str, where: str) -> None:
    opened, names = filled
    page = opened[where]
    answer = page.goto(path.format_map(names))
    assert answer is not None and answer.status == 200
    assert page.locator("h1").count() == 1
    assert serious_findings(page) == []
    assert overflow(page) == 0
