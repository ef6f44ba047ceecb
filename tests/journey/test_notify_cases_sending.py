"""Restock and sending: the cases 17 to 30 of the checklist, by number, through the whole service."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from mail_sink.faults import Fault
from stockwright.notifying import hand_out
from stockwright.store.waves import hand_out_key
from tests.journey.alerts import Alerts, play
from tests.mail_service import Killed

ANN, BOB, CAT = "ann@example.com", "bob@example.com", "cat@example.com"


def people(count: int) -> list[str]:
    return [f"p{no:04d}@example.com" for no in range(count)]


def test_case_17_only_crossing_the_threshold_upward_tells(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(quantity=5)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=4)
        assert it.told == []
        await it.restock(poster, A=5)
        assert it.told == [ANN]
        await it.restock(poster, A=7)
        it.shop.set_tags(poster.gid, ["new"])  # a save without a change of stock
        await it.service.settle()
        await it.wait(3600)
        assert it.told == [ANN]
        assert (await it.people())[ANN].status == "Sent"

    play(emptied, story)


@pytest.mark.parametrize("counts", [False, True])
def test_case_18_a_variant_that_sells_on_is_in_stock_only_if_so_set(emptied: str, counts: bool) -> None:
    async def story(it: Alerts) -> None:
        await it.install(continue_selling_counts=counts)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        it.shop.set_policy(poster.variants[0].gid, "CONTINUE")
        await it.service.settle()
        assert it.told == ([ANN] if counts else [])

    play(emptied, story)


def test_case_19_a_variant_serves_those_who_wait_for_it_and_no_sibling(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out(variants=("A", "B"))
        await it.wait_for(poster, ANN, title="A")
        await it.wait_for(poster, BOB, title="B")
        await it.restock(poster, B=3)
        assert it.told == [BOB]
        assert await it.states() == {ANN: "pending", BOB: "sent"}
        await it.restock(poster, A=1)
        assert it.told == [BOB, ANN]

    play(emptied, story)


def test_case_20_the_sum_over_the_chosen_locations_decides(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        for name in ("North", "South", "Attic"):
            it.shop.add_location(name)
        north, south, attic = (one.gid for one in it.shop.locations())
        await it.install(quantity=4, location_names=["North", "South"])
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        for place, level in ((attic, 50), (north, 3)):
            it.stock(poster, at=place, A=level)
            await it.service.settle()
            assert it.told == []
        it.stock(poster, at=south, A=1)
        await it.service.settle()
        assert it.told == [ANN]
        await it.wait_for(poster, ANN)
        it.stock(poster, at=attic, A=60)
        await it.service.settle()
        assert it.told == [ANN]

    play(emptied, story)


def test_case_21_what_is_hidden_at_the_moment_of_sending_is_not_told_and_they_wait_on(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out()
        [ann] = await it.wait_for(poster, ANN)
        await it.restock(poster, A=2)
        it.shop.set_status(poster.gid, "DRAFT")
        await it.wait(120)
        assert it.told == [] and (await it.states())[ANN] == "pending"
        assert (await it.waves())[0] == ("held", "The product is not published.")
        it.shop.set_status(poster.gid, "ACTIVE")
        await it.service.settle()
        assert it.told == [ANN]
        assert [what for what, _ in await it.steps(ann)] == ["queued", "sent"]

    play(emptied, story)


def test_case_21_stock_that_is_gone_when_the_mail_would_go_is_found_right_before(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        [ann] = await it.wait_for(poster, ANN)
        it.sink.faults.add(Fault(stage="RCPT", reply="451 4.7.1 later"))
        await it.restock(poster, A=2)
        assert it.told == [] and (await it.states())[ANN] == "queued"
        it.lose_webhooks()
        it.stock(poster, A=0)
        await it.wait(120)
        assert it.told == []
        person = (await it.people())[ANN]
        assert person.state == "pending"
        assert person.reason == "Not enough in stock any more: 0 available, 1 needed."
        assert [what for what, _ in await it.steps(ann)] == ["queued", "held"]
        assert await it.rows("select state from messages") == [("cancelled",)]
        it.shop.faults.clear()
        await it.restock(poster, A=1)
        assert it.told == [ANN]

    play(emptied, story)


@pytest.mark.parametrize(
    "state", ["unconfirmed", "cancelled", "unsubscribed", "sent", "suppressed", "expired"]
)
def test_case_22_only_those_who_wait_are_mailed(emptied: str, state: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN, state=state)
        await it.wait_for(poster, BOB)
        await it.restock(poster, A=9)
        assert it.told == [BOB]
        assert (await it.states())[ANN] == state

    play(emptied, story)


def test_case_22_who_unsubscribes_while_the_mail_waits_is_not_mailed(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        it.sink.faults.add(Fault(stage="RCPT", reply="451 4.7.1 later"))
        await it.restock(poster, A=2)
        await it.execute("update subscribers set state = 'unsubscribed', unsubscribed_at = now()")
        await it.wait(120)
        assert it.told == [] and (await it.states())[ANN] == "unsubscribed"
        reason = "The person does not wait any more."
        assert await it.rows("select state, reason from messages") == [("cancelled", reason)]

    play(emptied, story)


def test_case_22_a_suppressed_address_is_not_mailed_and_opens_no_wave(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.execute(
            "insert into suppressions (shop_id, address_hash, reason, at)"
            " select shop_id, address_hash, 'bounced', now() from subscribers"
        )
        await it.restock(poster, A=2)
        assert it.told == [] and await it.waves() == []

    play(emptied, story)


def test_case_23_batches_of_fifty_until_one_is_not_full(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, *people(120))
        await it.restock(poster, A=3)
        assert sorted(it.told) == people(120)
        assert await it.rows("select fence, state from waves") == [(3, "done")]  # 50, 50, 20
        assert it.sink.connections < 10

    play(emptied, story)


def test_case_23_a_process_may_die_between_any_two_steps_and_each_is_mailed_once(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(cool_down_minutes=0)
        poster = it.sell_out(variants=("A", "B"))
        deaths, doubts, die_at = 0, 0, 0
        while True:
            emails = [f"d{die_at}-{no}@example.com" for no in range(3)]
            await it.wait_for(poster, *emails)
            await it.wait_for(poster, emails[0], title="B")
            it.stock(poster, A=0, B=0)
            await it.service.settle()
            passed = 0

            async def seam(_point: str, die_at: int = die_at) -> None:
                nonlocal passed
                passed += 1
                if passed > die_at:
                    raise Killed

            it.service.seam, died = seam, False
            try:
                await it.restock(poster, A=1, B=1)
            except Killed:
                died = True
            deaths += died
            it.service.seam = _no_seam
            await it.service.restart()
            for _ in range(4):
                await it.wait(900)
            found = await it.states()
            for email in emails:
                assert found[email] in ("sent", "unknown"), (die_at, email, found[email])
                assert it.times()[email] == 1 or found[email] == "unknown", (die_at, email)
                assert it.times()[email] <= 1, (die_at, email)
            doubts += sum(found[email] == "unknown" for email in emails)
            if not died:
                break
            die_at += 1
        assert deaths > 20 and 0 < doubts < deaths / 3

    play(emptied, story)


async def _no_seam(_point: str) -> None:
    """Nothing happens."""


def test_case_24_a_second_start_does_nothing(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out()
        await it.wait_for(poster, *people(70))
        await it.restock(poster, A=2)
        await it.service.move(61)
        key = hand_out_key(it.service.shop_id, poster.gid)
        await asyncio.gather(*(hand_out(it.service.deps, key) for _ in range(4)))
        await it.service.settle()
        assert sorted(it.told) == people(70)

    play(emptied, story)


@pytest.mark.parametrize(("after_s", "told"), [(3599, 1), (3601, 2)])
def test_case_25_nobody_is_mailed_again_within_an_hour(emptied: str, after_s: int, told: int) -> None:
    async def story(it: Alerts) -> None:
        await it.install(cool_down_minutes=60)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=1)
        assert it.told == [ANN]
        sent_at = (await it.people())[ANN].notified_at
        assert sent_at is not None
        await it.restock(poster, A=0)
        await it.wait_for(poster, ANN)
        left_s = (sent_at + timedelta(seconds=after_s) - it.service.clock.now()).total_seconds()
        await it.service.move(left_s - 1)
        await it.restock(poster, A=1)
        await it.service.wait((sent_at + timedelta(seconds=after_s) - it.service.clock.now()).total_seconds())
        assert it.times()[ANN] == told
        await it.wait(120)
        assert it.times()[ANN] == 2  # she was not forgotten either

    play(emptied, story)


def test_case_26_so_many_per_unit_and_interval_in_order_until_it_is_sold_out(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(policy="per_unit", people_per_unit=1.5, interval_minutes=60)
        poster = it.sell_out()
        line = people(60)
        await it.wait_for(poster, *line)
        await it.restock(poster, A=10)
        assert sorted(it.told) == line[:15]
        await it.wait(3000)
        assert len(it.told) == 15
        assert (await it.waves())[0][0] == "resting"
        it.stock(poster, A=4)
        await it.wait(700)
        assert sorted(it.told) == line[:21]
        it.stock(poster, A=0)
        await it.wait(7200)
        assert sorted(it.told) == line[:21]
        assert (await it.waves())[0][0] == "done"
        assert set((await it.states()).values()) == {"sent", "pending"}
        await it.restock(poster, A=1)
        assert sorted(it.told) == line[:22]

    play(emptied, story)


def test_case_26_rate_1_with_80_units_and_1000_waiting_tells_80_and_of_40_left_40_more_until_it_is_sold_out(
    emptied: str,
) -> None:
    async def story(it: Alerts) -> None:
        await it.install(policy="per_unit", people_per_unit=1, interval_minutes=60)
        poster = it.sell_out()
        line = people(1000)
        await it.wait_for(poster, *line)
        await it.restock(poster, A=80)
        assert sorted(it.told) == line[:80]
        it.stock(poster, A=40)
        await it.wait(3500)
        assert len(it.told) == 80
        await it.wait(200)  # the hour is over
        assert sorted(it.told) == line[:120]
        it.stock(poster, A=0)
        await it.wait(7200)
        assert sorted(it.told) == line[:120]
        assert (await it.waves())[0][0] == "done"
        assert Counter((await it.states()).values()) == {"sent": 120, "pending": 880}

    play(emptied, story)


def test_case_26_rate_1_with_more_units_than_people_goes_on_until_the_list_is_empty(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(policy="per_unit", people_per_unit=1, interval_minutes=60)
        poster = it.sell_out()
        line = people(100)
        await it.wait_for(poster, *line)
        await it.restock(poster, A=80)
        assert sorted(it.told) == line[:80]
        it.stock(poster, A=40)
        await it.wait(3700)
        assert sorted(it.told) == line
        assert (await it.waves())[0][0] == "done"

    play(emptied, story)


def test_case_26_who_came_last_comes_first_if_so_set(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(policy="per_unit", people_per_unit=1, order="newest")
        poster = it.sell_out()
        line = people(6)
        await it.wait_for(poster, *line)
        await it.restock(poster, A=2)
        assert sorted(it.told) == line[4:]

    play(emptied, story)


def test_case_26_who_wants_more_than_there_is_waits_on(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN, quantity=5)
        await it.wait_for(poster, BOB, quantity=1)
        await it.restock(poster, A=3)
        assert it.told == [BOB]
        await it.restock(poster, A=5)
        assert it.told == [BOB, ANN]

    play(emptied, story)


def test_case_27_temporary_refusals_are_tried_again_and_no_such_recipient_fails(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out(variants=("A", "B"))
        ids = await it.wait_for(poster, ANN, BOB)
        await it.wait_for(poster, BOB, title="B")
        it.sink.faults.add(Fault(stage="RCPT", recipient=ANN, reply="450 4.2.1 mailbox is busy", count=2))
        it.sink.faults.add(Fault(stage="RCPT", recipient=BOB, reply="550 5.1.1 no such user"))
        await it.restock(poster, A=2)
        states = await it.rows("select state from subscribers order by subscriber_id")
        assert states == [("queued",), ("failed",), ("suppressed",)]
        await it.wait(60 * 30)
        assert it.told == [ANN]
        assert (await it.people())[ANN].status == "Sent"
        assert await it.rows("select reason from suppressions") == [("refused",)]
        assert ("failed", "The recipient was refused. Check the address.") in await it.steps(ids[1])

    play(emptied, story)


def test_case_27_a_sign_in_that_fails_stops_the_queue_and_fails_nobody(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, *people(3))
        it.sink.faults.add(Fault(stage="MAIL", reply="530 5.7.0 sign in first", count=2))
        await it.restock(poster, A=2)
        assert it.told == [] and set((await it.states()).values()) == {"queued"}
        assert await it.rows("select stop_reason from mail_queues") == [("530 5.7.0 sign in first",)]
        await it.wait(7300)
        assert sorted(it.told) == people(3)

    play(emptied, story)


def test_case_28_the_mail_names_variant_and_options_and_its_link_selects_it(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out("Harbour <at> dawn", variants=("A", "B"))
        await it.wait_for(poster, ANN, title="B", first_name="Änn & Co")
        await it.restock(poster, B=2)
        [mail] = it.mails
        number = poster.variants[1].number
        link = f"/products/{poster.handle}?variant={number}"
        assert mail.subject == "Harbour <at> dawn is back in stock"
        assert "Hello Änn & Co, what you waited for" in mail.text
        assert "* Harbour <at> dawn (Size: B), 25.00 CAD" in mail.text and link in mail.text
        assert "Harbour &lt;at&gt; dawn" in mail.html and link in mail.html
        for part in (mail.text, mail.html):
            assert "undefined" not in part and "None" not in part and "Default Title" not in part
        assert "<img" not in mail.html
        headers = dict(mail.message.items())
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert headers["List-Unsubscribe"].startswith("<https://stock.example.com/u/")
        assert headers["List-Unsubscribe"][1:-1] in mail.text

    play(emptied, story)


def test_case_28_the_only_variant_of_a_product_has_no_name(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        cup = it.sell_out(
            "Cup", variants=("Default Title",), option_names=["Title"], image_url="https://cdn.example/c.png"
        )
        await it.wait_for(cup, ANN, title="Default Title")
        it.stock(cup, **{"Default Title": 2})
        await it.service.settle()
        [mail] = it.mails
        assert "Default" not in mail.text + mail.html and "* Cup, 25.00 CAD" in mail.text
        assert 'src="https://cdn.example/c.png"' in mail.html and 'alt="Cup"' in mail.html

    play(emptied, story)


def test_case_29_back_to_nothing_within_the_settle_time_tells_nobody(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=5)
        await it.wait(30)
        await it.restock(poster, A=0)
        await it.wait(600)
        assert it.told == [] and (await it.states())[ANN] == "pending"
        [(state, reason)] = await it.waves()
        assert state == "dropped" and "sold out again within the settle time" in reason
        await it.restock(poster, A=1)
        await it.wait(61)
        assert it.told == [ANN]

    play(emptied, story)


def test_case_30_told_once_and_done_until_asked_again(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(cool_down_minutes=0)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        for level in (3, 0, 4, 0, 5):
            await it.restock(poster, A=level)
            await it.wait(60)
        assert it.told == [ANN]
        await it.restock(poster, A=0)
        await it.wait_for(poster, ANN, cycle=2)
        await it.restock(poster, A=1)
        assert it.told == [ANN, ANN]

    play(emptied, story)


def test_case_31_a_deleted_variant_or_product_ends_the_waiting_without_mail(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out(variants=("A", "B"))
        await it.wait_for(poster, ANN, title="A")
        await it.wait_for(poster, BOB, title="B")
        await it.restock(poster, A=1, B=1)
        it.shop.remove_variant(poster.variants[1].gid)
        await it.service.settle()
        found = await it.people()
        assert (found[BOB].state, found[BOB].reason) == ("cancelled", "The variant was deleted.")
        it.shop.remove_product(poster.gid)
        await it.service.settle()
        found = await it.people()
        assert (found[ANN].state, found[ANN].reason) == ("cancelled", "The product was deleted.")
        await it.wait(3600)
        assert it.told == [] and (await it.waves())[0][0] == "dropped"

    play(emptied, story)
