"""What resolvers work with: the parts of one shop, and one request to it.

Values only. shop builds the parts, api builds the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from shopify_emulator.bulk import BulkOperations
from shopify_emulator.clock import Agenda
from shopify_emulator.faults import Faults, Injection
from shopify_emulator.filters import (
    Tests,
    bulk_tests,
    item_tests,
    level_tests,
    location_tests,
    order_tests,
    product_tests,
    subscription_tests,
    variant_tests,
)
from shopify_emulator.idempotency import Keys
from shopify_emulator.search import Search
from shopify_emulator.state import State
from shopify_emulator.subscriptions import Subscriptions

TESTS: Mapping[str, Callable[[State], Tests]] = {
    "products": product_tests,
    "productVariants": variant_tests,
    "inventoryItems": item_tests,
    "inventoryLevels": level_tests,
    "locations": location_tests,
    "orders": order_tests,
    "bulkOperations": bulk_tests,
    "webhookSubscriptions": subscription_tests,
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who the shop is and which app is installed in it."""

    domain: str
    name: str
    email: str
    timezone: str
    currency: str
    plan_name: str
    client_id: str
    app_title: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


@dataclass(kw_only=True)
class Parts:
    """Everything of a shop that a request may touch."""

    identity: Identity
    state: State
    subscriptions: Subscriptions
    bulk: BulkOperations
    keys: Keys
    faults: Faults
    agenda: Agenda
    base_url: str
    tests: dict[str, Tests]


def tests_for(state: State) -> dict[str, Tests]:
    return {name: make(state) for name, make in TESTS.items()}


@dataclass(kw_only=True)
class Request:
    """The context of one execution."""

    parts: Parts
    scopes: frozenset[str]
    bulk: bool = False  # connections give all rows, without page sizes
    injection: Injection | None = None
    searches: list[tuple[list[str], Search]] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.parts.state

    @property
    def lagging(self) -> bool:
        return self.injection is not None and self.injection.fault.value == "lagging_read"


def request_of(info: Any) -> Request:
    request: Request = info.context
    return request
