"""Where latencies are taken: the bundled shop with a catalogue, and the service that looks after it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.real_processes import (
    READY_LIMIT_S,
    RunningShop,
    Service,
    running_service,
    running_shop,
    wait_until,
)

KIND = "keep-in-sync-within-products"
VARIANTS = 4
STOCK = 100_000  # of each product: nothing sells out
_STILL_S = 0.5  # without a movement or a webhook: longer than a webhook is on its way
_SETTINGS = {"STOCKWRIGHT_LOG_LEVEL": "warning"}


def catalogue(products: int) -> dict[str, Any]:
    """Products of four variants at one location, each with the same stock."""
    variants = [{"title": f"Listing {number}"} for number in range(VARIANTS)]
    return {
        "locations": [{"name": "Toronto"}],
        "products": [
            {"title": f"Print {number}", "variants": variants, "levels": STOCK} for number in range(products)
        ],
    }


@contextmanager
def synced_shop(products: int, *, rate: float) -> Iterator[tuple[RunningShop, Service]]:
    """Shop and service, with every product adopted and nothing left to do. `rate`: points per second."""
    with running_shop(catalogue(products), rate=rate) as shop, running_service(_SETTINGS) as service:
        service.add_shop(shop)
        service.add_automation(KIND, shop, raise_settle_s=0)
        service.until_adopted(products)
        settle(shop, service)
        yield shop, service


def settle(shop: RunningShop, service: Service) -> None:
    """Wait until every webhook is delivered, every event is dealt with, and nothing moves any more."""
    seen: tuple[int, int] | None = None
    while seen != (seen := _activity(shop, service)):
        time.sleep(_STILL_S)


def _activity(shop: RunningShop, service: Service) -> tuple[int, int]:
    wait_until(
        lambda: not shop.state()["webhooks"]["pending"],
        limit_s=READY_LIMIT_S,
        what="every webhook is delivered",
    )
    service.until_idle()
    state = shop.state()
    return state["movements"], state["webhooks"]["attempts"]
