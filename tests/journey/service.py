"""The service against the bundled shop, in one process and on one clock that only tests and requests move.

Everything but the worker process and the sockets is production code: inbox, engine, effects, client, SQL. Jobs
are fetched and ended by the job engine's own functions in the database, one at a time, in order.
"""

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import httpx2

from shopify_emulator import EmulatorTransport, ManualClock, Shop
from stockwright import app, installing, upkeep
from stockwright.app import Turn, one_round
from stockwright.deps import Deps, refresh_shop
from stockwright.encryption import Cipher
from stockwright.inbox import Inbox, Limits, Received, Rejection, Sender, read_webhook, sender_domain
from stockwright.jobs.chores import fire_schedules, sweep
from stockwright.jobs.failures import Failures
from stockwright.ledger.state import Policy
from stockwright.mailing import Mailing
from stockwright.model import WHOLE_SHOP, EventId, Json, JsonObject, Key, NewEvent, ShopId, Source
from stockwright.notify.tokens import Keyring
from stockwright.reporting import save_failed_run
from stockwright.shopify.accounts import ShopSecrets, open_secrets, seal_secrets
from stockwright.shopify.client import ShopifyClients
from stockwright.shopify.errors import ShopifyError
from stockwright.shopify.transport import TOTAL_TIMEOUT_S, open_http
from stockwright.store import automations, keys, shops, wake
from stockwright.store import inbox as inbox_store
from stockwright.store.automations import AutomationRow
from stockwright.store.database import Pool, pool
from stockwright.store.ids import new_id
from stockwright.store.shop_rows import ShopRows
from tests.journey.checking import check_everything
from tests.journey.database_clock import DatabaseClock

DOMAIN = "prints.myshopify.com"
PUBLIC_URL = "https://stock.example.com"
TOKEN, SECRET = "shpat_journey", "journey secret"
CLIENT_ID = "demo-client"  # as the bundled shop has it
KEYRING = Keyring(b"the key of all journeys")
RETRY_LIMIT = 12
ROUNDS = 6  # as the composition root
JOBS_LIMIT = 5_000  # of one settling: more means that the service chases itself

Seam = Callable[[str], Awaitable[None]]
_ASK_FOR_TOKEN = "access_token"
_SEAMS = {"AdjustQuantities": ("sending", "executed"), _ASK_FOR_TOKEN: ("asking", "granted")}


async def no_seam(point: str) -> None:
    """Nothing happens at the points where a process may die or be held up."""


@dataclass(kw_only=True)
class Request:
    """One request that the service sent."""

    at: datetime
    operation: str  # AdjustQuantities, ReadProduct, ...
    variables: Mapping[str, Any]
    answered: bool = False


