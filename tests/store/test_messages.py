"""Messages as they are stored: once per key, lent with a fence, the outcome of a lost sender kept as unknown."""

import asyncio
from datetime import timedelta

from stockwright.model import ShopId
from stockwright.store import mail_settings, messages, templates
from stockwright.store.mail_settings import MailSettingsRow, Queue
from stockwright.store.messages import Claimed, NewMessage
from stockwright.store.templates import TemplateRow
from tests.store.rows import NOON, add_shop, jobs, open_pool, rows


def new(key: str = "k", **changes) -> NewMessage:
    given = {
        "kind": "test_mail",
        "to": "ann@example.com",
        "subject": "Hello",
        "text": "Hi.",
        "headers": {"X-A": "b"},
    }
    return NewMessage(key=key, **(given | changes))


def play(dsn: str, story, size: int = 6) -> None:
    async def whole() -> None:
        async with open_pool(dsn, size) as opened:
            async with opened.connection() as conn:
                shop_id = await add_shop(conn)
            await story(opened, shop_id)

    asyncio.run(whole())


async def claimed(conn, shop_id: ShopId, lease_s: float = 60) -> Claimed:
    [one] = await messages.claim(conn, shop_id, limit=1, lease_s=lease_s)
    return one


async def state(conn, key: str = "k") -> str:
    return (await rows(conn, f"select state from messages where key = '{key}'"))[0][0]


async def finish(conn, one: Claimed, state: str, *, begun: bool) -> bool:
    return await messages.finish(
        conn, one, begun=begun, server="s:25", state=state, outcome=state, reason="", reply="250 ok", next_at=None, at=NOON
    )  # fmt: skip


