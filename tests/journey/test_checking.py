"""What `shop check` and `doctor` say of scopes and webhooks, against the bundled shop."""

from stockwright.checking import Verdict, check_shop, scopes_finding
from stockwright.store import shops
from tests.journey.service import PUBLIC_URL, Service, play

STOCK = ("write_inventory", "read_locations", "read_products", "read_orders")
KIND = "publish-back-in-stock"


async def findings(service: Service):
    async with service.database.connection() as conn:
        shop = await shops.get(conn, service.shop_id)
    assert shop is not None
    return {one.about: one for one in await check_shop(service.deps, shop, public_url=PUBLIC_URL)}


def test_scopes_for_publishing_are_missing_only_where_something_publishes() -> None:
    warned = scopes_finding(STOCK, ["sync-across-variants"])
    assert warned.verdict is Verdict.WARN
    assert "read_publications, write_publications not granted" in warned.found
    failed = scopes_finding(STOCK, [KIND])
    assert failed.verdict is Verdict.FAIL
    assert f"write_publications (for {KIND})" in failed.found
    assert scopes_finding((*STOCK, "write_publications"), [KIND]).verdict is Verdict.OK
    assert scopes_finding(STOCK[1:], ()).verdict is Verdict.FAIL


def test_a_publishing_automation_whose_scope_was_taken_away_fails_the_check(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        await service.add(KIND, sales_channel_names=["Online Store"])
        assert (await findings(service))["scopes"].verdict is Verdict.OK
        tokens = service.shop.api.tokens
        tokens.scopes = tokens.scopes - {"write_publications", "read_publications"}
        assert "missing: read_publications" in (await findings(service))["scopes"].found

    play(database, story)


def test_a_topic_that_an_automation_listens_to_and_the_shop_does_not_send_fails_the_check(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        await service.add(KIND, sales_channel_names=["Online Store"])
        assert (await findings(service))["webhooks"].verdict is Verdict.OK
        client = await service.deps.clients.for_shop(service.shop_id)
        for one in await client.webhook_subscriptions():
            if one.topic == "INVENTORY_LEVELS_UPDATE":
                await client.delete_webhook_subscription(one.id)
        found = (await findings(service))["webhooks"]
        assert (found.verdict, "inventory_levels/update" in found.found) == (Verdict.FAIL, True)

    play(database, story)
