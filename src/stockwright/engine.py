"""The second step: take a key's events, gather facts, decide, and save plan, ledger and "done" together.

It never writes to a shop: what is to be done is stored as effects. It does not import the inbox or the
effects; they meet in the database.
"""

from dataclasses import dataclass
from datetime import datetime

from stockwright import scanning
from stockwright.alarms import with_alarm
from stockwright.alerting import check_waiting, note_offers, save_look, tells_news, wake_hand_out
from stockwright.automations import recording
from stockwright.automations.contract import (
    CheckWaiting,
    Claim,
    Correct,
    Emit,
    Facts,
    NoRead,
    Place,
    Plan,
    ReadProduct,
    ReadShown,
    RestockMail,
    Scan,
    Tally,
)
from stockwright.automations.places import NameNotFound
from stockwright.bookkeeping import freeing_first, save_change
from stockwright.deps import Deps, refresh_shop
from stockwright.evidence import order_moves, refunds
from stockwright.model import (
    EffectId,
    ItemGid,
    JsonObject,
    Key,
    PoolId,
    ProductRead,
    RunId,
    Source,
    StockwrightError,
)
from stockwright.offering import OfferChange
from stockwright.remembering import save_step, wake_mail
from stockwright.reporting import report_failure
from stockwright.restock_mail import queue_restock_mail
from stockwright.shopify.budget import Priority
from stockwright.shopify.client import ShopifyClient
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.situations import (
    Loaded,
    Placing,
    add_placing,
    claims_of_others,
    emit,
    holds_all_of,
    load,
    new_run,
    remember_items,
    settle_key,
)
from stockwright.store import items, keys, pools, runs
from stockwright.store.database import Connection, singly, together
from stockwright.store.ids import new_id
from stockwright.store.items import ItemRow
from stockwright.store.runs import EffectRow, RunRow

_CONFLICTS = 5  # decisions in a row that another writer may void before the key backs off
_TOLD_FROM = 3  # failures in a row, when points are short
_PASSES = (ErrorCode.BUDGET, ErrorCode.THROTTLED)
_ITEM = "gid://shopify/InventoryItem/"


