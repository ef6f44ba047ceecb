"""What is done per shop from time to time: pausing, resuming, uninstalling, subscriptions, reconciliation."""

import pytest

from shopify_emulator.faults import Fault
from stockwright import app
from stockwright.model import Key, StockwrightError
from stockwright.store import automations, pools, shops
from stockwright.store.shops import Shop
from stockwright.upkeep import Upkeep, pause_shop, public_url_of, remove_shop, resume_shop, subscribe
from tests.journey.listings import add_listing
from tests.journey.service import PUBLIC_URL, Service, play
from tests.journey.test_shared_stock import ACROSS, WITHIN, start


def upkeep(service: Service) -> Upkeep:
    return Upkeep(deps=service.deps, public_url=PUBLIC_URL)


async def stored(service: Service) -> Shop:
    async with service.database.connection() as conn:
        shop = await shops.get(conn, service.shop_id)
    assert shop is not None
    return shop


def test_a_shop_that_refuses_our_token_is_paused_with_the_reason(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        service.shop.tokens.revoke_all()
        poster.sell("A")
        await service.settle()
        shop = await stored(service)
        assert shop.status == "paused"
        assert "refused the access token" in shop.status_reason
        asked = len(service.requests)
        poster.sell("A")
        await service.wait(3600)
        assert len(service.requests) == asked, "a shop that shuts us out is not asked again and again"
        assert service.errors == []
        service.shop.tokens.restore()
        await upkeep(service).look_at_paused()
        await service.settle()
        assert poster.levels() == [8, 8, 8]

    play(database, story)


def test_a_paused_shop_that_still_refuses_stays_paused(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        service.shop.tokens.revoke_all()
        poster.sell("A")
        await service.settle()
        await upkeep(service).look_at_paused()
        assert (await stored(service)).status == "paused"
        service.shop.tokens.restore()
        await resume_shop(service.deps, await stored(service))
        await service.settle()
        assert (await stored(service)).status == "active"

    play(database, story)


def test_an_uninstalled_shop_is_closed_and_opens_again_after_a_reinstallation(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        service.shop.uninstall()
        await service.settle()
        await upkeep(service).close_uninstalled()
        assert (await stored(service)).status == "uninstalled"
        poster.sell("A")
        service.shop.reinstall()
        await service.wait(60)
        await resume_shop(service.deps, await stored(service))
        await subscribe(service.deps, await stored(service), public_url=PUBLIC_URL)
        await service.settle()
        await upkeep(service).close_uninstalled()
        assert (await stored(service)).status == "active", "the old message does not close it again"
        assert poster.levels() == [9, 9, 9]

    play(database, story)


def test_lost_subscriptions_are_made_again(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        service.shop.subscriptions.clear()
        await upkeep(service).repair_subscriptions()
        topics = {one.topic for one in service.shop.subscriptions.by_gid.values()}
        assert topics == {"APP_UNINSTALLED", "INVENTORY_LEVELS_UPDATE"}
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [9, 9, 9]

    play(database, story)


def test_reconciliation_finds_what_no_webhook_told_and_leaves_schedules_alone(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        kept = add_listing(service.shop, "Kept", product_type="Kept", tags=())
        shared = add_listing(service.shop, "Shared", product_type="Shared", tags=("shared",))
        await service.add(WITHIN[0], product_types=["Kept"])
        await service.add(ACROSS[0], product_tags=["shared"])
        service.shop.subscriptions.clear()
        kept.sell("A")
        shared.sell("A")
        await service.settle()
        assert kept.levels() == [9, 10, 10]
        await upkeep(service).reconcile()
        await service.settle()
        assert kept.levels() == [9, 9, 9]
        assert shared.levels() == [9, 10, 10], "its own schedule looks at it"

    play(database, story)


def test_an_automation_that_looks_seldom_is_reconciled_all_the_same(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        async with service.database.connection() as conn:
            await conn.execute("update automations set topics = '{mechanic/scheduler/monthly+1.hour}'")
        service.shop.subscriptions.clear()
        poster.sell("A")
        await upkeep(service).reconcile()
        await service.settle()
        assert poster.levels() == [9, 9, 9]

    play(database, story)


async def subscribed(service: Service) -> set[str]:
    return {one.topic for one in service.shop.subscriptions.by_gid.values()}


def test_a_shop_that_cannot_be_looked_after_hinders_no_other(database) -> None:
    async def story(service: Service) -> None:
        await start(service, ACROSS)
        unreadable = shops.NewShop(
            domain="a-first.myshopify.com",
            api_url="https://a-first.myshopify.com",
            auth_mode="access_token",
            secrets=b"sealed with a key that is lost",
        )
        async with service.database.connection() as conn:
            await shops.add(conn, unreadable)
        service.shop.subscriptions.clear()
        await upkeep(service).repair_subscriptions()
        assert await subscribed(service) == {"APP_UNINSTALLED", "INVENTORY_LEVELS_UPDATE"}

    play(database, story)


def test_a_shop_whose_turn_failed_has_it_again_at_once_and_else_hourly(database) -> None:
    async def story(service: Service) -> None:
        await start(service, ACROSS)
        passes = upkeep(service)
        service.shop.subscriptions.clear()
        service.shop.faults.next("webhookSubscriptions", Fault.INTERNAL_ERROR, count=3)
        await passes.repair_subscriptions()
        assert await subscribed(service) == set()
        await passes.repair_subscriptions()
        assert await subscribed(service) == {"APP_UNINSTALLED", "INVENTORY_LEVELS_UPDATE"}
        service.requests.clear()
        await passes.repair_subscriptions()
        assert service.requests == []
        await service.move(3600)
        await passes.repair_subscriptions()
        assert service.requests != []

    play(database, story)


def test_a_shop_that_a_person_stops_is_neither_paused_nor_resumed_over_that(database) -> None:
    async def story(service: Service) -> None:
        await start(service, ACROSS)
        await pause_shop(service.deps, service.shop_id, reason="its token is refused")

        async def stop(_point: str) -> None:
            async with service.database.connection() as conn:
                await shops.set_status(conn, service.shop_id, "stopped", reason="ann paused it.")

        service.seam = stop
        await upkeep(service).look_at_paused()
        assert (await stored(service)).status == "stopped"
        await pause_shop(service.deps, service.shop_id, reason="its token is refused")
        assert (await stored(service)).status_reason == "ann paused it."

    play(database, story)


def test_an_http_address_is_refused_for_a_shop_elsewhere(database) -> None:
    async def story(service: Service) -> None:
        await start(service, ACROSS)
        with pytest.raises(StockwrightError, match="https addresses only"):
            await subscribe(service.deps, await stored(service), public_url="http://stock.example.com")

    play(database, story)


def test_without_a_public_address_the_one_of_before_is_used(database) -> None:
    async def story(service: Service) -> None:
        await start(service, ACROSS)
        rows = await subscribe(service.deps, await stored(service), public_url=None)
        assert {row.uri for row in rows} == {f"{PUBLIC_URL}/webhooks/shopify"}

    play(database, story)


def test_an_address_that_was_never_known_is_asked_for() -> None:
    assert public_url_of([]) is None
    assert public_url_of(["pubsub://project:topic"]) is None
    assert public_url_of([f"{PUBLIC_URL}/webhooks/shopify"]) == PUBLIC_URL


def test_a_removed_shop_leaves_no_subscription_and_no_stock(database) -> None:
    async def story(service: Service) -> None:
        await start(service, ACROSS)
        problem = await remove_shop(service.deps, await stored(service), public_url=PUBLIC_URL)
        assert problem == ""
        assert service.shop.subscriptions.by_gid == {}
        async with service.database.connection() as conn:
            assert await shops.get(conn, service.shop_id) is None
            assert (await pools.counts(conn, service.shop_id)).pools == 0

    play(database, story)


def test_a_shop_that_cannot_be_reached_is_removed_all_the_same(database) -> None:
    async def story(service: Service) -> None:
        await start(service, ACROSS)
        service.shop.tokens.revoke_all()
        problem = await remove_shop(service.deps, await stored(service), public_url=PUBLIC_URL)
        assert "refused the access token" in problem
        async with service.database.connection() as conn:
            assert await shops.get(conn, service.shop_id) is None

    play(database, story)


# --- one key, as the composition root takes it ----------------------------------------------------------------


async def key_of(service: Service, product_id: str) -> Key:
    async with service.database.connection() as conn:
        row = (await automations.list_all(conn, service.shop_id))[0]
    return Key(shop_id=service.shop_id, automation_id=row.automation_id, subject=product_id)


def test_a_key_is_taken_through_stale_answers_to_the_end(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        poster.sell("A")
        await service.shop.settle_webhooks()
        service.shop.faults.next("inventoryAdjustQuantities", Fault.STALE, count=2)
        await app.handle_key(service.deps, await key_of(service, poster.gid))
        assert poster.levels() == [9, 9, 9]
        assert len(service.writes) == 3

    play(database, story)


def test_a_shut_out_key_pauses_its_shop_instead_of_failing(database) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        poster.sell("A")
        await service.shop.settle_webhooks()
        service.shop.tokens.revoke_all()
        await app.handle_key(service.deps, await key_of(service, poster.gid))
        assert (await stored(service)).status == "paused"
        service.shop.tokens.restore()
        await upkeep(service).look_at_paused()
        await service.settle()
        assert poster.levels() == [9, 9, 9]

    play(database, story)
