"""Reads of products as shoppers see them: complete with every variant and level, or an error; never silently cut."""

from dataclasses import replace
from datetime import datetime

from stockwright.model import ItemGid, LevelRead, ProductGid, VariantGid
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.reading import CountedReads, again_if_changed, changed
from stockwright.shopify.sizes import MAX_PAGE, page_for
from stockwright.shopify.wire import ItemLevels, Node, item_levels, next_cursor

FIRST_VARIANTS = 50


async def read_shown_product(
    caller: Caller, product_id: ProductGid, *, priority: Priority
) -> ShownProduct | None:
    """A product with texts, prices, images, variants and levels; None when it was deleted.

    One request up to 50 variants. `read_at` is our clock before the first request was sent: what is shown is no
    older than that.

    Raises:
        ShopifyError: LIMIT when it takes more than 100 requests, CHANGED when it changed twice meanwhile.
    """
    return await again_if_changed(lambda: _Reading(caller, priority).whole(product_id))


class _Reading(CountedReads):
    """One product while its pages come in."""

    def __init__(self, caller: Caller, priority: Priority) -> None:
        super().__init__(caller, priority)
        self._levels = page_for(len(caller.account.locations))
        self._variants: dict[VariantGid, ShownVariant] = {}
        self._items: dict[ItemGid, ItemLevels] = {}

    async def whole(self, product_id: ProductGid) -> ShownProduct | None:
        read_at = self._caller.wiring.clock()
        data = await self._page(product_id, after=None)
        node = data.optional_child("product")
        if node is None:
            return None
        product = _head(node, currency=data.child("shop").text("currencyCode"), read_at=read_at)
        after = self._take(node)
        while after is not None:
            page = (await self._page(product_id, after=after)).optional_child("product")
            if page is None:
                raise changed(product.title)
            after = self._take(page)
        for item_id in self._items:
            await self._rest_of_levels(product.title, item_id)
        variants = tuple(
            replace(one, levels=self._items[one.item_id].levels) for one in self._variants.values()
        )
        return replace(product, variants=variants)

    async def _page(self, product_id: ProductGid, *, after: str | None) -> Node:
        sizes = {"variants": MAX_PAGE if after else FIRST_VARIANTS, "levels": self._levels}
        return await self.paged("read_shown_product", sizes, {"id": product_id, "after": after})

    def _take(self, product: Node) -> str | None:
        """Take a page of variants; the cursor of the next one."""
        connection = product.child("variants")
        for node in connection.children("nodes"):
            variant, levels = _variant(node), item_levels(node.child("inventoryItem"))
            self._variants[variant.id] = variant
            self._items[levels.item_id] = levels
        return next_cursor(connection)

    async def _rest_of_levels(self, title: str, item_id: ItemGid) -> None:
        item = self._items[item_id]
        levels = {one.location_id: one for one in item.levels}
        while item.after is not None:
            page = await self.levels_after(item)
            if page is None:
                raise changed(title)
            levels.update({one.location_id: one for one in page.levels})
            item = page
        whole: tuple[LevelRead, ...] = tuple(levels.values())
        self._items[item_id] = replace(item, levels=whole)


def _head(node: Node, *, currency: str, read_at: datetime) -> ShownProduct:
    media = node.optional_child("featuredMedia")
    return ShownProduct(
        id=ProductGid(node.text("id")),
        title=node.text("title"),
        handle=node.text("handle"),
        status=node.text("status"),
        is_gift_card=node.flag("isGiftCard"),
        variants=(),
        read_at=read_at,
        vendor=node.text("vendor"),
        tags=frozenset(node.texts("tags")),
        url=node.optional_text("onlineStoreUrl") or "",
        image_url=_image_url(media),
        image_alt=(media.optional_text("alt") or "") if media else "",
        currency=currency,
    )


def _variant(node: Node) -> ShownVariant:
    item, media = node.child("inventoryItem"), node.child("media").children("nodes")
    return ShownVariant(
        id=VariantGid(node.text("id")),
        title=node.text("title"),
        item_id=ItemGid(item.text("id")),
        tracked=item.flag("tracked"),
        sku=node.optional_text("sku") or "",
        options=tuple((one.text("name"), one.text("value")) for one in node.children("selectedOptions")),
        price=node.text("price"),
        compare_at_price=node.optional_text("compareAtPrice") or "",
        continue_selling=node.text("inventoryPolicy") == "CONTINUE",
        requires_components=node.flag("requiresComponents"),
        image_url=_image_url(media[0] if media else None),
    )


def _image_url(media: Node | None) -> str:
    """The address of a medium's picture; "" while it has none."""
    preview = media.optional_child("preview") if media else None
    image = preview.optional_child("image") if preview else None
    return image.text("url") if image else ""
