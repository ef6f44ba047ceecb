"""Who a request comes from: what a stranger writes into X-Forwarded-For is never believed."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwright.web.clients import client_network, outermost

OURS = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("::1/128"))
SHOPPER, EGRESS, PROXY = "203.0.113.9", "23.227.38.1", "127.0.0.1"


@pytest.mark.parametrize(
    ("hops", "behind", "client"),
    [
        ([SHOPPER], 0, SHOPPER),
        ([SHOPPER, PROXY], 0, SHOPPER),
        (["1.2.3.4", SHOPPER, PROXY], 0, SHOPPER),  # the first was made up by the shopper
        (["1.2.3.4", SHOPPER, "10.1.2.3", PROXY], 0, SHOPPER),
        (["1.2.3.4", SHOPPER], 0, SHOPPER),  # no proxy of ours: the header is not believed
        ([SHOPPER, EGRESS, PROXY], 1, SHOPPER),  # through the app proxy
        ([SHOPPER, EGRESS], 1, SHOPPER),
        (["1.2.3.4", SHOPPER, EGRESS, PROXY], 1, SHOPPER),
        ([SHOPPER, PROXY], 1, SHOPPER),  # a shop on this machine
        ([PROXY, PROXY], 1, PROXY),
        (["", PROXY], 0, ""),
        (["unknown", PROXY], 0, ""),
        (["1.2.3.4", "<script>", PROXY], 0, ""),
        ([""], 0, ""),
        ([f"{SHOPPER}:4711", PROXY], 0, SHOPPER),
        (["[2001:db8::7]:4711", PROXY], 0, "2001:db8::7"),
        (["2001:db8::7", "::1"], 0, "2001:db8::7"),
        (["::ffff:203.0.113.9", PROXY], 0, SHOPPER),
    ],
)
def test_the_client_is_the_last_hop_that_is_not_ours(hops: list[str], behind: int, client: str) -> None:
    assert outermost(hops, OURS, behind=behind) == client


@given(st.lists(st.text(max_size=20)))
def test_nothing_that_a_client_writes_changes_what_its_proxy_says(made_up: list[str]) -> None:
    assert outermost([*made_up, SHOPPER, PROXY], OURS) == SHOPPER


@given(st.lists(st.text(max_size=20), min_size=1), st.integers(0, 2))
def test_any_hops_give_an_address_or_nothing(hops: list[str], behind: int) -> None:
    found = outermost(hops, OURS, behind=behind)
    assert found == "" or client_network(found) != ""


def test_a_network_of_ipv6_is_one_client_and_other_text_is_none() -> None:
    assert client_network("2001:db8:1:2:3:4:5:6") == client_network("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert client_network(SHOPPER) == SHOPPER
    assert client_network("unknown") == client_network("") == ""
