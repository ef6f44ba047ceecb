"""Messages: what is refused, and the bytes that a server gets."""

import email
import email.policy
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stockwright.mail.account import Account, Security
from stockwright.mail.addresses import MailRefused, checked_address
from stockwright.mail.message import Envelope, Message, letter, message_id

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHOP = Envelope(from_address="shop@example.com", from_name="The shop")


def message(**changes) -> Message:
    given = {"kind": "test_mail", "key": "k", "to": "ann@example.com", "subject": "Hello", "text": "Hi."}
    return Message(**(given | changes))


def parsed(one: Message, envelope: Envelope = SHOP):
    data = letter(one, envelope, number="msg_1", date=NOON).data
    return email.message_from_bytes(data, policy=email.policy.default)


def sender_name(mail) -> str:
    """The name in From. Python 3.11's own `display_name` keeps the space between encoded words (RFC 2047, 6.2)."""
    name, _ = parseaddr(dict(mail.raw_items())["From"])
    return str(make_header(decode_header(name)))


INJECTIONS = [
    "a\r\nBcc: eve@example.com", "a\nb", "a\rb", "a\0b", "a\x0bb", "a\x0cb", "a\x1cb", "a\x85b", "a\u2028b", "\n", "a\x7f",
]  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("field", ["subject", "from_name", "to", "reply_to"])
def test_no_header_takes_a_line_break_or_a_control_character(field: str, text: str) -> None:
    with pytest.raises(MailRefused):
        message(**{field: text if field in ("subject", "from_name") else f"ann{text}@example.com"})


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_further_header_takes_a_line_break_in_its_name_or_value(text: str) -> None:
    with pytest.raises(MailRefused):
        message(headers={"X-Note": text})
    with pytest.raises(MailRefused):
        message(headers={text: "x"})


@pytest.mark.parametrize("text", INJECTIONS)
def test_the_sender_takes_no_line_break_either(text: str) -> None:
    with pytest.raises(MailRefused):
        Envelope(from_address="shop@example.com", from_name=text)
    with pytest.raises(MailRefused):
        Envelope(from_address=f"shop{text}@example.com")


@pytest.mark.parametrize(
    "name",
    [
        "To",
        "BCC",
        "cc",
        "From",
        "Subject",
        "Message-ID",
        "Content-Type",
        "Content-X",
        "Sender",
        "a b",
        "",
        "Ä",
    ],
)
def test_headers_that_are_ours_or_none_are_refused(name: str) -> None:
    with pytest.raises(MailRefused):
        message(headers={name: "x"})


@pytest.mark.parametrize(
    "address",
    ["", "ann", "@example.com", "ann@", "a@b@c", "ann@example..com", "ann <ann@example.com>", "a@x.com, b@x.com",
     "ann@exa mple.com", "a" * 70 + "@example.com", "ann@localhost..", "ann@-.local", "<ann@example.com>"],
)  # fmt: skip
def test_what_is_not_one_address_is_refused(address: str) -> None:
    with pytest.raises(MailRefused):
        message(to=address)


def test_addresses_get_one_form() -> None:
    assert checked_address(" Ann@EXAMPLE.com ") == "Ann@example.com"
    assert checked_address("ann@bücher.example") == "ann@xn--bcher-kva.example"
    assert checked_address("ann@localhost") == "ann@localhost"
    assert checked_address("ann@mail.shop.internal") == "ann@mail.shop.internal"


def test_text_and_html_are_alternatives_and_come_back_as_they_were() -> None:
    text = "Zürich — ’quoted’\n.\n.dot at the start\nFrom here\n" + "x" * 2000 + "\n"
    html = "<p>" + "ä<b>.</b>" * 900 + "</p>\n"
    mail = parsed(message(text=text, html=html, subject="Zürich: " + "sehr lang " * 20 + "Ende"))
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == text
    assert mail.get_body(("html",)).get_content().replace("\r\n", "\n") == html
    assert mail["Subject"] == "Zürich: " + "sehr lang " * 20 + "Ende"


@pytest.mark.parametrize(
    "text", ["x" * 5000, "ü" * 5000, "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") * 800]
)
def test_every_line_is_short_and_ascii_and_ends_in_crlf(text: str) -> None:
    one = message(subject=text[:900], text=text, html=f"<p>{text}</p>", from_name=text[:400])
    data = letter(one, SHOP, number="msg_1", date=NOON).data
    assert data.isascii()
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    body = data.partition(b"\r\n\r\n")[2]
    assert max(len(line) for line in body.split(b"\r\n")) <= 78


