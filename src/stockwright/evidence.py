"""What orders and refunds say of a correction whose answer was lost, where the shop grants `read_orders`."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from stockwright.ledger.settlement import may_be_decided
from stockwright.ledger.state import Intent, MemberId, PoolState
from stockwright.model import INVENTORY_UPDATE, ItemGid, LocationGid
from stockwright.shopify.client import ShopifyClient
from stockwright.shopify.errors import ShopifyError
from stockwright.situations import Loaded

LOG = structlog.get_logger(__name__)

_FROZEN_ASKS_FOR = timedelta(minutes=30)


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
        found = await _moves_of(client, intent)
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


async def _moves_of(client: ShopifyClient, intent: Intent) -> dict[MemberId, int] | None:
    moves: dict[MemberId, int] = {}
    for location_id in sorted({row.member.location_id for row in intent.rows}):
        item_ids = [
            ItemGid(row.member.item_id) for row in intent.rows if row.member.location_id == location_id
        ]
        found = await _read_moves(client, item_ids, LocationGid(location_id), since=intent.opened_at)
        for item_id in item_ids:
            moved = found.get(item_id) if found else None
            if moved is None:
                return None
            moves[MemberId(item_id, location_id)] = moved
    return moves


async def _read_moves(
    client: ShopifyClient, item_ids: list[ItemGid], location_id: LocationGid, *, since: datetime
) -> Mapping[ItemGid, int | None] | None:
    try:
        return await client.order_moves(item_ids=item_ids, location_id=location_id, since=since)
    except ShopifyError as error:
        LOG.warning("orders could not be read; a correction is settled without them", error=str(error))
        return None
