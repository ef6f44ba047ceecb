"""The JSON API over a journey's service, in one process: a client with a token, and the service behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.applications import Starlette

from stockwright import access
from stockwright.store import messages
from stockwright.store.api_requests import Rate
from stockwright.store.audit import COMMAND_LINE
from stockwright.web.api import ApiDeps, api_routes
from tests.journey.listings import TAG, add_listing
from tests.journey.service import DOMAIN, PUBLIC_URL, Service, running
from tests.journey.test_shared_stock import ACROSS

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


# --- what stories start from and look at ------------------------------------------------------------

SHARE = {"shop": DOMAIN, "kind": ACROSS[0], "options": {"product_tags": [TAG]}}


async def shared(api: Api, **changes) -> dict:
    """One product whose variants share stock, installed through the API and adopted."""
    api.service.shop.add_location("Toronto")
    add_listing(api.service.shop)
    answer = await api.client.post("/automations", json=SHARE | changes)
    assert answer.status_code == 201, answer.text
    await api.service.settle()
    return answer.json()


def problem(answer) -> tuple[int, str]:
    """Status and kind of a problem, whose form is checked."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors"}
    assert body["status"] == answer.status_code
    assert body["detail"]
    assert body["instance"] == answer.request.url.path
    return answer.status_code, body["type"].removeprefix("urn:stockwright:problem:")


def wrong_fields(answer) -> list[tuple[str, str]]:
    assert problem(answer) == (422, "invalid")
    return [(error["where"], error["path"]) for error in answer.json()["errors"]]


async def every_page(api: Api, address: str) -> list[dict]:
    items: list[dict] = []
    following = address
    for _ in range(1000):
        page = (await api.client.get(following)).json()
        items += page["items"]
        if page["next"] is None:
            return items
        following = page["next"]
    raise AssertionError("the pages do not end")


async def newest_run(api: Api, **filters) -> dict:
    answer = await api.client.get("/runs", params={"limit": 50, **filters})
    return next(run for run in answer.json()["items"] if run["subject"] != "*")


def a_request(operation) -> tuple[str, str]:
    path = operation.path
    for name in operation.names:
        path = path.replace(f"{{{name}}}", "nothing")
    return operation.method, path


def a_message(number: int) -> messages.NewMessage:
    return messages.NewMessage(
        key=f"key {number}",
        kind="test_mail",
        to=f"Ann{number}@example.com",
        subject=f"Restocked {number}",
        text="Poster is back.",
        html="<p>Poster is back.</p>",
        headers={},
    )
