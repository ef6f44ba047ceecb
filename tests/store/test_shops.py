"""Shops, their tokens, and the state of their webhook subscriptions, as stored."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from psycopg import AsyncConnection

from stockwright.model import Location, LocationGid, ShopId, ShopRead, StockwrightError, gid
from stockwright.store import shops, webhook_subscriptions
from stockwright.store.shop_rows import ShopRows
from stockwright.store.shops import NewShop
from stockwright.store.webhook_subscriptions import SubscriptionRow
from tests.store.rows import NOON, connect, open_pool, rows

ONE = NewShop(
    domain="One.myshopify.com",
    api_url="https://one.myshopify.com",
    auth_mode="access_token",
    secrets=b"sealed",
)


def with_connection(dsn: str, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    async def run() -> None:
        async with await connect(dsn) as conn:
            await work(conn)

    asyncio.run(run())


def test_a_shop_comes_back_by_id_and_by_domain_in_any_case(database: str) -> None:
    async def work(conn: AsyncConnection) -> None:
        shop_id = await shops.add(conn, ONE)
        shop = await shops.get(conn, shop_id)
        assert shop is not None and shop == await shops.find(conn, " ONE.myshopify.com ")
        assert (shop.domain, shop.secrets, shop.plan, shop.status) == (
            "one.myshopify.com",
            b"sealed",
            "premium",
            "active",
        )
        assert (shop.token, shop.scopes, shop.locations, shop.read_at) == (None, (), (), None)
        assert await shops.get(conn, ShopId(shop_id + 1)) is None

    with_connection(database, work)


@pytest.mark.parametrize("text", ["", "a\0b", "one.myshopify.com/x", "x" * 256, "één.myshopify.com"])
def test_what_cannot_be_a_domain_is_the_domain_of_no_shop(database: str, text: str) -> None:
    async def work(conn: AsyncConnection) -> None:
        assert await shops.find(conn, text) is None

    with_connection(database, work)


def test_a_shop_is_added_once_with_a_full_budget(database: str) -> None:
    async def work(conn: AsyncConnection) -> None:
        await shops.add(conn, ONE)
        with pytest.raises(StockwrightError, match=r"one\.myshopify\.com is there already"):
            await shops.add(conn, ONE)
        assert await rows(conn, "select available, capacity from budgets") == [(2000, 2000)]

    with_connection(database, work)


def test_shops_are_listed_by_domain_and_removed_with_what_is_theirs(database: str) -> None:
    async def work(conn: AsyncConnection) -> None:
        for name in ("b", "a"):
            await shops.add(
                conn,
                NewShop(domain=f"{name}.myshopify.com", api_url="", auth_mode="access_token", secrets=b""),
            )
        first, second = await shops.list_all(conn)
        assert (first.domain, second.domain) == ("a.myshopify.com", "b.myshopify.com")
        assert await shops.remove(conn, first.shop_id) is True
        assert await shops.remove(conn, first.shop_id) is False
        assert await rows(conn, "select shop_id from budgets") == [(second.shop_id,)]

    with_connection(database, work)


def test_what_a_read_of_the_shop_showed_is_kept_whole(database: str) -> None:
    places = (
        Location(id=LocationGid(gid("Location", 1)), name="Toronto"),
        Location(id=LocationGid(gid("Location", 2)), name="Montréal", is_active=False),
    )
    read = ShopRead(
        name="One", timezone="America/Toronto", locations=places, default_location_id=places[0].id
    )

    async def work(conn: AsyncConnection) -> None:
        shop_id = await shops.add(conn, ONE)
        await shops.save_shop_read(
            conn, shop_id, read, scopes=["read_orders", "read_inventory"], read_at=NOON
        )
        shop = await shops.get(conn, shop_id)
        assert shop is not None
        assert (shop.name, shop.timezone, shop.locations) == ("One", "America/Toronto", places)
        assert (shop.default_location_id, shop.read_at) == (places[0].id, NOON)
        assert shop.scopes == ("read_inventory", "read_orders")

    with_connection(database, work)


def test_a_new_secret_drops_the_token_that_was_made_with_the_old_one(database: str) -> None:
    async def work(conn: AsyncConnection) -> None:
        shop_id = await shops.add(conn, ONE)
        await shops.save_token(conn, shop_id, b"token", expires_at=NOON, was=None)
        shop = await shops.get(conn, shop_id)
        assert shop is not None and (shop.token, shop.token_expires_at) == (b"token", NOON)
        await shops.save_secrets(conn, shop_id, b"other")
        shop = await shops.get(conn, shop_id)
        assert shop is not None and (shop.secrets, shop.token, shop.token_expires_at) == (
            b"other",
            None,
            None,
        )

    with_connection(database, work)


def test_status_plan_and_rule_can_be_changed(database: str) -> None:
    async def work(conn: AsyncConnection) -> None:
        shop_id = await shops.add(conn, ONE)
        await shops.set_status(conn, shop_id, "paused", reason="frozen by Shopify")
        await shops.set_settings(conn, shop_id, plan="free", on_unknown="certain")
        shop = await shops.get(conn, shop_id)
        assert shop is not None
        assert (shop.status, shop.status_reason) == ("paused", "frozen by Shopify")
        assert (shop.plan, shop.on_unknown) == ("free", "certain")

    with_connection(database, work)


def test_a_change_to_a_removed_shop_is_told(database: str) -> None:
    async def work(conn: AsyncConnection) -> None:
        with pytest.raises(StockwrightError, match="no shop 5"):
            await shops.set_status(conn, ShopId(5), "active")

    with_connection(database, work)


def test_of_two_processes_that_renew_a_token_the_faster_stores_it(database: str) -> None:
    async def run() -> None:
        async with open_pool(database) as pool:
            shop_rows = ShopRows(pool)
            async with pool.connection() as conn:
                shop_id = await shops.add(conn, ONE)
            assert await shop_rows.save_token(shop_id, b"first", expires_at=NOON, was=None)
            assert not await shop_rows.save_token(shop_id, b"second", expires_at=NOON, was=None)
            assert (await shop_rows.account(shop_id)).token == b"first"
            assert await shop_rows.save_token(shop_id, b"next", expires_at=NOON, was=b"first")

    asyncio.run(run())


def test_an_account_of_no_shop_is_told(database: str) -> None:
    async def run() -> None:
        async with open_pool(database) as pool:
            with pytest.raises(StockwrightError, match="no shop 9"):
                await ShopRows(pool).account(ShopId(9))

    asyncio.run(run())


def test_a_check_of_the_webhooks_replaces_what_was_known(database: str) -> None:
    def row(
        topic: str, subscription_id: str = "", uri: str = "https://a.example/w", problem: str = ""
    ) -> SubscriptionRow:
        return SubscriptionRow(
            topic=topic, subscription_id=subscription_id, uri=uri, problem=problem, checked_at=NOON
        )

    async def work(conn: AsyncConnection) -> None:
        shop_id = await shops.add(conn, ONE)
        before = [row("shopify/products/update", "gid://x/1"), row("shopify/orders/create")]
        await webhook_subscriptions.replace_all(conn, shop_id, before, checked_at=NOON)
        assert await webhook_subscriptions.of_shop(conn, shop_id) == sorted(before, key=lambda one: one.topic)
        after = [row("shopify/products/update", "gid://x/2", "https://b.example/w", "too late")]
        await webhook_subscriptions.replace_all(conn, shop_id, after, checked_at=NOON)
        assert await webhook_subscriptions.of_shop(conn, shop_id) == after
        assert await webhook_subscriptions.uris_of(conn, shop_id) == ["https://b.example/w"]
        await webhook_subscriptions.replace_all(conn, shop_id, [], checked_at=NOON)
        assert await webhook_subscriptions.of_shop(conn, shop_id) == []

    with_connection(database, work)
