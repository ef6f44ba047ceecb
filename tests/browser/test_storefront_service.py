"""The Notify Me button with the real service behind it: an offer, its first state in Liquid, and sign-ups."""

from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_storefront import CATALOGUE, button, choose, email_field, number, products, sign_up
from tests.real_processes import RunningShop, Service, running_service, running_shop, wait_until

pytestmark = pytest.mark.browser

OFFERED = ("Birches", "Postcards")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service({"STOCKWRIGHT_SWEEP_EVERY_S": "1"}) as running:
        yield running


@pytest.fixture(scope="module")
def shop(service: Service) -> Iterator[RunningShop]:
    """A shop whose theme has been told of an active offer of two products."""
    with running_shop(CATALOGUE, arguments=("--proxy-url", f"{service.url}/proxy")) as running:
        service.add_shop(running)
        service.add_automation("notify-back-in-stock", running, minimum_form_s=0)  # scripts are quick
        wanted = [text for name in OFFERED for text in ("--product", str(number(products(running)[name])))]
        service.command("offer", "create", "Winter", "--shop", running.domain, *wanted, "--activate")
        wait_until(lambda: is_published(running), limit_s=60, what="the theme is told of the offer")
        yield running


def is_published(shop: RunningShop) -> bool:
    page = shop.control.get("/products/postcards").text
    return '<details class="stockwright-notify__box" >' in page


def waiting(service: Service) -> set[tuple[str, str]]:
    """(address, variant title) of everybody who waits."""
    with psycopg.connect(service.dsn()) as conn:
        return set(conn.execute("select email, variant_title from subscribers where state = 'pending'"))


@pytest.fixture
def page(chromium: Browser, shop: RunningShop) -> Iterator[Page]:
    opened = chromium.new_page(base_url=shop.url)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    opened.close()
    assert problems == []


def test_a_shopper_signs_up_for_the_variant_that_is_out(
    page: Page, shop: RunningShop, service: Service
) -> None:
    with page.expect_response("**/notify-me/state*") as state:
        page.goto("/products/birches")
    assert state.value.status == 200
    expect(button(page)).to_be_hidden()
    choose(page, "Large")
    sign_up(page, " Ann@Example.com ")
    expect(page.get_by_role("status")).to_contain_text("We will email you")
    assert ("ann@example.com", "Large") in waiting(service)


def test_without_script_the_services_page_answers_and_leads_back(
    chromium: Browser, shop: RunningShop, service: Service
) -> None:
    context = chromium.new_context(base_url=shop.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/products/birches")
    page.locator("stockwright-notify summary:visible").click()
    page.get_by_label("Which one?").select_option("Medium")
    email_field(page).fill("bob@example.com")
    page.get_by_role("button", name="Notify me when available").click()
    expect(page.get_by_role("status")).to_contain_text("We will email you")
    expect(page.get_by_role("banner").get_by_role("link", name="All prints and goods")).to_be_visible()
    page.get_by_role("link", name="Back to the item").click()
    expect(page.get_by_role("heading", name="Birches")).to_be_visible()
    assert ("bob@example.com", "Medium") in waiting(service)
    context.close()


def test_what_is_in_no_offer_has_no_button_and_keeps_its_own(page: Page) -> None:
    with page.expect_response("**/notify-me/state*") as state:
        page.goto("/products/calendar")
    assert state.value.status == 200
    expect(page.get_by_role("button", name="Pre-order")).to_be_visible()
    expect(button(page)).to_be_hidden()


def test_a_wrong_address_is_refused_by_the_service_in_the_pages_language(page: Page) -> None:
    page.goto("/de/products/postcards")
    button(page).click()
    page.get_by_role("textbox", name="E-Mail").fill("ann@localhost")  # a browser takes it for an address
    page.get_by_role("button", name="Bei Verfügbarkeit benachrichtigen").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    expect(page.get_by_role("textbox", name="E-Mail")).to_be_focused()
