"""The checklist's cases about deletion, privacy and people: 32, 33 and 34; and what follows from them.

Privacy webhooks come signed through the inbox, as Shopify sends them.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from mail_sink.faults import Fault
from shopify_emulator.webhooks import sign
from stockwright import compliance as privacy
from stockwright import people, resending, upkeep
from stockwright.deps import Deps
from stockwright.encryption import Cipher
from stockwright.model import Conflicting
from stockwright.people_told import story_of
from stockwright.store import compliance, shops
from stockwright.store import people as people_store
from stockwright.store.audit import COMMAND_LINE, Actor
from stockwright.store.people import Wanted
from tests.journey.alerts import Alerts, play
from tests.journey.people import add_message, add_person, people_now, shop_of
from tests.journey.service import PUBLIC_URL, SECRET

ANN, BOB, CEO = "ann@example.com", "bob@example.com", "ceo@example.com"
CUSTOMER = "gid://shopify/Customer/191167"
JANE = Actor(user_id=None, name="jane")
CIPHER = Cipher((Fernet.generate_key()[:32],), origin="a test")


def with_seals(it: Alerts) -> Deps:
    """The service's world with the sealing that a composed one has."""
    mailing = replace(it.service.deps.mailing, seal_password=CIPHER.seal, open_password=CIPHER.open)
    return replace(it.service.deps, mailing=mailing)


async def webhook(
    it: Alerts,
    topic: str,
    payload: dict[str, Any],
    *,
    webhook_id: str = "",
    event_id: str = "",
    secret: str = SECRET,
) -> int:
    """Deliver a webhook as Shopify does; its HTTP status."""
    body = json.dumps({"shop_domain": it.shop.domain, **payload}).encode()
    headers = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": it.shop.domain,
        "X-Shopify-Hmac-Sha256": sign(secret, body),
        "X-Shopify-Webhook-Id": webhook_id or f"{topic} {len(body)} {it.service.clock.now()}",
        "X-Shopify-Event-Id": event_id or f"event {topic} {len(body)}",
    }
    return await it.service.deliver(f"{PUBLIC_URL}/webhooks/shopify", headers, body)


def about(email: str | None = ANN, number: int | None = 191167) -> dict[str, Any]:
    return {"customer": {"id": number, "email": email, "phone": "555-625-1199"}}


async def dump(it: Alerts) -> str:
    """Every row of every table of ours, as text."""
    tables = await it.rows(
        "select table_name from information_schema.tables where table_schema = 'public'"
        " and table_type = 'BASE TABLE' and table_name not like 'procrastinate%%'"
    )
    return "\n".join([str(await it.rows(f"select t::text from {table} t")) for (table,) in tables]).lower()


async def requests(it: Alerts) -> list[compliance.Request]:
    async with it.service.database.connection() as conn:
        return await compliance.requests(conn, limit=100)


# --- 32: erasing by address ---------------------------------------------------------------------------------------


