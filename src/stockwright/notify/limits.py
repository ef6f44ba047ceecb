"""Limits of sign-ups: fixed windows of one hour, per client and per mail address. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stockwright.model import ShopId
from stockwright.notify.tokens import Keyring

WINDOW = timedelta(hours=1)
CONFIRM_MAILS = 5  # that an address gets again per hour, over all variants: a form must not flood a mailbox
CONFIRM_AGAIN_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many new sign-ups one window holds; 0 or less = no limit."""

    per_client: int
    per_address: int


@dataclass(frozen=True, kw_only=True)
class Who:
    """Who signs up, for what."""

    client: str  # network address; "" = not known, then only the address is limited
    address: str  # normalised
    variant_id: str


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """The counters of one sign-up; each is only there while its limit is on."""

    limits: Mapping[bytes, int]  # counter -> most that it may reach
    own: (
        bytes | None
    )  # counts what this client asked for this address and variant: asking again costs nothing


def window_of(at: datetime) -> datetime:
    """The beginning of the window that a moment lies in."""
    seconds = int(WINDOW.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)


def buckets(keys: Keyring, shop_id: ShopId, limits: Limits, who: Who) -> Buckets:
    """The counters that a sign-up uses; none where both limits are off."""
    found: dict[bytes, int] = {}
    if limits.per_client > 0 and who.client:
        found[keys.bucket(shop_id, "client", who.client)] = limits.per_client
    if limits.per_address > 0:
        found[keys.bucket(shop_id, "address", who.address)] = limits.per_address
    own = keys.bucket(shop_id, "own", who.client, who.address, who.variant_id) if found else None
    return Buckets(limits=found, own=own)


def confirm_bucket(keys: Keyring, shop_id: ShopId, address_hash: bytes) -> bytes:
    """The counter of confirm mails that an address gets once more."""
    return keys.bucket(shop_id, "confirm", address_hash.hex())
