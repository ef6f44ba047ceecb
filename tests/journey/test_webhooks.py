"""The webhook endpoint as Shopify meets it, and the pages about the service's health."""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import httpx2
import psycopg
import pytest
import uvicorn

from stockwright.inbox import CachedSenders, Inbox, Limits, LookUps, NotAsked, Received, Sender
from stockwright.model import ShopId, Source
from stockwright.store import shops
from stockwright.store.database import Pool, pool
from stockwright.store.migrations import head
from stockwright.web import WebDeps, create_app
from stockwright.web.webhooks import BodyLimits
from tests.postgres_fixture import DatabaseServer
from tests.store.rows import (
    ITEM,
    LEVELS,
    add_automation,
    add_shop,
    connect,
    event,
    jobs,
    open_pool,
    rows,
    until,
)

BODY = b'{"inventory_item_id":9007199254740995,"location_id":88412230715,"available":7}'
LIMIT = 10_000


def headers(body: bytes = BODY, *, secret: str = "new", webhook_id: str = "webhook-1", **changed: str):
    signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
    given = {
        "X-Shopify-Topic": "inventory_levels/update",
        "X-Shopify-Hmac-Sha256": signature,
        "X-Shopify-Shop-Domain": "one.myshopify.com",
        "X-Shopify-Webhook-Id": webhook_id,
    }
    return given | {name.replace("_", "-"): value for name, value in changed.items()}


async def find_one(_connections: Pool, domain: str, /) -> Sender | None:
    return Sender(shop_id=ShopId(1), secrets=("new", "old")) if domain == "one.myshopify.com" else None


async def find_stored(connections: Pool, domain: str, /) -> Sender | None:
    async with connections.connection(timeout=2) as conn:
        shop = await shops.find(conn, domain)
    return Sender(shop_id=shop.shop_id, secrets=("new",)) if shop else None


@asynccontextmanager
async def serving(
    dsn: str,
    limits: Limits | None = None,
    *,
    find: Callable = find_one,
    clock: Callable[[], float] = monotonic,
    bodies: BodyLimits | None = None,
    schema_head: str | None = None,
):
    """A real server on a free port of this machine; yields an HTTP client and the inbox."""
    async with pool(dsn, size=6, name="web", timeout_s=2) as opened, Inbox(opened, limits) as inbox:
        app = create_app(
            WebDeps(
                inbox=inbox,
                find_sender=CachedSenders(
                    partial(find, opened), LookUps(answer_s=inbox.answer_s), clock=clock
                ),
                pool=opened,
                now=lambda: datetime.now(UTC),
                body_limits=bodies or BodyLimits(size_bytes=LIMIT),
                schema_head=schema_head or head(),
                version="1.2.3",
            )
        )
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            running = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                async with httpx2.AsyncClient(base_url=address, trust_env=False, timeout=20) as client:
                    yield client, inbox
            finally:
                server.should_exit = True
                await running


