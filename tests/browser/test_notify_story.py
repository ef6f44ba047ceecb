"""A shopper's whole way, in Chromium against real processes: button, sign-up, restock, one mail, purchase, unsubscribed.

The product page is rendered from the extension's own Liquid, and every link is opened out of the mail that arrived.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESK, sign_in
from tests.browser.site import PASSWORD, USER
from tests.browser.test_storefront import button, choose, number, products, sign_up, variant_of
from tests.browser.test_whole_story import Sink, running_sink
from tests.real_processes import (
    READY_LIMIT_S,
    RunningShop,
    Service,
    running_service,
    running_shop,
    wait_until,
)

pytestmark = pytest.mark.browser

SHOPPER = "ann@example.com"
CATALOGUE = {
    "locations": [{"name": "Toronto", "primary": True}],
    "products": [
        {
            "title": "Birches",
            "option_names": ["Size"],
            "variants": [
                {"title": "Small", "levels": {"Toronto": 3}},
                {"title": "Large", "levels": {"Toronto": 1}},
            ],
        },
        {"title": "Postcards", "variants": [{"title": "Default Title", "levels": {"Toronto": 0}}]},
    ],
}
_LIMIT_MS = 20_000


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    with running_sink(tmp_path) as running:
        yield running


@pytest.fixture
def service(sink: Sink) -> Iterator[Service]:
    settings = {
        "STOCKWRIGHT_POLL_INTERVAL_S": "0.2",
        "STOCKWRIGHT_SWEEP_EVERY_S": "1",
        "STOCKWRIGHT_SMTP_HOST": "127.0.0.1",
        "STOCKWRIGHT_SMTP_PORT": str(sink.smtp_port),
        "STOCKWRIGHT_SMTP_SECURITY": "none",
        "STOCKWRIGHT_SMTP_FROM": "stock@real-shop.example",
    }
    with running_service(settings) as running:
        running.command("user", "add", USER, "--password-env", "NEW", secrets={"NEW": PASSWORD})
        yield running


@pytest.fixture
def shop(service: Service) -> Iterator[RunningShop]:
    """A shop with both products in one active offer, of which its theme has been told."""
    with running_shop(CATALOGUE, arguments=("--proxy-url", f"{service.url}/proxy")) as running:
        service.add_shop(running)
        # This shopper types faster than people do.
        service.add_automation("notify-back-in-stock", running, settle_s=0, minimum_form_s=0)
        wanted = [text for one in products(running).values() for text in ("--product", str(number(one)))]
        service.command("offer", "create", "Winter", "--shop", running.domain, *wanted, "--activate")
        wait_until(
            lambda: told_of_offer(running), limit_s=READY_LIMIT_S, what="the theme is told of the offer"
        )
        yield running


def told_of_offer(shop: RunningShop) -> bool:
    return '<details class="stockwright-notify__box" >' in shop.control.get("/products/postcards").text


@pytest.fixture
def page(chromium: Browser, shop: RunningShop) -> Iterator[Page]:
    """A shopper's page; a script error fails the test."""
    context = chromium.new_context(base_url=shop.url, viewport=DESK)
    context.set_default_timeout(_LIMIT_MS)
    problems: list[str] = []
    context.on("weberror", lambda error: problems.append(str(error.error)))
    yield context.new_page()
    context.close()
    assert problems == []


def test_from_the_button_to_the_purchase_and_the_last_link(
    page: Page, chromium: Browser, shop: RunningShop, service: Service, sink: Sink
) -> None:
    buy_the_last_large_one(page, shop)
    ask_for_large(page, sink)
    ask_for_postcards(page, sink)

    set_stock(shop, "Birches", "Large", 5)
    mail = the_one_mail_of_the_restock(service, shop, sink)
    assert_it_can_be_stopped_with_one_click(mail, service)

    until_service_says(shop, "Large", is_offered=False)
    with opened_from_the_mail(page, sink, mail, "Buy Birches") as product:
        buy_what_the_link_chose(product, shop)
    see_it_told_in_the_admin_site(chromium, service)

    with opened_from_the_mail(page, sink, mail, re.compile("Stop other notifications")) as contact:
        looking_changes_nothing(contact, service)
        contact.get_by_role("button", name="Stop all notifications of").click()
        expect(contact.get_by_role("status")).to_be_visible()
    assert people(service) == {"Large": "sent", "": "unsubscribed"}
    assert suppressed(service) == 1
    set_stock(shop, "Postcards", "Default Title", 9)
    until_all_is_done(service, shop)
    assert [one["subject"] for one in mails(sink) if "Postcards is back in stock" in one["subject"]] == []


# --- the storefront ---------------------------------------------------------------------------------------


def buy_the_last_large_one(page: Page, shop: RunningShop) -> None:
    """In stock there is no button; the purchase that empties the shelf brings it."""
    with page.expect_response("**/notify-me/state*") as state:
        page.goto(f"/products/birches?variant={variant_of(shop, 'Birches', 'Large')}")
    assert state.value.status == 200
    expect(button(page)).to_be_hidden()
    place_order(page)
    until_service_says(shop, "Large", is_offered=True)
    page.goto("/products/birches")
    expect(button(page)).to_be_hidden()
    choose(page, "Large")
    expect(button(page)).to_be_visible()


