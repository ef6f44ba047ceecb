"""Failed runs: the event for automations, and one mail per cause and hour for the owner."""

from dataclasses import replace

import pytest

from shopify_emulator import Fault, ManualClock
from stockwright.deps import refresh_shop
from stockwright.mailing import Mailing
from stockwright.reporting import cause_key, cause_of
from stockwright.store import mail_settings, messages, runs, shops
from stockwright.store.mail_settings import MailSettingsRow
from stockwright.store.runs import RunRow
from tests.journey.listings import Listing, add_listing
from tests.journey.service import Service, new_shop, play
from tests.journey.test_shared_stock import WITHIN
from tests.journey.test_shared_stock_faults import ADJUST, WITHOUT_ORDERS

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


# --- alarms of shared stocks --------------------------------------------------------------------------------


async def told(service: Service) -> list[str]:
    return [mail.text for mail in await mails(service)]


async def failed_runs(service: Service) -> list[RunRow]:
    async with service.database.connection() as conn:
        found = await runs.list_runs(conn, shop_id=service.shop_id, state="failed")
        return list(reversed(found))


async def with_an_owner(service: Service, *titles: str) -> list[Listing]:
    service.deps = replace(service.deps, mailing=Mailing(owner_email=OWNER))
    service.shop.add_location("Toronto")
    made = [add_listing(service.shop, title) for title in titles or ("Poster",)]
    await service.add(WITHIN[0])
    return made


def test_a_stock_that_freezes_at_an_answer_fails_its_run_and_the_owner_is_told_once_for_each(
    emptied: str,
) -> None:
    async def story(service: Service) -> None:
        first, second = await with_an_owner(service, "Harbour", "Tower")
        service.shop.faults.next(ADJUST, Fault.KEY_MISMATCH, count=2)
        for poster in (first, second):
            poster.sell("A")
            await service.settle()
        texts = await told(service)
        assert ["Harbour" in texts[0], "Tower" in texts[1]] == [True, True] and len(texts) == 2
        assert all("is frozen" in text and "stock resolve pool_" in text for text in texts)
        assert [one.error["code"] for one in await failed_runs(service)] == ["frozen_key_mismatch"] * 2
        first.sell("B")
        await service.wait(7200)
        assert len(await told(service)) == 2, "a stock that stays frozen is not told of again"

    play(emptied, story)


def test_a_stock_that_freezes_when_it_is_read_fails_its_run_and_the_owner_is_told(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_an_owner(service)
        async with service.database.connection() as conn:
            await shops.set_settings(conn, service.shop_id, plan="premium", on_unknown="certain")
        service.shop.faults.next(ADJUST, Fault.SERVER_ERROR_AFTER)
        poster.sell("A")
        await service.wait(400)
        [text] = await told(service)
        assert "is frozen" in text and "If it was applied" in text
        [run] = await failed_runs(service)
        assert run.error["code"] == "frozen_outcome_unknown"

    play(emptied, story, shop=new_shop(ManualClock(), scopes=WITHOUT_ORDERS))


def test_many_stocks_that_freeze_at_once_are_not_as_many_mails(emptied: str) -> None:
    async def story(service: Service) -> None:
        posters = await with_an_owner(service, *(f"Poster {number}" for number in range(24)))
        service.shop.faults.next(ADJUST, Fault.KEY_MISMATCH, count=24)
        for poster in posters:
            poster.sell("A")
        await service.wait(60)
        assert len(await failed_runs(service)) == 24
        assert len(await told(service)) == 21

    play(emptied, story)


def test_five_corrections_in_a_row_that_find_a_level_moved_are_told(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_an_owner(service)
        service.shop.faults.next(ADJUST, Fault.STALE, count=4)
        poster.sell("A")
        await service.wait(60)
        assert await told(service) == []
        service.shop.faults.next(ADJUST, Fault.STALE, count=8)
        poster.sell("A")
        await service.wait(300)
        assert poster.levels() == [8, 8, 8]
        [text] = await told(service)
        assert "5 times in a row a level had moved" in text

    play(emptied, story)


def test_a_correction_without_the_scope_for_it_is_told(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_an_owner(service)
        service.shop.tokens.scopes -= {"write_inventory"}
        poster.sell("A")
        await service.wait(600)
        texts = await told(service)
        assert len(texts) == 1 and "was not made" in texts[0] and "write_inventory" in texts[0]
        assert {one.error["code"] for one in await failed_runs(service)} == {"access_denied"}

    play(emptied, story)


# --- runs that end in an error ------------------------------------------------------------------------------


async def break_automations(service: Service) -> None:
    """Options that this version cannot read, as after a downgrade."""
    async with service.database.connection() as conn:
        await conn.execute("update automations set options = '{\"no such option\": 1}'")


def test_a_run_that_ends_in_an_error_is_a_failed_run_and_told_from_the_third_in_a_row(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_an_owner(service)
        await break_automations(service)
        poster.sell("A")
        await service.settle()
        [run] = await failed_runs(service)
        assert "no such option" in run.error["message"] and run.subject == poster.gid
        assert await told(service) == []
        await service.wait(60)
        assert len(await failed_runs(service)) == 3
        assert len(await told(service)) == 1

    play(emptied, story)


def test_work_that_is_given_up_is_a_failed_run_that_has_its_events(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_an_owner(service)
        await break_automations(service)
        poster.sell("A")
        await service.wait(4 * 3600)
        newest = (await failed_runs(service))[-1]
        assert "Given up after 12 failures in a row" in newest.error["message"]
        async with service.database.connection() as conn:
            events = await runs.events(conn, service.shop_id, newest.run_id)
        assert [event.topic for event in events] == ["shopify/inventory_levels/update"]

    play(emptied, story)


def test_points_that_are_short_are_told_from_the_third_failure_in_a_row(emptied: str) -> None:
    async def story(service: Service) -> None:
        (poster,) = await with_an_owner(service)
        service.shop.faults.next("product", Fault.THROTTLED, count=6)
        poster.sell("A")
        await service.wait(60)
        assert len(await failed_runs(service)) == 2 and await told(service) == []
        service.shop.faults.next("product", Fault.THROTTLED, count=9)
        poster.sell("A")
        await service.wait(300)
        assert len(await told(service)) == 1
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def test_an_unknown_item_that_cannot_be_looked_up_leaves_a_failed_run(emptied: str) -> None:
    async def story(service: Service) -> None:
        await with_an_owner(service)
        service.shop.faults.next("inventoryItem", Fault.INTERNAL_ERROR, count=3)
        late = add_listing(service.shop, "Late")
        late.sell("A")
        await service.settle()
        assert [one.error["code"] for one in await failed_runs(service)] == ["unavailable"]
        await service.wait(60)
        assert len({*late.levels()}) == 1

    play(emptied, story)