@asynccontextmanager
async def sending(client: httpx2.AsyncClient, start: bytes, **given: str):
    """A connection on which a delivery was begun: its headers and the start of its body; yields both ends."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    lines = [f"{name}: {value}" for name, value in headers(**given).items()]
    writer.write("\r\n".join(["POST /webhooks/shopify HTTP/1.1", "Host: x", *lines, "", ""]).encode() + start)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(10):
        return int((await reader.readline()).split()[1])


async def _install(dsn: str) -> None:
    async with await connect(dsn) as conn:
        shop = await add_shop(conn)
        await add_automation(conn, shop, "aut_1", LEVELS)


async def _post(client, body: bytes = BODY, **given):
    return await client.post("/webhooks/shopify", content=body, headers=headers(body, **given))


async def _stored(dsn: str) -> list[tuple]:
    async with await connect(dsn) as conn:
        return await rows(
            conn, "select topic, subject, payload, source, webhook_id from events order by webhook_id"
        )


def test_a_genuine_webhook_is_stored_with_its_work_before_it_is_answered(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with serving(database) as (client, _):
            answer = await _post(client)
            assert (answer.status_code, answer.json()) == (200, {"received": "stored"})
            assert await _stored(database) == [(LEVELS, ITEM, json.loads(BODY), Source.SHOPIFY, "webhook-1")]
            async with await connect(database) as conn:
                assert await jobs(conn) == [(f"1:aut_1:{ITEM}", "todo", None)]

    asyncio.run(story())


def test_a_repeated_delivery_is_answered_alike_and_stored_once(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with serving(database) as (client, _):
            answers = await asyncio.gather(*(_post(client) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}
            assert sorted(answer.json()["received"] for answer in answers) == ["duplicate"] * 19 + ["stored"]
            assert len(await _stored(database)) == 1

    asyncio.run(story())


def test_the_secret_before_a_rotation_is_accepted(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with serving(database) as (client, _):
            assert (await _post(client, secret="old")).status_code == 200

    asyncio.run(story())


def test_what_is_refused_is_not_stored(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with serving(database) as (client, _):
            unknown = await _post(client, X_Shopify_Shop_Domain="two.myshopify.com")
            forged = await _post(client, secret="guess")
            assert (unknown.status_code, forged.status_code) == (401, 401)
            assert unknown.content == forged.content  # which shops exist is nobody's business
            assert (await _post(client, b"[]")).status_code == 400
            assert (await _post(client, b'{"a":"' + b"a" * LIMIT + b'"}')).status_code == 413
            assert (await client.get("/webhooks/shopify")).status_code == 405
            assert await _stored(database) == []

    asyncio.run(story())


@pytest.mark.parametrize("shop", ["one.myshopify.com", "two.myshopify.com"])
def test_a_body_without_a_length_is_cut_off_at_the_limit(database: str, shop: str) -> None:
    chunk = b"%x\r\n" % LIMIT + b"a" * LIMIT + b"\r\n"

    async def story() -> None:
        async with serving(database) as (client, _):
            given = {"Transfer_Encoding": "chunked", "X_Shopify_Shop_Domain": shop}
            async with sending(client, chunk + b"1\r\na\r\n", **given) as (reader, _):
                assert await _status(reader) == 413
            assert await _stored(database) == []

    asyncio.run(story())


@pytest.mark.parametrize("shop", ["one.myshopify.com", "two.myshopify.com"])
def test_a_body_that_does_not_arrive_in_time_is_waited_for_no_longer(database: str, shop: str) -> None:
    async def story() -> None:
        async with serving(database, bodies=BodyLimits(size_bytes=LIMIT, read_s=0.05)) as (client, _):
            given = {"Content_Length": "10", "X_Shopify_Shop_Domain": shop}
            async with sending(client, b'{"a":', **given) as (reader, _):
                assert await _status(reader) == 408
            assert await _stored(database) == []

    asyncio.run(story())


def test_bodies_that_come_in_parts_are_limited_in_number_and_hold_up_no_other(database: str) -> None:
    length = {"Content_Length": str(len(BODY))}

    async def story() -> None:
        await _install(database)
        async with (
            serving(database, bodies=BodyLimits(size_bytes=LIMIT, in_parts=1)) as (client, _),
            sending(client, BODY[:5], **length) as one,
            sending(client, BODY[:5], **length) as two,
            sending(client, BODY[:5], X_Shopify_Shop_Domain="two.myshopify.com", **length) as stranger,
        ):
            waiting = {asyncio.create_task(_status(reader)): writer for reader, writer in (one, two)}
            [crowded], [slow] = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert crowded.result() == 503
            assert (await _post(client)).status_code == 200  # in one part
            stranger[1].write(BODY[5:])  # nothing of it is kept: there is room for it
            assert await _status(stranger[0]) == 401
            waiting[slow].write(BODY[5:])
            assert await slow == 200
            async with sending(client, BODY[:5], **length) as (reader, writer):
                writer.write(BODY[5:])
                assert await _status(reader) == 200

    asyncio.run(story())


def test_a_delivery_that_postgresql_would_refuse_is_repaired_and_harms_no_other(database: str) -> None:
    async def story() -> None:
        await _install(database)
        bad = [rb'{"id":1,"title":"a\u0000b"}', rb'{"id":1,"title":"half \ud83d"}', b'{"id":1,"price":1e400}']
        async with serving(database, Limits(writers=1)) as (client, _):
            good = [_post(client, webhook_id=f"good-{no}") for no in range(20)]
            poisoned = [_post(client, body, webhook_id=f"bad-{no}") for no, body in enumerate(bad)]
            answers = [answer.status_code for answer in await asyncio.gather(*poisoned, *good)]
            assert answers == [200, 200, 400] + [200] * 20
            assert len(await _stored(database)) == 22

    asyncio.run(story())


def test_one_event_that_the_database_refuses_does_not_fail_its_batch(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with open_pool(database) as opened, Inbox(opened, Limits(writers=1)) as inbox:
            shop = ShopId(1)
            events = [event(shop, no) for no in range(1, 30)]
            events[10] = event(ShopId(2**70), 110)
            events[20] = event(shop, 120, payload={"no": float("nan")})
            answers = await asyncio.gather(*(inbox.receive(one) for one in events))
            assert [no for no, answer in enumerate(answers) if answer is not Received.STORED] == [10, 20]
            assert {answers[10], answers[20]} == {Received.REFUSED}
            assert len(await _stored(database)) == 27

    asyncio.run(story())


def test_one_event_that_is_nested_too_deeply_does_not_fail_its_batch(database: str) -> None:
    deep: dict = {}
    for _ in range(200_000):
        deep = {"a": deep}

    async def story() -> None:
        await _install(database)
        async with open_pool(database) as opened, Inbox(opened, Limits(writers=1)) as inbox:
            events = [event(ShopId(1), no) for no in range(3)]
            events[1] = event(ShopId(1), 1, payload=deep)
            answers = await asyncio.gather(*(inbox.receive(one) for one in events))
            assert answers == [Received.STORED, Received.REFUSED, Received.STORED]

    asyncio.run(story())


def test_a_delivery_that_the_database_refuses_is_answered_422(database: str) -> None:
    async def find(_connections: Pool, _domain: str, /) -> Sender:
        return Sender(shop_id=ShopId(2**70), secrets=("new",))

    async def story() -> None:
        async with serving(database, find=find) as (client, _):
            answer = await _post(client)
            assert (answer.status_code, "refuses" in answer.json()["error"]) == (422, True)

    asyncio.run(story())


def test_a_shop_that_was_just_removed_is_unknown_also_to_who_remembers_it(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with serving(database) as (client, _):
            assert (await _post(client)).status_code == 200
            async with await connect(database) as conn:
                await shops.remove(conn, ShopId(1))
            removed, forged = await _post(client, webhook_id="webhook-2"), await _post(client, secret="guess")
            assert (removed.status_code, removed.content) == (401, forged.content)
            assert [webhook_id for *_, webhook_id in await _stored(database)] == ["webhook-1"]

    asyncio.run(story())


@pytest.mark.parametrize("domain", ["", "a%00b", "x" * 300, "one_two", "caf\xe9"])
def test_what_cannot_be_a_domain_is_no_shop_and_no_question(database: str, domain: str) -> None:
    asked: list[str] = []

    async def find(_connections: Pool, domain: str, /) -> None:
        asked.append(domain)

    async def story() -> None:
        async with serving(database, find=find) as (client, _):
            given = headers() | {"X-Shopify-Shop-Domain": domain.encode("latin-1")}
            answer = await client.post("/webhooks/shopify", content=BODY, headers=given)
            assert (answer.status_code, asked) == (401, [])

    asyncio.run(story())


def test_many_at_once_share_transactions(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with open_pool(database) as opened, Inbox(opened, Limits(writers=1)) as inbox:
            events = [event(ShopId(1), no) for no in range(500)]
            assert set(await asyncio.gather(*(inbox.receive(one) for one in events))) == {Received.STORED}
        async with await connect(database) as conn:
            [(transactions,)] = await rows(conn, "select count(distinct received_at) from events")
            assert 5 <= transactions <= 10

    asyncio.run(story())


def test_when_too_many_wait_the_next_is_turned_away_at_once(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with await psycopg.AsyncConnection.connect(database) as blocker:
            await blocker.execute("lock table events")
            limits = Limits(writers=1, batch_rows=1, queue_rows=2, answer_s=1.0)
            async with serving(database, limits) as (client, inbox):
                waiting = [asyncio.create_task(_post(client, webhook_id="the writer has it"))]
                await until(lambda: _somebody_waits(database))
                waiting += [asyncio.create_task(_post(client, webhook_id=f"w-{no}")) for no in range(2)]
                async with asyncio.timeout(5):
                    while inbox.waiting < 2:  # noqa: ASYNC110 - a count, not an event
                        await asyncio.sleep(0.01)
                began = monotonic()
                answer = await _post(client, webhook_id="one too many")
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
                assert monotonic() - began < 0.5
                assert {(await one).status_code for one in waiting} == {503}
                await blocker.rollback()
                assert (await _post(client, webhook_id="later")).status_code == 200

    asyncio.run(story())


async def _somebody_waits(dsn: str) -> bool:
    async with await connect(dsn) as conn:
        return bool(await rows(conn, "select from pg_stat_activity where wait_event_type = 'Lock'"))


def test_without_a_database_the_answer_is_503_within_two_seconds(pg_server: DatabaseServer) -> None:
    dsn = pg_server.fresh_database()

    async def story() -> None:
        await _install(dsn)
        async with serving(dsn) as (client, _):
            assert (await _post(client)).status_code == 200
            await asyncio.to_thread(pg_server.drop, dsn)
            for no in range(3):
                began = monotonic()
                assert (await _post(client, webhook_id=f"w-{no}")).status_code == 503
                assert monotonic() - began < 3
            assert (await client.get("/healthz")).status_code == 200
            ready = await client.get("/readyz")
            assert (ready.status_code, "does not answer" in ready.json()["problem"]) == (503, True)
            lines = (await client.get("/metrics")).text.splitlines()
            assert "stockwright_database_up 0.0" in lines
            assert 'stockwright_webhooks_total{result="rejected_503"} 3.0' in lines
            assert not [line for line in lines if line.startswith("stockwright_pools")]

    asyncio.run(story())


def test_also_when_no_shop_is_remembered_any_more_every_answer_without_a_database_is_in_time(
    pg_server: DatabaseServer,
) -> None:
    dsn = pg_server.fresh_database()
    clock, asked = [0.0], [0]

    async def find(connections: Pool, domain: str, /) -> Sender | None:
        asked[0] += 1
        return await find_stored(connections, domain)

    async def story() -> None:
        await _install(dsn)
        async with serving(dsn, Limits(answer_s=1.0), find=find, clock=lambda: clock[0]) as (
            client,
            _,
        ):
            assert (await _post(client)).status_code == 200
            await asyncio.to_thread(pg_server.drop, dsn)
            clock[0] = 70.0
            began = monotonic()
            shops_asked = [f"{no}.myshopify.com" for no in range(25)] + ["one.myshopify.com"] * 25
            answers = await asyncio.gather(
                *(
                    _post(client, webhook_id=f"w-{no}", X_Shopify_Shop_Domain=shop)
                    for no, shop in enumerate(shops_asked)
                )
            )
            assert {answer.status_code for answer in answers} == {503}
            assert monotonic() - began < 3
            assert (await _post(client)).status_code == 503
            assert asked[0] == 3  # one before, two that failed: that is remembered

    asyncio.run(story())


def test_leaving_the_inbox_stores_what_was_accepted(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with open_pool(database) as opened:
            async with Inbox(opened, Limits(writers=1, batch_rows=5)) as inbox:
                waiting = [asyncio.create_task(inbox.receive(event(ShopId(1), no))) for no in range(50)]
                await asyncio.sleep(0)
            assert {await one for one in waiting} == {Received.STORED}

    asyncio.run(story())


ONE = Sender(shop_id=ShopId(1), secrets=("s",))


def test_senders_are_remembered_for_a_few_seconds() -> None:
    asked: list[str] = []
    clock = [0.0]

    async def find(domain: str, /) -> Sender | None:
        asked.append(domain)
        return ONE if domain == "one" else None

    async def story() -> None:
        known = CachedSenders(find, LookUps(keep_s=5, remembered=2), clock=lambda: clock[0])
        for _ in range(3):
            assert await known("one") == ONE
            assert await known("nobody") is None
        assert asked == ["one", "nobody"]
        clock[0] = 5.1
        await known("one")
        await known("a-third-one.the-memory-is-full")
        assert asked[2:] == ["one", "a-third-one.the-memory-is-full"]

    asyncio.run(story())


def test_a_flood_of_unknown_shops_asks_for_two_at_a_time_and_keeps_no_known_shop_waiting() -> None:
    clock, asking, most = [0.0], [0], [0]
    go_on = asyncio.Event()

    async def find(domain: str, /) -> Sender | None:
        asking[0] += 1
        most[0] = max(most[0], asking[0])
        if domain != "one":
            await go_on.wait()
        asking[0] -= 1
        return ONE if domain == "one" else None

    async def story() -> None:
        known = CachedSenders(find, LookUps(keep_s=5, waiting=50), clock=lambda: clock[0])
        one = await known("one")
        clock[0] = 10.0
        flood = [asyncio.create_task(known(f"unknown-{no}")) for no in range(50)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await known("one") == one
        with pytest.raises(NotAsked, match="Too many"):
            await known("unknown-50")
        go_on.set()
        assert set(await asyncio.gather(*flood)) == {None}
        assert most[0] == 2

    asyncio.run(story())


def test_who_wants_to_know_the_same_shares_one_question() -> None:
    asked: list[str] = []

    async def find(domain: str, /) -> Sender | None:
        asked.append(domain)
        await asyncio.sleep(0)
        return ONE

    async def story() -> None:
        known = CachedSenders(find)
        assert set(await asyncio.gather(*(known("one") for _ in range(20)))) == {ONE}
        assert asked == ["one"]

    asyncio.run(story())


def test_after_a_failure_nobody_asks_for_a_second_and_a_known_shop_stays_known_for_a_minute() -> None:
    clock, asked, fails = [0.0], [0], [False]

    async def find(_domain: str, /) -> Sender | None:
        asked[0] += 1
        if fails[0]:
            raise psycopg.OperationalError("the database is away")
        return ONE

    async def story() -> None:
        known = CachedSenders(find, LookUps(keep_s=5, failure_s=1), clock=lambda: clock[0])
        await known("one")
        clock[0], fails[0] = 10.0, True
        with pytest.raises(psycopg.OperationalError):
            await known("two")
        assert await known("one") == ONE
        with pytest.raises(NotAsked):
            await known("two")
        assert asked[0] == 2
        clock[0], fails[0] = 11.1, False
        assert await known("two") == ONE

    asyncio.run(story())


def test_a_question_that_is_never_answered_is_given_up_in_time() -> None:
    async def find(_domain: str, /) -> Sender | None:
        await asyncio.Event().wait()
        raise AssertionError

    async def story() -> None:
        known = CachedSenders(find, LookUps(answer_s=0.05))
        found = await asyncio.gather(*(known(f"shop-{no}") for no in range(10)), return_exceptions=True)
        assert {type(one) for one in found} == {TimeoutError}

    asyncio.run(story())


def test_a_service_with_its_tables_is_ready_and_one_with_older_tables_is_not(database: str) -> None:
    async def story() -> None:
        async with serving(database) as (client, _):
            assert (await client.get("/healthz")).json() == {"status": "alive", "version": "1.2.3"}
            assert (await client.get("/readyz")).json() == {"status": "ready"}
        async with serving(database, schema_head="9999") as (client, _):
            answer = await client.get("/readyz")
            assert (answer.status_code, "9999 is needed" in answer.json()["problem"]) == (503, True)

    asyncio.run(story())


def test_a_database_without_tables_is_not_ready(pg_server: DatabaseServer) -> None:
    dsn = pg_server.empty_database()

    async def story() -> None:
        async with serving(dsn) as (client, _):
            assert "step none" in (await client.get("/readyz")).json()["problem"]

    asyncio.run(story())
    pg_server.drop(dsn)


def test_the_metrics_count_webhooks_and_what_waits(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with await connect(database) as conn:
            await conn.execute(
                "insert into runs (shop_id, run_id, automation_id, kind, subject, state, started_at, requests)"
                " values (1, 'run_1', 'aut_1', 'k', '*', 'failed', now(), 7)"
            )
            await conn.execute(
                "insert into pools (shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status, assumed)"
                " values (1, 'pool_1', 'aut_1', 'p', '*', '', 1, '{}', 0, 'frozen', 2)"
            )
        async with serving(database) as (client, _):
            for webhook_id in ("one", "one", "two"):
                await _post(client, webhook_id=webhook_id)
            await _post(client, secret="guess")
            lines = (await client.get("/metrics")).text.splitlines()
            for line in (
                'stockwright_webhooks_total{result="stored"} 2.0',
                'stockwright_webhooks_total{result="duplicate"} 1.0',
                'stockwright_webhooks_total{result="rejected_401"} 1.0',
                "stockwright_webhook_seconds_count 4.0",
                "stockwright_database_up 1.0",
                "stockwright_work_waiting 2.0",
                'stockwright_jobs{state="waiting"} 1.0',
                'stockwright_runs_last_hour{state="failed"} 1.0',
                "stockwright_api_requests_last_hour 7.0",
                'stockwright_pools_frozen{shop="one.myshopify.com"} 1.0',
                'stockwright_assumed_outcomes{shop="one.myshopify.com"} 2.0',
            ):
                assert line in lines

    asyncio.run(story())
