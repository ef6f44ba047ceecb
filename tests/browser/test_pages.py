"""Pages in a real browser: the bundled shop can be used, the status page tells what needs somebody."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.real_processes import RunningShop, Service, running_service, running_shop

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium: apt install chromium"),
]

CATALOGUE = {
    "locations": [{"name": "Toronto", "primary": True}],
    "products": [
        {"title": "Harbour", "levels": 10, "variants": [{"title": "Framed"}, {"title": "Unframed"}]},
    ],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningShop]:
    with running_shop(CATALOGUE) as running:
        yield running


@pytest.fixture(scope="module")
def service(shop: RunningShop) -> Iterator[Service]:
    with running_service() as running:
        running.add_shop(shop)
        yield running


def opened(browser: Browser, url: str, *, width: int = 1000) -> tuple[Page, list[str]]:
    """A page, and the addresses that it asked for."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    return page, asked


def test_an_order_is_placed_on_the_bundled_shops_page(browser: Browser, shop: RunningShop) -> None:
    page, _ = opened(browser, f"{shop.url}/")
    page.get_by_role("button", name="Sell").first.click()
    page.get_by_text("Order #1001").first.wait_for()
    assert len(shop.state()["orders"]) == 1
    page.get_by_role("button", name="Refund #1001").click()
    page.get_by_text("refunded").first.wait_for()
    page.close()
