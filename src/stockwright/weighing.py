"""Compares what was assumed of lost answers with orders, once their list has had time to show them.

Changes no stock. What orders confirm leaves the list of things to review; what they contradict is told to the owner.
"""

from dataclasses import replace

import structlog

from stockwright.bookkeeping import Owner, change_of, load_pool, save_change
from stockwright.deps import Deps, policy_of
from stockwright.evidence import moves_since
from stockwright.ledger import weighing
from stockwright.ledger.state import Assumption, PoolState
from stockwright.ledger.weighing import Witness
from stockwright.model import JsonObject, Key, StockwrightError
from stockwright.reporting import save_failed_run
from stockwright.store import pools
from stockwright.store.pools import PoolRow

LOG = structlog.get_logger(__name__)

_AT_ONCE = 20  # stocks in one pass: each costs a few reads of orders
_BECAUSE = "An outcome that had been assumed was compared with the shop's orders."


async def weigh_assumptions(deps: Deps) -> None:
    """Ask the orders of every shop that grants `read_orders` about outcomes that were assumed there."""
    async with deps.database.connection() as conn:
        found = await pools.with_assumptions(conn, limit=_AT_ONCE)
    for pool_id in found:
        try:
            await _weigh_pool(deps, pool_id)
        except pools.Conflict:
            LOG.info("a stock moved on while orders were read; it has its turn again", pool=pool_id)
        except StockwrightError as error:
            LOG.warning("orders could not be read; they are asked again", pool=pool_id, error=str(error))


async def _weigh_pool(deps: Deps, pool_id: str) -> None:
    """One assumption after the other, each with the stock as it is then."""
    async with deps.database.connection() as conn:
        found = await load_pool(conn, pool_id)
    for one in _due(deps, found[1].state) if found else ():
        await _weigh(deps, pool_id, one)


def _due(deps: Deps, state: PoolState) -> tuple[Assumption, ...]:
    return weighing.due(state, deps.clock(), policy_of(deps, "settle"))


async def _weigh(deps: Deps, pool_id: str, one: Assumption) -> None:
    async with deps.database.connection() as conn:
        found = await load_pool(conn, pool_id)
    if found is None or one not in found[1].state.assumptions:
        return
    row, view = found
    client = await deps.clients.for_shop(row.shop_id)
    moves = await moves_since(client, one.rows, one.opened_at)
    now = deps.clock()
    step = weighing.weigh(view.state, one, moves, now)
    if not step.entries:
        return
    async with deps.database.connection() as conn, conn.transaction():
        owner = Owner(shop_id=row.shop_id, automation_id=row.automation_id)
        step = replace(step, wake_at=view.wake_at)  # it may be waiting for something of its own
        await save_change(conn, owner, change_of(view, step), run_id=None, at=now)
        if weighing.witness(view.state, one, moves) is Witness.CONTRADICTED:
            key = Key(shop_id=row.shop_id, automation_id=row.automation_id, subject=row.product_id)
            error = _alarm(row, view.state, one)
            await save_failed_run(deps, conn, key, because=_BECAUSE, error=error, tell=True)


def _alarm(row: PoolRow, state: PoolState, one: Assumption) -> JsonObject:
    told = weighing.tell(state, one, Witness.CONTRADICTED)
    stock = weighing.stock_if_not_applied(state, one)
    return {
        "message": (
            f"The shared stock of {row.title!r} may be wrong. Its orders were compared with what had been assumed: "
            f"{told}. If you agree: stockwright stock resolve {row.pool_id} --adopt-levels --stock {stock}"
        ),
        "code": "assumption_contradicted",
        "pool_id": row.pool_id,
        "product_id": row.product_id,
    }
