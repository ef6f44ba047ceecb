"""What is asked about events that have arrived."""

import asyncio
from datetime import timedelta

from stockwright.model import PRODUCT_CHECK, AutomationId, EventId, Source, gid
from stockwright.store import arrivals, inbox
from stockwright.store.ids import earliest_id, new_id
from tests.store.rows import LEVELS, NOON, add_automation, add_shop, event, open_pool

AUT = AutomationId("aut_1")


def test_what_a_run_woke_is_told_from_all_else_that_waits_for_the_automation(database) -> None:
    asyncio.run(_tell_apart(database))


async def _tell_apart(database: str) -> None:
    async with open_pool(database) as pool, pool.connection() as conn:
        shop_id = await add_shop(conn)
        await add_automation(conn, shop_id, AUT, LEVELS)
        asked = EventId(new_id("evt", NOON))

        def sent(second: float, **more):
            id = EventId(new_id("evt", NOON + timedelta(seconds=second)))
            subject = gid("Product", int(second * 10))
            return event(shop_id, event_id=id, subject=subject, webhook_id=None, **more)

        def woken(second: float):
            return sent(second, topic=PRODUCT_CHECK, source=Source.SWEEP, automation_id=AUT)

        async def waiting() -> int:
            before = earliest_id("evt", NOON + timedelta(seconds=3))
            return await arrivals.woken_waiting(conn, shop_id, AUT, after=asked, before=before)

        await inbox.receive(conn, [sent(1), woken(-1), woken(4)])
        assert await waiting() == 0
        await inbox.receive(conn, [woken(1), woken(2)])
        assert await waiting() == 2
        await conn.execute("update work set done_at = now() where subject = %s", (gid("Product", 10),))
        assert await waiting() == 1
