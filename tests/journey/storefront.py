"""Shoppers of a journey's service: an offer in the bundled shop, posts through the app proxy or directly, links in mail.

Requests go through production code from the route on; only the socket is missing.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import httpx2
from psycopg.types.json import Jsonb
from starlette.applications import Starlette

from shopify_emulator import Product, VariantSpec
from shopify_emulator.faults import Fault
from shopify_emulator.storefront.app_proxy import signed_query
from stockwright.fresh_products import FreshProducts
from stockwright.inbox import Sender
from stockwright.mailing import Mailing
from stockwright.model import gid_number
from stockwright.settings import Settings
from stockwright.store import shops
from stockwright.web.storefront import StorefrontDeps, storefront_routes
from tests.journey.service import DOMAIN, PUBLIC_URL, SECRET, Service, running
from tests.store.rows import rows

ADA, EVE = "ada@example.com", "eve@example.com"
SHOPPER = "203.0.113.9"
OFFER = "off_1"
SHOP_LIMIT_S = 10.0  # for a shop that is in this process
PAGE = {"Accept": "text/html,application/xhtml+xml"}
PROGRAM = {"Accept": "application/json"}


@dataclass(kw_only=True)
class Storefront:
    """One product in an active offer that is sold out, and everybody who may ask for it."""

    service: Service
    http: httpx2.AsyncClient
    own: StorefrontDeps
    product: Product
    shelf: str
    sent: list[dict[str, Any]] = field(default_factory=list)

    # --- asking ---------------------------------------------------------------------------------------------

    def variant(self, title: str) -> str:
        """The number of a variant."""
        return gid_number(next(one for one in self.product.variants if one.title == title).gid)

    def query(
        self, query: str = "", *, customer_id: str = "", secret: str = SECRET, shop: str = DOMAIN
    ) -> str:
        """What Shopify adds to a shopper's query."""
        now = self.service.clock.now()
        return signed_query(
            query, shop=shop, customer_id=customer_id, path_prefix="/apps/stockwright", secret=secret, now=now
        )

    async def post(
        self,
        email: str = ADA,
        title: str = "Small",
        *,
        customer_id: str = "",
        client: str = SHOPPER,
        headers: dict[str, str] = PROGRAM,
        **fields: object,
    ) -> httpx2.Response:
        """Sign up through the app proxy."""
        form = {"variant": self.variant(title), "product": gid_number(self.product.gid), "email": email}
        given = {name: str(value) for name, value in {**form, **fields}.items() if value is not None}
        return await self.http.post(
            "/proxy/notify-me?" + self.query(customer_id=customer_id),
            content=urlencode(given),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Forwarded-For": client,
                **headers,
            },
        )

    async def state(self, *, customer_id: str = "", locale: str = "en") -> dict[str, Any]:
        """What the button asks."""
        query = f"product={gid_number(self.product.gid)}&locale={locale}"
        answer = await self.http.get("/proxy/notify-me/state?" + self.query(query, customer_id=customer_id))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def button(self, title: str = "Small", **options: Any) -> bool:
        """Whether a variant has one."""
        found = (await self.state(**options))["variants"].get(self.variant(title))
        return bool(found and found["notify"])

    # --- the shop -------------------------------------------------------------------------------------------

    def stock(self, title: str, quantity: int) -> None:
        """The merchant types a level."""
        variant = next(one for one in self.product.variants if one.title == title)
        self.service.shop.bulk_edit([(variant.item.gid, self.shelf, quantity)])

    def silence(self) -> None:
        """The shop answers nothing more."""
        self.service.shop.faults.rates({Fault.CONNECT_REFUSED: 1.0})

    async def options(self, **options: object) -> None:
        """The merchant saves other options of the feature."""
        await self.sql("update automations set options = options || %s", Jsonb(options))

    async def sql(self, statement: str, *values: object) -> None:
        async with self.service.database.connection() as conn:
            await conn.execute(statement, values)

    # --- what came of it ------------------------------------------------------------------------------------

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.service.database.connection() as conn:
            return await rows(conn, query)

    async def people(self) -> list[tuple[str, str]]:
        """Address and state of every request, oldest first."""
        return await self.rows("select email, state from subscribers order by created_at, subscriber_id")

    async def mails(self) -> list[tuple[str, str]]:
        """Kind and recipient of every queued mail, oldest first."""
        return await self.rows("select kind, recipient from messages order by created_at, message_id")

    async def links(self, kind: str) -> list[str]:
        """The paths of our pages in mails of a kind, the newest last."""
        texts = await self.rows(
            f"select text from messages where kind = '{kind}' order by created_at, message_id"
        )
        return [re.findall(rf"{re.escape(PUBLIC_URL)}(/u/\S+)", text)[0] for (text,) in texts]

    async def counts(self) -> list[int]:
        """The counters of limits."""
        return [count for (count,) in await self.rows("select count from signup_counts order by bucket")]

    async def everything(self) -> list[Any]:
        """All that a page of ours could change."""
        return [
            await self.rows("select * from subscribers order by subscriber_id"),
            await self.rows("select * from suppressions order by address_hash"),
            await self.rows("select count(*) from subscriber_steps"),
            await self.rows("select message_id, state from messages order by message_id"),
        ]


