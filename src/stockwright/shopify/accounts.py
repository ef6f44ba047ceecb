"""What this package needs of the stored shop row, and the secrets inside it.

The store implements `ShopRows` (stockwright.store.shop_rows); this package imports no database code.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from stockwright.encryption import Cipher
from stockwright.model import Location, ShopId, StockwrightError


class AuthMode(StrEnum):
    """How a shop lets us in; the values of shops.auth_mode."""

    ACCESS_TOKEN = "access_token"
    CLIENT_CREDENTIALS = "client_credentials"


class Account(Protocol):
    """The stored shop row, as far as calls need it. Secrets are sealed."""

    @property
    def shop_id(self) -> ShopId: ...
    @property
    def domain(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    @property
    def auth_mode(self) -> str: ...
    @property
    def client_id(self) -> str | None: ...
    @property
    def secrets(self) -> bytes: ...
    @property
    def token(self) -> bytes | None: ...
    @property
    def token_expires_at(self) -> datetime | None: ...
    @property
    def scopes(self) -> tuple[str, ...]: ...
    @property
    def locations(self) -> tuple[Location, ...]: ...


class ShopRows(Protocol):
    """The rows that all processes share: the shop, its token and its cost budget."""

    async def account(self, shop_id: ShopId) -> Account:
        """The shop as stored now; StockwrightError when it was removed."""
        ...

    async def save_token(
        self, shop_id: ShopId, token: bytes, *, expires_at: datetime, was: bytes | None
    ) -> bool:
        """Store a renewed token, sealed; False when another process has stored one since `was` was read."""
        ...

    async def take_points(self, shop_id: ShopId, *, cost: float, reserve_share: float) -> float:
        """Take points if they are there: 0.0; else take nothing and return the seconds to wait."""
        ...

    async def settle_points(
        self, shop_id: ShopId, *, refund: float, available: float, capacity: float, restore_rate: float
    ) -> None:
        """Correct the budget by what the server said."""
        ...

    async def block_points(self, shop_id: ShopId, *, delay_s: float) -> None:
        """Nobody calls this shop for some seconds (429)."""
        ...


@dataclass(frozen=True, kw_only=True)
class ShopSecrets:
    """A shop's secrets in the clear. Never logged, never stored unsealed."""

    access_token: str | None = None
    client_secret: str | None = None
    webhook_secrets: tuple[str, ...] = ()  # newest first; two during a rotation

    def __repr__(self) -> str:
        return "ShopSecrets(...)"

    @property
    def signing(self) -> tuple[str, ...]:
        """The secrets that may sign webhooks and app proxy requests."""
        own = (self.client_secret,) if self.client_secret else ()
        return tuple(dict.fromkeys(self.webhook_secrets + own))


def seal_secrets(cipher: Cipher, secrets: ShopSecrets) -> bytes:
    """The secrets as one sealed JSON object, for shops.secrets."""
    value = {
        "access_token": secrets.access_token,
        "client_secret": secrets.client_secret,
        "webhook_secrets": list(secrets.webhook_secrets),
    }
    return cipher.seal(json.dumps(value))


def open_secrets(cipher: Cipher, sealed: bytes) -> ShopSecrets:
    """The secrets that `seal_secrets` was given.

    Raises:
        StockwrightError: sealed with another key, or not what we write.
    """
    try:
        value = json.loads(cipher.open(sealed))
        return ShopSecrets(
            access_token=value["access_token"],
            client_secret=value["client_secret"],
            webhook_secrets=tuple(value["webhook_secrets"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise StockwrightError(
            "The stored secrets of a shop are not readable. Remove the shop and add it again."
        ) from error
