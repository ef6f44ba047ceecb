"""The pages about people without a browser: lists, files, bulk actions, imports, privacy, and wrong input."""

import csv
import io
import json
import re
from collections.abc import Iterator
from html import unescape

import httpx2
import pytest

from tests.browser.people import (
    add_failed_mail,
    add_person,
    add_waiting_product,
    fill_people,
    go_on,
    send_file,
)
from tests.browser.site import RunningSite, running_site
from tests.journey.test_admin_security import Visitor

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
LISTED = r'<a href="/subscribers/(sub_\w+)"'


@pytest.fixture
def site(database: str) -> Iterator[RunningSite]:
    with running_site(database) as running:
        running.add_user()
        yield running


@pytest.fixture
def ann(site: RunningSite) -> Visitor:
    visitor = Visitor(site)
    assert visitor.sign_in().status_code == 303
    return visitor


@pytest.fixture
def shop_id(site: RunningSite) -> int:
    return site.add_shop()


def post(visitor: Visitor, path: str, page: str = "/subscribers", **values: str) -> httpx2.Response:
    return visitor.client.post(path, data={"_csrf": visitor.token(page), **values}, follow_redirects=True)


def states(site: RunningSite) -> list[tuple[str, str]]:
    return site.execute("select email, state from subscribers order by subscriber_id")


# --- the list -----------------------------------------------------------------------------------------------------


def test_the_first_columns_are_the_documented_ones_and_notified_at_is_empty_unless_sent(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    now = site.deps.clock()
    add_person(site, shop_id, 1, state="sent", notified_at=now)
    add_person(site, shop_id, 2, state="failed", notified_at=now)
    text = ann.client.get("/subscribers").text
    heads = re.findall(r'<th scope="col">([^<]+)</th>', text)
    assert heads[:4] == ["Email", "Status", "Subscribed at", "Notified at"]
    cells = re.findall(r'<td data-label="Notified at">(.*?)</td>', text)
    assert [bool(cell.strip()) for cell in cells] == [False, True]
    assert re.findall(r'<span class="badge \w+">(Pending|Sent|Failed)</span>', text) == ["Failed", "Sent"]


def test_pages_follow_one_another_with_everybody_once(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    for no in range(120):
        add_person(site, shop_id, no)
    path, seen = "/subscribers?status=Pending", []
    while path:
        text = ann.client.get(path).text
        seen += re.findall(LISTED, text)
        older = re.search(r'href="([^"]+)" rel="next"', text)
        path = unescape(older[1]) if older else ""
    assert seen == [f"sub_{no:06}" for no in reversed(range(120))]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "Failed"}, [3]),
        ({"state": "unsubscribed"}, [4]),
        ({"variant": "2"}, [2]),
        ({"variant": "gid://shopify/ProductVariant/2"}, [2]),
        ({"product": "9"}, [2]),
        ({"variant": "no number"}, []),
        ({"locale": "fr"}, [3]),
        ({"q": "SHOPPER2@"}, [2]),
        ({"q": "%"}, []),
        ({"q": "'; drop table subscribers; --"}, []),
        ({"status": "Nonsense", "state": "nonsense"}, [4, 3, 2, 1]),
        ({"before": "sub_000003"}, [2, 1]),
        ({"before": "☃" * 300}, [4, 3, 2, 1]),
        ({"shop": "999999999999999999999"}, [4, 3, 2, 1]),
    ],
)
def test_filters_narrow_the_list_and_nonsense_breaks_nothing(
    site: RunningSite, ann: Visitor, shop_id: int, query: dict[str, str], found: list[int]
) -> None:
    add_person(site, shop_id, 1)
    add_person(
        site, shop_id, 2, variant_id="gid://shopify/ProductVariant/2", product_id="gid://shopify/Product/9"
    )
    add_person(site, shop_id, 3, state="failed", locale="fr")
    add_person(site, shop_id, 4, state="unsubscribed")
    answer = ann.client.get("/subscribers", params=query)
    assert answer.status_code == 200
    assert re.findall(LISTED, answer.text) == [f"sub_{no:06}" for no in found]


