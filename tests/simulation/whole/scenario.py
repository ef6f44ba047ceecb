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
    Fault.KEY_MISMATCH,
)
SHUT_OUT = (Fault.PAYMENT_REQUIRED, Fault.LOCKED, Fault.TOKEN_REVOKED)
SHUT_OUT_RATE = 0.03
REPLAYED = (Fault.THROTTLED_AFTER,)
"""Shopify says of THROTTLED that nothing was executed. Were that untrue, only a shop that gives the first answer
again to the same key would be safe: one that evaluates it again answers "stale", which is believed."""

SEAMS = ("reading", "shown", "sending", "executed", "storing", "stored")
DATABASE = ("database_refused", "database_lost", "database_away")
MEMBERSHIP = (
    "variant_added",
    "variant_removed",
    "tracking_changed",
    "stocking_changed",
    "product_out_of_scope",
    "product_back_in_scope",
    "product_deleted",
    "transfer",
)
ALL_KINDS = (
    *(fault.value for fault in (*WEBHOOK, *LOST, *TOLD, *SHUT_OUT, *REPLAYED)),
    *(f"crash_{seam}" for seam in SEAMS),
    *DATABASE,
    *MEMBERSHIP,
    Fault.LAGGING_READ.value,
    "half_applied",
    "held_up",
    "outage",
    "sale_between",
)
PRINT_TYPE, OTHER_TYPE = "Print", "Sculpture"


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
    membership_changes: bool
    reads_orders: bool
    renews_token: bool  # the client credentials grant instead of a token that only a person can replace
    switches: Switches
    rates: Mapping[Fault | WebhookFault, float]
    crash_rate: float  # per seam
    hold_rate: float  # per seam
    sale_between_rate: float  # per correction on its way
    database_rate: float  # per transaction
    lag_rate: float  # per read
    policy: Policy

    @property
    def as_one(self) -> bool:
        """Whether all locations are one stock."""
        return bool(self.options.get("locations_as_one"))


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed. The same seed always gives the same one."""
    rng = random.Random(f"whole {seed}")
    across = rng.random() < 0.5
    locations = rng.choice((1, 1, 2))
    switches = _switches(rng)
    return Scenario(
        seed=seed,
        kind="sync-across-variants" if across else "keep-in-sync-within-products",
        options=_options(rng, across=across, locations=locations),
        on_unknown="certain" if seed % 2 else "settle",
        products=rng.choice((1, 1, 2)),
        variants=rng.choice((2, 3, 3, 5)),
        locations=locations,
        stock=rng.choice((5, 12, 40, 200)),
        acts=rng.randint(6, 12),
        storm_s=rng.choice((20.0, 120.0, 400.0)),
        orders_only=rng.random() < 0.4,
        membership_changes=rng.random() < 0.5,
        reads_orders=seed // 2 % 2 == 0,
        renews_token=rng.random() < 0.4,
        switches=switches,
        rates=_rates(rng, switches),
        crash_rate=rng.choice((0.0, 0.004, 0.012)),
        hold_rate=rng.choice((0.0, 0.0, 0.004)),
        sale_between_rate=rng.choice((0.0, 0.1, 0.3)),
        database_rate=rng.choice((0.0, 0.0, 0.01)),
        lag_rate=rng.choice((0.0, 0.0, 0.1)),
        policy=Policy(),
    )


def _options(rng: random.Random, *, across: bool, locations: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bulk_raise": rng.choice(("sum", "once")),
        "raise_settle_s": rng.choice((0, 5)),
    }
    if across:
        return options | {"product_tags": ["shared"], "locations": "all"}
    options |= {"product_types": [PRINT_TYPE]}
    return options | ({"locations_as_one": True} if locations == 2 and rng.random() < 0.4 else {})


def _switches(rng: random.Random) -> Switches:
    return Switches(
        idempotency=rng.choice(("reevaluate", "replay")),
        concurrent_key=rng.choice(("error", "wait_then_replay")),
        stale_field=rng.choice(("row_and_field", "row", "null")),
        batch_failure=rng.choice(("atomic", "atomic", "atomic", "partial")),
        stale_report=rng.choice(("every_row", "first_row")),
        unstocked_write=rng.choice(("creates_active", "INVALID_LOCATION")),
        event_payload=rng.choice(("build_time", "event_time")),
        levels_update_on=rng.choice(("available", "any_name")),
        webhook_id_on_retry=rng.choice(("stable", "new")),
        derived_lag=rng.choice(("0", "seconds", "minutes")),
    )


def _rates(rng: random.Random, switches: Switches) -> dict[Fault | WebhookFault, float]:
    """Swarm testing: each run has some groups of faults, and of each group some kinds."""
    rates: dict[Fault | WebhookFault, float] = {}
    told = (*TOLD, *REPLAYED) if switches.idempotency == "replay" else TOLD
    for group in (WEBHOOK, LOST, told):
        if rng.random() < 0.65:
            rates |= {kind: rng.choice(RATES) for kind in group if rng.random() < 0.5}
    if rng.random() < 0.4:
        rates |= {kind: SHUT_OUT_RATE for kind in SHUT_OUT if rng.random() < 0.6}
    return _within_one(rates)


def _within_one(rates: dict[Fault | WebhookFault, float]) -> dict[Fault | WebhookFault, float]:
    """At most one fault strikes a request, so their rates may add up to 1 only."""
    total = sum(rate for kind, rate in rates.items() if isinstance(kind, Fault))
    share = min(1.0, 1 / total) if total else 1.0
    return {kind: rate * share if isinstance(kind, Fault) else rate for kind, rate in rates.items()}
