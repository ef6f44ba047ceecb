"""What the admin site must not let happen: forgery, fixation, open redirects, script injection, guessing."""

import re
import statistics
from collections.abc import Iterator
from time import perf_counter

import httpx2
import pytest

from stockwright.access import Passwords
from stockwright.web.admin import SECTIONS
from stockwright.web.admin.pages import local_path
from tests.browser.site import PASSWORD, USER, RunningSite, running_site

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def site(database: str) -> Iterator[RunningSite]:
    with running_site(database) as running:
        running.add_user()
        yield running


class Visitor:
    """Somebody with a browser that keeps cookies and runs nothing."""

    def __init__(self, site: RunningSite, **headers: str) -> None:
        self.client = site.client(headers=headers)

    def form(self, path: str, **values: str) -> httpx2.Response:
        """Open a page and send a form with its token to the same address."""
        return self.client.post(path, data={"_csrf": self.token(path), **values})

    def token(self, path: str = "/") -> str:
        found = re.search(r'name="_csrf" value="(\w+)"', self.client.get(path).text)
        assert found is not None
        return found[1]

    def sign_in(self, name: str = USER, password: str = PASSWORD, **more: str) -> httpx2.Response:
        return self.form("/sign-in", name=name, password=password, **more)

    @property
    def session(self) -> str | None:
        return self.client.cookies.get("stockwright")


@pytest.fixture
def ann(site: RunningSite) -> Visitor:
    visitor = Visitor(site)
    assert visitor.sign_in().status_code == 303
    return visitor


# --- forgery ----------------------------------------------------------------------------------------------


def posts() -> list[str]:
    routes = [route for section in SECTIONS for route in section.routes]
    return [route.path for route in routes if "POST" in (route.methods or ())]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [*posts(), "/sign-out", "/sign-out-everywhere", "/sign-in"])
def test_a_form_without_its_token_does_nothing(ann: Visitor, path: str) -> None:
    answer = ann.client.post(re.sub(r"\{\w+\}", "1", path), data={"name": "x"})
    assert answer.status_code == 403
    assert "earlier session" in answer.text
    assert ann.client.get("/settings/users").status_code == 200


def test_a_form_from_another_site_does_nothing_even_with_the_token(ann: Visitor) -> None:
    token = ann.token()
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ):
        answer = ann.client.post("/sign-out", data={"_csrf": token}, headers=headers)
        assert answer.status_code == 403, headers
    own = ann.client.post(
        "/sign-out", data={"_csrf": token}, headers={"origin": str(ann.client.base_url).rstrip("/")}
    )
    assert own.status_code == 303


def test_the_token_of_one_session_is_not_good_in_another(site: RunningSite, ann: Visitor) -> None:
    other = Visitor(site)
    other.sign_in()
    assert ann.client.post("/sign-out", data={"_csrf": other.token()}).status_code == 403


def test_a_sign_in_form_is_bound_to_the_browser_too(site: RunningSite) -> None:
    stranger, victim = Visitor(site), Visitor(site)
    values = {"_csrf": stranger.token("/sign-in"), "name": USER, "password": PASSWORD}
    victim.client.get("/sign-in")
    assert victim.client.post("/sign-in", data=values).status_code == 403


# --- sessions ---------------------------------------------------------------------------------------------


def test_a_cookie_from_before_is_worth_nothing_after_signing_in(site: RunningSite) -> None:
    visitor = Visitor(site)
    visitor.client.cookies.set("stockwright", "planted")
    visitor.sign_in()
    values = re.findall(r"stockwright=([^;]*)", str(visitor.client.headers.get("cookie", "")))
    assert "planted" not in values
    planted = site.client(cookies={"stockwright": "planted"})
    assert planted.get("/settings/users").status_code == 303


