"""Lists of subscribers, their ends, erasure and purging, on the real database."""

import asyncio
from datetime import timedelta

import pytest

from stockwright.model import ShopId
from stockwright.notify.states import State, shown
from stockwright.store import compliance, erasure, people
from stockwright.store.people import Wanted
from tests.store.rows import NOON, add_shop, connect, rows

LIMIT = 100


async def add_person(conn, shop_id: ShopId, no: int, **changes) -> str:
    """A subscriber; `changes` are columns."""
    values = {
        "shop_id": shop_id,
        "subscriber_id": f"sub_{no:06}",
        "email": f"ann{no}@example.com",
        "address_hash": f"hash {no}".encode(),
        "product_id": "gid://shopify/Product/1",
        "variant_id": "gid://shopify/ProductVariant/1",
        "state": "pending",
        "source": "proxy",
        "created_at": NOON + timedelta(minutes=no),
        **changes,
    }
    names = ", ".join(values)
    marks = ", ".join(f"%({name})s" for name in values)
    await conn.execute(f"insert into subscribers ({names}) values ({marks})", values)
    return values["subscriber_id"]


def played(story):
    """Run an async story on a fresh database."""

    def test(database: str) -> None:
        async def whole() -> None:
            async with await connect(database) as conn:
                await story(conn, await add_shop(conn))

        asyncio.run(whole())

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


@pytest.mark.parametrize("delivered", ["", "sent", "failed"])
def test_the_database_shows_each_state_by_the_documented_word(database: str, delivered: str) -> None:
    async def story() -> None:
        async with await connect(database) as conn:
            shop_id = await add_shop(conn)
            for no, state in enumerate(State):
                await add_person(conn, shop_id, no, state=state.value, delivered=delivered)
            found = await rows(conn, "select state, status from subscribers")
            assert dict(found) == {state.value: shown(state, delivered).value for state in State}

    asyncio.run(story())


@played
async def test_filters_find_exactly_those_who_fit(conn, shop_id):
    other = await add_shop(conn, "two.myshopify.com")
    blue = await add_person(conn, shop_id, 1, variant_id="gid://shopify/ProductVariant/2", locale="fr")
    sent = await add_person(conn, shop_id, 2, state="sent", offer_id="off_1")
    erased = await add_person(conn, shop_id, 3, state="cancelled", email="")
    await add_person(conn, other, 4)

    async def ids(**wanted) -> list[str]:
        found = await people.people(conn, Wanted(shop_id=shop_id, **wanted), limit=LIMIT)
        return [one.subscriber_id for one in found]

    assert await ids() == [erased, sent, blue]
    assert await ids(status="Sent") == [sent]
    assert await ids(status="Pending") == [erased, blue]
    assert await ids(state="cancelled") == [erased]
    assert await ids(variant_id="gid://shopify/ProductVariant/2") == [blue]
    assert await ids(product_id="gid://shopify/Product/9") == []
    assert await ids(offer_id="off_1") == [sent]
    assert await ids(offer_id="") == []
    assert await ids(locale="fr") == [blue]
    assert await ids(address="ann1@") == [blue]
    assert await ids(address="%") == []
    assert await ids(address="ann_@") == []


@played
async def test_pages_follow_one_another_with_everybody_once(conn, shop_id):
    for no in range(7):
        await add_person(conn, shop_id, no)
    seen, before = [], None
    while found := await people.people(conn, Wanted(shop_id=shop_id), before=before, limit=3):
        seen += [one.subscriber_id for one in found]
        before = seen[-1]
    assert seen == [f"sub_{no:06}" for no in reversed(range(7))]


async def add_message(conn, shop_id: ShopId, message_id: str, to: str, state: str = "pending") -> None:
    await conn.execute(
        "insert into messages (shop_id, message_id, key, kind, recipient, subject, text, html, state, next_at)"
        " values (%s, %s, %s, 'back_in_stock', %s, 's', 't', 'h', %s, now())",
        (shop_id, message_id, message_id, to, state),
    )
    await conn.execute(
        "insert into message_attempts (shop_id, message_id, attempt, fence, server, started_at, reply)"
        " values (%s, %s, 1, 1, 'mx:25', now(), '550 ann@example.com: no')",
        (shop_id, message_id),
    )


async def cancel(conn, shop_id: ShopId, *ids: str) -> list[str]:
    async with conn.transaction():
        return await people.cancel(conn, shop_id, ids, reason="Enough.", actor="ann", at=NOON)


