"""Waits for points of a shop's cost budget before a call, and corrects the budget after it.

The budget is a row that all processes share. An event-driven call may use the whole bucket; a scan
leaves a reserve. The server charges the requested cost first and refunds the rest with the answer.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

from stockwright.model import ShopId
from stockwright.shopify.accounts import ShopRows
from stockwright.shopify.errors import ErrorCode, ShopifyError

Sleep = Callable[[float], Awaitable[None]]

MAX_QUERY_COST = 1000  # points; a query that may cost more is refused
MIN_THROTTLED_WAIT_S = 1.0
SCAN_RESERVE = 0.3  # share of the bucket that scans leave to event-driven calls
MAX_WAIT_S = {"event": 30.0, "scan": 120.0, "write": 5.0}  # a write must not eat its own dead time
MAX_LEARNT = 1000


class Priority(IntEnum):
    """Who goes first when points are short."""

    EVENT = 0
    SCAN = 1


@dataclass(frozen=True, kw_only=True)
class CostReport:
    """`extensions.cost` of one answer, in points. `actual` is None when nothing was executed."""

    requested: float
    actual: float | None
    maximum: float | None = None
    available: float | None = None  # after the refund
    restore_rate: float | None = None

    @property
    def wait_s(self) -> float:
        """Seconds until the bucket holds the requested cost, at least 1: for a throttled answer."""
        if self.available is None or not self.restore_rate:
            return MIN_THROTTLED_WAIT_S
        return max(MIN_THROTTLED_WAIT_S, (self.requested - self.available) / self.restore_rate)


class LearntCosts:
    """Requested cost per operation and sizes, as the server returned it. One per process, bounded."""

    def __init__(self) -> None:
        self._known: dict[object, float] = {}

    def estimate(self, key: object, formula: int) -> float:
        """What the next such call will be charged: as returned last, else by the formula."""
        return self._known.get(key, min(formula, MAX_QUERY_COST))

    def learn(self, key: object, requested: float) -> None:
        """Remember the returned `requestedQueryCost`."""
        if len(self._known) >= MAX_LEARNT:
            self._known.clear()
        self._known[key] = requested


async def take(
    rows: ShopRows, shop_id: ShopId, *, cost: float, priority: Priority, max_wait_s: float, sleep: Sleep
) -> None:
    """Take points, waiting for them if need be: one round trip when the bucket holds enough.

    Raises:
        ShopifyError: BUDGET, after `max_wait_s` in all; nothing was sent.
    """
    reserve = SCAN_RESERVE if priority is Priority.SCAN else 0.0
    waited_s = 0.0
    while delay_s := await rows.take_points(shop_id, cost=cost, reserve_share=reserve):
        if waited_s + delay_s > max_wait_s:
            raise ShopifyError(
                ErrorCode.BUDGET,
                f"The shop's API budget is used up: {cost:g} points would be there in {delay_s:.1f} s. "
                "Nothing was sent; it is tried again later.",
                permanent=False,
                retry_after_s=delay_s,
            )
        await sleep(delay_s)
        waited_s += delay_s


async def settle(rows: ShopRows, shop_id: ShopId, *, taken: float, report: CostReport | None) -> None:
    """Refund what was taken but not charged, and follow the server's own figures."""
    if report is None or report.available is None or report.maximum is None or report.restore_rate is None:
        return
    charged = 0.0 if report.actual is None else report.actual
    await rows.settle_points(
        shop_id,
        refund=taken - charged,
        available=report.available,
        capacity=report.maximum,
        restore_rate=report.restore_rate,
    )
