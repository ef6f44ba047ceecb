"""Settings in a real browser: each tab's main path, wrong input at its field, confirmation with and without scripts."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import DOMAIN, PASSWORD, SHOP_TOKEN, RunningSite

pytestmark = pytest.mark.browser


def test_a_shop_is_added_checked_paused_resumed_and_removed(signed_in: Page, site: RunningSite) -> None:
    page = signed_in
    page.get_by_role("link", name="Add a shop").click()
    page.get_by_label("Shop domain").fill(DOMAIN.removesuffix(".myshopify.com"))
    page.get_by_label("Access token", exact=False).first.check()
    page.get_by_label("Admin API access token").fill(SHOP_TOKEN)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Address of the Admin API").fill(site.shop_url)
    page.get_by_role("button", name="Check and add").click()
    expect(page.get_by_role("heading", name="Demo Prints")).to_be_visible()
    expect(page.get_by_text("America/Toronto")).to_be_visible()

    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("region", name="What the check found")).to_contain_text("Demo Prints answers")

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Nothing is done for this shop.")).to_be_visible()
    assert site.execute("select status from shops") == [("stopped",)]
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("is active. All its stocks are read again now.")).to_be_visible()

    page.get_by_role("link", name="Remove …").click()
    dialog = page.get_by_role("dialog", name=f"Remove {DOMAIN} from Stockwright?")
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("link", name="Remove …").click()
    dialog.get_by_role("button", name="Remove the shop").click()
    expect(page.get_by_text(f"{DOMAIN} is removed.")).to_be_visible()
    actions = [action for (action,) in site.execute("select action from audit_log order by entry_id")]
    assert actions == ["user.add", "shop.add", "shop.pause", "shop.resume", "shop.remove"]


def test_what_is_wrong_with_a_shop_is_said_at_its_field(signed_in: Page, site: RunningSite) -> None:
    page = signed_in
    page.goto("/settings/shops/add")
    page.get_by_label("Shop domain").fill("not a domain!")
    page.get_by_role("button", name="Check and add").click()
    expect(page.locator("#e-domain")).to_contain_text("is not the domain of a shop")
    expect(page.locator("#e-client_id")).to_have_text("Paste it here.")
    expect(page.get_by_label("Shop domain")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Shop domain")).to_have_value("not a domain!")

    page.get_by_label("Shop domain").fill(DOMAIN)
    page.get_by_label("Access token", exact=False).first.check()
    page.get_by_label("Admin API access token").fill("shpat_wrong")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Address of the Admin API").fill(site.shop_url)
    page.get_by_role("button", name="Check and add").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert site.execute("select count(*) from shops") == [(0,)]


def test_a_user_is_added_and_removed_and_wrong_input_is_told(signed_in: Page, open_page) -> None:
    page = signed_in
    page.goto("/settings/users/add")
    page.get_by_label("Name", exact=True).fill("Ann")
    page.get_by_label("First password", exact=True).fill("five words are better")
    page.get_by_label("First password, again").fill("five words are better")
    page.get_by_role("button", name="Add the user").click()
    expect(page.locator("#e-name")).to_contain_text("There is a user 'Ann' already")
    page.get_by_label("Name", exact=True).fill("bert")
    page.get_by_label("First password", exact=True).fill("five words are better")
    page.get_by_label("First password, again").fill("five words are better")
    page.get_by_role("button", name="Add the user").click()
    expect(page.get_by_role("rowheader", name="bert")).to_be_visible()

    bert = sign_in(open_page(), "bert", "five words are better")
    page.get_by_role("link", name="Remove bert").click()
    page.get_by_role("button", name="Remove the user").click()
    expect(page.get_by_text("bert is removed.")).to_be_visible()
    bert.goto("/")
    expect(bert.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_password_is_changed_with_the_old_one_as_proof(signed_in: Page, open_page) -> None:
    other = sign_in(open_page())
    page = signed_in
    page.goto("/settings/account")
    for current in ("wrong one entirely", PASSWORD):
        page.get_by_label("Current password").fill(current)
        page.get_by_label("New password", exact=True).fill("quite another sentence")
        page.get_by_label("New password, again").fill("quite another sentence")
        page.get_by_role("button", name="Change the password").click()
        if current != PASSWORD:
            expect(page.locator("#e-current")).to_have_text("This is not your current password.")
    expect(page.get_by_text("One other browser was signed out.")).to_be_visible()
    other.goto("/")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(other, password="quite another sentence")


def test_a_token_is_shown_once_and_revoked(signed_in: Page, site: RunningSite) -> None:
    page = signed_in
    page.goto("/settings/tokens")
    page.get_by_role("link", name="Create a token").last.click()
    page.get_by_label("Name").fill("till")
    page.get_by_label("It may").select_option("write")
    page.get_by_role("button", name="Create the token").click()
    shown = re.search(r"stockwright_[\w-]{40,}", page.locator(".copy code").inner_text())
    assert shown is not None
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("row", name="till")).to_contain_text("write")
    assert shown[0] not in page.content()
    assert shown[0].encode() not in site.execute("select token_hash from api_tokens")[0][0]
    page.get_by_role("link", name="Revoke till").click()
    page.get_by_role("button", name="Revoke the token").click()
    expect(page.get_by_role("row", name="till")).to_contain_text("revoked")


def test_confirmation_works_without_scripts(open_page, site: RunningSite) -> None:
    number = site.add_shop()
    page = sign_in(open_page(java_script_enabled=False))
    page.goto(f"/settings/shops/{number}")
    page.get_by_role("link", name="Remove …").click()
    expect(page.get_by_role("heading", name=f"Remove {DOMAIN} from Stockwright?")).to_be_visible()
    page.get_by_role("button", name="Remove the shop").click()
    expect(page.get_by_text(f"{DOMAIN} is removed.")).to_be_visible()


def test_the_rule_for_lost_answers_is_saved_and_written_down(signed_in: Page, site: RunningSite) -> None:
    signed_in.goto(f"/settings/shops/{site.add_shop()}")
    signed_in.get_by_label("Only what is certain").check()
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_label("Only what is certain")).to_be_checked()
    signed_in.goto("/settings/audit")
    row = signed_in.get_by_role("row", name=f"changed the shop {DOMAIN}")
    expect(row).to_contain_text("on unknown: certain")


def test_the_audit_log_has_pages(signed_in: Page, site: RunningSite) -> None:
    site.execute(
        "insert into audit_log (entry_id, at, user_name, action, target)"
        " select 'aud_0' || lpad(n::text, 4, '0'), now(), 'x', 'run.retry', 'run ' || n from generate_series(1, 120) n"
    )
    signed_in.goto("/settings/audit?about=run")
    expect(signed_in.locator("tbody tr")).to_have_count(50)
    expect(signed_in.get_by_label("About")).to_have_value("run")
    signed_in.get_by_role("link", name="Older").click()
    signed_in.get_by_role("link", name="Older").click()
    expect(signed_in.locator("tbody tr")).to_have_count(20)
    expect(signed_in.get_by_role("link", name="Older")).to_have_count(0)
    signed_in.get_by_role("link", name="Newest").click()
    expect(signed_in.locator("tbody tr").first).to_contain_text("run 120")
