"""Products read fresh for shoppers who look or sign up: one request per product at a time, few of them per second.

One per web process. What was read is good until a webhook about the product is stored, by whichever process, and
never for long: webhooks are late, and lost (docs/decisions/0024). Answers within a limit, with what was last read
when the shop does not.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import structlog

from stockwright.deps import Deps
from stockwright.model import ProductGid, ShopId, StockwrightError
from stockwright.notify.catalogue import ShownProduct
from stockwright.store import inbox
from stockwright.store.database import Unreachable

LOG = structlog.get_logger(__name__)

KEEP_S = 3.0  # an answer is good for this long, without news of its product
FLOOR_S = 0.5  # and for this long whatever happens: a product in a run of sales is read twice a second
LIMIT_S = 2.0  # a shopper does not wait longer for the shop
_REMEMBERED = 1000  # products and variants of all shops
_AT_ONCE = 10  # reads of one shop that go on; its API budget is for more than this
_OWNERS_AT_ONCE = 2  # variants that are looked up because nothing is known of them

_Key = tuple[ShopId, str]
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look at a product showed."""

    product: ShownProduct | None  # None: it does not exist, or (not fresh) was never read
    is_fresh: bool  # False: the shop did not answer in time


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A product as it was last read."""

    began: float  # by the clock: what is shown is no older
    product: ShownProduct | None = None  # None: there is no such product

    def subjects(self, product_id: str) -> list[str]:
        """What webhooks about it name: the product, and the items of its variants."""
        variants = self.product.variants if self.product else ()
        return [product_id, *(one.item_id for one in variants)]


class FreshProducts:
    """Reads products, together for all who ask at the same time."""

    def __init__(
        self,
        deps: Deps,
        *,
        keep_s: float = KEEP_S,
        floor_s: float = FLOOR_S,
        limit_s: float = LIMIT_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._deps = deps
        self._keep_s = keep_s
        self._floor_s = min(floor_s, keep_s)
        self._limit_s = limit_s
        self._clock = clock
        self._reads: dict[_Key, asyncio.Task[ShownProduct | None]] = {}
        self._last: OrderedDict[_Key, _Read] = OrderedDict()
        self._owners: OrderedDict[_Key, str] = OrderedDict()
        self._asking_owners = asyncio.Semaphore(_OWNERS_AT_ONCE)

    async def look(self, shop_id: ShopId, product_id: str) -> Look:
        """A product as it is now, or as it was last read."""
        key = (shop_id, product_id)
        read = self._last.get(key)
        last = read.product if read else None
        try:
            if read is not None and await self._is_good(key, read):
                return Look(product=last, is_fresh=True)
            product = await self._within_limit(self._reading(key))
        except (StockwrightError, TimeoutError, *Unreachable) as error:
            LOG.warning("a product could not be read in time", product=product_id, error=str(error) or "late")
            return Look(product=last, is_fresh=False)
        return Look(product=product, is_fresh=True)

    async def _is_good(self, key: _Key, read: _Read) -> bool:
        """Whether what was read may still be told."""
        shop_id, product_id = key
        age_s = self._clock() - read.began
        if age_s < self._floor_s or age_s >= self._keep_s:
            return age_s < self._floor_s
        async with self._deps.database.connection() as conn:
            return not await inbox.has_news(conn, shop_id, read.subjects(product_id), within_s=age_s)

    async def product_of(self, shop_id: ShopId, variant_id: str) -> str:
        """The product (gid) of a variant that was never seen before; "" = there is none, or the shop is silent."""
        key = (shop_id, variant_id)
        if key not in self._owners:
            if self._asking_owners.locked():
                return ""
            async with self._asking_owners:
                await self._ask_owner(key)
        return self._owners.get(key, "")

    async def _ask_owner(self, key: _Key) -> None:
        shop_id, variant_id = key
        try:
            async with asyncio.timeout(self._limit_s):
                client = await self._deps.clients.for_shop(shop_id)
                found = await client.read_variant_cards([variant_id])
        except (StockwrightError, TimeoutError, *Unreachable) as error:
            LOG.warning("a variant could not be read in time", variant=variant_id, error=str(error) or "late")
            return
        card = next(iter(found.values()), None)
        _remember(self._owners, key, card.product_id if card else "")

    async def aclose(self) -> None:
        """End what is still being read."""
        for task in list(self._reads.values()):
            task.cancel()
        await asyncio.gather(*self._reads.values(), return_exceptions=True)

    async def _within_limit(self, task: "asyncio.Task[ShownProduct | None]") -> ShownProduct | None:
        """The task's result; it goes on when the limit is over, for whoever asks next."""
        return await asyncio.wait_for(asyncio.shield(task), self._limit_s)

    def _reading(self, key: _Key) -> "asyncio.Task[ShownProduct | None]":
        task = self._reads.get(key)
        if task is None:
            if sum(one[0] == key[0] for one in self._reads) >= _AT_ONCE:
                raise TimeoutError("too many products are being read")
            task = asyncio.create_task(self._read(key))
            self._reads[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        return task

    async def _read(self, key: _Key) -> ShownProduct | None:
        shop_id, product_id = key
        began = self._clock()
        client = await self._deps.clients.for_shop(shop_id)
        product = await client.read_shown_product(ProductGid(product_id))
        _remember(self._last, key, _Read(began=began, product=product))
        return product

    def _done(self, key: _Key, task: "asyncio.Task[ShownProduct | None]") -> None:
        del self._reads[key]
        if not task.cancelled():
            task.exception()  # told to those who asked, if they still wait


def _remember(known: "OrderedDict[_Key, _T]", key: _Key, value: "_T") -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
