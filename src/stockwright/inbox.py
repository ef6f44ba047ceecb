"""The inbox: what arrives is checked, stored with its work in one commit, and only then answered.

Holds the pure reading of a webhook and the group commit. Must not act on what a webhook says: it is a
wake-up, its numbers are never trusted.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from math import isfinite
from time import monotonic
from types import TracebackType
from typing import NoReturn, Protocol, Self

import structlog

from stockwright.model import WHOLE_SHOP, EventId, JsonObject, NewEvent, ShopId, Source, gid
from stockwright.shopify.signatures import webhook_is_genuine
from stockwright.store import inbox as store
from stockwright.store.database import Collided, Pool, Refused, Unreachable, singly
from stockwright.store.shops import could_be_domain

LOG = structlog.get_logger(__name__)

_IN_A_FLOOD_S = 60.0  # for which an expired sender is still good
_NUMBER = re.compile(r"[1-9][0-9]{0,19}")  # the number of a Shopify object; may exceed 2**53
_ID_LIMIT = 255  # characters of a delivery id, an event id or a topic


# --- reading a webhook ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sender:
    """A shop that may send webhooks, with the secrets that it may sign with (new and old)."""

    shop_id: ShopId
    secrets: Sequence[str]


class FindSender(Protocol):
    """Looks up an installed shop by its myshopify.com domain, lower case; None when there is none."""

    async def __call__(self, domain: str, /) -> Sender | None: ...


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A webhook that is not accepted, and not stored."""

    status: int  # HTTP
    message: str  # for the sender's log; says nothing about which shops exist


UNKNOWN_SENDER = Rejection(
    status=401, message="The signature does not fit: unknown shop, or signed with another secret."
)


def sender_domain(headers: Mapping[str, str]) -> str:
    """The shop's domain as the headers name it, lower case; "" when they do not."""
    return _header(headers, "shop-domain").lower()


def _header(headers: Mapping[str, str], name: str) -> str:
    """A delivery's header in either spelling, the older first; names are in lower case, as ASGI has them."""
    return (headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}") or "").strip()


def read_webhook(
    headers: Mapping[str, str], body: bytes, sender: Sender | None, *, event_id: EventId
) -> NewEvent | Rejection:
    """Check a delivery's signature over the raw bytes and read it; the names of headers are in lower case.

    A delivery without X-Shopify-Webhook-Id is accepted and never deduplicated: a repeated wake-up costs one
    read, a dropped one would cost a change.
    """
    signature = _header(headers, "hmac-sha256")
    if sender is None or not webhook_is_genuine(body, signature, sender.secrets):
        return UNKNOWN_SENDER
    payload = _json_object(body)
    if payload is None:
        return Rejection(status=400, message="The body is not a JSON object.")
    topic = _header(headers, "topic").lower()
    webhook_id, shopify_event_id = _header(headers, "webhook-id"), _header(headers, "event-id")
    if not topic or max(len(topic), len(webhook_id), len(shopify_event_id)) > _ID_LIMIT:
        return Rejection(
            status=400, message="A header is missing or too long: topic, webhook id or event id."
        )
    return NewEvent(
        shop_id=sender.shop_id,
        event_id=event_id,
        topic=f"shopify/{topic}",
        payload=payload,
        source=Source.SHOPIFY,
        subject=subject_of(topic, payload),
        webhook_id=webhook_id or None,
        shopify_event_id=shopify_event_id or None,
        triggered_at=_instant(_header(headers, "triggered-at")),
    )


def _json_object(body: bytes) -> JsonObject | None:
    try:
        value = json.loads(body, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} cannot be stored as JSON")


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
        if found is None:
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one that is in no year of UTC
        return None


def subject_of(topic: str, payload: JsonObject) -> str:
    """What a webhook is about: an inventory item or product gid where the topic says so, else the whole shop.

    `topic` as in the header, e.g. inventory_levels/update. Ids may exceed 2**53.
    """
    match topic.partition("/")[0]:
        case "inventory_levels":
            return _gid("InventoryItem", payload.get("inventory_item_id"))
        case "inventory_items":
            return _gid("InventoryItem", payload.get("id"))
        case "products":
            return _gid("Product", payload.get("id"))
        case _:
            return WHOLE_SHOP