async def press(store: Storefront, path: str, **form: str) -> httpx2.Response:
    """Press a button of one of our pages."""
    return await store.http.post(path, data=form)


# --- opening one --------------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(
    dsn: str, *, shop_limit_s: float = SHOP_LIMIT_S, **options: object
) -> AsyncIterator[Storefront]:
    """A service whose shop has a sold-out product in an active offer; `options` of the automation."""
    async with running(dsn) as service:
        shelf = service.shop.add_location("Shelf")
        specs = [
            VariantSpec(title="Small"),
            VariantSpec(title="Large"),
            VariantSpec(title="Poster", tracked=False),
        ]
        product = service.shop.add_product(
            "Harbour", variants=specs, option_names=["Size"], levels={shelf: 0}
        )
        deps = replace(service.deps, mailing=Mailing(public_url=PUBLIC_URL))
        own = StorefrontDeps(
            deps=deps,
            products=FreshProducts(deps, keep_s=0, limit_s=shop_limit_s),
            find_sender=finder(service),
            trusted=Settings().proxy_networks,
            floor_s=0,
        )
        transport = httpx2.ASGITransport(app=Starlette(routes=storefront_routes(own)))
        async with httpx2.AsyncClient(transport=transport, base_url="https://stock.example.com") as http:
            store = Storefront(service=service, http=http, own=own, product=product, shelf=shelf)
            await _set_up(store, options)
            yield store
            await own.products.aclose()


async def _set_up(store: Storefront, options: dict[str, object]) -> None:
    await store.sql(
        "insert into automations (shop_id, automation_id, kind, name, options, topics, enabled)"
        " values (%s, 'aut_notify', 'notify-back-in-stock', 'Notify', %s, '{}', true)",
        store.service.shop_id,
        Jsonb(options),
    )
    await store.sql(
        "insert into offers (shop_id, offer_id, name, status, mode, activated_at)"
        " values (%s, %s, 'Pre-order', 'active', 'out_of_stock', now())",
        store.service.shop_id,
        OFFER,
    )
    await offer(store, store.product)


async def offer(store: Storefront, product: Product, variant_id: str = "") -> None:
    """Add a product, or one variant, to the offer."""
    await store.sql(
        "insert into offer_items (shop_id, offer_id, product_id, variant_id, product_title) values (%s, %s, %s, %s, %s)",
        store.service.shop_id,
        OFFER,
        product.gid,
        variant_id,
        product.title,
    )


def finder(service: Service) -> Callable[[str], Awaitable[Sender | None]]:
    """Looks shops up as the web process does."""

    async def find(domain: str, /) -> Sender | None:
        async with service.database.connection() as conn:
            found = await shops.find(conn, domain)
        return Sender(shop_id=found.shop_id, secrets=(SECRET,)) if found else None

    return find


Story = Callable[[Storefront], Awaitable[None]]


def play(dsn: str, story: Story, *, shop_limit_s: float = SHOP_LIMIT_S, **options: object) -> None:
    """Play a story at a storefront of its own."""

    async def whole() -> None:
        async with opened(dsn, shop_limit_s=shop_limit_s, **options) as store:
            await story(store)

    asyncio.run(whole())
