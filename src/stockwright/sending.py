"""The mail queue's step: hand each waiting message of a shop to its mail server once, and record what came of it.

`sending` is stored before the message's text goes out. After a crash there nobody knows whether it was delivered:
the message becomes `unknown` and is sent again by a person's wish only.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from stockwright.deps import Deps
from stockwright.mail.account import Account
from stockwright.mail.addresses import MailRefused
from stockwright.mail.message import Letter, Message, letter
from stockwright.mail.outcome import Failure, NotSent, Outcome, Sent, Stage, Unknown, Yielded
from stockwright.mail.smtp import Sender
from stockwright.mailing import NO_SERVER, account_for, pace_of
from stockwright.model import Key, ShopId, StockwrightError
from stockwright.store import mail_settings, messages, shops, wake
from stockwright.store.database import Connection, Unreachable
from stockwright.store.mail_settings import Queue
from stockwright.store.messages import Claimed

LOG = structlog.get_logger(__name__)

RETRY_AFTER_MIN = (1, 5, 15, 30, 60)  # then every hour
GIVE_UP_AFTER = timedelta(hours=24)
POLICY_LIMIT = 5  # refusals by policy in a row that stop a queue
_LOOK_AGAIN = timedelta(hours=1)
_BATCH = 10  # messages lent at once
_BATCHES = 50  # of one turn; then other queues come first
_LEASE_S = 60.0  # a dead sender's messages are free after this
_SHORT_WAIT_S = 2.0  # for the pace: shorter waits are sat out
_RECORD_TRIES = 3
_LOST = (
    "The sender stopped while the mail server had the message and had not answered: perhaps it was delivered. "
    "Look whether it came, then send it again (or not)."
)
_IN_DOUBT = (
    "The mail server had the whole message and did not answer: perhaps it was delivered. Look whether it came, "
    "then send it again (or not)."
)
_UNINSTALLED = "The app was uninstalled from the shop."


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A queue that may send."""

    account: Account
    pace: int
    queue: Queue


@dataclass(frozen=True, kw_only=True)
class After:
    """How to go on after a batch."""

    again: bool  # with the next one, at once
    not_before: datetime | None = None  # the pace has no room earlier


@dataclass(frozen=True, kw_only=True)
class Resting:
    """A queue that must not send now; `until` None: nothing of its own will change that."""

    until: datetime | None
    look: Account | None = None  # stopped settings that are to be tried


async def send_queue(deps: Deps, key: Key) -> None:
    """Send what is due of a shop's queue; may be called again at any point."""
    for _ in range(_BATCHES):
        state = await _prepare(deps, key.shop_id)
        if isinstance(state, Resting) and state.look is not None:
            state = await _look(deps, key.shop_id, state.look)
        if isinstance(state, Resting):
            if state.until is not None:
                await _wake(deps, key, not_before=state.until)
            return
        after = await _send_batch(deps, key.shop_id, state)
        if not after.again:
            await _wake(deps, key, not_before=after.not_before)
            return
    await _wake(deps, key, not_before=None)


async def wake_queues(deps: Deps) -> None:
    """Wake every queue that has something to do: what a lost wake-up or new settings left behind."""
    async with deps.database.connection() as conn, conn.transaction():
        found = await messages.shops_to_look_at(conn)
        await wake.wake(conn, [(messages.queue_key(shop_id), None) for shop_id in found])


async def delete_old(deps: Deps, *, keep: timedelta) -> None:
    """Delete ended messages that are kept no longer, in small transactions."""
    limit = 500
    for _ in range(400):
        async with deps.database.connection() as conn:
            if await messages.delete_old(conn, before=deps.clock() - keep, limit=limit) < limit:
                return


# --- may it send? ----------------------------------------------------------------------------------------------


