"""The newcomer's way, in Chromium against real processes: first user, shop, mail, automation, restock, mail, run.

Nothing is prepared behind the site's back: the service starts empty, the bundled shop has one hidden product.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import DESK
from tests.real_processes import (
    DOMAIN,
    READY_LIMIT_S,
    RunningShop,
    Service,
    answers,
    clean_environment,
    end,
    free_port,
    running_service,
    running_shop,
    wait_until,
)

pytestmark = pytest.mark.browser

TITLE, STAFF = "Lighthouse Study", "staff@real-shop.example"
CATALOGUE = {
    "locations": [{"name": "Toronto", "primary": True}],
    "products": [
        {
            "title": TITLE,
            "variants": [{"title": "Framed"}, {"title": "Unframed"}],
            "levels": 0,
            "published_on": [],
        }
    ],
}
_LIMIT_MS = 30_000


@dataclass(frozen=True, kw_only=True)
class Sink:
    """The mail sink as a process."""

    url: str
    smtp_port: int


@contextmanager
def running_sink(folder: Path) -> Iterator[Sink]:
    """A mail sink that answers; ended with the block."""
    port, smtp_port = free_port(), free_port()
    command = [sys.executable, "-m", "mail_sink", "--port", str(port), "--smtp-port", str(smtp_port)]
    with (folder / "sink.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment({}))
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(f"{url}/api/state"), limit_s=READY_LIMIT_S, what="the mail sink answers")
        yield Sink(url=url, smtp_port=smtp_port)
    finally:
        end(process)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    with running_sink(tmp_path) as running:
        yield running


@pytest.fixture
def shop() -> Iterator[RunningShop]:
    with running_shop(CATALOGUE) as running:
        yield running


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service({"STOCKWRIGHT_POLL_INTERVAL_S": "0.2", "STOCKWRIGHT_SWEEP_EVERY_S": "5"}) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, service: Service) -> Iterator[Page]:
    context = chromium.new_context(base_url=service.url, viewport=DESK)
    context.set_default_timeout(_LIMIT_MS)
    yield context.new_page()
    context.close()


def test_from_the_link_of_the_first_start_to_a_published_product_and_its_mail(
    page: Page, service: Service, shop: RunningShop, sink: Sink
) -> None:
    make_the_first_user_and_sign_in_again(page, service)
    add_the_shop(page, shop)
    point_mail_at(page, sink)
    install_publishing(page)
    look_at_the_preview_and_switch_on(page)
    assert published(shop) == []

    restock(page.context.new_page(), shop)
    wait_until(lambda: published(shop), limit_s=READY_LIMIT_S, what="the shop shows the product as published")

    mail_page = read_the_mail(page.context.new_page(), sink)
    with page.context.expect_page() as opened:
        mail_page.frame_locator("iframe").get_by_role("link", name="See the run").click()
    read_the_story(opened.value, service)
    see_it_on_the_mail_page(page)


def make_the_first_user_and_sign_in_again(page: Page, service: Service) -> None:
    link = re.search(r"http\S+/setup/\S+", service.log.read_text())
    assert link is not None, service.log.read_text()
    page.goto(link.group())
    page.get_by_label("Your name").fill("ann")
    page.get_by_label("Password", exact=True).fill("four plain words here")
    page.get_by_label("Password, again").fill("four plain words here")
    page.get_by_role("button", name="Make the user and sign in").click()
    expect(page.get_by_role("heading", name="Connect your first shop")).to_be_visible()
    page.locator(".account summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill("four plain words here")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()


def add_the_shop(page: Page, shop: RunningShop) -> None:
    page.get_by_role("link", name="Add a shop").click()
    page.get_by_label("Shop domain").fill(DOMAIN)
    page.get_by_label("Access token Of a custom app").check()
    page.get_by_label("Admin API access token").fill(shop.access_token)
    page.get_by_label("Webhook signing secret").fill(shop.webhook_secret)
    page.get_by_text("More", exact=True).first.click()
    page.get_by_label("Address of the Admin API").fill(shop.url)
    page.get_by_role("button", name="Check and add").click()
    expect(page.get_by_role("status").first).to_contain_text("added")


def point_mail_at(page: Page, sink: Sink) -> None:
    page.goto("/mail/settings")
    page.get_by_label("A mail server of the shop's own").check()
    page.get_by_label("Server", exact=True).fill("127.0.0.1")
    page.get_by_label("Port", exact=True).fill(str(sink.smtp_port))
    page.get_by_label("Security").select_option("none")
    page.get_by_label("Sender's address").fill("stock@real-shop.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved.")


def install_publishing(page: Page) -> None:
    page.goto("/automations")
    page.get_by_role("link", name="Choose an automation").click()
    page.get_by_role("link", name=re.compile("Set up: Publish")).click()
    page.get_by_label("Online Store").check()
    page.get_by_label("Staff mail address").fill(STAFF)
    page.get_by_role("button", name="Install the automation").click()
    expect(page.get_by_role("status").first).to_contain_text("It is off")


def look_at_the_preview_and_switch_on(page: Page) -> None:
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_text("0 would be changed")).to_be_visible()
    expect(page.get_by_text(TITLE)).to_be_visible()
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("is on.")).to_be_visible()


def restock(shop_page: Page, shop: RunningShop) -> None:
    shop_page.goto(shop.url)
    shop_page.get_by_text("Edit stock").first.click()
    shop_page.get_by_label("Toronto").first.fill("7")
    shop_page.get_by_role("button", name="Save").first.click()
    expect(shop_page.get_by_text(f"{TITLE} (Framed): 1 level changed.")).to_be_visible()


def published(shop: RunningShop) -> list[str]:
    [product] = shop.state()["products"]
    names: list[str] = product["published_on"]
    return names


def read_the_mail(sink_page: Page, sink: Sink) -> Page:
    wait_until(
        lambda: sink_page.request.get(f"{sink.url}/api/mails?to={STAFF}").json(),
        limit_s=READY_LIMIT_S,
        what="the staff mail is in the sink",
    )
    sink_page.goto(sink.url)
    expect(sink_page.locator(".mails li")).to_have_count(1)
    sink_page.get_by_role("link", name=re.compile(TITLE)).click()
    mail = sink_page.frame_locator("iframe")
    expect(mail.get_by_role("link", name=TITLE)).to_be_visible()
    expect(mail.get_by_text("Published on Online Store")).to_be_visible()
    return sink_page


def read_the_story(run_page: Page, service: Service) -> None:
    """The run that mailed, behind the mail's link; then the one that published, found among the runs."""
    assert run_page.url.startswith(f"{service.url}/runs/run_")
    expect(run_page.get_by_role("heading", name="Staff mail")).to_be_visible()
    expect(what_it_did(run_page)).to_contain_text(f"mail to {STAFF} about {TITLE}", ignore_case=True)
    run_page.get_by_role("link", name="Runs").first.click()
    run_page.get_by_role("row", name=re.compile("Online Store")).get_by_role("link", name=TITLE).click()
    expect(run_page.get_by_role("heading", level=1)).to_have_text(TITLE)
    causes = run_page.locator("section", has=run_page.get_by_role("heading", name="Because of"))
    expect(causes).to_contain_text("a stock level changed in the shop", ignore_case=True)
    expect(what_it_did(run_page)).to_contain_text("publish to Online Store", ignore_case=True)


def what_it_did(page: Page) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name="What it did"))


def see_it_on_the_mail_page(page: Page) -> None:
    page.get_by_role("link", name="Mail", exact=True).click()
    row = page.get_by_role("row", name=re.compile(STAFF))
    expect(row).to_have_count(1)
    expect(row).to_contain_text(TITLE)
    expect(row).to_contain_text("sent")
