"""docs/api.md: every example of it is run as it stands, and its tables say what the code says."""

import re
import shlex
from pathlib import Path

import httpx2

from shopify_emulator import Fault, ManualClock, Shop
from stockwright.store import messages
from stockwright.web.api import OPERATIONS
from stockwright.web.api.openapi import PREFIX
from stockwright.web.api.problems import Kind
from tests.journey.api_client import SHARE, Api, a_message, play
from tests.journey.listings import add_listing
from tests.journey.people import furnish_people
from tests.journey.service import SECRET, TOKEN
from tests.journey.test_shared_stock_faults import WITHOUT_ORDERS, set_rule, sold_twice

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
DOMAIN_OF_DOCS = "example.myshopify.com"


def commands() -> list[list[str]]:
    """The arguments of every curl command, in the order of the page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("curl ")]


async def send(api: Api, command: list[str], values: dict[str, str]) -> httpx2.Response:
    """What curl would send, with the page's variables filled in."""
    given = [re.sub(r"\$([A-Z]+)", lambda found: values[found[1]], word) for word in command[1:]]
    method, headers, body, address = "GET", {}, None, ""
    words = iter(given)
    for word in words:
        match word:
            case "-s":
                continue
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words)
            case _:
                assert not address, f"two addresses in {command}"
                address = word
    async with api.client_with(None) as stranger:
        return await stranger.ask(
            method, address.removeprefix(values["STOCKWRIGHT"]), headers=headers, content=body
        )


async def furnish(api: Api) -> dict[str, str]:
    """What the page's variables stand for: one of everything, one stock frozen, one message failed."""
    service, client = api.service, api.client
    service.shop.add_location("Toronto")
    poster = add_listing(service.shop, tags=("posters",))
    add_listing(service.shop, "Print", tags=("shared",))
    posters = {"product_tags": ["posters"]}
    made = (
        await client.post("/automations", json=SHARE | {"shop": DOMAIN_OF_DOCS, "options": posters})
    ).json()
    idle = {"shop": DOMAIN_OF_DOCS, "options": posters, "enabled": False}
    unwanted = (await client.post("/automations", json=SHARE | idle)).json()
    left = (await client.post("/automations", json=SHARE | idle)).json()
    await service.settle()
    await set_rule(service, "certain")
    service.shop.faults.next("inventoryAdjustQuantities", Fault.TIMEOUT_AFTER)
    await sold_twice(service, poster)
    async with service.database.connection() as conn:
        await messages.insert(conn, service.shop_id, a_message(1), service.clock.now())
        await conn.execute("update messages set state = 'failed'")
        await conn.execute(
            """insert into runs (shop_id, run_id, automation_id, kind, subject, state, started_at)
               values (%s, 'run_left', %s, 'k', '*', 'running', now())""",
            (service.shop_id, left["id"]),
        )
    subscriber, checked = await furnish_people(service, poster)
    offer = await client.post(
        "/offers", json={"shop": DOMAIN_OF_DOCS, "name": "Spring", "items": [poster.gid]}
    )
    (frozen,) = (await client.get("/pools?frozen=true")).json()["items"]
    (message,) = (await client.get("/messages")).json()["items"]
    runs = (await client.get("/runs?state=succeeded")).json()["items"]
    return {
        "STOCKWRIGHT": "http://127.0.0.1:8000",
        "TOKEN": api.token,
        "AUTOMATION": made["id"],
        "ETAG": (await client.get(f"/automations/{made['id']}")).headers["etag"],
        "UNWANTED": unwanted["id"],
        "RUN": runs[0]["run"],
        "SCAN": "run_left",
        "POOL": frozen["pool"],
        "FROZEN": frozen["pool"],
        "MESSAGE": message["message"],
        "OFFER": offer.json()["id"],
        "OFFERTAG": offer.headers["etag"],
        "PRODUCT": poster.gid.rsplit("/", 1)[-1],
        "SHOP": DOMAIN_OF_DOCS,
        "SUBSCRIBER": subscriber,
        "IMPORT": checked,
    }


def test_every_example_of_the_page_works_as_it_stands(emptied) -> None:
    async def story(api: Api) -> None:
        values = await furnish(api)
        for command in commands():
            answer = await send(api, command, values)
            assert answer.status_code < 300, f"{shlex.join(command)}\n{answer.text}"

    shop = Shop(
        domain=DOMAIN_OF_DOCS,
        clock=ManualClock(),
        access_token=TOKEN,
        client_secret=SECRET,
        scopes=WITHOUT_ORDERS,
    )
    play(emptied, story, shop=shop)


def test_every_operation_has_an_example_on_the_page() -> None:
    shown = {_operation(command) for command in commands()}
    wanted = {(operation.method, re.sub(r"\{\w+\}", "*", operation.path)) for operation in OPERATIONS}
    assert wanted - shown == {("GET", "/shops/*"), ("GET", "/automation-kinds/*")}


def _operation(command: list[str]) -> tuple[str, str]:
    method = command[command.index("-X") + 1] if "-X" in command else "GET"
    path = command[-1].removeprefix(f"$STOCKWRIGHT{PREFIX}").partition("?")[0]
    return method, re.sub(r"\$[A-Z]+", "*", path)


def test_the_page_lists_every_kind_of_problem_as_the_code_has_it() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \| (\d+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert listed == [(kind.value.slug, str(kind.value.status), kind.value.meaning) for kind in Kind]
