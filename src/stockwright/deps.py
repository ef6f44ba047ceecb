"""What the steps are given by the composition root, and what they know of a shop besides its products."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from stockwright.ledger.state import Policy
from stockwright.mailing import Mailing
from stockwright.model import ShopId, ShopRead
from stockwright.notify.tokens import Keyring
from stockwright.shelf import Shelf
from stockwright.shopify.client import ShopifyClients
from stockwright.store import shops
from stockwright.store.database import Pool
from stockwright.store.shops import Shop


@dataclass(frozen=True, kw_only=True)
class Deps:
    """The world, as arguments."""

    database: Pool
    clients: ShopifyClients
    clock: Callable[[], datetime]  # aware UTC
    nonce: Callable[[], str]  # fresh and unguessable
    policy: Policy  # what the settings say of shared stock; shops and automations refine it
    keyring: Keyring  # of links in mail, and of addresses that are kept as hashes
    mailing: Mailing = field(default_factory=Mailing)
    shelf: Shelf = field(default_factory=Shelf)  # products that were read a moment ago


async def refresh_shop(deps: Deps, shop_id: ShopId) -> ShopRead:
    """Read name, time zone, locations, sales channels and scopes of a shop again, and store them."""
    client = await deps.clients.for_shop(shop_id)
    seen = await client.read_shop()
    channels = await client.list_channels() if _may_read_channels(seen.scopes) else ()
    read = replace(seen.shop, channels=channels)
    async with deps.database.connection() as conn:
        await shops.save_shop_read(conn, shop_id, read, scopes=seen.scopes, read_at=deps.clock())
    return read


def _may_read_channels(scopes: Sequence[str]) -> bool:
    return any(scope in scopes for scope in ("read_publications", "write_publications"))


def shop_as_read(shop: Shop) -> ShopRead:
    """What the last read of the shop showed."""
    return ShopRead(
        name=shop.name,
        timezone=shop.timezone,
        locations=shop.locations,
        default_location_id=shop.default_location_id,
        channels=shop.channels,
        primary_host=shop.primary_host,
    )


def shop_policy(deps: Deps, shop: Shop) -> Policy:
    """The settings of shared stock, with what this shop says of unknown outcomes."""
    return policy_of(deps, shop.on_unknown)


def policy_of(deps: Deps, on_unknown: str) -> Policy:
    """The settings of shared stock, with what a shop says of unknown outcomes (settle | certain)."""
    return replace(deps.policy, on_unknown="certain" if on_unknown == "certain" else "settle")
