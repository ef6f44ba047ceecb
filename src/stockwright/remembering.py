"""Between what an automation remembers of products and the store: loads memories, saves steps, wakes the mail.

The caller owns the transaction, so that a step's memory, wave and run land together or not at all.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from stockwright.automations.contract import Remember, Unmailed
from stockwright.automations.recording import memory_from_json, memory_to_json
from stockwright.automations.restock import Answer, Memory, Settled, Wave, answered
from stockwright.bookkeeping import Owner
from stockwright.model import STAFF_MAIL, JsonObject, Key, ProductGid, RunId
from stockwright.store import keys, restocks, wake
from stockwright.store.database import Connection
from stockwright.store.restocks import UnmailedRow, WaveRow

_TOLD_WITHIN = timedelta(days=1)  # what was confirmed longer ago is no news any more


async def load_memories(
    conn: Connection, owner: Owner, product_ids: Sequence[str], *, lock: bool = False
) -> tuple[Memory, ...]:
    """What the automation remembers of these products; with `lock`, held until the transaction ends."""
    rows = await restocks.of_products(conn, owner.shop_id, owner.automation_id, product_ids, lock=lock)
    return tuple(memory_from_json(row.state, version=row.version) for row in rows)


async def load_unmailed(conn: Connection, owner: Owner, now: datetime) -> tuple[Unmailed, ...]:
    """What was confirmed and no mail has told of."""
    since = now - _TOLD_WITHIN
    rows = await restocks.unmailed(conn, owner.shop_id, owner.automation_id, since=since)
    return tuple(_unmailed(row) for row in rows)


def _unmailed(row: UnmailedRow) -> Unmailed:
    return Unmailed(
        wave_id=row.wave_id,
        product_id=row.product_id,
        title=row.title,
        quantity=row.quantity,
        channels=tuple(row.confirmed),
        refused=tuple(f"{one['channel']}: {one['message']}" for one in row.refused),
        confirmed_at=row.confirmed_at,
        held=row.held,
    )


async def save_step(conn: Connection, owner: Owner, step: Remember, *, run_id: RunId, at: datetime) -> bool:
    """Store one product's memory and the waves that the step touched; whether some wave waits for its mail.

    Raises:
        pools.Conflict: somebody else looked at the product meanwhile.
    """
    if step.memory is None:
        await restocks.forget(
            conn, owner.shop_id, owner.automation_id, step.product_id, was_version=step.was_version
        )
    else:
        await _save_memory(conn, owner, step.memory, was_version=step.was_version, at=at)
    unmailed = [await _save_wave(conn, owner, step.product_id, wave, run_id, at) for wave in step.waves]
    return any(unmailed)


async def _save_memory(
    conn: Connection, owner: Owner, memory: Memory, *, was_version: int, at: datetime
) -> None:
    await restocks.save(
        conn,
        owner.shop_id,
        owner.automation_id,
        memory.product_id,
        memory_to_json(memory),
        quantity=memory.quantity,
        wave_id=memory.wave.wave_id if memory.wave else None,
        was_version=was_version,
        at=at,
    )


async def _save_wave(
    conn: Connection, owner: Owner, product_id: ProductGid, wave: Wave, run_id: RunId, at: datetime
) -> bool:
    row = WaveRow(
        wave_id=wave.wave_id,
        product_id=product_id,
        title=wave.title,
        action=wave.action.value,
        quantity=wave.quantity,
        confirmed=[one.name for one in wave.confirmed],
        refused=refused_json(wave),
        closed=wave.closed,
        wants_mail=wave.wants_mail,
        run_id=run_id,
        opened_at=wave.opened_at,
        confirmed_at=at if wave.confirmed else None,
    )
    return await restocks.save_wave(conn, owner.shop_id, owner.automation_id, row)


def refused_json(wave: Wave) -> list[JsonObject]:
    """The channels that refused, with what they said."""
    return [{"channel": one.channel.name, "message": one.message} for one in wave.refused]


async def save_answer(
    conn: Connection, owner: Owner, memory: Memory, answer: Answer, *, run_id: RunId, at: datetime
) -> Settled:
    """Step a locked memory by an answer and store it; wakes the mail when something was confirmed."""
    settled = answered(memory, answer, at)
    step = Remember(
        product_id=memory.product_id,
        was_version=memory.version,
        memory=settled.memory,
        waves=(settled.wave,),
    )
    if await save_step(conn, owner, step, run_id=run_id, at=at):
        await wake_mail(conn, owner, at)
    return settled


async def wake_mail(conn: Connection, owner: Owner, at: datetime) -> None:
    """Have the automation's staff mail looked at. Before other keys of the same transaction are woken."""
    key = Key(shop_id=owner.shop_id, automation_id=owner.automation_id, subject=STAFF_MAIL)
    await wake_by(conn, key, at)


async def wake_by(conn: Connection, key: Key, at: datetime) -> None:
    """Have a key run no later than `at`."""
    waits = (await keys.state(conn, key)).wake_at
    await keys.set_wake_at(conn, key, at if waits is None else min(at, waits))
    await wake.wake_next(conn, key)
