"""What one seed means: size of the pool, options of the shop and the protocol, and which faults occur."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stockwright.ledger.state import Policy
from tests.simulation.core.faults import GROUPS, OVERSLEEP, PROCESS

RECONCILE_S = 300.0
RATES = (0.02, 0.06, 0.15)
PACKS = ((1, 1, 2), (1, 2, 3), (1, 1, 6))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run, decided by its seed alone."""

    seed: int
    units: tuple[int, ...]  # one member per entry
    locations: int
    stock: int
    moves: int
    pace_s: float  # mean time between outside movements
    replays: bool  # whether the shop replays a known idempotency key or evaluates the call again
    order_evidence: bool
    only_orders: bool  # every movement has an order, so order evidence cannot mislead
    sells_below_zero: bool
    bulk_raises: bool
    membership_changes: bool
    stamp_resolution_s: float
    shop_skew_s: float
    policy: Policy
    rates: Mapping[str, float]
    replays_journal: bool

    @property
    def members(self) -> int:
        return len(self.units)


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed. The same seed always gives the same one."""
    rng = random.Random(f"scenario {seed}")
    on_unknown: Literal["settle", "certain"] = "settle" if seed % 2 else "certain"
    bulk_once = rng.random() < 0.15
    rates = _rates(rng)
    # Orders are placed before or after our read by their times: that needs clocks that agree.
    order_evidence = seed // 2 % 2 == 0 and "clock_jump" not in rates
    only_orders = order_evidence and rng.random() < 0.6
    if not only_orders:
        # Calls are all or nothing, says the protocol; where they are not, only complete orders show it.
        rates.pop("write_partial", None)
    return Scenario(
        seed=seed,
        units=_units(rng),
        locations=2 if rng.random() < 0.3 else 1,
        stock=rng.choice((5, 12, 40, 200)),
        moves=_moves(rng),
        pace_s=rng.choice((0.3, 2.0, 8.0, 20.0)),
        replays=seed // 4 % 2 == 0,
        order_evidence=order_evidence,
        only_orders=only_orders,
        sells_below_zero=rng.random() < 0.7,
        bulk_raises=rng.random() < 0.5,
        membership_changes=rng.random() < 0.4,
        stamp_resolution_s=rng.choice((0.001, 1.0)),
        shop_skew_s=rng.choice((0.0, -3.0, 3.0)),
        policy=Policy(
            on_unknown=on_unknown,
            bulk_raise="once" if bulk_once else "sum",
            raise_settle_s=rng.choice((0.0, 5.0)),
            rows_per_intent=2 if rng.random() < 0.1 else 250,
            order_lag_s=0.0,
        ),
        rates=rates,
        replays_journal=seed % 4 == 0,
    )


def _moves(rng: random.Random) -> int:
    """Mostly few: two short runs find more broken rules in the same time than one of twice the length."""
    return rng.randint(8, 30) if rng.random() < 0.9 else rng.randint(30, 60)


def _units(rng: random.Random) -> tuple[int, ...]:
    if rng.random() < 0.25:
        return rng.choice(PACKS)
    return (1,) * rng.randint(2, 6)


def _rates(rng: random.Random) -> dict[str, float]:
    """Swarm testing: each run has some groups of faults, and of each group some kinds."""
    rates: dict[str, float] = {}
    for group, kinds in GROUPS.items():
        if rng.random() < _SHARE.get(group, 0.6):
            rates |= {kind: _rate(group, rng) for kind in kinds if rng.random() < 0.7}
    if "clock_jump" in rates:
        # A clock that jumps breaks the one promise that needs it: that the dead time has passed. So where
        # clocks jump, no request arrives after its answer was given up, no read lags, no two workers overlap.
        for kind in ("write_delayed", "write_in_progress_applied", "read_lagging", *PROCESS, *OVERSLEEP):
            rates.pop(kind, None)
    return rates


_SHARE = {
    "late": 0.1,
    "subscription": 0.1,
    "partial": 0.5,
    "refusals": 0.1,
    "outage": 0.3,
    "clock": 0.15,
    "oversleep": 0.4,
    "restore": 0.1,
}
_SCALE = {
    "late": 0.5,
    "subscription": 0.5,
    "refusals": 0.2,
    "crashes": 0.5,
    "outage": 3.0,
    "clock": 0.5,
    "process": 0.5,
    "oversleep": 2.0,
    "restore": 0.5,
}


def _rate(group: str, rng: random.Random) -> float:
    return rng.choice(RATES) * _SCALE.get(group, 1.0)
