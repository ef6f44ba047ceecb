"""The third step: perform each stored effect once, record the attempt, and tell the ledger the answer.

It decides nothing: what an answer means for a pool is the protocol's word.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

import structlog

from stockwright.alarms import frozen_alarm, refused_alarm, stale_alarm
from stockwright.automations.contract import PoolChange, PoolView
from stockwright.bookkeeping import Owner, change_of, load_pool, save_change, view_of
from stockwright.deps import Deps, policy_of
from stockwright.ledger import protocol
from stockwright.ledger.state import Intent, Next, Outcome, Policy, Reply, Step
from stockwright.model import EffectId, ItemGid, JsonObject, Key, LocationGid, PoolId, RunId
from stockwright.reporting import report_failure
from stockwright.shopify.errors import ShopifyError
from stockwright.shopify.writes import AdjustReply, AdjustRow
from stockwright.store import keys, pools, runs, shops, situations, wake
from stockwright.store.database import Connection, Unreachable, singly, together

LOG = structlog.get_logger(__name__)

_SENDS = 50  # of one effect: each is a pool's next 250 rows
_RECORD_TRIES = 3
_RECORD_LIMIT_S = 20.0  # for a database that is away; from then on the outcome counts as unknown
_RECORD_PAUSE_S = 0.1
_EFFECT_STATE = {Outcome.APPLIED: "done", Outcome.UNKNOWN: "unknown"}


@dataclass(frozen=True, kw_only=True)
class Performed:
    """What is to be done after an effect."""

    again: bool  # the shop must be read again at once


@dataclass(frozen=True, kw_only=True)
class Sending:
    """One correction on its way: which effect of which run sends which pool's intent."""

    key: Key
    run_id: RunId
    effect_id: EffectId
    pool_id: PoolId
    intent_key: str


async def correct(deps: Deps, sending: Sending) -> Performed:
    """Send the open intent of a pool, step the pool by the answer, and go on while rows are left.

    Raises:
        ShopifyError: the shop shuts us out (token revoked, shop locked); the answer was stored before.
    """
    for _ in range(_SENDS):
        step = await _send_once(deps, sending)
        if step is None:
            return Performed(again=True)
        intent = step.state.intent if step.state else None
        if step.next is not Next.SEND or intent is None:
            return Performed(again=step.next is Next.READ)
        sending = replace(sending, intent_key=intent.key)
    return Performed(again=True)


async def _send_once(deps: Deps, sending: Sending) -> Step | None:
    """One attempt; None when the correction was closed before it was sent."""
    begun = await _begin(deps, sending)
    intent = begun.pool.view.state.intent if begun else None
    if begun is None or intent is None or intent.key != sending.intent_key:
        await _void(deps, sending.key, sending.effect_id)
        return None
    sent, step = await _send_surely(deps, sending, begun, intent)
    if sent.problem is not None and sent.problem.permanent:
        sent.problem.is_told = True  # by the run of the correction
        raise sent.problem
    return step


@dataclass(frozen=True, kw_only=True)
class _Pool:
    """A pool as it was stored when it was looked at, and what its shop says of unknown outcomes."""

    owner: Owner
    view: PoolView
    policy: Policy


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """An attempt that was recorded before the request leaves."""

    attempt: int
    pool: _Pool


async def _begin(deps: Deps, sending: Sending) -> _Begun | None:
    key = sending.key
    async with singly(deps.database) as conn:
        found = await situations.begin_correction(
            conn, key.shop_id, sending.effect_id, sending.pool_id, deps.clock()
        )
    if found is None:
        return None
    pool = _Pool(
        owner=Owner(shop_id=key.shop_id, automation_id=found.pool.automation_id),
        view=view_of(found.pool, found.members),
        policy=policy_of(deps, found.on_unknown),
    )
    return _Begun(attempt=found.attempt, pool=pool)


async def _void(deps: Deps, key: Key, effect_id: EffectId) -> None:
    async with deps.database.connection() as conn, conn.transaction():
        result = {"reason": "the correction was closed before it was sent"}
        await runs.finish_effect(
            conn, key.shop_id, effect_id, state="cancelled", result=result, at=deps.clock()
        )


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """What came back, and the trouble that the whole shop is in, if any."""

    reply: Reply
    requests: int = 0
    problem: ShopifyError | None = None


async def _send_surely(deps: Deps, sending: Sending, begun: _Begun, intent: Intent) -> tuple[_Sent, Step]:
    """Send, and store the answer, which only this process knows, even when the run is cancelled meanwhile.

    A worker that loses the database loses its runs too. What has not left by then stays here.
    """
    stays = asyncio.Event()
    try:
        return await asyncio.shield(_send_and_record(deps, sending, begun, intent, stays))
    except asyncio.CancelledError:
        stays.set()
        raise


async def _send_and_record(
    deps: Deps, sending: Sending, begun: _Begun, intent: Intent, stays: asyncio.Event
) -> tuple[_Sent, Step]:
    state = begun.pool.view.state

    def may_leave() -> bool:
        may = protocol.may_send(state, key=intent.key, at=deps.clock(), policy=deps.policy)
        return may and not stays.is_set()

    sent = await _send(deps, sending, intent, may_leave)
    return sent, await _record_patiently(deps, sending, begun, sent)