def test_the_headers_that_every_message_has() -> None:
    mail = parsed(
        message(reply_to="desk@example.com", headers={"List-Unsubscribe": "<https://x.example/u/1>"})
    )
    assert mail["From"] == "The shop <shop@example.com>"
    assert mail["To"] == "ann@example.com"
    assert mail["Reply-To"] == "desk@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == NOON
    assert mail["List-Unsubscribe"] == "<https://x.example/u/1>"
    assert mail["Bcc"] is None


def test_an_unsubscribe_address_is_written_as_it_is_however_long() -> None:
    address = "<https://stock.example.com/u/" + "aB_-9" * 80 + ">"
    data = letter(message(headers={"List-Unsubscribe": address}), SHOP, number="msg_1", date=NOON).data
    assert f"\r\nList-Unsubscribe: {address}\r\n".encode() in data


_LINES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\t"), max_size=120
)


@given(
    subject=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=150),
    text=st.lists(_LINES, max_size=8).map("\n".join),
    html=st.lists(_LINES, max_size=8).map("\n".join),
    name=st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=60),
)
@example(subject="0", text="", html="", name="00000" + "\u00a1" * 11 + "\u0800" + "\U00010000" * 4)
def test_whatever_is_said_comes_back_as_it_was(subject: str, text: str, html: str, name: str) -> None:
    mail = parsed(message(subject=subject, text=text, html=html and f"<p>{html}", from_name=name))
    assert mail["Subject"] == subject
    assert sender_name(mail) == (name or SHOP.from_name)
    plain = mail.get_body(("plain",)).get_content()
    assert plain.replace("\r\n", "\n").removesuffix("\n") == text.removesuffix("\n")
    if html:
        shown = mail.get_body(("html",)).get_content()
        assert shown.replace("\r\n", "\n").removesuffix("\n") == f"<p>{html}".removesuffix("\n")


def test_a_name_with_quotes_commas_and_brackets_stays_one_name() -> None:
    mail = parsed(message(from_name='A "B", <C> (D) @ E; ü'))
    assert mail["From"].addresses[0].display_name == 'A "B", <C> (D) @ E; ü'
    assert [one.addr_spec for one in mail["From"].addresses] == ["shop@example.com"]


def test_the_message_id_is_the_same_at_every_attempt_and_differs_between_messages() -> None:
    first = letter(message(), SHOP, number="msg_1", date=NOON)
    again = letter(message(), SHOP, number="msg_1", date=NOON.replace(hour=15))
    other = letter(message(), SHOP, number="msg_2", date=NOON)
    assert first.message_id == again.message_id == message_id("msg_1", sender="shop@example.com")
    assert first.message_id != other.message_id
    assert first.message_id.startswith("<msg_1.") and first.message_id.endswith("@example.com>")


def test_an_international_domain_goes_out_in_punycode() -> None:
    ready = letter(message(to="ann@bücher.example"), SHOP, number="msg_1", date=NOON)
    assert (ready.recipient, ready.needs_utf8) == ("ann@xn--bcher-kva.example", False)


def test_a_name_beyond_ascii_before_the_at_needs_a_server_with_smtputf8() -> None:
    assert letter(message(to="änn@example.com"), SHOP, number="msg_1", date=NOON).needs_utf8


def test_half_of_a_character_and_nul_are_refused_in_bodies() -> None:
    for body in ("\ud83d", "a\0b"):
        with pytest.raises(MailRefused):
            message(text=body)
        with pytest.raises(MailRefused):
            message(html=body)


def account(**changes) -> Account:
    given = {"host": "mail.example.com", "port": 587, "security": Security.STARTTLS, "envelope": SHOP}
    return Account(**(given | changes))


@pytest.mark.parametrize(
    "changes",
    [{"host": ""}, {"host": "a b"}, {"host": "a\r\nb"}, {"port": 0}, {"port": 70000}, {"rate_per_minute": 0},
     {"security": Security.NONE}],
)  # fmt: skip
def test_an_account_that_cannot_work_is_refused(changes: dict) -> None:
    with pytest.raises(MailRefused):
        account(**changes)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_an_open_connection_is_taken_on_this_machine(host: str) -> None:
    assert account(host=host, security=Security.NONE).server == f"{host}:587"


def test_an_open_connection_beyond_this_machine_needs_to_be_allowed() -> None:
    assert account(security=Security.NONE, allow_plain=True)


def test_the_password_is_in_no_text_of_an_account() -> None:
    assert "hunter2" not in repr(account(username="u", password="hunter2"))
    assert account(password="a").digest != account(password="b").digest
