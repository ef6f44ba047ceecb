"""Mail queues against a real sink, on a clock that tests move: everything but the job engine is production code."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from mail_sink import SmtpSink
from stockwright.deps import Deps
from stockwright.ledger.state import Policy
from stockwright.mail.account import Account, Security
from stockwright.mail.message import Envelope
from stockwright.mailing import Mailing, Senders
from stockwright.model import ShopId
from stockwright.notify.tokens import Keyring
from stockwright.sending import send_queue
from stockwright.store import messages
from stockwright.store.database import Pool, pool
from stockwright.store.messages import MessageRow, NewMessage, queue_key
from tests.journey.database_clock import DatabaseClock
from tests.store.rows import NOON, add_shop

_STEP = timedelta(milliseconds=1)  # each look at the database takes time


class Killed(BaseException):
    """The process ends here, without saying goodbye."""


class Seams:
    """Points at which a process may die; the nth of them is its last."""

    def __init__(self, die_at: int | None = None) -> None:
        self.passed = 0
        self.die_at = die_at

    def reach(self) -> None:
        """Pass a point, or die; the dead pass none."""
        if self.die_at is not None and self.passed >= self.die_at:
            raise Killed
        self.passed += 1


class SeamedPool:
    """The connection pool with a seam before and after each transaction; time passes there."""

    def __init__(self, inner: Pool, seams: Seams, tick: Callable[[], None]) -> None:
        self._inner, self._seams, self._tick = inner, seams, tick

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        self._seams.reach()
        self._tick()
        async with self._inner.connection() as conn:
            yield conn
        self._seams.reach()


@dataclass(kw_only=True)
class MailService:
    """One installation with one shop and one sink."""

    sink: SmtpSink
    connections: Pool
    clock_of_database: DatabaseClock
    shop_id: ShopId = field(init=False)
    now: datetime = NOON
    senders: Senders = field(default_factory=Senders)
    account: Account | None = None

    def start(self, seams: Seams | None = None) -> Deps:
        """A process: nothing is left of an earlier one."""
        self.senders = Senders()
        return Deps(
            database=cast(Pool, SeamedPool(self.connections, seams or Seams(), self.tick)),
            clients=cast(Any, None),
            clock=lambda: self.now,
            nonce=lambda: "",
            policy=Policy(),
            keyring=Keyring(b"the key of all mail tests"),
            mailing=Mailing(
                account=self.account,
                senders=self.senders,
                sleep=self.sleep,
                open_password=bytes.decode,
                seal_password=str.encode,
            ),
        )

    def tick(self) -> None:
        self.move(_STEP)

    def move(self, by: timedelta) -> None:
        """Let time pass, for the process and for the database."""
        self.now += by
        self.clock_of_database.set(self.now)

    async def sleep(self, delay_s: float) -> None:
        """Time passes while something waits."""
        self.move(timedelta(seconds=delay_s))

    async def enqueue(self, *keys: str, shop_id: ShopId | None = None, **changes: Any) -> None:
        """Queue a message per key, each in a transaction of its own."""
        for key in keys:
            self.tick()
            given = {
                "kind": "test_mail",
                "to": f"{key}@example.com",
                "subject": f"About {key}",
                "text": "Hi.",
            }
            async with self.connections.connection() as conn, conn.transaction():
                row = NewMessage(key=key, **(given | changes))
                await messages.enqueue(conn, shop_id or self.shop_id, row, self.now)

    async def run(self, deps: Deps | None = None, shop_id: ShopId | None = None) -> None:
        """One job of the shop's queue."""
        deps = deps or self.start()
        async with self.connections.connection() as conn:  # the job engine takes the waiting job
            lock = queue_key(shop_id or self.shop_id).lock
            await conn.execute("delete from procrastinate_jobs where queueing_lock = %s", (lock,))
        try:
            await send_queue(deps, queue_key(shop_id or self.shop_id))
        finally:
            await deps.mailing.senders.close()

    async def message(self, key: str) -> MessageRow:
        async with self.connections.connection() as conn:
            row = await messages.find_key(conn, self.shop_id, key)
        assert row is not None
        return row

    async def states(self, *keys: str) -> list[str]:
        return [(await self.message(key)).state for key in keys]

    def delivered(self, key: str) -> int:
        """How often the sink got a message."""
        return sum(mail.subject == f"About {key}" for mail in self.sink.mailbox.mails)

    def set_account(self, **changes: Any) -> None:
        """Point the installation's mail service at the sink."""
        base = Account(
            host="127.0.0.1",
            port=self.sink.port,
            security=Security.NONE,
            envelope=Envelope(from_address="stock@example.com"),
            rate_per_minute=100_000,
            timeout_s=5.0,
        )
        self.account = replace(base, **changes)


Story = Callable[[MailService], Awaitable[None]]


def play(dsn: str, story: Story, **sink_options: Any) -> None:
    """Play a story with a shop, a sink and the installation's mail service pointing at it."""

    async def whole() -> None:
        clock = DatabaseClock(dsn)
        clock.set(NOON)
        try:
            async with SmtpSink(**sink_options) as sink, pool(dsn, size=4, name="mail") as connections:
                service = MailService(sink=sink, connections=connections, clock_of_database=clock)
                service.set_account()
                async with connections.connection() as conn:
                    service.shop_id = await add_shop(conn)
                await story(service)
                await service.senders.close()
        finally:
            clock.close()

    asyncio.run(whole())
