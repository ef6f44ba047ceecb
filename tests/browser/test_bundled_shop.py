"""The bundled shop's page in a real browser: sell, order, refund and edit by hand, and watch levels move."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import chromium
from tests.real_processes import RunningShop, running_shop

pytestmark = pytest.mark.browser

CATALOGUE = {
    "locations": [{"name": "Toronto", "primary": True}, {"name": "Montreal"}],
    "products": [
        {
            "title": "Harbour <b>at</b> Dawn",
            "product_type": "Print",
            "tags": ["shared"],
            "levels": 10,
            "variants": [{"title": "Framed"}, {"title": "Unframed"}],
        }
    ],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def shop() -> Iterator[RunningShop]:
    with running_shop(CATALOGUE) as running:
        yield running


@pytest.fixture
def page(browser: Browser, shop: RunningShop) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(shop.url)
    yield opened
    opened.close()


def numbers(page: Page, place: str = "Toronto") -> list[str]:
    return page.locator(".levels li", has_text=place).locator("[data-level]").all_inner_texts()


def test_selling_one_moves_its_level_and_tells_the_movement(page: Page) -> None:
    page.get_by_role("button", name="Sell").first.click()
    expect(page.locator("[data-level]").first).to_have_text("9")
    expect(page.locator("#moves")).to_contain_text("Order #")
    assert numbers(page) == ["9", "10"]


def test_several_lines_make_one_order_and_a_refund_brings_them_back(page: Page) -> None:
    quantities = page.locator('input[name^="q:"]')
    quantities.nth(0).fill("2")
    quantities.nth(1).fill("3")
    page.get_by_role("button", name="Place the order").last.click()
    expect(page.locator("[data-level]").first).to_have_text("8")
    assert numbers(page) == ["8", "7"]
    page.get_by_role("button", name="Refund all of #1001").click()
    expect(page.locator("[data-level]").first).to_have_text("10")
    assert numbers(page) == ["10", "10"]


def test_one_line_of_an_earlier_order_is_refunded(page: Page) -> None:
    quantities = page.locator('input[name^="q:"]')
    quantities.nth(0).fill("2")
    quantities.nth(1).fill("3")
    page.get_by_role("button", name="Place the order").last.click()
    page.get_by_role("button", name="Sell").first.click()
    expect(page.locator("[data-level]").first).to_have_text("7")
    assert page.locator("#refunds strong").all_inner_texts() == ["#1002", "#1001"]
    page.get_by_role("button", name="Refund 3 × Harbour <b>at</b> Dawn of #1001").click()
    expect(page.get_by_role("status")).to_contain_text("#1001 refunded: 3 items, back in stock")
    assert numbers(page) == ["7", "10"]
    assert page.locator("#refunds [data-line]").count() == 2


def test_orders_to_refund_come_and_go_by_themselves(page: Page, shop: RunningShop) -> None:
    expect(page.locator("#no-refunds")).to_be_visible()
    variant = page.locator('button[name="sell"]').first.get_attribute("value")
    shop.post("sell", {"lines": [{"variant": variant, "quantity": 4}]})
    expect(page.get_by_role("button", name="Refund all of #1001")).to_be_visible()
    expect(page.locator("#no-refunds")).to_be_hidden()
    shop.post("refund", {"lines": [{"variant": variant, "quantity": 1}]})
    expect(page.locator("#refunds")).to_contain_text("3 of 4 left")
    shop.post("refund", {})
    expect(page.locator("#no-refunds")).to_be_visible()
    assert page.locator("#refunds li").count() == 0


def test_stock_is_edited_by_hand(page: Page) -> None:
    page.get_by_text("Edit stock").first.click()
    page.locator('input[name^="a:"]').first.fill("25")
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator("[data-level]").first).to_have_text("25")


def test_saving_one_location_writes_nothing_back_at_another(page: Page, shop: RunningShop) -> None:
    page.get_by_text("Edit stock").first.click()
    toronto, montreal = page.locator('input[name^="a:"]').nth(0), page.locator('input[name^="a:"]').nth(1)
    montreal.fill("12")
    variant = page.locator('button[name="sell"]').first.get_attribute("value")
    shop.post("sell", {"lines": [{"variant": variant, "quantity": 1}]})
    expect(toronto).to_have_value("9")
    expect(montreal).to_have_value("12")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_role("status")).to_contain_text("1 level changed")
    assert numbers(page) == ["9", "10"]
    assert numbers(page, "Montreal") == ["12", "10"]


def test_levels_move_by_themselves_when_somebody_else_sells(page: Page, shop: RunningShop) -> None:
    variant = page.locator('button[name="sell"]').first.get_attribute("value")
    shop.post("sell", {"lines": [{"variant": variant, "quantity": 4}]})
    expect(page.locator("[data-level]").first).to_have_text("6")


def test_more_than_there_is_cannot_be_sold_and_the_page_says_why(page: Page) -> None:
    page.locator('input[name^="q:"]').first.fill("99")
    page.get_by_role("button", name="Sell").first.click()
    expect(page.get_by_role("alert")).to_contain_text("10")
    assert numbers(page) == ["10", "10"]


def test_a_title_is_shown_as_text_and_never_run(page: Page) -> None:
    expect(page.get_by_role("heading", name="Harbour <b>at</b> Dawn")).to_be_visible()


def test_nothing_is_wider_than_a_phone(browser: Browser, shop: RunningShop) -> None:
    phone = browser.new_page(viewport={"width": 320, "height": 640})
    phone.goto(shop.url)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 320
    phone.close()


def test_it_works_without_javascript(browser: Browser, shop: RunningShop) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(shop.url)
    plain.get_by_role("button", name="Sell").first.click()
    expect(plain.locator("[data-level]").first).to_have_text("9")
    context.close()
