"""The JSON API over a journey's service, in one process: a client with a token, and the service behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.applications import Starlette

from stockwright import access
from stockwright.store.api_requests import Rate
from stockwright.store.audit import COMMAND_LINE
from stockwright.web.api import ApiDeps, api_routes
from tests.journey.service import PUBLIC_URL, Service, running

V1 = "/api/v1"
GENEROUS = Rate(per_s=1.0, burst=1_000_000.0)


@dataclass(frozen=True, kw_only=True)
class Client:
    """Requests with one token; paths below /api/v1."""

    http: httpx2.AsyncClient

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx2.Response:
        return await self.ask("POST", path, **options)

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        address = path if path.startswith("/api") else V1 + path
        return await self.http.request(method, address, **options)


@dataclass(frozen=True, kw_only=True)
class Api:
    """The service and its API."""

    service: Service
    app: Starlette
    token: str
    client: Client  # may write

    @asynccontextmanager
    async def client_with(self, token: str | None) -> AsyncIterator[Client]:
        """A client with another token, or none."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://api.test", headers=headers
        ) as http:
            yield Client(http=http)


async def make_token(service: Service, scope: access.Scope, name: str = "tests") -> str:
    """A new API token, as `stockwright token create` makes one."""
    async with service.database.connection() as conn, conn.transaction():
        return await access.add_token(conn, COMMAND_LINE, name=name, scope=scope, at=service.clock.now())


@asynccontextmanager
async def serving(dsn: str, *, rate: Rate = GENEROUS, **options: Any) -> AsyncIterator[Api]:
    """A service in a fresh database with its API."""
    async with running(dsn, **options) as service:
        own = ApiDeps(deps=service.deps, public_url=PUBLIC_URL, version="1.2.3", rate=rate)
        app = Starlette(routes=api_routes(own))
        token = await make_token(service, "write")
        transport = httpx2.ASGITransport(app=app)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://api.test", headers=headers
        ) as http:
            yield Api(service=service, app=app, token=token, client=Client(http=http))


def play(dsn: str, story: Callable[[Api], Awaitable[None]], **options: Any) -> None:
    """Play a story against a service of its own."""

    async def whole() -> None:
        async with serving(dsn, **options) as api:
            await story(api)

    asyncio.run(whole())
