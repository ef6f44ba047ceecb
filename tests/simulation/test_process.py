"""A small run of the simulation with real processes; `make simulate ... --depth process` makes the long ones."""

import pytest

from tests.real_processes import Part
from tests.simulation.process import run
from tests.simulation.process.judging import PoolFacts, undecidable
from tests.simulation.process.report import Report
from tests.simulation.process.schedule import KILLED_ALONE, SPREAD_PRODUCTS, schedule_of

SHARED, SPREAD = 5, 7


@pytest.mark.timeout(480)
@pytest.mark.parametrize("seed", [SHARED, SPREAD])
def test_kills_of_real_processes_lose_no_webhook_and_no_unit_of_stock(seed: int) -> None:
    """Where products take turns nothing freezes either: a frozen stock is one of the failures."""
    report = run([seed], kills=6, sales=200)
    assert report.failures == {}
    assert report.kills.total() == 6
    assert report.counts["corrections"] > 0
    assert report.counts["webhooks answered 200"] > 0


def test_a_schedule_kills_every_part_and_repeats_itself() -> None:
    schedule = schedule_of(7, kills=50, sales=2000)
    assert schedule == schedule_of(7, kills=50, sales=2000)
    assert schedule.orders == 2000
    assert {one.kill.part for one in schedule.rounds} == set(Part)


def test_the_default_seeds_hold_both_kinds_of_orders_with_and_without_their_evidence() -> None:
    kinds = [schedule_of(seed, kills=1, sales=1) for seed in range(4)]
    assert {(one.order_evidence, one.may_freeze) for one in kinds} == {
        (True, True),
        (False, True),
        (True, False),
        (False, False),
    }


def test_a_failed_seed_is_told_with_the_command_that_repeats_it() -> None:
    report = Report(asked_kills=6, asked_sales=200, failures={7: "a level is wrong"})
    assert (
        report.lines()[-1]
        .strip()
        .endswith('again: make simulate ARGS="--depth process --seed 7 --kills 6 --sales 200"')
    )


def test_spread_orders_let_every_product_sell_once_before_any_sells_again() -> None:
    schedule = schedule_of(SPREAD, kills=50, sales=2000)
    bursts = [burst for one in schedule.rounds for burst in one.bursts]
    orders = [order for burst in (*bursts, schedule.calm) for order in burst]
    sold = [{line.product for line in order.lines} for order in orders]
    for first in range(0, len(sold) - SPREAD_PRODUCTS, SPREAD_PRODUCTS // 7):
        assert len(set.union(*sold[first : first + SPREAD_PRODUCTS])) == SPREAD_PRODUCTS
    assert not schedule.may_freeze


ROW = {"member": ["item 1", "here"], "from": 10, "delta": -1, "stamp": None}
LOST = (
    {
        "item": "item 1",
        "location": "here",
        "cause": "api",
        "idempotency_key": "k",
        "at": "2026-01-05T09:00:01",
    },
)
SOLD = {
    "item": "item 1",
    "location": "here",
    "cause": "order",
    "idempotency_key": None,
    "at": "2026-01-05T09:00:02",
}


@pytest.mark.parametrize(
    ("history", "level", "within", "excused"),
    [
        pytest.param((*LOST, SOLD), 8, True, True, id="sold between the lost correction and the first look"),
        pytest.param((*LOST, SOLD), 9, True, False, id="sold after a first look that showed the after-value"),
        pytest.param((*LOST, SOLD), 8, False, False, id="nobody looked in time"),
        pytest.param(LOST, 8, True, False, id="nobody sold it"),
        pytest.param((SOLD,), 9, True, False, id="never applied"),
    ],
)
def test_only_a_sale_before_a_first_look_in_time_excuses_a_freeze(history, level, within, excused) -> None:
    look = {"key": "k", "within_window": within, "levels": [{"member": ["item 1", "here"], "level": level}]}
    entries = (
        {"kind": "intent_opened", "at": "2026-01-05T09:00:00", "data": {"key": "k", "rows": [ROW]}},
        {"kind": "first_read", "at": "2026-01-05T09:00:03", "data": look},
        {"kind": "frozen", "at": "2026-01-05T09:00:20", "data": {}},
    )
    pool = PoolFacts(place=("", ""), levels=(), frozen=True, reason="", state={}, entries=entries)
    assert undecidable(pool, history) is excused


def test_no_part_is_killed_more_often_in_a_row_than_a_supervisor_bears() -> None:
    for seed in range(50):
        deaths: dict[Part, int] = {}
        for one in schedule_of(seed, kills=50, sales=2000).rounds:
            deaths[one.kill.part] = deaths.get(one.kill.part, 0) + 1
            if one.kill.part is Part.SERVICE:
                deaths.clear()
            assert all(count <= KILLED_ALONE for count in deaths.values())
