"""The third step for publishing: send what open waves ask for, record each answer, and go on where it says.

It decides nothing: what an answer means for a wave is the word of `automations.restock`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from stockwright.automations.channels import told
from stockwright.automations.restock import Action, Answer, AnswerKind, Memory, Settled, Wave
from stockwright.bookkeeping import Owner
from stockwright.deps import Deps
from stockwright.model import JsonObject, Key, ProductGid, RunId
from stockwright.remembering import load_memories, refused_json, save_answer, wake_by
from stockwright.reporting import report_failure
from stockwright.shopify.budget import Priority
from stockwright.shopify.publications import MAX_PLACEMENTS, Placement, PlacementReply
from stockwright.situations import Placing
from stockwright.store import keys, runs, wake
from stockwright.store.database import Connection, Unreachable

_RECORD_TRIES = 3
_EFFECT_STATE = {
    AnswerKind.DONE: "done",
    AnswerKind.REFUSED: "failed",
    AnswerKind.NOT_SENT: "failed",
    AnswerKind.UNKNOWN: "unknown",
}


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """One product on its way: which effect sends which wave, in which try."""

    placing: Placing
    attempt: int
    wave: Wave


async def place(deps: Deps, key: Key, run_id: RunId, placing: Sequence[Placing]) -> bool:
    """Send the waves that a run opened, many products in one request; whether to read again at once.

    Raises:
        ShopifyError: the shop shuts us out (token revoked, shop locked); the answers were stored before.
    """
    again = False
    for start in range(0, len(placing), MAX_PLACEMENTS):
        batch = placing[start : start + MAX_PLACEMENTS]
        for action, ready in (await _begin(deps, key, batch)).items():
            again |= await _send(deps, key, run_id, action, ready)
    return again


async def _begin(deps: Deps, key: Key, batch: Sequence[Placing]) -> Mapping[Action, list[_Ready]]:
    """Record the attempts; what was settled by somebody else meanwhile is not sent."""
    ready: dict[Action, list[_Ready]] = {}
    owner = _owner(key)
    async with deps.database.connection() as conn, conn.transaction():
        memories = await load_memories(conn, owner, [one.product_id for one in batch])
        waves = {memory.product_id: memory.wave for memory in memories}
        for one in batch:
            attempt = await runs.begin_attempt(conn, key.shop_id, one.effect_id, deps.clock())
            wave = waves.get(one.product_id)
            if attempt is None or not _is_open(wave, one):
                await _cancel(deps, conn, key, one)
            elif wave is not None:
                ready.setdefault(wave.action, []).append(_Ready(placing=one, attempt=attempt, wave=wave))
    return ready


def _is_open(wave: Wave | None, placing: Placing) -> bool:
    return wave is not None and wave.wave_id == placing.wave_id and wave.sending_until is not None


async def _cancel(deps: Deps, conn: Connection, key: Key, placing: Placing) -> None:
    result = {"reason": "it was settled before it was sent"}
    await runs.finish_effect(
        conn, key.shop_id, placing.effect_id, state="cancelled", result=result, at=deps.clock()
    )


async def _send(deps: Deps, key: Key, run_id: RunId, action: Action, ready: Sequence[_Ready]) -> bool:
    client = await deps.clients.for_shop(key.shop_id)
    rows = [
        Placement(product_id=one.placing.product_id, publications=tuple(each.id for each in one.wave.sent))
        for one in ready
    ]
    send = client.publish if action is Action.PUBLISH else client.unpublish
    priority = Priority.EVENT if key.subject == ready[0].placing.product_id else Priority.SCAN
    replies = await send(rows, priority=priority)
    again = await _record_surely(deps, key, run_id, list(zip(ready, replies, strict=True)), client.requests)
    problem = replies[0].problem
    if problem is not None and problem.shuts_out:
        raise problem
    return again


Answered = Sequence[tuple[_Ready, PlacementReply]]


async def _record_surely(deps: Deps, key: Key, run_id: RunId, answered: Answered, requests: int) -> bool:
    """Store the answers; those that cannot be stored leave their waves open, to be read again."""
    for left in reversed(range(_RECORD_TRIES)):
        try:
            return await _record(deps, key, run_id, answered, requests)
        except Unreachable:
            if not left:
                raise
    raise AssertionError("the loop returns or raises")


async def _record(deps: Deps, key: Key, run_id: RunId, answered: Answered, requests: int) -> bool:
    """Attempts, effects, memories and wake-ups in one transaction, products in the order of their ids."""
    owner, now = _owner(key), deps.clock()
    by_product = {ready.placing.product_id: (ready, reply) for ready, reply in answered}
    settled: list[Settled] = []
    async with deps.database.connection() as conn, conn.transaction():
        for memory in await load_memories(conn, owner, sorted(by_product), lock=True):
            ready, reply = by_product[memory.product_id]
            answer = _answer(reply)
            await _close(conn, key, ready, answer, now)
            if _is_open(memory.wave, ready.placing):
                settled.append(await save_answer(conn, owner, memory, answer, run_id=run_id, at=now))
        await _report(conn, key, run_id, settled)
        await runs.add_requests(conn, key.shop_id, run_id, requests)
        again = await _wake(conn, key, settled, now)
        if any(one.wave.refused for one in settled):
            await report_failure(conn, deps, run_id)
        return again


def _answer(reply: PlacementReply) -> Answer:
    return Answer(
        kind=AnswerKind(reply.outcome.value),
        detail=reply.detail,
        refused=reply.refused,
        product_missing=reply.product_missing,
        retry_after_s=reply.retry_after_s,
    )


async def _close(conn: Connection, key: Key, ready: _Ready, answer: Answer, now: datetime) -> None:
    names = [one.name for one in ready.wave.sent]
    said = {"channels": names, "detail": answer.detail}
    shop_id, effect_id = key.shop_id, ready.placing.effect_id
    await runs.end_attempt(
        conn, shop_id, effect_id, ready.attempt, outcome=answer.kind.value, detail=said, at=now
    )
    await runs.finish_effect(conn, shop_id, effect_id, state=_EFFECT_STATE[answer.kind], result=said, at=now)


async def _report(conn: Connection, key: Key, run_id: RunId, settled: Sequence[Settled]) -> None:
    """Tell the owner what was refused. A scan tells of all its products at its end."""
    refused = [one for one in settled if one.wave.refused]
    if refused:
        await runs.report_error(conn, key.shop_id, run_id, _error(refused[0].memory, refused[0].wave))


def _error(memory: Memory, wave: Wave) -> JsonObject:
    said = "; ".join(f"{one.channel.name}: {one.message}" for one in wave.refused)
    done = f" It is on {told(wave.confirmed)}." if wave.confirmed else ""
    if wave.closed:
        then = (
            "It was tried several times and is left alone until it comes back to stock once more, or until "
        )
        then += "somebody runs the automation."
    else:
        then = "It is tried again."
    return {
        "message": f"{wave.title!r} was refused by a sales channel ({said}).{done} {then}",
        "product_id": memory.product_id,
        "title": wave.title,
        "action": wave.action.value,
        "channels_confirmed": [one.name for one in wave.confirmed],
        "channels_refused": refused_json(wave),
    }


async def _wake(conn: Connection, key: Key, settled: Sequence[Settled], now: datetime) -> bool:
    """Have each product looked at when its wave goes on: by this key's next round, or by its own run."""
    again = False
    for one in sorted(settled, key=lambda one: one.memory.product_id):
        product_id = one.memory.product_id
        if key.subject != product_id:
            await _wake_other(conn, key, product_id, one.next_at)
        elif one.next_at is not None and one.next_at <= now:
            again = True
        else:
            await keys.set_wake_at(conn, key, one.next_at)
            await wake.wake_next(conn, key)
    return again


async def _wake_other(conn: Connection, key: Key, product_id: ProductGid, at: datetime | None) -> None:
    if at is not None:
        await wake_by(conn, replace(key, subject=product_id), at)


def _owner(key: Key) -> Owner:
    return Owner(shop_id=key.shop_id, automation_id=key.automation_id)
