"""A small run of the simulation with real processes; `make simulate ... --depth process` makes the long ones."""

import pytest

from tests.real_processes import Part
from tests.simulation.process import run
from tests.simulation.process.schedule import KILLED_ALONE, schedule_of


@pytest.mark.timeout(240)
def test_kills_of_real_processes_lose_no_webhook_and_no_unit_of_stock() -> None:
    report = run([7], kills=6, sales=200)
    assert report.failures == {}
    assert report.kills.total() == 6
    assert report.counts["corrections"] > 0
    assert report.counts["webhooks answered 200"] > 0


def test_a_schedule_kills_every_part_and_repeats_itself() -> None:
    schedule = schedule_of(7, kills=50, sales=2000)
    assert schedule == schedule_of(7, kills=50, sales=2000)
    assert schedule.orders == 2000
    assert {one.kill.part for one in schedule.rounds} == set(Part)


def test_no_part_is_killed_more_often_in_a_row_than_a_supervisor_bears() -> None:
    for seed in range(50):
        deaths: dict[Part, int] = {}
        for one in schedule_of(seed, kills=50, sales=2000).rounds:
            deaths[one.kill.part] = deaths.get(one.kill.part, 0) + 1
            if one.kill.part is Part.SERVICE:
                deaths.clear()
            assert all(count <= KILLED_ALONE for count in deaths.values())