def test_signing_in_again_ends_the_session_before(site: RunningSite, ann: Visitor) -> None:
    first = ann.session
    assert first is not None
    token = ann.token()
    again = ann.client.post("/sign-in", data={"_csrf": token, "name": USER, "password": PASSWORD})
    assert again.status_code == 303
    assert ann.session != first
    stale = site.client(cookies={"stockwright": first})
    assert stale.get("/settings/users").status_code == 303


def test_the_cookie_is_kept_from_scripts_and_its_value_is_not_stored(site: RunningSite) -> None:
    visitor = Visitor(site)
    header = next(
        text for text in visitor.sign_in().headers.get_list("set-cookie") if text.startswith("stockwright=")
    )
    assert "HttpOnly" in header
    assert "samesite=lax" in header.lower()
    stored = site.execute("select token_hash::text, * from sessions")
    assert visitor.session is not None
    assert visitor.session not in str(stored)


def test_with_an_https_address_cookies_are_secure_and_bound_to_the_host(database: str) -> None:
    with running_site(database, public_url="https://stock.example.com") as site:
        answer = site.client().get("/sign-in")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-stockwright")
        assert "Secure" in cookie
        assert "Path=/" in cookie


@pytest.mark.parametrize("column", ["seen_at", "created_at"])
def test_a_session_ends_when_idle_and_after_its_longest_time(
    site: RunningSite, ann: Visitor, column: str
) -> None:
    age = {"seen_at": "13 hours", "created_at": "8 days"}[column]
    site.execute(f"update sessions set {column} = now() - interval '{age}'")
    assert ann.client.get("/settings/users").status_code == 303


def test_a_page_that_looks_again_by_itself_keeps_nobody_signed_in(site: RunningSite, ann: Visitor) -> None:
    site.execute("update sessions set seen_at = now() - interval '2 hours'")
    ann.client.get("/", headers={"X-Poll": "1"})
    assert site.execute("select now() - seen_at > interval '1 hour' from sessions") == [(True,)]
    ann.client.get("/")
    assert site.execute("select now() - seen_at < interval '1 minute' from sessions") == [(True,)]


# --- redirects --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "/\n/evil.example", "javascript:alert(1)", "evil.example", "", "/ /evil.example", " //evil.example"],
)  # fmt: skip
def test_nobody_is_sent_to_another_site_after_signing_in(site: RunningSite, wanted: str) -> None:
    assert local_path(wanted) == "/"
    assert Visitor(site).sign_in(next=wanted).headers["location"] == "/"


def test_a_path_of_this_site_survives_signing_in(site: RunningSite) -> None:
    wanted = "/settings/audit?about=shop"
    assert Visitor(site).sign_in(next=wanted).headers["location"] == wanted


# --- script injection -------------------------------------------------------------------------------------


def test_names_from_outside_are_shown_as_text_on_every_page(site: RunningSite, ann: Visitor) -> None:
    number = site.add_shop()
    site.execute(
        "update shops set name = %s, timezone = %s, status_reason = %s, status = 'paused'", EVIL, EVIL, EVIL
    )
    site.execute("update users set name = name")
    ann.form("/settings/tokens/add", name=EVIL[:100], scope="read")
    site.execute(
        "insert into audit_log (entry_id, at, user_name, action, target, detail)"
        " values ('aud_x', now(), %s, %s, %s, jsonb_build_object(%s::text, %s::text))",
        *([EVIL] * 5),
    )
    for section in SECTIONS:
        for path in section.samples:
            if "{" in path.replace("{shop}", ""):
                continue
            text = ann.client.get(path.format(shop=number)).text
            assert "<script>alert" not in text, path
            assert "<img src=x" not in text, path


@pytest.mark.parametrize(
    "path", ["/sign-in?next={}", "/settings/audit?about={}&before={}", "/?shop={}", "/{}"]
)
def test_what_an_address_carries_is_shown_as_text(ann: Visitor, path: str) -> None:
    answer = ann.client.get(path.replace("{}", EVIL), follow_redirects=True)
    assert answer.status_code in (200, 404)
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text


