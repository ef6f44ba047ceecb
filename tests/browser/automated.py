"""Automations for pages to show: installed as people install them, run by a real worker on the bundled shop."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any

from shopify_emulator import VariantSpec
from stockwright import installing
from stockwright.app import handle_key
from stockwright.deps import Deps
from stockwright.jobs import WorkerDeps, WorkerLimits
from stockwright.jobs.worker import keep_working
from stockwright.model import INVENTORY_UPDATE, EventId, Json, NewEvent, ShopId, Source, gid_number
from stockwright.opening import utc_now
from stockwright.store import automations, inbox
from stockwright.store.automations import AutomationRow
from stockwright.store.ids import new_id
from tests.browser.site import RunningSite

ACROSS, WITHIN, PUBLISH = "sync-across-variants", "keep-in-sync-within-products", "publish-back-in-stock"
TAG = "shared"
EVIL = '<img src=x onerror="document.title=1"> & "Harbour" </td>'
_LIMIT_S = 30.0
_STEP_S = 0.05


def add_product(
    site: RunningSite,
    title: str,
    *,
    levels: Sequence[int],
    names: Sequence[str] = ("Framed", "Unframed"),
    tags: Sequence[str] = (TAG,),
    published: bool = True,
) -> None:
    """A product of the bundled shop with a level for each variant."""

    async def work(_deps: Deps) -> None:
        specs = [
            VariantSpec(title=name, levels=level, policy="CONTINUE")
            for name, level in zip(names, levels, strict=True)
        ]
        site.shop.add_product(
            title, variants=specs, tags=tags, product_type="Print", published_on=None if published else ()
        )

    site.run(work)


def sell(site: RunningSite, shop_id: int, title: str, quantity: int) -> None:
    """An order of a product's first variant, and the webhook that follows, as the inbox stores it."""

    async def work(deps: Deps) -> None:
        product = next(one for one in site.shop.state.products.values() if one.title == title)
        variant = product.variants[0]
        site.shop.sell([(variant.gid, quantity)])
        [level] = variant.item.levels.values()
        event = NewEvent(
            shop_id=ShopId(shop_id),
            event_id=EventId(new_id("evt", deps.clock())),
            topic=INVENTORY_UPDATE,
            payload={"inventory_item_id": int(gid_number(variant.item.gid)), "available": level.available},
            source=Source.SHOPIFY,
            subject=variant.item.gid,
        )
        async with deps.database.connection() as conn:
            await inbox.receive(conn, [event])

    site.run(work)


def install(site: RunningSite, shop_id: int, kind: str, **given: Any) -> AutomationRow:
    """As `stockwright automation add` does."""

    async def work(deps: Deps) -> AutomationRow:
        return await installing.add(deps, ShopId(shop_id), kind=kind, **given)

    return site.run(work)


def saved(site: RunningSite, automation_id: str) -> AutomationRow | None:
    """An automation as it is stored now."""

    async def work(deps: Deps) -> AutomationRow | None:
        async with deps.database.connection() as conn:
            return await automations.find(conn, automation_id)

    return site.run(work)


def only_one(site: RunningSite) -> AutomationRow:
    """The automation of a site that has one."""
    [(automation_id,)] = site.execute("select automation_id from automations")
    found = saved(site, automation_id)
    assert found is not None
    return found


@contextmanager
def working(site: RunningSite) -> Iterator[None]:
    """A real worker beside the site."""
    stop = asyncio.Event()

    async def work(deps: Deps) -> None:
        worker = WorkerDeps(
            dsn=deps.database.conninfo, pool=deps.database, handle_key=partial(handle_key, deps), now=utc_now
        )
        limits = WorkerLimits(concurrency=2, poll_interval_s=0.1, stop_limit_s=2.0)
        await keep_working(worker, limits, stop=stop)

    running = asyncio.run_coroutine_threadsafe(work(site.deps), site.loop)
    try:
        yield
    finally:
        site.loop.call_soon_threadsafe(stop.set)
        running.result(_LIMIT_S)


def until_quiet(site: RunningSite) -> None:
    """Wait until nothing that is due waits for a run."""
    until = monotonic() + _LIMIT_S
    while site.execute(
        "select 1 from work where done_at is null and due_at <= now() union all"
        " select 1 from runs where state = 'running' limit 1"
    ):
        assert monotonic() < until, "the worker does not come to an end"
        site.run(_a_moment)


async def _a_moment(_deps: Deps) -> None:
    await asyncio.sleep(_STEP_S)


def fill_automations(site: RunningSite, shop_id: int) -> dict[str, str]:
    """Automations with runs that did something; the values of the placeholders in the samples."""
    add_product(site, "Harbour at dawn", levels=(12, 9))
    add_product(site, EVIL, levels=(3, 3), names=('<b onmouseover="alert(1)">Framed</b>', "Unframed"))
    add_product(site, "Lighthouse", levels=(7, 7))
    add_product(site, "Herring gull", levels=(4, 4), published=False)
    options: dict[str, Json] = {"product_tags": [TAG], "unequal_at_start": "take_lowest"}
    row = install(site, shop_id, ACROSS, options=options, name="Prints share their stock")
    install(site, shop_id, WITHIN, options={"product_types": ["Print"]}, enabled=False, name=EVIL)
    previewed = install(
        site,
        shop_id,
        PUBLISH,
        options={"sales_channel_names": ["Online Store"], "email": "stock@example.com"},
        name="Publish what is back",
        enabled=False,
    )
    with working(site):
        until_quiet(site)
        sell(site, shop_id, "Harbour at dawn", 2)
        until_quiet(site)
    [(run_id,)] = site.execute(
        "select r.run_id from runs r join effects using (shop_id, run_id)"
        " where r.automation_id = %s order by r.run_id desc limit 1",
        row.automation_id,
    )
    [(event_id,)] = site.execute(
        "select event_id from work where automation_id = %s order by event_id limit 1", row.automation_id
    )
    return {
        "automation": row.automation_id,
        "switched_off": previewed.automation_id,
        "run": run_id,
        "event": event_id,
        "failed_run": "run_00sample1",
    }
