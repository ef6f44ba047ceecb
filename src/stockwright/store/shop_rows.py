"""The rows that the Admin API client shares between processes, behind one object that holds the pool.

The client states what it needs as a protocol (stockwright.shopify.accounts.ShopRows); this fits it without
an import either way. Each method is its own short transaction.
"""

from datetime import datetime

from stockwright.model import ShopId, StockwrightError
from stockwright.store import budgets, shops
from stockwright.store.database import Pool, singly
from stockwright.store.shops import Shop

_PACE_WAIT_S = 1.0  # for a connection, to note what only steers our pace: an answer of the shop waits for it


class ShopRows:
    """Shop rows, tokens and cost budgets over a connection pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def account(self, shop_id: ShopId) -> Shop:
        """The shop as stored now.

        Raises:
            StockwrightError: it was removed.
        """
        async with singly(self._pool) as conn:
            return _there(await shops.get(conn, shop_id), shop_id)

    async def save_token(
        self, shop_id: ShopId, token: bytes, *, expires_at: datetime, was: bytes | None
    ) -> bool:
        """See stockwright.store.shops.save_token."""
        async with singly(self._pool) as conn:
            return await shops.save_token(conn, shop_id, token, expires_at=expires_at, was=was)

    async def take_points(self, shop_id: ShopId, *, cost: float, reserve_share: float) -> float:
        """See stockwright.store.budgets.take."""
        async with singly(self._pool) as conn:
            return await budgets.take(conn, shop_id, cost=cost, reserve_share=reserve_share)

    async def settle_points(
        self, shop_id: ShopId, *, refund: float, available: float, capacity: float, restore_rate: float
    ) -> None:
        """See stockwright.store.budgets.settle."""
        async with singly(self._pool, wait_s=_PACE_WAIT_S) as conn:
            await budgets.settle(
                conn,
                shop_id,
                refund=refund,
                available=available,
                capacity=capacity,
                restore_rate=restore_rate,
            )

    async def block_points(self, shop_id: ShopId, *, delay_s: float) -> None:
        """See stockwright.store.budgets.block."""
        async with singly(self._pool, wait_s=_PACE_WAIT_S) as conn:
            await budgets.block(conn, shop_id, delay_s=delay_s)


def _there(shop: Shop | None, shop_id: ShopId) -> Shop:
    if shop is None:
        raise StockwrightError(f"There is no shop {shop_id}; it was removed meanwhile.")
    return shop
