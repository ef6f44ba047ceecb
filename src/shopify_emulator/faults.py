"""Faults on request: one-shot queues and seeded rates, for the Admin API and for webhooks.

Decides and counts; what a fault does is written in api, tokens and webhooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

K = TypeVar("K", bound=StrEnum)
T = TypeVar("T")


class Fault(StrEnum):
    """What can go wrong with a call. BEFORE: nothing was applied; AFTER: it was, and nobody is told."""

    CONNECT_REFUSED = "connect_refused"
    DROPPED_BEFORE = "dropped_before"
    DROPPED_AFTER = "dropped_after"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    SERVER_ERROR_BEFORE = "server_error_before"
    SERVER_ERROR_AFTER = "server_error_after"
    TRUNCATED_AFTER = "truncated_after"
    LATE_ARRIVAL = "late_arrival"  # lost from sight on the way; arrives and is evaluated `delay_s` later
    SLOW = "slow"  # the shop holds the key at once and applies `delay_s` later; the caller times out
    THROTTLED = "throttled"
    THROTTLED_AFTER = "throttled_after"
    TOO_MANY_REQUESTS = "http_429"
    PAYMENT_REQUIRED = "http_402"
    LOCKED = "http_423"
    SECURITY_REJECTION = "http_430"
    TOKEN_REVOKED = "token_revoked"
    INTERNAL_ERROR = "internal_error"
    LAGGING_READ = "lagging_read"
    STALE = "stale"
    UNAVAILABLE_BEFORE = "unavailable_before"
    UNAVAILABLE_AFTER = "unavailable_after"
    ADJUST_FAILED = "adjust_failed"
    ADJUST_FAILED_AFTER = "adjust_failed_after"
    KEY_CONCURRENT = "key_concurrent"
    KEY_MISMATCH = "key_mismatch"
    KEY_PREVIOUS_FAILED = "key_previous_failed"
    BULK_FAILED = "bulk_failed"
    BULK_PARTIAL = "bulk_partial"
    BULK_EXPIRED = "bulk_expired"
    SUBSCRIPTION_DELETED = (
        "subscription_deleted"  # one is gone before the request runs; it is answered as usual
    )
    PRODUCT_DELETED = "product_deleted"  # one that the request names, or else any, is gone before it runs


class WebhookFault(StrEnum):
    """What can go wrong with one webhook. Several may strike the same one."""

    DUPLICATE = "webhook_duplicate"  # sent again with the same webhook id and body
    NEW_ID = "webhook_new_id"  # sent again under a new webhook id
    REORDER = "webhook_reorder"  # overtaken by what is sent within the next moments
    DROP = "webhook_drop"
    DELAY = "webhook_delay"
    BAD_HMAC = "webhook_bad_hmac"
    WRONG_SHOP = "webhook_wrong_shop"


TOKEN_ENDPOINT = "access_token"
ADJUST_ONLY = frozenset(
    {Fault.ADJUST_FAILED, Fault.ADJUST_FAILED_AFTER, Fault.UNAVAILABLE_BEFORE, Fault.UNAVAILABLE_AFTER}
)
KEYED_ONLY = frozenset({Fault.STALE, Fault.KEY_CONCURRENT, Fault.KEY_MISMATCH, Fault.KEY_PREVIOUS_FAILED})
ANSWERED_5XX = frozenset({Fault.SERVER_ERROR_BEFORE, Fault.SERVER_ERROR_AFTER})
READ_ONLY = frozenset({Fault.LAGGING_READ})
WRITE_ONLY = frozenset({Fault.LATE_ARRIVAL, Fault.SLOW, Fault.THROTTLED_AFTER})
BULK_ONLY = frozenset({Fault.BULK_FAILED, Fault.BULK_PARTIAL, Fault.BULK_EXPIRED})
AT_TOKEN_ENDPOINT = frozenset(
    {
        Fault.CONNECT_REFUSED,
        Fault.DROPPED_BEFORE,
        Fault.TIMEOUT_BEFORE,
        Fault.SERVER_ERROR_BEFORE,
        Fault.TOO_MANY_REQUESTS,
    }
)
QUANTITY_WRITES = frozenset({"inventoryAdjustQuantities", "inventorySetQuantities"})
SERVER_ERRORS = (500, 502, 503, 504)
DAY_S = 86_400.0
REORDER_S = 1.0
SOON_S = 0.05
SUM_SLACK = 1e-9  # of rates: ten times 0.1 is a little more than 1


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One fault to inject. `row`: the stale row; `status`: which 5xx; `delay_s`: how late."""

    fault: Fault
    row: int = 0
    status: int = 503
    delay_s: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A second sending of one webhook, so much later than the first."""

    later_s: float
    new_id: bool


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of one webhook: the faults that strike it, how late it comes, and its copies."""

    faults: tuple[WebhookFault, ...] = ()
    late_s: float = 0.0
    copies: tuple[Copy, ...] = ()


