"""Between the ledger and the store: loads pools as the protocol knows them, saves what a step returned.

The caller owns the transaction, so a step's entries, claims and run land together or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stockwright.automations.contract import PoolChange, PoolView
from stockwright.ledger import wire
from stockwright.ledger.state import Entry, MemberId, PoolState, Step
from stockwright.model import AutomationId, PoolId, RunId, ShopId
from stockwright.store import pools
from stockwright.store.database import Connection
from stockwright.store.pools import JournalRow, MemberRow, PoolRow


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose pools these are."""

    shop_id: ShopId
    automation_id: AutomationId


async def load_pools(conn: Connection, owner: Owner, product_ids: Sequence[str]) -> tuple[PoolView, ...]:
    """The pools of these products, with their ledgers."""
    rows = await pools.of_products(conn, owner.shop_id, owner.automation_id, product_ids)
    held = await pools.members_of(conn, owner.shop_id, [row.pool_id for row in rows])
    return tuple(view_of(row, held.get(row.pool_id, ())) for row in rows)


async def load_pool(conn: Connection, pool_id: str) -> tuple[PoolRow, PoolView] | None:
    """One pool by its id alone, as stored and as the protocol knows it."""
    row = await pools.find(conn, pool_id)
    if row is None:
        return None
    held = await pools.members_of(conn, row.shop_id, [row.pool_id])
    return row, view_of(row, held.get(row.pool_id, ()))


def view_of(row: PoolRow, members: Sequence[MemberRow]) -> PoolView:
    """A pool as the protocol knows it."""
    return PoolView(
        pool_id=row.pool_id,
        product_id=row.product_id,
        place=row.location_id,
        title=row.title,
        titles={MemberId(member.item_id, member.location_id): member.title for member in members},
        state=wire.state_from_json(row.state),
        wake_at=row.wake_at,
    )


def change_of(view: PoolView, step: Step) -> PoolChange:
    """A step of a stored pool, ready to be saved."""
    return PoolChange(
        pool_id=view.pool_id,
        product_id=view.product_id,
        place=view.place,
        title=view.title,
        titles=view.titles,
        step=step,
        was_version=view.state.version,
    )


def freeing_first(changes: Sequence[PoolChange]) -> list[PoolChange]:
    """The changes in the order in which they are stored: levels are free before another pool claims them."""
    return sorted(changes, key=lambda change: (not change.dissolve, change.pool_id))


async def save_change(
    conn: Connection, owner: Owner, change: PoolChange, *, run_id: RunId | None, at: datetime
) -> None:
    """Store one pool's step: journal, state, claims; or dissolve the pool.

    Raises:
        pools.Conflict: somebody else moved the pool on, or holds one of its levels.
    """
    state = change.step.state
    if state is None:
        return
    if change.takes_over:
        await _take_over(conn, owner, change, run_id=run_id, at=at)
    # The pool first: its version is what refuses a second writer.
    if change.dissolve:
        if change.was_version is not None:
            await pools.dissolve(conn, owner.shop_id, change.pool_id, was_version=change.was_version)
    elif change.step.entries:
        row = _row(owner, change, state, at)
        await pools.save(conn, row, _claims(change, state), was_version=change.was_version)
    else:
        await pools.set_wake(
            conn, owner.shop_id, change.pool_id, version=state.version, wake_at=change.wake_at(at)
        )
    await _append(conn, owner.shop_id, change.pool_id, change.step.entries, run_id, first=state.version)


async def _take_over(
    conn: Connection, owner: Owner, change: PoolChange, *, run_id: RunId | None, at: datetime
) -> None:
    """Free the levels that pools of disabled automations hold. Where one woke up meanwhile, the claims conflict."""
    why = f"its automation is disabled, and {change.title} is shared by another"
    end = wire.entry_to_json(Entry(kind="dissolved", at=at, data={"why": why}))
    await pools.dissolve_asleep(conn, owner.shop_id, change.takes_over, end=end, at=at, run_id=run_id)


async def dissolve_all(conn: Connection, owner: Owner, *, why: str, at: datetime) -> None:
    """End every pool of an automation that goes."""
    end = wire.entry_to_json(Entry(kind="dissolved", at=at, data={"why": why}))
    await pools.dissolve_all(conn, owner.shop_id, owner.automation_id, end=end, at=at)


async def _append(
    conn: Connection,
    shop_id: ShopId,
    pool_id: PoolId,
    entries: Sequence[Entry],
    run_id: RunId | None,
    *,
    first: int,
) -> None:
    if not entries:
        return
    start = first - len(entries) + 1
    rows = [
        JournalRow(seq=start + n, at=entry.at, kind=entry.kind, data=wire.entry_to_json(entry), run_id=run_id)
        for n, entry in enumerate(entries)
    ]
    await pools.append_journal(conn, shop_id, pool_id, rows, run_id)


def _row(owner: Owner, change: PoolChange, state: PoolState, at: datetime) -> PoolRow:
    return PoolRow(
        shop_id=owner.shop_id,
        pool_id=change.pool_id,
        automation_id=owner.automation_id,
        product_id=change.product_id,
        location_id=change.place,
        title=change.title,
        version=state.version,
        state=wire.state_to_json(state),
        stock=state.stock,
        status="frozen" if state.frozen else "active",
        reason=state.frozen.reason if state.frozen else "",
        in_doubt=state.intent is not None,
        assumed=state.assumed,
        wake_at=change.wake_at(at),
        updated_at=at,
    )


def _claims(change: PoolChange, state: PoolState) -> list[MemberRow]:
    return [
        MemberRow(
            item_id=id.item_id,
            location_id=id.location_id,
            title=change.titles.get(id, ""),
            expected=member.expected,
        )
        for id, member in sorted(state.members.items())
    ]