def until_service_says(shop: RunningShop, variant: str, *, is_offered: bool) -> None:
    """The service reads a product once for all who ask within a few seconds, so it may lag behind the page."""
    wanted, product = variant_of(shop, "Birches", variant), number(products(shop)["Birches"])

    def says() -> bool:
        answer = shop.control.get("/apps/stockwright/notify-me/state", params={"product": product})
        return bool(answer.raise_for_status().json()["variants"][wanted]["notify"]) is is_offered

    wait_until(says, limit_s=READY_LIMIT_S, what=f"the service says so of {variant}")


def place_order(page: Page) -> None:
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_role("button", name="Place the order").click()
    expect(page.get_by_role("status")).to_contain_text("is placed")


def ask_for_large(page: Page, sink: Sink) -> None:
    sign_up(page, " Ann@Example.com ")
    expect(page.get_by_role("status")).to_contain_text("We will email you")
    until_mailed(sink, "We will tell you when Birches is back")


def ask_for_postcards(page: Page, sink: Sink) -> None:
    page.goto("/products/postcards")
    sign_up(page, SHOPPER)
    expect(page.get_by_role("status")).to_contain_text("We will email you")
    until_mailed(sink, "We will tell you when Postcards is back")


def buy_what_the_link_chose(product: Page, shop: RunningShop) -> None:
    large = variant_of(shop, "Birches", "Large")
    assert product.url == f"{shop.url}/products/birches?variant={large}"
    expect(product.get_by_role("radio", name="Large")).to_be_checked()
    expect(button(product)).to_be_hidden()
    before = len(shop.state()["orders"])
    place_order(product)
    orders = shop.state()["orders"]
    assert len(orders) == before + 1
    assert [line["variant"].rpartition("/")[2] for line in orders[-1]["lines"]] == [large]


def set_stock(shop: RunningShop, title: str, variant: str, available: int) -> None:
    """The merchant types a level."""
    [toronto] = shop.state()["locations"]
    found = next(one for one in products(shop)[title]["variants"] if one["title"] == variant)
    edit = {"item": found["item"], "location": toronto["id"], "available": available}
    shop.post("edit", {"edits": [edit]})


# --- the mail ---------------------------------------------------------------------------------------------


def mails(sink: Sink) -> list[dict[str, Any]]:
    """Everything that the shopper got, whole."""
    answer = httpx2.get(f"{sink.url}/api/mails?whole=1&to={SHOPPER}", trust_env=False)
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


def until_mailed(sink: Sink, subject: str) -> None:
    wait_until(
        lambda: [one for one in mails(sink) if one["subject"] == subject],
        limit_s=READY_LIMIT_S,
        what=f"the mail {subject!r} is in the sink",
    )


def the_one_mail_of_the_restock(service: Service, shop: RunningShop, sink: Sink) -> dict[str, Any]:
    """Once, also after more stock and all that the service had left to do."""
    until_mailed(sink, "Birches is back in stock")
    set_stock(shop, "Birches", "Large", 8)
    until_all_is_done(service, shop)
    [mail] = [one for one in mails(sink) if "back in stock" in one["subject"]]
    return mail


def until_all_is_done(service: Service, shop: RunningShop) -> None:
    wait_until(lambda: shop.state()["webhooks"]["pending"] == 0, limit_s=READY_LIMIT_S, what="all is told")
    service.until_idle()


def assert_it_can_be_stopped_with_one_click(mail: dict[str, Any], service: Service) -> None:
    headers = dict(mail["headers"])
    assert re.fullmatch(rf"<{re.escape(service.url)}/u/\S+>", headers["List-Unsubscribe"])
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@contextmanager
def opened_from_the_mail(
    page: Page, sink: Sink, mail: dict[str, Any], link: str | re.Pattern[str]
) -> Iterator[Page]:
    """The page behind a link of the mail, pressed in the sink."""
    page.goto(f"{sink.url}/mails/{mail['number']}")
    with page.context.expect_page() as opened:
        page.frame_locator("iframe").get_by_role("link", name=link).click()
    opened.value.wait_for_load_state()
    yield opened.value
    opened.value.close()


# --- the contact page -------------------------------------------------------------------------------------


def people(service: Service) -> dict[str, str]:
    """State by variant title."""
    with psycopg.connect(service.dsn()) as conn:
        rows = conn.execute("select variant_title, state from subscribers where email = %s", (SHOPPER,))
        return dict(rows.fetchall())


def suppressed(service: Service) -> int:
    with psycopg.connect(service.dsn()) as conn:
        return conn.execute("select * from suppressions").rowcount


def looking_changes_nothing(contact: Page, service: Service) -> None:
    expect(contact.get_by_text("You asked us to email you when Birches")).to_be_visible()
    contact.reload()
    expect(contact.get_by_role("listitem").filter(has_text="Postcards")).to_be_visible()
    assert people(service) == {"Large": "sent", "": "pending"}
    assert suppressed(service) == 0


# --- the admin site ---------------------------------------------------------------------------------------


def see_it_told_in_the_admin_site(chromium: Browser, service: Service) -> None:
    """Sent, and why."""
    page = chromium.new_page(base_url=service.url, viewport=DESK)
    sign_in(page)
    page.goto("/subscribers")
    row = page.get_by_role("row", name=re.compile(rf"{re.escape(SHOPPER)}.*Birches"))
    expect(row.locator("[data-label=Status]")).to_have_text("Sent")
    row.get_by_role("link", name=SHOPPER).click()
    expect(page.get_by_text("Sent: the mail server took the mail.")).to_be_visible()
    story = page.get_by_role("table", name="Everything that happened")
    for told in ("Signed up", "A mail was queued", "The mail server took the mail"):
        expect(story.get_by_text(told, exact=True)).to_be_visible()
    page.close()
