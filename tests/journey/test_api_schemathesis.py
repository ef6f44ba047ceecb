"""The API against its own description: thousands of right and wrong requests, made from it, seeded.

No answer may be a fault of the server, and none may be one that is not documented.
"""

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopify_emulator import Fault
from stockwright.store import messages
from stockwright.web.api import OPERATIONS
from stockwright.web.api.openapi import PREFIX
from stockwright.web.api.operations import AnyOperation, PageQuery
from tests.journey.api_client import SHARE, Api, a_message, serving
from tests.journey.listings import TAG, add_listing
from tests.journey.people import furnish_people
from tests.journey.service import DOMAIN
from tests.journey.test_shared_stock import ACROSS
from tests.postgres_fixture import DatabaseServer

EXAMPLES = 60  # of each operation and mode
SEED = 20261120
STRANGERS = 3  # one of so many ids is left as generated: not there

schemathesis.checks.load_all_checks()


@dataclass(kw_only=True)
class Stage:
    """A service with something of everything, on a loop in a thread of its own; and the ids of what is there."""

    app: ASGIApp
    loop: asyncio.AbstractEventLoop
    token: str
    known: dict[str, list[str]] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application on a client's loop: each request is carried over to the service's and back."""
        if scope["type"] != "http":
            await _lifespan(receive, send)
            return
        body = await _body(receive)
        there = asyncio.run_coroutine_threadsafe(_call(self.app, scope, body), self.loop)
        for message in await asyncio.wrap_future(there):
            await send(message)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _call(app: ASGIApp, scope: Scope, body: bytes) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def furnish(api: Api) -> dict[str, list[str]]:
    """One of everything that can be asked for, and many automations, since some are removed on the way."""
    service, client = api.service, api.client
    service.shop.add_location("Toronto")
    posters = [add_listing(service.shop, f"Poster {number}") for number in range(3)]
    sharing = (await client.post("/automations", json=SHARE)).json()["id"]
    idle = [
        (await client.post("/automations", json=SHARE | {"enabled": False})).json()["id"] for _ in range(30)
    ]
    await service.settle()
    for poster in posters:
        poster.sell("A")
    service.shop.faults.next("inventoryAdjustQuantities", Fault.SERVER_ERROR_AFTER)
    await service.wait(30)
    async with service.database.connection() as conn, conn.transaction():
        for number in range(3):
            await messages.insert(conn, service.shop_id, a_message(number), service.clock.now())
    offers = await furnish_offers(api, posters[0].gid)
    subscriber, checked = await furnish_people(service, posters[0])
    listed = {
        name: [item[key] for item in (await client.get(address)).json()["items"]]
        for name, address, key in (
            ("run_id", "/runs", "run"),
            ("pool_id", "/pools", "pool"),
            ("message_id", "/messages", "message"),
        )
    }
    return {
        "wanted": [sharing, *idle[:10]],
        "unwanted": idle[10:],
        "domain": [DOMAIN],
        "subscriber_id": [subscriber],
        "import_id": [checked],
        "kind": [ACROSS[0]],
        "product_number": [poster.gid.rsplit("/", 1)[-1] for poster in posters],
        "items": [poster.gid for poster in posters],
        **offers,
        **listed,
    }


async def furnish_offers(api: Api, product_id: str) -> dict[str, list[str]]:
    """Offers in every status but the archived one, and drafts to be deleted."""
    body = {"shop": DOMAIN, "name": "Spring", "items": [product_id]}
    made = [(await api.client.post("/offers", json=body)).json()["id"] for _ in range(32)]
    for offer_id in made[:8]:
        await api.client.post(f"/offers/{offer_id}/activate")
    for offer_id in made[:4]:
        await api.client.post(f"/offers/{offer_id}/pause")
    for offer_id in made[:2]:
        await api.client.post(f"/offers/{offer_id}/complete")
    later = {**body, "starts_at": "2100-01-01T00:00:00Z"}
    scheduled = (await api.client.post("/offers", json=later)).json()["id"]
    await api.client.post(f"/offers/{scheduled}/activate")
    return {"wanted_offers": [*made[:12], scheduled], "unwanted_offers": made[12:]}


@pytest.fixture(scope="module")
def stage(pg_server: DatabaseServer) -> Iterator[Stage]:
    """A furnished service, running until the last test of this module."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    dsn = pg_server.fresh_database()
    stack = AsyncExitStack()

    async def open_it() -> Stage:
        api = await stack.enter_async_context(serving(dsn))
        return Stage(app=api.app, loop=loop, token=api.token, known=await furnish(api))

    try:
        yield asyncio.run_coroutine_threadsafe(open_it(), loop).result(120)
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        pg_server.drop(dsn)


