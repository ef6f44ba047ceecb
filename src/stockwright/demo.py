"""`stockwright demo`: the whole service and the bundled shop on this machine, set up and running.

The service and the shop are processes of their own; this one sets them up, says what to try, and stops all.
"""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TypeVar

import httpx2

from stockwright import access, installing, notify, offer_desk
from stockwright.adding import ShopDraft, add_shop
from stockwright.app import open_deps
from stockwright.bundled_shop import DOMAIN, BundledShop, MailSink, Shopper
from stockwright.demo_plan import LOOPBACK, DemoOptions, Plan, plan_demo
from stockwright.demo_scene import Stage
from stockwright.demo_shopper import WAITED_FOR
from stockwright.demo_story import play
from stockwright.deps import Deps
from stockwright.listening import stop_requests
from stockwright.model import Json, ShopId, StockwrightError
from stockwright.notify.offers import Terms, Verb
from stockwright.opening import VERSION, cipher, database
from stockwright.settings import DATABASE_URL, variable
from stockwright.shopify.accounts import AuthMode, ShopSecrets
from stockwright.store import shops, users
from stockwright.store.audit import COMMAND_LINE
from stockwright.store.automations import AutomationRow
from stockwright.upkeep import forget_shop, subscribe

_START_LIMIT_S = 120.0
_STOP_LIMIT_S = 30.0
_ANSWER_LIMIT_S = 2.0
_ASK_EVERY_S = 0.05
_POOL_SIZE = 4
_LOG_LINES = 15

_STAFF = "staff@demo-shop.example"
_OF_COMMANDS = (DATABASE_URL, variable("secret_key"))  # what would lead a command out of the demo
_USER = "demo"  # of the admin site

# Kind and options. The two that share stock share no product.
_AUTOMATIONS: tuple[tuple[str, dict[str, Json]], ...] = (
    (
        "keep-in-sync-within-products",
        {"product_types": ["Limited edition", "Accessory"], "raise_settle_s": 0},
    ),
    ("sync-across-variants", {"product_types": ["Art print"], "raise_settle_s": 0}),
    ("publish-back-in-stock", {"sales_channel_names": ["Online Store"], "email": _STAFF}),
    (notify.KIND, {"settle_s": 0}),
)

T = TypeVar("T")


def run_demo(options: DemoOptions, environ: Mapping[str, str]) -> int:
    """Run the demo until Ctrl-C, or the story to its end; the exit status.

    Raises:
        StockwrightError: a part could not be started; the message holds the end of its log.
    """
    return asyncio.run(_run(options, environ))


async def _run(options: DemoOptions, environ: Mapping[str, str]) -> int:
    started = monotonic()
    plan = plan_demo(options, environ)
    stop = stop_requests(until_stdin_closes=False)
    if plan.unused:
        _tell(f"Not used here: {', '.join(plan.unused)}. The demo has a database, a key and mail of its own.")
    async with AsyncExitStack() as stack:
        dsn = stack.enter_context(database(plan.settings, log=_tell))  # the service shares it
        # Again: making a database takes seconds, in which others take the ports that were free.
        plan = plan_demo(options, environ)
        deps = await stack.enter_async_context(
            open_deps(plan.settings, dsn, name="demo", pool_size=_POOL_SIZE)
        )
        await _refuse_other_shops(deps, plan)
        parts = await _start(stack, plan)
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
        await _first(_until_all_up(plan, http, parts), stop)
        if stop.is_set():
            return _stopped_early(options)
        stage, page = await _prepare(deps, plan, http)
        _tell(f"Ready in {monotonic() - started:.1f} s.")
        if options.scripted:
            _tell(f"Admin site  {page.way_in}")
            status = await _first(play(stage), stop)
            return _stopped_early(options) if status is None else status
        _tell(_page(plan, page))
        await _first(_until_a_part_ends(parts), stop)
        _tell("\nStopping ...")
        return 0


