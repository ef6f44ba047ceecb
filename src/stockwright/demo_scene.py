"""What every step of the story of `demo --scripted` is played on: the parts of the demo, and how to wait for them."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from stockwright.bundled_shop import BundledShop, MailSink, Shopper, ShopProduct
from stockwright.deps import Deps
from stockwright.model import ShopId, StockwrightError
from stockwright.store import health
from stockwright.store.automations import AutomationRow

LIMIT_S = 20.0
ASK_EVERY_S = 0.02
_STILL_S = 0.7  # nothing may move for this long before a step counts as ended
_WRITES = "inventoryAdjustQuantities"
_READ = "product"  # the root field that every read of a product has once


class Failed(StockwrightError):
    """A step did not hold; the message says what differed."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where the story plays."""

    shop: BundledShop
    sink: MailSink
    shopper: Shopper
    deps: Deps
    rows: Sequence[AutomationRow]


@dataclass(kw_only=True)
class Scene:
    """One product at one place, on a stage; `stock` is what the story knows to be true."""

    stage: Stage
    location: str
    kept: str  # title of the product that is kept in sync
    shared: str  # title of the product whose variants are listings of one stock
    last_order: str = ""
    stock: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)  # how far each product's ledger was shown

    @property
    def shop_id(self) -> ShopId:
        """The shop, as the service numbers it."""
        return self.stage.rows[0].shop_id

    async def product(self, title: str) -> ShopProduct:
        return (await self.stage.shop.state()).product(title)

    async def until_all_show(self, title: str, wanted: int) -> float:
        """Seconds until every variant shows a number and all is still; raises Failed when it does not come."""
        started = monotonic()
        while True:
            levels = (await self.product(title)).at(self.location)
            if set(levels.values()) == {wanted}:
                took_s = monotonic() - started
                await self.until_still()
                await self.still_shows(title, wanted)
                self.stock[title] = wanted
                return took_s
            if monotonic() - started > LIMIT_S:
                raise Failed(f"{title} should show {wanted} everywhere and shows {levels_of(levels)}.")
            await asyncio.sleep(ASK_EVERY_S)

    async def still_shows(self, title: str, wanted: int) -> None:
        levels = (await self.product(title)).at(self.location)
        if set(levels.values()) != {wanted}:
            raise Failed(f"{title} should still show {wanted} everywhere and shows {levels_of(levels)}.")

    async def until_still(self) -> None:
        """Wait until no webhook is on its way and no run waits or goes on."""
        still_since, limit = monotonic(), monotonic() + LIMIT_S
        while monotonic() - still_since < _STILL_S:
            if await self._is_busy():
                still_since = monotonic()
            if monotonic() > limit:
                raise Failed("The service does not come to rest.")
            await asyncio.sleep(ASK_EVERY_S)

    async def _is_busy(self) -> bool:
        if (await self.stage.shop.state()).webhooks_pending:
            return True
        async with self.stage.deps.database.connection() as conn:
            numbers = await health.read(conn)
        return numbers.work.oldest_s > 0 or numbers.jobs.running > 0

    async def requests(self) -> tuple[int, int]:
        """Reads of products and writes of stock since the last reset."""
        counts = (await self.stage.shop.state()).requests
        return counts.get(_READ, 0), counts.get(_WRITES, 0)


def count_of(number: int, thing: str) -> str:
    """Such as "1 read"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def levels_of(levels: Mapping[str, int]) -> str:
    """Such as "Framed 3, Unframed 2"."""
    return ", ".join(f"{title} {level}" for title, level in levels.items())


def tell(text: str) -> None:
    """Say it at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
