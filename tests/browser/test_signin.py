"""Signing in and out in a real browser: by keyboard, with a wrong password, with the link of the first user."""

import pytest
from playwright.sync_api import Browser, Page, expect

from stockwright.access import setup_token
from stockwright.deps import Deps
from tests.browser.conftest import PHONE, overflow, serious_findings, sign_in
from tests.browser.site import PASSWORD, USER, RunningSite, running_site

pytestmark = pytest.mark.browser


def test_somebody_signs_in_by_keyboard_and_comes_to_the_page_they_wanted(browser_page: Page) -> None:
    browser_page.goto("/settings/users")
    expect(browser_page).to_have_url("/sign-in?next=%2Fsettings%2Fusers")
    browser_page.keyboard.type(USER)
    browser_page.keyboard.press("Tab")
    browser_page.keyboard.type(PASSWORD)
    browser_page.keyboard.press("Enter")
    expect(browser_page).to_have_url("/settings/users")
    expect(browser_page.get_by_role("heading", name="Users")).to_be_visible()


def test_a_wrong_password_is_told_and_the_name_stays(browser_page: Page) -> None:
    browser_page.goto("/sign-in")
    browser_page.get_by_label("Name").fill(USER)
    browser_page.get_by_label("Password").fill("something else")
    browser_page.get_by_role("button", name="Sign in").click()
    expect(browser_page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    expect(browser_page.get_by_label("Name")).to_have_value(USER)
    expect(browser_page.get_by_label("Password")).to_have_value("")


def test_signing_out_leaves_nothing_open(signed_in: Page) -> None:
    signed_in.locator("details.account summary").click()
    signed_in.get_by_role("button", name="Sign out").click()
    expect(signed_in.get_by_text("You are signed out.")).to_be_visible()
    signed_in.goto("/settings/users")
    expect(signed_in.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_out_everywhere_ends_the_other_browser_too(signed_in: Page, open_page) -> None:
    other = sign_in(open_page())
    signed_in.goto("/settings/account")
    signed_in.get_by_role("button", name="Sign out everywhere").click()
    expect(signed_in.get_by_text("You are signed out.")).to_be_visible()
    other.goto("/settings/users")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_page_is_accessible_and_fits_a_phone(open_page, scheme: str) -> None:
    page = open_page(viewport=PHONE, color_scheme=scheme)
    page.goto("/sign-in")
    assert serious_findings(page) == []
    assert overflow(page) == 0


def test_the_link_of_the_first_start_makes_the_first_user(chromium: Browser, database: str) -> None:
    with running_site(database) as site:
        page = chromium.new_page(base_url=site.url, viewport=PHONE)
        page.goto("/sign-in")
        expect(page.get_by_text("There is no user yet.")).to_be_visible()
        page.goto(f"/setup/{_link(site)}")
        assert serious_findings(page) == []
        assert overflow(page) == 0
        page.get_by_label("Your name").fill("ann")
        page.get_by_label("Password", exact=True).fill("short")
        page.get_by_label("Password, again").fill("other")
        page.get_by_role("button", name="Make the user").click()
        expect(page.locator("#e-password")).to_contain_text("at least 12 characters")
        expect(page.locator("#e-again")).to_contain_text("differ")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password, again").fill(PASSWORD)
        page.get_by_role("button", name="Make the user").click()
        expect(page.get_by_role("heading", name="Connect your first shop")).to_be_visible()
        page.close()


def _link(site: RunningSite) -> str | None:
    async def work(deps: Deps) -> str | None:
        async with deps.database.connection() as conn:
            return await setup_token(conn, now=deps.clock())

    return site.run(work)