def test_of_fifty_parallel_enqueues_of_one_key_exactly_one_is_stored(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async def one() -> bool:
            async with pool.connection() as conn, conn.transaction():
                return await messages.enqueue(conn, shop_id, new(), NOON)

        answers = await asyncio.gather(*(one() for _ in range(50)))
        assert sorted(answers) == [False] * 49 + [True]
        async with pool.connection() as conn:
            assert await rows(conn, "select count(*) from messages") == [(1,)]
            assert len(await jobs(conn)) == 1

    play(database, story, size=20)


def test_a_message_exists_exactly_when_its_transaction_is_committed(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        class Undo(Exception):
            pass

        async with pool.connection() as conn:
            try:
                async with conn.transaction():
                    assert await messages.enqueue(conn, shop_id, new(), NOON)
                    raise Undo
            except Undo:
                pass
            assert await rows(conn, "select count(*) from messages") == [(0,)]
            assert await jobs(conn) == []
            assert await messages.enqueue(conn, shop_id, new(), NOON)

    play(database, story)


def test_two_shops_may_use_the_same_key(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            other = await add_shop(conn, "two.myshopify.com")
            assert await messages.enqueue(conn, shop_id, new(), NOON)
            assert await messages.enqueue(conn, other, new(), NOON)

    play(database, story)


def test_a_message_is_lent_to_one_sender_at_a_time(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            for no in range(30):
                await messages.enqueue(conn, shop_id, new(f"k{no}"), NOON)

        async def take() -> list[str]:
            async with pool.connection() as conn:
                return [one.key for one in await messages.claim(conn, shop_id, limit=5, lease_s=60)]

        taken = [key for part in await asyncio.gather(*(take() for _ in range(10))) for key in part]
        assert len(taken) == len(set(taken)) == 30

    play(database, story, size=10)


def test_only_the_newest_fence_may_begin_and_finish(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            await messages.enqueue(conn, shop_id, new(), NOON)
            old = await claimed(conn, shop_id, lease_s=-1)
            fresh = await claimed(conn, shop_id)
            assert fresh.fence == old.fence + 1
            assert not await messages.begin(conn, old, server="s:25", lease_s=60, at=NOON)
            assert await messages.begin(conn, fresh, server="s:25", lease_s=60, at=NOON)
            assert not await messages.begin(conn, fresh, server="s:25", lease_s=60, at=NOON)
            assert not await finish(conn, old, "failed", begun=False)
            assert await state(conn) == "sending"
            assert await finish(conn, fresh, "sent", begun=True)
            assert await state(conn) == "sent"
            assert [(one.attempt, one.outcome) for one in await messages.attempts(conn, shop_id, fresh.message_id)] == [(1, "sent")]  # fmt: skip

    play(database, story)


def test_a_sender_that_died_amid_sending_leaves_an_unknown_message_that_waits_for_a_person(
    database: str,
) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            await messages.enqueue(conn, shop_id, new(), NOON)
            one = await claimed(conn, shop_id)
            await messages.begin(conn, one, server="s:25", lease_s=60, at=NOON)
            assert await messages.lose(conn, shop_id, reason="r", at=NOON) == []
            await conn.execute("update messages set lease_until = now() - interval '1 second'")
            assert await messages.lose(conn, shop_id, reason="r", at=NOON) == [one.message_id]
            assert await state(conn) == "unknown"
            assert await messages.claim(conn, shop_id, limit=9, lease_s=60) == []
            assert await messages.next_time(conn, shop_id) is None
            assert await messages.send_again(conn, shop_id, one.message_id)
            again = await claimed(conn, shop_id)
            assert (again.message_id, again.fence, again.attempts) == (one.message_id, one.fence + 1, 1)

    play(database, story)


def test_an_answer_that_comes_late_still_counts_unless_somebody_tries_again(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            for key in ("k", "m"):
                await messages.enqueue(conn, shop_id, new(key), NOON)
            first, second = await messages.claim(conn, shop_id, limit=2, lease_s=60)
            for one in (first, second):
                await messages.begin(conn, one, server="s:25", lease_s=-1, at=NOON)
            await messages.lose(conn, shop_id, reason="r", at=NOON)
            assert await finish(conn, first, "sent", begun=True)
            assert await state(conn, first.key) == "sent"
            assert not await messages.send_again(conn, shop_id, first.message_id)
            await messages.send_again(conn, shop_id, second.message_id)
            again = await claimed(conn, shop_id)
            await messages.begin(conn, again, server="s:25", lease_s=60, at=NOON)
            assert not await finish(conn, second, "sent", begun=True)
            assert await state(conn, second.key) == "sending"
            told = await messages.attempts(conn, shop_id, second.message_id)
            assert [one.outcome for one in told] == ["sent", "started"]

    play(database, story)


def test_what_is_lent_or_sent_can_be_neither_cancelled_nor_sent_again(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            await messages.enqueue(conn, shop_id, new(), NOON)
            one = await claimed(conn, shop_id)
            assert not await messages.cancel(conn, shop_id, one.message_id, reason="r")
            assert not await messages.send_again(conn, shop_id, one.message_id)
            await messages.release(conn, [one])
            assert await messages.cancel(conn, shop_id, one.message_id, reason="r")
            assert await messages.send_again(conn, shop_id, one.message_id)
            one = await claimed(conn, shop_id)
            await messages.begin(conn, one, server="s:25", lease_s=60, at=NOON)
            await finish(conn, one, "sent", begun=True)
            assert not await messages.cancel(conn, shop_id, one.message_id, reason="r")

    play(database, story)


def test_an_older_claim_cannot_give_a_newer_one_back(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            await messages.enqueue(conn, shop_id, new(), NOON)
            old = await claimed(conn, shop_id, lease_s=-1)
            await claimed(conn, shop_id)
            await messages.release(conn, [old])
            assert await messages.claim(conn, shop_id, limit=1, lease_s=60) == []

    play(database, story)


def test_lists_are_newest_first_and_filtered(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            for no in range(5):
                at = NOON + timedelta(seconds=no)
                await messages.enqueue(conn, shop_id, new(f"k{no}", to=f"a{no}@example.com"), at)
            found = await messages.list_messages(conn, shop_id=shop_id, limit=3)
            assert [one.key for one in found] == ["k4", "k3", "k2"]
            rest = await messages.list_messages(conn, before=found[-1].message_id)
            assert [one.key for one in rest] == ["k1", "k0"]
            assert [one.key for one in await messages.list_messages(conn, recipient="A1@example.com")] == [
                "k1"
            ]
            assert await messages.list_messages(conn, state="sent") == []
            assert await messages.counts(conn, shop_id) == {"pending": 5}
            whole = await messages.get(conn, found[0].message_id)
            assert whole is not None and (whole.text, whole.headers) == ("Hi.", {"X-A": "b"})

    play(database, story)


def test_old_messages_go_except_those_that_wait(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            for key in ("k", "m"):
                await messages.enqueue(conn, shop_id, new(key), NOON)
            one = await claimed(conn, shop_id)
            await messages.begin(conn, one, server="s:25", lease_s=60, at=NOON)
            await finish(conn, one, "sent", begun=True)
            later = NOON + timedelta(days=400)
            assert await messages.delete_old(conn, before=NOON, limit=10) == 0
            assert await messages.delete_old(conn, before=later, limit=10) == 1
            assert [row[0] for row in await rows(conn, "select state from messages")] == ["pending"]
            assert await rows(conn, "select count(*) from message_attempts") == [(0,)]

    play(database, story)


def test_messages_go_with_their_shop(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            await messages.enqueue(conn, shop_id, new(), NOON)
            await mail_settings.save(conn, shop_id, MailSettingsRow(host="h"), NOON)
            await conn.execute("delete from shops")
            assert await rows(conn, "select (select count(*) from messages) + (select count(*) from mail_settings)") == [(0,)]  # fmt: skip

    play(database, story)


def test_the_pace_holds_over_all_who_draw_from_it(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async def take() -> float:
            async with pool.connection() as conn:
                return (await mail_settings.take_turns(conn, shop_id, rate_per_minute=6, want=1))[1]

        waits = await asyncio.gather(*(take() for _ in range(30)))
        assert sorted(waits)[0] == 0.0 and sorted(waits)[1] > 0
        assert max(waits) <= 11.0, "one turn was taken: each waits for the next, none for those of the others"

    play(database, story, size=10)


def test_several_turns_are_taken_at_once_within_the_pace(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            granted, wait_s = await mail_settings.take_turns(conn, shop_id, rate_per_minute=60, want=5)
            assert (granted, wait_s) == (1, 0.0)
            await conn.execute("update mail_paces set free_at = now() - interval '1 hour'")
            granted, _ = await mail_settings.take_turns(conn, shop_id, rate_per_minute=600, want=100)
            assert granted == 11  # the burst of one second, and the one that is due
            granted, wait_s = await mail_settings.take_turns(conn, shop_id, rate_per_minute=600, want=100)
            assert granted == 0 and 0 < wait_s <= 0.1

    play(database, story)


def test_settings_and_the_state_of_a_queue_are_kept(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            assert await mail_settings.get(conn, shop_id) == MailSettingsRow()
            assert await mail_settings.queue(conn, shop_id) == Queue()
            row = MailSettingsRow(
                host="h", port=25, security="none", password=b"x", owner_email="a@b.example"
            )
            await mail_settings.save(conn, shop_id, row, NOON)
            found = await mail_settings.get(conn, shop_id)
            assert (found.host, found.port, found.password, found.updated_at) == ("h", 25, b"x", NOON)
            assert "password" not in repr(found)
            later = NOON + timedelta(hours=1)
            for _ in range(2):
                await mail_settings.pause(conn, shop_id, until=later, reason="away")
            assert (await mail_settings.queue(conn, shop_id)).pauses == 2
            await mail_settings.stop(conn, shop_id, reason="r", account="a", at=NOON, look_at=later)
            await mail_settings.stop(conn, shop_id, reason="r2", account="a", at=later, look_at=later)
            queue = await mail_settings.queue(conn, shop_id)
            assert (queue.stopped_at, queue.stop_reason, queue.paused_until) == (NOON, "r2", None)
            await mail_settings.clear(conn, shop_id)
            assert await mail_settings.queue(conn, shop_id) == Queue()

    play(database, story)


def test_a_shops_own_texts_are_found_by_the_best_locale_and_restored(database: str) -> None:
    async def story(pool, shop_id: ShopId) -> None:
        async with pool.connection() as conn:
            for locale in ("fr", "en"):
                row = TemplateRow(
                    kind="test_mail", locale=locale, subject=locale, text="t", html="h", updated_at=NOON
                )
                await templates.save(conn, shop_id, row)
            found = await templates.get(conn, shop_id, "test_mail", locales=("fr-CA", "fr", "en"))
            assert found is not None and found.locale == "fr"
            assert len(await templates.list_own(conn, shop_id)) == 2
            assert await templates.restore(conn, shop_id, "test_mail", locale="fr")
            assert not await templates.restore(conn, shop_id, "test_mail", locale="fr")
            found = await templates.get(conn, shop_id, "test_mail", locales=("fr-CA", "fr", "en"))
            assert found is not None and found.locale == "en"
            assert await templates.get(conn, shop_id, "error_report", locales=("en",)) is None

    play(database, story)
