"""People who wait, and the whole way to their mail: the service, the bundled shop and a mail sink on one clock."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from mail_sink import SmtpSink
from mail_sink.mailbox import Mail, Mailbox
from shopify_emulator import Product, Shop, VariantSpec, WebhookFault
from stockwright.mail.account import Account, Security
from stockwright.mail.message import Envelope
from stockwright.mailing import Mailing, Senders
from stockwright.notifying import wake_waves
from stockwright.sending import wake_queues
from stockwright.store.automations import AutomationRow
from tests.journey.service import KEYRING, PUBLIC_URL, Service, running

KIND = "notify-back-in-stock"


@dataclass(frozen=True, kw_only=True)
class Person:
    """One request as the database has it."""

    subscriber_id: str
    email: str
    variant_id: str
    state: str
    status: str
    reason: str
    notified_at: datetime | None


@dataclass(kw_only=True)
class Alerts:
    """A shop with the feature installed, its people and their mail."""

    service: Service
    sink: SmtpSink
    row: AutomationRow = field(init=False)
    added: int = 0

    @property
    def shop(self) -> Shop:
        return self.service.shop

    async def install(self, **options: Any) -> AutomationRow:
        """Install the automation; it settles for no time unless a test says so."""
        self.row = await self.service.add(KIND, **{"settle_s": 0, **options})
        self.service.requests.clear()
        return self.row

    # --- the shop -----------------------------------------------------------------------------------------------

    def sell_out(self, title: str = "Poster", variants: Sequence[str] = ("A",), **options: Any) -> Product:
        """A product of which nothing is left."""
        if not self.shop.locations():
            self.shop.add_location("Shelf")
        specs = [VariantSpec(title=one) for one in variants]
        return self.shop.add_product(
            title, variants=specs, **{"levels": 0, "option_names": ["Size"], **options}
        )

    def stock(self, product: Product, *, at: str | None = None, **levels: int) -> None:
        """A merchant types levels and saves once."""
        place = at or self.shop.locations()[0].gid
        items = {variant.title: variant.item.gid for variant in product.variants}
        self.shop.bulk_edit([(items[title], place, level) for title, level in levels.items()])

    async def restock(self, product: Product, **levels: int) -> None:
        """The same, and let everything happen that is due."""
        self.stock(product, **levels)
        await self.service.settle()

    def lose_webhooks(self) -> None:
        """No webhook arrives from now on."""
        self.shop.faults.rates({WebhookFault.DROP: 1.0})

    # --- people -------------------------------------------------------------------------------------------------

    async def wait_for(
        self, product: Product, *emails: str, title: str = "A", state: str = "pending", **columns: Any
    ) -> list[str]:
        """Put people in line, in this order; their ids."""
        ids = []
        for email in emails:
            self.added += 1
            variant = next(one for one in product.variants if one.title == title)
            values = {
                "shop_id": self.service.shop_id,
                "subscriber_id": f"sub_{self.added:06d}",
                "email": email,
                "address_hash": KEYRING.address_hash(self.service.shop_id, email),
                "product_id": product.gid,
                "variant_id": variant.gid,
                "product_title": product.title,
                "state": state,
                "source": "proxy",
                "created_at": self.service.clock.now() + timedelta(microseconds=self.added),
                **columns,
            }
            names = ", ".join(values)
            marks = ", ".join(f"%({name})s" for name in values)
            await self.execute(f"insert into subscribers ({names}) values ({marks})", values)
            ids.append(str(values["subscriber_id"]))
        return ids

    async def people(self) -> dict[str, Person]:
        """Everybody's newest request, by address."""
        rows = await self.rows(
            "select subscriber_id, email, variant_id, state, status, reason, notified_at from subscribers"
            " order by subscriber_id"
        )
        return {row[1]: Person(**dict(zip(Person.__dataclass_fields__, row, strict=True))) for row in rows}

    async def states(self) -> dict[str, str]:
        return {email: person.state for email, person in (await self.people()).items()}

    async def steps(self, subscriber_id: str) -> list[tuple[str, str]]:
        """What happened to one person, oldest first: (what, detail)."""
        return [
            (row[0], row[1])
            for row in await self.rows(
                "select what, detail from subscriber_steps where subscriber_id = %(id)s order by step_no",
                {"id": subscriber_id},
            )
        ]

    async def waves(self) -> list[tuple[str, str]]:
        """(state, reason) of every wave, oldest first."""
        rows = await self.rows("select state, reason from waves order by opened_at, wave_id")
        return [(row[0], row[1]) for row in rows]

    # --- mail ---------------------------------------------------------------------------------------------------

    @property
    def mails(self) -> list[Mail]:
        return list(self.sink.mailbox.mails)

    @property
    def told(self) -> list[str]:
        """Whom the sink has mail for, in the order in which it came."""
        return [mail.recipients[0] for mail in self.mails]

    def times(self) -> Counter[str]:
        return Counter(self.told)

    # --- time ---------------------------------------------------------------------------------------------------

    async def wait(self, delay_s: float) -> None:
        """Time passes; what is due happens, and the chores run at the end."""
        await self.service.wait(delay_s)
        await self.chores()

    async def chores(self) -> None:
        """What the leading worker does now and then."""
        await self.service.fire_schedules()
        await wake_waves(self.service.deps)
        await wake_queues(self.service.deps)
        await self.service.settle()

    # --- the database -------------------------------------------------------------------------------------------

    async def rows(self, query: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        async with self.service.database.connection() as conn:
            return await (await conn.execute(query.encode(), values or {})).fetchall()

    async def execute(self, query: str, values: Mapping[str, Any] | None = None) -> None:
        async with self.service.database.connection() as conn:
            await conn.execute(query.encode(), values or {})

    async def set_options(self, **options: Any) -> None:
        """Change the automation's options as they are stored, without an event."""
        await self.execute(
            "update automations set options = options || %(options)s where automation_id = %(id)s",
            {"options": Jsonb(options), "id": self.row.automation_id},
        )


Story = Callable[[Alerts], Awaitable[None]]


def play(
    database: str,
    story: Story,
    *,
    account: Mapping[str, Any] | None = None,
    no_account: bool = False,
    public_url: str | None = PUBLIC_URL,
    **options: Any,
) -> None:
    """Play a story and check the books afterwards."""

    async def whole() -> None:
        async with AsyncExitStack() as stack:
            sink = await stack.enter_async_context(SmtpSink(mailbox=Mailbox()))
            given = Account(
                host="127.0.0.1",
                port=sink.port,
                security=Security.NONE,
                envelope=Envelope(from_address="shop@example.com", from_name="The shop"),
                rate_per_minute=100_000,
                timeout_s=5.0,
            )
            given = replace(given, **(account or {}))
            made: list[Senders] = []

            def mailing() -> Mailing:
                made.append(Senders())
                return Mailing(account=None if no_account else given, public_url=public_url, senders=made[-1])

            service = await stack.enter_async_context(running(database, mailing=mailing, **options))
            await story(Alerts(service=service, sink=sink))
            for senders in made:
                await senders.close()

    asyncio.run(whole())
