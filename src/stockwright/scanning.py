"""Long runs over many products: page by page, each page one transaction, resumed after a crash."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from stockwright.automations import stock_scan
from stockwright.automations.contract import (
    Correct,
    Emit,
    PagePlan,
    Place,
    Plan,
    Remember,
    RestockMail,
    Scan,
    Tally,
    Unequal,
)
from stockwright.automations.restock import Answer, AnswerKind
from stockwright.bookkeeping import load_pools, save_change
from stockwright.deps import Deps
from stockwright.model import JsonObject, ProductGid, RunId
from stockwright.remembering import load_memories, save_answer, save_step, wake_by, wake_mail
from stockwright.reporting import report_failure
from stockwright.shopify.budget import Priority
from stockwright.shopify.products import ProductPage
from stockwright.situations import (
    Loaded,
    Placing,
    add_placing,
    claims_of_others,
    custom_event,
    new_run,
    product_checks,
    remember_items,
    settle_key,
)
from stockwright.store import inbox, keys, pools, restocks, runs, steering
from stockwright.store.database import Connection
from stockwright.store.ids import new_id

_LISTED = 250  # products that one error lists
_CHECKS = 250  # products whose check is stored at once
_PAGES = 100_000  # of one scan; a limit that no shop reaches, so that no fault can make it endless


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """How far a scan came. With something to send it stops after a page and goes on when called again."""

    run_id: RunId
    placing: tuple[Placing, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Position:
    """Where a scan is."""

    run_id: RunId
    search: int = 0  # index of the search that is being walked
    after: str | None = None  # cursor within it
    tally: Tally = field(default_factory=Tally)
    total: int | None = None
    requests: int = 0
    event_ids: tuple[str, ...] = ()  # what it answers; events that come later wait for the next one


async def scan(deps: Deps, loaded: Loaded, need: Scan) -> Scanned:
    """Walk pages, save what each leads to, and conclude; goes on where a run stopped or crashed.

    A person may stop it between two pages.

    Raises:
        ShopifyError: a page could not be read; pages before it are done and stay done.
    """
    place = await _start(deps, loaded)
    loaded = loaded.answering(place.event_ids)
    missing = await _shared(deps, loaded, need, place)
    client = await deps.clients.for_shop(loaded.key.shop_id)
    for _ in range(_PAGES):
        if place.search >= len(need.searches):
            break
        if by := await _asked_to_stop(deps, loaded, place):
            await _stop(deps, loaded, place, by)
            return Scanned(run_id=place.run_id)
        before = client.requests
        asked = loaded.at(deps.clock())
        page = await client.scan_products(
            need.searches[place.search], after=place.after, priority=Priority.SCAN, channels=need.channels
        )
        place, placing = await _save_page(deps, asked, page, place, requests=client.requests - before)
        missing -= {product.id for product in page.products} | {missed.id for missed in page.skipped}
        if placing:
            return Scanned(run_id=place.run_id, placing=placing)
    place = await _look_for(deps, loaded, place, sorted(missing))
    await _finish(deps, loaded, place)
    return Scanned(run_id=place.run_id)


async def _shared(deps: Deps, loaded: Loaded, need: Scan, place: _Position) -> set[ProductGid]:
    """Products with pools, which a scan of all products should show. None when it goes on after a stop.

    What was seen before the stop is not known any more; the next scan finds what is missing.
    """
    is_fresh = place.search == 0 and place.after is None
    if not (need.whole and is_fresh and loaded.automation.shares_stock):
        return set()
    async with deps.database.connection() as conn:
        return set(await pools.shared_products(conn, loaded.key.shop_id, loaded.key.automation_id))


async def _look_for(deps: Deps, loaded: Loaded, place: _Position, missing: Sequence[ProductGid]) -> _Position:
    """Have products looked at that the search did not show: deleted, out of scope, or missing from its index."""
    reason = {"because": "a scan of all products did not show it", "run_id": place.run_id}
    for first in range(0, len(missing), _CHECKS):
        events = product_checks(loaded, missing[first : first + _CHECKS], reason, deps.clock())
        async with deps.database.connection() as conn:
            await inbox.receive(conn, events)
    return replace(place, tally=replace(place.tally, woken=place.tally.woken + len(missing)))


async def _start(deps: Deps, loaded: Loaded) -> _Position:
    async with deps.database.connection() as conn, conn.transaction():
        cursor = (await keys.state(conn, loaded.key)).cursor
        if cursor is not None:
            return await _resumed(conn, loaded, _from_json(cursor), deps.clock())
        place = _Position(run_id=RunId(new_id("run", deps.clock())), event_ids=tuple(loaded.event_ids))
        await _save_place(conn, loaded, place)
    return place


async def _resumed(conn: Connection, loaded: Loaded, place: _Position, at: datetime) -> _Position:
    """Where to go on, with the requests that were made meanwhile for what was sent."""
    if not loaded.automation.watches_restocks:
        return place
    await _take_up_unanswered(conn, loaded, place.run_id, at)
    run = await runs.get(conn, place.run_id)
    return replace(place, requests=max(place.requests, run.requests if run else 0))


async def _take_up_unanswered(conn: Connection, loaded: Loaded, run_id: RunId, at: datetime) -> None:
    """What a crashed run was about to send, or sent: its products are read again, each by its own run."""
    reason = "the worker stopped before the answer came"
    orphans = await runs.orphan_placements(conn, loaded.key, at, reason)
    ids = sorted({payload["product_id"] for payload in orphans})
    for memory in await load_memories(conn, loaded.owner, ids, lock=True):
        wave = memory.wave
        if wave is not None and wave.by_scan and wave.sending_until is not None:
            answer = Answer(kind=AnswerKind.UNKNOWN, detail=reason)
            settled = await save_answer(conn, loaded.owner, memory, answer, run_id=run_id, at=at)
            await wake_by(conn, replace(loaded.key, subject=memory.product_id), settled.next_at or at)


async def _save_page(
    deps: Deps, loaded: Loaded, page: ProductPage, place: _Position, *, requests: int
) -> tuple[_Position, tuple[Placing, ...]]:
    async with deps.database.connection() as conn, conn.transaction():
        if not await steering.goes_on(conn, loaded.key.shop_id, place.run_id):
            return place, ()  # the next look at it sees by whom
        ids = [product.id for product in page.products]
        watches = loaded.automation.watches_restocks
        views = () if watches else await load_pools(conn, loaded.owner, ids)
        memories = await load_memories(conn, loaded.owner, ids) if watches else ()
        known = loaded.with_known(pools=views, memories=memories)
        claims = await claims_of_others(conn, known, page.products)
        plan = loaded.automation.decide_page(known.situation, page.products, claims)
        placing = await _save_plan(deps, conn, loaded, page, plan, place.run_id)
        place = _after(place, page, plan, requests)
        await _save_place(conn, loaded, place)
    return place, placing


def _after(place: _Position, page: ProductPage, plan: PagePlan, requests: int) -> _Position:
    unread = [{"product_id": one.id, "title": one.title, "reason": one.reason} for one in page.skipped]
    tally = stock_scan.add(place.tally, plan, seen=len(page.products) + len(unread), unread=unread)
    total = place.total if page.total is None else page.total
    place = replace(place, tally=tally, total=total, requests=place.requests + requests)
    if page.after is None:
        return replace(place, search=place.search + 1, after=None)
    return replace(place, after=page.after)


async def _save_plan(
    deps: Deps, conn: Connection, loaded: Loaded, page: ProductPage, plan: PagePlan, run_id: RunId
) -> tuple[Placing, ...]:
    now = deps.clock()
    for product in page.products:
        await remember_items(conn, loaded, product, now)
    wake = list(plan.wake)
    for change in sorted(plan.changes, key=lambda change: change.pool_id):
        try:
            async with conn.transaction():
                await save_change(conn, loaded.owner, change, run_id=run_id, at=now)
        except pools.Conflict:
            wake.append(ProductGid(change.product_id))  # adopted by its own run meanwhile
    late = await _save_memories(conn, loaded, plan.remember, run_id, now)
    placing, emitted = [], []
    for effect in plan.effects:
        match effect:
            case Emit():
                emitted.append(custom_event(loaded, effect, now))
            case Place(product_id=product_id) if product_id not in late:
                placing.append(await add_placing(conn, loaded, effect, run_id, now))
            case Place() | Correct() | RestockMail():
                pass  # a page neither corrects nor mails; a product that was late is looked at by its own run
    asked_by = loaded.situation.events[0].topic if loaded.situation.events else ""
    reason = {"because": "a scan found it changed or new", "run_id": run_id, "asked_by": asked_by}
    events = [*emitted, *product_checks(loaded, [*wake, *late], reason, now)]
    if events:
        await inbox.receive(conn, events)  # in one statement: it takes the jobs' locks in their order
    return tuple(placing)


async def _save_memories(
    conn: Connection, loaded: Loaded, steps: Sequence[Remember], run_id: RunId, at: datetime
) -> list[ProductGid]:
    """Store what was seen; returns the products that another run looked at meanwhile."""
    late, unmailed = [], False
    for step in sorted(steps, key=lambda step: step.product_id):
        try:
            async with conn.transaction():
                unmailed |= await save_step(conn, loaded.owner, step, run_id=run_id, at=at)
        except pools.Conflict:
            late.append(step.product_id)
    if unmailed:
        await wake_mail(conn, loaded.owner, at)
    return late


async def _with_refusals(conn: Connection, loaded: Loaded, place: _Position) -> Tally:
    """The tally with what the shop answered to all that the scan sent."""
    if not loaded.automation.watches_restocks:
        return place.tally
    count, rows = await restocks.refused_of_run(conn, loaded.key.shop_id, place.run_id, limit=_LISTED)
    refused = tuple({"product_id": id, "title": title, "channels": said} for id, title, said in rows)
    return replace(place.tally, refused_count=count, refused=refused)


async def _finish(deps: Deps, loaded: Loaded, place: _Position) -> None:
    async with deps.database.connection() as conn, conn.transaction():
        tally = await _with_refusals(conn, loaded, place)
        plan = loaded.automation.conclude(loaded.situation, tally)
        await runs.save(conn, _run(deps, loaded, place, plan, state="failed" if plan.error else "succeeded"))
        await keys.set_cursor(conn, loaded.key, None)
        if loaded.automation.watches_restocks:
            await wake_mail(conn, loaded.owner, deps.clock())
        await settle_key(conn, loaded, place.run_id, None)
        if plan.error:
            await report_failure(conn, deps, place.run_id)


async def _asked_to_stop(deps: Deps, loaded: Loaded, place: _Position) -> str | None:
    async with deps.database.connection() as conn:
        return await steering.asked_to_stop(conn, loaded.key.shop_id, place.run_id)


async def _stop(deps: Deps, loaded: Loaded, place: _Position, by: str) -> None:
    """A person wants no more of it: what was done stays done, and its events are answered."""
    because = f"Cancelled by {by} after {place.tally.seen} products. What it did before stays done."
    run = _run(deps, loaded, place, Plan(because=because), state="cancelled")
    async with deps.database.connection() as conn, conn.transaction():
        await runs.save(conn, run)
        await keys.set_cursor(conn, loaded.key, None)
        if loaded.automation.watches_restocks:
            await wake_mail(conn, loaded.owner, deps.clock())
        await settle_key(conn, loaded, place.run_id, None)


async def _save_place(conn: Connection, loaded: Loaded, place: _Position) -> None:
    progress = {"done": place.tally.seen, "total": place.total, "unit": "products"}
    run = new_run(
        loaded,
        place.run_id,
        state="running",
        because="Looking at every product in scope.",
        progress=progress,
        requests=place.requests,
        finished_at=None,
    )
    await runs.save(conn, run)
    await keys.set_cursor(conn, loaded.key, _to_json(place))


def _run(deps: Deps, loaded: Loaded, place: _Position, plan: Plan, *, state: str) -> Any:
    return new_run(
        loaded,
        place.run_id,
        state=state,
        because=plan.because,
        error=plan.error,
        progress={"done": place.tally.seen, "total": place.total, "unit": "products"},
        requests=place.requests,
        finished_at=deps.clock(),
    )


def _to_json(place: _Position) -> JsonObject:
    return asdict(place)


def _from_json(data: JsonObject) -> _Position:
    tally = dict(data["tally"])
    unequal = tuple(Unequal(**one) for one in tally.pop("unequal"))
    listed = {name: tuple(tally.pop(name, ())) for name in ("unread", "refused")}
    tallied = Tally(**{**tally, **listed, "unequal": unequal})
    return _Position(**{**data, "tally": tallied, "event_ids": tuple(data.get("event_ids", ()))})