async def _prepare(deps: Deps, shop_id: ShopId) -> Ready | Resting:
    async with deps.database.connection() as conn, conn.transaction():
        shop = await shops.get(conn, shop_id)
        if shop is None:
            return Resting(until=None)
        now = deps.clock()
        for message_id in await messages.lose(conn, shop_id, reason=_LOST, at=now):
            LOG.warning("nobody knows whether a message was delivered", shop=shop.domain, message=message_id)
        if shop.status == "uninstalled":
            await messages.cancel_waiting(conn, shop_id, _UNINSTALLED)
            return Resting(until=None)
        row = await mail_settings.get(conn, shop_id)
        try:
            account = account_for(deps.mailing, shop, row)
        except StockwrightError as error:
            await messages.hold(conn, shop_id, str(error))
            return Resting(until=None)
        if account is None:
            await messages.hold(conn, shop_id, NO_SERVER)
            return Resting(until=None)
        await messages.let_go(conn, shop_id)
        queue = await mail_settings.queue(conn, shop_id)
        return await _by_queue(conn, shop_id, account, queue, now) or Ready(
            account=account, pace=pace_of(row, shop_id), queue=queue
        )


async def _by_queue(
    conn: Connection, shop_id: ShopId, account: Account, queue: Queue, now: datetime
) -> Resting | None:
    """What an earlier failure says; other settings than the ones that failed are tried at once."""
    if queue.stopped_at is not None:
        if queue.stopped_with != account.digest:
            await mail_settings.clear(conn, shop_id)
            return None
        is_due = queue.look_at is not None and queue.look_at <= now
        return Resting(until=queue.look_at, look=account if is_due else None)
    if queue.paused_until is not None and queue.paused_until > now:
        return Resting(until=queue.paused_until)
    return None


async def _look(deps: Deps, shop_id: ShopId, account: Account) -> Ready | Resting:
    """Try stopped settings by signing in, without a message."""
    async with deps.mailing.senders.lend(account) as sender:
        trouble = await sender.look()
    async with deps.database.connection() as conn, conn.transaction():
        if trouble is None:
            await mail_settings.clear(conn, shop_id)
        else:
            await _stop(conn, deps, shop_id, account, trouble.reply)
    return await _prepare(deps, shop_id)


async def _stop(conn: Connection, deps: Deps, shop_id: ShopId, account: Account, reason: str) -> None:
    now = deps.clock()
    await mail_settings.stop(
        conn, shop_id, reason=reason, account=account.digest, at=now, look_at=now + _LOOK_AGAIN
    )
    LOG.error(
        "mail is stopped until its settings work", shop_id=shop_id, server=account.server, reason=reason
    )


async def _wake(deps: Deps, key: Key, *, not_before: datetime | None) -> None:
    """Have the queue run when its next message is due, but not before it may send."""
    async with deps.database.connection() as conn, conn.transaction():
        at = await messages.next_time(conn, key.shop_id)
        if at is not None:
            await wake.wake(conn, [(key, max(at, not_before) if not_before else at)])


# --- one batch ---------------------------------------------------------------------------------------------------


async def _send_batch(deps: Deps, shop_id: ShopId, ready: Ready) -> After:
    async with deps.database.connection() as conn:
        claimed = await messages.claim(conn, shop_id, limit=_BATCH, lease_s=_LEASE_S)
    left = list(claimed)
    try:
        async with deps.mailing.senders.lend(ready.account) as sender:
            while left:
                wait_s = await _turn(deps, ready)
                if wait_s > _SHORT_WAIT_S:
                    return After(again=False, not_before=deps.clock() + timedelta(seconds=wait_s))
                if wait_s > 0:
                    await deps.mailing.sleep(wait_s)
                elif not await send_one(deps, sender, ready, left.pop(0)):
                    return After(again=True)
    finally:
        await _give_back(deps, left)
    return After(again=len(claimed) == _BATCH)


async def _turn(deps: Deps, ready: Ready) -> float:
    """0.0: the next message may go now; else how long to wait."""
    async with deps.database.connection() as conn:
        return await mail_settings.take_turn(conn, ready.pace, rate_per_minute=ready.account.rate_per_minute)


