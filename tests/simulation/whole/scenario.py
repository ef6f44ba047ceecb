"""What one seed means: the shop, the options, what others do in it, and which faults occur."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shopify_emulator import Fault, Switches, WebhookFault
from stockwright.ledger.state import Policy

RATES = (0.02, 0.05, 0.12)

WEBHOOK = (
    WebhookFault.DUPLICATE,
    WebhookFault.NEW_ID,
    WebhookFault.REORDER,
    WebhookFault.DROP,
    WebhookFault.DELAY,
    WebhookFault.BAD_HMAC,
    WebhookFault.WRONG_SHOP,
)
LOST = (
    Fault.DROPPED_BEFORE,
    Fault.DROPPED_AFTER,
    Fault.TIMEOUT_BEFORE,
    Fault.TIMEOUT_AFTER,
    Fault.SERVER_ERROR_BEFORE,
    Fault.SERVER_ERROR_AFTER,
    Fault.TRUNCATED_AFTER,
    Fault.LATE_ARRIVAL,
    Fault.SLOW,
    Fault.UNAVAILABLE_BEFORE,
    Fault.UNAVAILABLE_AFTER,
)
TOLD = (
    Fault.CONNECT_REFUSED,
    Fault.THROTTLED,
    Fault.TOO_MANY_REQUESTS,
    Fault.SECURITY_REJECTION,
    Fault.INTERNAL_ERROR,
    Fault.STALE,
    Fault.ADJUST_FAILED,
    Fault.KEY_CONCURRENT,
    Fault.KEY_PREVIOUS_FAILED,
)
ALL_KINDS = (
    *(fault.value for fault in (*WEBHOOK, *LOST, *TOLD)),
    "crash",
    "held_up",
    "outage",
    "sale_between",
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run, decided by its seed alone."""

    seed: int
    kind: str
    options: Mapping[str, Any]
    on_unknown: Literal["settle", "certain"]
    products: int
    variants: int
    locations: int
    stock: int
    acts: int
    storm_s: float
    orders_only: bool  # no level is typed by hand, so orders explain every movement
    reads_orders: bool
    switches: Switches
    rates: Mapping[Fault | WebhookFault, float]
    crash_rate: float  # per seam
    hold_rate: float  # per seam
    sale_between_rate: float  # per correction on its way
    policy: Policy


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed. The same seed always gives the same one."""
    rng = random.Random(f"whole {seed}")
    across = rng.random() < 0.5
    locations = 1 if rng.random() < 0.6 else 2
    options: dict[str, Any] = {"bulk_raise": "sum", "raise_settle_s": rng.choice((0, 5))}
    options |= {"product_tags": ["shared"], "locations": "all"} if across else {}
    if not across and locations == 2 and rng.random() < 0.4:
        options["locations_as_one"] = True
    return Scenario(
        seed=seed,
        kind="sync-across-variants" if across else "keep-in-sync-within-products",
        options=options,
        on_unknown="certain" if seed % 2 else "settle",
        products=rng.choice((1, 1, 2)),
        variants=rng.choice((2, 3, 3, 5)),
        locations=locations,
        stock=rng.choice((5, 12, 40, 200)),
        acts=rng.randint(6, 12),
        storm_s=rng.choice((20.0, 120.0, 400.0)),
        orders_only=rng.random() < 0.5,
        reads_orders=seed // 2 % 2 == 0,
        switches=_switches(rng),
        rates=_rates(rng),
        crash_rate=rng.choice((0.0, 0.004, 0.012)),
        hold_rate=rng.choice((0.0, 0.0, 0.004)),
        sale_between_rate=rng.choice((0.0, 0.1, 0.3)),
        policy=Policy(),
    )


def _switches(rng: random.Random) -> Switches:
    return Switches(
        idempotency=rng.choice(("reevaluate", "replay")),
        concurrent_key=rng.choice(("error", "wait_then_replay")),
        stale_field=rng.choice(("row_and_field", "row", "null")),
        stale_report=rng.choice(("every_row", "first_row")),
        event_payload=rng.choice(("build_time", "event_time")),
        levels_update_on=rng.choice(("available", "any_name")),
        webhook_id_on_retry=rng.choice(("stable", "new")),
        derived_lag=rng.choice(("0", "seconds", "minutes")),
    )


def _rates(rng: random.Random) -> dict[Fault | WebhookFault, float]:
    """Swarm testing: each run has some groups of faults, and of each group some kinds."""
    rates: dict[Fault | WebhookFault, float] = {}
    for group in (WEBHOOK, LOST, TOLD):
        if rng.random() < 0.65:
            rates |= {kind: rng.choice(RATES) for kind in group if rng.random() < 0.5}
    return rates