class Courier(httpx2.AsyncBaseTransport):
    """The way to the shop: each request takes time, is noted, and can be met by something on the way."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._inner = EmulatorTransport(service.shop)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        service = self._service
        noted = service.note(request)
        before, after = _SEAMS.get(noted.operation, ("reading", "shown"))
        await service.seam(before)
        await service.move(service.round_trip_s)
        for meet in service.meetings.pop(noted.operation, ()):
            meet()
        try:
            response = await self._inner.handle_async_request(request)
        except httpx2.ReadTimeout:
            await service.move(TOTAL_TIMEOUT_S)
            raise
        finally:
            await service.seam(after)
        noted.answered = True
        return response


class WatchedPool:
    """The connection pool as the steps see it: before and after each transaction a process may die."""

    def __init__(self, inner: Pool, service: "Service") -> None:
        self._inner = inner
        self._service = service

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[Any]:
        await self._service.seam("storing")
        async with self._inner.connection(timeout) as conn:
            yield conn
        await self._service.seam("stored")


@dataclass(kw_only=True)
class Service:
    """One shop and one installation of the service."""

    shop: Shop
    clock: ManualClock
    database: Pool
    database_clock: DatabaseClock
    policy: Policy = field(default_factory=Policy)
    round_trip_s: float = 0.1
    seed: int = 0
    renews_token: bool = False  # the client credentials grant instead of a static token
    seam: Seam = no_seam
    handle_key: Callable[[Deps, Key], Awaitable[None]] = app.handle_key
    mailing: Callable[[], Mailing] = Mailing  # made anew with each process
    on_move: Callable[[], Awaitable[None]] | None = None  # something of the outside may be due
    requests: list[Request] = field(default_factory=list)
    meetings: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)  # runs that ended in one and were put off
    refused: list[int] = field(default_factory=list)  # HTTP statuses of webhooks that were not taken
    inbox: Inbox = field(init=False)
    shop_id: ShopId = field(init=False)
    worker_id: int = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(f"service {self.seed}")
        self._cipher = Cipher((secrets.token_bytes(32),), origin="a test")
        self.shop.deliver = self.deliver
        self.failures = Failures(
            pool=self.database,
            now=self.clock.now,
            limit=RETRY_LIMIT,
            spread=lambda: 0.5,
            save_failed_run=lambda *args, **values: save_failed_run(self.deps, *args, **values),
        )
        self.start_anew()

    # --- the process ------------------------------------------------------------------------------------

    def start_anew(self) -> None:
        """What a process that starts has: nothing in memory."""
        self._http = open_http(Courier(self))
        self.deps = Deps(
            database=cast(Pool, WatchedPool(self.database, self)),
            clients=ShopifyClients(
                ShopRows(self.database),
                self._http,
                self._cipher,
                self.clock.now,
                self.move,
                backoff_s=lambda attempt: 0.5 * 2 ** (attempt - 1),
            ),
            clock=self.clock.now,
            nonce=lambda: f"{self._random.getrandbits(128):032x}",
            policy=self.policy,
            keyring=KEYRING,
            mailing=replace(self.mailing(), sleep=self.move),
        )

    async def install(self, *, subscribed: bool = True) -> None:
        """Add the shop, as `stockwright shop add` does, before any automation is there."""
        granted = ShopSecrets(client_secret=SECRET, webhook_secrets=(SECRET,))
        static = ShopSecrets(access_token=TOKEN, webhook_secrets=(SECRET,))
        new = shops.NewShop(
            domain=self.shop.domain,
            api_url=f"https://{self.shop.domain}",
            auth_mode="client_credentials" if self.renews_token else "access_token",
            client_id=CLIENT_ID if self.renews_token else None,
            secrets=seal_secrets(self._cipher, granted if self.renews_token else static),
        )
        async with self.database.connection() as conn:
            self.shop_id = await shops.add(conn, new)
            self.worker_id = await _register_worker(conn)
        await refresh_shop(self.deps, self.shop_id)

    async def add(self, kind: str, **options: Json) -> AutomationRow:
        """Install an automation, subscribe to what it needs, and let it look at the shop."""
        row = await installing.add(self.deps, self.shop_id, kind=kind, options=options)
        await self.subscribe()
        await self.settle()
        return row

    async def subscribe(self) -> None:
        """Make the shop's webhook subscriptions what the automations need."""
        async with self.database.connection() as conn:
            shop = await shops.get(conn, self.shop_id)
        assert shop is not None
        await upkeep.subscribe(self.deps, shop, public_url=PUBLIC_URL)

    # --- time -------------------------------------------------------------------------------------------

    async def move(self, delay_s: float) -> None:
        """Time passes while something waits; what the shop does later happens at its own moment."""
        until = self.clock.now() + timedelta(seconds=delay_s)
        while (due := self.shop.agenda.next_due()) is not None and due <= until:
            self._set(max(due, self.clock.now()))
            self.shop.tick()
        self._set(until)
        if self.on_move is not None:
            await self.on_move()

    def _set(self, at: datetime) -> None:
        self.clock.advance((at - self.clock.now()).total_seconds())
        self.database_clock.set(self.clock.now())

    async def wait(self, delay_s: float) -> None:
        """Time passes; jobs, webhooks and schedules run when they are due."""
        until = self.clock.now() + timedelta(seconds=delay_s)
        await self.settle()
        while (due := await self.next_due()) is not None and due <= until:
            await self.move(max(0.0, (due - self.clock.now()).total_seconds()))
            await self.settle()
        if until > self.clock.now():
            await self.move((until - self.clock.now()).total_seconds())
        await self.settle()

    async def next_due(self) -> datetime | None:
        """When the next thing happens by itself: a job, a webhook, something late in the shop."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(
                "select min(scheduled_at) from procrastinate_jobs where status = 'todo'"
            )
            row = await cursor.fetchone()
        found = (row[0] if row else None, self.shop.outbox.next_due(), self.shop.agenda.next_due())
        return min((at for at in found if at is not None), default=None)

    # --- webhooks and jobs --------------------------------------------------------------------------------

    async def deliver(self, uri: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take a webhook as the endpoint does: verified, read, stored, answered."""
        headers = {name.lower(): value for name, value in headers.items()}  # as ASGI gives them
        sender = await self._find_sender(sender_domain(headers))
        event = read_webhook(headers, body, sender, event_id=EventId(new_id("evt", self.clock.now())))
        if isinstance(event, Rejection):
            self.refused.append(event.status)
            return event.status
        received = await self.inbox.receive(event)
        return 200 if received in (Received.STORED, Received.DUPLICATE) else 503

    async def _find_sender(self, domain: str) -> Sender | None:
        async with self.database.connection() as conn:
            found = await shops.find(conn, domain)
        if found is None:
            return None
        return Sender(shop_id=found.shop_id, secrets=open_secrets(self._cipher, found.secrets).signing)

    async def settle(self) -> None:
        """Deliver webhooks and run jobs until nothing is due now."""
        for _ in range(JOBS_LIMIT):
            delivered = await self.shop.settle_webhooks()
            if not await self.run_job() and not delivered:
                return
        raise AssertionError(f"the service is not quiet after {JOBS_LIMIT} jobs")

    async def run_job(self) -> bool:
        """Run the first job that is due, as a worker does; False when there is none."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(
                "select id, args from procrastinate_fetch_job_v2(%s, %s)", ([wake.QUEUE], self.worker_id)
            )
            row = await cursor.fetchone()
        if row is None or row[0] is None:
            return False
        await self._run(wake.key_of(row[1]))
        async with self.database.connection() as conn:  # it is gone when others took this worker for dead
            await conn.execute(
                "select procrastinate_finish_job_v1(id, 'succeeded', true) from procrastinate_jobs where id = %s and status = 'doing'",
                (row[0],),
            )
        return True

    async def bury(self) -> None:
        """What other workers do when this one is dead: its jobs are closed, their keys run again."""
        async with self.database.connection() as conn, conn.transaction():
            while (key := await wake.close_dead_job(conn, self.worker_id)) is not None:
                await self.failures.record_crash(conn, key)

    async def restart(self) -> None:
        """A worker process starts after one that died."""
        await self.bury()
        self.start_anew()
        async with self.database.connection() as conn:
            await wake.wake_in_doubt(conn)
        await self.sweep()

    async def _run(self, key: Key) -> None:
        started_at = self.clock.now()
        try:
            await self.handle_key(self.deps, key)
        except Exception as error:  # noqa: BLE001 - as a worker does
            self.errors.append(error)
            await self.failures.record(key, error)
        else:
            await self.failures.forget(key, started_at=started_at)

    async def fire_schedules(self) -> int:
        """The leading worker's chore: put an event into the inbox for every schedule that is due."""
        return await fire_schedules(self.database, self.clock.now())

    async def sweep(self) -> int:
        """The leading worker's chore: wake the keys that are due and have no job."""
        return await sweep(self.database)

    async def reconcile(self) -> None:
        """Have every shared stock observed, as the reconciliation does, and settle."""
        async with self.database.connection() as conn:
            rows = await automations.list_all(conn, self.shop_id)
        await upkeep.observe(self.deps, rows)
        await self.settle()

    async def emit(
        self, row: AutomationRow, topic: str, payload: JsonObject, *, subject: str = WHOLE_SHOP
    ) -> None:
        """Put an event for one automation into the inbox, and settle."""
        event = NewEvent(
            shop_id=self.shop_id,
            event_id=EventId(new_id("evt", self.clock.now())),
            topic=topic,
            payload=payload,
            source=Source.PERSON,
            subject=subject,
            automation_id=row.automation_id,
        )
        async with self.database.connection() as conn:
            await inbox_store.receive(conn, [event])
        await self.settle()

    # --- what was sent --------------------------------------------------------------------------------------

    def note(self, request: httpx2.Request) -> Request:
        asks = request.url.path.endswith(_ASK_FOR_TOKEN)
        body = {"operationName": _ASK_FOR_TOKEN} if asks else json.loads(request.content)
        noted = Request(
            at=self.clock.now(), operation=body["operationName"], variables=body.get("variables") or {}
        )
        self.requests.append(noted)
        return noted

    def on_the_way(self, operation: str, act: Callable[[], object]) -> None:
        """Something happens in the shop just before the next request with this operation arrives."""
        self.meetings.setdefault(operation, []).append(lambda: (act(), None)[1])

    @property
    def writes(self) -> list[Request]:
        """Adjustments that were sent, whatever became of them."""
        return [request for request in self.requests if request.operation == "AdjustQuantities"]


