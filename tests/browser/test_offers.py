"""Offers in a real browser: made, filled from the shop, activated, explained, ended; wrong input; the free plan."""

import pytest
from playwright.sync_api import Page, expect

from stockwright.notify.offers import Terms, Verb
from tests.browser.conftest import PHONE, overflow, serious_findings, sign_in
from tests.browser.offered import add_goods, enable_notify, make_offer
from tests.browser.site import RunningSite

pytestmark = pytest.mark.browser


@pytest.fixture
def shop_id(site: RunningSite) -> int:
    number = site.add_shop()
    add_goods(site, "Coat", Black=0, Sand=4)
    add_goods(site, "Lamp", Brass=0)
    return number


def offer_row(site: RunningSite) -> dict[str, object]:
    names = ("name", "status", "pause_reason", "mode", "auto_disable", "starts_at", "limit_total")
    [row] = site.execute(f"select {', '.join(names)} from offers")
    return dict(zip(names, row, strict=True))


def test_without_a_shop_the_page_leads_to_adding_one(signed_in: Page) -> None:
    signed_in.goto("/offers")
    signed_in.get_by_role("link", name="Add a shop").click()
    assert signed_in.url.endswith("/settings/shops/add")


def test_an_offer_is_made_filled_activated_explained_and_ended(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    page = signed_in
    enable_notify(site, shop_id)
    page.goto("/offers")
    page.get_by_role("link", name="Make an offer").click()
    page.get_by_label("Name", exact=True).fill("Spring coats")
    page.get_by_label("Auto-disable when back in stock").check()
    page.get_by_role("button", name="Make the offer").click()
    expect(page.get_by_role("status").first).to_contain_text("Spring coats is made")

    page.get_by_label("Products of the shop").fill("coat")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Lamp")).to_have_count(0)
    page.get_by_label("Coat all variants").check()
    page.get_by_role("button", name="Add what is ticked").click()
    expect(page.get_by_role("status").first).to_contain_text("Added 1.")

    page.get_by_role("link", name="Activate …").click()
    page.get_by_role("button", name="Activate the offer").click()
    expect(page.get_by_role("status").first).to_contain_text("'Spring coats' is active.")
    assert (offer_row(site)["status"], offer_row(site)["auto_disable"]) == ("active", True)

    page.get_by_role("link", name="Shown or not, and why").click()
    black = page.get_by_role("row", name="Black")
    expect(black).to_contain_text("is active and it is out of stock: 0 available.")
    expect(page.get_by_role("row", name="Sand")).to_contain_text("It is in stock: 4 available.")

    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Spring coats").click()
    page.get_by_role("link", name="Pause …").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert offer_row(site)["status"] == "active"
    page.get_by_role("link", name="Pause …").click()
    page.get_by_role("button", name="Pause the offer").click()
    expect(page.get_by_text("by hand")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("link", name="End …").click()
    expect(page.get_by_role("dialog")).to_contain_text("Nobody waits under it.")
    page.get_by_role("button", name="End the offer").click()
    assert offer_row(site)["status"] == "completed"
    done = page.get_by_role("region", name="What was done").get_by_role("listitem").locator("strong")
    expect(done).to_have_text(["Ended", "Resumed", "Paused", "Activated", "Products added", "Made"])
    page.get_by_role("link", name="Delete …").click()
    page.get_by_role("button", name="Delete the offer").click()
    expect(page.get_by_role("heading", name="No offers yet")).to_be_visible()
    deeds = [
        row[0]
        for row in site.execute(
            "select action from audit_log where user_name = 'ann' and action like 'offer.%%'"
        )
    ]
    assert sorted(deeds) == sorted(
        f"offer.{verb}"
        for verb in ("create", "add_items", "activate", "pause", "resume", "complete", "delete")
    )


def test_single_variants_are_chosen_and_taken_out_without_scripts(
    site: RunningSite, open_page, shop_id: int
) -> None:
    page = sign_in(open_page(java_script_enabled=False, viewport=PHONE))
    row = make_offer(site, shop_id, Terms(name="Coats"))
    page.goto(f"/offers/{row.offer_id}/products")
    page.locator("summary", has_text="Only some variants").click()
    page.get_by_label("Black", exact=True).check()
    page.get_by_role("button", name="Add what is ticked").click()
    expect(page.get_by_role("row", name="Coat")).to_contain_text("Black")
    page.get_by_role("link", name="Activate …").click()
    expect(page.get_by_role("heading", name="Activate Coats?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Take out Coat Black").click()
    expect(page.get_by_text("It has no products yet.")).to_be_visible()
    expect(page.get_by_role("link", name="Activate …")).to_have_count(0)


def test_wrong_input_is_told_at_its_field_and_nothing_is_saved(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    page = signed_in
    page.goto(f"/offers/add?shop={shop_id}")
    page.get_by_label("Name", exact=True).evaluate("field => field.removeAttribute('required')")
    page.get_by_label("Always").check()
    page.get_by_label("Auto-disable when back in stock").check()
    page.get_by_label("Start").fill("2027-02-01T09:00")
    page.get_by_label("End").fill("2027-01-01T09:00")
    page.get_by_role("button", name="Make the offer").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved.")
    expect(page.locator("#e-name")).to_have_text("Fill this in.")
    page.get_by_label("Name", exact=True).fill("Spring")
    page.get_by_role("button", name="Make the offer").click()
    expect(page.get_by_role("alert")).to_contain_text("2 entries below need another look")
    expect(page.locator("#e-ends_at")).to_contain_text("The end is not after the start.")
    expect(page.get_by_label("End")).to_have_value("2027-01-01T09:00")
    expect(page.locator("#e-auto_disable")).to_contain_text("works only with the mode")
    assert serious_findings(page) == []
    assert site.execute("select count(*) from offers") == [(0,)]


def test_times_are_the_shops_and_survive_an_edit(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    site.execute("update shops set timezone = 'America/New_York'")
    page = signed_in
    page.goto(f"/offers/add?shop={shop_id}")
    page.get_by_label("Name", exact=True).fill("Spring")
    page.get_by_label("Start").fill("2027-02-01T09:00")
    page.get_by_role("button", name="Make the offer").click()
    page.wait_for_url("**/products")
    assert str(offer_row(site)["starts_at"]) == "2027-02-01 14:00:00+00:00"
    page.get_by_role("link", name="Done (0 chosen)").click()
    expect(page.get_by_text("2027-02-01 09:00")).to_be_visible()
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Start")).to_have_value("2027-02-01T09:00")
    page.get_by_role("button", name="Save the changes").click()
    assert str(offer_row(site)["starts_at"]) == "2027-02-01 14:00:00+00:00"


def test_two_who_edit_at_once_do_not_undo_each_other(site: RunningSite, open_page, shop_id: int) -> None:
    row = make_offer(site, shop_id, Terms(name="Spring"))
    first, second = sign_in(open_page()), sign_in(open_page())
    for page, name in ((first, "Mine"), (second, "Yours")):
        page.goto(f"/offers/{row.offer_id}/edit")
        page.get_by_label("Name", exact=True).fill(name)
    first.get_by_role("button", name="Save the changes").click()
    first.wait_for_url(f"**/offers/{row.offer_id}")
    second.get_by_role("button", name="Save the changes").click()
    expect(second.get_by_role("alert")).to_contain_text("changed by somebody else meanwhile")
    expect(second.get_by_label("Name", exact=True)).to_have_value("Yours")
    assert offer_row(site)["name"] == "Mine"


def test_the_free_plan_is_said_on_every_page_of_offers(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    page = signed_in
    row = make_offer(site, shop_id, Terms(name="Spring"))
    page.goto(f"/settings/shops/{shop_id}")
    page.get_by_role("radio", name="Free No back-in-stock").check()
    page.get_by_role("button", name="Change the plan").click()
    for path in ("/offers", "/offers/add", f"/offers/{row.offer_id}", f"/offers/{row.offer_id}/edit"):
        page.goto(path)
        expect(page.get_by_text("is on the free plan").first).to_be_visible()
    assert overflow(page) == 0


def test_a_limit_without_the_scope_for_orders_is_said(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    site.execute("update shops set scopes = array['read_products']")
    [coat] = [one.gid for one in site.shop.state.products.values() if one.title == "Coat"]
    row = make_offer(site, shop_id, Terms(name="Spring", limit_total=5), coat)
    signed_in.goto(f"/offers/{row.offer_id}/{Verb.ACTIVATE.value}")
    signed_in.get_by_role("button", name="Activate the offer").click()
    expect(signed_in.get_by_text("was not granted read_orders").first).to_be_visible()
