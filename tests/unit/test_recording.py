"""A recorded input gives the same plan again: the regression test that every run leaves behind."""

import json
from dataclasses import replace
from typing import Any

import pytest

from stockwright.automations import kind_named, recording
from stockwright.automations.contract import Facts
from stockwright.ledger.state import MemberId
from stockwright.model import ENABLED, USER_TRIGGER, StockwrightError, gid
from tests.unit.small_shop import MONTREAL, PRODUCT, TORONTO, SmallShop


def test_a_decision_is_made_again_from_its_record() -> None:
    s = SmallShop(
        kind="keep-in-sync-within-products",
        options={"raise_settle_s": 5},
        levels={(name, place): 10 for name in "AB" for place in (TORONTO, MONTREAL)},
    )
    s.scan(ENABLED)
    events = [s.move("A", -1), s.move("B", 3, MONTREAL)]
    situation = s._situation(PRODUCT, events)
    moves = {MemberId(gid("InventoryItem", 1), TORONTO): -1}
    facts = Facts(product=s.product(), claims=(), order_moves=moves)
    plan = kind_named(s.kind).decide(situation, facts)
    stored = json.loads(json.dumps(recording.record(situation, facts)))
    assert recording.decide_again(s.kind, stored) == plan
    assert plan.effects


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"options": {"raise_settle_s": "soon"}}, "raise_settle_s"),
        ({"product": {"id": 7}}, "id"),
        ({"pools": [{"pool_id": "pool_1"}]}, ""),
        ({"version": 0}, "format 0"),
    ],
)
def test_a_record_that_does_not_fit_any_more_is_told_as_that(changes: dict[str, Any], told: str) -> None:
    levels = {(name, TORONTO): 1 for name in "AB"}
    s = SmallShop(kind="keep-in-sync-within-products", options={}, levels=levels)
    stored = recording.record(s._situation(PRODUCT, []), Facts(product=s.product(), claims=()))
    with pytest.raises(StockwrightError, match=f"cannot be decided again.*{told}|{told}.*can be read"):
        recording.decide_again(s.kind, {**stored, **changes})


def test_the_words_of_a_plan_name_variants_and_not_their_numbers() -> None:
    s = SmallShop(
        kind="keep-in-sync-within-products",
        options={"raise_settle_s": 0, "locations_as_one": True},
        levels={(name, place): 10 for name in (r"Big \1", "Small") for place in (TORONTO, MONTREAL)},
    )
    s.scan(ENABLED)
    plan = s.run(s.move("Small", -1))
    assert "item " not in plan.because
    assert r"Big \1 10 -> 9" in plan.because
    assert "Small 10 -> 9" in plan.because


def test_a_decision_depends_on_nothing_but_its_input() -> None:
    s = SmallShop(
        kind="sync-across-variants",
        options={"product_tags": ["shared"]},
        levels={(name, TORONTO): 10 for name in "ABC"},
    )
    s.scan(USER_TRIGGER)
    situation = s._situation(PRODUCT, [s.move("A", -2)])
    facts = Facts(product=s.product())
    automation = kind_named(s.kind)
    assert automation.decide(situation, facts) == automation.decide(replace(situation), facts)
