"""A person's way out of a frozen stock: the decision is stepped, stored, and its key woken.

Sends nothing: what the decision leads to is corrected by the key's next run, like any other change.
"""

from dataclasses import dataclass, replace

from stockwright.automations.contract import PoolChange, PoolView
from stockwright.automations.places import place_of, seen_at
from stockwright.bookkeeping import change_of, save_change
from stockwright.deps import Deps
from stockwright.ledger import protocol
from stockwright.ledger.state import Observation, Policy, Resolution, Resolve
from stockwright.model import Conflicting, Key
from stockwright.shopify.client import ShopifyClient
from stockwright.situations import Loaded, claims_of_others, load
from stockwright.store import keys, pools, wake
from stockwright.store.audit import COMMAND_LINE, Actor, audit
from stockwright.store.pools import PoolRow


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person says of a frozen stock."""

    resolution: Resolution
    stock: int | None  # with ADOPT_LEVELS, where levels differ
    by: str


async def resolve_pool(deps: Deps, row: PoolRow, decision: Decision, *, actor: Actor = COMMAND_LINE) -> str:
    """Book a decision and let the stock go on; returns what was done, in words.

    Raises:
        Conflicting: the decision does not fit the stock as it is now; nothing was stored.
        ShopifyError: the levels to adopt could not be read.
    """
    key = Key(shop_id=row.shop_id, automation_id=row.automation_id, subject=row.product_id)
    loaded = await load(deps, key)
    view = (
        next((pool for pool in loaded.situation.pools if pool.pool_id == row.pool_id), None)
        if loaded
        else None
    )
    if loaded is None or view is None:
        raise Conflicting(
            f"The automation of {row.title!r} is not at work. Enable it first: "
            f"stockwright automation enable {row.automation_id}"
        )
    resolve = await _resolve(deps, loaded, view, decision)
    # Without rows the step books and corrects nothing: the key's next run does, with a fresh read.
    policy = replace(loaded.situation.policy, rows_per_intent=0)
    change = _change(view, resolve, policy)
    # Due at once: without a wake-up time of its own the pool would not be read before its next event.
    change = replace(change, step=replace(change.step, wake_at=resolve.at))
    if not change.step.entries:
        raise Conflicting(change.step.because)
    await _save(deps, loaded, change, decision, actor)
    return f"Booked for {row.title}. Its next run reads the levels and corrects them where they differ."


async def _resolve(deps: Deps, loaded: Loaded, view: PoolView, decision: Decision) -> Resolve:
    observation = None
    if decision.resolution is Resolution.ADOPT_LEVELS:
        client = await deps.clients.for_shop(loaded.key.shop_id)
        observation = await _observe(deps, client, loaded, view)
    return Resolve(
        at=deps.clock(),
        by=decision.by,
        resolution=decision.resolution,
        stock=decision.stock,
        observation=observation,
    )


async def _observe(deps: Deps, client: ShopifyClient, loaded: Loaded, view: PoolView) -> Observation:
    asked_at = deps.clock()
    product = await client.read_product(view.product_id, item_ids=loaded.item_ids)
    if product is None:
        raise Conflicting(
            f"The shop has no product {view.product_id} any more; its next run lets the stock go."
        )
    async with deps.database.connection() as conn:
        claims = await claims_of_others(conn, loaded, [product])
    levels = seen_at(place_of(view, loaded.situation.shop), product, claims)
    return Observation(at=asked_at, seen=levels.seen, key=deps.nonce())


def _change(view: PoolView, resolve: Resolve, policy: Policy) -> PoolChange:
    return change_of(view, protocol.step(view.state, resolve, policy, pool_id=view.pool_id))


async def _save(deps: Deps, loaded: Loaded, change: PoolChange, decision: Decision, actor: Actor) -> None:
    now = deps.clock()
    try:
        async with deps.database.connection() as conn, conn.transaction():
            detail = {
                "pool_id": change.pool_id,
                "resolution": decision.resolution.value,
                "stock": decision.stock,
                "by": decision.by,
            }
            await audit(conn, actor, "stock.resolve", change.title, detail, at=now)
            await save_change(conn, loaded.owner, change, run_id=None, at=now)
            await keys.set_wake_at(conn, loaded.key, now)
            await wake.wake_next(conn, loaded.key)
    except pools.Conflict as conflict:
        raise Conflicting(
            f"The stock moved on while you decided: {conflict}. Look again, then decide."
        ) from conflict
