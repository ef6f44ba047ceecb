"""What a run starts from: the automation, its shop, the waiting events and the pools, in one read.

And how a run ends: events done, wake-up times set, in the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from stockwright.automations import kind_named
from stockwright.automations.contract import Automation, Claim, Emit, Place, PoolView, Situation
from stockwright.automations.options import read_options
from stockwright.automations.restock import Memory
from stockwright.automations.shared_stock import member_of
from stockwright.bookkeeping import Owner, view_of
from stockwright.deps import Deps, refresh_shop, shop_as_read, shop_policy
from stockwright.ledger.state import MemberId
from stockwright.model import (
    PRODUCT_CHECK,
    STAFF_MAIL,
    WHOLE_SHOP,
    EffectId,
    Event,
    EventId,
    ItemGid,
    JsonObject,
    Key,
    NewEvent,
    ProductGid,
    ProductRead,
    RunId,
    Source,
)
from stockwright.notify.restock import Known
from stockwright.remembering import load_memories, load_unmailed
from stockwright.store import inbox, items, keys, pools, runs, situations, wake
from stockwright.store.automations import AutomationRow
from stockwright.store.database import Connection, singly
from stockwright.store.ids import new_id
from stockwright.store.items import ItemRow
from stockwright.store.runs import EffectRow, RunRow
from stockwright.store.shops import Shop
from stockwright.store.situations import KeyRow
from stockwright.watching import load_known


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A key's situation, with what the engine needs besides."""

    key: Key
    automation: Automation[Any]
    row: AutomationRow
    shop: Shop
    items: tuple[ItemRow, ...]  # that the product had when it was last read, by item id
    situation: Situation[Any]
    started_at: datetime

    @property
    def owner(self) -> Owner:
        """Whose pools the run may touch."""
        return Owner(shop_id=self.key.shop_id, automation_id=self.key.automation_id)

    @property
    def item_ids(self) -> list[ItemGid]:
        """The items that the product had when it was last read."""
        return [item.item_id for item in self.items]

    @property
    def event_ids(self) -> list[EventId]:
        """The events that this run answers."""
        return [event.event_id for event in self.situation.events]

    def at(self, now: datetime) -> "Loaded":
        """The same at a later moment: just before a read, so that waits are counted from it."""
        return replace(self, situation=replace(self.situation, now=now))

    def answering(self, event_ids: Sequence[str]) -> "Loaded":
        """The same, answering only those of its events; none given = all of them."""
        if not event_ids:
            return self
        events = tuple(event for event in self.situation.events if event.event_id in event_ids)
        return replace(self, situation=replace(self.situation, events=events))

    def with_known(self, *, pools: Sequence[PoolView], memories: Sequence[Memory]) -> "Loaded":
        """The same with these pools and memories: a scan looks at other products on each page."""
        known = replace(self.situation, pools=tuple(pools), memories=tuple(memories))
        return replace(self, situation=known)


async def load(deps: Deps, key: Key) -> Loaded | None:
    """Everything known before the shop is read; None when the key's work is void (and was dropped).

    Raises:
        ShopifyError: the events name a location that the last read of the shop did not show, and it does not answer.
    """
    loaded = await _load(deps, key)
    if loaded is None or not _names_new_location(loaded):
        return loaded
    await refresh_shop(deps, key.shop_id)
    return await _load(deps, key)


def _names_new_location(loaded: Loaded) -> bool:
    """Whether something happened at a location that was opened since the shop was read."""
    if not loaded.automation.shares_stock:
        return False
    shown = {location.id for location in loaded.situation.shop.locations}
    read_at = loaded.shop.read_at
    return any(
        member.location_id not in shown and (read_at is None or read_at < event.received_at)
        for event in loaded.situation.events
        if (member := member_of(event)) is not None
    )


async def _load(deps: Deps, key: Key) -> Loaded | None:
    now = deps.clock()
    async with singly(deps.database) as conn:
        found = await situations.of_key(conn, key, now)
        if found is None:
            await keys.cancel(conn, key.shop_id, key.automation_id)
            return None
        void = _why_void(found.automation, found.shop)
        if void:
            async with conn.transaction():
                await _cancel(conn, key, found.automation, now, void)
            return None
        return await _loaded(deps, conn, key, found, now)


