"""Page sizes that fit one query under 1000 points, whatever cost rule the server applies. No I/O."""

from collections.abc import Callable, Mapping

from stockwright.shopify.cost import MAX_QUERY_COST

Sizes = Mapping[str, int]
MAX_PAGE = 250
_STEPS = (10, 25, 50, 100, MAX_PAGE)


def page_for(count: int) -> int:
    """The smallest usual page size that holds `count` rows, at most 250."""
    return next((step for step in _STEPS if step >= count), MAX_PAGE)


class PageSizes:
    """Remembers, per operation, how often its sizes had to be halved. One per process."""

    def __init__(self) -> None:
        self._halved: dict[str, int] = {}

    def fitting(self, name: str, wanted: Sizes, cost: Callable[[Sizes], int]) -> Sizes:
        """`wanted`, halved as often as the server made us, and further until the formula fits too."""
        sizes = wanted
        for _ in range(self._halved.get(name, 0)):
            sizes = halved(sizes)
        while cost(sizes) > MAX_QUERY_COST and (smaller := halved(sizes)) != sizes:
            sizes = smaller
        return sizes

    def shrink(self, name: str) -> None:
        """The server found the last sizes too costly."""
        self._halved[name] = self._halved.get(name, 0) + 1


def halved(sizes: Sizes) -> Sizes:
    """The first size above 1 halved; the order of the mapping says which is given up first."""
    for name, size in sizes.items():
        if size > 1:
            return {**sizes, name: size // 2}
    return sizes