def _gid(kind: str, number: object) -> str:
    text = str(number) if isinstance(number, int | str) else ""
    return gid(kind, text) if _NUMBER.fullmatch(text) else WHOLE_SHOP


class NotAsked(ConnectionError):
    """A sender was not looked up: the database has just failed to answer, or too many wait for it."""


@dataclass(frozen=True, kw_only=True)
class LookUps:
    """How senders are looked up, and how long what was found is good."""

    answer_s: float = 2.0  # from the question to its answer
    at_once: int = 2  # the writers need connections too
    waiting: int = 200  # questions that may wait; more are turned away
    keep_s: float = 5.0
    failure_s: float = 1.0  # for which nobody asks again after a failure
    remembered: int = 10_000  # senders, and domains that are none


class CachedSenders:
    """Remembers senders, and domains that are none, for a few seconds.

    While more want to be asked for than may be, or the database has just failed to answer, a known sender is good
    for a minute: a flood of unknown domains neither takes the connections of the writers nor makes known shops wait.
    """

    def __init__(
        self, find: FindSender, limits: LookUps | None = None, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._find = find
        self._limits = limits or LookUps()
        self._clock = clock
        self._known: dict[str, tuple[float, Sender | None]] = {}
        self._asking = asyncio.Semaphore(self._limits.at_once)
        self._asked: dict[str, asyncio.Task[Sender | None]] = {}
        self._waiting = 0
        self._failing_until = float("-inf")

    async def __call__(self, domain: str, /) -> Sender | None:
        """The sender; None when there is none.

        Raises:
            NotAsked, TimeoutError: it is not known, and the database does not answer in time.
        """
        if not could_be_domain(domain):
            return None
        until, sender = self._known.get(domain, (float("-inf"), None))
        now = self._clock()
        if until > now or (sender and self._is_pressed(now) and until + _IN_A_FLOOD_S > now):
            return sender
        if self._waiting >= self._limits.waiting:
            raise NotAsked("Too many senders wait to be looked up.")
        self._waiting += 1
        try:
            return await self._answer(domain)
        finally:
            self._waiting -= 1

    def _is_pressed(self, now: float) -> bool:
        return self._asking.locked() or now < self._failing_until

    async def _answer(self, domain: str) -> Sender | None:
        """One question for all who want to know the same. Who waits is answered in time, also when it is not."""
        task = self._asked.get(domain)
        if task is None:
            task = self._asked[domain] = asyncio.create_task(self._ask(domain))
            task.add_done_callback(partial(self._forget_question, domain))
        try:
            async with asyncio.timeout(self._limits.answer_s):
                return await asyncio.shield(task)
        except TimeoutError:
            self._note_failure()
            raise

    def _forget_question(self, domain: str, task: "asyncio.Task[Sender | None]") -> None:
        del self._asked[domain]
        if not task.cancelled():
            task.exception()  # told to whoever still waits; nobody has to

    async def _ask(self, domain: str) -> Sender | None:
        async with self._asking:
            if self._clock() < self._failing_until:
                raise NotAsked("The database has just failed to answer.")
            try:
                sender = await self._find(domain)
            except Unreachable:
                self._note_failure()
                raise
        if len(self._known) >= self._limits.remembered:
            self._known.clear()
        self._known[domain] = (self._clock() + self._limits.keep_s, sender)
        return sender

    def _note_failure(self) -> None:
        self._failing_until = self._clock() + self._limits.failure_s


# --- storing -------------------------------------------------------------------------------------


class Received(StrEnum):
    """What became of an event."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # the same delivery was stored before
    UNKNOWN_SHOP = "unknown_shop"  # the shop was removed meanwhile
    REFUSED = "refused"  # the database will never take these values
    BUSY = "busy"  # too many wait already: send it again later
    UNAVAILABLE = "unavailable"  # the database is away or slow: send it again later


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much the inbox takes on at a time."""

    writers: int = 2
    batch_rows: int = 100
    queue_rows: int = 2000
    answer_s: float = 2.0  # from the arrival of an event to its answer


_RECEIVED = {True: Received.STORED, False: Received.DUPLICATE, None: Received.UNKNOWN_SHOP}

_Waiting = tuple[NewEvent, "asyncio.Future[Received]"]


class Inbox:
    """Stores events of many senders in shared transactions; answers each after its commit.

    Use as `async with Inbox(pool) as inbox`; on leaving, what was accepted is stored first.
    """

    def __init__(self, pool: Pool, limits: Limits | None = None) -> None:
        self._pool = pool
        self._limits = limits or Limits()
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(self._limits.queue_rows)
        self._writers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._writers = [asyncio.create_task(self._write_for_ever()) for _ in range(self._limits.writers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            async with asyncio.timeout(self._limits.answer_s):
                await self._queue.join()
        except TimeoutError:
            LOG.warning("the inbox stopped before everything was stored", waiting=self._queue.qsize())
        for writer in self._writers:
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)

    @property
    def answer_s(self) -> float:
        """How long an event may take from its arrival to its answer."""
        return self._limits.answer_s

    @property
    def waiting(self) -> int:
        """Events that wait to be stored."""
        return self._queue.qsize()

    async def receive(self, event: NewEvent) -> Received:
        """Store one event; returns after the commit, or after `answer_s` with UNAVAILABLE.

        An event whose answer came too late may have been stored all the same: its repetition is a duplicate.
        """
        answer: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((event, answer))
        except asyncio.QueueFull:
            return Received.BUSY
        late = asyncio.get_running_loop().call_later(
            self._limits.answer_s, _answer, answer, Received.UNAVAILABLE
        )
        try:
            return await answer
        finally:
            late.cancel()

    async def _write_for_ever(self) -> None:
        while True:
            batch = [await self._queue.get()]
            try:
                self._fill(batch)
                await self._write(batch)
            except Exception:
                LOG.exception("a batch of events could not be stored", events=len(batch))
                _answer_all(batch, Received.UNAVAILABLE)
            finally:
                for _ in batch:
                    self._queue.task_done()

    def _fill(self, batch: list[_Waiting]) -> None:
        while len(batch) < self._limits.batch_rows and not self._queue.empty():
            batch.append(self._queue.get_nowait())

    async def _write(self, batch: list[_Waiting]) -> None:
        live = [waiting for waiting in batch if not waiting[1].done()]  # others were answered: too late
        if not live:
            return
        try:
            stored = await self._store([event for event, _ in live])
        except (*Refused, ValueError, RecursionError) as error:
            await self._write_singly(live, error)
        except (*Unreachable, TimeoutError) as error:
            self._turn_away(live, error)
        else:
            for (_, answer), is_new in zip(live, stored, strict=True):
                _answer(answer, _RECEIVED[is_new])

    async def _write_singly(self, batch: list[_Waiting], error: Exception) -> None:
        """One event spoils the transaction of all: find it."""
        if len(batch) == 1:
            event, answer = batch[0]
            LOG.error(
                "an event was refused by the database",
                topic=event.topic,
                shop_id=event.shop_id,
                error=str(error),
            )
            _answer(answer, Received.REFUSED)
            return
        for waiting in batch:
            await self._write([waiting])

    def _turn_away(self, batch: list[_Waiting], error: BaseException) -> None:
        """The database is away: whoever waits now hears it at once, not after his own time-out."""
        waiting = [*batch]
        while not self._queue.empty():
            waiting.append(self._queue.get_nowait())
            self._queue.task_done()
        LOG.error(
            "events could not be stored: the database does not answer", events=len(waiting), error=str(error)
        )
        _answer_all(waiting, Received.UNAVAILABLE)

    async def _store(self, events: Sequence[NewEvent]) -> list[bool | None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(self._limits.answer_s))
            conn = await stack.enter_async_context(singly(self._pool, wait_s=self._limits.answer_s / 2))
            for _ in range(2):
                try:
                    return await store.receive(conn, events)
                except Collided:
                    continue
            return await store.receive(conn, events)


def _answer(answer: "asyncio.Future[Received]", received: Received) -> None:
    if not answer.done():
        answer.set_result(received)


def _answer_all(batch: Sequence[_Waiting], received: Received) -> None:
    for _, answer in batch:
        _answer(answer, received)