UNHARMED = Fate()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What a fault is matched with: the root fields of one request."""

    fields: tuple[str, ...]
    is_mutation: bool


def fits(fault: Fault, operation: Operation) -> bool:
    """Whether a fault can befall an operation at all."""
    fields = set(operation.fields)
    if TOKEN_ENDPOINT in fields:
        return fault in AT_TOKEN_ENDPOINT
    if fault in ADJUST_ONLY:
        return "inventoryAdjustQuantities" in fields
    if fault in KEYED_ONLY:
        return bool(fields & QUANTITY_WRITES)
    if fault in BULK_ONLY:
        return "bulkOperationRunQuery" in fields
    if fault in READ_ONLY:
        return not operation.is_mutation
    return operation.is_mutation or fault not in WRITE_ONLY


class Faults:
    """The plan of faults of one shop. `injected` counts each kind that really happened."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(f"faults {seed}")
        self._queued: dict[str, list[Injection]] = {}
        self._rates: dict[Fault, float] = {}
        self._statuses: tuple[int, ...] = (503,)
        self._webhook_random = Random(f"webhook faults {seed}")
        self._webhook_queue: list[Fate] = []
        self._webhook_rates: dict[WebhookFault, float] = {}
        self._webhook_delay_s = 30.0
        self.injected: Counter[Fault | WebhookFault] = Counter()

    @property
    def webhook_delay_s(self) -> float:
        """How late a webhook may come by a seeded fault, and does come by a one-shot fault; a day at most."""
        return self._webhook_delay_s

    @webhook_delay_s.setter
    def webhook_delay_s(self, delay_s: float) -> None:
        if not 0 < delay_s <= DAY_S:
            raise ValueError(f"a webhook can be late by more than 0 and up to {DAY_S:g} s, not by {delay_s}")
        self._webhook_delay_s = delay_s

    def next(
        self,
        operation: str,
        fault: Fault,
        *,
        count: int = 1,
        row: int = 0,
        status: int = 503,
        delay_s: float = 30.0,
    ) -> None:
        """The next `count` requests with this root field ("*": any) suffer the fault, once each."""
        injection = Injection(fault=fault, row=row, status=status, delay_s=delay_s)
        self._queued.setdefault(operation, []).extend([injection] * count)

    def next_webhook(
        self,
        *faults: WebhookFault,
        count: int = 1,
        delay_s: float | None = None,
        copy_delay_s: float = 0.0,
    ) -> None:
        """The next `count` webhooks suffer all these faults together; nothing of it is left to chance.

        `delay_s`: of DELAY, instead of `webhook_delay_s`. `copy_delay_s`: how much later a copy is sent.
        """
        late_s = 0.0
        if WebhookFault.DELAY in faults:
            late_s += self.webhook_delay_s if delay_s is None else delay_s
        if WebhookFault.REORDER in faults:
            late_s += REORDER_S
        copies = tuple(Copy(later_s=copy_delay_s, new_id=new_id) for new_id in _copies(faults))
        self._webhook_queue.extend([Fate(faults=faults, late_s=late_s, copies=copies)] * count)

    def rates(
        self, rates: Mapping[Fault | WebhookFault, float], *, statuses: Sequence[int] | None = None
    ) -> None:
        """Sets seeded probabilities: at most one fault strikes a request, any number strikes a webhook.

        `statuses`: what the server errors among them answer, drawn from the seed when there are several.
        """
        for fault, rate in rates.items():
            if not 0 <= rate <= 1:
                raise ValueError(f"the rate of {fault} has to lie between 0 and 1, not {rate}")
        api = self._rates | {fault: rate for fault, rate in rates.items() if isinstance(fault, Fault)}
        total = sum(api.values())
        if total > 1 + SUM_SLACK:
            raise ValueError(
                f"at most one fault strikes a request, so their rates may add up to 1, not to {total:g} "
                f"({', '.join(f'{fault} {rate:g}' for fault, rate in api.items() if rate)})"
            )
        if statuses is not None:
            self._statuses = _server_errors(statuses)
        self._rates = api
        self._webhook_rates |= {f: rate for f, rate in rates.items() if isinstance(f, WebhookFault)}

    def clear(self) -> None:
        """No more faults; the counts stay."""
        self._queued.clear()
        self._rates.clear()
        self._webhook_queue.clear()
        self._webhook_rates.clear()

    def pick(self, operation: Operation) -> Injection | None:
        """The fault that strikes this request, if any; counted."""
        if not (self._queued or self._rates):
            return None
        injection = self._pick_queued(operation) or self._pick_random(operation)
        if injection is not None:
            self.injected[injection.fault] += 1
        return injection

    def _pick_queued(self, operation: Operation) -> Injection | None:
        for name in (*operation.fields, "*"):
            queue = self._queued.get(name, [])
            for index, injection in enumerate(queue):
                if fits(injection.fault, operation):
                    return queue.pop(index)
        return None

    def _pick_random(self, operation: Operation) -> Injection | None:
        fitting = {fault: rate for fault, rate in self._rates.items() if fits(fault, operation)}
        fault = _drawn(self._random.random(), fitting.items())
        if fault is None:
            return None
        several = fault in ANSWERED_5XX and len(self._statuses) > 1
        status = self._random.choice(self._statuses) if several else self._statuses[0]
        return Injection(fault=fault, status=status)

    def pick_webhook(self) -> Fate:
        """What becomes of this webhook; its faults are counted."""
        fate = UNHARMED
        if self._webhook_queue:
            fate = self._webhook_queue.pop(0)
        elif self._webhook_rates:
            fate = self._drawn_fate()
        self.injected.update(fate.faults)
        return fate

    def _drawn_fate(self) -> Fate:
        random, rates = self._webhook_random, self._webhook_rates
        faults = tuple(fault for fault in WebhookFault if fault in rates and random.random() < rates[fault])
        if WebhookFault.DROP in faults:
            return Fate(faults=(WebhookFault.DROP,))
        late_s = self._late_s() if WebhookFault.DELAY in faults else 0.0
        if WebhookFault.REORDER in faults:
            late_s += random.uniform(SOON_S, 2 * REORDER_S)
        copies = tuple(Copy(later_s=self._copy_later_s(), new_id=new_id) for new_id in _copies(faults))
        return Fate(faults=faults, late_s=late_s, copies=copies)

    def _late_s(self) -> float:
        """Seconds are as likely as minutes, and minutes as hours, up to `webhook_delay_s`."""
        soonest_s = min(SOON_S, self.webhook_delay_s)
        share: float = (self.webhook_delay_s / soonest_s) ** self._webhook_random.random()
        return soonest_s * share

    def _copy_later_s(self) -> float:
        """Half of the copies come at once."""
        return self._late_s() if self._webhook_random.random() < 0.5 else 0.0

    def one_of(self, things: Sequence[T]) -> T:
        """One of several things that a fault may strike, drawn from the seed."""
        return self._random.choice(things)


