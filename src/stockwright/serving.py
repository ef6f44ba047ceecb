"""The web role as one process: `python -m stockwright.serving`. Started by the supervisor or by a person.

With `--listen-fd N` it takes an open socket over. The admin site has database connections of its own, so that
a slow page never keeps a webhook waiting.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from functools import partial

import structlog
import uvicorn

from stockwright.access import setup_token
from stockwright.app import open_deps
from stockwright.deps import Deps
from stockwright.encryption import Cipher
from stockwright.fresh_products import FreshProducts
from stockwright.inbox import CachedSenders, Inbox, Limits, LookUps, Sender
from stockwright.listening import address, listen
from stockwright.opening import VERSION, cipher, utc_now
from stockwright.roles import RoleArguments, role_arguments, run_role
from stockwright.settings import Settings
from stockwright.shopify.accounts import open_secrets
from stockwright.store import shops
from stockwright.store.api_requests import Rate
from stockwright.store.database import Pool, pool
from stockwright.store.migrations import head
from stockwright.web import WebDeps, create_app
from stockwright.web.admin.site import AdminDeps
from stockwright.web.api import ApiDeps, api_routes
from stockwright.web.storefront import StorefrontDeps, storefront_routes
from stockwright.web.webhooks import BodyLimits

LOG = structlog.get_logger("stockwright.serving")

_STOP_LIMIT_S = 5  # for requests that are being answered
_FIND_LIMIT_S = 2.0  # for a connection to look a sender up
_ADMIN_POOL_SIZE = 4
_STOREFRONT_POOL_SIZE = 4  # shoppers wait for each other, not for the admin site or webhooks


async def serve_web(settings: Settings, dsn: str, sock: socket.socket, stop: asyncio.Event) -> None:
    """Answer requests on an open socket until `stop` is set; what was accepted is stored before it returns."""
    async with _web_deps(settings, dsn) as deps:
        await _offer_setup(deps, settings.public_url or address(sock))
        server = _Server(
            uvicorn.Config(
                create_app(deps),
                http="httptools",
                ws="none",
                proxy_headers=False,  # web/clients.py reads them
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_LIMIT_S,
            )
        )
        stopping = asyncio.create_task(_stop_server(server, stop))
        try:
            await server.serve(sockets=[sock])
        finally:
            stopping.cancel()


class _Server(uvicorn.Server):
    """Leaves signals to us: its own handling would end the process before the inbox is stored."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _stop_server(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


@asynccontextmanager
async def _web_deps(settings: Settings, dsn: str) -> AsyncIterator[WebDeps]:
    limits = Limits(
        writers=settings.inbox_writers,
        batch_rows=settings.inbox_batch_rows,
        queue_rows=settings.inbox_queue_rows,
        answer_s=settings.inbox_limit_s,
    )
    sealed = cipher(settings)
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(pool(dsn, size=settings.web_pool_size, name="web"))
        own = await stack.enter_async_context(
            open_deps(settings, dsn, name="admin", pool_size=_ADMIN_POOL_SIZE)
        )
        find_sender = CachedSenders(
            partial(_find_sender, connections, sealed), LookUps(answer_s=settings.inbox_limit_s)
        )
        storefront = await stack.enter_async_context(_storefront(settings, dsn, find_sender))
        yield WebDeps(
            inbox=await stack.enter_async_context(Inbox(connections, limits)),
            find_sender=find_sender,
            pool=connections,
            now=utc_now,
            body_limits=BodyLimits(size_bytes=settings.web_body_limit_bytes),
            schema_head=head(),
            version=VERSION,
            more_routes=[*api_routes(_api_deps(settings, own)), *storefront_routes(storefront)],
            admin=AdminDeps(deps=own, cipher=sealed, settings=settings, version=VERSION),
        )


@asynccontextmanager
async def _storefront(
    settings: Settings, dsn: str, find_sender: CachedSenders
) -> AsyncIterator[StorefrontDeps]:
    async with (
        open_deps(settings, dsn, name="storefront", pool_size=_STOREFRONT_POOL_SIZE) as deps,
        aclosing(FreshProducts(deps)) as products,
    ):
        yield StorefrontDeps(
            deps=deps, products=products, find_sender=find_sender, trusted=settings.proxy_networks
        )


def _api_deps(settings: Settings, own: Deps) -> ApiDeps:
    rate = Rate(per_s=settings.api_requests_per_s, burst=settings.api_burst)
    return ApiDeps(deps=own, public_url=settings.public_url, version=VERSION, rate=rate)


async def _offer_setup(deps: WebDeps, url: str) -> None:
    """While nobody can sign in, print the link that makes the first user. Not logged: it is a secret."""
    async with deps.pool.connection() as conn:
        token = await setup_token(conn, now=deps.now())
    if token is not None:
        sys.stdout.write(
            f"Make the first user of the admin site (link good for 24 hours): {url}/setup/{token}\n"
        )
        sys.stdout.flush()


async def _find_sender(connections: Pool, sealed: Cipher, domain: str, /) -> Sender | None:
    async with connections.connection(timeout=_FIND_LIMIT_S) as conn:
        shop = await shops.find(conn, domain)
    if shop is None:
        return None
    return Sender(shop_id=shop.shop_id, secrets=open_secrets(sealed, shop.secrets).signing)


async def _run(given: RoleArguments, settings: Settings, dsn: str, stop: asyncio.Event) -> None:
    if given.listen_fd is not None:
        sock = socket.socket(fileno=given.listen_fd)
    else:
        sock = listen(settings.host, settings.port)
    LOG.info("the web server answers", url=address(sock))
    await serve_web(settings, dsn, sock, stop)


if __name__ == "__main__":
    given = role_arguments(sys.argv[1:])
    sys.exit(run_role(partial(_run, given), given))