async def _register_worker(conn: Any) -> int:
    cursor = await conn.execute("select worker_id from procrastinate_register_worker_v1()")
    return int((await cursor.fetchone())[0])


async def handle_key(deps: Deps, key: Key) -> None:
    """What the composition root does with a key, without its pauses between rounds: for thousands of them."""
    try:
        rounds = 0
        while rounds < ROUNDS:
            turn = await one_round(deps, key)
            if turn is Turn.DONE:
                return
            rounds += turn is Turn.AGAIN
        async with deps.database.connection() as conn, conn.transaction():
            await keys.set_wake_at(conn, key, deps.clock() + timedelta(seconds=1))
            await wake.wake_next(conn, key)
    except ShopifyError as error:
        if not error.shuts_out:
            raise
        await upkeep.pause_shop(deps, key.shop_id, reason=str(error))


# --- opening one --------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(dsn: str, *, shop: Shop | None = None, **options: Any) -> AsyncIterator[Service]:
    """A service in a fresh database, its shop installed without automations; all is checked at the end."""
    database_clock = DatabaseClock(dsn)
    try:
        async with pool(dsn, size=6, name="journey") as connections:
            shop = shop or new_shop(ManualClock())
            async with serving(connections, database_clock, shop, **options) as service:
                yield service
                await check_everything(service.database, service.shop_id)
    finally:
        database_clock.close()


@asynccontextmanager
async def serving(
    connections: Pool, database_clock: DatabaseClock, shop: Shop, **options: Any
) -> AsyncIterator[Service]:
    """A service over open connections to an empty database; nothing is checked."""
    clock = cast(ManualClock, shop.clock)
    database_clock.set(clock.now())
    service = Service(shop=shop, clock=clock, database=connections, database_clock=database_clock, **options)
    async with Inbox(connections, Limits(writers=1)) as inbox:
        service.inbox = inbox
        await service.install()
        yield service


def new_shop(clock: ManualClock, **options: Any) -> Shop:
    """A shop that knows our token and secret, without locations or products."""
    return Shop(domain=DOMAIN, clock=clock, access_token=TOKEN, client_secret=SECRET, **options)


Story = Callable[[Service], Awaitable[None]]


def play(database: str, story: Story, **options: Any) -> None:
    """Play a story in a service of its own and check the books afterwards."""

    async def whole() -> None:
        async with running(database, **options) as service:
            await story(service)

    asyncio.run(whole())
