"""A person has looked at outcomes that were booked by rule instead of proof: the review is journaled and audited.

Changes no number: it only takes the stock off the list of those to be looked at.
"""

from dataclasses import replace

from stockwright.bookkeeping import Owner, change_of, load_pool, save_change
from stockwright.deps import Deps
from stockwright.ledger import people
from stockwright.model import Conflicting, StockwrightError
from stockwright.store import pools
from stockwright.store.audit import Actor, audit


async def review_pool(deps: Deps, pool_id: str, *, actor: Actor) -> int:
    """Mark all assumed outcomes of a stock as reviewed; how many they were.

    Raises:
        StockwrightError: there is no such stock, or nothing to review.
        Conflicting: the stock moved on at the same moment; nothing was stored.
    """
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        found = await load_pool(conn, pool_id)
        if found is None:
            raise StockwrightError("There is no such shared stock any more.")
        row, view = found
        step = people.review(view.state, now, by=actor.name)
        if not step.entries:
            raise StockwrightError(step.because)
        detail = {"pool_id": row.pool_id, "outcomes": row.assumed}
        await audit(conn, actor, "stock.review", row.title, detail, at=now)
        try:
            owner = Owner(shop_id=row.shop_id, automation_id=row.automation_id)
            step = replace(step, wake_at=view.wake_at)  # it may be waiting for something of its own
            await save_change(conn, owner, change_of(view, step), run_id=None, at=now)
        except pools.Conflict as conflict:
            raise Conflicting(f"The stock moved on at the same moment: {conflict}. Try again.") from conflict
    return row.assumed
