"""What orders and refunds say of a correction whose answer was lost, and of a rise of every level of a stock, where
the shop grants `read_orders`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from stockwright.ledger.raises import asks_for_refunds
from stockwright.ledger.settlement import may_be_decided
from stockwright.ledger.state import AssumedRow, IntentRow, MemberId, PoolState
from stockwright.model import INVENTORY_UPDATE, ItemGid, LocationGid
from stockwright.shopify.client import ShopifyClient
from stockwright.shopify.errors import ShopifyError
from stockwright.situations import Loaded

LOG = structlog.get_logger(__name__)

_FROZEN_ASKS_FOR = timedelta(minutes=30)
_REFUNDED_WITHIN = timedelta(minutes=10)
"""How long before a rise was first seen a refund may have made it. One from before that was seen long ago."""


async def order_moves(client: ShopifyClient, loaded: Loaded) -> Mapping[MemberId, int] | None:
    """Net movement per row of every correction that can be decided now, since the read that it was made from.

    None when there is none, the scope is missing, or some row's orders cannot be read or placed: the levels are
    read all the same. A first look at a lost answer must not wait for orders, and before the dead time nothing
    can be decided.
    """
    pools = [pool.state for pool in loaded.situation.pools]
    doubted = [pool.intent for pool in pools if pool.intent is not None and _worth_asking(pool, loaded)]
    if "read_orders" not in loaded.shop.scopes or not doubted:
        return None
    moves: dict[MemberId, int] = {}
    for intent in doubted:
        found = await moves_since(client, intent.rows, intent.opened_at)
        if found is None:
            return None
        moves |= found
    return moves


def _worth_asking(pool: PoolState, loaded: Loaded) -> bool:
    """Orders cost up to forty requests. A frozen stock, of which a person has been told, asks for them for a
    while and with the reconciliation only: a product that sells would use up the shop's budget.
    """
    if pool.frozen is None:
        return may_be_decided(pool, loaded.situation.now, loaded.situation.policy)
    is_sale = all(event.topic == INVENTORY_UPDATE for event in loaded.situation.events)
    return not is_sale and loaded.situation.now - pool.frozen.since <= _FROZEN_ASKS_FOR


async def moves_since(
    client: ShopifyClient, rows: Sequence[IntentRow | AssumedRow], since: datetime
) -> dict[MemberId, int] | None:
    """Net movement of each row's level by orders and refunds since the read that it was made from; None when that of
    one cannot be told.
    """
    moves: dict[MemberId, int] = {}
    for location_id in sorted({row.member.location_id for row in rows}):
        stamps = {
            ItemGid(row.member.item_id): row.stamp for row in rows if row.member.location_id == location_id
        }
        found = await _read_moves(client, stamps, LocationGid(location_id), since=since)
        for item_id in stamps:
            moved = found.get(item_id) if found else None
            if moved is None:
                return None
            moves[MemberId(item_id, location_id)] = moved
    return moves


async def _read_moves(
    client: ShopifyClient,
    stamps: Mapping[ItemGid, datetime | None],
    location_id: LocationGid,
    *,
    since: datetime,
) -> Mapping[ItemGid, int | None] | None:
    try:
        return await client.order_moves(stamps=stamps, location_id=location_id, since=since)
    except ShopifyError as error:
        LOG.warning("orders could not be read; a correction is settled without them", error=str(error))
        return None


# --- refunds that explain a rise --------------------------------------------------------------------------


async def refunds(client: ShopifyClient, loaded: Loaded) -> Mapping[MemberId, int] | None:
    """Units put back on the levels of every pool whose rise would count once now; None when it cannot be told."""
    situation = loaded.situation
    rising = [
        pool.state
        for pool in situation.pools
        if asks_for_refunds(pool.state, situation.now, situation.policy)
    ]
    if "read_orders" not in loaded.shop.scopes or not rising:
        return None
    found: dict[MemberId, int] = {}
    for state in rising:
        put_back = await _refunds_of(client, state)
        if put_back is None:
            return None
        found |= put_back
    return found


async def _refunds_of(client: ShopifyClient, state: PoolState) -> dict[MemberId, int] | None:
    if state.raise_wait is None:
        return {}
    since, found = state.raise_wait.since - _REFUNDED_WITHIN, dict[MemberId, int]()
    for location_id in sorted({id.location_id for id in state.members}):
        item_ids = [ItemGid(id.item_id) for id in state.members if id.location_id == location_id]
        try:
            put_back = await client.refunds(
                item_ids=item_ids, location_id=LocationGid(location_id), since=since
            )
        except ShopifyError as error:
            LOG.warning("refunds could not be read; a rise of every level counts once", error=str(error))
            return None
        if put_back is None:
            return None
        found |= {MemberId(item_id, location_id): units for item_id, units in put_back.items()}
    return found