async def _give_back(deps: Deps, left: list[Claimed]) -> None:
    if left:
        async with deps.database.connection() as conn:
            await messages.release(conn, left)


async def send_one(deps: Deps, sender: Sender, ready: Ready, claimed: Claimed) -> bool:
    """Send one claimed message and record what came of it; False: look at the queue anew before the next."""
    outcome = await send_claimed(deps, sender, ready, claimed)
    match outcome:
        case Sent() | Yielded():
            return True
        case NotSent(failure=Failure.RECIPIENT | Failure.SIZE):
            return True
        case NotSent(failure=Failure.TEMPORARY, pauses=pauses):
            return not pauses
        case NotSent() | Unknown():
            return False
        case _:
            assert_never(outcome)


async def send_claimed(deps: Deps, sender: Sender, ready: Ready, claimed: Claimed) -> Outcome:
    """Send one claimed message and record what came of it, for the message and for its queue."""
    begun = False

    async def begin() -> bool:
        nonlocal begun
        async with deps.database.connection() as conn:
            begun = await messages.begin(
                conn,
                claimed,
                server=ready.account.server,
                lease_s=_LEASE_S + ready.account.timeout_s * 5,
                at=deps.clock(),
            )
        return begun

    try:
        ready_letter = build(claimed, ready.account, deps.clock())
    except MailRefused as error:
        outcome: Outcome = NotSent(failure=Failure.RECIPIENT, stage=Stage.RECIPIENT, reply=str(error))
    else:
        outcome = await sender.send(ready_letter, begin)
    if not isinstance(outcome, Yielded):
        told = outcome
        await _surely(lambda: _record(deps, ready, claimed, told, begun=begun))
    return outcome


def build(claimed: Claimed, account: Account, now: datetime) -> Letter:
    """The bytes of a stored message, as this account sends them.

    Raises:
        MailRefused: what was stored must not be sent.
    """
    message = Message(
        kind=claimed.kind,
        key=claimed.key,
        to=claimed.recipient,
        subject=claimed.subject,
        text=claimed.text,
        html=claimed.html,
        headers=claimed.headers,
        from_name=claimed.from_name,
        reply_to=claimed.reply_to,
    )
    built = letter(message, account.envelope, number=claimed.message_id, date=now)
    return account.dkim.sign(built) if account.dkim else built


async def _surely(record: Callable[[], Awaitable[None]]) -> None:
    """Store an outcome although the database is away for a moment, or the run is being cancelled."""

    async def stubbornly() -> None:
        for left in reversed(range(_RECORD_TRIES)):
            try:
                return await record()
            except Unreachable:
                if not left:
                    raise
        return None

    recording = asyncio.ensure_future(stubbornly())
    try:
        await asyncio.shield(recording)
    except asyncio.CancelledError:
        await recording
        raise


# --- what an outcome means ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A message's state after an attempt."""

    state: str
    outcome: str
    reason: str
    reply: str
    next_at: datetime | None = None


def judge(
    outcome: Sent | NotSent | Unknown,
    *,
    attempts: int,
    tried_since: datetime | None,
    now: datetime,
    spread: float,
) -> Verdict:
    """What an outcome means for the message; `attempts` were made before, `spread` 0..1 varies the pause."""
    match outcome:
        case Sent(reply=reply):
            return Verdict(state="sent", outcome="sent", reason="", reply=reply)
        case Unknown(reply=reply):
            return Verdict(state="unknown", outcome="unknown", reason=_IN_DOUBT, reply=reply)
        case NotSent(failure=Failure.TRANSPORT | Failure.TEMPORARY):
            return _later(outcome, attempts, tried_since or now, now, spread)
        case NotSent(failure=Failure.CONFIGURATION):
            return _verdict(outcome, "pending", "The mail settings do not work.", now)
        case NotSent():
            return _verdict(outcome, "failed", _WHY_FAILED[outcome.failure])
        case _:
            assert_never(outcome)


