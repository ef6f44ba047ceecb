"""The book of attempts: their beginnings and ends, those of several connections stored in one transaction.

`sending` is stored before a message's text goes out, so whatever dies afterwards leaves it in doubt. How many can be
in doubt at once is the number of connections.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, assert_never

import structlog

from stockwright.deps import Deps
from stockwright.guarding import Guard, look_anew
from stockwright.mail.account import Account
from stockwright.mail.outcome import Failure, NotSent, Sent, Stage, Unknown
from stockwright.mail.verdict import Verdict, judge, retry_pause
from stockwright.model import ShopId
from stockwright.store import alert_mail, mail_settings, messages, shops, suppressions
from stockwright.store.alert_mail import SettledMail
from stockwright.store.audit import Actor, audit
from stockwright.store.database import Connection, Unreachable
from stockwright.store.mail_settings import Queue
from stockwright.store.messages import Claimed, Ended

LOG = structlog.get_logger(__name__)

_QUEUE = Actor(user_id=None, name="the mail queue")

POLICY_LIMIT = 5  # refusals by policy in a row that stop a queue
LOOK_AGAIN = timedelta(hours=1)
LEASE_S = 20.0  # a dead sender's messages are free after this
_ANSWER_TIMES = 5  # time-outs of the server that an attempt may take
_ASK_AGAIN = timedelta(minutes=1)  # a shop that did not answer whether there is stock
_TRIES = 3  # to store what came of attempts
_GATHER_S = 0.002  # for which a beginning waits for those of other connections

Told = Sent | NotSent | Unknown
_CUT_SHORT = "The sender stopped before it handed the message over."


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A queue that may send."""

    account: Account
    pace: int
    queue: Queue


@dataclass(frozen=True, kw_only=True)
class _End:
    claimed: Claimed
    outcome: Told
    begun: bool


_Begin = tuple[Claimed, "asyncio.Future[bool]"]


class AttemptBook:
    """Use as `async with AttemptBook(...) as book`; on leaving, everything is stored."""

    def __init__(self, deps: Deps, ready: Ready, shop_id: ShopId, guard: Guard, *, lanes: int = 1) -> None:
        self._deps = deps
        self._ready = ready
        self._shop_id = shop_id
        self._guard = guard
        self._lanes = lanes  # connections that begin attempts
        self._begins: list[_Begin] = []
        self._ends: list[_End] = []
        self._rung = asyncio.Event()
        self._closing = False
        self._is_clean = ready.queue == Queue()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="attempts")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Store what is left, also when the run is being cancelled."""
        assert self._writer is not None, "entered before"
        self._closing = True
        self._rung.set()
        try:
            await asyncio.shield(self._writer)
        except asyncio.CancelledError:
            await self._writer
            raise

    async def begin(self, claimed: Claimed) -> bool:
        """Store that a message is about to be handed over; False: do not send it.

        Raises:
            Exception: it could not be stored.
        """
        writer = self._writer
        assert writer is not None, "entered before"
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._begins.append((claimed, answer))
        self._rung.set()
        await asyncio.wait((answer, writer), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            await writer  # it ended with the error that is the reason
        return await answer

    def end(self, claimed: Claimed, outcome: Told, *, begun: bool) -> None:
        """Have stored what came of an attempt: before the next beginning of the same connection."""
        self._ends.append(_End(claimed=claimed, outcome=outcome, begun=begun))
        self._rung.set()

    # --- writing --------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        is_open = True
        while is_open:
            await self._rung.wait()
            self._rung.clear()
            is_open = not self._closing
            if is_open and len(self._begins) < self._lanes - 1:
                await asyncio.sleep(_GATHER_S)
            while self._ends or self._begins:
                await self._write_once()

    async def _write_once(self) -> None:
        begins, self._begins = self._begins, []
        claimed = [one for one, _ in begins]
        if self._guard.must_read(claimed):
            await self._store_stubbornly(self._take_ends(), [])
            await self._guard.read(claimed)
        begun = await self._store_stubbornly(self._take_ends(), claimed)
        for one, answer in begins:
            self._answer(one, answer, is_begun=one.message_id in begun)

    def _take_ends(self) -> list[_End]:
        ends, self._ends = self._ends, []
        return ends

    def _answer(self, claimed: Claimed, answer: "asyncio.Future[bool]", *, is_begun: bool) -> None:
        if not answer.done():
            answer.set_result(is_begun)
        elif is_begun:  # its connection was given up meanwhile: certainly nothing was handed over
            self.end(claimed, _not_handed_over(), begun=True)

    async def _store_stubbornly(self, ends: Sequence[_End], begins: Sequence[Claimed]) -> set[str]:
        """Store although the database may be away for a moment; the ids of messages that may be sent."""
        if not ends and not begins:
            return set()
        for left in reversed(range(_TRIES)):
            try:
                return await self._store(ends, begins)
            except Unreachable:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _store(self, ends: Sequence[_End], begins: Sequence[Claimed]) -> set[str]:
        now, server = self._deps.clock(), self._ready.account.server
        async with self._deps.database.connection() as conn, conn.transaction():
            await self._store_ends(conn, ends)
            verdicts = await self._guard.judge(conn, begins)
            await alert_mail.drop(conn, self._shop_id, verdicts.dropped, now)
            for claimed, reason in verdicts.postponed:
                await messages.postpone(conn, claimed, next_at=now + _ASK_AGAIN, reason=reason)
            kept_back = {one.message_id for one in verdicts.dropped}
            kept_back |= {claimed.message_id for claimed, _ in verdicts.postponed}
            going = [one for one in begins if one.message_id not in kept_back]
            lease_s = LEASE_S + self._ready.account.timeout_s * _ANSWER_TIMES
            begun = await messages.begin_all(conn, going, server=server, lease_s=lease_s, at=now)
            if verdicts.touched:
                await look_anew(conn, self._shop_id, verdicts.touched, now)
        return begun

    async def _store_ends(self, conn: Connection, ends: Sequence[_End]) -> None:
        now, server = self._deps.clock(), self._ready.account.server
        judged = [(one, self._judge(one)) for one in ends]
        counted = [(end, verdict) for end, verdict in judged if end.begun or not _is_settings(verdict)]
        uncounted = [end.claimed for end, verdict in judged if not end.begun and _is_settings(verdict)]
        await self._hold_refused(conn, ends)
        rows = [_row(end, verdict) for end, verdict in counted]
        stored = await messages.finish_all(conn, rows, server=server, at=now)
        settled = [_settled(end, verdict) for end, verdict in counted if _is_settled(end, verdict, stored)]
        await alert_mail.settle(conn, self._shop_id, settled, now)
        await messages.release(conn, uncounted)
        for end in ends:
            await self._tell_queue(conn, end.outcome)

    async def _hold_refused(self, conn: Connection, ends: Sequence[_End]) -> None:
        """Nobody signs up with an address while it is suppressed as the server refused it."""
        refused = [one.claimed.message_id for one in ends if _suppresses(one)]
        if refused:
            await suppressions.hold(conn, await alert_mail.addresses_of(conn, self._shop_id, refused))

    def _judge(self, end: _End) -> Verdict:
        return judge(
            end.outcome,
            attempts=end.claimed.attempts,
            tried_since=end.claimed.tried_since,
            now=self._deps.clock(),
            spread=random.random(),
        )

    # --- what an outcome means for the shop's other messages --------------------------------------------------------

    async def _tell_queue(self, conn: Connection, outcome: Told) -> None:
        deps, shop_id = self._deps, self._shop_id
        match outcome:
            case Sent():
                if not self._is_clean:
                    await mail_settings.clear(conn, shop_id)
                    self._is_clean = True
            case NotSent(failure=Failure.CONFIGURATION):
                await stop(conn, deps, shop_id, self._ready.account, outcome.reply)
            case NotSent(failure=Failure.POLICY):
                await self._count_policy(conn, outcome)
            case NotSent(pauses=False):
                pass
            case NotSent() | Unknown():
                until = deps.clock() + retry_pause(self._ready.queue.pauses, spread=random.random())
                await mail_settings.pause(conn, shop_id, until=until, reason=outcome.reply)
                self._is_clean = False
                server = self._ready.account.server
                LOG.warning("mail pauses", shop_id=shop_id, server=server, reason=outcome.reply)
            case _:
                assert_never(outcome)

    async def _count_policy(self, conn: Connection, outcome: NotSent) -> None:
        """Refusals by policy in a row: going on would cost the sender's good name."""
        in_row = await mail_settings.count_policy(conn, self._shop_id)
        self._is_clean = False
        if in_row >= POLICY_LIMIT:
            reason = f"{in_row} messages in a row were refused by the mail server's rules. The last: {outcome.reply}"
            await stop(conn, self._deps, self._shop_id, self._ready.account, reason)


