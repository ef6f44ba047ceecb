"""A shop's mail from the queue to the sink: outcomes, retries, stops, holding, pace, and death at every point."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from mail_sink import Fault
from stockwright.attempt_book import Ready
from stockwright.mail.outcome import Failure, NotSent, Stage
from stockwright.mail.verdict import GIVE_UP_AFTER, RETRY_AFTER_MIN, judge, retry_pause
from stockwright.mail_desk import change_settings, queue_status, resume, send_test
from stockwright.model import StockwrightError
from stockwright.sending import send_claimed, wake_queues
from stockwright.store import mail_settings, messages, shops
from stockwright.store.mail_settings import Queue
from tests.mail_service import Killed, MailService, Seams, play
from tests.store.rows import NOON, add_shop, jobs, rows, until

HOUR = timedelta(hours=1)


async def the_shop(service: MailService):
    async with service.connections.connection() as conn:
        shop = await shops.get(conn, service.shop_id)
    assert shop is not None
    return shop


async def stops_noted(service: MailService) -> list[str]:
    async with service.connections.connection() as conn:
        found = await conn.execute("select user_name from audit_log where action = 'mail.stop'")
        return [row[0] for row in await found.fetchall()]


async def queue(service: MailService):
    async with service.connections.connection() as conn:
        return await mail_settings.queue(conn, service.shop_id)


async def next_job(service: MailService):
    async with service.connections.connection() as conn:
        [(_, state, at)] = await jobs(conn)
    assert state == "todo"
    return at


# --- the way of a message ------------------------------------------------------------------------------------


def test_queued_messages_are_sent_once_over_one_connection(database: str) -> None:
    async def story(service: MailService) -> None:
        keys = [f"k{no}" for no in range(25)]
        await service.enqueue(*keys)
        deps = service.start()
        await service.run(deps)
        await service.run(deps)
        assert set(await service.states(*keys)) == {"sent"}
        assert [service.delivered(key) for key in keys] == [1] * 25
        assert service.sink.connections == 1
        row = await service.message("k3")
        assert row.smtp_reply.startswith("250") and row.attempts == 1 and row.sent_at is not None
        assert len({mail.message_id for mail in service.sink.mailbox.mails}) == 25

    play(database, story)


@pytest.mark.parametrize(
    ("fault", "state", "goes_on"),
    [
        (Fault(stage="RCPT", reply="550 5.1.1 no such user"), "failed", True),
        (Fault(stage="dot", reply="552 5.3.4 too large"), "failed", True),
        (Fault(stage="dot", reply="554 5.7.1 spam"), "failed", True),
        (Fault(stage="RCPT", reply="450 4.2.0 later"), "pending", True),
        (Fault(stage="dot", reply="451 4.7.1 greylisted"), "pending", True),
        (Fault(stage="MAIL", reply="421 4.3.2 closing", drop=True), "pending", False),
        (Fault(stage="greeting", drop=True), "pending", False),
        (Fault(stage="dot", drop=True), "unknown", False),
        (Fault(stage="dot", drop=True, keep=True), "unknown", False),
        (Fault(stage="MAIL", reply="535 5.7.8 sign in"), "pending", False),
    ],
    ids=lambda one: f"{one.stage} {one.reply or 'drop'}" if isinstance(one, Fault) else str(one),
)
def test_an_outcome_decides_about_the_message_and_the_others(
    database: str, fault: Fault, state: str, goes_on: bool
) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("first", "second")
        service.sink.faults.add(fault)
        await service.run()
        assert await service.states("first", "second") == [state, "sent" if goes_on else "pending"]
        assert service.delivered("first") == int(fault.keep)
        stored = (await service.message("first")).smtp_reply
        assert state == "unknown" or fault.drop or stored in ("", fault.reply)

    play(database, story)


def test_a_temporary_refusal_is_tried_again_after_1_5_15_30_60_minutes_and_given_up_after_a_day(
    database: str,
) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("k")
        service.sink.faults.add(Fault(stage="RCPT", reply="450 4.2.0 later", count=1000))
        pauses = []
        for _ in range(100):
            before = service.now
            await service.run()
            row = await service.message("k")
            if row.next_at is None:
                break
            assert await next_job(service) == row.next_at
            pauses.append((row.next_at - before).total_seconds() / 60)
            service.move(row.next_at - service.now)
        assert [round(pause, 1) >= least for pause, least in zip(pauses, RETRY_AFTER_MIN, strict=False)] == [
            True
        ] * 5
        assert [pause < least * 1.2 + 0.1 for pause, least in zip(pauses, RETRY_AFTER_MIN, strict=False)] == [
            True
        ] * 5
        assert max(pauses) < 73 and 22 <= len(pauses) <= 29
        assert (row.state, row.reason) == ("failed", "Given up after 24 hours of trying.")
        assert GIVE_UP_AFTER <= service.now - NOON < GIVE_UP_AFTER + 2 * HOUR
        assert service.delivered("k") == 0

    play(database, story)


def test_a_server_that_is_away_pauses_the_queue_and_burns_one_message_s_attempt(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a", "b", "c")
        service.sink.faults.add(Fault(stage="greeting", drop=True, count=2))
        await service.run()
        assert [(await service.message(key)).attempts for key in "abc"] == [1, 0, 0]
        paused = await queue(service)
        assert paused.paused_until is not None and paused.pauses == 1
        assert await next_job(service) == paused.paused_until
        await service.run()
        assert service.sink.connections == 1, "a pause is kept"
        service.move(timedelta(minutes=2))
        await service.run()
        assert (await queue(service)).pauses == 2
        service.move(timedelta(minutes=7))
        await service.run()
        assert await service.states("a", "b", "c") == ["sent"] * 3
        assert (await queue(service)).pauses == 0

    play(database, story)


def test_settings_that_do_not_work_stop_the_queue_until_they_change(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a", "b")
        service.set_account(username="stock", password="wrong")
        await service.run()
        stopped = await queue(service)
        assert stopped.stopped_at is not None and "535" in stopped.stop_reason
        assert await stops_noted(service) == ["the mail queue"]
        assert [(one.state, one.attempts) for one in (await service.message("a"), await service.message("b"))] == [("pending", 0)] * 2  # fmt: skip
        tried = service.sink.connections
        await service.run()
        assert service.sink.connections == tried, "stopped is stopped"
        assert (
            await queue_status(service.start(), await the_shop(service))
        ).queue.stop_reason == stopped.stop_reason
        service.set_account(username="stock", password="hunter2")
        await service.run()
        assert await service.states("a", "b") == ["sent", "sent"]
        assert (await queue(service)).stopped_at is None

    play(database, story, users={"stock": "hunter2"})


def test_stopped_settings_are_tried_every_hour_without_a_message(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a")
        service.set_account(username="stock", password="hunter2")
        service.sink.users["stock"] = "changed"
        await service.run()
        assert await next_job(service) == (await queue(service)).look_at
        service.move(HOUR + timedelta(seconds=1))
        await service.run()
        assert (await queue(service)).stopped_at is not None and service.sink.handed_over == 0
        service.sink.users["stock"] = "hunter2"
        service.move(HOUR + timedelta(seconds=1))
        await service.run()
        assert await service.states("a") == ["sent"]

    play(database, story, users={"stock": "hunter2"})


def test_a_person_can_let_a_stopped_queue_go_on(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a")
        service.sink.faults.add(Fault(stage="MAIL", reply="530 5.7.0 no"))
        await service.run()
        assert await service.states("a") == ["pending"]
        await resume(service.start(), await the_shop(service))
        await service.run()
        assert await service.states("a") == ["sent"]

    play(database, story)


def test_five_refusals_by_policy_in_a_row_stop_the_queue(database: str) -> None:
    async def story(service: MailService) -> None:
        keys = [f"k{no}" for no in range(9)]
        await service.enqueue(*keys)
        service.sink.faults.add(
            Fault(stage="dot", reply="554 5.7.1 spam", recipient="k0@example.com"),
            *(
                Fault(stage="dot", reply="554 5.7.1 spam", recipient=f"k{no}@example.com")
                for no in range(2, 9)
            ),
        )
        await service.run()
        assert await service.states(*keys) == ["failed", "sent", *["failed"] * 5, "pending", "pending"]
        assert "5 messages in a row" in (await queue(service)).stop_reason

    play(database, story)


def test_without_a_mail_server_messages_are_held_and_sent_when_there_is_one(database: str) -> None:
    async def story(service: MailService) -> None:
        account, service.account = service.account, None
        await service.enqueue("a", "b")
        await service.run()
        assert await service.states("a", "b") == ["held", "held"]
        held = await service.message("a")
        assert "No mail server is set" in held.reason and (held.attempts, held.next_at) == (0, None)
        service.move(timedelta(days=40))
        service.account = account
        deps = service.start()
        async with service.connections.connection() as conn:
            await conn.execute("delete from procrastinate_jobs")
        await wake_queues(deps)
        assert await next_job(service) is None
        await service.run(deps)
        assert await service.states("a", "b") == ["sent", "sent"]

    play(database, story)


def test_mail_of_an_uninstalled_shop_is_cancelled(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a")
        async with service.connections.connection() as conn:
            await shops.set_status(conn, service.shop_id, "uninstalled", reason="gone")
        await service.run()
        assert await service.states("a") == ["cancelled"]
        assert service.sink.connections == 0

    play(database, story)


def test_what_nobody_knows_is_sent_again_by_a_person_only_with_the_same_message_id(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a")
        service.sink.faults.add(Fault(stage="dot", drop=True, keep=True))
        await service.run()
        for _ in range(30):
            service.move(HOUR)
            await service.run()
        row = await service.message("a")
        assert (row.state, row.attempts) == ("unknown", 1) and "perhaps it was delivered" in row.reason
        async with service.connections.connection() as conn:
            assert await messages.send_again(conn, service.shop_id, row.message_id)
        await service.run()
        assert await service.states("a") == ["sent"]
        first, second = service.sink.mailbox.mails
        assert first.message_id == second.message_id

    play(database, story)


def test_a_message_that_was_stored_wrongly_fails_and_does_not_hold_the_others_up(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a", "b")
        async with service.connections.connection() as conn:
            await conn.execute("update messages set subject = E'x\\nBcc: eve@example.com' where key = 'a'")
        await service.run()
        assert await service.states("a", "b") == ["failed", "sent"]

    play(database, story)


# --- death at every point ------------------------------------------------------------------------------------


def test_a_process_may_die_between_any_two_steps_and_nothing_is_sent_twice(database: str) -> None:
    """Each point at which the database is used is a last one once; `unknown` is the only doubt there is."""

    async def story(service: MailService) -> None:
        deaths, unknown, die_at = 0, 0, 0
        while True:
            keys = [f"d{die_at}-{no}" for no in range(3)]
            await service.enqueue(*keys)
            seams = Seams(die_at)
            died = False
            try:
                await service.run(service.start(seams))
            except Killed:
                died = True
            deaths += died
            for _ in range(3):
                service.move(timedelta(minutes=10))
                await service.run()
            states = await service.states(*keys)
            assert set(states) <= {"sent", "unknown"}, (die_at, states)
            for key, state in zip(keys, states, strict=True):
                assert service.delivered(key) == 1 or state == "unknown", (die_at, key, state)
                assert service.delivered(key) <= 1, (die_at, key)
            assert states.count("unknown") <= 1
            unknown += states.count("unknown")
            if not died:
                break
            die_at += 1
        assert deaths == die_at > 15
        assert 0 < unknown < deaths / 2, "a death while a message is on its way leaves a doubt, no other does"

    play(database, story)


def test_a_process_that_hangs_and_wakes_up_late_sends_nothing_twice(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a")
        deps = service.start()
        async with service.connections.connection() as conn:
            [slow] = await messages.claim(conn, service.shop_id, limit=1, lease_s=60)
        service.move(timedelta(minutes=5))
        await service.run()
        assert await service.states("a") == ["sent"]
        async with service.connections.connection() as conn:
            assert not await messages.begin(conn, slow, server="s:25", lease_s=60, at=service.now)
        assert service.delivered("a") == 1
        await deps.mailing.senders.close()

    play(database, story)


def test_a_run_that_is_cancelled_amid_the_last_answer_leaves_a_doubt_and_drops_the_connection(
    database: str,
) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a", "b")
        service.sink.faults.add(Fault(stage="dot", slow_s=30, keep=True))
        running = asyncio.create_task(service.run())

        async def is_handed_over() -> bool:
            return service.sink.handed_over > 0

        await until(is_handed_over)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await service.states("a", "b") == ["sending", "pending"]
        service.move(timedelta(minutes=10))
        await service.run()
        assert await service.states("a", "b") == ["unknown", "sent"]

    play(database, story)


# --- settings of a shop --------------------------------------------------------------------------------------


def test_a_shop_may_have_a_server_of_its_own_with_a_sealed_password(database: str) -> None:
    async def story(service: MailService) -> None:
        service.account = None
        shop = await the_shop(service)
        given = {
            "host": "127.0.0.1",
            "port": service.sink.port,
            "security": "none",
            "username": "stock",
            "from_address": "Own@EXAMPLE.com",
            "from_name": "Prints & Co",
            "reply_to": "desk@example.com",
        }
        await change_settings(service.start(), shop, given, password="hunter2")
        async with service.connections.connection() as conn:
            assert (
                await mail_settings.get(conn, shop.shop_id)
            ).password == b"hunter2"  # this test seals nothing
        await service.enqueue("a")
        await service.run()
        [mail] = service.sink.mailbox.mails
        assert (mail.sender, mail.user) == ("Own@example.com", "stock")
        assert mail.message["From"].addresses[0].display_name == "Prints & Co"
        assert str(mail.message["Reply-To"]) == "desk@example.com"
        await change_settings(service.start(), shop, {"host": ""})
        async with service.connections.connection() as conn:
            kept = await mail_settings.get(conn, shop.shop_id)
        assert (kept.password, kept.username, kept.port, kept.from_address) == (
            None,
            "",
            None,
            "Own@example.com",
        )
        await service.enqueue("b")
        await service.run()
        assert await service.states("b") == ["held"]

    play(database, story, users={"stock": "hunter2"})


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "mail.example.com"},
        {"host": "mail.example.com", "from_address": "a@example.com", "security": "none"},
        {"host": "mail.example.com", "from_address": "a@example.com", "security": "ssl"},
        {"host": "mail.example.com", "from_address": "a@example.com\nBcc: b@example.com"},
        {"host": "mail.example.com", "from_address": "a@example.com", "port": 99999},
        {"host": "mail.example.com", "from_address": "a@example.com", "from_name": "a\r\nb"},
        {"owner_email": "nobody"},
        {"username": "somebody"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_and_nothing_changes(database: str, changes: dict) -> None:
    async def story(service: MailService) -> None:
        shop = await the_shop(service)
        with pytest.raises(StockwrightError):
            await change_settings(service.start(), shop, changes)
        async with service.connections.connection() as conn:
            assert await rows(conn, "select count(*) from mail_settings") == [(0,)]

    play(database, story)


def test_a_test_mail_shows_the_conversation_without_the_password_and_is_kept(database: str) -> None:
    async def story(service: MailService) -> None:
        service.set_account(username="stock", password="hunter2")
        shop = await the_shop(service)
        result = await send_test(service.start(), shop, to="ann@example.com")
        assert result.sent and "hunter2" not in " ".join(result.conversation)
        assert (
            "C: AUTH stock ********" in result.conversation
            and "C: RCPT TO:<ann@example.com>" in result.conversation
        )
        [mail] = service.sink.mailbox.mails
        assert mail.subject == "Mail from one.myshopify.com works" and "127.0.0.1" in mail.text
        async with service.connections.connection() as conn:
            [row] = await messages.list_messages(conn)
        assert (row.kind, row.state) == ("test_mail", "sent")

    play(database, story, users={"stock": "hunter2"})


def test_a_test_mail_that_fails_says_why_and_is_not_tried_again(database: str) -> None:
    async def story(service: MailService) -> None:
        shop = await the_shop(service)
        service.sink.faults.add(Fault(stage="RCPT", reply="450 4.2.0 later"))
        result = await send_test(service.start(), shop, to="ann@example.com")
        assert not result.sent and result.told == "Not sent (temporary): 450 4.2.0 later"
        for _ in range(3):
            service.move(HOUR)
            await service.run()
        assert not service.sink.mailbox.mails
        with pytest.raises(StockwrightError, match="not a mail address"):
            await send_test(service.start(), shop, to="nobody")
        service.account = None
        with pytest.raises(StockwrightError, match="No mail server"):
            await send_test(service.start(), shop, to="ann@example.com")

    play(database, story)


def test_a_test_mail_that_gets_through_lets_a_stopped_queue_go_on(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("a")
        service.sink.faults.add(Fault(stage="MAIL", reply="535 5.7.8 no"))
        await service.run()
        assert (await queue(service)).stopped_at is not None
        assert (await send_test(service.start(), await the_shop(service), to="ann@example.com")).sent
        await service.run()
        assert await service.states("a") == ["sent"]

    play(database, story)


# --- pace ----------------------------------------------------------------------------------------------------


def test_two_shops_that_share_a_server_keep_its_rate_together(database: str) -> None:
    async def story(service: MailService) -> None:
        service.set_account(rate_per_minute=120)
        async with service.connections.connection() as conn:
            other = await add_shop(conn, "two.myshopify.com")
        for shop_id in (service.shop_id, other):
            await service.enqueue(*(f"k{no}" for no in range(20)), shop_id=shop_id)
        began = service.now
        for shop_id in (service.shop_id, other):
            await service.run(shop_id=shop_id)
        assert len(service.sink.mailbox.mails) == 40
        elapsed_s = (service.now - began).total_seconds()
        assert 39 * 0.5 - 1 <= elapsed_s <= 39 * 0.5 + 2, elapsed_s

    play(database, story)


def test_a_queue_that_must_wait_long_for_its_turn_makes_room_for_others(database: str) -> None:
    async def story(service: MailService) -> None:
        service.set_account(rate_per_minute=2)
        await service.enqueue("a", "b")
        await service.run()
        assert await service.states("a", "b") == ["sent", "pending"]
        due = await next_job(service)
        assert due is not None and timedelta(seconds=29) < due - service.now <= timedelta(seconds=30)
        service.move(due - service.now)
        await service.run()
        assert await service.states("a", "b") == ["sent", "sent"]

    play(database, story)


def test_the_pause_grows_and_varies() -> None:
    assert [retry_pause(no, spread=0) for no in range(7)] == [timedelta(minutes=one) for one in (1, 5, 15, 30, 60, 60, 60)]  # fmt: skip
    assert retry_pause(0, spread=1) == timedelta(minutes=1.2)


@pytest.mark.parametrize("failure", list(Failure))
def test_every_class_of_failure_has_a_verdict(failure: Failure) -> None:
    outcome = NotSent(failure=failure, stage=Stage.RECIPIENT, reply="words")
    verdict = judge(outcome, attempts=0, tried_since=None, now=NOON, spread=0)
    later = failure in (Failure.TRANSPORT, Failure.TEMPORARY, Failure.CONFIGURATION)
    assert (verdict.state, verdict.outcome, verdict.reply) == (
        "pending" if later else "failed",
        failure.value,
        "words",
    )


# --- failed runs ---------------------------------------------------------------------------------------------


def test_a_message_that_must_not_be_sent_fails_also_when_nothing_else_is_written(database: str) -> None:
    async def story(service: MailService) -> None:
        await service.enqueue("bad")
        deps = service.start()
        async with service.connections.connection() as conn:
            [claimed] = await messages.claim(conn, service.shop_id, limit=1, lease_s=60)
        assert service.account is not None
        ready = Ready(account=service.account, pace=0, queue=Queue())
        async with deps.mailing.senders.lend(service.account) as sender:
            broken = replace(claimed, recipient="a@b@c")
            assert isinstance(await send_claimed(deps, sender, ready, broken), NotSent)
        assert (await service.message("bad")).state == "failed"

    play(database, story)
