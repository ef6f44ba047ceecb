"""Two transactions at once: an address is suppressed while it is taken out of the line, or while its mail begins."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from stockwright.model import ShopId
from stockwright.store import alert_mail, bounces, messages, signups, suppressions, waves
from tests.store.rows import NOON, add_shop, connect, rows
from tests.store.test_people_store import add_person

ADDRESS = b"hash of an address"
WAVE = "wav_1"


async def waits(conn, shop_id: ShopId, **columns: Any) -> str:
    """A person of the address in line."""
    return await add_person(conn, shop_id, 1, address_hash=ADDRESS, **columns)


async def queued(conn, shop_id: ShopId) -> messages.Claimed:
    """The same with a message that a sender has taken."""
    await wave(conn, shop_id)
    person = await waits(conn, shop_id)
    await waves.claim_people(conn, shop_id, WAVE, {person: "msg_1"}, detail="", at=NOON)
    await conn.execute(
        "insert into messages (shop_id, message_id, key, kind, recipient, subject, text, html, next_at)"
        " values (%s, 'msg_1', 'k', 'back_in_stock', 'ann1@example.com', 's', 't', 'h', now())",
        (shop_id,),
    )
    (claimed,) = await messages.claim(conn, shop_id, limit=1, lease_s=60)
    return claimed


async def wave(conn, shop_id: ShopId) -> None:
    await conn.execute(
        "insert into waves (shop_id, wave_id, product_id, state, reason, settle_until, opened_at)"
        " values (%s, %s, 'gid://shopify/Product/1', 'sending', '', now(), now())",
        (shop_id, WAVE),
    )


async def unsubscribe(conn, shop_id: ShopId) -> None:
    """As the page does, without the end of the transaction."""
    await suppressions.hold(conn, [ADDRESS])
    await suppressions.unsubscribe(conn, shop_id, ADDRESS, at=NOON)
    await signups.unsubscribe_all(conn, shop_id, ADDRESS, subscriber_id="", reason="Enough.", at=NOON)


async def bounce(conn, shop_id: ShopId) -> None:
    """As a report of a dead mailbox does, without the end of the transaction."""
    await suppressions.hold(conn, [ADDRESS])
    await bounces.suppress(conn, shop_id, ADDRESS, "bounced", detail="", at=NOON)
    await bounces.end_waiting(conn, shop_id, ADDRESS, "suppressed", reason="Dead.", at=NOON)


async def begins(conn, shop_id: ShopId, claimed: messages.Claimed) -> bool:
    """Whether an attempt would begin, and its beginning, without the end of the transaction."""
    await alert_mail.hold(conn, shop_id, [claimed.message_id])
    (row,) = await alert_mail.alerts_of(conn, shop_id, [claimed.message_id])
    if row.state != "queued" or row.is_suppressed:
        return False
    return bool(await messages.begin_all(conn, [claimed], server="mx", lease_s=60, at=NOON))


async def waiting_for_the_other(observer, work: Awaitable[Any]) -> asyncio.Task[Any]:
    """Something that starts now, once the other transaction holds it up."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(10):
        while not await rows(observer, "select from pg_stat_activity where wait_event_type = 'Lock'"):
            assert not task.done(), "it waits for nobody"
            await asyncio.sleep(0.005)
    return task


def test_an_attempt_that_meets_an_end_of_waiting_does_not_begin(database: str) -> None:
    async def story(end) -> None:
        async with (
            await connect(database) as conn,
            await connect(database) as one,
            await connect(database) as two,
        ):
            shop_id = await add_shop(conn, f"{end.__name__}.myshopify.com")
            claimed = await queued(conn, shop_id)
            async with two.transaction():
                async with one.transaction():
                    await end(one, shop_id)
                    beginning = await waiting_for_the_other(conn, begins(two, shop_id, claimed))
                assert await beginning is False

    for end in (unsubscribe, bounce):
        asyncio.run(story(end))


def test_an_end_of_waiting_that_meets_an_attempt_comes_after_it(database: str) -> None:
    async def story(end) -> None:
        async with (
            await connect(database) as conn,
            await connect(database) as one,
            await connect(database) as two,
        ):
            shop_id = await add_shop(conn, f"{end.__name__}.myshopify.com")
            claimed = await queued(conn, shop_id)
            async with two.transaction():
                async with one.transaction():
                    assert await begins(one, shop_id, claimed)
                    ending = await waiting_for_the_other(conn, end(two, shop_id))
                    assert (
                        await rows(conn, "select * from suppressions where shop_id = " + str(shop_id)) == []
                    )
                await ending
            found = await rows(conn, f"select state from subscribers where shop_id = {shop_id}")
            assert found == [("unsubscribed" if end is unsubscribe else "suppressed",)]

    for end in (unsubscribe, bounce):
        asyncio.run(story(end))


def test_nobody_is_taken_out_of_the_line_who_leaves_it_at_that_moment(database: str) -> None:
    async def story(end) -> None:
        async with (
            await connect(database) as conn,
            await connect(database) as one,
            await connect(database) as two,
        ):
            shop_id = await add_shop(conn, f"{end.__name__}.myshopify.com")
            await wave(conn, shop_id)
            person = await waits(conn, shop_id)
            async with two.transaction():
                async with one.transaction():
                    await end(one, shop_id)
                    claim = waves.claim_people(two, shop_id, WAVE, {person: "msg_1"}, detail="", at=NOON)
                    claiming = await waiting_for_the_other(conn, claim)
                assert await claiming == set()

    for end in (unsubscribe, bounce):
        asyncio.run(story(end))


def test_who_decides_about_one_address_waits_for_whoever_does_so_already(database: str) -> None:
    async def story() -> None:
        async with (
            await connect(database) as conn,
            await connect(database) as one,
            await connect(database) as two,
            two.transaction(),
        ):
            async with one.transaction():
                await suppressions.hold(one, [ADDRESS, b"another hash"])
                await suppressions.hold(conn, [b"a third hash"])  # a stranger does not wait
                holding = await waiting_for_the_other(conn, suppressions.hold(two, [ADDRESS]))
            await holding

    asyncio.run(story())
