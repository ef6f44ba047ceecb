"""How many seeds of the core simulation one core runs in a second."""

from time import perf_counter

from bench.report import Figure, Result
from tests.simulation.core.scenario import scenario_of
from tests.simulation.core.simulation import Simulation

NAME = "simulation"
_SEEDS, _QUICK_SEEDS = 1000, 50


def run(*, quick: bool) -> Result:
    """The real protocol under seeded faults: seeds 0, 1, 2, and so on."""
    seeds = _QUICK_SEEDS if quick else _SEEDS
    begun = perf_counter()
    failed = sum(bool(Simulation(scenario_of(seed)).run().failure) for seed in range(seeds))
    took_s = perf_counter() - begun
    figures = (
        Figure(name="seeds", value=seeds / took_s, unit="/s per core"),
        Figure(name="seeds that failed", value=failed, at_most=0),
    )
    conditions = f"seeds 0 to {seeds - 1}, one process"
    return Result(name=NAME, title="the core simulation", conditions=conditions, figures=figures)
