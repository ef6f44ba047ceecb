"""How benchmarks turn a shop's history into figures: the arithmetic, without a clock."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from bench.latency import sales_of
from bench.report import Figure, percentile

SIBLINGS = {"a": ["a", "b"], "b": ["a", "b"], "c": ["c", "d"], "d": ["c", "d"]}
LEVELS = {"a": 10, "b": 10, "c": 5, "d": 5}
START = datetime(2026, 11, 3, 15, 0, tzinfo=UTC)


def moved(at_s: float, item: str, delta: int, cause: str) -> dict[str, object]:
    at = (START + timedelta(seconds=at_s)).isoformat()
    return {"at": at, "item": item, "delta": delta, "cause": cause}


def waits_s(history: list[dict[str, object]]) -> tuple[list[float], int]:
    sales, never = sales_of(history, SIBLINGS, LEVELS)
    return [(sale.equal_at - sale.at).total_seconds() for sale in sales], never


def test_a_sale_waits_until_its_sibling_is_corrected() -> None:
    assert waits_s([moved(1, "a", -1, "order"), moved(1.5, "b", -1, "api")]) == ([0.5], 0)


def test_two_sales_that_one_correction_answers_both_wait_for_it() -> None:
    history = [
        moved(1, "a", -1, "order"),
        moved(2, "b", -2, "order"),
        moved(3, "a", -2, "api"),
        moved(3, "b", -1, "api"),
    ]
    assert waits_s(history) == ([2.0, 1.0], 0)


def test_another_product_makes_nobody_equal() -> None:
    history = [moved(1, "a", -1, "order"), moved(2, "c", -1, "order"), moved(3, "d", -1, "api")]
    assert waits_s(history) == ([1.0], 1)


def test_the_99th_percentile_of_a_hundred_values_is_the_last_but_one() -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], 0.99) == 99
    assert percentile([3.0], 0.5) == 3
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize(("value", "verdict"), [(2.0, "met"), (2.1, "MISSED"), (math.nan, "MISSED")])
def test_a_goal_is_met_missed_or_not_measured(value: float, verdict: str) -> None:
    assert Figure(name="requests", value=value, at_most=2).verdict == verdict
    assert Figure(name="requests", value=value).verdict == ""
