"""Failed runs: the event for automations, and one mail per cause and hour for the owner."""

from dataclasses import replace

import pytest

from shopify_emulator import Fault
from stockwright.deps import refresh_shop
from stockwright.mailing import Mailing
from stockwright.reporting import cause_key, cause_of
from stockwright.store import mail_settings, messages
from stockwright.store.mail_settings import MailSettingsRow
from tests.journey.listings import add_listing
from tests.journey.service import Service, play
from tests.journey.test_shared_stock import WITHIN

OWNER = "owner@example.com"


async def fail(service: Service, poster) -> None:
    """Let a run fail whose location has another name by now."""
    poster.sell("A")
    await service.settle()


async def with_a_renamed_location(service: Service, *posters: str):
    """A sync that names a location which has another name since, and products of it."""
    service.deps = replace(
        service.deps, mailing=Mailing(owner_email=OWNER, public_url="https://stock.example.com")
    )
    toronto = service.shop.add_location("Toronto")
    made = [add_listing(service.shop, title) for title in posters or ("Poster",)]
    await service.add(WITHIN[0], location_names=["Toronto"])
    service.shop.rename_location(toronto, "Toronto West")
    await refresh_shop(service.deps, service.shop_id)
    return made


async def mails(service: Service):
    async with service.database.connection() as conn:
        found = await messages.list_messages(conn, shop_id=service.shop_id, kind="error_report")
        return [await messages.get(conn, one.message_id) for one in reversed(found)]


def test_the_owner_gets_one_mail_per_cause_and_hour(emptied: str) -> None:
    async def story(service: Service) -> None:
        first, second = await with_a_renamed_location(service, "Harbour", "Tower")
        for poster in (first, second, first):
            await fail(service, poster)
        [mail] = await mails(service)
        assert (mail.recipient, mail.state) == (OWNER, "held")
        assert "failed: " in mail.subject and "no location named" in mail.subject
        assert "Toronto West" in mail.text and "https://stock.example.com/runs/run_" in mail.text
        assert "the first time in 24 hours" in mail.text
        await service.wait(3600)
        await fail(service, second)
        _, later = await mails(service)
        assert "4 times in the last 24 hours" in later.text

    play(emptied, story)


def test_another_cause_is_another_mail(emptied: str) -> None:
    async def story(service: Service) -> None:
        service.deps = replace(service.deps, mailing=Mailing(owner_email=OWNER))
        toronto = service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        await service.add(WITHIN[0], location_names=["Toronto"])
        service.shop.faults.next("product", Fault.INTERNAL_ERROR, count=3)
        await fail(service, poster)
        service.shop.rename_location(toronto, "Toronto West")
        await refresh_shop(service.deps, service.shop_id)
        await service.wait(60)
        unread, renamed = await mails(service)
        assert "could not be read" in unread.text and "no location named" in renamed.text
        assert unread.key != renamed.key

    play(emptied, story)


def test_a_shop_may_name_an_owner_of_its_own(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_a_renamed_location(service)
        async with service.database.connection() as conn:
            row = MailSettingsRow(owner_email="shop@example.com")
            await mail_settings.save(conn, service.shop_id, row, service.clock.now())
        await fail(service, poster)
        assert [mail.recipient for mail in await mails(service)] == ["shop@example.com"]

    play(emptied, story)


def test_without_an_owner_nobody_is_written_to(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_a_renamed_location(service)
        service.deps = replace(service.deps, mailing=Mailing())
        await fail(service, poster)
        assert await mails(service) == []

    play(emptied, story)


def test_an_owner_s_address_that_cannot_be_used_does_not_stop_the_run(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_a_renamed_location(service)
        service.deps = replace(service.deps, mailing=Mailing(owner_email="no address"))
        await fail(service, poster)
        assert await mails(service) == [] and not service.errors

    play(emptied, story)


def test_every_failed_run_is_an_event_that_automations_may_listen_to(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_a_renamed_location(service)
        await fail(service, poster)
        async with service.database.connection() as conn:
            cursor = await conn.execute(
                "select payload, source, automation_id from events where topic = 'mechanic/errors/task'"
            )
            [(payload, source, automation_id)] = await cursor.fetchall()
        assert "no location named 'Toronto'" in payload["message"]
        assert payload["task"]["kind"] == WITHIN[0] and payload["run"]["id"].startswith("run_")
        assert payload["event"]["topic"] == "shopify/inventory_levels/update"
        assert (source, automation_id) == ("automation", None)

    play(emptied, story)


def test_a_run_that_answers_an_error_event_and_fails_emits_none(emptied: str) -> None:
    """Two automations that listen to errors would keep each other busy for ever."""

    async def story(service: Service) -> None:
        (poster,) = await with_a_renamed_location(service)
        async with service.database.connection() as conn:
            await conn.execute(
                "insert into subscriptions (shop_id, topic, automation_id) "
                "select shop_id, 'mechanic/errors/task', automation_id from automations"
            )
        await fail(service, poster)
        async with service.database.connection() as conn:
            cursor = await conn.execute("select count(*) from events where topic = 'mechanic/errors/task'")
            assert await cursor.fetchone() == (1,)
            cursor = await conn.execute("select count(*) from runs where state = 'failed'")
            assert await cursor.fetchone() == (2,)

    play(emptied, story)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Product 12 was not read", "Product 99 was not read", True),
        (
            "No level of gid://shopify/InventoryItem/1 here",
            "No level of gid://shopify/InventoryItem/2 here",
            True,
        ),
        ('The product "Tower" differs', 'The product "Harbour at dawn" differs', True),
        ("run_01k9q2zt7m4h8x2c6v0b failed", "run_01k9q2zt7m4h8x2c6v0c failed", True),
        ("No location is named so", "No channel is named so", False),
    ],
)
def test_a_cause_is_the_same_whatever_it_names(one: str, other: str, same: bool) -> None:
    assert (cause_key({"message": one}) == cause_key({"message": other})) is same
    assert cause_key({"message": one, "code": "a"}) != cause_key({"message": one, "code": "b"})


def test_an_error_without_a_message_has_a_cause_all_the_same() -> None:
    assert cause_of({}) == "The run failed without saying why."
    assert cause_of({"message": "a\n b"}) == "a b"
