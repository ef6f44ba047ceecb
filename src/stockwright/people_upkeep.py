"""What is done for people who wait from time to time: nobody is kept longer than wanted, prices are read again."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from stockwright import compliance, importing
from stockwright.deps import Deps
from stockwright.model import ShopId, VariantGid
from stockwright.notify.states import State
from stockwright.people import settings_of
from stockwright.shopify.errors import ShopifyError
from stockwright.shopify.variants import MAX_CARDS, VariantCard
from stockwright.store import demand, people, shops
from stockwright.store.database import Connection

LOG = structlog.get_logger(__name__)

# Which of the options decides about which states.
TOLD = (State.SENT, State.UNKNOWN, State.FAILED, State.BOUNCED, State.CANCELLED, State.EXPIRED)
LEFT = (State.UNSUBSCRIBED, State.SUPPRESSED)

_BATCH = 500
_BATCHES = 400  # of one kind, shop and pass; the rest waits for the next
_PRICE_AGE = timedelta(days=1)
_KEEP_PRICES = timedelta(days=30)
_PRICES_AT_ONCE = 20  # requests of one shop and pass


@dataclass(frozen=True, kw_only=True)
class PeopleUpkeep:
    """The passes; each may be done twice or by two at once."""

    deps: Deps

    async def keep(self) -> None:
        """Delete people, files and answers that are kept no longer."""
        async with self.deps.database.connection() as conn:
            found = await shops.list_all(conn)
        for shop in found:
            await purge(self.deps, shop.shop_id)
        await importing.forget_old(self.deps)
        await compliance.forget_data(self.deps)

    async def read_prices(self) -> None:
        """Read what the variants cost that people wait for, once a day each."""
        async with self.deps.database.connection() as conn:
            found = await demand.shops_with_people(conn)
        for shop_id in found:
            try:
                await read_prices(self.deps, shop_id)
            except ShopifyError as error:
                LOG.warning("prices could not be read; tried again later", shop_id=shop_id, error=str(error))


async def purge(deps: Deps, shop_id: ShopId) -> int:
    """Delete people of a shop that its options keep no longer; how many. 0 days: for ever."""
    now = deps.clock()
    async with deps.database.connection() as conn:
        _row, options = await settings_of(conn, shop_id)
    deleted = 0
    for days, states in (
        (options.keep_sent_days, TOLD),
        (options.keep_unsubscribed_days, LEFT),
        (options.keep_unconfirmed_days, (State.UNCONFIRMED,)),
    ):
        if days:
            deleted += await _in_batches(deps, _purging(shop_id, states, before=now - timedelta(days=days)))
    return deleted


def _purging(
    shop_id: ShopId, states: tuple[State, ...], *, before: datetime
) -> Callable[[Connection], Awaitable[int]]:
    async def purge_some(conn: Connection) -> int:
        if states == (State.UNCONFIRMED,):
            return await people.purge_unconfirmed(conn, shop_id, before=before, limit=_BATCH)
        return await people.purge_ended(conn, shop_id, states, before=before, limit=_BATCH)

    return purge_some


async def _in_batches(deps: Deps, purge_some: Callable[[Connection], Awaitable[int]]) -> int:
    deleted = 0
    for _ in range(_BATCHES):
        async with deps.database.connection() as conn:
            found = await purge_some(conn)
        deleted += found
        if found < _BATCH:
            break
    return deleted


async def read_prices(deps: Deps, shop_id: ShopId) -> int:
    """Read the prices of a shop that are missing or older than a day; how many variants were asked for.

    Raises:
        ShopifyError: the shop could not be asked; what was read before is kept.
    """
    client = await deps.clients.for_shop(shop_id)
    started_at = deps.clock()
    asked, after = 0, ""
    for _ in range(_PRICES_AT_ONCE):
        async with deps.database.connection() as conn:
            ids = await demand.unpriced(
                conn, shop_id, before=started_at - _PRICE_AGE, after=after, limit=MAX_CARDS
            )
        if not ids:
            break
        await _keep_prices(deps, shop_id, await client.read_variant_cards(ids))
        asked, after = asked + len(ids), ids[-1]
    async with deps.database.connection() as conn:
        await demand.forget_prices(conn, shop_id, before=started_at - _KEEP_PRICES)
    return asked


async def _keep_prices(deps: Deps, shop_id: ShopId, cards: Mapping[VariantGid, VariantCard]) -> None:
    async with deps.database.connection() as conn, conn.transaction():
        for card in cards.values():
            await demand.save_price(
                conn,
                shop_id,
                card.id,
                sku=card.sku,
                price=card.price,
                currency=card.currency,
                at=deps.clock(),
            )
