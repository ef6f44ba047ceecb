"""Page sizes that fit one query under 1000 points, whatever cost rule the server applies. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stockwright.model import ShopId
from stockwright.shopify.budget import MAX_QUERY_COST

Sizes = Mapping[str, int]
MAX_PAGE = 250
GROW_AFTER = timedelta(minutes=30)
_STEPS = (10, 25, 50, 100, MAX_PAGE)


def page_for(count: int) -> int:
    """The smallest usual page size that holds `count` rows, at most 250."""
    return next((step for step in _STEPS if step >= count), MAX_PAGE)


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """How often the sizes of one operation at one shop were halved, and when that was last looked at."""

    times: int = 0
    at: datetime | None = None


class PageSizes:
    """Remembers, per shop and operation, how often its sizes had to be halved. One per process.

    After a while one halving less is tried: a cost rule may change, and one odd product must not slow a shop for ever.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._shrunk: dict[tuple[ShopId, str], Shrunk] = {}

    def shrunk(self, shop_id: ShopId, name: str) -> Shrunk:
        """What is known now; hand it to `fitting`, and to `shrink` when the sizes were too costly."""
        known = self._shrunk.get((shop_id, name), Shrunk())
        if known.at is None or self._clock() - known.at < GROW_AFTER:
            return known
        return self._keep(shop_id, name, known.times - 1)

    def shrink(self, shop_id: ShopId, name: str, was: Shrunk) -> None:
        """The server found the sizes of `was` too costly; calls that failed with the same ones shrink them once."""
        if self._shrunk.get((shop_id, name), Shrunk()) == was:
            self._keep(shop_id, name, was.times + 1)

    def _keep(self, shop_id: ShopId, name: str, times: int) -> Shrunk:
        known = Shrunk(times=times, at=self._clock() if times else None)
        self._shrunk[shop_id, name] = known
        return known


def fitting(wanted: Sizes, was: Shrunk, cost: Callable[[Sizes], int]) -> Sizes:
    """`wanted`, halved as often as the server made us, and further until the formula fits too."""
    sizes = wanted
    for _ in range(was.times):
        sizes = halved(sizes)
    while cost(sizes) > MAX_QUERY_COST and (smaller := halved(sizes)) != sizes:
        sizes = smaller
    return sizes


def halved(sizes: Sizes) -> Sizes:
    """The first size above 1 halved; the order of the mapping says which is given up first."""
    for name, size in sizes.items():
        if size > 1:
            return {**sizes, name: size // 2}
    return sizes