def test_a_wrong_form_shows_what_was_typed_as_text(ann: Visitor) -> None:
    answer = ann.form("/settings/shops/add", domain=EVIL, auth_mode="access_token")
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_every_answer_carries_the_headers_that_stop_scripts_of_others(
    site: RunningSite, ann: Visitor
) -> None:
    for path in ("/", "/sign-in", "/nope", "/settings/tokens?format=csv"):
        headers = ann.client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_no_page_holds_inline_scripts_or_styles(site: RunningSite, ann: Visitor) -> None:
    number = site.add_shop()
    for path in [
        path for section in SECTIONS for path in section.samples if path.count("{") == path.count("{shop}")
    ]:
        text = ann.client.get(path.format(shop=number)).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=\"", text), path


def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(site: RunningSite, ann: Visitor) -> None:
    ann.form("/settings/tokens/add", name="=HYPERLINK(A1)", scope="read")
    assert "'=HYPERLINK(A1)" in ann.client.get("/settings/tokens?format=csv").text


# --- guessing ---------------------------------------------------------------------------------------------


def test_guessing_a_password_is_stopped_for_that_name_and_address_only(site: RunningSite) -> None:
    guesser = Visitor(site)
    found = [guesser.sign_in(password=f"guess number {no}").status_code for no in range(7)]
    assert found == [422] * 5 + [429] * 2
    assert guesser.sign_in().status_code == 429, "not even the right password"
    elsewhere = Visitor(site, **{"x-forwarded-for": "203.0.113.9"})
    assert elsewhere.sign_in().status_code == 303


def test_guessing_names_is_stopped_for_the_address(site: RunningSite) -> None:
    guesser = Visitor(site)
    found = [guesser.sign_in(name=f"name{no}").status_code for no in range(22)]
    assert found == [422] * 20 + [429] * 2


def test_limits_end_after_a_quarter_of_an_hour(site: RunningSite) -> None:
    guesser = Visitor(site)
    for no in range(7):
        guesser.sign_in(password=f"guess number {no}")
    site.execute("update sign_in_attempts set at = at - interval '16 minutes'")
    assert guesser.sign_in().status_code == 303


def test_an_unknown_name_takes_as_long_as_a_wrong_password(database: str) -> None:
    """With real parameters: the hash is what takes time, and it is computed for both."""
    with running_site(database, passwords=Passwords()) as site:
        site.add_user()
        visitor = Visitor(site)
        visitor.sign_in(name="warm up")
        known = [_time_of(visitor, USER) for _ in range(4)]
        unknown = [_time_of(visitor, f"nobody{no}") for no in range(8)]
    assert statistics.median(unknown) > 0.5 * statistics.median(known)


def _time_of(visitor: Visitor, name: str) -> float:
    token = visitor.token("/sign-in")
    began = perf_counter()
    answer = visitor.client.post(
        "/sign-in", data={"_csrf": token, "name": name, "password": "wrong password"}
    )
    assert answer.status_code == 422
    return perf_counter() - began


def test_the_same_is_said_of_an_unknown_name_and_a_wrong_password(site: RunningSite) -> None:
    visitor = Visitor(site)
    sentences = [
        re.search(r'role="alert".*?<div[^>]*>(.*?)</div>', visitor.sign_in(name=name, password="wrong").text)
        for name in (USER, "nobody")
    ]
    assert all(sentences)
    assert sentences[0] and sentences[1] and sentences[0][1] == sentences[1][1]


# --- who may do what --------------------------------------------------------------------------------------


def test_every_page_but_the_door_asks_to_sign_in(site: RunningSite) -> None:
    stranger = Visitor(site)
    for section in SECTIONS:
        for route in section.routes:
            path = re.sub(r"\{\w+\}", "1", route.path)  # type: ignore[attr-defined]
            answer = stranger.client.get(path)
            assert answer.status_code in (303, 405), path
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/sign-in"), path


