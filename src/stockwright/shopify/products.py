"""Reads of products with all variants and levels: complete, or an error; never silently cut.

One request for a usual product. Larger ones are paged up to a written limit.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stockwright.model import (
    ItemGid,
    LevelRead,
    ProductGid,
    ProductRead,
    PublicationGid,
    VariantGid,
    gid_number,
)
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.reading import CountedReads, again_if_changed, changed
from stockwright.shopify.sizes import MAX_PAGE, page_for
from stockwright.shopify.wire import (
    ItemLevels,
    Node,
    ProductHead,
    VariantHead,
    item_levels,
    next_cursor,
    product_head,
    variant_head,
)

MAX_ROWS_PER_REQUEST = 10_000  # levels asked for in one request
NEW_PRODUCT_VARIANTS = 50
SCAN_PRODUCTS, SCAN_VARIANTS = 50, 20
MAX_ROWS_PER_PAGE = 20_000  # levels on one page of a scan: some 4 MB
MAX_WALK = (
    20_000  # Shopify ends a cursor walk at 25,000 objects; then the walk starts anew behind the last id
)


@dataclass(frozen=True, kw_only=True)
class SkippedProduct:
    """A product that could not be read whole, and why: the caller reports it."""

    id: ProductGid
    title: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ProductPage:
    """One page of a scan; `after` leads on, None at the end; `total` on the first page only."""

    products: tuple[ProductRead, ...]
    skipped: tuple[SkippedProduct, ...]
    after: str | None
    total: int | None


class Assembly:
    """A product while its pages come in."""

    def __init__(self, head: ProductHead) -> None:
        self.head = head
        self.after: str | None = None  # cursor of the next page of variants
        self.variants: dict[VariantGid, VariantHead] = {}
        self.items: dict[ItemGid, ItemLevels] = {}
        self.published_on: set[PublicationGid] | None = None  # None: not asked for
        self.more_publications: str | None = None  # cursor of the next page of them

    def add_variants(self, connection: Node) -> None:
        """Take a page of `product.variants`; levels too when the page has them."""
        for node in connection.children("nodes"):
            variant = variant_head(node)
            self.variants[variant.id] = variant
            if node.child("inventoryItem").has("inventoryLevels"):
                self.add_items([item_levels(node.child("inventoryItem"))])
        self.after = next_cursor(connection)

    def add_items(self, items: Sequence[ItemLevels]) -> None:
        """Take first pages of items' levels."""
        self.items.update({item.item_id: item for item in items})

    def add_levels(self, page: ItemLevels) -> None:
        """Take a further page of one item's levels."""
        before = {level.location_id: level for level in self.items[page.item_id].levels}
        merged = {**before, **{level.location_id: level for level in page.levels}}
        self.items[page.item_id] = replace(page, levels=tuple(merged.values()))

    def add_publications(self, connection: Node) -> None:
        """Take a page of the channels on which the product is published."""
        seen = {
            PublicationGid(node.child("publication").text("id"))
            for node in connection.children("nodes")
            if node.flag("isPublished")
        }
        self.published_on = (self.published_on or set()) | seen
        self.more_publications = next_cursor(connection)

    def missing_items(self) -> list[ItemGid]:
        """Items of the variants seen so far whose levels are not read."""
        wanted = dict.fromkeys(variant.item_id for variant in self.variants.values())
        return [item_id for item_id in wanted if item_id not in self.items]

    def cut_items(self) -> list[ItemLevels]:
        """Items of the product that have more levels than were read."""
        wanted = {variant.item_id for variant in self.variants.values()}
        return [item for item in self.items.values() if item.after and item.item_id in wanted]

    def levels_of(self, item_id: ItemGid) -> tuple[LevelRead, ...]:
        return self.items[item_id].levels


async def read_product(
    caller: Caller,
    product_id: ProductGid,
    *,
    item_ids: Sequence[ItemGid],
    priority: Priority,
    channels: int = 0,
) -> ProductRead | None:
    """A product with all variants and levels; None when it was deleted.

    With `channels`, the number that the shop has, also where it is published, in the same request.

    Raises:
        ShopifyError: LIMIT when it takes more than 100 requests, CHANGED when it changed twice meanwhile.
    """
    return await again_if_changed(
        lambda: _Reading(caller, priority, channels=channels).whole(product_id, item_ids)
    )