async def _send(deps: Deps, sending: Sending, intent: Intent, may_leave: Callable[[], bool]) -> _Sent:
    if not may_leave():
        detail = "the worker was held up after storing the correction, so it did not send it"
        return _Sent(reply=Reply(at=deps.clock(), key=intent.key, outcome=Outcome.NOT_SENT, detail=detail))
    client = await deps.clients.for_shop(sending.key.shop_id)
    rows = [
        AdjustRow(
            item_id=ItemGid(row.member.item_id),
            location_id=LocationGid(row.member.location_id),
            delta=row.delta,
            change_from=row.from_quantity,
        )
        for row in intent.rows
    ]
    reference = f"gid://stockwright/Pool/{sending.pool_id}"
    answer = await client.adjust(key=intent.key, rows=rows, reference_uri=reference, may_leave=may_leave)
    return _Sent(reply=_reply(deps, intent, answer), requests=client.requests, problem=answer.problem)


def _reply(deps: Deps, intent: Intent, answer: AdjustReply) -> Reply:
    offenders = tuple(
        intent.rows[index].member for index in answer.offending_rows if index < len(intent.rows)
    )
    return Reply(
        at=deps.clock(),
        key=intent.key,
        outcome=Outcome(answer.outcome.value),
        detail=answer.detail,
        offenders=offenders,
        retry_after_s=answer.retry_after_s or 0.0,
    )


async def _record_patiently(deps: Deps, sending: Sending, begun: _Begun, sent: _Sent) -> Step:
    """Store the answer, which only this process knows; while the database is away, wait for it.

    An answer that cannot be stored leaves the intent open, to be settled as unknown.
    """
    give_up_at, tries = monotonic() + _RECORD_LIMIT_S, 0
    pool: _Pool | None = begun.pool
    while True:
        try:
            pool = pool or await _pool_now(deps, sending)
            return await _record(deps, sending, begun.attempt, pool, sent)
        except pools.Conflict:  # another writer moved the pool on
            pool = None
            if (tries := tries + 1) == _RECORD_TRIES:
                raise
        except Unreachable as error:
            if monotonic() > give_up_at:
                raise
            LOG.warning("an answer of the shop waits to be stored", pool_id=sending.pool_id, error=str(error))
            await asyncio.sleep(_RECORD_PAUSE_S)


async def _pool_now(deps: Deps, sending: Sending) -> _Pool:
    async with singly(deps.database) as conn:
        found = await load_pool(conn, sending.pool_id)
        shop = await shops.get(conn, sending.key.shop_id)
    if found is None or shop is None:
        raise pools.Conflict(f"the pool {sending.pool_id} went while its correction was on the way")
    row, view = found
    owner = Owner(shop_id=row.shop_id, automation_id=row.automation_id)
    return _Pool(owner=owner, view=view, policy=policy_of(deps, shop.on_unknown))


async def _record(deps: Deps, sending: Sending, attempt: int, pool: _Pool, sent: _Sent) -> Step:
    """Attempt, effect, ledger and wake-up in one transaction."""
    change = _step(pool.view, sent.reply, pool.policy)
    now = deps.clock()
    async with together(deps.database) as conn:
        await save_change(conn, pool.owner, change, run_id=sending.run_id, at=now)
        await _close(conn, sending, attempt, sent.reply, change.step, now)
        await runs.add_requests(conn, pool.owner.shop_id, sending.run_id, sent.requests)
        await _wake_by(conn, sending.key, change.wake_at(now))
        if (alarm := _alarm(change, sent)) is not None:
            await _tell(conn, deps, sending, alarm)
        elif sent.reply.outcome is Outcome.APPLIED:
            await wake.put_echoes_last(conn, sending.key)
    return change.step


def _alarm(change: PoolChange, sent: _Sent) -> JsonObject | None:
    """What a person must be told of."""
    frozen, problem = frozen_alarm([change]), sent.problem
    if frozen is None and problem is not None and problem.permanent:
        return refused_alarm(change, str(problem), problem.code.value)
    return frozen or stale_alarm(change, sent.reply.outcome)


async def _tell(conn: Connection, deps: Deps, sending: Sending, alarm: JsonObject) -> None:
    if await runs.report_error(conn, sending.key.shop_id, sending.run_id, alarm):
        await report_failure(conn, deps, sending.run_id)


async def _close(
    conn: Connection, sending: Sending, attempt: int, reply: Reply, step: Step, now: datetime
) -> None:
    """Record the attempt; the effect stays pending only while more rows of it go out at once."""
    shop_id, effect_id = sending.key.shop_id, sending.effect_id
    detail: JsonObject = {"detail": reply.detail, "because": step.because}
    await runs.end_attempt(
        conn, shop_id, effect_id, attempt, outcome=reply.outcome.value, detail=detail, at=now
    )
    if step.next is not Next.SEND:
        state = _EFFECT_STATE.get(reply.outcome, "failed")
        await runs.finish_effect(conn, shop_id, effect_id, state=state, result=detail, at=now)


async def _wake_by(conn: Connection, key: Key, at: datetime | None) -> None:
    """Have the key run no later than `at`."""
    if at is None:
        return
    waits = (await keys.state(conn, key)).wake_at
    await keys.set_wake_at(conn, key, at if waits is None else min(at, waits))
    await wake.wake_next(conn, key)


def _step(view: PoolView, reply: Reply, policy: Policy) -> PoolChange:
    step = protocol.step(view.state, reply, policy, pool_id=view.pool_id)
    return change_of(view, step)
