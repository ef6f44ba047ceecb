"""The web application on a real port, in a thread of the test's process, with the bundled shop beside it.

Everything but the worker is production code. `run` lets a test act on the database inside the same thread.
"""

import asyncio
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import uvicorn
from argon2 import PasswordHasher
from starlette.types import ASGIApp

from shopify_emulator import RealClock, Shop, asgi_app
from stockwright import access
from stockwright.access import Passwords
from stockwright.adding import ShopDraft, add_shop
from stockwright.app import open_deps
from stockwright.deps import Deps
from stockwright.inbox import Inbox, Limits, Sender
from stockwright.listening import listen
from stockwright.opening import VERSION, cipher, utc_now
from stockwright.settings import Settings
from stockwright.shopify.accounts import AuthMode, ShopSecrets
from stockwright.store.audit import COMMAND_LINE
from stockwright.store.database import pool
from stockwright.store.migrations import head
from stockwright.web import WebDeps, create_app
from stockwright.web.admin.site import AdminDeps
from stockwright.web.webhooks import BodyLimits

T = TypeVar("T")

DOMAIN = "prints.myshopify.com"
SHOP_TOKEN, SHOP_SECRET = "shpat_browser", "browser secret"
USER, PASSWORD = "ann", "four plain words here"
_LIMIT_S = 30.0


def cheap_passwords() -> Passwords:
    """Real hashes that cost nothing."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass(kw_only=True)
class RunningSite:
    """A site that answers at `url`."""

    url: str
    shop_url: str  # where the bundled shop answers
    shop: Shop
    deps: Deps
    settings: Settings
    loop: asyncio.AbstractEventLoop
    clients: list[httpx2.Client] = field(default_factory=list)

    def run(self, work: Callable[[Deps], Coroutine[Any, Any, T]]) -> T:
        """Do something with the service's own dependencies and wait for it."""
        return asyncio.run_coroutine_threadsafe(work(self.deps), self.loop).result(_LIMIT_S)

    def client(self, **options: Any) -> httpx2.Client:
        """A browser that keeps cookies and runs nothing; closed with the site."""
        made = httpx2.Client(base_url=self.url, trust_env=False, **options)
        self.clients.append(made)
        return made

    def execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement of a test's own."""

        async def work(deps: Deps) -> list[tuple[Any, ...]]:
            async with deps.database.connection() as conn:
                cursor = await conn.execute(sql.encode(), values)
                return await cursor.fetchall() if cursor.description else []

        return self.run(work)

    def add_user(self, name: str = USER, password: str = PASSWORD) -> None:
        """As `stockwright user add` does."""

        async def work(deps: Deps) -> None:
            hashed = await cheap_passwords().hash(password)
            async with deps.database.connection() as conn, conn.transaction():
                await access.add_user(conn, COMMAND_LINE, name=name, password_hash=hashed, at=deps.clock())

        self.run(work)

    def add_shop(self) -> int:
        """Install the bundled shop, as `stockwright shop add` does; its number."""

        async def work(deps: Deps) -> int:
            draft = ShopDraft(
                domain=DOMAIN,
                secrets=ShopSecrets(access_token=SHOP_TOKEN, webhook_secrets=(SHOP_SECRET,)),
                auth_mode=AuthMode.ACCESS_TOKEN,
                client_id=None,
                api_url=self.shop_url,
                plan="premium",
            )
            return (await add_shop(deps, cipher(self.settings), draft)).shop_id

        return self.run(work)


@contextmanager
def running_site(dsn: str, *, passwords: Passwords | None = None, **settings: Any) -> Iterator[RunningSite]:
    """A site on a fresh database; `settings` as in stockwright.settings."""
    started = threading.Event()
    made: list[RunningSite] = []
    stops: list[asyncio.Event] = []
    failures: list[BaseException] = []

    async def live() -> None:
        stop = asyncio.Event()
        with tempfile.TemporaryDirectory(prefix="sw-site-") as home:
            async with _site(dsn, Path(home), passwords or cheap_passwords(), settings) as site:
                made.append(site)
                stops.append(stop)
                started.set()
                await stop.wait()

    def thread() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            failures.append(error)
        finally:
            started.set()

    running = threading.Thread(target=thread, name="site")
    running.start()
    started.wait(_LIMIT_S)
    try:
        if not made:
            raise failures[0] if failures else TimeoutError("the site did not start")
        yield made[0]
    finally:
        if made:
            for client in made[0].clients:
                client.close()
            made[0].loop.call_soon_threadsafe(stops[0].set)
        running.join(_LIMIT_S)
        if failures:
            raise failures[0]


@asynccontextmanager
async def _site(
    dsn: str, home: Path, passwords: Passwords, given: dict[str, Any]
) -> AsyncIterator[RunningSite]:
    sock, shop_sock = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    url, shop_url = _address(sock), _address(shop_sock)
    settings = Settings.model_validate({"home": home, "public_url": url, **given})
    shop = Shop(
        domain=DOMAIN,
        clock=RealClock(),
        access_token=SHOP_TOKEN,
        client_secret=SHOP_SECRET,
        name="Demo Prints",
    )
    shop.add_location("Toronto")
    async with (
        open_deps(settings, dsn, name="site", pool_size=6) as deps,
        pool(dsn, size=4, name="inbox") as connections,
        Inbox(connections, Limits(writers=1)) as inbox,
    ):
        app = create_app(
            WebDeps(
                inbox=inbox,
                find_sender=_nobody,
                pool=connections,
                now=utc_now,
                body_limits=BodyLimits(size_bytes=settings.web_body_limit_bytes),
                schema_head=head(),
                version=VERSION,
                admin=AdminDeps(
                    deps=deps,
                    cipher=cipher(settings),
                    settings=settings,
                    version=VERSION,
                    passwords=passwords,
                ),
            )
        )
        async with _serving(app, sock), _serving(asgi_app(shop), shop_sock):
            yield RunningSite(
                url=url,
                shop_url=shop_url,
                shop=shop,
                deps=deps,
                settings=settings,
                loop=asyncio.get_running_loop(),
            )


async def _nobody(_domain: str, /) -> Sender | None:
    return None


def _address(sock: socket.socket) -> str:
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _serving(app: ASGIApp, sock: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
        sock.close()