def test_case_32_an_address_is_erased_everywhere_and_only_its_hash_stays(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out(variants=("A", "B"))
        for title in (0, 1):
            await add_person(
                it.service, ANN, poster.variants[title], first_name="Annabel", page="/products/x"
            )
        await add_person(it.service, BOB, poster.variants[0])
        await add_message(it.service, "Ann@Example.com")
        await add_message(it.service, ANN, state="pending")
        data = await people.data_of(it.service.deps, await shop_of(it.service), [ANN])
        assert len(data["subscriptions"]) == 2 and len(data["messages"]) == 2
        done = await people.erase(it.service.deps, await shop_of(it.service), " ANN@example.com ", by=JANE)
        assert (done.subscribers, done.messages) == (2, 2)
        everything = await dump(it)
        assert ANN not in everything and "annabel" not in everything
        assert (await it.rows("select reason from suppressions")) == [("erased",)]
        await it.restock(poster, A=5, B=5)
        await it.wait(3600)
        assert it.told == [BOB]
        again = await people.erase(it.service.deps, await shop_of(it.service), ANN, by=JANE)
        assert (again.subscribers, again.messages) == (0, 0)

    play(emptied, story)


def test_case_32_many_rows_of_one_address_go_in_batches_and_an_export_lists_them_all(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        poster = it.sell_out()
        for no in range(1101):
            at = it.service.clock.now() - timedelta(minutes=no)
            await add_person(it.service, ANN, poster.variants[0], state="sent", created_at=at)
        data = await people.data_of(it.service.deps, await shop_of(it.service), [ANN])
        assert len(data["subscriptions"]) == 1101
        done = await people.erase(it.service.deps, await shop_of(it.service), ANN, by=JANE)
        assert done.subscribers == 1101
        assert await it.rows("select count(*) from subscribers where email <> ''") == [(0,)]

    play(emptied, story)


def test_case_32_a_mail_that_is_queued_for_an_erased_person_is_not_sent(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        await it.restock(poster, A=5)
        await people.erase(it.service.deps, await shop_of(it.service), ANN, by=JANE)
        await it.wait(3600)
        assert it.told == []

    play(emptied, story)


# --- 33: the compliance topics and the end of an installation -------------------------------------------------------


def test_case_33_a_customer_gets_all_that_is_kept_by_address_and_by_number(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        deps, poster = with_seals(it), it.sell_out(variants=("A", "B"))
        await add_person(it.service, ANN, poster.variants[0])
        await add_person(it.service, CEO, poster.variants[1], customer_id=CUSTOMER)
        await add_person(it.service, BOB, poster.variants[0])
        await add_message(it.service, CEO)
        payload = {**about(), "orders_requested": [1, 2], "data_request": {"id": 9999}}
        assert await webhook(it, "customers/data_request", payload) == 200
        await privacy.answer_webhooks(deps)
        [request] = await requests(it)
        assert (request.topic, request.done_at, request.has_data) == (privacy.DATA_REQUEST, None, True)
        assert request.due_at - request.received_at == timedelta(days=30)
        assert ANN not in str(request.result)
        text = await privacy.hand_over(deps, request, by=JANE)
        data = json.loads(text)
        assert sorted(one["email"] for one in data["subscriptions"]) == [ANN, CEO]
        assert [one["subject"] for one in data["messages"]] == ["It is back"]
        assert BOB not in text
        [request] = await requests(it)
        assert request.done_at is not None

    play(emptied, story)


def test_case_33_a_request_that_comes_twice_is_one_request(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        deps = with_seals(it)
        payload = {**about(), "data_request": {"id": 9999}}
        for webhook_id in ("a", "a", "b"):
            assert await webhook(it, "customers/data_request", payload, webhook_id=webhook_id) == 200
            await privacy.answer_webhooks(deps)
        assert len(await requests(it)) == 1
        for webhook_id in ("c", "d"):
            await webhook(it, "customers/redact", about(), webhook_id=webhook_id, event_id="e")
            await privacy.answer_webhooks(deps)
        assert len(await requests(it)) == 2

    play(emptied, story)


def test_case_33_a_customer_is_erased_by_address_and_by_number(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        deps, poster = with_seals(it), it.sell_out(variants=("A", "B"))
        await add_person(it.service, ANN, poster.variants[0])
        await add_person(it.service, CEO, poster.variants[1], customer_id=CUSTOMER)
        await add_person(it.service, BOB, poster.variants[0])
        await add_message(it.service, CEO)
        await webhook(it, "orders/create", {"email": ANN, "customer": {"id": 191167}, "id": 5})
        assert await webhook(it, "customers/redact", {**about(), "orders_to_redact": [5]}) == 200
        await privacy.answer_webhooks(deps)
        [request] = await requests(it)
        assert request.done_at is not None
        assert request.result == {"subscriptions": 2, "messages": 1}
        everything = await dump(it)
        for trace in (ANN, CEO, "191167", "555-625"):
            assert trace not in everything, trace
        assert (BOB, "pending", "Pending") in await people_now(it.service)

    play(emptied, story)


@pytest.mark.parametrize(
    ("email", "number"), [(None, 191167), (ANN, None), ("not an address", 191167), (None, None), ("", 0)]
)
def test_case_33_guests_and_customers_without_an_address_are_answered_too(
    emptied: str, email: str | None, number: int | None
) -> None:
    async def story(it: Alerts) -> None:
        deps, poster = with_seals(it), it.sell_out(variants=("A", "B"))
        await add_person(it.service, ANN, poster.variants[0])
        await add_person(it.service, CEO, poster.variants[1], customer_id=CUSTOMER)
        await webhook(it, "customers/redact", about(email, number))
        await privacy.answer_webhooks(deps)
        [request] = await requests(it)
        assert request.done_at is not None
        left = {address for address, _, _ in await people_now(it.service)} - {""}
        gone = ({ANN} if email == ANN else set()) | ({CEO} if number == 191167 else set())
        assert left == {ANN, CEO} - gone

    play(emptied, story)


def test_case_33_a_forged_request_is_refused_and_does_nothing(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await add_person(it.service, ANN, it.sell_out().variants[0])
        for topic in ("customers/data_request", "customers/redact", "shop/redact"):
            assert await webhook(it, topic, about(), secret="somebody else's") == 401
        await privacy.answer_webhooks(with_seals(it))
        assert await requests(it) == []
        assert await people_now(it.service) == [(ANN, "pending", "Pending")]

    play(emptied, story)


def test_case_33_uninstalling_stops_all_mail_and_people_wait_on_if_the_app_comes_back(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=0)
        poster = it.sell_out()
        await it.wait_for(poster, ANN, BOB)
        await it.execute(
            "insert into mail_queues (shop_id, paused_until) values (%(shop_id)s, now() + interval '1 hour')"
            " on conflict (shop_id) do update set paused_until = excluded.paused_until",
            {"shop_id": it.service.shop_id},
        )
        await it.restock(poster, A=5)
        assert set((await it.states()).values()) == {"queued"}
        assert await webhook(it, "app/uninstalled", {"id": 1}) == 200
        await upkeep.Upkeep(deps=it.service.deps, public_url=PUBLIC_URL).close_uninstalled()
        assert (await shop_of(it.service)).status == "uninstalled"
        assert set((await it.states()).values()) == {"pending"}
        await it.wait(7200)
        assert it.told == []
        await upkeep.resume_shop(it.service.deps, await shop_of(it.service))
        await it.execute("delete from mail_queues")
        it.stock(poster, A=0)
        await it.wait(60)
        await it.restock(poster, A=5)
        await it.wait(7200)
        assert sorted(it.told) == [ANN, BOB]

    play(emptied, story)


def test_case_33_no_mail_goes_out_between_the_webhook_and_the_worker_that_reads_it(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN)
        it.stock(poster, A=5)
        await webhook(it, "app/uninstalled", {"id": 1})
        await it.wait(3600)
        assert it.told == []

    play(emptied, story)


def test_case_33_a_shop_that_removed_the_app_is_deleted_with_all_its_data(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        deps, shop_id = with_seals(it), it.service.shop_id
        await it.install()
        poster = it.sell_out()
        await it.wait_for(poster, ANN, BOB)
        await it.restock(poster, A=5)
        await webhook(it, "app/uninstalled", {"id": 1})
        await upkeep.Upkeep(deps=deps, public_url=PUBLIC_URL).close_uninstalled()
        assert await webhook(it, "shop/redact", {"shop_id": 1}) == 200
        await privacy.answer_webhooks(deps)
        [request] = await requests(it)
        assert (request.topic, request.domain) == (privacy.SHOP_REDACT, it.shop.domain)
        assert request.done_at is not None
        assert await left_of(it, shop_id) == ["compliance_requests"]
        everything = await dump(it)
        assert ANN not in everything and BOB not in everything

    play(emptied, story)


async def left_of(it: Alerts, shop_id: int) -> list[str]:
    """The tables that still have a row of the shop."""
    tables = await it.rows(
        "select table_name from information_schema.columns where column_name = 'shop_id'"
        " and table_schema = 'public' order by table_name"
    )
    found = []
    for (table,) in tables:
        rows = await it.rows(
            f"select 1 from {table} where shop_id = %(shop_id)s limit 1", {"shop_id": shop_id}
        )
        found += [table] if rows else []
    return found


def test_case_33_a_deletion_that_was_cut_short_goes_on(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        deps, shop_id = with_seals(it), it.service.shop_id
        await it.wait_for(it.sell_out(), ANN)
        await webhook(it, "shop/redact", {"shop_id": 1})
        async with it.service.database.connection() as conn:
            [found] = await compliance.waiting_webhooks(conn, limit=10)
        await privacy.answer(deps, found)  # marked, and then the process dies
        assert await it.rows("select email from subscribers") == [(ANN,)]
        await it.execute("delete from shops")
        await privacy.answer_webhooks(deps)
        assert await left_of(it, shop_id) == ["compliance_requests"]
        [request] = await requests(it)
        assert request.done_at is not None

    play(emptied, story)


def test_case_33_a_shop_that_came_back_is_not_deleted_without_a_person(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        deps, shop_id = with_seals(it), it.service.shop_id
        await it.wait_for(it.sell_out(), ANN)
        await webhook(it, "app/uninstalled", {"id": 1})
        await upkeep.Upkeep(deps=deps, public_url=PUBLIC_URL).close_uninstalled()
        async with it.service.database.connection() as conn:
            await shops.set_status(conn, shop_id, "active")
        await webhook(it, "shop/redact", {"shop_id": 1})
        await privacy.answer_webhooks(deps)
        [request] = await requests(it)
        assert request.done_at is None and "installed again" in request.note
        assert await it.rows("select email from subscribers") == [(ANN,)]
        await privacy.confirm_deletion(deps, request, by=JANE)
        assert await left_of(it, shop_id) == ["compliance_requests"]
        [request] = await requests(it)
        assert request.done_at is not None
        with pytest.raises(Conflicting):
            await privacy.confirm_deletion(deps, request, by=JANE)

    play(emptied, story)


def test_case_33_a_file_is_forgotten_30_days_after_it_was_handed_over(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        deps = with_seals(it)
        await webhook(it, "customers/data_request", {**about(), "data_request": {"id": 1}})
        await privacy.answer_webhooks(deps)
        [request] = await requests(it)
        await privacy.hand_over(deps, request, by=JANE)
        await it.service.move(timedelta(days=29).total_seconds())
        await privacy.forget_data(deps)
        await privacy.hand_over(deps, request, by=JANE)
        await it.service.move(timedelta(days=2).total_seconds())
        await privacy.forget_data(deps)
        with pytest.raises(Conflicting, match="30 days"):
            await privacy.hand_over(deps, request, by=JANE)

    play(emptied, story)


# --- 34: a merchant at work -----------------------------------------------------------------------------------------


async def listed(it: Alerts, **wanted: Any) -> list[str]:
    async with it.service.database.connection() as conn:
        found = await people_store.people(conn, Wanted(shop_id=it.service.shop_id, **wanted), limit=100)
    return [one.email for one in found]


def test_case_34_people_are_listed_filtered_searched_and_counted_per_variant(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        poster = it.sell_out(variants=("A", "B"))
        await it.wait_for(poster, ANN, BOB, title="A")
        await it.wait_for(poster, CEO, title="B", state="sent")
        assert await listed(it) == [CEO, BOB, ANN]
        assert await listed(it, status="Sent") == [CEO]
        assert await listed(it, variant_id=poster.variants[0].gid) == [BOB, ANN]
        assert await listed(it, address="bo") == [BOB]
        async with it.service.database.connection() as conn:
            rows = await people_store.people(conn, Wanted(shop_id=it.service.shop_id), limit=100)
            counts = await people_store.waiting_of(conn, it.service.shop_id, rows)
        assert counts == {poster.variants[0].gid: 2}

    play(emptied, story)


def test_case_34_who_was_cancelled_by_a_person_is_not_told_and_the_source_is_kept(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(settle_s=60)
        poster = it.sell_out()
        ann, _bob = await it.wait_for(poster, ANN, BOB)
        await it.restock(poster, A=5)
        done = await people.cancel(it.service.deps, it.service.shop_id, [ann], by=JANE)
        assert done.done == 1
        await it.wait(3600)
        assert it.told == [BOB]
        assert await it.steps(ann) == [("cancelled", "jane cancelled it.")]
        assert await it.rows("select actor from subscriber_steps where what = 'cancelled'") == [("jane",)]
        again = await people.cancel(it.service.deps, it.service.shop_id, [ann, "sub_nobody"], by=JANE)
        assert (again.done, again.left_count) == (0, 2)

    play(emptied, story)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault(stage="RCPT", reply="554 5.7.1 Not today"), "failed"),
        (Fault(stage="dot", drop=True), "unknown"),
    ],
)
def test_case_34_a_mail_that_failed_or_may_be_lost_is_sent_again_as_the_same_mail(
    emptied: str, fault: Fault, state: str
) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        [ann] = await it.wait_for(poster, ANN)
        it.sink.faults.add(fault)
        await it.restock(poster, A=5)
        await it.wait(60)
        assert await it.states() == {ANN: state}
        told = await resending.send_one_again(it.service.deps, it.service.shop_id, ann, by=JANE)
        assert told == "The same message is queued once more."
        await it.wait(3600)
        assert it.told == [ANN]
        assert (await it.people())[ANN].status == "Sent"
        assert await it.rows("select count(*), max(attempts) from messages") == [(1, 2)]

    play(emptied, story)


def test_case_34_a_mail_that_is_sent_again_is_held_when_the_stock_is_gone(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        [ann] = await it.wait_for(poster, ANN)
        it.sink.faults.add(Fault(stage="RCPT", reply="554 5.7.1 Not today"))
        await it.restock(poster, A=5)
        await it.wait(60)
        await it.restock(poster, A=0)
        await resending.send_one_again(it.service.deps, it.service.shop_id, ann, by=JANE)
        await it.wait(3600)
        assert it.told == []
        found = (await it.people())[ANN]
        assert (found.state, found.reason) == (
            "failed",
            "Not enough in stock any more: 0 available, 1 needed.",
        )

    play(emptied, story)


def test_case_34_who_was_told_is_put_in_line_again_in_bulk_and_told_once_more(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(cool_down_minutes=0)
        poster = it.sell_out()
        ids = await it.wait_for(poster, ANN, BOB)
        await it.restock(poster, A=5)
        await it.wait(60)
        assert sorted(it.told) == [ANN, BOB]
        done = await resending.send_again(it.service.deps, it.service.shop_id, [*ids, "sub_nobody"], by=JANE)
        assert (done.done, done.left_count) == (2, 1)
        again = await resending.send_again(it.service.deps, it.service.shop_id, ids, by=JANE)
        assert again.done == 0
        await it.service.settle()
        await it.wait(3600)
        assert it.times() == {ANN: 2, BOB: 2}

    play(emptied, story)


@pytest.mark.parametrize("state", ["unsubscribed", "pending", "queued"])
def test_case_34_who_waits_or_has_left_is_not_sent_to_again(emptied: str, state: str) -> None:
    async def story(it: Alerts) -> None:
        [ann] = await it.wait_for(it.sell_out(), ANN, state=state)
        with pytest.raises(Conflicting):
            await resending.send_one_again(it.service.deps, it.service.shop_id, ann, by=JANE)
        assert await it.states() == {ANN: state}

    play(emptied, story)


def test_case_34_a_suppressed_address_is_not_sent_to_again(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        [ann] = await it.wait_for(it.sell_out(), ANN, state="bounced")
        await it.execute(
            "insert into suppressions (shop_id, address_hash, reason, at)"
            " select shop_id, address_hash, 'bounced', now() from subscribers"
        )
        with pytest.raises(Conflicting, match="suppression list"):
            await resending.send_one_again(it.service.deps, it.service.shop_id, ann, by=JANE)

    play(emptied, story)


def test_case_34_an_unconfirmed_person_is_asked_again_not_sooner_than_a_minute_later(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(double_opt_in=True)
        [ann] = await it.wait_for(it.sell_out(), ANN, state="unconfirmed")
        told = await resending.send_one_again(it.service.deps, it.service.shop_id, ann, by=JANE)
        assert "confirm" in told
        with pytest.raises(Conflicting, match="less than a minute"):
            await resending.send_one_again(it.service.deps, it.service.shop_id, ann, by=JANE)
        await it.wait(60)
        assert it.told == [ANN]

    play(emptied, story)


def test_case_34_why_somebody_was_told_is_told_with_the_mail_servers_answer(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        [ann] = await it.wait_for(poster, ANN)
        await it.restock(poster, A=5)
        await it.wait(60)
        async with it.service.database.connection() as conn:
            row = await people_store.get(conn, ann)
        assert row is not None
        found = await story_of(it.service.deps, row)
        assert found.because.startswith("Sent: the mail server took the mail.")
        assert any("was taken by the mail server" in one.text and one.detail for one in found.told)
        assert found.notifications[0].state == "sent"

    play(emptied, story)


def test_bulk_actions_take_everybody_who_fits(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        poster = it.sell_out(variants=("A", "B"))
        await it.wait_for(poster, *(f"p{no}@example.com" for no in range(700)), title="A")
        await it.wait_for(poster, ANN, title="B")
        wanted = Wanted(shop_id=it.service.shop_id, variant_id=poster.variants[0].gid, status="Pending")
        ids = await people.ids_fitting(it.service.deps, wanted)
        done = await people.cancel(it.service.deps, it.service.shop_id, ids, by=COMMAND_LINE)
        assert done.done == 700
        assert await listed(it, state="pending") == [ANN]

    play(emptied, story)
