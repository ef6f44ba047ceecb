"""Idempotency keys: the three behaviours that Shopify may have, and the errors around them."""

from __future__ import annotations

import json

import pytest

from shopify_emulator import Fault
from shopify_emulator.api import Silence
from tests.unit.test_emulator_shop import ADJUST, Stage, stage


def codes(payload: dict[str, list[dict[str, str]]]) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def send(s: Stage, key: str, *, change_from: int | None = 10) -> object:
    """One adjust of -1 through the door where faults stand."""
    given = {"name": "available", "reason": "correction", "changes": [s.row(s.a, -1, change_from)]}
    body = json.dumps({"query": ADJUST, "variables": {"input": given, "key": key}}).encode()
    return s.shop.post(body, {"X-Shopify-Access-Token": "shpat_demo"})


def test_a_reevaluated_retry_is_stale() -> None:
    # Reports from 2026-07: the same key and compare value again after success answers STALE.
    s = stage()
    s.adjust(s.row(s.a, -1, 10))
    assert codes(s.adjust(s.row(s.a, -1, 10))) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert s.level(s.a) == 9


def test_a_reevaluated_retry_without_compare_value_is_applied_again() -> None:
    s = stage()
    s.adjust(s.row(s.a, -1, None))
    assert codes(s.adjust(s.row(s.a, -1, None))) == []
    assert s.level(s.a) == 8


def test_a_reevaluated_retry_applies_twice_when_other_movements_restored_the_value() -> None:
    s = stage()
    s.adjust(s.row(s.a, -1, 10))
    s.shop.edit(s.a.item.gid, s.toronto, 10)
    assert codes(s.adjust(s.row(s.a, -1, 10))) == []
    assert len([m for m in s.shop.history() if m.cause == "api"]) == 2


def test_a_replayed_retry_answers_the_first_outcome_and_applies_nothing() -> None:
    # Documented: a retry with the same key and parameters returns the original outcome.
    s = stage(idempotency="replay")
    first = s.adjust(s.row(s.a, -1, 10))
    s.shop.edit(s.a.item.gid, s.toronto, 10)
    assert s.adjust(s.row(s.a, -1, 10)) == first
    assert s.level(s.a) == 10


def test_a_replayed_stale_answer_stays_stale() -> None:
    s = stage(idempotency="replay")
    assert codes(s.adjust(s.row(s.a, -1, 4))) == ["CHANGE_FROM_QUANTITY_STALE"]
    s.shop.edit(s.a.item.gid, s.toronto, 4)
    assert codes(s.adjust(s.row(s.a, -1, 4))) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert s.level(s.a) == 4


@pytest.mark.parametrize("mode", ["reevaluate", "replay"])
def test_a_key_cannot_be_used_for_another_request(mode: str) -> None:
    s = stage(idempotency=mode)
    s.adjust(s.row(s.a, -1, 10))
    payload = s.adjust(s.row(s.a, -2, 9))
    assert codes(payload) == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    assert payload["userErrors"][0]["field"] is None
    assert s.level(s.a) == 9


def test_a_shop_that_forgets_keys_applies_again() -> None:
    s = stage(idempotency="apply_again")
    s.adjust(s.row(s.a, -1, None))
    s.adjust(s.row(s.a, -2, None))
    assert s.level(s.a) == 7


@pytest.mark.parametrize(
    ("ttl", "after_s", "level"), [("24h", 86_000, 9), ("24h", 86_500, 8), ("short", 61, 8)]
)
def test_a_key_is_forgotten_after_its_life(ttl: str, after_s: float, level: int) -> None:
    s = stage(idempotency="replay", idempotency_ttl=ttl)
    s.adjust(s.row(s.a, -1, None))
    s.clock.advance(after_s)
    s.adjust(s.row(s.a, -1, None))
    assert s.level(s.a) == level


def test_a_request_in_progress_holds_its_key() -> None:
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", Fault.SLOW, delay_s=40)
    assert isinstance(send(s, "slow-1"), Silence)
    assert s.level(s.a) == 10
    assert codes(s.adjust(s.row(s.a, -1, 10), key="slow-1")) == ["IDEMPOTENCY_CONCURRENT_REQUEST"]
    s.clock.advance(41)
    s.shop.tick()
    assert s.level(s.a) == 9


@pytest.mark.parametrize("mode", ["reevaluate", "replay", "apply_again"])
@pytest.mark.parametrize("change_from", [10, None])
def test_a_waiting_retry_gets_the_outcome_of_the_request_in_progress(
    mode: str, change_from: int | None
) -> None:
    # At most one of two calls that run at once applies, whatever a retry after the end would do.
    s = stage(idempotency=mode, concurrent_key="wait_then_replay")
    s.shop.faults.next("inventoryAdjustQuantities", Fault.SLOW, delay_s=40)
    send(s, "slow-1", change_from=change_from)
    payload = s.adjust(s.row(s.a, -1, change_from), key="slow-1")
    assert codes(payload) == []
    assert payload["inventoryAdjustmentGroup"] is not None
    s.clock.advance(41)
    s.shop.tick()
    assert s.level(s.a) == 9


def test_a_waiting_request_with_other_parameters_gets_no_outcome_of_another() -> None:
    s = stage(concurrent_key="wait_then_replay")
    s.shop.faults.next("inventoryAdjustQuantities", Fault.SLOW, delay_s=40)
    send(s, "slow-1")
    assert codes(s.adjust(s.row(s.a, -2, None), key="slow-1")) == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    assert s.level(s.a) == 9


def test_a_late_request_is_evaluated_when_it_arrives() -> None:
    # Lost from sight on the network: the shop knows nothing of it until it comes.
    s = stage()
    s.shop.faults.next("inventoryAdjustQuantities", Fault.LATE_ARRIVAL, delay_s=40)
    send(s, "late-1")
    assert codes(s.adjust(s.row(s.a, -1, 10), key="late-1")) == []
    s.shop.edit(s.a.item.gid, s.toronto, 10)
    s.clock.advance(41)
    s.shop.tick()
    assert s.level(s.a) == 9
    assert len([m for m in s.shop.history() if m.cause == "api"]) == 2


def test_a_failed_attempt_asks_for_a_new_key_under_replay() -> None:
    s = stage(idempotency="replay")
    s.shop.faults.next("inventoryAdjustQuantities", Fault.UNAVAILABLE_BEFORE)
    send(s, "failed-1")
    assert codes(s.adjust(s.row(s.a, -1, 10), key="failed-1")) == ["IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"]
    assert codes(s.adjust(s.row(s.a, -1, 10), key="failed-2")) == []


def test_a_blank_key_is_refused() -> None:
    s = stage()
    given = {"name": "available", "reason": "correction", "changes": [s.row(s.a, -1, 10)]}
    error = s.error(ADJUST, {"input": given, "key": "  "})
    assert error["extensions"]["code"] == "BAD_REQUEST"