async def stop(conn: Connection, deps: Deps, shop_id: ShopId, account: Account, reason: str) -> None:
    """Stop a shop's queue until its settings change or work again."""
    now = deps.clock()
    await _note_stop(conn, shop_id, account, reason, now)
    await mail_settings.stop(
        conn, shop_id, reason=reason, account=account.digest, at=now, look_at=now + LOOK_AGAIN
    )
    LOG.error(
        "mail is stopped until its settings work", shop_id=shop_id, server=account.server, reason=reason
    )


def _not_handed_over() -> NotSent:
    return NotSent(failure=Failure.TRANSPORT, stage=Stage.DATA, reply=_CUT_SHORT)


def _is_settings(verdict: Verdict) -> bool:
    return verdict.outcome == Failure.CONFIGURATION.value


def _row(end: _End, verdict: Verdict) -> Ended:
    return Ended(
        claimed=end.claimed,
        begun=end.begun,
        state=verdict.state,
        outcome=verdict.outcome,
        reason=verdict.reason,
        reply=verdict.reply,
        next_at=verdict.next_at,
    )


def _is_settled(end: _End, verdict: Verdict, stored: set[str]) -> bool:
    """Whether people have to be told how their message ended."""
    is_alert = end.claimed.kind == alert_mail.KIND
    return is_alert and verdict.state != "pending" and end.claimed.message_id in stored


def _suppresses(end: _End) -> bool:
    return isinstance(end.outcome, NotSent) and end.outcome.suppress


def _settled(end: _End, verdict: Verdict) -> SettledMail:
    return SettledMail(
        message_id=end.claimed.message_id,
        state=verdict.state,
        reason=verdict.reason,
        reply=verdict.reply,
        suppress=_suppresses(end),
    )


async def _note_stop(conn: Connection, shop_id: ShopId, account: Account, reason: str, now: datetime) -> None:
    """Write down that mail stops, once per stop; every page shows it, as no mail can tell of it."""
    former = await mail_settings.queue(conn, shop_id)
    if former.stopped_at is None or former.stopped_with != account.digest:
        shop = await shops.get(conn, shop_id)
        detail = {"server": account.server, "reason": reason}
        await audit(conn, _QUEUE, "mail.stop", shop.domain if shop else str(shop_id), detail, at=now)
