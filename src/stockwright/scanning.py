"""Long runs over many products: page by page, each page one transaction, resumed after a crash."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from stockwright.automations import stock_scan
from stockwright.automations.contract import Emit, PagePlan, Plan, Scan, Tally, Unequal
from stockwright.bookkeeping import load_pools, save_change
from stockwright.deps import Deps
from stockwright.model import JsonObject, ProductGid, RunId
from stockwright.shopify.budget import Priority
from stockwright.shopify.products import ProductPage
from stockwright.situations import (
    Loaded,
    claims_of_others,
    custom_event,
    new_run,
    product_checks,
    remember_items,
    settle_key,
)
from stockwright.store import inbox, keys, pools, runs
from stockwright.store.database import Connection
from stockwright.store.ids import new_id

_PAGES = 100_000  # of one scan; a limit that no shop reaches, so that no fault can make it endless


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a scan is."""

    run_id: RunId
    search: int = 0  # index of the search that is being walked
    after: str | None = None  # cursor within it
    tally: Tally = field(default_factory=Tally)
    total: int | None = None
    requests: int = 0


async def scan(deps: Deps, loaded: Loaded, need: Scan) -> RunId:
    """Walk all pages, save what each leads to, and conclude; goes on where a crashed run stopped.

    Raises:
        ShopifyError: a page could not be read; pages before it are done and stay done.
    """
    place = await _start(deps, loaded)
    client = await deps.clients.for_shop(loaded.key.shop_id)
    for _ in range(_PAGES):
        if place.search >= len(need.searches):
            break
        before = client.requests
        asked = loaded.at(deps.clock())
        page = await client.scan_products(
            need.searches[place.search], after=place.after, priority=Priority.SCAN
        )
        place = await _save_page(deps, asked, page, place, requests=client.requests - before)
    await _finish(deps, loaded, place)
    return place.run_id


async def _start(deps: Deps, loaded: Loaded) -> _Place:
    async with deps.database.connection() as conn, conn.transaction():
        cursor = (await keys.state(conn, loaded.key)).cursor
        if cursor is not None:
            return _from_json(cursor)
        place = _Place(run_id=RunId(new_id("run", deps.clock())))
        await _save_place(conn, loaded, place)
    return place


async def _save_page(
    deps: Deps, loaded: Loaded, page: ProductPage, place: _Place, *, requests: int
) -> _Place:
    async with deps.database.connection() as conn, conn.transaction():
        views = await load_pools(conn, loaded.owner, [product.id for product in page.products])
        claims = await claims_of_others(conn, loaded, page.products)
        situation = loaded.with_pools(views).situation
        plan = loaded.automation.decide_page(situation, page.products, claims)
        await _save_plan(deps, conn, loaded, page, plan, place.run_id)
        place = _after(place, page, plan, requests)
        await _save_place(conn, loaded, place)
    return place


def _after(place: _Place, page: ProductPage, plan: PagePlan, requests: int) -> _Place:
    unread = [{"product_id": one.id, "title": one.title, "reason": one.reason} for one in page.skipped]
    tally = stock_scan.add(place.tally, plan, seen=len(page.products) + len(unread), unread=unread)
    total = place.total if page.total is None else page.total
    place = replace(place, tally=tally, total=total, requests=place.requests + requests)
    if page.after is None:
        return replace(place, search=place.search + 1, after=None)
    return replace(place, after=page.after)


async def _save_plan(
    deps: Deps, conn: Connection, loaded: Loaded, page: ProductPage, plan: PagePlan, run_id: RunId
) -> None:
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
    reason = {"because": "a scan found it changed or new", "run_id": run_id}
    emitted = [custom_event(loaded, effect, now) for effect in plan.effects if isinstance(effect, Emit)]
    events = [*emitted, *product_checks(loaded, wake, reason, now)]
    if events:
        await inbox.receive(conn, events)  # in one statement: it takes the jobs' locks in their order


async def _finish(deps: Deps, loaded: Loaded, place: _Place) -> None:
    plan = loaded.automation.conclude(loaded.situation, place.tally)
    async with deps.database.connection() as conn, conn.transaction():
        await runs.save(conn, _run(deps, loaded, place, plan))
        await keys.set_cursor(conn, loaded.key, None)
        await settle_key(conn, loaded, place.run_id, None)


async def _save_place(conn: Connection, loaded: Loaded, place: _Place) -> None:
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


def _run(deps: Deps, loaded: Loaded, place: _Place, plan: Plan) -> Any:
    return new_run(
        loaded,
        place.run_id,
        state="failed" if plan.error else "succeeded",
        because=plan.because,
        error=plan.error,
        progress={"done": place.tally.seen, "total": place.total, "unit": "products"},
        requests=place.requests,
        finished_at=deps.clock(),
    )


def _to_json(place: _Place) -> JsonObject:
    return asdict(place)


def _from_json(data: JsonObject) -> _Place:
    tally = dict(data["tally"])
    unequal = tuple(Unequal(**one) for one in tally.pop("unequal"))
    unread = tuple(tally.pop("unread"))
    return _Place(**{**data, "tally": Tally(**tally, unequal=unequal, unread=unread)})
