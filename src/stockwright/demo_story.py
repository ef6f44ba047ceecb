"""The story of `demo --scripted`: each step acts in the shop, waits for the effect, and shows the proof."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from time import monotonic

from stockwright import demo_shopper
from stockwright.bundled_shop import SunkMail
from stockwright.demo_scene import (
    ASK_EVERY_S,
    LIMIT_S,
    Failed,
    Scene,
    Stage,
    count_of,
    levels_of,
    tell,
)
from stockwright.explaining import clock_text, explain, history_lines, titles_of
from stockwright.gathering import load_story
from stockwright.ledger import wire
from stockwright.model import StockwrightError
from stockwright.schedules import time_zone
from stockwright.store import pools, runs
from stockwright.store.pools import JournalRow, PoolRow
from stockwright.upkeep import observe

_ORDERS = 30
_HIDDEN = "Lighthouse Study"  # sold out and on no channel in the first catalogue
_RESTOCKED = 6
_MAIL_LIMIT_S = 60.0
_WRITES = "inventoryAdjustQuantities"


async def play(stage: Stage) -> int:
    """Play all steps; 0 when every one held."""
    scene = await _open(stage)
    failed = 0
    for number, (title, act) in enumerate(_STEPS, start=1):
        started = monotonic()
        try:
            proof = await act(scene)
        except (Failed, StockwrightError) as error:
            failed += 1
            tell(f"FAIL {number}. {title}\n     {error}")
        else:
            tell(f"ok   {number}. {title} ({monotonic() - started:.1f} s)\n     {proof}")
    await _show_reasons(scene)
    tell("\nEvery step held." if not failed else f"\n{failed} of {len(_STEPS)} steps did not hold.")
    return 1 if failed else 0


async def _open(stage: Stage) -> Scene:
    state = await stage.shop.state()
    scene = Scene(
        stage=stage, location=state.locations["Toronto"], kept="Night Tram No. 4", shared="Winter Birches"
    )
    await scene.until_still()
    for title in (scene.kept, scene.shared):
        levels = state.product(title).at(scene.location)
        scene.stock[title] = next(iter(levels.values()))
    return scene


# --- the steps --------------------------------------------------------------------------------------------


async def _restock(scene: Scene) -> str:
    for title in (scene.kept, scene.shared):
        product = await scene.product(title)
        await scene.stage.shop.edit(product, location=scene.location, available=60)
        await scene.until_all_show(title, 60)
    await _expect_stock(scene, scene.shared, 60)
    return "60 typed into every variant, in one save, is one restock: the shared stock is 60, not a multiple."


async def _sale(scene: Scene) -> str:
    product = await scene.product(scene.kept)
    before = scene.stock[scene.kept]
    await scene.stage.shop.sell([(product.variants[0].id, 1)], location=scene.location)
    took_s = await scene.until_all_show(scene.kept, before - 1)
    others = len(product.variants) - 1
    return f"{product.variants[0].title} sold once; the {others} others followed in {took_s * 1000:.0f} ms: all at {before - 1}."


async def _framed_and_unframed(scene: Scene) -> str:
    product = await scene.product(scene.kept)
    before = scene.stock[scene.kept]
    framed = next(one for one in product.variants if one.title.startswith("Framed"))
    unframed = next(one for one in product.variants if one.title.startswith("Unframed"))
    scene.last_order = await scene.stage.shop.sell(
        [(framed.id, 1), (unframed.id, 1)], location=scene.location
    )
    took_s = await scene.until_all_show(scene.kept, before - 2)
    return f"both in one order: all {len(product.variants)} variants fell by 2, to {before - 2}, in {took_s * 1000:.0f} ms."


async def _refund(scene: Scene) -> str:
    before = scene.stock[scene.kept]
    await scene.stage.shop.refund(scene.last_order)
    took_s = await scene.until_all_show(scene.kept, before + 2)
    return f"the order went back into stock: all rose by 2, to {before + 2}, in {took_s * 1000:.0f} ms."


async def _burst(scene: Scene) -> str:
    product = await scene.product(scene.kept)
    before = scene.stock[scene.kept]
    random = Random(4)
    await scene.stage.shop.reset_counts()
    sales = [
        scene.stage.shop.sell([(random.choice(product.variants).id, 1)], location=scene.location)
        for _ in range(_ORDERS)
    ]
    await asyncio.gather(*sales)
    took_s = await scene.until_all_show(scene.kept, before - _ORDERS)
    reads, writes = await scene.requests()
    return (
        f"{_ORDERS} orders at once on {len(product.variants)} variants: all at exactly {before - _ORDERS} after "
        f"{took_s:.2f} s, for {count_of(reads, 'read')} and {count_of(writes, 'write')} in all."
    )


async def _lost_webhook(scene: Scene) -> str:
    product = await scene.product(scene.kept)
    before = scene.stock[scene.kept]
    await scene.stage.shop.fail_next("webhook_drop")
    await scene.stage.shop.sell([(product.variants[0].id, 1)], location=scene.location)
    await scene.until_still()
    levels = (await scene.product(scene.kept)).at(scene.location)
    if sorted(levels.values())[1:] != [before] * (len(levels) - 1):
        raise Failed(f"The webhook was to be lost, yet {scene.kept} shows {levels_of(levels)}.")
    await observe(scene.stage.deps, list(scene.stage.rows))
    took_s = await scene.until_all_show(scene.kept, before - 1)
    return f"nobody was told of the sale; the reconciliation found it and all followed in {took_s:.2f} s."


async def _doubled_and_late(scene: Scene) -> str:
    product = await scene.product(scene.kept)
    before = scene.stock[scene.kept]
    await scene.stage.shop.reset_counts()
    await scene.stage.shop.fail_next("webhook_duplicate")
    await scene.stage.shop.sell([(product.variants[0].id, 1)], location=scene.location)
    await scene.until_all_show(scene.kept, before - 1)
    await scene.stage.shop.fail_next("webhook_reorder")
    await scene.stage.shop.sell([(product.variants[1].id, 1)], location=scene.location)
    await scene.stage.shop.sell([(product.variants[2].id, 1)], location=scene.location)
    await scene.until_all_show(scene.kept, before - 3)
    reads, writes = await scene.requests()
    if writes > 3:
        raise Failed(f"Three sales needed {writes} writes: a webhook that told nothing new was not free.")
    return (
        f"three sales, one webhook doubled, one overtaken: all at {before - 3}, for {count_of(reads, 'read')} "
        f"and {count_of(writes, 'write')}."
    )


async def _lost_answer(scene: Scene) -> str:
    product = await scene.product(scene.kept)
    before = scene.stock[scene.kept]
    await scene.stage.shop.fail_next("dropped_after", operation=_WRITES)
    await scene.stage.shop.sell([(product.variants[0].id, 1)], location=scene.location)
    await scene.until_all_show(scene.kept, before - 1)
    await _until_settled(scene, scene.kept)
    await scene.stage.shop.sell([(product.variants[1].id, 1)], location=scene.location)
    await scene.until_all_show(scene.kept, before - 2)
    await _expect_stock(scene, scene.kept, before - 2)
    evidence = await _evidence(scene, scene.kept)
    return f"applied, but the answer never came; settled without a person ({evidence}), and the next sale counted."


async def _three_times_three(scene: Scene) -> str:
    product = await scene.product(scene.shared)
    before = scene.stock[scene.shared]
    sold = product.variants[:3]
    for _ in range(3):
        for variant in sold:
            await scene.stage.shop.sell([(variant.id, 1)], location=scene.location)
    took_s = await scene.until_all_show(scene.shared, before - 9)
    return (
        f"three variants sold three times each: those three were lowered by 6 more, the other "
        f"{len(product.variants) - 3} by 9, all to {before - 9}, within {took_s:.2f} s of the last sale."
    )


async def _back_in_stock(scene: Scene) -> str:
    product = await scene.product(_HIDDEN)
    if product.published_on:
        raise Failed(f"{_HIDDEN} should be hidden at first.")
    await scene.stage.shop.edit(product, location=scene.location, available=_RESTOCKED)
    started = monotonic()
    while not (await scene.product(_HIDDEN)).published_on:
        if monotonic() - started > LIMIT_S:
            raise Failed(f"{_HIDDEN} was restocked and is not published.")
        await asyncio.sleep(ASK_EVERY_S)
    took_s = monotonic() - started
    mail = await _the_mail_about(scene, _HIDDEN)
    return (
        f"{_HIDDEN} was hidden and sold out; restocked, it was published after {took_s * 1000:.0f} ms, and one "
        f"mail went to {mail.to}: {mail.subject!r}."
    )


async def _the_mail_about(scene: Scene, title: str) -> SunkMail:
    """The one mail about a product; raises Failed when there is none in time, or more than one."""
    started = monotonic()
    while not (found := [one for one in await scene.stage.sink.mails() if title in one.subject]):
        if monotonic() - started > _MAIL_LIMIT_S:
            raise Failed(f"Nobody was told of {title}.")
        await asyncio.sleep(ASK_EVERY_S)
    await scene.until_still()
    if len(found) > 1:
        raise Failed(f"{len(found)} mails told of {title}; there should be one.")
    return found[0]


_STEPS: tuple[tuple[str, Callable[[Scene], Awaitable[str]]], ...] = (
    ("A restock typed into every variant counts once", _restock),
    ("A sale of one variant", _sale),
    ("Framed and unframed in one order", _framed_and_unframed),
    ("A refund", _refund),
    ("A burst of orders on all variants", _burst),
    ("A webhook that never comes", _lost_webhook),
    ("Webhooks that come twice, or late", _doubled_and_late),
    ("A correction whose answer is lost", _lost_answer),
    ("Listings of one stock, each sold three times", _three_times_three),
    ("A hidden product comes back in stock", _back_in_stock),
    ("A shopper asks to be told of what is sold out", demo_shopper.ask),
    ("It is back, and the shopper is told once", demo_shopper.restock),
    ("The shopper unsubscribes", demo_shopper.unsubscribe),
)


# --- the ledger's side ------------------------------------------------------------------------------------


async def _pool(scene: Scene, title: str) -> PoolRow:
    product = await scene.product(title)
    async with scene.stage.deps.database.connection() as conn:
        found = await pools.list_pools(
            conn, scene.shop_id, product_id=product.id, only_frozen=False, limit=100
        )
    for row in found:
        if row.location_id == scene.location:
            return row
    raise Failed(f"{title} has no shared stock at this location.")


async def _expect_stock(scene: Scene, title: str, wanted: int) -> None:
    pool = await _pool(scene, title)
    if pool.stock != wanted or pool.status != "active":
        raise Failed(f"The ledger of {title} holds {pool.stock} ({pool.status}), not {wanted}.")


async def _until_settled(scene: Scene, title: str) -> None:
    limit = monotonic() + LIMIT_S
    while (pool := await _pool(scene, title)).in_doubt:
        if monotonic() > limit:
            raise Failed(f"The correction of {title} is still in doubt.")
        await asyncio.sleep(ASK_EVERY_S)
    if pool.status != "active":
        raise Failed(f"The stock of {title} is frozen: {pool.reason}")


async def _evidence(scene: Scene, title: str) -> str:
    """What proved that the write whose answer was lost had been applied."""
    entries = [wire.entry_from_json(row.data) for row in await _journal(scene, await _pool(scene, title))]
    lost = [number for number, entry in enumerate(entries) if entry.kind == "outcome_unknown"]
    applied = [entry for entry in entries[lost[-1] :] if entry.kind == "intent_applied"] if lost else []
    if not applied:
        raise Failed(f"The journal of {title} shows no lost answer that was found applied.")
    return str(applied[0].data["evidence"])


async def _journal(scene: Scene, pool: PoolRow) -> list[JournalRow]:
    async with scene.stage.deps.database.connection() as conn:
        return await pools.newest_journal(conn, pool.shop_id, pool.pool_id, limit=1000)


async def _history(scene: Scene, pool: PoolRow) -> list[tuple[str, str]]:
    async with scene.stage.deps.database.connection() as conn:
        held = (await pools.members_of(conn, pool.shop_id, [pool.pool_id])).get(pool.pool_id, [])
    entries = await _journal(scene, pool)
    titles = titles_of((member.item_id, member.location_id, member.title) for member in held)
    zone = time_zone("UTC")
    assert zone is not None, "UTC is known everywhere"
    return [(clock_text(line.at, zone), line.text) for line in history_lines(entries, titles)]


async def _show_reasons(scene: Scene) -> None:
    """Why the numbers are what they are: one stock's history, and one run from cause to end."""
    pool = await _pool(scene, scene.kept)
    tell(f"\nThe history of {pool.title}, whose shared stock is {pool.stock}:")
    for at, text in await _history(scene, pool):
        tell(f"  {at}  {text}")
    async with scene.stage.deps.database.connection() as conn:
        newest = await runs.list_runs(conn, automation_id=scene.stage.rows[1].automation_id, limit=20)
        for one in newest:
            run = await runs.get(conn, one.run_id)
            story = await load_story(conn, run) if run else None
            if story and story.effects:
                break
    zone = time_zone("UTC")
    if story is not None and zone is not None:
        tell("\nOne run, explained (stockwright explain RUN_ID):")
        for line in explain(story, zone):
            tell(f"  {line}")
    await demo_shopper.show_reason(scene)