def _why_void(row: AutomationRow, shop: Shop) -> str:
    if not row.enabled:
        return f"The automation {row.name!r} is disabled."
    if shop.status != "active":
        return f"The shop {shop.domain} is {shop.status}: {shop.status_reason or 'no reason was recorded'}"
    return ""


async def _cancel(conn: Connection, key: Key, row: AutomationRow, now: datetime, why: str) -> None:
    waiting = await keys.pending(conn, key, now)
    if waiting:
        run = _run_row(key, row, new_id("run", now), now, state="cancelled", because=why)
        await runs.save(conn, run)
        await keys.finish(conn, key, [event.event_id for event in waiting], run.run_id)
    await keys.clear(conn, key, started_at=now)
    await wake.wake_next(conn, key)


async def _loaded(deps: Deps, conn: Connection, key: Key, found: KeyRow, now: datetime) -> Loaded:
    row, shop, events = found.automation, found.shop, found.events
    automation = kind_named(row.kind)
    owner = Owner(shop_id=key.shop_id, automation_id=key.automation_id)
    of_product = key.subject not in (WHOLE_SHOP, STAFF_MAIL)
    watches = automation.watches_restocks
    views = tuple(view_of(pool, members) for pool, members in found.pools)
    memories = await load_memories(conn, owner, [key.subject]) if of_product and watches else ()
    unmailed = await load_unmailed(conn, owner, now) if key.subject == STAFF_MAIL else ()
    situation = Situation(
        name=row.name,
        subject=key.subject,
        events=tuple(events),
        options=read_options(automation.options, dict(row.options)),
        shop=shop_as_read(shop),
        policy=shop_policy(deps, shop),
        pools=views,
        now=now,
        nonce=deps.nonce(),
        memories=memories,
        unmailed=unmailed,
        claims=() if views else await _held_by_others(conn, key, events),
        alerts=await load_known(conn, key.shop_id, key.subject)
        if of_product and automation.tells_shoppers
        else Known(),
    )
    return Loaded(
        key=key,
        automation=automation,
        row=row,
        shop=shop,
        items=tuple(found.items),
        situation=situation,
        started_at=now,
    )


async def _held_by_others(conn: Connection, key: Key, events: Iterable[Event]) -> tuple[Claim, ...]:
    """Levels named by the events that pools of other automations hold: they need no read of ours."""
    item_ids = sorted({member.item_id for event in events if (member := member_of(event)) is not None})
    return await _claims(conn, key, item_ids, loaded=()) if item_ids else ()


async def claims_of_others(
    conn: Connection, loaded: Loaded, products: Iterable[ProductRead]
) -> tuple[Claim, ...]:
    """Levels of these products that other pools hold than those loaded; of interest only to kinds with pools."""
    if not loaded.automation.shares_stock:
        return ()
    item_ids = sorted({variant.item_id for product in products for variant in product.variants})
    return await _claims(conn, loaded.key, item_ids, loaded=loaded.situation.pools)


def holds_all_of(loaded: Loaded, product: ProductRead) -> bool:
    """Whether the run's own pools hold each level of the product, so that nobody else can."""
    held = {member for pool in loaded.situation.pools for member in pool.state.members}
    return all(
        MemberId(variant.item_id, level.location_id) in held
        for variant in product.variants
        for level in variant.levels
    )


async def _claims(
    conn: Connection, key: Key, item_ids: Sequence[str], *, loaded: Sequence[PoolView]
) -> tuple[Claim, ...]:
    own = {pool.pool_id for pool in loaded}
    rows = await pools.claims(conn, key.shop_id, item_ids)
    return tuple(
        Claim(
            member=MemberId(row.item_id, row.location_id),
            automation_name=row.automation_name,
            title=row.title,
            automation_id=row.automation_id,
            pool_id=row.pool_id,
            is_enabled=row.is_enabled,
            is_at_rest=row.is_at_rest,
        )
        for row in rows
        if row.pool_id not in own
    )


