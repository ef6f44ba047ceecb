"""What shoppers are told of a product's stock: for how long an answer is good, and what ends it before."""

from stockwright.fresh_products import FLOOR_S, KEEP_S, FreshProducts
from stockwright.model import ProductGid
from stockwright.store import inbox
from tests.journey.storefront import SHOP_LIMIT_S, Storefront, play
from tests.store.rows import event


class Reader:
    """A web process that looks at the product, with a clock that a test turns."""

    def __init__(self, store: Storefront) -> None:
        self.store = store
        self.now_s = 0.0
        self.products = FreshProducts(store.service.deps, limit_s=SHOP_LIMIT_S, clock=lambda: self.now_s)

    async def look(self) -> tuple[int, int]:
        """Units of Small as they are told, and requests to the shop so far."""
        look = await self.products.look(self.store.service.shop_id, self.store.product.gid)
        assert look.is_fresh and look.product is not None
        small = next(one for one in look.product.variants if one.title == "Small")
        asked = sum(one.operation == "ReadShownProduct" for one in self.store.service.requests)
        return small.levels[0].available, asked

    async def webhook(self, subject: str, no: int) -> None:
        """A webhook arrives at some web process."""
        told = event(self.store.service.shop_id, no, subject=subject)
        async with self.store.service.database.connection() as conn:
            assert await inbox.receive(conn, [told]) == [True]


def small_item(store: Storefront) -> str:
    return next(one for one in store.product.variants if one.title == "Small").item.gid


def test_an_answer_is_good_for_some_seconds_without_news(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        reader = Reader(store)
        assert await reader.look() == (0, 1)
        store.stock("Small", 5)
        await reader.webhook("gid://shopify/Product/1", 1)  # about another product
        reader.now_s = KEEP_S - 0.1
        assert await reader.look() == (0, 1)
        reader.now_s = KEEP_S
        assert await reader.look() == (5, 2)

    play(emptied, story)


def test_a_webhook_about_an_item_or_the_product_ends_it_in_every_process(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        first, second = Reader(store), Reader(store)
        assert (await first.look(), await second.look()) == ((0, 1), (0, 2))
        store.stock("Small", 5)
        await first.webhook(small_item(store), 1)
        first.now_s = second.now_s = FLOOR_S
        assert (await first.look(), await second.look()) == ((5, 3), (5, 4))

    play(emptied, story)


def test_a_webhook_about_the_product_itself_ends_it_too(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        reader = Reader(store)
        assert await reader.look() == (0, 1)
        store.stock("Small", 5)
        await reader.webhook(ProductGid(store.product.gid), 1)
        reader.now_s = FLOOR_S
        assert await reader.look() == (5, 2)

    play(emptied, story)


def test_a_product_that_webhooks_pour_in_for_is_not_read_for_each(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        reader = Reader(store)
        for no in range(1, 6):
            await reader.webhook(small_item(store), no)
            reader.now_s += FLOOR_S / 10
            assert await reader.look() == (0, 1)

    play(emptied, story)


def test_a_product_that_does_not_exist_is_asked_for_again_when_it_is_made(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        reader = Reader(store)
        shop_id = store.service.shop_id
        gone = "gid://shopify/Product/77"
        assert (await reader.products.look(shop_id, gone)).product is None
        await reader.webhook(gone, 1)
        reader.now_s = FLOOR_S
        await reader.products.look(shop_id, gone)
        assert sum(one.operation == "ReadShownProduct" for one in store.service.requests) == 2

    play(emptied, story)