def _copies(faults: Iterable[WebhookFault]) -> list[bool]:
    """Of each copy that the faults make, whether it has a new webhook id."""
    made = {WebhookFault.DUPLICATE: False, WebhookFault.NEW_ID: True}
    return [made[fault] for fault in faults if fault in made]


def _server_errors(statuses: Sequence[int]) -> tuple[int, ...]:
    if not statuses or not set(statuses) <= set(SERVER_ERRORS):
        known = ", ".join(map(str, SERVER_ERRORS))
        raise ValueError(
            f"a server error answers one of {known}, not {', '.join(map(str, statuses)) or 'nothing'}"
        )
    return tuple(statuses)


def _drawn(draw: float, rates: Iterable[tuple[K, float]]) -> K | None:
    """The kind whose slice of [0, 1) holds the draw."""
    edge = 0.0
    for kind, rate in rates:
        edge += rate
        if draw < edge:
            return kind
    return None


def fault_named(name: str) -> Fault | WebhookFault:
    """A fault of either kind by its value; raises ValueError that lists them all."""
    kinds: tuple[Fault | WebhookFault, ...] = (*Fault, *WebhookFault)
    for known in kinds:
        if known.value == name.lower():
            return known
    raise ValueError(f"there is no fault {name!r}; the faults are: {', '.join(kinds)}")


def fault_over_http(name: str) -> Fault | WebhookFault:
    """A fault by its value that real sockets can show; raises ValueError that says which can."""
    fault = fault_named(name)
    if fault is Fault.CONNECT_REFUSED:
        raise ValueError(
            "connect_refused is for a shop in the same process: over HTTP the connection is there before the shop "
            "is asked; dropped_before closes it without an answer, and nothing is applied either"
        )
    return fault