# --- how a run ends ---------------------------------------------------------------------------------------


def new_run(loaded: Loaded, run_id: RunId, **values: Any) -> RunRow:
    """The row of a run of this key, started when its situation was loaded."""
    return _run_row(loaded.key, loaded.row, run_id, loaded.started_at, **values)


def _run_row(key: Key, row: AutomationRow, run_id: Any, started_at: datetime, **values: Any) -> RunRow:
    return RunRow(
        shop_id=key.shop_id,
        run_id=RunId(run_id),
        automation_id=key.automation_id,
        kind=row.kind,
        subject=key.subject,
        started_at=started_at,
        **{"title": "", "finished_at": started_at, **values},
    )


async def remember_items(conn: Connection, loaded: Loaded, product: ProductRead, at: datetime) -> None:
    """Store which items the product has, for routing."""
    found = [
        ItemRow(item_id=variant.item_id, variant_id=variant.id, title=variant.title)
        for variant in {variant.item_id: variant for variant in product.variants}.values()
    ]
    new = [item for item in found if item not in loaded.items]
    if new:
        await items.remember(conn, loaded.key.shop_id, product.id, new, at)


async def settle_key(
    conn: Connection, loaded: Loaded, run_id: RunId | None, wake_at: datetime | None
) -> None:
    """Mark the events done and set when the key runs next. Jobs are the last locks of a transaction."""
    if loaded.event_ids:
        await keys.finish(conn, loaded.key, loaded.event_ids, run_id)
    await keys.clear(conn, loaded.key, started_at=loaded.started_at)
    if wake_at is not None:
        await keys.set_wake_at(conn, loaded.key, wake_at)
    await wake.wake_next(conn, loaded.key, now=loaded.situation.now)


@dataclass(frozen=True, kw_only=True)
class Placing:
    """A stored effect that sends what the open wave of a product asks for."""

    effect_id: EffectId
    product_id: ProductGid
    wave_id: str


async def add_placing(
    conn: Connection, loaded: Loaded, effect: Place, run_id: RunId, at: datetime
) -> Placing:
    """Store the effect that publishes a product, or takes it down."""
    wave = effect.wave
    payload = {
        "product_id": effect.product_id,
        "title": wave.title,
        "wave_id": wave.wave_id,
        "quantity": wave.quantity,
        "channels": [{"id": one.id, "name": one.name} for one in wave.sent],
    }
    effect_id = EffectId(new_id("eff", at))
    row = EffectRow(effect_id=effect_id, kind=wave.action.value, payload=payload, created_at=at)
    await runs.add_effect(conn, loaded.key, run_id, row)
    return Placing(effect_id=effect_id, product_id=effect.product_id, wave_id=wave.wave_id)


async def emit(conn: Connection, loaded: Loaded, effect: Emit, at: datetime) -> EventId:
    """Put a custom event of this automation into the inbox, for itself."""
    event = custom_event(loaded, effect, at)
    await inbox.receive(conn, [event])
    return event.event_id


def custom_event(loaded: Loaded, effect: Emit, at: datetime) -> NewEvent:
    """A custom event of this automation, for itself."""
    return NewEvent(
        shop_id=loaded.key.shop_id,
        event_id=EventId(new_id("evt", at)),
        topic=effect.topic,
        payload=effect.payload,
        source=Source.AUTOMATION,
        automation_id=loaded.key.automation_id,
    )


def product_checks(
    loaded: Loaded, products: Sequence[ProductGid], reason: JsonObject, at: datetime
) -> list[NewEvent]:
    """Events that have these products looked at one by one, each under its own key."""
    return [
        NewEvent(
            shop_id=loaded.key.shop_id,
            event_id=EventId(new_id("evt", at)),
            topic=PRODUCT_CHECK,
            payload=reason,
            source=Source.SWEEP,
            subject=product_id,
            automation_id=loaded.key.automation_id,
        )
        for product_id in dict.fromkeys(products)
    ]