async def scan_products(
    caller: Caller, search: str, *, after: str | None, priority: Priority, channels: int = 0
) -> ProductPage:
    """One page of the products that match, each complete. `search` is Shopify's syntax; "" is all.

    Search may lag behind by seconds to minutes: a candidate list, not truth. One product that cannot be
    read whole does not stop the scan: it is in `skipped`.
    """
    place = _Place.parse(after)
    reading = _Reading(caller, priority, channels=channels)
    data = await reading.paged(
        "scan_products",
        reading.scan_sizes() | reading.channel_sizes(asked=channels > 0),
        {
            "search": place.narrowed(search),
            "after": place.cursor,
            "total": after is None,
            "published": channels > 0,
        },
    )
    connection = data.child("products")
    assemblies = [_assembled(node) for node in connection.children("nodes")]
    results = [await _finished(reading.anew(), assembly) for assembly in assemblies]
    total = data.child("productsCount").integer("count") if data.has("productsCount") else None
    return ProductPage(
        products=tuple(result for result in results if isinstance(result, ProductRead)),
        skipped=tuple(result for result in results if isinstance(result, SkippedProduct)),
        after=place.following(next_cursor(connection), [assembly.head.id for assembly in assemblies]),
        total=total,
    )


async def _finished(reading: "_Reading", assembly: Assembly) -> ProductRead | SkippedProduct:
    try:
        return await reading.finish(assembly)
    except ShopifyError as error:
        if error.code not in (ErrorCode.LIMIT, ErrorCode.CHANGED):
            raise
        return SkippedProduct(id=assembly.head.id, title=assembly.head.title, reason=str(error))


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a scan is: Shopify's cursor, rows walked with it, and the id behind which the walk began."""

    cursor: str | None = None
    walked: int = 0
    behind: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> "_Place":
        if text is None:
            return cls()
        try:
            cursor, walked, behind = json.loads(text)
            return cls(cursor=cursor, walked=int(walked), behind=behind)
        except (ValueError, TypeError):
            raise ShopifyError(
                ErrorCode.INVALID_REQUEST,
                "The stored place of a scan is unreadable. Start it anew.",
                permanent=True,
            ) from None

    def narrowed(self, search: str) -> str | None:
        parts = [f"({search})" if search and self.behind else search]
        if self.behind:
            parts.append(f"id:>{self.behind}")
        return " AND ".join(part for part in parts if part) or None

    def following(self, cursor: str | None, seen: Sequence[ProductGid]) -> str | None:
        if cursor is None:
            return None
        walked = self.walked + len(seen)
        if walked < MAX_WALK or not seen:
            return json.dumps([cursor, walked, self.behind])
        return json.dumps([None, 0, gid_number(seen[-1])])


def _assembled(node: Node) -> Assembly:
    assembly = Assembly(product_head(node))
    assembly.add_variants(node.child("variants"))
    if node.has("resourcePublicationsV2"):
        assembly.add_publications(node.child("resourcePublicationsV2"))
    return assembly


