"""A negative control: Mechanic's rule against the bundled shop, before the same judge. A harness that cannot see it
fail proves nothing.

The rule is `new = old + (sum of levels - n * old)`, with cache and adjustment as two actions of which each
may fail, and nothing that notices a sale between read and write.
"""

import json
import random
from dataclasses import dataclass, field
from datetime import datetime

from shopify_emulator import Fault, ManualClock, Shop
from stockwright.ledger.state import Entry
from stockwright.model import ShopId
from stockwright.shopify.operations import operation
from tests.journey.listings import Listing, add_listing
from tests.journey.service import TOKEN, new_shop
from tests.simulation.whole.judge import Judge, WrongLevel

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
    rule = _Rule(shop=shop, listing=listing, now=clock.now())
    cache = START
    for cycle in range(cycles):
        clock.advance(60)
        listing.sell(rng.choice(TITLES))
        levels = listing.levels()
        goal = cache + sum(levels) - len(TITLES) * cache
        if goal == cache:
            continue
        if rng.random() >= probability:
            cache = goal
        if rng.random() < probability:
            listing.sell(rng.choice(TITLES))
        if rng.random() < probability:
            shop.faults.next(_ADJUST, Fault.SERVER_ERROR_BEFORE)
        rule.write(levels, goal, key=f"control-{cycle}", at=clock.now())
    return rule.error(ledger=cache)


@dataclass(kw_only=True)
class _Rule:
    """What the rule wrote, in the words of a journal, so that the judge can follow it."""

    shop: Shop
    listing: Listing
    now: datetime
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        stamp = self.now.replace(microsecond=0).isoformat()
        members = [{"member": member, "level": START, "stamp": stamp} for member in self._members()]
        data = {"stock": START, "how": "equal", "by": "", "members": members}
        self.entries.append(Entry(kind="adopted", at=self.now, data=data))

    def _members(self) -> list[list[str]]:
        place = self.listing.first_location
        return [[variant.item.gid, place] for variant in self.listing.product.variants]

    def write(self, levels: list[int], goal: int, *, key: str, at: datetime) -> None:
        """One adjustment of all levels that differ from the goal."""
        rows = [
            {"member": member, "from": level, "delta": goal - level}
            for member, level in zip(self._members(), levels, strict=True)
            if goal != level
        ]
        if rows:
            self.entries.append(Entry(kind="intent_opened", at=at, data={"key": key, "rows": rows}))
            _send(self.shop, rows, key=key)

    def error(self, *, ledger: int) -> int:
        """By how much a level is off, as the judge says; 0 when all are right."""
        judge = Judge(self.shop, ShopId(0), orders_only=True, once=False)
        try:
            judge.judge_levels(self.listing.product.title, self.entries, ledger=ledger)
        except WrongLevel as wrong:
            return wrong.error
        return 0


def _send(shop: Shop, rows: list[dict[str, object]], *, key: str) -> None:
    changes = [
        {
            "inventoryItemId": row["member"][0],  # type: ignore[index]
            "locationId": row["member"][1],  # type: ignore[index]
            "delta": row["delta"],
            "changeFromQuantity": row["from"],
        }
        for row in rows
    ]
    adjust = operation("adjust_quantities")
    body = {"reason": "correction", "name": "available", "changes": changes}
    payload = {"query": adjust.text, "operationName": adjust.name, "variables": {"input": body, "key": key}}
    shop.post(json.dumps(payload).encode(), {"X-Shopify-Access-Token": TOKEN})
