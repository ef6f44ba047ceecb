"""Tokens: good for one purpose, one shop and one subscriber, whatever is done to them; hashes that tell nothing."""

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stockwright.model import ShopId
from stockwright.notify.tokens import Keyring, Purpose, Token

KEYS = Keyring(b"0123456789abcdef0123456789abcdef")
SHOP, OTHER_SHOP = ShopId(7), ShopId(8)
ADA = KEYS.address_hash(SHOP, "ada@example.com")
SUBSCRIBER = "sub_01k9q2zt7m4h8x2c6v0b"

_SHOPS = st.integers(min_value=1, max_value=2**63 - 1).map(ShopId)
_IDS = st.text(min_size=1, max_size=40)
_CONTENTS = st.binary(max_size=64)


@given(_SHOPS, _IDS, _CONTENTS)
def test_a_token_says_what_it_was_made_of(shop_id: ShopId, subscriber_id: str, content: bytes) -> None:
    token = KEYS.unsubscribe_token(shop_id, subscriber_id, content)
    assert KEYS.read_token(token, Purpose.UNSUBSCRIBE) == Token(
        shop_id=shop_id, subscriber_id=subscriber_id, content=content
    )


@given(st.sampled_from(Purpose), _CONTENTS)
def test_case_12_a_token_is_good_for_its_purpose_only(purpose: Purpose, content: bytes) -> None:
    confirm = KEYS.confirm_token(SHOP, SUBSCRIBER, content)
    unsubscribe = KEYS.unsubscribe_token(SHOP, SUBSCRIBER, content)
    assert (KEYS.read_token(confirm, purpose) is not None) == (purpose is Purpose.CONFIRM)
    assert (KEYS.read_token(unsubscribe, purpose) is not None) == (purpose is Purpose.UNSUBSCRIBE)


@given(st.data())
def test_a_changed_token_is_none(data: st.DataObject) -> None:
    token = KEYS.unsubscribe_token(SHOP, SUBSCRIBER, ADA)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(codec="ascii"))
    assume(letter != token[at])
    assert KEYS.read_token(token[:at] + letter + token[at + 1 :], Purpose.UNSUBSCRIBE) is None


@given(st.data())
def test_a_cut_or_longer_token_is_none(data: st.DataObject) -> None:
    token = KEYS.unsubscribe_token(SHOP, SUBSCRIBER, ADA)
    assert KEYS.read_token(token[: data.draw(st.integers(0, len(token) - 1))], Purpose.UNSUBSCRIBE) is None
    assert KEYS.read_token(token + data.draw(st.text(min_size=1, max_size=5)), Purpose.UNSUBSCRIBE) is None


@given(st.one_of(st.text(), st.binary(max_size=300).map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_a_stranger_s_text_is_none_and_no_error(text: str) -> None:
    assert KEYS.read_token(text, Purpose.CONFIRM) is None


def test_another_installation_s_token_is_none() -> None:
    theirs = Keyring(b"another key of another house").unsubscribe_token(SHOP, SUBSCRIBER, ADA)
    assert KEYS.read_token(theirs, Purpose.UNSUBSCRIBE) is None


@given(_SHOPS, _SHOPS, _IDS, _IDS)
def test_tokens_of_two_shops_or_subscribers_never_meet(one: ShopId, two: ShopId, a: str, b: str) -> None:
    assume((one, a) != (two, b))
    assert KEYS.unsubscribe_token(one, a, ADA) != KEYS.unsubscribe_token(two, b, ADA)


def test_a_token_fits_into_a_line_of_a_mail_and_a_url() -> None:
    token = KEYS.unsubscribe_token(ShopId(2**63 - 1), SUBSCRIBER, ADA)
    assert len(token) < 140
    assert token.replace("-", "").replace("_", "").isalnum()


def test_after_a_change_of_keys_old_tokens_are_good_and_addresses_are_recognised() -> None:
    old, new = b"the old key, 32 bytes or so long", b"the new key, 32 bytes or so long"
    before, after = Keyring(old), Keyring(new, older=[old])
    token = before.unsubscribe_token(SHOP, SUBSCRIBER, ADA)
    assert after.read_token(token, Purpose.UNSUBSCRIBE) is not None
    assert before.read_token(after.unsubscribe_token(SHOP, SUBSCRIBER, ADA), Purpose.UNSUBSCRIBE) is None
    assert after.address_hash(SHOP, "ada@example.com") == before.address_hash(SHOP, "ada@example.com")


def test_an_address_has_another_hash_in_each_shop_and_installation() -> None:
    elsewhere = Keyring(b"another key of another house").address_hash(SHOP, "ada@example.com")
    assert len({ADA, KEYS.address_hash(OTHER_SHOP, "ada@example.com"), elsewhere}) == 3
    assert len(ADA) == 32


def test_counters_of_different_things_have_different_names() -> None:
    names = {
        KEYS.bucket(SHOP, "client", "a", "b"),
        KEYS.bucket(SHOP, "client", "ab"),
        KEYS.bucket(SHOP, "client", "a", "", "b"),
        KEYS.bucket(SHOP, "clienta", "b"),
        KEYS.bucket(OTHER_SHOP, "client", "a", "b"),
    }
    assert len(names) == 5


def test_case_13_what_is_stored_of_a_confirm_secret_does_not_contain_it() -> None:
    secret = bytes(range(20))
    assert secret not in KEYS.confirm_hash(secret)
    assert KEYS.confirm_hash(secret) != KEYS.confirm_hash(secret[:-1])


def test_a_short_master_key_is_refused_and_no_key_is_shown() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Keyring(b"short")
    assert "0123" not in repr(KEYS)
