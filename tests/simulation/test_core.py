"""The core depth in the suite: seeds, negative controls, mutants, and every schedule of a small scope."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stockwright.ledger.state import Input, Policy, PoolState, Step
from tests.simulation import core
from tests.simulation.core.control_runs import RULES, wrong_share
from tests.simulation.core.controls import CONTROLS, run_control
from tests.simulation.core.exhaustive import SMALL, Explorer
from tests.simulation.core.mutants import KILLED_WITHIN, KILLERS, MUTANTS, hunt
from tests.simulation.core.scenario import scenario_of
from tests.simulation.core.simulation import Simulation

SEEDS = 5_000
CONTROL_RUNS = range(400)
CONTROL_SEEDS = range(100)
CORES = os.cpu_count() or 1


def test_every_seed_conserves_stock_converges_and_replays() -> None:
    report = core.run(range(SEEDS), processes=CORES)
    print(*report.lines(), sep="\n")
    assert report.seeds == SEEDS
    assert not report.failures, "\n".join(report.lines())
    assert not report.missing_kinds


def test_a_seed_always_gives_the_same_run() -> None:
    first, second = (Simulation(scenario_of(7)).run() for _ in range(2))
    assert (first.steps, first.faults, first.events) == (second.steps, second.faults, second.events)
    assert first.steps > 0


def test_a_seed_gives_the_same_run_in_another_process() -> None:
    """Also where sets are ordered otherwise: strings hash differently in each process."""
    ours, others = list(core.told(range(12))), [_told_elsewhere(hash_seed) for hash_seed in ("1", "2")]
    assert len(ours) > 1_000
    assert others == [ours, ours]


def _told_elsewhere(hash_seed: str) -> list[str]:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "from tests.simulation import core; print(*core.told(range(12)), sep='\\n')",
        ],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return told.stdout.splitlines()


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_without_faults_ends_right(name: str) -> None:
    assert run_control(name, probability=0.0, seeds=range(50)).wrong == 0


@pytest.mark.parametrize(
    ("name", "probability", "least", "most"),
    [
        ("mechanic-one-kind", 0.01, 0.79, 0.92),
        ("mechanic", 0.001, 0.32, 0.52),
        ("last-event-wins", 0.01, 0.79, 0.92),
        ("last-event-wins", 0.001, 0.10, 0.25),
        ("absolute-set", 0.01, 0.79, 0.92),
        ("absolute-set", 0.001, 0.10, 0.25),
    ],
)
def test_a_control_fails_as_often_as_one_lost_step_in_200_cycles(
    name: str, probability: float, least: float, most: float
) -> None:
    result = run_control(name, probability=probability, seeds=CONTROL_RUNS)
    assert least <= result.share <= most, result


@pytest.mark.parametrize("name", RULES)
def test_a_control_on_our_stage_is_right_until_something_fails(name: str) -> None:
    assert wrong_share(name, seeds=CONTROL_SEEDS, serial=True) == 0
    assert wrong_share(name, seeds=CONTROL_SEEDS, serial=False) > 0.7


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed(name: str) -> None:
    kill = hunt(name)
    print(f"{name}: seed {kill.seed}: {kill.violation}")
    assert kill.seed is not None, f"{MUTANTS[name].breaks}: survived {KILLED_WITHIN} seeds"


def test_code_that_falls_over_is_a_failure_but_no_mutant_is_killed_by_it() -> None:
    def falls_over(state: PoolState | None, input: Input, policy: Policy, *, pool_id: str) -> Step:
        raise ZeroDivisionError(f"{pool_id}: {state} {input} {policy}")

    result = Simulation(scenario_of(0), step=falls_over).run()
    assert "ZeroDivisionError" in result.failure
    assert result.caught_by not in KILLERS


@pytest.mark.parametrize("name", SMALL)
def test_every_schedule_of_a_small_scope_ends_right_or_frozen(name: str) -> None:
    found = Explorer(SMALL[name]).explore()
    print(f"{name}: {found}")
    assert found.states > 10_000
    assert found.at_rest > found.frozen > 0
    assert found.wrong == 0, found.examples


def test_the_small_scope_catches_a_rule_that_guesses() -> None:
    found = Explorer(SMALL["one worker"], step=MUTANTS["goal-means-applied"].step).explore()
    assert found.wrong > 0


def test_settle_is_wrong_only_where_it_assumed() -> None:
    scope = SMALL["one worker"]
    found = Explorer(replace(scope, policy=replace(scope.policy, on_unknown="settle"))).explore()
    assert found.wrong == found.assumed, found.examples
