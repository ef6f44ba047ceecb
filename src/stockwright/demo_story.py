"""The story of `demo --scripted`: each step acts in the shop, waits for the effect, and shows the proof."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from textwrap import wrap
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
from stockwright.explaining import HistoryLine, RunStory, explain, history_lines, titles_of
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
_LEDGER_LINES = 8  # that one step shows of one product
_WIDTH = 105


def _of_nothing(_scene: Scene) -> tuple[str, ...]:
    return ()


def _of_kept(scene: Scene) -> tuple[str, ...]:
    return (scene.kept,)


def _of_shared(scene: Scene) -> tuple[str, ...]:
    return (scene.shared,)


@dataclass(frozen=True)
class Step:
    """One thing that happens in the shop."""

    title: str
    act: Callable[[Scene], Awaitable[str]]
    about: Callable[[Scene], tuple[str, ...]] = _of_nothing  # the products whose ledger tells of it


async def play(stage: Stage) -> int:
    """Play all steps; 0 when every one held."""
    scene = await _open(stage)
    failed = 0
    for number, step in enumerate(_STEPS, start=1):
        failed += not await _play_step(scene, number, step)
    try:
        await _show_reasons(scene)
    except StockwrightError as error:
        failed += 1
        tell(f"FAIL The reasons cannot be shown: {error}")
    tell("\nEvery step held." if not failed else f"\n{failed} of {len(_STEPS)} steps did not hold.")
    return 1 if failed else 0


async def _play_step(scene: Scene, number: int, step: Step) -> bool:
    """Act, wait, and show the proof with what the ledger says of it; whether it held."""
    started = monotonic()
    try:
        proof = await step.act(scene)
    except StockwrightError as error:
        tell(f"FAIL {number}. {step.title}\n     {error}")
        return False
    tell(f"ok   {number}. {step.title} ({monotonic() - started:.1f} s)\n     {proof}")
    for title in step.about(scene):
        await _show_ledger(scene, title)
    return True


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


_STEPS = (
    Step(
        "A restock typed into every variant counts once", _restock, lambda scene: (scene.kept, scene.shared)
    ),
    Step("A sale of one variant", _sale, _of_kept),
    Step("Framed and unframed in one order", _framed_and_unframed, _of_kept),
    Step("A refund", _refund, _of_kept),
    Step("A burst of orders on all variants", _burst, _of_kept),
    Step("A webhook that never comes", _lost_webhook, _of_kept),
    Step("Webhooks that come twice, or late", _doubled_and_late, _of_kept),
    Step("A correction whose answer is lost", _lost_answer, _of_kept),
    Step("Listings of one stock, each sold three times", _three_times_three, _of_shared),
    Step("A hidden product comes back in stock", _back_in_stock),
    Step("A shopper asks to be told of what is sold out", demo_shopper.ask),
    Step("It is back, and the shopper is told once", demo_shopper.restock),
    Step("The shopper unsubscribes", demo_shopper.unsubscribe),
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


async def _show_ledger(scene: Scene, title: str) -> None:
    """What was booked since the ledger of this product was last shown."""
    pool = await _pool(scene, title)
    async with scene.stage.deps.database.connection() as conn:
        held = (await pools.members_of(conn, pool.shop_id, [pool.pool_id])).get(pool.pool_id, [])
        entries = await pools.journal(conn, pool.shop_id, pool.pool_id, after=scene.told.get(title, 0))
    scene.told[title] = entries[-1].seq if entries else scene.told.get(title, 0)
    titles = titles_of((member.item_id, member.location_id, member.title) for member in held)
    tell(f"     The ledger of {pool.title}, whose shared stock is {pool.stock}:")
    for line in shortened(history_lines(entries, titles), limit=_LEDGER_LINES):
        tell(f"       {line}")


def shortened(told: Sequence[HistoryLine], *, limit: int) -> list[str]:
    """Wrapped to a terminal's width, and at most `limit` lines: the first and the last, with a gap between them."""
    lines = [
        part
        for line in told
        for part in wrap(f"{line.at:%H:%M:%S}  {line.text}", width=_WIDTH, subsequent_indent=" " * 10)
    ]
    if len(lines) <= limit:
        return lines
    first = limit // 2
    last = limit - 1 - first
    gap = f"          ... {len(lines) - first - last} lines more; `stock history` tells all"
    return [*lines[:first], gap, *lines[-last:]]


async def _show_reasons(scene: Scene) -> None:
    """Why: one run from its cause to its end, and what became of each request of the shopper."""
    story = await _newest_with_effects(scene)
    zone = time_zone("UTC")
    if story is not None and zone is not None:
        tell("\nOne run, explained (stockwright explain RUN_ID):")
        for line in explain(story, zone):
            tell(f"  {line}")
    await demo_shopper.show_reason(scene)


async def _newest_with_effects(scene: Scene) -> RunStory | None:
    async with scene.stage.deps.database.connection() as conn:
        for one in await runs.list_runs(conn, automation_id=scene.stage.rows[1].automation_id, limit=20):
            run = await runs.get(conn, one.run_id)
            story = await load_story(conn, run) if run else None
            if story and story.effects:
                return story
    return None
