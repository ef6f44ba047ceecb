"""Faults on request: one-shot queues and seeded rates, for the Admin API and for webhooks.

Decides and counts; what a fault does is written in api, tokens and webhooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

K = TypeVar("K", bound=StrEnum)


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
    KEY_CONCURRENT = "key_concurrent"
    KEY_MISMATCH = "key_mismatch"
    KEY_PREVIOUS_FAILED = "key_previous_failed"
    BULK_FAILED = "bulk_failed"
    BULK_PARTIAL = "bulk_partial"
    BULK_EXPIRED = "bulk_expired"


class WebhookFault(StrEnum):
    """What can go wrong with one webhook."""

    DUPLICATE = "webhook_duplicate"  # sent again with the same webhook id
    NEW_ID = "webhook_new_id"  # sent again under a new webhook id
    REORDER = "webhook_reorder"  # overtaken by what is sent within the next second
    DROP = "webhook_drop"
    DELAY = "webhook_delay"  # by `delay_s`
    BAD_HMAC = "webhook_bad_hmac"
    WRONG_SHOP = "webhook_wrong_shop"


TOKEN_ENDPOINT = "access_token"
ADJUST_ONLY = frozenset({Fault.ADJUST_FAILED, Fault.UNAVAILABLE_BEFORE, Fault.UNAVAILABLE_AFTER})
KEYED_ONLY = frozenset({Fault.STALE, Fault.KEY_CONCURRENT, Fault.KEY_MISMATCH, Fault.KEY_PREVIOUS_FAILED})
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


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One fault to inject. `row`: the stale row; `status`: which 5xx; `delay_s`: how late."""

    fault: Fault
    row: int = 0
    status: int = 503
    delay_s: float = 30.0


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
        self._webhook_queue: list[WebhookFault] = []
        self._webhook_rates: dict[WebhookFault, float] = {}
        self.webhook_delay_s = 30.0
        self.injected: Counter[Fault | WebhookFault] = Counter()

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

    def next_webhook(self, fault: WebhookFault, *, count: int = 1) -> None:
        self._webhook_queue.extend([fault] * count)

    def rates(self, rates: Mapping[Fault | WebhookFault, float]) -> None:
        """Sets seeded probabilities per request or webhook; at most one fault strikes each."""
        for fault, rate in rates.items():
            if not 0 <= rate <= 1:
                raise ValueError(f"the rate of {fault} has to lie between 0 and 1, not {rate}")
            if isinstance(fault, WebhookFault):
                self._webhook_rates[fault] = rate
            else:
                self._rates[fault] = rate

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
        return Injection(fault=fault) if fault is not None else None

    def pick_webhook(self) -> WebhookFault | None:
        """The fault that strikes this webhook, if any; counted."""
        fault = self._webhook_queue.pop(0) if self._webhook_queue else None
        if fault is None and self._webhook_rates:
            fault = _drawn(self._random.random(), self._webhook_rates.items())
        if fault is not None:
            self.injected[fault] += 1
        return fault


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