def test_nobody_removes_themselves_or_the_last_user(site: RunningSite, ann: Visitor) -> None:
    ((user_id,),) = site.execute("select user_id from users")
    answer = ann.form(f"/settings/users/{user_id}/remove")
    assert answer.status_code == 400
    assert "cannot remove yourself" in answer.text


def test_another_persons_session_cannot_be_ended(site: RunningSite, ann: Visitor) -> None:
    site.add_user("bert", "five words are better")
    bert = Visitor(site)
    bert.sign_in("bert", "five words are better")
    ((session_id,),) = site.execute(
        "select session_id from sessions join users using (user_id) where name = 'bert'"
    )
    ann.client.post(f"/settings/account/sessions/{session_id}/end", data={"_csrf": ann.token()})
    assert bert.client.get("/settings/users").status_code == 200


def test_secrets_of_a_shop_are_on_no_page(site: RunningSite, ann: Visitor) -> None:
    number = site.add_shop()
    text = ann.client.get(f"/settings/shops/{number}").text
    assert "shpat_browser" not in text
    assert "browser secret" not in text


def test_a_setup_link_is_good_once_and_not_beside_a_user(site: RunningSite) -> None:
    site.execute("insert into setup_links values (sha256('old link'), now() + interval '1 hour')")
    stranger = Visitor(site)
    assert stranger.client.get("/setup/old link").status_code == 200  # a link that a race left behind
    site.add_user("bert", "five words are better")
    assert stranger.client.get("/setup/old link").status_code == 404


# --- characters that no text may have ---------------------------------------------------------------------


def gets() -> list[str]:
    routes = [route for section in SECTIONS for route in section.routes]
    return [route.path for route in routes if "GET" in (route.methods or ())]  # type: ignore[attr-defined]


def test_a_nul_character_is_refused_by_every_form_with_the_name_of_its_field(ann: Visitor) -> None:
    token = ann.token("/settings/users")
    for path in (*posts(), "/sign-out", "/sign-in", "/setup/x"):
        for field in ("name", "na\0me"):
            answer = ann.client.post(
                re.sub(r"\{\w+\}", "1", path),
                data={"_csrf": token, field: "a\0b" if field == "name" else "x"},
            )
            assert answer.status_code == 400, (path, field)
            assert "The field name holds a NUL character" in answer.text, (path, field)


def test_a_nul_character_in_the_name_of_a_file_is_no_fault(ann: Visitor) -> None:
    form = {"_csrf": ann.token()}
    answer = ann.client.post("/automations/import", data=form, files={"file": ("a\0.json", b"{}")})
    assert answer.status_code < 500


def test_a_nul_character_in_an_address_is_refused_by_every_page(site: RunningSite, ann: Visitor) -> None:
    site.add_shop()
    query = "q=%00&to=%00&product=%00&state=%00&shop=%00&before=%00&kind=%00&locale=%00"
    for path in gets():
        odd = [f"{re.sub(r'{[^}]+}', '1', path)}?{query}"]
        if "{" in path:
            odd.append(re.sub(r"{[^}]+}", "%00", path))
        for address in odd:
            assert ann.client.get(address).status_code in (400, 404), address


# --- how long a session lasts -----------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "hours"), [("seen_at", 3), ("created_at", 49)])
def test_a_session_ends_when_the_settings_say(database: str, column: str, hours: int) -> None:
    with running_site(database, session_idle_hours=2, session_days=2) as site:
        site.add_user()
        visitor = Visitor(site)
        answer = visitor.sign_in()
        assert "Max-Age=172800" in answer.headers["set-cookie"]
        assert visitor.client.get("/runs").status_code == 200
        site.execute(f"update sessions set {column} = now() - {hours} * interval '1 hour'")
        assert visitor.client.get("/runs").status_code == 303
