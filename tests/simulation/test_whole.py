"""The whole depth in small: seeds through the whole service, and a rule that is known to be wrong."""

import pytest

from tests.postgres_fixture import DatabaseServer
from tests.simulation.whole import replay, run
from tests.simulation.whole.controls import mechanics_rule

SEEDS = range(100)
REPLAYED = (0, 31)


def test_a_hundred_storms_end_with_every_level_at_the_truth(pg_server: DatabaseServer) -> None:
    report = run(SEEDS, server=pg_server)
    print("\n".join(report.lines()))
    assert report.failures == {}
    assert report.seeds == len(SEEDS)
    assert report.missing_kinds == []
    assert report.calm_requests <= 2 * report.calm_pools


@pytest.mark.parametrize("seed", REPLAYED)
def test_a_seed_replayed_tells_the_same_story_step_by_step(pg_server: DatabaseServer, seed: int) -> None:
    stories: list[list[str]] = [[], []]
    first, second = (replay(seed, tell=story.append, server=pg_server) for story in stories)
    assert stories[0] == stories[1]
    assert any("outside: " in line for line in stories[0])
    assert any("sent: AdjustQuantities" in line for line in stories[0])
    assert (first.faults, first.events, first.failures) == (second.faults, second.events, {})


def test_mechanics_rule_loses_stock_when_one_step_in_fifty_fails() -> None:
    control = mechanics_rule(probability=0.02, cycles=60, seeds=range(12))
    assert control.wrong >= 8  # by its arithmetic 97 % of the runs
    assert control.worst_error > 1


def test_mechanics_rule_is_right_while_nothing_fails() -> None:
    assert mechanics_rule(probability=0.0, cycles=40, seeds=range(3)).wrong == 0
