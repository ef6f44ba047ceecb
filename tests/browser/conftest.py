"""Fixtures for tests in a real browser: a site on a fresh database, a page in Chromium, somebody signed in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import chromium as started_chromium
from tests.browser.site import PASSWORD, USER, RunningSite, running_site

AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The module's browser. Not the session's: while Playwright runs, no other test can start an event loop."""
    with started_chromium() as browser:
        yield browser


@pytest.fixture
def site(database: str) -> Iterator[RunningSite]:
    """A site that answers, with one user and no shop."""
    with running_site(database) as running:
        running.add_user()
        yield running


@pytest.fixture
def open_page(chromium: Browser, site: RunningSite) -> Iterator[Callable[..., Page]]:
    """Opens pages in browser contexts of their own; a script error or a refused resource fails the test."""
    contexts, problems = [], []

    def make(**options: object) -> Page:
        context = chromium.new_context(**{"base_url": site.url, "viewport": DESK, **options})  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: _note(problems, said.type, said.text))
        page.on("request", lambda request: _is_ours(problems, request.url, site.url))
        return page

    yield make
    for context in contexts:
        context.close()
    assert problems == []


def _note(problems: list[str], kind: str, text: str) -> None:
    # Chromium reports every 4xx answer as an error of the console; forms are answered so on purpose.
    if kind == "error" and "Failed to load resource" not in text:
        problems.append(text)


def _is_ours(problems: list[str], url: str, own: str) -> None:
    if not url.startswith((own + "/", "data:")):
        problems.append(f"a request to another host: {url}")


@pytest.fixture
def browser_page(open_page: Callable[..., Page]) -> Page:
    """A page at desk width, not signed in."""
    return open_page()


@pytest.fixture
def signed_in(browser_page: Page) -> Page:
    """A page at desk width on Home, signed in."""
    return sign_in(browser_page)


def sign_in(page: Page, name: str = USER, password: str = PASSWORD) -> Page:
    """Sign in by the form."""
    page.goto("/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    return page


def serious_findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical on the page as it is now."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
