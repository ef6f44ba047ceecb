"""Mail in a real browser: messages, templates, settings and the test, with what wrong input and evil content get."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from mail_sink import SmtpSink
from stockwright.deps import Deps
from stockwright.model import ShopId
from stockwright.store import messages
from stockwright.store.messages import NewMessage
from tests.browser.conftest import PHONE, overflow, serious_findings, sign_in
from tests.browser.mails import put_in_state
from tests.browser.site import RunningSite

pytestmark = pytest.mark.browser

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
SCRIPTED = (
    "<html><body><h1>Hello</h1><script>document.title='run'</script><img src='https://evil.example/x.png' onerror='alert(1)'>"
    "<form action='https://evil.example/'><button>Go</button></form><a href='/sign-out' target='_top'>out</a></body></html>"
)


@pytest.fixture
def shop_id(site: RunningSite) -> int:
    return site.add_shop()


@pytest.fixture
def sink(site: RunningSite) -> Iterator[SmtpSink]:
    """A mail server that takes mail from one user."""
    made = SmtpSink(users={"stock": "swordfish"})

    async def start(_deps: Deps) -> None:
        await made.start()

    async def stop(_deps: Deps) -> None:
        await made.stop()

    site.run(start)
    yield made
    site.run(stop)


def queued(
    site: RunningSite, shop_id: int, state: str, *, subject: str = "Nyhavn is back", html: str = ""
) -> str:
    """A message as the queue leaves it behind; its id."""

    async def work(deps: Deps) -> str | None:
        async with deps.database.connection() as conn, conn.transaction():
            message = NewMessage(
                key=f"{state}:{subject}", kind="error_report", to="ann@prints.example.com", subject=subject,
                text=f"Text of {subject}", html=html or "<p>As it looks</p>",
            )  # fmt: skip
            return await messages.insert(conn, ShopId(shop_id), message, deps.clock())

    message_id = site.run(work)
    assert message_id is not None
    put_in_state(site, message_id, state)
    return message_id


# --- messages ---------------------------------------------------------------------------------------------


def test_an_empty_list_leads_to_the_settings(signed_in: Page) -> None:
    signed_in.goto("/mail")
    expect(signed_in.get_by_role("heading", name="No mail yet")).to_be_visible()
    assert serious_findings(signed_in) == []


def test_messages_are_filtered_by_state_and_address(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    for state in ("sent", "failed", "held"):
        queued(site, shop_id, state, subject=f"This one is {state}")
    signed_in.goto("/mail")
    rows = signed_in.locator("tbody tr")
    expect(rows).to_have_count(3)
    signed_in.get_by_label("State").select_option("failed")
    signed_in.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("550 5.1.1")
    signed_in.get_by_label("To", exact=True).fill("nobody@example.com")
    signed_in.get_by_role("button", name="Show").click()
    expect(signed_in.get_by_role("heading", name="No mail fits")).to_be_visible()


def test_a_failed_message_shows_its_parts_and_replies_and_is_sent_again(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    queued(site, shop_id, "failed")
    signed_in.goto("/mail")
    signed_in.get_by_role("link", name="Nyhavn is back").click()
    expect(signed_in.frame_locator("iframe").get_by_text("As it looks")).to_be_visible()
    expect(signed_in.get_by_text("Text of Nyhavn is back")).to_be_visible()
    expect(signed_in.get_by_text("try 1 at smtp.example.com:587")).to_be_visible()
    assert serious_findings(signed_in) == []
    signed_in.get_by_role("link", name="Send again …").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Send it again").click()
    expect(signed_in.get_by_role("status")).to_contain_text("It waits now")
    assert site.execute("select state from messages") == [("pending",)]
    assert site.execute("select action, user_name from audit_log where action like 'message.%%'") == [
        ("message.retry", "ann")
    ]


def test_sending_again_what_perhaps_came_is_warned_of(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    message_id = queued(site, shop_id, "unknown")
    signed_in.goto(f"/mail/messages/{message_id}/retry")
    expect(signed_in.locator("#confirm")).to_contain_text("Perhaps it was delivered: then it comes twice.")


def test_a_held_message_is_cancelled(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    message_id = queued(site, shop_id, "held")
    signed_in.goto(f"/mail/messages/{message_id}")
    signed_in.get_by_role("button", name="Do not send it").click()
    expect(signed_in.get_by_role("status").first).to_contain_text("It will not be sent.")
    assert site.execute("select state, reason from messages") == [("cancelled", "ann cancelled it.")]


def test_a_mail_with_scripts_runs_none_loads_nothing_and_leads_nowhere(
    site: RunningSite, open_page, chromium, shop_id: int
) -> None:
    # A page of its own: the browser writes into the console what it refused, which fails other tests here.
    message_id = queued(site, shop_id, "sent", subject=EVIL, html=SCRIPTED)
    context = chromium.new_context(base_url=site.url)
    page = sign_in(context.new_page())
    gone_out: list[str] = []  # what the policy refuses never gets as far as a route
    context.route(
        "https://evil.example/**", lambda route: (gone_out.append(route.request.url), route.abort())[1]
    )
    page.goto(f"/mail/messages/{message_id}")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Hello")).to_be_visible()
    expect(page.locator("h1")).to_have_text(EVIL)
    assert page.locator("main img, main script").count() == 0
    frame.get_by_role("button", name="Go").click()
    frame.get_by_role("link", name="out").click()
    page.goto(f"/mail/messages/{message_id}/html")  # on its own it is as powerless
    assert page.evaluate("self.origin") == "null"
    assert page.title() != "run"
    assert gone_out == []
    page.goto("/")
    expect(page.get_by_role("heading", name="Home")).to_be_visible()  # still signed in
    context.close()


# --- templates --------------------------------------------------------------------------------------------


def test_a_template_is_previewed_saved_and_restored(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    signed_in.goto("/mail/templates")
    signed_in.get_by_role("link", name="Back in stock, to staff").click()
    preview = signed_in.frame_locator("iframe")
    expect(preview.get_by_text("Subject:")).to_be_visible()
    expect(preview.locator("iframe")).to_have_count(2)
    signed_in.get_by_label("Subject").fill("There it is: {{ products[0].title }}")
    signed_in.get_by_role("button", name="Preview below").click()
    expect(preview.get_by_text("There it is: Nyhavn at dawn")).to_be_visible()
    assert site.execute("select count(*) from mail_templates") == [(0,)]
    assert serious_findings(signed_in) == []
    signed_in.get_by_role("button", name="Save the texts").click()
    expect(signed_in.get_by_role("status")).to_contain_text("Saved.")
    signed_in.get_by_role("link", name="Restore the default …").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Restore the texts").click()
    expect(signed_in.get_by_label("Subject")).not_to_have_value("There it is: {{ products[0].title }}")
    assert site.execute("select count(*) from mail_templates") == [(0,)]


def test_a_wrong_template_is_kept_as_typed_with_line_and_column_at_its_part(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    signed_in.goto(f"/mail/templates/{shop_id}/staff_back_in_stock")
    signed_in.get_by_label("HTML part").fill("<p>Hello</p>\n<p>{{ shop.nmae }}</p>")
    signed_in.get_by_role("button", name="Preview below").click()
    expect(signed_in.frame_locator("iframe").get_by_text("html, line 2, column")).to_be_visible()
    signed_in.get_by_role("button", name="Save the texts").click()
    expect(signed_in.locator("#e-html")).to_contain_text("Line 2, column")
    expect(signed_in.get_by_label("HTML part")).to_have_attribute("aria-invalid", "true")
    expect(signed_in.get_by_label("HTML part")).to_have_value("<p>Hello</p>\n<p>{{ shop.nmae }}</p>")
    assert serious_findings(signed_in) == []
    assert site.execute("select count(*) from mail_templates") == [(0,)]


def test_a_template_goes_out_as_a_test(site: RunningSite, signed_in: Page, shop_id: int) -> None:
    signed_in.goto(f"/mail/templates/{shop_id}/staff_back_in_stock")
    signed_in.get_by_label("To", exact=True).fill("ann@prints.example.com")
    signed_in.get_by_role("button", name="Send a test").click()
    expect(signed_in.get_by_role("heading", level=1)).to_contain_text("Test: Back in stock")
    assert site.execute("select recipient, state from messages") == [("ann@prints.example.com", "pending")]


# --- settings ---------------------------------------------------------------------------------------------


def test_a_server_is_set_and_tested_with_the_conversation_shown_without_the_password(
    site: RunningSite, signed_in: Page, shop_id: int, sink: SmtpSink
) -> None:
    signed_in.goto("/mail/settings")  # the only shop's form
    signed_in.get_by_label("A mail server of the shop's own").check()
    signed_in.get_by_label("Server", exact=True).fill("127.0.0.1")
    signed_in.get_by_label("Port", exact=True).fill(str(sink.port))
    signed_in.get_by_label("Security").select_option("none")
    signed_in.get_by_label("User", exact=True).fill("stock")
    signed_in.get_by_label("Password", exact=True).fill("swordfish")
    signed_in.get_by_label("Sender's address").fill("stock@prints.example.com")
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("status")).to_contain_text("Saved.")
    expect(signed_in.get_by_text("a password is stored")).to_be_visible()
    expect(signed_in.get_by_label("Password", exact=True)).to_have_value("")
    signed_in.get_by_label("To", exact=True).fill("ann@prints.example.com")
    signed_in.get_by_role("button", name="Send a test").click()
    result = signed_in.locator("section", has=signed_in.get_by_role("heading", name="The test"))
    expect(result).to_contain_text("C: MAIL FROM:<stock@prints.example.com>")
    expect(result).to_contain_text("sent")
    assert "swordfish" not in signed_in.content()
    assert serious_findings(signed_in) == []
    assert sink.handed_over == 1


def test_a_wrong_password_shows_what_the_server_said(
    site: RunningSite, signed_in: Page, shop_id: int, sink: SmtpSink
) -> None:
    signed_in.goto(f"/mail/settings/{shop_id}")
    signed_in.get_by_label("A mail server of the shop's own").check()
    signed_in.get_by_label("Server", exact=True).fill("127.0.0.1")
    signed_in.get_by_label("Port", exact=True).fill(str(sink.port))
    signed_in.get_by_label("Security").select_option("none")
    signed_in.get_by_label("User", exact=True).fill("stock")
    signed_in.get_by_label("Password", exact=True).fill("a wrong one")
    signed_in.get_by_label("Sender's address").fill("stock@prints.example.com")
    signed_in.get_by_role("button", name="Save").click()
    signed_in.get_by_label("To", exact=True).fill("ann@prints.example.com")
    signed_in.get_by_role("button", name="Send a test").click()
    expect(signed_in.get_by_text("not sent", exact=True)).to_be_visible()
    expect(signed_in.get_by_label("Conversation with the mail server")).to_contain_text("S: 535")


def test_wrong_settings_are_told_at_their_fields_and_nothing_is_saved(
    site: RunningSite, signed_in: Page, shop_id: int
) -> None:
    signed_in.goto(f"/mail/settings/{shop_id}")
    signed_in.get_by_label("A mail server of the shop's own").check()
    signed_in.get_by_label("Sender's address").fill("not an address")
    signed_in.get_by_label("Port", exact=True).fill("2525")
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_text("A server of the shop's own needs this.")).to_be_visible()
    expect(signed_in.get_by_text("'not an address' is not a mail address")).to_be_visible()
    expect(signed_in.get_by_label("Port", exact=True)).to_have_value("2525")
    assert serious_findings(signed_in) == []
    assert site.execute("select count(*) from mail_settings") == [(0,)]


def test_a_phone_shows_every_mail_page_without_scrolling_sideways(
    site: RunningSite, open_page, shop_id: int
) -> None:
    message_id = queued(site, shop_id, "failed", subject="x" * 120)
    page = sign_in(open_page(viewport=PHONE))
    for path in (
        "/mail/messages", f"/mail/messages/{message_id}", "/mail/templates", f"/mail/settings/{shop_id}",
        f"/mail/templates/{shop_id}/error_report", f"/mail/templates/{shop_id}/error_report/restore",
    ):  # fmt: skip
        page.goto(path)
        assert overflow(page) == 0
        assert serious_findings(page) == []
