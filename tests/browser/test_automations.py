"""Automations in a real browser: from the catalogue to a run and a preview, wrong input, names full of markup."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.automated import (
    ACROSS,
    EVIL,
    PUBLISH,
    TAG,
    WITHIN,
    add_product,
    install,
    only_one,
    saved,
    until_quiet,
    working,
)
from tests.browser.conftest import overflow, serious_findings
from tests.browser.site import RunningSite

pytestmark = pytest.mark.browser

ONLINE = {"sales_channel_names": ["Online Store"]}


@pytest.fixture
def shop_id(site: RunningSite) -> int:
    number = site.add_shop()
    add_product(site, "Harbour", levels=(12, 9))
    return number


def actions(site: RunningSite) -> list[tuple[str, str]]:
    return [(who, what) for who, what in site.execute(
        "select user_name, action from audit_log where action like 'automation.%%' order by entry_id"
    )]  # fmt: skip


def test_without_a_shop_the_page_leads_to_adding_one(signed_in: Page) -> None:
    signed_in.goto("/automations")
    signed_in.get_by_role("link", name="Add a shop").click()
    assert signed_in.url.endswith("/settings/shops/add")


def test_an_automation_is_chosen_installed_previewed_switched_on_and_seen_to_run(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    page = signed_in
    page.goto("/automations")
    page.get_by_role("link", name="Choose an automation").click()
    page.get_by_role("link", name="Set up: Sync inventory across product variants").click()
    page.get_by_label("Name", exact=True).fill("Prints")
    page.get_by_label("Product tags 1").fill(TAG)
    page.get_by_label("When levels differ at the start").select_option("take_lowest")
    page.get_by_role("button", name="Install the automation").click()
    expect(page.get_by_role("status").first).to_contain_text("Prints is installed. It is off")
    row = only_one(site)
    assert (row.enabled, row.options["product_tags"], row.kind) == (False, [TAG], ACROSS)

    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_role("row", name="Harbour")).to_contain_text("Framed: 12 → 9")
    assert site.execute("select 1 from effects") == []
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("Prints is on.")).to_be_visible()
    with working(site):
        until_quiet(site)
        page.get_by_role("button", name="Run now").click()
        expect(page.get_by_role("heading", name="It has run")).to_be_visible()
    assert site.execute("select count(*) from effects where state = 'done'") == [(1,)]
    page.get_by_role("link", name="Open the run").click()
    expect(page.get_by_role("heading", name="What it decided")).to_be_visible()
    assert actions(site) == [
        ("ann", "automation.add"),
        ("ann", "automation.enable"),
        ("ann", "automation.run"),
    ]


def test_an_automation_is_edited_and_its_topics_too(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    row = install(site, shop_id, ACROSS, options={"product_tags": [TAG]}, name="Prints", enabled=False)
    page = signed_in
    page.goto(f"/automations/{row.automation_id}/edit")
    expect(page.get_by_label("Product tags 1")).to_have_value(TAG)
    page.get_by_label("Name", exact=True).fill("Posters")
    page.get_by_label("Settle time of increases, in seconds").fill("12.5")
    page.get_by_text("When it runs").click()
    page.get_by_label("It runs when one of these happens 1").fill("mechanic/scheduler/daily+5.minutes")
    page.get_by_role("button", name="Save the changes").click()
    expect(page.get_by_role("heading", name="Posters")).to_be_visible()
    expect(page.get_by_text("every day at midnight, 5 minutes later")).to_be_visible()
    changed = saved(site, row.automation_id)
    assert changed is not None
    assert (changed.name, changed.options["raise_settle_s"]) == ("Posters", 12.5)
    assert changed.topics[0] == "mechanic/scheduler/daily+5.minutes"


def test_wrong_entries_are_told_at_their_fields_and_nothing_is_saved(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    page = signed_in
    page.goto(f"/automations/add/{PUBLISH}")
    page.get_by_label("Staff mail address").fill("nobody at home")
    page.get_by_text("When it runs").click()
    page.get_by_label("It runs when one of these happens 4").fill("not a topic")
    page.get_by_role("button", name="Install the automation").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved.")
    expect(page.locator("#e-email")).to_contain_text("not one e-mail address")
    expect(page.locator("#e-sales_channel_names")).to_be_visible()
    expect(page.get_by_label("Staff mail address")).to_have_value("nobody at home")
    assert serious_findings(page) == []
    page.get_by_label("Staff mail address").fill("")
    page.get_by_label("Online Store").check()
    page.get_by_role("button", name="Install the automation").click()
    expect(page.locator("#e-automation_topics")).to_contain_text("not a topic")
    assert site.execute("select 1 from automations") == []


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    row = install(site, shop_id, PUBLISH, options=ONLINE, enabled=False)
    signed_in.goto(f"/automations/{row.automation_id}/edit")
    site.execute(
        "update automations set name = 'Theirs', updated_at = now() where automation_id = %s",
        row.automation_id,
    )
    signed_in.get_by_label("Name", exact=True).fill("Mine")
    signed_in.get_by_role("button", name="Save the changes").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("Somebody else changed this automation")
    expect(signed_in.get_by_label("Name", exact=True)).to_have_value("Mine")
    changed = saved(site, row.automation_id)
    assert changed is not None and changed.name == "Theirs"


def test_an_automation_is_duplicated_exported_imported_and_removed(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    page = signed_in
    row = install(site, shop_id, PUBLISH, options=ONLINE, name="Back", enabled=False)
    page.goto(f"/automations/{row.automation_id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert json.loads(text)["name"] == "Back"
    page.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Back (copy)")

    page.goto("/automations/import")
    page.get_by_label("Or its text").fill("{}")
    page.get_by_role("button", name="Import it, switched off").click()
    expect(page.locator("#e-text")).to_contain_text("This is not an exported automation.")
    page.get_by_label("File").set_input_files(download.value.path())
    page.get_by_role("button", name="Import it, switched off").click()
    expect(page.get_by_text("Back is installed.")).to_be_visible()
    assert site.execute("select count(*) from automations where not enabled") == [(3,)]

    page.get_by_role("link", name="Remove …").click()
    expect(page.get_by_role("dialog")).to_contain_text("Remove Back?")
    page.get_by_role("button", name="Remove the automation").click()
    expect(page.get_by_text("Back is removed.")).to_be_visible()
    assert site.execute("select count(*) from automations") == [(2,)]
    assert actions(site)[-1] == ("ann", "automation.remove")


def test_markup_in_names_titles_and_options_is_shown_as_text(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    add_product(site, EVIL, levels=(3, 1), names=(EVIL, "Unframed"), tags=(EVIL,))
    options = {"product_tags": [EVIL], "unequal_at_start": "take_lowest"}
    row = install(site, shop_id, ACROSS, options=options, name=EVIL)
    with working(site):
        until_quiet(site)
    here = f"/automations/{row.automation_id}"
    [(run_id,)] = site.execute("select run_id from effects limit 1")
    paths = (
        "/automations",
        here,
        here + "/edit",
        here + "/preview",
        here + "/remove",
        "/runs",
        f"/runs/{run_id}",
    )
    for path in paths:
        signed_in.goto(path)
        assert (
            EVIL in (signed_in.content() and signed_in.locator("main").inner_text()) or path == here + "/edit"
        )
        assert signed_in.locator("main img").count() == 0
        assert signed_in.title().endswith("· Stockwright")
    signed_in.goto(here + "/edit")
    expect(signed_in.get_by_label("Name", exact=True)).to_have_value(EVIL)


def test_every_step_works_without_scripts_on_a_phone(site: RunningSite, open_page, shop_id: int) -> None:
    from tests.browser.conftest import PHONE, sign_in

    page = sign_in(open_page(java_script_enabled=False, viewport=PHONE))
    row = install(site, shop_id, ACROSS, options={"product_tags": [TAG]}, name="Prints")
    page.goto(f"/automations/{row.automation_id}")
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    with working(site):
        until_quiet(site)
    page.reload()
    expect(page.get_by_role("heading", name="It has run")).to_be_visible()
    page.goto(f"/automations/{row.automation_id}/remove")
    page.get_by_role("button", name="Remove the automation").click()
    expect(page.get_by_text("Prints is removed.")).to_be_visible()
    page.goto(f"/automations/add/{WITHIN}")
    page.get_by_role("button", name="Install the automation").click()
    expect(page.get_by_text("is installed.")).to_be_visible()


def test_a_preview_that_cannot_be_made_says_why(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    row = install(site, shop_id, PUBLISH, options=ONLINE, enabled=False)
    site.execute(
        "update automations set options = jsonb_set(options, '{location_names}', '[\"Nowhere\"]')"
        " where automation_id = %s",
        row.automation_id,
    )
    signed_in.goto(f"/automations/{row.automation_id}/preview")
    expect(signed_in.get_by_role("alert")).to_contain_text("Nowhere")
    assert overflow(signed_in) == 0
