"""Home in a real browser: empty, with troubles, with charts that say what their tables say, without scripts."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.seeding import fill
from tests.browser.site import RunningSite, running_site

pytestmark = pytest.mark.browser


@pytest.fixture
def site(database: str):
    with running_site(database) as running:
        fill(running)
        running.execute("update pools set status = 'frozen' where pool_id = (select min(pool_id) from pools)")
        yield running


def count(site: RunningSite, what: str) -> int:
    ((found,),) = site.execute(f"select coalesce({what}, 0)::int from pools")
    return int(found)


def test_troubles_are_told_worst_first_with_numbers_that_agree(signed_in: Page, site: RunningSite) -> None:
    frozen, assumed = count(site, "count(*) filter (where status = 'frozen')"), count(site, "sum(assumed)")
    ((waiting,),) = site.execute(
        "select count(*) from subscribers where state in ('unconfirmed', 'pending', 'queued')"
    )
    shop = signed_in.get_by_role("region", name="Demo Prints")
    told = shop.locator(".troubles li").all_inner_texts()
    assert [text.split()[0] for text in told] == [str(frozen), "3", "1", str(assumed)]
    assert "frozen until you decide" in told[0]
    assert "failed in the last 24 hours." in told[1]
    assert "request about people's data waits" in told[2]
    assert "booked as applied" in told[3]
    stats = shop.locator(".stats > div").all_inner_texts()
    assert [" ".join(text.split()) for text in stats][2:7] == [
        "Failed runs, 24 h 3",
        f"People waiting {waiting}",
        f"Shared stocks {count(site, 'count(*)'):,}",
        f"Frozen {frozen}",
        f"Assumed {assumed}",
    ]


def test_a_trouble_leads_to_the_page_where_it_ends(signed_in: Page) -> None:
    signed_in.get_by_role("link", name="Decide").click()
    expect(signed_in).to_have_url(re.compile("/stock.*state=frozen"))
    expect(signed_in.get_by_role("heading", name="Stock", exact=True)).to_be_visible()


def test_a_chart_draws_what_its_table_says(signed_in: Page) -> None:
    drawn = signed_in.evaluate("Chart.getChart(document.querySelectorAll('canvas')[1]).data.datasets[0].data")
    rows = signed_in.locator("#table-day tbody tr")
    table = [int(text.replace(",", "")) for text in rows.locator("td:nth-child(3)").all_inner_texts()]
    assert drawn == table[::-1]
    assert len(drawn) == 24
    assert sum(drawn) > 0
    total = signed_in.locator("#table-day tfoot td").nth(1).inner_text()
    assert int(total.replace(",", "")) == sum(drawn)


def test_charts_of_one_shop_leave_the_others_out(signed_in: Page) -> None:
    signed_in.get_by_label("Charts of").select_option(label="quiet-corner.myshopify.com")
    signed_in.get_by_role("button", name="Show").click()
    expect(signed_in.locator("#table-month tfoot td").first).to_have_text("0")


def test_the_page_tells_of_a_frozen_stock_without_being_loaded_again(
    signed_in: Page, site: RunningSite
) -> None:
    site.execute("update pools set status = 'active' where status = 'frozen'")
    signed_in.evaluate("htmx.ajax('GET', '/', {target: '#live', select: '#live', swap: 'outerHTML'})")
    expect(signed_in.get_by_text("frozen until you decide")).to_have_count(0)
    expect(signed_in.get_by_role("region", name="Demo Prints")).to_be_visible()


def test_everything_is_there_without_scripts(open_page) -> None:
    page = sign_in(open_page(java_script_enabled=False))
    expect(page.get_by_role("region", name="Demo Prints")).to_contain_text("frozen until you decide")
    expect(page.locator("#table-day tbody tr")).to_have_count(24)
    expect(page.locator(".minis").first).to_be_hidden()