@pytest.fixture(scope="module")
def schema(stage: Stage) -> Any:
    """The description as the service serves it."""
    loaded = schemathesis.openapi.from_asgi("/api/openapi.json", app=stage)

    @loaded.auth()
    class Bearer:
        def get(self, _case: Case, _context: Any) -> str:
            return stage.token

        def set(self, case: Case, token: str, _context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {token}"

    return loaded


def make_real(stage: Stage, case: Case) -> None:
    """Let two of three generated ids and names stand for things that are there."""
    which = "unwanted" if case.method == "DELETE" else "wanted"
    known = {
        **stage.known,
        "automation_id": stage.known[which],
        "offer_id": stage.known[f"{which}_offers"],
    }
    case.path_parameters = {
        name: _real(known.get(name, []), name, value) for name, value in case.path_parameters.items()
    }
    if _keeps("If-Match", case.headers.get("If-Match")):
        case.headers.pop("If-Match", None)
    if isinstance(case.body, dict):
        file = {"kind": ACROSS[0], "options": {"product_tags": [TAG]}, "topics": []}
        real = {
            "shop": DOMAIN,
            "items": stage.known["items"][:2],
            "email": "ann@example.com",
            "csv": "email,variant_id\nann@example.com,1",
            "report": REPORT,
            "encoding": "text",
            "automation": {"stockwright_automation": 1, **file},
            **file,
        }
        case.body = {
            name: real.get(name, value) if _keeps(name, value) else value for name, value in case.body.items()
        }


# Some mail that came back; it names no message of ours.
REPORT = (
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"
    "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n"
    "Final-Recipient: rfc822; mia@example.com\nAction: failed\nStatus: 5.1.1\n\n--b--\n"
)


def _keeps(name: str, value: object) -> bool:
    return zlib.crc32(f"{name}{value!r}".encode(errors="replace")) % STRANGERS != 0


def _real(known: list[str], name: str, value: Any) -> Any:
    if not known or not isinstance(value, str) or not _keeps(name, value):
        return value
    return known[zlib.crc32(value.encode(errors="replace")) % len(known)]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.id for operation in OPERATIONS])
def test_every_answer_is_documented_and_none_is_a_fault_of_the_server(
    stage: Stage, schema: Any, operation: AnyOperation, mode: GenerationMode
) -> None:
    described = schema[PREFIX + operation.path][operation.method]
    checks = [check for check in CHECKS.get_all() if check.__name__ not in left_out(operation)]
    statuses: set[int] = set()

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            make_real(stage, case)
        statuses.add(case.call_and_validate(checks=checks).status_code)

    ask()
    if mode is GenerationMode.POSITIVE:
        assert statuses & {operation.status, 409}, f"no request got through: {statuses}"


def left_out(operation: AnyOperation) -> set[str]:
    """Random options, cursors, ETags and used keys fit the description and are refused all the same, as documented."""
    may_not_fit = (
        operation.has_body
        or issubclass(operation.query, PageQuery)
        or operation.takes_if_match
        or operation.is_repeatable
    )
    return {"positive_data_acceptance"} if may_not_fit else set()
