"""Runs in a real browser: filter, search, pages, one run as a story, retry, cancel."""

import csv
import io

import pytest
from playwright.sync_api import Page, expect

from stockwright.store.automations import AutomationRow
from tests.browser.automated import ACROSS, TAG, add_product, install, until_quiet, working
from tests.browser.site import RunningSite

pytestmark = pytest.mark.browser


@pytest.fixture
def row(site: RunningSite) -> AutomationRow:
    """An automation that has corrected one product."""
    shop_id = site.add_shop()
    add_product(site, "Harbour", levels=(12, 9))
    add_product(site, "Lighthouse", levels=(4, 4))
    options = {"product_tags": [TAG], "unequal_at_start": "take_lowest"}
    found = install(site, shop_id, ACROSS, options=options, name="Prints")
    with working(site):
        until_quiet(site)
    return found


def add_runs(site: RunningSite, row: AutomationRow, count: int, state: str = "failed") -> None:
    site.execute(
        "insert into runs (shop_id, run_id, automation_id, kind, subject, title, state, because, started_at, finished_at)"
        " select %s, 'run_0' || lpad(n::text, 6, '0'), %s, %s, '*', 'Poster ' || n, %s, 'Made for a test.', now(), now()"
        " from generate_series(1, %s) n",
        row.shop_id, row.automation_id, row.kind, state, count,
    )  # fmt: skip


def titles(page: Page) -> list[str]:
    return page.locator("tbody th a").all_inner_texts()


def test_before_the_first_run_the_page_says_what_will_be_there(signed_in: Page) -> None:
    signed_in.goto("/runs")
    expect(signed_in.get_by_role("heading", name="No run yet")).to_be_visible()


def test_a_run_is_told_from_its_cause_to_shopifys_reply(
    site: RunningSite, signed_in: Page, row: AutomationRow
) -> None:
    signed_in.goto("/runs")
    signed_in.get_by_role("link", name="Harbour").click()
    for heading, text in {
        "What it decided": "correcting Framed 12 → 9",
        "Because of": "A look at many products found this one",
        "What it read": "Framed at Toronto: 12",
        "What it did": "Attempt 1",
        "In the stock's history": "Framed corrected 12 → 9 (Shopify confirmed it)",
    }.items():
        expect(signed_in.get_by_role("region", name=heading)).to_contain_text(text)


def test_runs_are_filtered_searched_paged_and_downloaded(
    site: RunningSite, signed_in: Page, row: AutomationRow
) -> None:
    add_runs(site, row, 120)
    signed_in.goto("/runs")
    signed_in.get_by_label("State").select_option("failed")
    signed_in.get_by_role("button", name="Show").click()
    seen = titles(signed_in)
    for _ in range(2):
        signed_in.get_by_role("link", name="Older").click()
        seen += titles(signed_in)
    assert seen == [f"Poster {number}" for number in range(120, 0, -1)]
    expect(signed_in.get_by_role("link", name="Older")).to_have_count(0)
    with signed_in.expect_download() as download:
        signed_in.get_by_role("link", name="Download CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [one["about"] for one in rows] == seen

    signed_in.goto("/runs")
    signed_in.get_by_label("Product, subject or reason").fill("hArBour")
    signed_in.get_by_role("button", name="Show").click()
    assert titles(signed_in) == ["Harbour"]
    signed_in.goto("/runs?q=%3Cscript%3Ealert(1)%3C/script%3E&state=nonsense&before=nothing&shop=x")
    expect(signed_in.get_by_role("heading", name="No run matches")).to_be_visible()
    expect(signed_in.get_by_label("Product, subject or reason")).to_have_value("<script>alert(1)</script>")


def test_a_run_is_tried_again(site: RunningSite, signed_in: Page, row: AutomationRow) -> None:
    add_runs(site, row, 1)
    signed_in.goto("/runs/run_0000001")
    with working(site):
        signed_in.get_by_role("button", name="Try again").click()
        expect(signed_in.get_by_role("heading", name="It has run")).to_be_visible()
    assert site.execute("select user_name, target from audit_log where action = 'run.repeat'") == [
        ("ann", "Poster 1")
    ]


def test_a_run_that_goes_on_is_cancelled_after_a_question(
    site: RunningSite, signed_in: Page, row: AutomationRow
) -> None:
    add_runs(site, row, 1, "running")
    signed_in.goto("/runs/run_0000001")
    expect(signed_in.get_by_role("button", name="Try again")).to_have_count(0)
    signed_in.get_by_role("link", name="Cancel …").click()
    signed_in.get_by_role("button", name="Stop the run").click()
    expect(signed_in.get_by_role("region", name="What it decided")).to_contain_text("Cancelled by ann")
    assert site.execute("select state from runs where run_id = 'run_0000001'") == [("cancelled",)]


def test_a_run_that_is_gone_says_so(site: RunningSite, signed_in: Page) -> None:
    answer = signed_in.goto("/runs/run_never")
    assert answer is not None and answer.status == 404
    expect(signed_in.get_by_text("Old runs are deleted after a while.")).to_be_visible()