@dataclass(frozen=True, kw_only=True)
class Correction:
    """A stored effect that sends the open intent of a pool."""

    effect_id: EffectId
    pool_id: PoolId
    key: str


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one run leaves to be done now."""

    run_id: RunId | None = None
    corrections: tuple[Correction, ...] = ()
    placing: tuple[Placing, ...] = ()
    again: bool = False  # the shop must be read again at once
    scan_goes_on: bool = False  # after what is to be sent; however often that is


async def run(deps: Deps, key: Key) -> Ran:
    """Decide once for a key.

    Raises:
        ShopifyError: the shop could not be read; nothing was decided, the events still wait.
        StockwrightError: other writers were faster again and again.
    """
    for _ in range(_CONFLICTS):
        try:
            return await _run(deps, key)
        except pools.Conflict as conflict:
            last = conflict
    raise StockwrightError(f"Gave way to other writers {_CONFLICTS} times; will try again. The last: {last}.")


async def _run(deps: Deps, key: Key) -> Ran:
    loaded = await load(deps, key)
    if loaded is None:
        return Ran()
    try:
        return await _decide(deps, loaded)
    except ShopifyError as error:
        await _save_failed_read(deps, loaded, error)
        raise


async def _decide(deps: Deps, loaded: Loaded) -> Ran:
    if loaded.key.subject.startswith(_ITEM):
        return await _route_item(deps, loaded)
    try:
        need = loaded.automation.needs(loaded.situation)
        if isinstance(need, Scan):
            scanned = await scanning.scan(deps, loaded, need)
            goes_on = bool(scanned.placing)
            return Ran(run_id=scanned.run_id, placing=scanned.placing, scan_goes_on=goes_on)
        if isinstance(need, CheckWaiting):
            return await _check_waiting(deps, loaded, need)
        return await _decide_one(deps, loaded, need)
    except NameNotFound as error:
        return await _report_names(deps, loaded, error)


async def _decide_one(deps: Deps, loaded: Loaded, need: NoRead | ReadProduct | ReadShown) -> Ran:
    """Time goes on before a read only: what a moment decided to leave unread is decided upon at that moment."""
    facts, requests = Facts(), 0
    if isinstance(need, ReadProduct):
        client = await deps.clients.for_shop(loaded.key.shop_id)
        loaded, facts = await _gather(deps, client, loaded, need)
        requests = client.requests
    elif isinstance(need, ReadShown):
        client = await deps.clients.for_shop(loaded.key.shop_id)
        loaded, priority = loaded.at(deps.clock()), _priority(loaded)
        facts = Facts(shown=await client.read_shown_product(need.product_id, priority=priority))
        requests = client.requests
    plan = loaded.automation.decide(loaded.situation, facts)
    if not loaded.situation.events and not _does_anything(plan):
        return await _rest(deps, loaded, plan)
    if plan.alerts is not None and _is_routine(loaded) and not tells_news(loaded, plan.alerts):
        return await _rest(deps, loaded, plan)
    return await _save(deps, loaded, facts, plan, requests)


def _is_routine(loaded: Loaded) -> bool:
    """Whether nothing happened in the shop: the product is looked at because it is time to."""
    return all(event.source is Source.SWEEP for event in loaded.situation.events)


def _priority(loaded: Loaded) -> Priority:
    """Routine looks leave points to what happens in the shop; a wake-up of its own, or a lost answer, is urgent."""
    waits = any(pool.state.intent is not None for pool in loaded.situation.pools)
    urgent = waits or not loaded.situation.events or not _is_routine(loaded)
    return Priority.EVENT if urgent else Priority.SCAN


async def _check_waiting(deps: Deps, loaded: Loaded, need: CheckWaiting) -> Ran:
    """Put the products that people wait for on the list; a crash on the way only looks at some of them twice."""
    found = await check_waiting(deps, loaded, offers_too=need.offers)
    plan = loaded.automation.conclude(loaded.situation, Tally(woken=found))
    async with deps.database.connection() as conn, conn.transaction():
        return Ran(run_id=await _save_run(conn, deps, loaded, because=plan.because))


def _does_anything(plan: Plan) -> bool:
    return bool(plan.changes or plan.remember or plan.effects or plan.error)


async def _rest(deps: Deps, loaded: Loaded, plan: Plan) -> Ran:
    """A wake-up, or a routine look, that found nothing to do leaves no run."""
    async with together(deps.database) as conn:
        await settle_key(conn, loaded, None, _wake_at(loaded, plan))
    return Ran()


# --- facts ----------------------------------------------------------------------------------------------


async def _gather(
    deps: Deps, client: ShopifyClient, loaded: Loaded, need: ReadProduct
) -> tuple[Loaded, Facts]:
    """The facts, and the situation as of the moment at which the levels were asked for."""
    moves, put_back = await order_moves(client, loaded), await refunds(client, loaded)
    loaded = loaded.at(deps.clock())
    product = await client.read_product(
        need.product_id, item_ids=loaded.item_ids, priority=_priority(loaded), channels=need.channels
    )
    if moves is not None and moves != await order_moves(client, loaded):
        moves = None  # an order came in between: this read proves nothing, the next one may
    if product is None:
        return loaded, Facts()
    claims = await _claims(deps, loaded, product)
    return loaded, Facts(product=product, claims=claims, order_moves=moves, refunds=put_back)


async def _claims(deps: Deps, loaded: Loaded, product: ProductRead) -> tuple[Claim, ...]:
    if holds_all_of(loaded, product):
        return ()
    async with singly(deps.database) as conn:
        return await claims_of_others(conn, loaded, [product])


async def _route_item(deps: Deps, loaded: Loaded) -> Ran:
    """An inventory item that we have not met: find its product, and hand the events over to that."""
    client = await deps.clients.for_shop(loaded.key.shop_id)
    owner = await client.find_product_of_item(ItemGid(loaded.key.subject))
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        if owner is None:
            because = "The inventory item belongs to no product (any more): nothing to do."
            await _save_run(conn, deps, loaded, because=because, requests=client.requests)
            return Ran()
        item = ItemRow(item_id=ItemGid(loaded.key.subject), variant_id=owner.variant_id, title=owner.title)
        await items.remember(conn, loaded.key.shop_id, owner.product_id, [item], now)
        await keys.reroute(conn, loaded.key, loaded.event_ids, owner.product_id)
        await keys.clear(conn, loaded.key, started_at=loaded.started_at)
    return Ran()


# --- saving ---------------------------------------------------------------------------------------------


async def _save(deps: Deps, loaded: Loaded, facts: Facts, plan: Plan, requests: int) -> Ran:
    now, plan = deps.clock(), with_alarm(plan)
    run_id = RunId(new_id("run", now))
    async with together(deps.database) as conn:
        if any(pool.state.intent is not None for pool in loaded.situation.pools):
            await runs.orphan_corrections(conn, loaded.key, now, "the worker stopped before the answer came")
        for change in freeing_first(plan.changes):
            await save_change(conn, loaded.owner, change, run_id=run_id, at=now)
        unmailed = await _save_memory(conn, loaded, plan, run_id, now)
        offers: tuple[OfferChange, ...] = ()
        if plan.alerts is not None:
            offers = await save_look(conn, loaded, plan.alerts, facts.shown, run_id=run_id, at=now)
        if facts.product is not None:
            await remember_items(conn, loaded, facts.product, now)
        await runs.save(conn, _run_row(deps, loaded, facts, plan, run_id, requests))
        corrections, placing = await _add_effects(deps, conn, loaded, plan, run_id, now)
        await note_offers(conn, loaded, run_id, offers, now)
        if unmailed:
            await wake_mail(conn, loaded.owner, now)
        if plan.alerts is not None:
            await wake_hand_out(conn, loaded, plan.alerts)
        await settle_key(conn, loaded, run_id, _wake_at(loaded, plan))
        if plan.error:
            await report_failure(conn, deps, run_id)
    return Ran(run_id=run_id, corrections=corrections, placing=placing, again=plan.again)


async def _save_memory(conn: Connection, loaded: Loaded, plan: Plan, run_id: RunId, at: datetime) -> bool:
    """Store what was seen of the product; whether something that was confirmed waits for its mail."""
    if any(memory.wave is not None for memory in loaded.situation.memories):
        reason = "the worker stopped before the answer came"
        await runs.orphan_placements(conn, loaded.key, at, reason)
    steps = [await save_step(conn, loaded.owner, step, run_id=run_id, at=at) for step in plan.remember]
    return any(steps)


def _wake_at(loaded: Loaded, plan: Plan) -> datetime | None:
    """The earliest of what this plan waits for and what pools that it left alone wait for."""
    stepped = {change.pool_id for change in plan.changes}
    waits = [pool.wake_at for pool in loaded.situation.pools if pool.pool_id not in stepped]
    return min((at for at in (plan.wake_at, *waits) if at is not None), default=None)


def _run_row(deps: Deps, loaded: Loaded, facts: Facts, plan: Plan, run_id: RunId, requests: int) -> RunRow:
    return new_run(
        loaded,
        run_id,
        title=plan.title,
        state="failed" if plan.error else "succeeded",
        because=plan.because,
        error=plan.error,
        plan=plan_to_json(plan),
        input=recording.record(loaded.situation, facts),
        requests=requests,
        finished_at=deps.clock(),
    )


def plan_to_json(plan: Plan) -> JsonObject:
    """A plan as it is kept with its run: enough to compare two, and to show what was decided."""
    return {
        "version": 1,
        "pools": [
            {
                "pool_id": change.pool_id,
                "title": change.title,
                "because": change.step.because,
                "next": change.step.next.value,
                "entries": [entry.kind for entry in change.step.entries],
                "dissolve": change.dissolve,
            }
            for change in plan.changes
        ],
        "again": plan.again,
        "wake_at": plan.wake_at.isoformat() if plan.wake_at else None,
        **_restocks_to_json(plan),
        **_alerts_to_json(plan),
    }


def _alerts_to_json(plan: Plan) -> JsonObject:
    look = plan.alerts
    if look is None or not (look.wave_id or look.gone):
        return {}
    return {
        "alerts": {
            "wave_id": look.wave_id,
            "opens": look.opens,
            "back": [{"variant_id": one.variant_id, "available": one.available} for one in look.back],
            "over": dict(look.over),
            "gone": list(look.gone),
        }
    }


def _restocks_to_json(plan: Plan) -> JsonObject:
    placing = [
        {
            "product_id": effect.product_id,
            "wave_id": effect.wave.wave_id,
            "action": effect.wave.action.value,
            "channels": [channel.name for channel in effect.wave.sent],
        }
        for effect in plan.effects
        if isinstance(effect, Place)
    ]
    mails = [effect.key for effect in plan.effects if isinstance(effect, RestockMail)]
    return {**({"placing": placing} if placing else {}), **({"mails": mails} if mails else {})}


async def _add_effects(
    deps: Deps, conn: Connection, loaded: Loaded, plan: Plan, run_id: RunId, now: datetime
) -> tuple[tuple[Correction, ...], tuple[Placing, ...]]:
    corrections, placing = [], []
    for effect in plan.effects:
        effect_id = EffectId(new_id("eff", now))
        match effect:
            case Correct(pool_id=pool_id, key=intent_key):
                row = _correction_row(effect_id, plan, pool_id, intent_key, now)
                corrections.append(Correction(effect_id=effect_id, pool_id=pool_id, key=intent_key))
            case Emit(topic=topic):
                event_id = await emit(conn, loaded, effect, now)
                row = EffectRow(
                    effect_id=effect_id,
                    kind="emit",
                    payload={"topic": topic},
                    state="done",
                    result={"event_id": event_id},
                    created_at=now,
                    finished_at=now,
                )
            case Place():
                placing.append(await add_placing(conn, loaded, effect, run_id, now))
                continue
            case RestockMail():
                row = await queue_restock_mail(
                    deps, conn, loaded, effect, run_id=run_id, effect_id=effect_id, at=now
                )
        await runs.add_effect(conn, loaded.key, run_id, row)
    return tuple(corrections), tuple(placing)


def _correction_row(
    effect_id: EffectId, plan: Plan, pool_id: PoolId, intent_key: str, now: datetime
) -> EffectRow:
    change = next(change for change in plan.changes if change.pool_id == pool_id)
    intent = change.step.state.intent if change.step.state else None
    rows = [
        {
            "level": change.titles.get(row.member, row.member.item_id),
            "item_id": row.member.item_id,
            "location_id": row.member.location_id,
            "delta": row.delta,
            "from": row.from_quantity,
            "to": row.after,
        }
        for row in (intent.rows if intent else ())
    ]
    payload = {"pool_id": pool_id, "key": intent_key, "rows": rows}
    return EffectRow(effect_id=effect_id, kind="correct", payload=payload, created_at=now)


async def _save_run(
    conn: Connection,
    deps: Deps,
    loaded: Loaded,
    *,
    because: str,
    error: JsonObject | None = None,
    requests: int = 0,
) -> RunId:
    run_id = RunId(new_id("run", deps.clock()))
    row = new_run(
        loaded,
        run_id,
        state="failed" if error else "succeeded",
        because=because,
        error=error,
        requests=requests,
        finished_at=deps.clock(),
    )
    await runs.save(conn, row)
    await settle_key(conn, loaded, run_id, None)
    if error:
        await report_failure(conn, deps, run_id)
    return run_id


async def _report_names(deps: Deps, loaded: Loaded, error: NameNotFound) -> Ran:
    """Options name what the shop does not have: look at the shop once more, then tell the owner."""
    shop = await refresh_shop(deps, loaded.key.shop_id)
    if shop != loaded.situation.shop:
        return Ran(again=True)
    detail: JsonObject = {"message": str(error), **error.detail}
    async with deps.database.connection() as conn, conn.transaction():
        await _save_run(
            conn, deps, loaded, because="The options name what the shop does not have.", error=detail
        )
    return Ran()


async def _save_failed_read(deps: Deps, loaded: Loaded, error: ShopifyError) -> None:
    """The shop gave no answer: record the attempt; the events go on waiting for the next one."""
    row = new_run(
        loaded,
        RunId(new_id("run", deps.clock())),
        state="failed",
        because="The shop could not be read, so nothing was decided. The events wait for the next try.",
        error={"message": str(error), "code": error.code.value},
        finished_at=deps.clock(),
    )
    async with deps.database.connection() as conn, conn.transaction():
        await runs.save(conn, row)
        failures = (await keys.state(conn, loaded.key)).failures + 1
        if error.code not in _PASSES or failures >= _TOLD_FROM:
            topics = [event.topic for event in loaded.situation.events]
            await report_failure(conn, deps, row.run_id, topics=topics)
    error.is_told = True
