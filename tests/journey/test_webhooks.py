"""The webhook endpoint as Shopify meets it, and the pages about the service's health."""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from time import monotonic

import httpx2
import psycopg
import uvicorn

from stockwright.inbox import CachedSenders, Inbox, Limits, Received, Sender
from stockwright.model import ShopId, Source
from stockwright.store.database import pool
from stockwright.store.migrations import head
from stockwright.web import WebDeps, create_app
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


@asynccontextmanager
async def serving(dsn: str, limits: Limits | None = None, *, schema_head: str | None = None):
    """A real server on a free port of this machine; yields an HTTP client and the inbox."""

    async def find(domain: str, /) -> Sender | None:
        return Sender(shop_id=ShopId(1), secrets=("new", "old")) if domain == "one.myshopify.com" else None

    async with pool(dsn, size=6, name="web", timeout_s=2) as opened, Inbox(opened, limits) as inbox:
        app = create_app(
            WebDeps(
                inbox=inbox,
                find_sender=CachedSenders(find),
                pool=opened,
                now=lambda: datetime.now(UTC),
                body_limit_bytes=LIMIT,
                schema_head=schema_head or head(),
                version="1.2.3",
            )
        )
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            running = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                async with httpx2.AsyncClient(base_url=address, trust_env=False, timeout=20) as client:
                    yield client, inbox
            finally:
                server.should_exit = True
                await running


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


def test_a_body_without_a_length_is_cut_off_at_the_limit(database: str) -> None:
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 100 * LIMIT:
            sent += 1000
            yield b"a" * 1000

    async def story() -> None:
        async with serving(database) as (client, _):
            with suppress(httpx2.TransportError):  # the server may close before we have read its answer
                answer = await client.post("/webhooks/shopify", content=endless(), headers=headers())
                assert answer.status_code == 413
            assert await _stored(database) == []
            assert (await client.get("/healthz")).status_code == 200

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


def test_leaving_the_inbox_stores_what_was_accepted(database: str) -> None:
    async def story() -> None:
        await _install(database)
        async with open_pool(database) as opened:
            async with Inbox(opened, Limits(writers=1, batch_rows=5)) as inbox:
                waiting = [asyncio.create_task(inbox.receive(event(ShopId(1), no))) for no in range(50)]
                await asyncio.sleep(0)
            assert {await one for one in waiting} == {Received.STORED}

    asyncio.run(story())


def test_senders_are_remembered_for_a_few_seconds() -> None:
    asked: list[str] = []
    clock = [0.0]

    async def find(domain: str, /) -> Sender | None:
        asked.append(domain)
        return Sender(shop_id=ShopId(1), secrets=("s",)) if domain == "one" else None

    async def story() -> None:
        known = CachedSenders(find, keep_s=5, limit=2, clock=lambda: clock[0])
        for _ in range(3):
            assert await known("one") == Sender(shop_id=ShopId(1), secrets=("s",))
            assert await known("nobody") is None
        assert asked == ["one", "nobody"]
        clock[0] = 5.1
        await known("one")
        await known("a third one: the memory is full")
        assert asked[2:] == ["one", "a third one: the memory is full"]

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
        return Sender(shop_id=ShopId(1), secrets=("s",)) if domain == "one" else None

    async def story() -> None:
        known = CachedSenders(find, keep_s=5, clock=lambda: clock[0])
        one = await known("one")
        clock[0] = 10.0
        flood = [asyncio.create_task(known(f"unknown-{no}")) for no in range(50)]
        await asyncio.sleep(0)
        assert await known("one") == one
        go_on.set()
        assert set(await asyncio.gather(*flood)) == {None}
        assert most[0] == 2

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
