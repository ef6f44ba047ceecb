"""DKIM signatures verify, cover what RFC 8058 asks for, and break with the message."""

from datetime import UTC, datetime

import dkim
import pytest

from stockwright.mail.addresses import MailRefused
from stockwright.mail.dkim import DkimKey, new_key
from stockwright.mail.message import Envelope, Letter, Message, letter

KEY = new_key("shop.example", "stock1")


def a_letter(sender: str = "hello@shop.example", **headers: str) -> Letter:
    message = Message(
        kind="back_in_stock",
        key="k",
        to="mia@customer.example",
        subject="Nyhavn är tillbaka",
        text="In stock again. ½\n",
        html="<p>In stock again.</p>",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    return letter(
        message, Envelope(from_address=sender), number="msg_1", date=datetime(2026, 11, 21, tzinfo=UTC)
    )


def verifies(data: bytes, key: DkimKey = KEY) -> bool:
    def look_up(name: bytes, timeout: int = 5) -> bytes:
        assert name.decode().rstrip(".") == key.record_name
        return key.record.replace('" "', "").strip('"').encode()

    return bool(dkim.verify(data, dnsfunc=look_up))


def signed_headers(data: bytes) -> set[str]:
    tags = data.split(b"DKIM-Signature:")[1].split(b" h=")[1].split(b";")[0]
    return {name.strip() for name in tags.decode().replace("\r\n", "").split(":")}


def test_a_signature_verifies_with_the_published_record() -> None:
    signed = KEY.sign(a_letter())
    assert signed.data.startswith(b"DKIM-Signature:")
    assert verifies(signed.data)


def test_both_unsubscribe_headers_are_signed() -> None:
    signed = KEY.sign(
        a_letter(
            List_Unsubscribe="<https://stock.example/u/abc>",
            List_Unsubscribe_Post="List-Unsubscribe=One-Click",
        )
    )
    assert {"from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post"} <= (
        signed_headers(signed.data)
    )
    assert not verifies(signed.data.replace(b"/u/abc", b"/u/abd"))


@pytest.mark.parametrize(
    ("was", "becomes"), [(b"In stock", b"In shock"), (b"mia@", b"mio@"), (b"hello@", b"hullo@")]
)
def test_a_changed_message_does_not_verify(was: bytes, becomes: bytes) -> None:
    signed = KEY.sign(a_letter())
    assert was in signed.data
    assert not verifies(signed.data.replace(was, becomes))


def test_another_key_does_not_verify() -> None:
    other = new_key("shop.example", "stock1")
    assert not verifies(KEY.sign(a_letter()).data, other)


def test_a_sender_below_the_domain_is_signed_and_one_beside_it_refused() -> None:
    assert verifies(KEY.sign(a_letter("hello@mail.shop.example")).data)
    with pytest.raises(MailRefused, match=r"sender's address of notshop\.example"):
        KEY.sign(a_letter("hello@notshop.example"))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"pem": "no key"}, "PEM"),
        ({"pem": KEY.pem.replace("MII", "AAA", 1)}, "PEM"),
        ({"domain": "shop example"}, "DNS name"),
        ({"selector": ""}, "DNS name"),
        ({"selector": "a\r\nb"}, "DNS name"),
    ],
)
def test_what_cannot_sign_is_refused_when_it_is_set(changed: dict[str, str], told: str) -> None:
    with pytest.raises(MailRefused, match=told):
        DkimKey(**{"domain": KEY.domain, "selector": KEY.selector, "pem": KEY.pem, **changed})


def test_the_key_is_never_shown() -> None:
    assert "PRIVATE" not in repr(KEY)


def test_strings_of_the_record_fit_a_txt_record() -> None:
    parts = KEY.record.strip('"').split('" "')
    assert len(parts) > 1
    assert all(len(part) <= 255 for part in parts)
