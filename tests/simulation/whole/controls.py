"""A negative control: Mechanic's rule against the bundled shop. A harness that cannot see it fail proves nothing.

The rule is `new = old + (sum of levels - n * old)`, with cache and adjustment as two actions of which each
may fail, and nothing that notices a sale between read and write.
"""

import json
import random
from dataclasses import dataclass

from shopify_emulator import Fault, ManualClock, Shop
from stockwright.shopify.operations import operation
from tests.journey.listings import Listing, add_listing
from tests.journey.service import TOKEN, new_shop

TITLES = "ABCD"
START = 1_000
_ADJUST = "inventoryAdjustQuantities"


@dataclass(frozen=True, kw_only=True)
class Control:
    """How many runs ended with wrong stock."""

    runs: int
    wrong: int
    worst_error: int


def mechanics_rule(*, probability: float, cycles: int, seeds: range) -> Control:
    """One sale per cycle; each of the three kinds of fault strikes with `probability` per cycle."""
    errors = [_one_run(random.Random(seed), probability=probability, cycles=cycles) for seed in seeds]
    return Control(runs=len(errors), wrong=sum(map(bool, errors)), worst_error=max(errors))


def _one_run(rng: random.Random, *, probability: float, cycles: int) -> int:
    clock = ManualClock()
    shop = new_shop(clock)
    shop.add_location("Toronto")
    listing = add_listing(shop, titles=TITLES, levels=START)
    cache, sold = START, 0
    for cycle in range(cycles):
        clock.advance(60)
        listing.sell(rng.choice(TITLES))
        sold += 1
        levels = listing.levels()
        goal = cache + sum(levels) - len(TITLES) * cache
        if goal == cache:
            continue
        if rng.random() >= probability:
            cache = goal
        if rng.random() < probability:
            listing.sell(rng.choice(TITLES))
            sold += 1
        if rng.random() < probability:
            shop.faults.next(_ADJUST, Fault.SERVER_ERROR_BEFORE)
        _write(shop, listing, levels, goal, key=f"control-{cycle}")
    return max(abs(level - (START - sold)) for level in listing.levels())


def _write(shop: Shop, listing: Listing, levels: list[int], goal: int, *, key: str) -> None:
    changes = [
        {
            "inventoryItemId": variant.item.gid,
            "locationId": listing.first_location,
            "delta": goal - level,
            "changeFromQuantity": level,
        }
        for variant, level in zip(listing.product.variants, levels, strict=True)
        if goal != level
    ]
    if not changes:
        return
    adjust = operation("adjust_quantities")
    body = {"reason": "correction", "name": "available", "changes": changes}
    payload = {"query": adjust.text, "operationName": adjust.name, "variables": {"input": body, "key": key}}
    shop.post(json.dumps(payload).encode(), {"X-Shopify-Access-Token": TOKEN})
