"""Windows and counters of sign-ups."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stockwright.automations.notify_options import notify_options
from stockwright.model import ShopId
from stockwright.notify.limits import WINDOW, Limits, Who, buckets, window_of
from stockwright.notify.tokens import Keyring

KEYS = Keyring(b"0123456789abcdef")
SHOP = ShopId(7)
ADA = Who(client="203.0.113.9", address="ada@example.com", variant_id="gid://shopify/ProductVariant/1")


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_moment_lies_in_its_window(at: datetime) -> None:
    start = window_of(at)
    assert start <= at < start + WINDOW
    assert window_of(start) == start
    assert window_of(start - timedelta(microseconds=1)) == start - WINDOW


def test_case_09_the_two_limits_are_independent() -> None:
    client = buckets(KEYS, SHOP, Limits(per_client=2, per_address=0), ADA)
    address = buckets(KEYS, SHOP, Limits(per_client=0, per_address=3), ADA)
    both = buckets(KEYS, SHOP, Limits(per_client=2, per_address=3), ADA)
    assert sorted(client.limits.values()) == [2]
    assert sorted(address.limits.values()) == [3]
    assert both.limits == {**client.limits, **address.limits}
    assert None not in (client.own, address.own, both.own)


def test_case_09_0_or_negative_is_off_and_has_nothing_to_write() -> None:
    for off in (0, -1):
        found = buckets(KEYS, SHOP, Limits(per_client=off, per_address=off), ADA)
        assert (dict(found.limits), found.own) == ({}, None)


def test_case_09_an_unknown_client_disables_the_limit_of_clients_only() -> None:
    nobody = Who(client="", address=ADA.address, variant_id=ADA.variant_id)
    found = buckets(KEYS, SHOP, Limits(per_client=2, per_address=3), nobody)
    assert list(found.limits.values()) == [3]


def test_a_counter_does_not_show_what_it_counts() -> None:
    found = buckets(KEYS, SHOP, Limits(per_client=2, per_address=3), ADA)
    assert all(b"ada" not in one and len(one) == 32 for one in (*found.limits, found.own or b""))


def test_case_09_settings_that_cannot_be_used_are_the_defaults() -> None:
    stored = {"limit_per_client": "many", "limit_per_address": -5, "minimum_form_s": 3, "gone": 1}
    options = notify_options(stored)
    assert (options.limit_per_client, options.limit_per_address) == (20, 30)
    assert options.minimum_form_s == 3