async def _until_all_up(plan: Plan, http: httpx2.AsyncClient, parts: "Sequence[Part]") -> None:
    for is_up in (
        BundledShop(plan.shop_url, http).is_up,
        MailSink(plan.sink_url, http).is_up,
        partial(_is_ready, http, plan.environ[variable("public_url")]),
    ):
        await _until_up(is_up, parts)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What only this start of the demo knows."""

    way_in: str  # to the admin site
    sold_out: str  # address of a product's page


async def _prepare(deps: Deps, plan: Plan, http: httpx2.AsyncClient) -> tuple[Stage, Page]:
    """The shop with its automations, an offer and a user."""
    shop, sink = BundledShop(plan.shop_url, http), MailSink(plan.sink_url, http)
    rows = await _set_up(deps, plan)
    sold_out = await _offer(deps, shop, rows[0].shop_id)
    way_in = _way_in(plan, await _ready_user(deps))
    stage = Stage(shop=shop, sink=sink, shopper=Shopper(http), deps=deps, rows=rows)
    return stage, Page(way_in=way_in, sold_out=sold_out)


def _stopped_early(options: DemoOptions) -> int:
    """A story that was not played to its end has shown nothing, whoever stopped it."""
    if not options.scripted:
        return 0
    _tell("Stopped before the end of the story.")
    return 1


async def _refuse_other_shops(deps: Deps, plan: Plan) -> None:
    """Before anything works on them: the demo's service waits too short, and its mail reaches nobody."""
    async with deps.database.connection() as conn:
        others = [shop.domain for shop in await shops.list_all(conn) if shop.domain != DOMAIN]
    if others:
        raise StockwrightError(
            f"{plan.settings.home} holds shops that are not the demo's: {', '.join(others)}. The demo does not work "
            "on them. Set STOCKWRIGHT_HOME to another folder: the demo makes its own below it."
        )


# --- the parts --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Part:
    """A process of the demo."""

    name: str
    process: asyncio.subprocess.Process
    log: Path


async def _start(stack: AsyncExitStack, plan: Plan) -> list[Part]:
    """Start the shop, the mail sink and the service; all end with the stack, the service first."""
    logs = plan.settings.home / "logs"
    logs.mkdir(exist_ok=True)
    shop = (
        "shopify_emulator",
        *("--host", LOOPBACK, "--port", str(plan.shop_port), "--domain", DOMAIN),
        *("--access-token", plan.token, "--client-secret", plan.signing_secret),
        *("--proxy-url", f"{plan.environ[variable('public_url')]}/proxy"),
    )
    sink = (
        "mail_sink",
        *("--host", LOOPBACK, "--port", str(plan.sink_port), "--smtp-port", str(plan.smtp_port)),
    )
    service = ("stockwright.supervising", "--until-stdin-closes")
    return [
        await stack.enter_async_context(_running("bundled shop", shop, plan.environ, logs / "shop.log")),
        await stack.enter_async_context(_running("mail sink", sink, plan.environ, logs / "mail.log")),
        await stack.enter_async_context(_running("service", service, plan.environ, logs / "service.log")),
    ]


@asynccontextmanager
async def _running(
    name: str, arguments: Sequence[str], environ: Mapping[str, str], log: Path
) -> AsyncIterator[Part]:
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=file,
            stderr=file,
            env=environ,
            start_new_session=True,  # Ctrl-C reaches this process only, which stops all in order
        )
    try:
        yield Part(name=name, process=process, log=log)
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_LIMIT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _until_a_part_ends(parts: Sequence[Part]) -> None:
    """Wait for ever, or until a part ends by itself.

    Raises:
        StockwrightError: one did; the message holds the end of its log.
    """
    while True:
        for part in parts:
            if part.process.returncode is not None:
                raise StockwrightError(
                    f"The {part.name} ended with status {part.process.returncode}. The end of {part.log}:\n"
                    + _tail(part.log)
                )
        await asyncio.sleep(_ASK_EVERY_S)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


async def _until_up(ask: Callable[[], Awaitable[bool]], parts: Sequence[Part]) -> None:
    """Wait until a part answers; the message of a part that ends instead is raised."""
    watching = asyncio.create_task(_until_a_part_ends(parts))
    try:
        async with asyncio.timeout(_START_LIMIT_S):
            while not watching.done() and not await ask():
                await asyncio.wait((watching,), timeout=_ASK_EVERY_S)
    except TimeoutError:
        told = "\n".join(_tail(part.log) for part in parts)
        raise StockwrightError(
            f"The demo is not ready after {_START_LIMIT_S:g} s. The logs end so:\n{told}"
        ) from None
    finally:
        watching.cancel()
    if watching.done() and not watching.cancelled():
        watching.result()