def test_the_export_has_everybody_who_fits_and_no_formulas(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    add_person(site, shop_id, 1, email="+ann@example.com", product_title='=HYPERLINK("https://evil.example")')
    add_person(site, shop_id, 2, state="failed")
    site.execute(
        "insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, state, source,"
        " created_at) select %s, 'sub_1' || lpad(n::text, 6, '0'), n || '@example.com', sha256(n::text::bytea), 'p', 'v',"
        " 'pending', 'api', now() from generate_series(1, 2500) n",
        shop_id,
    )
    answer = ann.client.get("/subscribers?status=Pending&format=csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="subscribers.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 2501
    assert list(rows[0])[:4] == ["Email", "Status", "Subscribed at", "Notified at"]
    assert (rows[-1]["Email"], rows[-1]["Product"]) == (
        "'+ann@example.com",
        '\'=HYPERLINK("https://evil.example")',
    )
    assert {row["Status"] for row in rows} == {"Pending"}


def test_texts_of_strangers_are_texts_on_every_page(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    one = add_person(
        site, shop_id, 1, email="o'brien&sons@example.com", product_title=EVIL, variant_title=EVIL, first_name=EVIL,
        reason=EVIL, page=EVIL, locale=EVIL[:30], consent={"wording": EVIL, "version": EVIL}, customer_id=EVIL,
        state="failed", message_id="msg_sub_000001",
    )  # fmt: skip
    add_person(site, shop_id, 2, product_title=EVIL, variant_title=EVIL)
    add_failed_mail(site, shop_id, one, "o'brien&sons@example.com")
    site.execute("update message_attempts set reply = %s, server = %s", EVIL, EVIL)
    site.execute("update notifications set reason = %s, smtp_reply = %s", EVIL, EVIL)
    site.execute(
        "insert into offers (shop_id, offer_id, name, mode) values (%s, 'off', %s, 'always')", shop_id, EVIL
    )
    row = send_file(site, shop_id, "email,variant_id\nx,1")
    site.execute("update people_imports set file_name = %s, reason = %s", EVIL, EVIL)
    site.execute(
        "insert into people_import_refusals (shop_id, import_id, line, reason) values (%s, %s, 2, %s)",
        shop_id, row.import_id, EVIL,
    )  # fmt: skip
    site.execute(
        "insert into compliance_requests (shop_id, request_id, domain, topic, received_at, due_at, note)"
        " values (1, 'prv', %s, %s, now(), now(), %s)",
        EVIL, EVIL, EVIL,
    )  # fmt: skip
    for path in (
        "/subscribers",
        f"/subscribers?q={EVIL}&variant={EVIL}&locale={EVIL}",
        f"/subscribers/{one}",
        f"/subscribers/{one}/erase",
        f"/subscribers/bulk?do=cancel&id={one}&q={EVIL}",
        "/demand",
        "/subscriber-imports",
        f"/subscriber-imports/{row.import_id}",
        "/settings/privacy",
        "/",
    ):
        text = ann.client.get(path).text
        assert "<script>alert" not in text and "<img src=x" not in text, path


# --- bulk ---------------------------------------------------------------------------------------------------------


def test_ticked_people_are_cancelled_after_a_question(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    for no in (1, 2, 3):
        add_person(site, shop_id, no)
    asked = ann.client.get("/subscribers/bulk?do=cancel&id=sub_000001&id=sub_000002").text
    assert "Cancel the waiting of 2 people?" in asked
    assert [state for _, state in states(site)] == ["pending"] * 3
    answer = post(
        ann,
        "/subscribers/bulk",
        do="cancel",
        ids="sub_000001,sub_000002,sub_nobody",
        shop=str(shop_id),
        all="",
    )
    assert "Cancelled for 2 people." in answer.text
    assert "Left as they are: 1." in answer.text
    assert [state for _, state in states(site)] == ["cancelled", "cancelled", "pending"]
    assert site.execute(
        "select action, user_name, detail ->> 'people' from audit_log where action like 'subsc%%'"
    ) == [("subscriber.cancel", "ann", "2")]


def test_all_who_fit_are_cancelled_and_nobody_else(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    for no in range(60):
        add_person(site, shop_id, no, locale="fr" if no % 2 else "de")
    asked = ann.client.get("/subscribers/bulk?do=cancel&all=1&locale=fr").text
    assert "Cancel the waiting of 30 people?" in asked
    post(ann, "/subscribers/bulk", do="cancel", all="1", locale="fr", shop=str(shop_id))
    found = site.execute("select locale, state, count(*) from subscribers group by 1, 2 order by 1")
    assert found == [("de", "pending", 30), ("fr", "cancelled", 30)]


def test_sending_again_in_bulk_says_who_was_left_out_and_why(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    add_person(site, shop_id, 1, state="sent")
    add_person(site, shop_id, 2, state="unsubscribed")
    answer = post(ann, "/subscribers/bulk", do="resend", all="1", shop=str(shop_id))
    assert "for 1 person" in answer.text
    assert "This person unsubscribed." in answer.text
    assert [state for _, state in states(site)] == ["sent", "unsubscribed", "pending"]


@pytest.mark.parametrize("query", ["do=cancel", "do=cancel&id=", "do=erase&id=sub_1", "", "do=cancel&id=%00"])
def test_a_bulk_action_without_people_or_without_sense_does_nothing(
    site: RunningSite, ann: Visitor, shop_id: int, query: str
) -> None:
    add_person(site, shop_id, 1)
    assert ann.client.get(f"/subscribers/bulk?{query}").status_code in (303, 400, 200)
    values = dict(part.split("=") for part in query.split("&") if part)
    answer = post(ann, "/subscribers/bulk", shop=str(shop_id), ids="", **values)
    assert answer.status_code in (400, 409)
    assert states(site) == [("shopper1@example.com", "pending")]


# --- one person -----------------------------------------------------------------------------------------------------


def test_a_person_is_cancelled_sent_again_and_erased(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    here = "/subscribers/" + add_person(site, shop_id, 1)
    assert "Cancelled" in post(ann, f"{here}/cancel").text
    assert post(ann, f"{here}/cancel").status_code == 400
    assert "Put in line again" in post(ann, f"{here}/resend").text
    assert "waits for this variant already" in post(ann, f"{here}/resend").text
    data = json.loads(ann.client.get(f"{here}/data").text)
    assert len(data["subscriptions"]) == 2
    assert "Erased: 2 requests and 0 mails." in post(ann, f"{here}/erase").text
    assert {email for email, _ in states(site)} == {""}
    assert "Erased person" in ann.client.get(here).text
    assert post(ann, f"{here}/erase").status_code == 400
    assert ann.client.get(f"{here}/data").status_code == 400


def test_a_failed_person_shows_the_mail_servers_answer(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    one = add_person(site, shop_id, 1, state="failed", message_id="msg_sub_000001")
    add_failed_mail(site, shop_id, one, "shopper1@example.com")
    text = unescape(ann.client.get(f"/subscribers/{one}").text)
    assert "Not delivered" in text and "550 5.1.1 No such user" in text
    assert "The same message is queued once more." in post(ann, f"/subscribers/{one}/resend").text
    assert site.execute("select state from messages") == [("pending",)]
    assert states(site) == [("shopper1@example.com", "queued")]


@pytest.mark.parametrize(
    "path", ["/subscribers/sub_nobody", "/subscriber-imports/imp_no", "/subscribers/x/erase"]
)
def test_what_is_not_there_is_not_found(ann: Visitor, path: str) -> None:
    assert ann.client.get(path).status_code == 404


# --- why nothing goes out ---------------------------------------------------------------------------------------------


def test_the_free_plan_and_missing_settings_are_told(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    assert "switched off" in ann.client.get("/subscribers").text
    assert "No mail server is set" in ann.client.get("/demand").text
    site.execute("update shops set plan = 'free'")
    one = add_person(site, shop_id, 1)
    for path in ("/subscribers", "/demand", f"/subscribers/{one}"):
        assert "free plan" in ann.client.get(path).text, path


def test_home_says_how_many_wait(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    for no, state in enumerate(("pending", "unconfirmed", "queued", "sent")):
        add_person(site, shop_id, no, state=state)
    text = ann.client.get("/").text
    assert re.search(r"People waiting</dt><dd><a[^>]*>3</a>", text)


# --- demand -------------------------------------------------------------------------------------------------------------


def test_the_demand_report_is_a_page_and_two_files(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    fill_people(site, shop_id)
    text = ann.client.get("/demand?order=revenue").text
    assert "Herring gull – Large" in text
    rows = list(csv.DictReader(io.StringIO(ann.client.get("/demand?format=csv").text)))
    items = json.loads(ann.client.get("/demand?format=json").text)
    assert len(rows) == len(items) == 4
    assert {row["Variant"] for row in rows} >= {"Framed", "Unframed", "Large"}
    large = next(one for one in items if one["variant"] == "Large")
    assert large["price"] == "48.50"
    assert float(large["revenue"]) == 48.5 * large["units"]


# --- imports ------------------------------------------------------------------------------------------------------------


def upload(visitor: Visitor, shop_id: int, name: str, data: bytes) -> httpx2.Response:
    token = visitor.token("/subscriber-imports")
    return visitor.client.post(
        "/subscriber-imports",
        data={"_csrf": token, "shop": str(shop_id)},
        files={"file": (name, data, "text/csv")},
        follow_redirects=True,
    )


def test_a_file_is_checked_then_imported(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    _product, variant = add_waiting_product(site, "Poster", "A")
    number = variant.rsplit("/", 1)[1]
    data = f"email,variant_id\nann@example.com,{number}\nnobody,{number}\nann@example.com,99\n".encode()
    answer = upload(ann, shop_id, "people.csv", data)
    assert "Being checked" in answer.text and "0 of 3 lines" in answer.text
    here = answer.url.path
    assert states(site) == []
    go_on(site)
    text = ann.client.get(here).text
    assert "Import 1 person" in text and "has no variant 99" in text
    refused = list(csv.DictReader(io.StringIO(ann.client.get(f"{here}?format=csv").text)))
    assert [row["line"] for row in refused] == ["3", "4"]
    post(ann, f"{here}/start", page=here, consent="kept")
    go_on(site)
    assert "1 person was added" in ann.client.get(here).text
    assert states(site) == [("ann@example.com", "pending")]
    assert post(ann, f"{here}/start", page=here).status_code in (400, 409)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "The file is empty"),
        (b"name\nAnn", "Missing: email, variant_id"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'email,variant_id\n"', "quotation mark"),
    ],
)
def test_a_file_that_is_none_is_told_at_its_field(
    site: RunningSite, ann: Visitor, shop_id: int, data: bytes, told: str
) -> None:
    answer = upload(ann, shop_id, "x.csv", data)
    assert answer.status_code == 422
    assert told in answer.text
    assert site.execute("select count(*) from people_imports") == [(0,)]


def test_no_file_and_no_shop_are_told(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    assert "Choose a CSV file first" in post(ann, "/subscriber-imports", shop=str(shop_id)).text
    assert "Choose the shop" in post(ann, "/subscriber-imports", shop="99").text


def test_a_file_beyond_the_limit_is_refused(ann: Visitor, shop_id: int) -> None:
    answer = upload(ann, shop_id, "big.csv", b"email,variant_id\n" + b"a" * 21_000_000)
    assert answer.status_code == 413


# --- privacy ------------------------------------------------------------------------------------------------------------


def test_everything_about_one_address_is_downloaded_and_erased(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    add_person(site, shop_id, 1)
    here = {"page": "/settings/privacy", "shop": str(shop_id)}
    data = post(
        ann, "/settings/privacy/address", do="download", address=" Shopper1@example.com", **here
    ).json()
    assert [one["email"] for one in data["subscriptions"]] == ["shopper1@example.com"]
    asked = post(ann, "/settings/privacy/address", do="erase", address="shopper1@example.com", **here).text
    assert "Erase shopper1@example.com from everything" in asked
    assert states(site) == [("shopper1@example.com", "pending")]
    done = post(ann, "/settings/privacy/erase", address="shopper1@example.com", **here).text
    assert "Erased: 1 request and 0 mails." in done
    assert states(site) == [("", "cancelled")]


@pytest.mark.parametrize("address", ["", "nobody", "a@b@c", "x" * 500 + "@example.com"])
def test_a_wrong_address_is_told_at_its_field(ann: Visitor, shop_id: int, address: str) -> None:
    answer = post(
        ann,
        "/settings/privacy/address",
        page="/settings/privacy",
        do="erase",
        address=address,
        shop=str(shop_id),
    )
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text


def test_a_data_request_is_handed_over_and_a_shop_is_deleted_after_a_question(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    add_person(site, shop_id, 1)
    site.execute(
        "insert into compliance_requests (shop_id, request_id, domain, topic, received_at, due_at, note, data) values"
        " (%s, 'prv_d', 'd', 'shopify/customers/data_request', now(), now() + interval '9 days', 'Download it.', %s),"
        " (%s, 'prv_s', 'd', 'shopify/shop/redact', now(), now(), 'It came back.', null)",
        shop_id, site.deps.mailing.seal_password('{"it": "is"}'), shop_id,
    )  # fmt: skip
    page = "/settings/privacy"
    assert "waits for you" in ann.client.get(page).text
    assert "2 requests about people" in ann.client.get("/").text
    assert post(ann, f"{page}/prv_d/data", page=page).json() == {"it": "is"}
    assert post(ann, f"{page}/prv_d/close", page=page).status_code in (400, 409)
    assert "Delete everything that is kept" in ann.client.get(f"{page}/prv_s/delete").text
    assert states(site) == [("shopper1@example.com", "pending")]
    assert "is deleted" in post(ann, f"{page}/prv_s/delete", page=page).text
    assert site.execute("select count(*) from shops") == [(0,)]
    assert post(ann, f"{page}/prv_no/close", page=page).status_code == 404
