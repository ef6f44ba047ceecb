"""Keys and tokens: what a link in a mail proves, and how addresses are remembered without being readable.

One key per purpose, all derived from the installation's secret key, so that nothing made for one purpose is good
for another. Pure: randomness is an argument. Must not know what a token permits.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from stockwright.model import ShopId

_MAC_BYTES = 16
_TEXT_LIMIT = 400  # characters; ours have at most about 130
_SHOP_BYTES = 8


class Purpose(StrEnum):
    """What a key is for."""

    UNSUBSCRIBE = "unsubscribe"
    CONFIRM = "confirm"
    ADDRESS = "address"
    LIMIT = "limit"


@dataclass(frozen=True, kw_only=True)
class Token:
    """What a genuine token says."""

    shop_id: ShopId
    subscriber_id: str
    content: bytes  # unsubscribe: the hash of the address; confirm: the secret whose hash is stored


class Keyring:
    """The keys of all purposes. `master`: the newest secret; `older`: those before it, the oldest last.

    Tokens are made with the newest and good with any. Hashes of addresses are kept in the database, so they are
    always made with the oldest: take away that one, and no suppressed address is recognised any more.
    """

    def __init__(self, master: bytes, *, older: Sequence[bytes] = ()) -> None:
        masters = (master, *older)
        if any(len(one) < 16 for one in masters):
            raise ValueError("a master key has at least 16 bytes")
        self._masters = masters

    def __repr__(self) -> str:
        return f"Keyring(keys={len(self._masters)})"

    def address_hash(self, shop_id: ShopId, address: str) -> bytes:
        """The keyed hash, 32 bytes, of a normalised address: another one in each shop."""
        return _hmac(self._lasting(Purpose.ADDRESS), _parts(shop_id, address.encode()))

    def bucket(self, shop_id: ShopId, kind: str, *values: str) -> bytes:
        """The name of a counter, 32 bytes, from which what is counted cannot be read."""
        parts = [kind.encode(), *(value.encode() for value in values)]
        return _hmac(self._lasting(Purpose.LIMIT), _parts(shop_id, *parts))

    def unsubscribe_token(self, shop_id: ShopId, subscriber_id: str, address_hash: bytes) -> str:
        """The token of the unsubscribe links of one person's mail; it does not expire."""
        return self._token(Purpose.UNSUBSCRIBE, shop_id, subscriber_id, address_hash)

    def confirm_token(self, shop_id: ShopId, subscriber_id: str, secret: bytes) -> str:
        """The token of a confirm link; store `confirm_hash(secret)` and nothing else of it."""
        return self._token(Purpose.CONFIRM, shop_id, subscriber_id, secret)

    def confirm_hash(self, secret: bytes) -> bytes:
        """What is stored of a confirm token's secret."""
        return hashlib.sha256(b"stockwright confirm\0" + secret).digest()

    def read_token(self, text: str, purpose: Purpose) -> Token | None:
        """What a token says; None if it is not one that we made for this purpose."""
        raw = _decoded(text)
        if raw is None or len(raw) <= _MAC_BYTES:
            return None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        fits = [hmac.compare_digest(_mac(_key(one, purpose), body), mac) for one in self._masters]
        return _read(body) if any(fits) else None

    def _token(self, purpose: Purpose, shop_id: ShopId, subscriber_id: str, content: bytes) -> str:
        body = _parts(shop_id, subscriber_id.encode(), content)
        raw = body + _mac(_key(self._masters[0], purpose), body)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def _lasting(self, purpose: Purpose) -> bytes:
        return _key(self._masters[-1], purpose)


def _key(master: bytes, purpose: Purpose) -> bytes:
    return _hmac(master, f"stockwright {purpose.value} key".encode())


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, hashlib.sha256)


def _mac(key: bytes, body: bytes) -> bytes:
    return _hmac(key, body)[:_MAC_BYTES]


def _parts(shop_id: ShopId, *parts: bytes) -> bytes:
    """The shop and the parts, each behind its length, so that no two lists of parts look alike."""
    lengths = (len(part).to_bytes(2, "big") + part for part in parts)
    return shop_id.to_bytes(_SHOP_BYTES, "big") + b"".join(lengths)


def _read(body: bytes) -> Token | None:
    """Two parts as `_parts` wrote them; its maker is proven, its age is not: another release may have made it."""
    shop_id, rest = ShopId(int.from_bytes(body[:_SHOP_BYTES], "big")), body[_SHOP_BYTES:]
    found: list[bytes] = []
    while len(rest) >= 2:
        end = 2 + int.from_bytes(rest[:2], "big")
        found.append(rest[2:end])
        rest = rest[end:]
    if len(found) != 2 or rest:
        return None
    return Token(shop_id=shop_id, subscriber_id=found[0].decode(), content=found[1])


def _decoded(text: str) -> bytes | None:
    """The bytes of URL-safe base64 without padding, in its one spelling; None for everything else."""
    if len(text) > _TEXT_LIMIT or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    is_canonical = base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text
    return raw if is_canonical else None
