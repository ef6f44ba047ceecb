"""Pages of automations and runs against whatever an address or a form may hold: an answer in words, never a 500."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from shopify_emulator import Fault
from stockwright.model import AutomationId, EventId
from stockwright.store import automation_lines
from stockwright.web.admin.automations_wording import topic_told
from tests.browser.automated import ACROSS, EVIL, PUBLISH, TAG, add_product, install, only_one, saved
from tests.browser.site import RunningSite, running_site
from tests.journey.test_admin_security import Visitor

ONLINE = {"sales_channel_names": ["Online Store"]}
EXPORTED: dict[str, Any] = {"stockwright_automation": 1, "kind": PUBLISH, "name": "Back", "options": ONLINE}


@pytest.fixture
def site(database: str) -> Iterator[RunningSite]:
    with running_site(database) as running:
        running.add_user()
        yield running


@pytest.fixture
def shop_id(site: RunningSite) -> int:
    number = site.add_shop()
    add_product(site, "Harbour", levels=(12, 9))
    return number


@pytest.fixture
def ann(site: RunningSite) -> Visitor:
    visitor = Visitor(site)
    assert visitor.sign_in().status_code == 303
    return visitor


def imported(ann: Visitor, shop_id: int, text: str | bytes) -> httpx2.Response:
    """The import form with a file."""
    values = {"_csrf": ann.token(), "shop": str(shop_id)}
    return ann.client.post("/automations/import", data=values, files={"file": ("a.json", text)})


# --- addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/automations/nothing",
        "/automations/%F0%9F%A6%86/edit",
        "/automations/nothing/preview",
        "/automations/nothing/export",
        "/automations/nothing/started/evt_1",
        "/automations/add/nothing",
        "/runs/nothing",
        "/runs/run_1/cancel",
    ],
)
def test_what_is_not_there_is_said_to_be_missing(ann: Visitor, path: str) -> None:
    assert ann.client.get(path).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "before=%F0%9F%A6%86",
        "shop=9e9",
        "state=gone",
        "automation=%27",
        "q=" + "x" * 5000,
    ],
)
def test_a_filter_that_makes_no_sense_shows_a_list_all_the_same(ann: Visitor, query: str) -> None:
    assert ann.client.get(f"/runs?{query}").status_code == 200
    assert ann.client.get(f"/runs?{query}&format=csv").status_code == 200


def test_a_run_that_was_never_asked_for_has_no_progress(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    row = install(site, shop_id, PUBLISH, options=ONLINE, enabled=False)
    here = f"/automations/{row.automation_id}/started"
    assert "It ended without a run" in ann.client.get(f"{here}/{EventId('evt_none')}").text


# --- forms ------------------------------------------------------------------------------------------------


def test_a_new_automation_needs_a_shop_that_is_there(ann: Visitor, shop_id: int) -> None:
    values = {"_csrf": ann.token(), "shop": "77", "sales_channel_names": "Online Store"}
    assert ann.client.post(f"/automations/add/{PUBLISH}", data=values).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("quantity", "many", "Give a number."),
        ("quantity", "0", "Give 1 or more."),
        ("quantity", "9" * 400, "quantity"),
        ("sales_channel_names", "Nowhere", "Online Store"),
        ("location_names", "Nowhere", "Toronto"),
        ("when", "never", "Choose one of"),
        ("unpublish_grace_s", "nan", "unpublish_grace_s"),
        ("automation_name", "x" * 201, "at most 200"),
        ("automation_topics", "mechanic/scheduler/often", "There is no schedule"),
    ],
)
def test_a_wrong_entry_is_told_with_its_field_and_kept(
    site: RunningSite, ann: Visitor, shop_id: int, field: str, value: str, said: str
) -> None:
    values = {"_csrf": ann.token(), "shop": str(shop_id), "sales_channel_names": "Online Store", field: value}
    answer = ann.client.post(f"/automations/add/{PUBLISH}", data=values)
    assert answer.status_code == 422
    assert f'id="e-{field}"' in answer.text
    assert said in answer.text
    assert value in answer.text or field == "when"
    assert site.execute("select 1 from automations") == []


def test_a_rule_over_several_fields_is_told_at_the_top(ann: Visitor, shop_id: int) -> None:
    values = {"_csrf": ann.token(), "shop": str(shop_id), "product_tags": TAG, "product_types": "Print"}
    answer = ann.client.post(f"/automations/add/{ACROSS}", data=values)
    assert answer.status_code == 422
    assert "not both" in answer.text.split('role="alert"')[1].split("</div>")[0]


def test_a_character_that_no_text_can_have_is_refused(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    values = {"_csrf": ann.token(), "shop": str(shop_id), "sales_channel_names": "Online Store"}
    for field in ("automation_name", "include_tags"):
        answer = ann.client.post(f"/automations/add/{PUBLISH}", data={**values, field: "a\x00b"})
        assert answer.status_code == 400, field
    assert site.execute("select 1 from automations") == []


def test_the_form_is_there_when_the_shop_does_not_answer(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    site.shop.faults.next("*", Fault.PAYMENT_REQUIRED, count=9)
    answer = ann.client.get(f"/automations/add/{ACROSS}?shop={shop_id}")
    assert answer.status_code == 200
    assert "cannot be suggested now" in answer.text


# --- import and export ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 100_000,
        json.dumps({**EXPORTED, "stockwright_automation": 2}),
        json.dumps({**EXPORTED, "kind": "nothing"}),
        json.dumps({**EXPORTED, "options": "text"}),
        json.dumps({**EXPORTED, "options": {"nothing": 1}}),
        json.dumps({**EXPORTED, "topics": 5}),
        json.dumps({**EXPORTED, "topics": ["never"]}),
        json.dumps({**EXPORTED, "name": "a\x00b"}),
        json.dumps({**EXPORTED, "options": {**ONLINE, "include_tags": ["a\x00b"]}}),
        b"\xff\xfe\x00",
    ],
)
def test_a_file_that_is_no_automation_is_refused_in_words(
    site: RunningSite, ann: Visitor, shop_id: int, text: str | bytes
) -> None:
    answer = imported(ann, shop_id, text)
    assert answer.status_code == 422
    assert 'id="e-text"' in answer.text
    assert site.execute("select 1 from automations") == []


def test_an_export_is_imported_as_it_was_but_off(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    row = install(site, shop_id, PUBLISH, options={**ONLINE, "include_tags": [EVIL]}, name=EVIL)
    answer = ann.client.get(f"/automations/{row.automation_id}/export")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"].startswith("application/json")
    placed = imported(ann, shop_id, answer.text)
    assert placed.status_code == 303
    copy = saved(site, AutomationId(placed.headers["location"].rsplit("/", 1)[-1]))
    assert copy is not None
    assert (copy.name, copy.options, copy.topics, copy.enabled) == (EVIL, row.options, row.topics, False)


def test_an_import_that_is_too_large_is_refused(ann: Visitor, shop_id: int) -> None:
    assert imported(ann, shop_id, "x" * 1_100_000).status_code == 413


# --- doing ------------------------------------------------------------------------------------------------


def test_who_may_not_is_told_why_and_nothing_happens(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    install(site, shop_id, ACROSS, options={"product_tags": [TAG]}, name="First")
    second = install(
        site, shop_id, ACROSS, options={"product_types": ["Print"]}, name="Second", enabled=False
    )
    here = f"/automations/{second.automation_id}"
    for action, said in (("enable", "would both hold the stock"), ("run", "is disabled")):
        assert ann.client.post(f"{here}/{action}", data={"_csrf": ann.token()}).status_code == 303
        assert said in ann.client.get(here).text
    found = saved(site, second.automation_id)
    assert found is not None and not found.enabled


def test_everything_that_is_done_is_in_the_audit_log_under_its_doer(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    values = {"_csrf": ann.token(), "shop": str(shop_id), "sales_channel_names": "Online Store"}
    assert ann.client.post(f"/automations/add/{PUBLISH}", data=values).status_code == 303
    here = f"/automations/{only_one(site).automation_id}"
    for action in ("enable", "run", "disable", "remove"):
        ann.client.post(f"{here}/{action}", data={"_csrf": ann.token()})
    log = site.execute(
        "select action, user_name from audit_log where action like 'automation.%%' order by entry_id"
    )
    assert [who for _, who in log] == ["ann"] * 5
    assert [what for what, _ in log] == [
        f"automation.{done}" for done in ("add", "enable", "run", "disable", "remove")
    ]


def test_failed_runs_are_counted_for_their_automation_and_since_the_time(
    site: RunningSite, shop_id: int
) -> None:
    one = install(site, shop_id, PUBLISH, options=ONLINE, enabled=False)
    other = install(site, shop_id, PUBLISH, options=ONLINE, enabled=False, name="Other")
    site.execute(
        "insert into runs (shop_id, run_id, automation_id, kind, subject, state, started_at)"
        " select %s, 'run_' || n, %s, 'x', '*', case when n = 5 then 'succeeded' else 'failed' end,"
        " now() - (10 - 2 * n) * interval '1 hour' from generate_series(1, 5) n",
        shop_id, one.automation_id,
    )  # fmt: skip

    async def work(deps):
        async with deps.database.connection() as conn:
            since = (await (await conn.execute("select now() - interval '5 hours'")).fetchone())[0]
            return await automation_lines.installed(conn, failed_since=since)

    lines = {line.automation_id: line for line in site.run(work)}
    assert (lines[one.automation_id].failed_runs, lines[one.automation_id].last_run_id) == (2, "run_5")
    assert (lines[other.automation_id].failed_runs, lines[other.automation_id].last_run_id) == (0, None)


@pytest.mark.parametrize(
    ("topic", "told"),
    [
        ("mechanic/scheduler/10min", "every 10 minutes"),
        ("mechanic/scheduler/monday", "every Monday"),
        ("mechanic/user/trigger", "somebody presses Run now"),
        ("shopify/inventory_levels/update+1.minutes", "a stock level changes in the shop, 1 minute later"),
        ("user/a/b", "the event user/a/b comes"),
    ],
)
def test_topics_are_told_in_words(topic: str, told: str) -> None:
    assert topic_told(topic) == told
