"""`make simulate`: many seeds at one depth or all, one seed told in full, mutants, controls, small scopes.

Holds no simulation itself. Exit status 0: everything held; 1: something did not; 2: wrong usage.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import Protocol

from tests.simulation import core
from tests.simulation.core import controls, exhaustive, mutants

ENOUGH_FOR_ALL_FAULTS = 2_000
"""Core seeds from which on every kind of fault must have struck."""


class Report(Protocol):
    """What every depth's run returns."""

    failures: dict[int, str]

    def lines(self) -> list[str]: ...


def _core(seeds: range, processes: int) -> Report:
    report = core.run(seeds, processes=processes, tell=print)
    if len(seeds) >= ENOUGH_FOR_ALL_FAULTS and report.missing_kinds:
        report.failures[-1] = f"never injected: {', '.join(report.missing_kinds)}"
    return report


def _whole(seeds: range, processes: int) -> Report:
    from tests.simulation import whole  # it needs PostgreSQL; who runs the core depth needs none

    report: Report = whole.run(seeds, processes=processes, tell=print)
    return report


def _process(seeds: range, processes: int) -> Report:
    from tests.simulation import process

    report: Report = process.run(seeds, tell=print)
    return report


def _alerts(seeds: range, processes: int) -> Report:
    from tests.simulation import alerts

    report: Report = alerts.run(seeds, tell=print)
    return report


DEPTHS: Mapping[str, Callable[[range, int], Report]] = {
    "core": _core,
    "whole": _whole,
    "process": _process,
    "alerts": _alerts,
}
SHARES = {"core": 1, "whole": 100, "process": 10_000, "alerts": 100_000}
"""Of how many core seeds the slower depths play one, when all are run."""


def main() -> int:
    args = _arguments().parse_args()
    if args.control:
        return _controls(args.control)
    if args.mutant and args.seed is None:
        return _mutants(args.mutant, seeds=range(args.first, args.first + min(args.seeds, 1_000)))
    if args.exhaustive:
        return _exhaustive(args.exhaustive)
    if args.seed is not None:
        return _replay(args.depth, args.seed, args.mutant)
    return _all(args.depth, first=args.first, seeds=args.seeds, processes=args.workers)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=2_000, help="how many seeds of the core depth (default 2000)"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--depth", choices=[*DEPTHS, "all"], default="all")
    parser.add_argument(
        "--seed", type=int, help="run this one seed and tell every step (depth core unless given)"
    )
    parser.add_argument(
        "--mutant", choices=[*mutants.MUTANTS, "all"], default="", help="break one of our rules and find it"
    )
    parser.add_argument(
        "--control", choices=[*controls.CONTROLS, "all"], help="run a rule that is known to be wrong"
    )
    parser.add_argument(
        "--exhaustive", choices=["small", "large"], nargs="?", const="large", help="every schedule of a scope"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    return parser


def _all(depth: str, *, first: int, seeds: int, processes: int) -> int:
    """Every chosen depth, from fast to slow."""
    failed = False
    for name, run in DEPTHS.items():
        if depth in (name, "all"):
            count = seeds if depth == name else -(-seeds // SHARES[name])
            failed = bool(_tell(run(range(first, first + count), processes))) or failed
    return int(failed)


def _replay(depth: str, seed: int, mutant: str) -> int:
    if depth in ("core", "all"):
        return _tell(core.replay(seed, mutant=mutant, tell=print))
    return _tell(DEPTHS[depth](range(seed, seed + 1), 1))


def _tell(report: Report) -> int:
    print(*report.lines(), sep="\n", flush=True)
    return int(bool(report.failures))


def _mutants(name: str, *, seeds: range) -> int:
    names = list(mutants.MUTANTS) if name == "all" else [name]
    survived = 0
    for each in names:
        kill = mutants.hunt(each, seeds=seeds)
        survived += kill.seed is None
        found = "SURVIVED" if kill.seed is None else f"seed {kill.seed}: {kill.violation[:110]}"
        print(f"{each:26} {mutants.MUTANTS[each].breaks:62} {found}", flush=True)
    print(f"{len(names) - survived} of {len(names)} mutants killed within {len(seeds)} seeds")
    return int(survived > 0)


def _controls(name: str) -> int:
    for each in list(controls.CONTROLS) if name == "all" else [name]:
        for probability in (0.0, 0.001, 0.01):
            result = controls.run_control(each, probability=probability, seeds=range(2_000))
            print(
                f"{each:18} p = {probability:6.1%}: {result.share:6.1%} of {result.runs} runs end wrong, "
                f"mean error {result.mean_error:.1f}, worst {result.worst_error}",
                flush=True,
            )
    return 0


def _exhaustive(size: str) -> int:
    failed = False
    scopes = exhaustive.SMALL if size == "small" else exhaustive.LARGE
    for name, scope in scopes.items():
        found = exhaustive.Explorer(scope).explore()
        allowed = exhaustive.KNOWN_WRONG.get(name, 0)
        failed = failed or found.wrong != allowed
        known = f" (a known limit: {allowed})" if allowed else ""
        print(
            f"{name:30} {found.states:9} states, {found.at_rest:6} at rest, {found.frozen:6} frozen, "
            f"{found.wrong} wrong{known}",
            flush=True,
        )
        for example in found.examples[:1]:
            print(f"    {example}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
