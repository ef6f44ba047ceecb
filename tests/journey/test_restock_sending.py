"""Finding restocks whatever the webhooks do, holding back what must wait, and the race with auto-disable."""

import asyncio

import pytest

from mail_sink.faults import Fault
from shopify_emulator import Fault as ShopFault
from shopify_emulator import WebhookFault
from stockwright import installing, offer_desk
from stockwright.model import Conflicting
from stockwright.notify.offers import Mode, Terms, Verb
from stockwright.previewing import preview
from stockwright.store import messages, offers, runs
from tests.journey.alerts import KIND, Alerts, play

ANN, BOB = "ann@example.com", "bob@example.com"


def people(count: int) -> list[str]:
    return [f"p{no:04d}@example.com" for no in range(count)]


# --- finding it ---------------------------------------------------------------------------------------------------


def test_two_stock_edits_at_once_tell_each_of_thirty_people_once(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        north, south = it.shop.add_location("North"), it.shop.add_location("South")
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, *people(30))
        it.stock(poster, at=north, A=4)
        it.stock(poster, at=south, A=6)
        await it.service.settle()
        await it.wait(3600)
        assert sorted(it.told) == people(30)
        assert await it.rows("select count(*) from waves") == [(1,)]

    play(emptied, story)


@pytest.mark.parametrize(
    "fault", [WebhookFault.DUPLICATE, WebhookFault.NEW_ID, WebhookFault.DELAY, WebhookFault.REORDER]
)
def test_doubled_late_and_reordered_webhooks_change_nothing(emptied: str, fault: WebhookFault) -> None:
    async def story(it: Alerts) -> None:
        await it.install(cool_down_minutes=0)
        poster = it.sell_out()
        await it.wait_for(poster, *people(5))
        it.shop.faults.rates({fault: 1.0})
        for level in (3, 0, 2):
            it.stock(poster, A=level)
            await it.service.settle()
        await it.wait(7200)
        assert sorted(it.told) == people(5)

    play(emptied, story)