@played
async def test_cancelling_ends_the_waiting_and_the_mail_that_is_for_nobody_else(conn, shop_id):
    await add_message(conn, shop_id, "msg_1", "ann@example.com")
    for no in (1, 2):
        variant = f"gid://shopify/ProductVariant/{no}"
        one = await add_person(conn, shop_id, no, state="queued", message_id="msg_1", variant_id=variant)
        await conn.execute(
            "insert into notifications (shop_id, subscriber_id, wave_id, message_id, state, created_at)"
            " values (%s, %s, 'wav_1', 'msg_1', 'queued', now())",
            (shop_id, one),
        )
    assert await cancel(conn, shop_id, "sub_000001") == ["sub_000001"]
    assert await rows(conn, "select state from messages") == [("pending",)]
    assert await cancel(conn, shop_id, "sub_000001", "sub_000002") == ["sub_000002"]
    assert await rows(conn, "select state, reason from messages") == [("cancelled", "Enough.")]
    assert await rows(conn, "select distinct state, reason from notifications") == [("dropped", "Enough.")]
    assert await rows(conn, "select what, actor from subscriber_steps") == [("cancelled", "ann")] * 2


@played
async def test_a_mail_that_is_being_handed_over_is_not_called_cancelled(conn, shop_id):
    await add_message(conn, shop_id, "msg_1", "ann@example.com", state="sending")
    one = await add_person(conn, shop_id, 1, state="queued", message_id="msg_1")
    assert await cancel(conn, shop_id, one) == []
    assert await rows(conn, "select state from subscribers") == [("queued",)]


@played
async def test_who_was_told_is_put_in_line_again_once(conn, shop_id):
    one = await add_person(conn, shop_id, 1, state="sent", cycle=2, first_name="Ann")
    first = await people.ask_again(conn, shop_id, one, actor="ann", at=NOON)
    second = await people.ask_again(conn, shop_id, one, actor="ann", at=NOON)
    assert second is None
    found = await people.get(conn, first)
    assert (found.state, found.cycle, found.first_name, found.source) == ("pending", 3, "Ann", "admin")
    assert (await people.get(conn, one)).state == "sent"


@played
async def test_a_failed_mail_goes_out_again_only_for_who_does_not_wait_anew(conn, shop_id):
    await add_message(conn, shop_id, "msg_1", "ann@example.com", state="failed")
    failed = await add_person(conn, shop_id, 1, state="failed", message_id="msg_1")
    waits = await add_person(conn, shop_id, 2, state="failed", message_id="msg_1")
    await add_person(conn, shop_id, 3, address_hash=b"hash 2")
    found = await people.again_by_message(conn, shop_id, "msg_1", actor="ann", at=NOON)
    assert found == [failed]
    assert (await people.get(conn, failed)).state == "queued"
    assert (await people.get(conn, waits)).state == "failed"
    assert await rows(conn, "select state from messages") == [("pending",)]


@played
async def test_erasing_goes_in_batches_and_leaves_nothing_that_names_the_person(conn, shop_id):
    hashed = b"hash of ann"
    states = ["pending", *["sent"] * 6]
    for no, state in enumerate(states):
        await add_person(
            conn, shop_id, no, email="ann@example.com", address_hash=hashed, state=state, first_name="Ann",
            customer_id="gid://shopify/Customer/7", page="https://x/?u=ann", message_id="msg_1",
        )  # fmt: skip
    await add_person(conn, shop_id, 99)
    await add_message(conn, shop_id, "msg_1", "Ann@Example.com")
    counts = [await erase(conn, shop_id, hashed, limit=3) for _ in range(3)]
    assert counts == [3, 3, 1]
    assert await erasure.erase_messages(conn, shop_id, "ann@example.com", limit=LIMIT) == 1
    dump = str([await rows(conn, f"select * from {table}") for table in NAMES_PEOPLE])
    assert "ann@example.com" not in dump.lower().replace("ann99@example.com", "")
    assert "customer/7" not in dump.lower()
    assert await rows(conn, "select state from subscribers where subscriber_id = 'sub_000000'") == [
        ("cancelled",)
    ]
    assert await rows(conn, "select count(distinct address_hash) from subscribers") == [(8,)]
    assert await rows(conn, "select state from messages") == [("cancelled",)]


NAMES_PEOPLE = ("subscribers", "messages", "message_attempts", "subscriber_steps", "notifications")


async def erase(conn, shop_id: ShopId, hashed: bytes, *, limit: int) -> int:
    return await erasure.erase_people(conn, shop_id, [hashed], actor="ann", at=NOON, limit=limit)


