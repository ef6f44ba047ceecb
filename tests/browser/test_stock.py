"""Stock in a real browser: the list, a stock's history, ending a freeze, reviewing, and what wrong input gets."""

import re

import pytest
from playwright.sync_api import Page, expect

from stockwright.ledger.state import Outcome
from tests.browser.conftest import PHONE, overflow, serious_findings, sign_in
from tests.browser.site import RunningSite
from tests.browser.stocks import Story, add_automation, assumed_story, at, frozen_story

pytestmark = pytest.mark.browser

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def shop_id(site: RunningSite) -> int:
    made = site.add_shop()
    add_automation(site, made)
    return made


def keep(site: RunningSite, shop_id: int, *stories: Story) -> None:
    for story in stories:
        site.run(lambda deps, story=story: story.save(deps, shop_id))


def plain(site: RunningSite, name: str = "pool_plain", **given: str) -> Story:
    story = Story(
        pool_id=name,
        title=given.pop("title", "Harbour"),
        names=["Framed", "Unframed"],
        at=at(site, minutes=60),
        **given,
    )  # type: ignore[arg-type]
    return story.adopted(12).sold("Framed", 2)


def test_an_empty_list_says_why_and_what_to_do(signed_in: Page) -> None:
    signed_in.goto("/stock")
    expect(signed_in.get_by_role("heading", name="No stock is shared yet")).to_be_visible()
    expect(signed_in.get_by_role("link", name="Add a shop")).to_be_visible()
    assert serious_findings(signed_in) == []


def test_frozen_stocks_come_first_and_filters_narrow_the_list(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    stories = [plain(site, f"pool_{n:02}", title=f"Poster {n}") for n in range(3)]
    keep(site, shop_id, *stories, frozen_story(at(site, minutes=60)), assumed_story(at(site, minutes=60)))
    signed_in.goto("/stock")
    rows = signed_in.locator("tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("Nyhavn at dawn")
    expect(rows.first).to_contain_text("Unframed +2")
    signed_in.get_by_label("Show").select_option("assumed")
    signed_in.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Bicycles & rain")
    signed_in.goto("/stock")
    signed_in.get_by_label("Product").fill("poster 2")
    signed_in.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    signed_in.get_by_label("Product").fill("nothing like that")
    signed_in.get_by_role("button", name="Show").click()
    expect(signed_in.get_by_role("heading", name="No stock fits")).to_be_visible()


def test_a_stock_tells_its_history_in_the_shops_time(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    keep(site, shop_id, plain(site))
    signed_in.goto("/stock")
    signed_in.get_by_role("link", name="Harbour").click()
    history = signed_in.locator("section", has=signed_in.get_by_role("heading", name="How it came"))
    line = history.locator("tr", has_text="Unframed corrected 12 → 10")
    expect(line).to_contain_text("sale or edit of −2 on Framed: 12 → 10")
    expect(history).to_contain_text("America/Toronto")
    expect(signed_in.get_by_role("row", name="Unframed").first).to_contain_text("none")


def test_a_freeze_is_ended_by_an_answer_after_its_numbers_were_shown(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    keep(site, shop_id, frozen_story(at(site, minutes=60)))
    signed_in.goto("/stock/pool_frozen")
    card = signed_in.locator("section", has=signed_in.get_by_role("heading", name="waits for your decision"))
    expect(card).to_contain_text("Then the shared stock is 8")
    expect(card).to_contain_text("Then the shared stock is 6")
    expect(card).not_to_contain_text("item 1")  # levels have names
    assert serious_findings(signed_in) == []
    signed_in.get_by_role("link", name=re.compile("^Not.applied")).click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog).to_contain_text("The shared stock becomes 6")
    dialog.get_by_role("button", name="Book it as not applied").click()
    expect(signed_in.get_by_role("status")).to_contain_text("Booked for Nyhavn at dawn")
    expect(signed_in.get_by_text("ann decided: was not applied")).to_be_visible()
    expect(signed_in.get_by_role("heading", name="waits for your decision")).to_have_count(0)


def test_a_wrong_number_for_a_fresh_start_is_told_at_its_field(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    keep(site, shop_id, frozen_story(at(site, minutes=60)))
    signed_in.goto("/stock/pool_frozen")
    signed_in.get_by_label("True shared stock").fill("a dozen")
    signed_in.get_by_role("button", name="Start anew …").click()
    expect(signed_in.get_by_label("True shared stock")).to_have_attribute("aria-invalid", "true")
    expect(signed_in.get_by_text("Give a number.")).to_be_visible()
    expect(signed_in.get_by_label("True shared stock")).to_have_value("a dozen")


def test_assumed_outcomes_are_taken_off_the_list(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    keep(site, shop_id, assumed_story(at(site, minutes=60)))
    signed_in.goto("/stock/pool_assumed")
    signed_in.get_by_role("button", name="I have reviewed this").click()
    expect(signed_in.get_by_role("status")).to_contain_text("you reviewed 1 assumed outcome.")
    expect(signed_in.get_by_text("ann reviewed 1 assumed outcomes")).to_be_visible()
    signed_in.goto("/stock?state=assumed")
    expect(signed_in.get_by_role("heading", name="No stock fits")).to_be_visible()


def test_titles_that_hold_markup_are_shown_as_text(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    at_hour = at(site, minutes=60)
    evil = Story(pool_id="pool_evil", title=EVIL, names=["Framed", EVIL], at=at_hour)
    keep(site, shop_id, evil.adopted(5).sold("Framed", 2).sold("Framed", 2, answer=Outcome.UNKNOWN).waited())
    for path in ("/stock", "/stock/pool_evil", "/stock/pool_evil/resolve?answer=was_applied"):
        signed_in.goto(path)
        expect(signed_in.locator("main")).to_contain_text("<script>alert(1)</script>")
        assert signed_in.locator("main img, main script").count() == 0


def test_a_phone_shows_every_stock_page_without_scrolling_sideways(
    site: RunningSite, open_page, shop_id: int
) -> None:
    long = "x" * 120
    keep(site, shop_id, plain(site, title=long), frozen_story(at(site, minutes=60)))
    page = sign_in(open_page(viewport=PHONE))
    for path in (
        "/stock",
        "/stock/pool_plain",
        "/stock/pool_frozen",
        "/stock/pool_frozen/resolve?answer=was_applied",
    ):
        page.goto(path)
        assert overflow(page) == 0
        assert serious_findings(page) == []
