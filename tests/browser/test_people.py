"""People in a real browser: the list, one person's story, bulk actions, import, demand, privacy; and wrong input."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, overflow, serious_findings, sign_in
from tests.browser.people import add_failed_mail, add_person, add_waiting_product, fill_people, go_on
from tests.browser.site import RunningSite

pytestmark = pytest.mark.browser


@pytest.fixture
def shop_id(site: RunningSite) -> int:
    return site.add_shop()


def test_an_empty_list_says_how_people_get_here(signed_in: Page, shop_id: int) -> None:
    signed_in.goto("/subscribers")
    expect(signed_in.get_by_role("heading", name="No subscribers yet")).to_be_visible()
    expect(signed_in.get_by_text("press “Notify me”")).to_be_visible()
    assert serious_findings(signed_in) == []


def test_without_a_shop_every_page_says_what_comes_first(signed_in: Page) -> None:
    for path in ("/subscribers", "/demand", "/subscriber-imports"):
        signed_in.goto(path)
        expect(signed_in.get_by_role("link", name="Add a shop")).to_be_visible()


def test_people_are_found_by_filters_and_by_what_they_wait_for(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    fill_people(site, shop_id)
    signed_in.goto("/subscribers")
    rows = signed_in.locator("tbody tr")
    expect(rows).to_have_count(50)
    signed_in.get_by_label("Address").fill("NO.SUCH")
    signed_in.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Failed")
    signed_in.goto("/subscribers?q=shopper.1@")
    signed_in.locator("tbody td[data-label=Product] a").first.click()
    expect(signed_in.locator(".chip")).to_contain_text("Variant:")
    title = rows.first.locator("td[data-label=Product] a").inner_text()
    for row in rows.all():
        expect(row).to_contain_text(title)
    signed_in.get_by_label("Show every variant").click()
    expect(signed_in.locator(".chip")).to_have_count(0)
    signed_in.get_by_label("Address").fill("nobody.at.all@")
    signed_in.get_by_role("button", name="Show").click()
    expect(signed_in.get_by_role("heading", name="Nobody fits")).to_be_visible()


def test_a_persons_page_tells_why_and_erases_after_a_question(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    one = add_person(site, shop_id, 1, state="failed", message_id="msg_sub_000001", reason="Refused.")
    add_failed_mail(site, shop_id, one, "shopper1@example.com")
    signed_in.goto("/subscribers")
    signed_in.get_by_role("link", name="shopper1@example.com").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("550 5.1.1 No such user")
    expect(signed_in.get_by_text("was refused: the server does not take mail")).to_be_visible()
    assert serious_findings(signed_in) == []
    signed_in.get_by_role("link", name="Erase …").click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog).to_contain_text("It cannot be undone")
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_have_count(0)
    signed_in.get_by_role("link", name="Erase …").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Erase this person").click()
    expect(signed_in.get_by_role("status").first).to_contain_text("Erased: 1 request and 1 mail.")
    expect(signed_in.get_by_text("shopper1@example.com")).to_have_count(0)


def test_ticked_people_are_cancelled_and_nothing_ticked_is_said(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    for no in (1, 2, 3):
        add_person(site, shop_id, no)
    signed_in.goto("/subscribers")
    signed_in.get_by_role("button", name="Cancel …").click()
    expect(signed_in.get_by_role("status").first).to_contain_text("Tick the people first")
    signed_in.get_by_label("Choose shopper1@example.com").check()
    signed_in.get_by_label("Choose shopper3@example.com").check()
    signed_in.get_by_role("button", name="Cancel …").click()
    expect(signed_in.get_by_role("heading", name="Cancel the waiting of 2 people?")).to_be_visible()
    signed_in.get_by_role("button", name="Cancel it").click()
    expect(signed_in.get_by_role("status").first).to_contain_text("Cancelled for 2 people.")
    expect(signed_in.get_by_text("ann cancelled it.")).to_have_count(2)
    signed_in.get_by_role("link", name="Send all again …").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Send again").click()
    expect(signed_in.get_by_role("status").first).to_contain_text("for 2 people. Left as they are: 1.")


def test_a_file_is_checked_then_imported_while_the_page_follows(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    _product, variant = add_waiting_product(site, "Poster", "A")
    number = variant.rsplit("/", 1)[1]
    signed_in.goto("/subscriber-imports")
    text = f"email,variant_id\nann@example.com,{number}\nbob@example.com,{number}\nnobody,{number}\n"
    signed_in.get_by_label("CSV file").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": text.encode()}
    )
    signed_in.get_by_role("button", name="Check the file").click()
    expect(signed_in.get_by_role("heading", name="Being checked")).to_be_visible()
    go_on(site)
    expect(signed_in.get_by_role("heading", name="Import 2 people")).to_be_visible()
    expect(signed_in.get_by_role("row", name=re.compile("4 This is not a mail address"))).to_be_visible()
    assert serious_findings(signed_in) == []
    signed_in.get_by_role("button", name="Import 2 people").click()
    expect(signed_in.get_by_role("heading", name="Being imported")).to_be_visible()
    go_on(site)
    expect(signed_in.get_by_text("2 people were added.")).to_be_visible()
    signed_in.get_by_role("link", name="See subscribers").click()
    expect(signed_in.locator("tbody tr")).to_have_count(2)


def test_a_file_without_the_needed_columns_is_told_at_its_field(signed_in: Page, shop_id: int) -> None:
    signed_in.goto("/subscriber-imports")
    field = signed_in.get_by_label("CSV file")
    field.set_input_files({"name": "x.csv", "mimeType": "text/csv", "buffer": b"name,age\nAnn,9"})
    signed_in.get_by_role("button", name="Check the file").click()
    expect(signed_in.get_by_text("Missing: email, variant_id. Found: name, age.")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")


def test_demand_is_charted_beside_its_numbers(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    fill_people(site, shop_id)
    signed_in.goto("/demand")
    expect(signed_in.locator("canvas")).to_be_visible()
    expect(signed_in.locator("#table-top tbody tr")).to_have_count(4)
    signed_in.get_by_label("Order").select_option("revenue")
    signed_in.get_by_role("button", name="Show").click()
    first = signed_in.locator("table.data tbody tr").first
    expect(first).to_contain_text("120.00 CAD")
    first.get_by_role("link").click()
    expect(signed_in.locator(".chip")).to_contain_text("Harbour at dawn")
    assert signed_in.locator("tbody tr").count() > 0


def test_privacy_requests_are_worked_off(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    add_person(site, shop_id, 1)
    site.execute(
        "insert into compliance_requests (shop_id, request_id, domain, topic, received_at, due_at, note, data)"
        " values (%s, 'prv_1', 'prints.myshopify.com', 'shopify/customers/data_request', now(),"
        " now() + interval '20 days', 'Download the file and give it to the customer.', %s)",
        shop_id,
        site.deps.mailing.seal_password('{"subscriptions": []}'),
    )
    signed_in.goto("/")
    signed_in.get_by_role("link", name="See what to do").click()
    expect(signed_in.get_by_text("waits for you")).to_be_visible()
    with signed_in.expect_download() as download:
        signed_in.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "customer-data.json"
    signed_in.reload()
    expect(signed_in.get_by_text("done", exact=True)).to_be_visible()
    signed_in.get_by_label("Mail address").fill("nobody")
    signed_in.get_by_role("button", name="Erase …").click()
    expect(signed_in.get_by_label("Mail address")).to_have_attribute("aria-invalid", "true")
    signed_in.get_by_label("Mail address").fill("shopper1@example.com")
    signed_in.get_by_role("button", name="Erase …").click()
    signed_in.get_by_role("button", name="Erase this person").click()
    expect(signed_in.get_by_role("status").first).to_contain_text("Erased: 1 request")


def test_the_pages_work_on_a_phone_by_keyboard(site: RunningSite, open_page, shop_id: int) -> None:
    fill_people(site, shop_id)
    page = sign_in(open_page(viewport=PHONE))
    for path in ("/subscribers", "/demand", "/subscriber-imports", "/subscribers/sub_000900"):
        page.goto(path)
        assert overflow(page) == 0, path
    page.goto("/subscribers")
    page.get_by_label("Choose old").first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Cancel …").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Cancel the waiting of one person?")).to_be_visible()
    assert serious_findings(page) == []