async def _is_ready(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        answer = await http.get(f"{url}/readyz", timeout=_ANSWER_LIMIT_S)
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200


async def _first(work: Coroutine[None, None, T], stop: asyncio.Event) -> T | None:
    """The result of the work, or None when the request to stop came first."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


# --- setting up -------------------------------------------------------------------------------------------


async def _set_up(deps: Deps, plan: Plan) -> list[AutomationRow]:
    """The shop and its automations, anew: the bundled shop begins with its first catalogue at each start."""
    public_url = plan.settings.public_url
    async with deps.database.connection() as conn:
        former = await shops.find(conn, DOMAIN)
    if former is not None:
        await forget_shop(deps, former)  # its subscriptions ended with the former bundled shop
    draft = ShopDraft(
        domain=DOMAIN,
        secrets=ShopSecrets(access_token=plan.token, webhook_secrets=(plan.signing_secret,)),
        auth_mode=AuthMode.ACCESS_TOKEN,
        client_id=None,
        api_url=plan.shop_url,
        plan="premium",
    )
    shop = await add_shop(deps, cipher(plan.settings), draft)
    rows = [
        await installing.add(
            deps,
            shop.shop_id,
            kind=kind,
            options=options,
        )
        for kind, options in _AUTOMATIONS
    ]
    await subscribe(deps, shop, public_url=public_url)
    return rows


async def _offer(deps: Deps, shop: BundledShop, shop_id: ShopId) -> str:
    """An active offer of a product that is sold out in part; the address of its page, with such a variant chosen."""
    product = (await shop.state()).product(WAITED_FOR)
    row = await offer_desk.create(deps, shop_id, Terms(name=f"{WAITED_FOR}, sold out"), items=[product.id])
    await offer_desk.do(deps, row, Verb.ACTIVATE)
    return shop.page_of(product, product.sold_out[0])


async def _ready_user(deps: Deps) -> str:
    """The demo's own user of the admin site, with a new password at each start; the password."""
    password = "-".join(secrets.token_hex(2) for _ in range(3))
    hashed = await access.Passwords().hash(password)
    at = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        user = await users.find(conn, _USER)
        if user is None:
            await access.add_user(conn, COMMAND_LINE, name=_USER, password_hash=hashed, at=at)
        else:
            await access.change_password(conn, user, hashed, at=at, keep_session=None)
    return password


def _way_in(plan: Plan, password: str) -> str:
    return f"{plan.environ[variable('public_url')]}/   sign in as {_USER} with the password {password}"


def _page(plan: Plan, page: Page) -> str:
    program = Path(sys.executable).with_name("stockwright")
    reconcile_s = plan.settings.reconcile_every_s
    asked = {
        **{name: "" for name in plan.unused if name in _OF_COMMANDS},
        variable("home"): plan.settings.home,
    }
    environ = " ".join(f"{name}={value}" for name, value in asked.items())
    command = f"{environ} {program if program.exists() else 'stockwright'}"
    return f"""
Stockwright {VERSION} runs against the bundled shop. Nothing leaves this machine.

  The admin site {page.way_in}
  The shop       {plan.shop_url}/
  Its storefront {plan.shop_url}/collections/all
  Sold out       {page.sold_out}
  The mail       {plan.sink_url}/
  Its logs       {plan.settings.home / "logs"}

Four automations are at work:
  Art prints                      variants are listings of one stock, at Toronto: a sale of one lowers the others
  Limited editions, accessories   a change of one variant is carried to the others, at every location
  All active products             back in stock, they are published to the Online Store; staff get one mail
  {WAITED_FOR + ", in an offer":<32}shoppers press Notify me at what is sold out, and get one mail when it is back

Try this:
  1. Open the shop and sell "Harbour at Dawn", framed. The unframed one follows while you look.
  2. Sell framed and unframed in one order: both fall by two. Refund it: both rise again.
  3. Lose the next webhook, sell a "Linen Tote", and watch the reconciliation find it within {reconcile_s:g} s:
     curl -d '{{"next": [{{"fault": "webhook_drop"}}]}}' {plan.shop_url}/_emulator/faults
  4. Open the page of what is sold out, press Notify me, and give any address. Type a stock into the shop for that
     variant: one mail comes, whose links buy it and unsubscribe. Subscribers in the admin site tells why.
  5. In the admin site, open Stock for the history behind each number, and Runs for why each thing was done.
  6. In another terminal, ask the same:

     {command} stock show --shop {DOMAIN}
     {command} runs
     {command} explain last
     {command} doctor

Ctrl-C stops everything. `demo --scripted` plays a story by itself and checks each step."""


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
