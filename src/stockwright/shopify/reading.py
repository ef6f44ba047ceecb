"""What every read of a whole product keeps: a limit of requests, pages that fit, and a second try.

Knows no product; the reads are in the modules beside it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from stockwright.model import JsonObject
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.operations import operation
from stockwright.shopify.sizes import MAX_PAGE, Sizes, fitting
from stockwright.shopify.wire import ItemLevels, Node, item_levels

T = TypeVar("T")

MAX_REQUESTS_PER_PRODUCT = 100
READ_TRIES = 2  # a product that changes while its pages are read is read again from the start


class CountedReads:
    """The requests of one product's read, counted against the limit."""

    def __init__(self, caller: Caller, priority: Priority) -> None:
        self._caller = caller
        self._priority = priority
        self._requests = 0

    async def paged(self, name: str, wanted: Sizes, variables: JsonObject) -> Node:
        """A query with page sizes, made smaller when the server finds it too costly."""
        query, shop_id = operation(name), self._caller.account.shop_id
        known = self._caller.wiring.sizes
        while True:
            shrunk = known.shrunk(shop_id, name)
            sizes = fitting(wanted, shrunk, lambda tried: query.cost({**variables, **tried}))
            self._count()
            try:
                return await self._caller.read(name, {**variables, **sizes}, priority=self._priority)
            except ShopifyError as error:
                if error.code is not ErrorCode.TOO_COSTLY or max(sizes.values()) <= 1:
                    raise
                known.shrink(shop_id, name, shrunk)

    async def levels_after(self, item: ItemLevels) -> ItemLevels | None:
        """The next page of an item's levels; None when the item was deleted."""
        variables = {"id": item.item_id, "after": item.after}
        data = await self.paged("item_levels", {"levels": MAX_PAGE}, variables)
        node = data.optional_child("inventoryItem")
        return None if node is None else item_levels(node)

    def _count(self) -> None:
        self._requests += 1
        if self._requests > MAX_REQUESTS_PER_PRODUCT:
            raise ShopifyError(
                ErrorCode.LIMIT,
                f"A product needs more than {MAX_REQUESTS_PER_PRODUCT} requests to be read whole: it has too many "
                "variants and locations. It is left alone; nothing was concluded from the part that was read.",
                permanent=True,
            )


async def again_if_changed(read: Callable[[], Awaitable[T]]) -> T:
    """What `read` returns; once more from the start when the product changed between its pages.

    Raises:
        ShopifyError: CHANGED when it changed twice, and whatever else `read` raises.
    """
    for attempt in range(1, READ_TRIES + 1):
        try:
            return await read()
        except ShopifyError as error:
            if error.code is not ErrorCode.CHANGED or attempt == READ_TRIES:
                raise
    raise AssertionError("the last attempt returns or raises")


def changed(title: str) -> ShopifyError:
    """A product was not the same on all pages of one read."""
    message = f"The product {title!r} changed while it was read. It is read again."
    return ShopifyError(ErrorCode.CHANGED, message, permanent=False)