@played
async def test_stored_webhooks_forget_a_customer_by_address_or_number(conn, shop_id):
    async def event(no: int, topic: str, payload: str) -> None:
        await conn.execute(
            "insert into events (shop_id, event_id, topic, subject, payload, source)"
            " values (%s, %s, %s, '*', %s, 'shopify')",
            (shop_id, f"evt_{no}", topic, payload),
        )

    await event(1, "shopify/orders/create", '{"email": "Ann@example.com"}')
    await event(2, "shopify/orders/create", '{"customer": {"id": 7}}')
    await event(3, "shopify/orders/create", '{"customer": {"id": 8}, "email": "bob@example.com"}')
    await event(4, "shopify/products/update", '{"id": 7}')
    erased = await erasure.erase_events(conn, shop_id, ["ann@example.com"], customer_number="7", limit=LIMIT)
    assert erased == 2
    left = await rows(conn, "select event_id from events where payload <> '{}' order by 1")
    assert left == [("evt_3",), ("evt_4",)]


@played
async def test_purging_deletes_what_ended_before_and_keeps_the_rest(conn, shop_id):
    old, young = NOON - timedelta(days=40), NOON - timedelta(days=20)
    before = NOON - timedelta(days=30)
    await add_person(conn, shop_id, 1, state="sent", ended_at=old)
    kept = await add_person(conn, shop_id, 2, state="sent", ended_at=young)
    left = await add_person(conn, shop_id, 3, state="unsubscribed", ended_at=old)
    assert await people.purge_ended(conn, shop_id, ["sent"], before=before, limit=LIMIT) == 1
    unconfirmed = await add_person(conn, shop_id, 4, state="unconfirmed", created_at=young)
    await add_person(conn, shop_id, 5, state="unconfirmed", created_at=old)
    assert await people.purge_unconfirmed(conn, shop_id, before=before, limit=LIMIT) == 1
    found = await people.people(conn, Wanted(shop_id=shop_id), limit=LIMIT)
    assert [one.subscriber_id for one in found] == [unconfirmed, left, kept]


@played
async def test_a_removed_app_lets_people_wait_whose_mail_was_cancelled(conn, shop_id):
    await add_message(conn, shop_id, "msg_1", "ann@example.com", state="cancelled")
    one = await add_person(conn, shop_id, 1, state="queued", message_id="msg_1")
    assert await compliance.back_in_line(conn, shop_id, reason="Gone.", at=NOON) == 1
    found = await people.get(conn, one)
    assert (found.state, found.reason, found.message_id) == ("pending", "Gone.", "")


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "subscribers_pkey"),
        ({"status": "Sent"}, "subscribers_by_status"),
        ({"state": "failed"}, "subscribers_by_state"),
        ({"variant_id": "gid://shopify/ProductVariant/3"}, "subscribers_by_variant"),
        ({"product_id": "gid://shopify/Product/3"}, "subscribers_by_product"),
        ({"offer_id": "off_3"}, "subscribers_by_offer"),
        ({"address": "ann123@"}, "subscribers_by_email"),
    ],
)
def test_lists_of_many_people_are_read_by_an_index(many: str, wanted: dict, index: str) -> None:
    async def story() -> str:
        async with await connect(many) as conn:
            [(shop_id,)] = await rows(conn, "select shop_id from shops")
            values = people.filters_of(Wanted(shop_id=ShopId(shop_id), **wanted))
            sql = b"explain " + people.SQL.page_of_people
            cursor = await conn.execute(sql, {**values, "before": None, "limit": 51}, prepare=False)
            return "\n".join(row[0] for row in await cursor.fetchall())

    plan = asyncio.run(story())
    assert index in plan, plan
    assert "Seq Scan" not in plan, plan


@pytest.fixture(scope="module")
def many(pg_server):
    """20,000 people in one shop."""
    dsn = pg_server.fresh_database()

    async def fill() -> None:
        async with await connect(dsn) as conn:
            shop_id = await add_shop(conn)
            await conn.execute(
                """
                insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, offer_id,
                                         state, source, created_at)
                select %s, 'sub_' || lpad(n::text, 8, '0'), 'ann' || n || '@example.com', sha256(n::text::bytea),
                       'gid://shopify/Product/' || n %% 50, 'gid://shopify/ProductVariant/' || n %% 200,
                       case when n %% 100 < 20 then 'off_' || n %% 10 else '' end,
                       (array['sent', 'sent', 'sent', 'pending', 'failed', 'cancelled'])[1 + n %% 6], 'proxy', now()
                from generate_series(1, 20000) n
                """,
                (shop_id,),
            )
            await conn.execute("analyze subscribers")

    asyncio.run(fill())
    yield dsn
    pg_server.drop(dsn)
