"""What an automation would do now, effect by effect, with nothing written anywhere."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
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
    ProductRead,
    Source,
    StockwrightError,
)
from stockwright.remembering import load_memories
from stockwright.shopify.budget import Priority
from stockwright.shopify.products import SkippedProduct
from stockwright.situations import Loaded, claims_of_others
from stockwright.store import shops
from stockwright.store.automations import AutomationRow


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """What would happen to one product."""

    product_id: str
    title: str
    because: str
    corrections: tuple[Json, ...]  # {"level", "from", "to"}
    error: Json
    publishing: tuple[Json, ...] = ()  # {"action": publish | unpublish, "channels", "available"}


async def preview(deps: Deps, row: AutomationRow) -> AsyncGenerator[Previewed, None]:
    """Each product in scope with what would be done to it now.

    Raises:
        ShopifyError: the shop could not be read.
        StockwrightError: the options name what the shop does not have.
    """
    loaded = await _loaded(deps, row)
    client = await deps.clients.for_shop(row.shop_id)
    after = None
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
        after = page.after
        if after is None:
            return


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
        claims = await claims_of_others(conn, loaded, [product])
        memories = await load_memories(conn, owner, [product.id])
    check = Event(
        event_id=EventId("preview"),
        topic=PRODUCT_CHECK,
        payload={"asked_by": USER_TRIGGER},
        source=Source.PERSON,
        received_at=now,
    )
    situation = replace(
        loaded.situation, subject=product.id, events=(check,), pools=pools, memories=memories, now=now
    )
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