class _Reading(CountedReads):
    """The requests of one product's read."""

    def __init__(self, caller: Caller, priority: Priority, *, channels: int) -> None:
        super().__init__(caller, priority)
        self._channels = channels
        self._levels = page_for(len(caller.account.locations))

    def anew(self) -> "_Reading":
        """The same for another product, with a count of its own."""
        return _Reading(self._caller, self._priority, channels=self._channels)

    def channel_sizes(self, *, asked: bool) -> dict[str, int]:
        """How many channels of a product to ask for: as many as the shop has, up to a page."""
        return {"channels": page_for(self._channels) if asked else 1}

    def scan_sizes(self) -> dict[str, int]:
        """Sizes of a scan's page; products are given up first when it does not fit."""
        products = MAX_ROWS_PER_PAGE // (SCAN_VARIANTS * self._levels)
        return {
            "products": min(SCAN_PRODUCTS, products),
            "variants": SCAN_VARIANTS,
            "levels": self._levels,
        }

    async def whole(self, product_id: ProductGid, item_ids: Sequence[ItemGid]) -> ProductRead | None:
        """The product, complete; None when there is none."""
        if item_ids:
            assembly = await self.known_product(product_id, item_ids)
        else:
            assembly = await self.new_product(product_id)
        return await self.finish(assembly) if assembly else None

    async def new_product(self, product_id: ProductGid) -> Assembly | None:
        """The first request for a product whose items are not known: nested levels."""
        asked = self._channels > 0
        wanted = {
            "variants": NEW_PRODUCT_VARIANTS,
            "levels": self._levels,
            **self.channel_sizes(asked=asked),
        }
        data = await self.paged("read_new_product", wanted, {"id": product_id, "published": asked})
        node = data.optional_child("product")
        return _assembled(node) if node else None

    async def known_product(self, product_id: ProductGid, item_ids: Sequence[ItemGid]) -> Assembly | None:
        """The first request for a product whose items are known: variants beside levels."""
        published = self._channels > 0
        wanted = {
            "variants": page_for(len(item_ids)),
            "levels": self._levels,
            **self.channel_sizes(asked=published),
        }
        variables = {
            "id": product_id,
            "after": None,
            "items": item_ids[: self._batch()],
            "published": published,
        }
        data = await self.paged("read_product", wanted, variables)
        node = data.optional_child("product")
        if node is None:
            return None
        assembly = _assembled(node)
        assembly.add_items(_items(data))
        return assembly

    async def finish(self, assembly: Assembly) -> ProductRead:
        """Read what is still missing, then build the product."""
        while assembly.after is not None:
            await self._more_variants(assembly)
        missing = assembly.missing_items()
        for start in range(0, len(missing), self._batch()):
            await self._more_items(assembly, missing[start : start + self._batch()])
        while cut := assembly.cut_items():
            await self._more_levels(assembly, cut[0])
        while assembly.more_publications is not None:
            await self._more_publications(assembly)
        return self._built(assembly)

    async def _more_variants(self, assembly: Assembly) -> None:
        wanted = {"variants": MAX_PAGE, "levels": self._levels, **self.channel_sizes(asked=False)}
        variables = {
            "id": assembly.head.id,
            "after": assembly.after,
            "items": assembly.missing_items()[: self._batch()],
            "published": False,
        }
        data = await self.paged("read_product", wanted, variables)
        node = data.optional_child("product")
        if node is None:
            raise changed(assembly.head.title)
        assembly.add_variants(node.child("variants"))
        assembly.add_items(_items(data))

    async def _more_items(self, assembly: Assembly, item_ids: Sequence[ItemGid]) -> None:
        data = await self.paged("read_items", {"levels": self._levels}, {"items": list(item_ids)})
        assembly.add_items(_items(data))

    async def _more_levels(self, assembly: Assembly, item: ItemLevels) -> None:
        page = await self.levels_after(item)
        if page is None:
            raise changed(assembly.head.title)
        assembly.add_levels(page)

    async def _more_publications(self, assembly: Assembly) -> None:
        variables = {"id": assembly.head.id, "after": assembly.more_publications}
        data = await self.paged("product_publications", {"channels": MAX_PAGE}, variables)
        node = data.optional_child("product")
        if node is None:
            raise changed(assembly.head.title)
        assembly.add_publications(node.child("resourcePublicationsV2"))

    def _built(self, assembly: Assembly) -> ProductRead:
        if assembly.missing_items():
            raise changed(assembly.head.title)
        head = assembly.head
        return ProductRead(
            id=head.id,
            title=head.title,
            status=head.status,
            product_type=head.product_type,
            tags=head.tags,
            is_gift_card=head.is_gift_card,
            variants=tuple(
                variant.with_levels(assembly.levels_of(variant.item_id))
                for variant in assembly.variants.values()
            ),
            read_at=self._caller.wiring.clock(),
            published_on=None if assembly.published_on is None else frozenset(assembly.published_on),
        )

    def _batch(self) -> int:
        return min(MAX_PAGE, MAX_ROWS_PER_REQUEST // self._levels)


def _items(data: Node) -> list[ItemLevels]:
    found = [node for node in data.optional_children("nodes") if node is not None]
    return [item_levels(node) for node in found if node.has("inventoryLevels")]
