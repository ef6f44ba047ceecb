"""What `shop check` and `doctor` say of scopes and webhooks, against the bundled shop."""

from stockwright.checking import Verdict, check_shop, scopes_finding
from stockwright.store import shops
from tests.journey.service import PUBLIC_URL, Service, play

STOCK = ("write_inventory", "read_locations", "read_products", "read_orders")
KIND = "publish-back-in-stock"


async def findings(service: Service, public_url: str | None = PUBLIC_URL):
    async with service.database.connection() as conn:
        shop = await shops.get(conn, service.shop_id)
    assert shop is not None
    return {one.about: one for one in await check_shop(service.deps, shop, public_url=public_url)}


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


def test_notifications_without_an_address_to_link_to_are_a_finding_with_what_is_lost(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        assert "links in mails" not in await findings(service, None), "nobody is told of restocks here"
        row = await service.add("notify-back-in-stock", double_opt_in=True)
        found = (await findings(service, None))["links in mails"]
        assert found.verdict is Verdict.WARN
        assert found.found.startswith("Nobody can sign up")
        assert "Set STOCKWRIGHT_PUBLIC_URL" in found.advice
        assert (await findings(service))["links in mails"].verdict is Verdict.OK
        async with service.database.connection() as conn:
            await conn.execute(
                "update automations set options = '{}' where automation_id = %s", (row.automation_id,)
            )
        found = (await findings(service, None))["links in mails"]
        assert (found.verdict, "Nobody is told of a restock" in found.found) == (Verdict.WARN, True)

    play(database, story)
