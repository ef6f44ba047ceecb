"""The mail pages without a browser: filters, CSV, frames that can do nothing, write-only passwords, the audit log."""

import csv
import io
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.routing import Match

from stockwright.mailing import Mailing, run_data
from stockwright.web.admin import SECTIONS
from tests.browser.mails import fill_mail, put_in_state
from tests.browser.site import RunningSite, running_site
from tests.journey.test_admin_security import Visitor

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
ACCOUNT = {
    "service": "own", "host": "smtp.prints.example.com", "security": "starttls", "port": "", "username": "stock",
    "password": "swordfish", "verify": "on", "from_address": "stock@prints.example.com", "rate_per_minute": "30",
}  # fmt: skip


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


def save(ann: Visitor, shop_id: int, **changes: str) -> httpx2.Response:
    values = {name: value for name, value in {**ACCOUNT, **changes}.items() if value != "off"}
    return ann.form(f"/mail/settings/{shop_id}", **values)


def actions(site: RunningSite) -> list[str]:
    return [
        row[0]
        for row in site.execute(
            "select action from audit_log where action !~ '^(user|shop)' order by entry_id"
        )
    ]


# --- messages ---------------------------------------------------------------------------------------------


def test_every_message_is_listed_once_over_the_pages(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    fill_mail(site, shop_id)
    path, seen = "/mail/messages", []
    while path:
        text = ann.client.get(path).text
        seen += re.findall(r'<th scope="row"><a href="/mail/messages/(msg_\w+)"', text)
        older = re.search(r'href="([^"]+)" rel="next"', text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert len(seen) == len(set(seen)) == 60
    assert seen == sorted(seen, reverse=True)


def test_the_list_is_a_csv_file_with_the_filters_of_the_page(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    fill_mail(site, shop_id)
    text = ann.client.get("/mail/messages?state=failed&format=csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 10
    assert {(row["state"], row["to"]) for row in rows} == {
        ("failed", "warehouse-and-front-desk@prints.example.com")
    }


def test_the_html_of_a_mail_answers_under_a_policy_that_lets_nothing_run_or_load(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    message = fill_mail(site, shop_id)["message"]
    answer = ann.client.get(f"/mail/messages/{message}/html")
    policy = answer.headers["content-security-policy"]
    assert {"default-src 'none'", "frame-ancestors 'self'", "form-action 'none'", "sandbox"} <= set(
        policy.split("; ")
    )
    assert "script-src" not in policy
    assert "allow-" not in policy
    around = ann.client.get(f"/mail/messages/{message}")
    assert "frame-src 'self'" in around.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in around.headers["content-security-policy"]
    assert re.search(r"<iframe sandbox src=", around.text)
    assert "frame-src" not in ann.client.get("/mail/messages").headers["content-security-policy"]


def test_the_html_of_a_mail_is_for_signed_in_people_only(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    message = fill_mail(site, shop_id)["message"]
    assert Visitor(site).client.get(f"/mail/messages/{message}/html").status_code == 303


def test_a_message_that_was_sent_is_not_sent_again_and_nothing_is_written_down(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    message = fill_mail(site, shop_id)["failed_message"]
    token = ann.token(f"/mail/messages/{message}/retry")
    put_in_state(site, message, "sending")
    answer = ann.client.post(f"/mail/messages/{message}/retry", data={"_csrf": token})
    assert answer.status_code == 400
    assert "is being sent" in answer.text
    assert actions(site) == []


# --- templates --------------------------------------------------------------------------------------------


def test_a_draft_is_previewed_escaped_and_without_being_stored(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    here = f"/mail/templates/{shop_id}/staff_back_in_stock"
    form = {"_csrf": ann.token(here), "subject": EVIL, "text": EVIL, "html": '"><script>alert(2)</script>'}
    answer = ann.client.post(f"{here}/preview", data=form)
    assert answer.status_code == 200
    assert "<script" not in answer.text  # the draft stands escaped in the attribute of a frame
    assert "sandbox" in answer.headers["content-security-policy"].split("; ")
    assert site.execute("select count(*) from mail_templates") == [(0,)]


def test_lines_count_as_people_see_them_whatever_line_breaks_the_browser_sends(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    here = f"/mail/templates/{shop_id}/staff_back_in_stock"
    answer = ann.form(here, subject="Hello", text="one\r\ntwo {{ nobody }}", html="<p>Hello</p>")
    assert answer.status_code == 422
    assert "Line 2, column 8" in answer.text


def test_saving_and_restoring_a_template_is_written_down(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    here = f"/mail/templates/{shop_id}/staff_back_in_stock"
    assert ann.form(here, subject="Hello", text="Text", html="<p>HTML</p>").status_code == 303
    assert site.execute("select subject, text, html from mail_templates") == [
        ("Hello", "Text", "<p>HTML</p>")
    ]
    assert ann.form(f"{here}/restore").status_code == 303
    assert site.execute("select count(*) from mail_templates") == [(0,)]
    assert actions(site) == ["template.change", "template.restore"]


def test_a_test_to_what_is_no_address_is_told_at_its_field(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    here = f"/mail/templates/{shop_id}/error_report"
    form = {"_csrf": ann.token(here), "to": "a@prints.example.com\nBcc: b@prints.example.com"}
    answer = ann.client.post(f"{here}/test", data=form)
    assert answer.status_code == 422
    assert "control character" in answer.text
    assert site.execute("select count(*) from messages") == [(0,)]


@pytest.mark.parametrize(
    "path", ["/mail/templates/1/no_such", "/mail/templates/77/error_report", "/mail/messages/no_such"]
)
def test_what_is_not_there_is_a_page_that_says_so(ann: Visitor, shop_id: int, path: str) -> None:
    assert ann.client.get(path).status_code == 404


# --- settings ---------------------------------------------------------------------------------------------


def test_the_password_is_sealed_never_shown_and_kept_when_its_field_is_empty(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    assert save(ann, shop_id).status_code == 303
    sealed = site.execute("select password from mail_settings")[0][0]
    assert b"swordfish" not in sealed
    assert "swordfish" not in ann.client.get(f"/mail/settings/{shop_id}").text
    save(ann, shop_id, password="", from_name="Prints")
    assert site.execute("select password, from_name, rate_per_minute, port from mail_settings") == [
        (sealed, "Prints", 30, None)
    ]
    save(ann, shop_id, password="", remove_password="on")
    assert site.execute("select password from mail_settings") == [(None,)]
    assert actions(site) == ["mail.settings"] * 3


def test_going_back_to_the_installations_service_forgets_the_server_and_its_password(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    save(ann, shop_id)
    assert save(ann, shop_id, service="installation", password="").status_code == 303
    assert site.execute("select host, username, port, password, from_address from mail_settings") == [
        ("", "", None, None, "stock@prints.example.com")
    ]


def test_mail_that_would_travel_readable_is_refused_unless_it_is_allowed(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    answer = save(ann, shop_id, security="none")
    assert answer.status_code == 422
    assert "readable for everybody" in answer.text
    assert "swordfish" not in answer.text
    assert site.execute("select count(*) from mail_settings") == [(0,)]
    assert save(ann, shop_id, security="none", allow_plain="on").status_code == 303


def test_a_test_without_any_server_says_what_is_missing(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    here = f"/mail/settings/{shop_id}"
    form = {"_csrf": ann.token(here), "to": "ann@prints.example.com"}
    answer = ann.client.post(f"{here}/test", data=form)
    assert answer.status_code == 422
    assert "No mail server is set" in answer.text


# --- the key that signs mail ---------------------------------------------------------------------------------


def test_a_key_is_made_its_record_shown_and_forgotten_after_a_question(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    assert save(ann, shop_id, from_address="stock@copenhagen.example").status_code == 303
    here = f"/mail/settings/{shop_id}"
    made = ann.form(f"{here}/dkim", domain="copenhagen.example", selector="s1", pem="")
    assert made.status_code == 303
    shown = ann.client.get(here).text
    assert "s1._domainkey.copenhagen.example" in shown and "v=DKIM1; k=rsa; p=" in shown
    assert "PRIVATE KEY" not in shown
    assert "Stop signing the mail of" in ann.client.get(f"{here}/dkim/remove").text
    assert ann.form(f"{here}/dkim/remove").status_code == 303
    assert "_domainkey" not in ann.client.get(here).text
    assert {"mail.dkim", "mail.dkim.remove"} <= set(actions(site))


def test_a_key_of_another_domain_is_refused_at_its_form(ann: Visitor, shop_id: int) -> None:
    save(ann, shop_id, from_address="stock@copenhagen.example")
    refused = ann.form(f"/mail/settings/{shop_id}/dkim", domain="other.example", selector="s1", pem="")
    assert refused.status_code == 422
    assert "The DKIM key is of other.example" in refused.text


# --- a stopped queue --------------------------------------------------------------------------------------


def test_stopped_mail_is_told_on_every_page_and_on_home(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    site.execute(
        "insert into mail_queues (shop_id, stopped_at, stop_reason, stopped_with)"
        " values (%s, now(), '535 5.7.8 sign in first', 'x')",
        shop_id,
    )
    for path in ("/automations", "/runs", "/stock", "/mail/messages", "/settings/users"):
        text = ann.client.get(path).text
        assert "is stopped</strong>" in text and "535 5.7.8 sign in first" in text, path
        assert f'href="/mail/settings/{shop_id}"' in text, path
    home = ann.client.get("/").text
    assert "Mail is stopped: 535 5.7.8 sign in first" in home and "needs you" in home
    ann.client.post(f"/mail/settings/{shop_id}/resume", data={"_csrf": ann.token()})
    assert "is stopped" not in ann.client.get("/runs").text
    assert actions(site)[-1] == "mail.resume"


def test_a_change_of_settings_and_its_note_are_kept_or_lost_together(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    site.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'no note today'; end $$"
    )
    site.execute("create trigger refuse before insert on audit_log for each row execute function refuse()")
    assert save(ann, shop_id).status_code == 500
    assert site.execute("select 1 from mail_settings") == []
    site.execute("drop trigger refuse on audit_log")
    assert save(ann, shop_id).status_code == 303
    [(who, detail)] = site.execute("select user_name, detail from audit_log where action = 'mail.settings'")
    assert who == "ann"
    assert {"host", "password", "username"} <= set(detail["changed"])
    assert "swordfish" not in str(detail)


def test_a_mails_link_to_a_run_is_a_page_of_the_site() -> None:
    url = urlsplit(run_data(Mailing(public_url="https://stock.example.com"), "run_1")["url"])
    routes = [route for section in SECTIONS for route in section.routes]
    scope = {"type": "http", "method": "GET", "path": url.path}
    [found] = [route for route in routes if route.matches(scope)[0] is Match.FULL]
    assert found.path == "/runs/{run_id}"  # type: ignore[attr-defined]


def test_texts_are_edited_per_language_and_borrowed_from_the_nearest(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    here = f"/mail/templates/{shop_id}/error_report"

    def shown(locale: str) -> str:
        return ann.client.get(here, params={"locale": locale}).text

    def save_in(locale: str, subject: str) -> None:
        form = {"_csrf": ann.token(here), "subject": subject, "text": "Texte", "html": "<p>Texte</p>"}
        assert ann.client.post(here, params={"locale": locale}, data=form).status_code == 303

    save_in("fr", "Un automatisme a échoué")
    assert "Un automatisme a échoué" in shown("fr-CA")
    assert "There are no texts in French, Canada (fr-CA): such mails use those in French (fr)" in shown(
        "fr-CA"
    )
    save_in("fr-CA", "Une automatisation a échoué")
    assert "Une automatisation a échoué" in shown("fr-CA") and "There are no texts" not in shown("fr-CA")
    assert "Un automatisme a échoué" in shown("fr")
    assert "There are no texts in Polish (pl): such mails use those in English (en)" in shown("pl")
    assert "Une automatisation" in ann.client.get(f"{here}/preview", params={"locale": "fr-CA"}).text
    assert '<option value="en" selected' in shown("'><script>")

    restore = ann.client.post(f"{here}/restore", params={"locale": "fr-CA"}, data={"_csrf": ann.token(here)})
    assert restore.status_code == 303
    assert "Un automatisme a échoué" in shown("fr-CA")
    assert site.execute("select locale from mail_templates") == [("fr",)]
    details = site.execute(
        "select detail ->> 'language' from audit_log where action like 'template.%%' order by 1"
    )
    assert details == [("fr",), ("fr-CA",), ("fr-CA",)]