def test_a_lost_webhook_costs_ten_minutes(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        await it.service.fire_schedules()
        poster, other = it.sell_out(), it.sell_out("Nobody waits for it")
        await it.wait_for(poster, ANN)
        it.lose_webhooks()
        it.stock(poster, A=2)
        it.stock(other, A=2)
        it.service.requests.clear()
        await it.service.settle()
        assert it.told == []
        await it.wait(600)
        assert it.told == [ANN]
        reads = [one.variables["id"] for one in it.service.requests if one.operation == "ReadShownProduct"]
        assert reads and set(reads) == {poster.gid}

    play(emptied, story)


def test_a_routine_look_that_finds_nothing_new_leaves_no_run(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        for _ in range(3):
            await it.wait(600)

        async def looks() -> int:
            return int(
                (await it.rows("select count(*) from runs where subject = %(id)s", {"id": poster.gid}))[0][0]
            )

        before = await looks()
        it.service.requests.clear()
        for _ in range(6):
            await it.wait(600)
        assert await looks() == before == 1  # the first look took notes
        reads = [one for one in it.service.requests if one.operation == "ReadShownProduct"]
        assert len(reads) >= 5 and await it.rows("select count(*) from work where done_at is null") == [(0,)]

    play(emptied, story)


def test_the_run_button_looks_at_what_people_wait_for(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        it.lose_webhooks()
        it.stock(poster, A=2)
        await installing.trigger(it.service.deps, it.row)
        await it.service.settle()
        assert it.told == [ANN]
        async with it.service.database.connection() as conn:
            told = [run.because for run in await runs.list_runs(conn, shop_id=it.service.shop_id, limit=10)]
        assert any("looked at one by one: 1 product." in one for one in told)
        assert any("'Poster - A' (2 available) is back in stock: 1 person waits" in one for one in told)

    play(emptied, story)


def test_the_preview_shows_who_would_be_told_and_writes_nothing(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out(variants=("A", "B"))
        other = it.sell_out("Still sold out")
        it.sell_out("Nobody waits for it", levels=5)
        await it.wait_for(poster, ANN, BOB)
        await it.wait_for(other, ANN)
        it.lose_webhooks()
        it.stock(poster, A=3)
        found = {one.title: one async for one in preview(it.service.deps, it.row)}
        assert set(found) == {"Poster", "Still sold out"}
        assert found["Poster"].telling == ({"variant": "A", "available": 3, "people": 2},)
        assert (
            not found["Still sold out"].acts
            and "none of what they want is there" in found["Still sold out"].because
        )
        await it.service.settle()
        assert it.told == [] and await it.waves() == []

    play(emptied, story)


def test_nothing_is_read_of_a_product_that_nobody_waits_for(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.service.settle()
        it.service.requests.clear()
        await it.restock(poster, A=5)
        assert [one.operation for one in it.service.requests] == ["ProductOfItem"]  # whose item it is, once
        it.service.requests.clear()
        await it.restock(poster, A=6)
        assert it.service.requests == []

    play(emptied, story)


def test_variants_that_come_back_within_the_settle_time_are_told_of_in_one_mail(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out(variants=("A", "B", "C"))
        for title in "ABC":
            await it.wait_for(poster, ANN, title=title)
        await it.wait_for(poster, BOB, title="B")
        await it.restock(poster, A=1)
        await it.wait(40)
        await it.restock(poster, B=2)
        await it.wait(30)
        assert it.told == []  # B has to settle, too
        await it.wait(40)
        assert sorted(it.told) == [ANN, BOB]
        text = next(mail.text for mail in it.mails if mail.recipients[0] == ANN)
        assert "Size: A" in text and "Size: B" in text and "Size: C" not in text
        assert await it.rows("select state from subscribers order by subscriber_id") == [
            ("sent",), ("sent",), ("pending",), ("sent",)
        ]  # fmt: skip
        await it.restock(poster, C=1)
        await it.wait(61)
        assert sorted(it.told) == [ANN, ANN, BOB]

    play(emptied, story)


def test_a_variant_that_comes_back_while_a_wave_is_handed_out_joins_it(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(policy="per_unit", people_per_unit=1, interval_minutes=120)
        poster = it.sell_out(variants=("A", "B"))
        await it.wait_for(poster, *people(3), title="A")
        await it.wait_for(poster, people(1)[0], title="B")
        await it.restock(poster, A=1)
        assert it.told == people(1)
        await it.restock(poster, B=1)
        assert it.told == people(1) * 2  # she asked for both: two mails of one wave
        assert await it.rows("select count(*), count(distinct wave_id) from wave_variants") == [(2, 1)]
        assert await it.rows("select count(distinct key) from messages") == [(2,)]

    play(emptied, story)


def test_flapping_within_the_settle_time_cannot_put_a_wave_off_for_ever(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out(variants=("A", "B"))
        await it.wait_for(poster, ANN, title="A")
        await it.wait_for(poster, BOB, title="B")
        await it.restock(poster, A=1)
        for _ in range(8):
            await it.restock(poster, B=1)
            await it.wait(10)
            await it.restock(poster, B=0)
            await it.wait(10)
        assert it.told == [ANN]

    play(emptied, story)


# --- auto-disable --------------------------------------------------------------------------------------------------


def test_the_look_that_pauses_the_offer_tells_those_who_wait(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out(variants=("A", "B"))
        await it.service.settle()
        terms = Terms(name="Spring", mode=Mode.OUT_OF_STOCK, auto_disable=True)
        deps, shop_id = it.service.deps, it.service.shop_id
        row = await offer_desk.create(deps, shop_id, terms, items=[poster.gid])
        await offer_desk.do(deps, row, Verb.ACTIVATE)
        await installing.trigger(deps, it.row)  # the first look takes notes of what is sold out
        await it.service.settle()
        await it.wait_for(poster, ANN, offer_id=row.offer_id)
        await it.restock(poster, A=3, B=3)
        async with it.service.database.connection() as conn:
            found = await offers.get(conn, shop_id, row.offer_id)
        assert found is not None and (found.status, found.pause_reason) == ("paused", "auto_back_in_stock")
        assert (await it.waves())[0][0] == "settling"  # in the same transaction: one commit shows both
        [(run_id,)] = await it.rows("select run_id from waves")
        effects = await it.rows(
            "select kind, payload ->> 'name' from effects where run_id = %(id)s", {"id": run_id}
        )
        assert effects == [("offer", "Spring")]
        await it.wait(120)
        assert it.told == [ANN]

    play(emptied, story)


def test_an_offer_that_ends_loses_nobody_who_waits(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        deps, shop_id = it.service.deps, it.service.shop_id
        terms = Terms(name="Spring", mode=Mode.OUT_OF_STOCK)
        row = await offer_desk.create(deps, shop_id, terms, items=[poster.gid])
        row = await offer_desk.do(deps, row, Verb.ACTIVATE)
        await it.wait_for(poster, ANN, offer_id=row.offer_id)
        await offer_desk.do(deps, row, Verb.COMPLETE)
        await it.restock(poster, A=1)
        assert it.told == [ANN]

    play(emptied, story)


# --- held ----------------------------------------------------------------------------------------------------------


def test_on_the_free_plan_people_wait_and_are_told_when_it_is_premium_again(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.execute("update shops set plan = 'free'")
        await it.restock(poster, A=2)
        await it.wait(3600)
        [(state, reason)] = await it.waves()
        assert it.told == [] and state == "held" and "free plan" in reason
        assert (await it.states())[ANN] == "pending"
        await it.execute("update shops set plan = 'premium'")
        await it.wait(120)
        assert it.told == [ANN]

    play(emptied, story)


def test_a_plan_that_ends_while_mails_wait_keeps_them_back(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        [ann] = await it.wait_for(poster, ANN)
        it.sink.faults.add(Fault(stage="RCPT", reply="451 4.7.1 later"))
        await it.restock(poster, A=2)
        await it.execute("update shops set plan = 'free'")
        await it.wait(600)
        assert it.told == [] and (await it.states())[ANN] == "pending"
        assert [what for what, _ in await it.steps(ann)] == ["queued", "held"]
        assert "free plan" in (await it.steps(ann))[-1][1]

    play(emptied, story)


def test_paused_notifications_are_found_and_wait(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(paused=True)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=2)
        await it.wait(600)
        assert it.told == [] and (await it.waves())[0][0] == "held"
        await it.set_options(paused=False)
        await it.wait(120)
        assert it.told == [ANN]

    play(emptied, story)


def test_nobody_is_mailed_in_quiet_hours(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        now = it.service.clock.now()
        await it.execute("update shops set timezone = 'UTC'")
        begins, ends = f"{now:%H:%M}", f"{(now.hour + 3) % 24:02d}:00"
        await it.install(quiet_from=begins, quiet_until=ends)
        await it.execute("update shops set timezone = 'UTC'")
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=2)
        await it.wait(3600)
        assert it.told == [] and await it.waves() == [("held", f"Quiet hours until {ends}.")]
        await it.wait(2 * 3600)
        assert it.told == [ANN]
        assert f"{it.mails[0].message['Date'].datetime:%H:%M}" >= ends

    play(emptied, story)


def test_without_a_mail_server_people_wait_and_nothing_fails(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=2)
        await it.wait(600)
        [(state, reason)] = await it.waves()
        assert state == "held" and "No mail server is set" in reason
        assert (await it.states())[ANN] == "pending"
        assert await it.rows("select count(*) from messages") == [(0,)]

    play(emptied, story, no_account=True)


def test_without_an_address_of_ours_nobody_is_mailed(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=2)
        [(state, reason)] = await it.waves()
        assert state == "held" and "a mail without a link to unsubscribe is not sent" in reason

    play(emptied, story, public_url=None)


def test_a_disabled_automation_keeps_the_open_wave(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=2)
        row = await installing.change(it.service.deps, it.row, enabled=False)
        await it.wait(600)
        assert it.told == [] and "No automation" in (await it.waves())[0][1]
        await installing.change(it.service.deps, row, enabled=True)
        await it.wait(120)
        assert it.told == [ANN]

    play(emptied, story)


def test_a_shop_that_does_not_answer_is_asked_again_before_anybody_is_mailed(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=2)
        it.shop.faults.rates({ShopFault.SERVER_ERROR_BEFORE: 1.0})
        await it.wait(120)
        assert it.told == []
        [(state, reason)] = await it.waves()
        assert state == "held" and reason.startswith("The shop could not be asked:")
        it.shop.faults.clear()
        await it.wait(120)
        assert it.told == [ANN]

    play(emptied, story)


def test_a_shop_has_one_such_automation_at_work(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        row = await it.install()
        with pytest.raises(Conflicting, match="already tells the shoppers of this shop"):
            await it.service.add(KIND)
        await installing.change(it.service.deps, row, enabled=False)
        await it.service.add(KIND)

    play(emptied, story)


# --- what comes of a mail ---------------------------------------------------------------------------------------------


def test_an_unknown_outcome_is_shown_as_sent_and_never_sent_again_by_itself(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(cool_down_minutes=0)
        poster = it.sell_out()
        [ann] = await it.wait_for(poster, ANN)
        it.sink.faults.add(Fault(stage="dot", drop=True, keep=True))
        await it.restock(poster, A=2)
        await it.wait(7200)
        person = (await it.people())[ANN]
        assert (person.state, person.status) == (
            "unknown",
            "Sent",
        ) and "perhaps it was delivered" in person.reason
        await it.restock(poster, A=0)
        await it.restock(poster, A=2)
        await it.wait(7200)
        assert it.told == [ANN]
        assert [what for what, _ in await it.steps(ann)] == ["queued", "unknown"]

    play(emptied, story)


def test_a_person_sends_again_or_cancels_on_the_mail_pages_and_the_people_follow(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN, BOB)
        it.sink.faults.add(Fault(stage="RCPT", recipient=ANN, reply="554 5.7.1 not wanted"))
        it.sink.faults.add(Fault(stage="RCPT", recipient=BOB, reply="451 4.3.0 later"))
        await it.restock(poster, A=2)
        assert await it.states() == {ANN: "failed", BOB: "queued"}
        ids = dict(await it.rows("select recipient, message_id from messages"))
        shop_id = it.service.shop_id
        async with it.service.database.connection() as conn, conn.transaction():
            assert await messages.send_again(conn, shop_id, ids[ANN])
            assert await messages.cancel(conn, shop_id, ids[BOB], reason="Cancelled by a person.")
        await it.wait(600)
        assert it.told == [ANN]
        assert await it.states() == {ANN: "sent", BOB: "cancelled"}

    play(emptied, story)


def test_a_template_of_the_shop_that_does_more_than_print_the_name_is_rendered_for_each(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        await it.execute(
            "insert into mail_templates (shop_id, kind, locale, subject, text, html) select shop_id, 'back_in_stock',"
            " 'en', 'For {{ customer.first_name | upcase }}', '{{ links.unsubscribe }}', '<p>Hi {{ customer.first_name }}</p>'"
            " from shops"
        )
        poster = it.sell_out()
        await it.wait_for(poster, ANN, first_name="Ann")
        await it.wait_for(poster, BOB, first_name="Bob")
        await it.restock(poster, A=2)
        assert sorted(mail.subject for mail in it.mails) == ["For ANN", "For BOB"]

    play(emptied, story)


def test_at_most_a_thousand_messages_of_a_wave_wait_to_be_sent(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        count = 1200
        hashed = [it.service.deps.keyring.address_hash(it.service.shop_id, one) for one in people(count)]
        await it.execute(
            "insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, state, source,"
            " created_at) select %(shop_id)s, 'sub_' || no, email, hash, %(product)s, %(variant)s, 'pending', 'import', now()"
            " from unnest(%(emails)s::text[], %(hashes)s::bytea[]) with ordinality as p (email, hash, no)",
            {
                "shop_id": it.service.shop_id,
                "product": poster.gid,
                "variant": poster.variants[0].gid,
                "emails": people(count),
                "hashes": hashed,
            },
        )
        it.sink.faults.add(Fault(stage="MAIL", reply="421 4.3.2 not now", count=1000))
        await it.restock(poster, A=2)
        assert await it.rows("select state, count(*) from subscribers group by 1 order by 1") == [
            ("pending", 200), ("queued", 1000)
        ]  # fmt: skip
        it.sink.faults.clear()
        await it.wait(600)
        assert it.times() == dict.fromkeys(people(count), 1)

    play(emptied, story)


def test_mails_of_several_products_at_once_keep_apart(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        products = [it.sell_out(f"Poster {no}") for no in range(3)]
        for product in products:
            await it.wait_for(product, ANN, BOB)
        for product in products:
            it.stock(product, A=1)
        await asyncio.gather(it.service.settle())
        assert it.times() == {ANN: 3, BOB: 3}
        assert len({mail.subject for mail in it.mails}) == 3

    play(emptied, story)
