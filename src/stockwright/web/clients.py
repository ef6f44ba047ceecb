"""Who a request comes from. Forwarded headers are believed of configured proxies only. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.requests import Request

Networks = Sequence[IPv4Network | IPv6Network]

_HOPS_LIMIT = 20  # addresses of X-Forwarded-For that are looked at, from its end
_V6_PREFIX = 64  # what one subscriber of a provider usually has


def client_address(request: Request, trusted: Networks, *, behind: int = 0) -> str:
    """The address that a request comes from; "" when nobody that we trust tells it.

    Every proxy appends the address that it was called from, so the header is read from its end: our own proxies
    are skipped, and then `behind` further ones (Shopify's, in front of an app proxy).
    """
    peer = request.client.host if request.client else ""
    forwarded = [
        part.strip() for line in request.headers.getlist("x-forwarded-for") for part in line.split(",")
    ]
    return outermost([*forwarded[-_HOPS_LIMIT:], peer], trusted, behind=behind)


def outermost(hops: Sequence[str], trusted: Networks, *, behind: int = 0) -> str:
    """The last of the hops that is no proxy of ours, or the one `behind` places before it.

    A hop that is no address ends the search there: what stands before it was told by nobody that we know.
    """
    left = list(hops)
    while len(left) > 1 and _is_within(left[-1], trusted):
        left.pop()
    for _ in range(behind):
        if len(left) > 1 and _parsed(left[-1]) is not None:
            left.pop()
    found = _parsed(left[-1]) if left else None
    return str(found) if found else ""


def client_network(address: str) -> str:
    """What limits count: an IPv4 address, or the network of an IPv6 address; "" for what is neither."""
    found = _parsed(address)
    if found is None:
        return ""
    if isinstance(found, IPv4Address):
        return str(found)
    return str(ip_network((found, _V6_PREFIX), strict=False))


def _is_within(text: str, networks: Networks) -> bool:
    address = _parsed(text)
    return address is not None and any(address in network for network in networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without a port; an IPv4 address inside IPv6 is what it is."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
