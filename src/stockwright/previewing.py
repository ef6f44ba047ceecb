"""What an automation would do now, effect by effect, with nothing written anywhere."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from stockwright.automations import kind_named
from stockwright.automations.contract import Facts, Place, Plan, Situation
from stockwright.automations.options import read_options
from stockwright.bookkeeping import Owner, load_pools
from stockwright.deps import Deps, refresh_shop, shop_policy
from stockwright.model import (
    PRODUCT_CHECK,
    USER_TRIGGER,
    Event,
    EventId,
    Json,
    Key,
    ProductGid,
    ProductRead,
    Source,
    StockwrightError,
)
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.restock import Known
from stockwright.remembering import load_memories
from stockwright.shopify.budget import Priority
from stockwright.shopify.products import SkippedProduct
from stockwright.situations import Loaded, claims_of_others
from stockwright.store import shops, waves
from stockwright.store.automations import AutomationRow
from stockwright.watching import load_known

_WAITING = 100  # products of one page of those that people wait for


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """What would happen to one product."""

    product_id: str
    title: str
    because: str
    corrections: tuple[Json, ...]  # {"level", "from", "to"}
    error: Json
    publishing: tuple[Json, ...] = ()  # {"action": publish | unpublish, "channels", "available"}
    telling: tuple[Json, ...] = ()  # {"variant", "available", "people"}: who would be told of what

    @property
    def acts(self) -> bool:
        """Whether anything would be done."""
        return bool(self.corrections or self.publishing or self.telling)


Hear = Callable[[int, int | None], None]  # how many products were looked at, and of how many if that is known


def _hear_nothing(_done: int, _total: int | None) -> None:
    pass


async def preview(
    deps: Deps, row: AutomationRow, *, hear: Hear = _hear_nothing
) -> AsyncGenerator[Previewed, None]:
    """Each product in scope with what would be done to it now; `hear` is told after each page of the shop.

    Raises:
        ShopifyError: the shop could not be read.
        StockwrightError: the options name what the shop does not have.
    """
    loaded = await _loaded(deps, row)
    if loaded.automation.tells_shoppers:
        found = _preview_waiting(deps, loaded, hear)
    else:
        found = _preview_scope(deps, loaded, hear)
    async for one in found:
        yield one


async def _preview_scope(deps: Deps, loaded: Loaded, hear: Hear) -> AsyncGenerator[Previewed, None]:
    """Each product that the options choose."""
    client = await deps.clients.for_shop(loaded.key.shop_id)
    after, seen, total = None, 0, None
    while True:
        page = await client.scan_products(
            loaded.automation.search(loaded.situation.options),
            after=after,
            priority=Priority.SCAN,
            channels=_channels(loaded),
        )
        for product in page.products:
            yield await _preview_one(deps, loaded, product)
        for missed in page.skipped:
            yield _unread(missed)
        seen += len(page.products) + len(page.skipped)
        total = page.total if total is None else total
        hear(seen, total)
        after = page.after
        if after is None:
            return


async def _preview_waiting(deps: Deps, loaded: Loaded, hear: Hear) -> AsyncGenerator[Previewed, None]:
    """Each product that people wait for; the rest of the catalogue is none of this kind's business."""
    client = await deps.clients.for_shop(loaded.key.shop_id)
    after, seen = "", 0
    while True:
        async with deps.database.connection() as conn:
            ids = await waves.waited_for(conn, loaded.key.shop_id, after=after, limit=_WAITING)
        for product_id in ids:
            async with deps.database.connection() as conn:
                known = await load_known(conn, loaded.key.shop_id, product_id)
            shown = await client.read_shown_product(ProductGid(product_id), priority=Priority.SCAN)
            yield _previewed(loaded, product_id, known, shown, deps.clock())
            seen += 1
            hear(seen, None)
        if len(ids) < _WAITING:
            return
        after = ids[-1]