_WHY_FAILED = {
    Failure.RECIPIENT: "The recipient was refused. Check the address.",
    Failure.SIZE: "The message is too large for the mail server.",
    Failure.POLICY: "The mail server refused the message by its rules. Its answer says which.",
}


def _later(outcome: NotSent, attempts: int, since: datetime, now: datetime, spread: float) -> Verdict:
    if now - since >= GIVE_UP_AFTER:
        hours = GIVE_UP_AFTER.total_seconds() / 3600
        return _verdict(outcome, "failed", f"Given up after {hours:.0f} hours of trying.")
    at = now + retry_pause(attempts, spread=spread)
    return _verdict(outcome, "pending", "The mail server could not take it yet.", at)


def _verdict(outcome: NotSent, state: str, reason: str, next_at: datetime | None = None) -> Verdict:
    return Verdict(
        state=state, outcome=outcome.failure.value, reason=reason, reply=outcome.reply, next_at=next_at
    )


def retry_pause(attempts: int, *, spread: float) -> timedelta:
    """The pause after the attempt that followed `attempts` others: 1, 5, 15, 30, 60 min, each up to 20 % longer."""
    minutes = RETRY_AFTER_MIN[min(attempts, len(RETRY_AFTER_MIN) - 1)]
    return timedelta(minutes=minutes * (1 + 0.2 * spread))


async def _record(
    deps: Deps, ready: Ready, claimed: Claimed, outcome: Sent | NotSent | Unknown, *, begun: bool
) -> None:
    """Store what came of an attempt, for the message and for its queue."""
    now = deps.clock()
    verdict = judge(
        outcome,
        attempts=claimed.attempts,
        tried_since=claimed.tried_since,
        now=now,
        spread=random.random(),
    )
    async with deps.database.connection() as conn, conn.transaction():
        counts = begun or verdict.outcome != Failure.CONFIGURATION.value
        if counts:
            await messages.finish(
                conn,
                claimed,
                begun=begun,
                server=ready.account.server,
                at=now,
                state=verdict.state,
                outcome=verdict.outcome,
                reason=verdict.reason,
                reply=verdict.reply,
                next_at=verdict.next_at,
            )
        else:
            await messages.release(conn, [claimed])
        await _tell_queue(conn, deps, ready, claimed.shop_id, outcome)


async def _tell_queue(
    conn: Connection, deps: Deps, ready: Ready, shop_id: ShopId, outcome: Sent | NotSent | Unknown
) -> None:
    """What an outcome means for the shop's other messages."""
    match outcome:
        case Sent():
            if ready.queue != Queue():
                await mail_settings.clear(conn, shop_id)
        case NotSent(failure=Failure.CONFIGURATION):
            await _stop(conn, deps, shop_id, ready.account, outcome.reply)
        case NotSent(failure=Failure.POLICY):
            await _count_policy(conn, deps, ready, shop_id, outcome)
        case NotSent(pauses=False):
            pass
        case NotSent() | Unknown():
            until = deps.clock() + retry_pause(ready.queue.pauses, spread=random.random())
            await mail_settings.pause(conn, shop_id, until=until, reason=outcome.reply)
            LOG.warning("mail pauses", shop_id=shop_id, server=ready.account.server, reason=outcome.reply)
        case _:
            assert_never(outcome)


async def _count_policy(
    conn: Connection, deps: Deps, ready: Ready, shop_id: ShopId, outcome: NotSent
) -> None:
    """Refusals by policy in a row: going on would cost the sender's good name."""
    in_row = await mail_settings.count_policy(conn, shop_id)
    if in_row >= POLICY_LIMIT:
        reason = (
            f"{in_row} messages in a row were refused by the mail server's rules. The last: {outcome.reply}"
        )
        await _stop(conn, deps, shop_id, ready.account, reason)
