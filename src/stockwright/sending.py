"""The mail queue's step: hand each waiting message of a shop to its mail server once, and record what came of it.

`sending` is stored before the message's text goes out. After a crash there nobody knows whether it was delivered:
the message becomes `unknown` and is sent again by a person's wish only.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

import structlog

from stockwright.attempt_book import LEASE_S, AttemptBook, Ready, stop
from stockwright.deps import Deps
from stockwright.guarding import Guard
from stockwright.mail.account import Account
from stockwright.mail.addresses import MailRefused
from stockwright.mail.message import Letter, Message, letter
from stockwright.mail.outcome import Failure, NotSent, Outcome, Sent, Stage, Unknown, Yielded
from stockwright.mail.smtp import Sender
from stockwright.mailing import NO_SERVER, account_for, pace_of
from stockwright.model import Key, ShopId, StockwrightError
from stockwright.store import alert_mail, arrivals, mail_settings, messages, shops, wake
from stockwright.store.alert_mail import SettledMail
from stockwright.store.database import Connection
from stockwright.store.mail_settings import Queue
from stockwright.store.messages import Claimed
from stockwright.store.shops import Shop

LOG = structlog.get_logger(__name__)

_LOST = (
    "The sender stopped while the mail server had the message and had not answered: perhaps it was delivered. "
    "Look whether it came, then send it again (or not)."
)
_BATCH = 200  # messages lent at once
_BATCHES = 50  # of one turn; then other queues come first
_SHORT_WAIT_S = 2.0  # for the pace: shorter waits are sat out
_TURNS = 20  # of the pace that are taken at once
_LANES = 8  # connections of one queue,
_PER_LANE = 25  # each for at least so many messages,
_RATE_OF_LANE = 300  # and for so many per minute
_UNINSTALLED = "The app was uninstalled from the shop."


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
        await _settle_lost(conn, shop, now)
        if shop.status == "uninstalled" or await arrivals.is_uninstalled(conn, shop_id):
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


async def _settle_lost(conn: Connection, shop: Shop, now: datetime) -> None:
    """Messages whose sender died in between: nobody knows, for them and for the people whom they tell."""
    lost = await messages.lose(conn, shop.shop_id, reason=_LOST, at=now)
    for message_id in lost:
        LOG.warning("nobody knows whether a message was delivered", shop=shop.domain, message=message_id)
    settled = [SettledMail(message_id=one, state="unknown", reason=_LOST, reply="") for one in lost]
    await alert_mail.settle(conn, shop.shop_id, settled, now)


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
            await stop(conn, deps, shop_id, account, trouble.reply)
    return await _prepare(deps, shop_id)


async def _wake(deps: Deps, key: Key, *, not_before: datetime | None) -> None:
    """Have the queue run when its next message is due, but not before it may send."""
    async with deps.database.connection() as conn, conn.transaction():
        at = await messages.next_time(conn, key.shop_id)
        if at is not None:
            await wake.wake(conn, [(key, max(at, not_before) if not_before else at)])


# --- one batch ---------------------------------------------------------------------------------------------------


async def _send_batch(deps: Deps, shop_id: ShopId, ready: Ready) -> After:
    guard = Guard(deps, shop_id)
    async with deps.database.connection() as conn:
        claimed = await messages.claim(conn, shop_id, limit=_BATCH, lease_s=LEASE_S)
        await guard.meet(conn, claimed)
    batch = _Batch(deps, ready, claimed)
    try:
        lanes = lanes_for(len(claimed), ready.account)
        async with AttemptBook(deps, ready, shop_id, guard, lanes=lanes) as book:
            await _all(_lane(deps, ready, batch, book) for _ in range(lanes))
    finally:
        await _give_back(deps, batch.left)
    if batch.not_before is not None:
        return After(again=False, not_before=batch.not_before)
    return After(again=batch.is_stopped or len(claimed) == _BATCH)


def lanes_for(count: int, account: Account) -> int:
    """How many connections share a batch: more only where there is work for them and the pace allows it."""
    by_rate = account.rate_per_minute // _RATE_OF_LANE
    return max(1, min(_LANES, count // _PER_LANE, by_rate))


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do several things at once; when one fails, the others are ended first."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Batch:
    """Messages that are handed to the connections one by one, at the account's pace."""

    def __init__(self, deps: Deps, ready: Ready, claimed: Sequence[Claimed]) -> None:
        self.left = list(claimed)
        self.is_stopped = False  # look at the queue anew before the next message
        self.not_before: datetime | None = None  # the pace has no room earlier
        self._deps = deps
        self._ready = ready
        self._turns = 0
        self._asking = asyncio.Lock()

    async def next(self) -> Claimed | None:
        """The next message, when it may go; None: this batch is over."""
        while self.left and not self.is_stopped and self.not_before is None:
            async with self._asking:
                wait_s = await self._wait_s()
            if wait_s > _SHORT_WAIT_S:
                self.not_before = self._deps.clock() + timedelta(seconds=wait_s)
            elif wait_s > 0:
                await self._deps.mailing.sleep(wait_s)
            elif self.left:
                self._turns -= 1
                return self.left.pop(0)
        return None

    async def _wait_s(self) -> float:
        """0.0: a message may go now; else how long to wait."""
        if self._turns > 0:
            return 0.0
        rate, want = self._ready.account.rate_per_minute, min(len(self.left), _TURNS)
        async with self._deps.database.connection() as conn:
            self._turns, wait_s = await mail_settings.take_turns(
                conn, self._ready.pace, rate_per_minute=rate, want=max(1, want)
            )
        return wait_s


async def _lane(deps: Deps, ready: Ready, batch: _Batch, book: AttemptBook) -> None:
    """Send messages of a batch over one connection until it is over."""
    async with deps.mailing.senders.lend(ready.account) as sender:
        while (claimed := await batch.next()) is not None:
            if not await _send_one(deps, sender, ready, book, claimed):
                batch.is_stopped = True


async def _give_back(deps: Deps, left: list[Claimed]) -> None:
    if left:
        async with deps.database.connection() as conn:
            await messages.release(conn, left)


async def _send_one(deps: Deps, sender: Sender, ready: Ready, book: AttemptBook, claimed: Claimed) -> bool:
    """Send one claimed message and record what came of it; False: look at the queue anew before the next."""
    outcome = await _hand_over(deps, sender, ready, book, claimed)
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
    guard = Guard(deps, claimed.shop_id)
    async with AttemptBook(deps, ready, claimed.shop_id, guard) as book:
        return await _hand_over(deps, sender, ready, book, claimed)


async def _hand_over(
    deps: Deps, sender: Sender, ready: Ready, book: AttemptBook, claimed: Claimed
) -> Outcome:
    begun = False

    async def begin() -> bool:
        nonlocal begun
        begun = await book.begin(claimed)
        return begun

    try:
        ready_letter = await _built(claimed, ready.account, deps.clock())
    except MailRefused as error:
        outcome: Outcome = NotSent(failure=Failure.RECIPIENT, stage=Stage.RECIPIENT, reply=str(error))
    else:
        outcome = await sender.send(ready_letter, begin)
    if not isinstance(outcome, Yielded):
        book.end(claimed, outcome, begun=begun)
    return outcome


async def _built(claimed: Claimed, account: Account, now: datetime) -> Letter:
    """The letter; signing it takes so long that other connections must not wait for it."""
    if account.dkim is None:
        return build(claimed, account, now)
    return await asyncio.to_thread(build, claimed, account, now)


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