def _previewed(
    loaded: Loaded, product_id: str, known: Known, shown: ShownProduct | None, now: datetime
) -> Previewed:
    situation = replace(loaded.situation, subject=product_id, events=(_check(now),), alerts=known, now=now)
    plan = loaded.automation.decide(situation, Facts(shown=shown))
    people = Counter({one.variant_id: 0 for one in known.in_line})
    for one in known.in_line:
        people[one.variant_id] += one.people
    back = plan.alerts.back if plan.alerts else ()
    return Previewed(
        product_id=product_id,
        title=plan.title or product_id,
        because=plan.because,
        corrections=(),
        error=plan.error,
        telling=tuple(
            {
                "variant": one.title or plan.title,
                "available": one.available,
                "people": people[one.variant_id],
            }
            for one in back
        ),
    )


def _check(now: datetime) -> Event:
    """The event of a look that somebody asks for."""
    return Event(
        event_id=EventId("preview"),
        topic=PRODUCT_CHECK,
        payload={"asked_by": USER_TRIGGER},
        source=Source.PERSON,
        received_at=now,
    )


def _channels(loaded: Loaded) -> int:
    """How many channels to ask of each product: all of the shop, for a kind that publishes."""
    return max(1, len(loaded.situation.shop.channels)) if loaded.automation.watches_restocks else 0


def _unread(missed: SkippedProduct) -> Previewed:
    return Previewed(
        product_id=missed.id,
        title=missed.title,
        because="It could not be read whole, so it would be left alone.",
        corrections=(),
        error={"message": missed.reason},
    )


async def _loaded(deps: Deps, row: AutomationRow) -> Loaded:
    read = await refresh_shop(deps, row.shop_id)
    async with deps.database.connection() as conn:
        shop = await shops.get(conn, row.shop_id)
    if shop is None:
        raise StockwrightError("The shop of this automation was removed.")
    automation = kind_named(row.kind)
    now = deps.clock()
    situation: Situation[Any] = Situation(
        name=row.name,
        subject="",
        events=(),
        options=read_options(automation.options, dict(row.options)),
        shop=read,
        policy=shop_policy(deps, shop),
        pools=(),
        now=now,
        nonce=deps.nonce(),
    )
    key = Key(shop_id=row.shop_id, automation_id=row.automation_id, subject="")
    return Loaded(
        key=key, automation=automation, row=row, shop=shop, items=(), situation=situation, started_at=now
    )


async def _preview_one(deps: Deps, loaded: Loaded, product: ProductRead) -> Previewed:
    now = deps.clock()
    owner = Owner(shop_id=loaded.key.shop_id, automation_id=loaded.key.automation_id)
    async with deps.database.connection() as conn:
        pools = await load_pools(conn, owner, [product.id])
        memories = await load_memories(conn, owner, [product.id])
        known = loaded.with_known(pools=pools, memories=memories)
        claims = await claims_of_others(conn, known, [product])
    situation = replace(known.situation, subject=product.id, events=(_check(now),), now=now)
    plan = loaded.automation.decide(situation, Facts(product=product, claims=claims))
    return Previewed(
        product_id=product.id,
        title=product.title,
        because=plan.because,
        corrections=tuple(_corrections(plan)),
        error=plan.error,
        publishing=tuple(_publishing(plan)),
    )


def _publishing(plan: Plan) -> list[Json]:
    return [
        {
            "action": effect.wave.action.value,
            "channels": [channel.name for channel in effect.wave.sent],
            "available": effect.wave.quantity,
        }
        for effect in plan.effects
        if isinstance(effect, Place)
    ]


def _corrections(plan: Plan) -> list[Json]:
    found: list[Json] = []
    for change in plan.changes:
        intent = change.step.state.intent if change.step.state else None
        if intent is None or change.dissolve:
            continue
        found += [
            {
                "level": change.titles.get(row.member, row.member.item_id),
                "from": row.from_quantity,
                "to": row.after,
            }
            for row in intent.rows
        ]
    return found
