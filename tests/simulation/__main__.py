"""`make simulate`: many seeds at one depth or all, one seed told in full, mutants, controls, small scopes.

Holds no simulation itself. Exit status 0: everything held; 1: something did not; 2: wrong usage.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import Protocol

from tests.simulation import core
from tests.simulation.core import control_runs, controls, exhaustive, mutants

ENOUGH_FOR_ALL_FAULTS = 2_000
"""Core seeds from which on every kind of fault must have struck."""


Args = argparse.Namespace


class Report(Protocol):
    """What every depth's run returns."""

    failures: dict[int, str]

    def lines(self) -> list[str]: ...


def _core(seeds: range, args: Args) -> Report:
    report = core.run(seeds, processes=args.workers, tell=print)
    if len(seeds) >= ENOUGH_FOR_ALL_FAULTS and report.missing_kinds:
        report.failures[-1] = f"never injected: {', '.join(report.missing_kinds)}"
    return report


def _whole(seeds: range, args: Args) -> Report:
    from tests.simulation import whole  # it needs PostgreSQL; who runs the core depth needs none

    report = whole.run(seeds, processes=args.workers, tell=print)
    if len(seeds) >= whole.ENOUGH_FOR_ALL_FAULTS and report.missing_kinds:
        report.failures[-1] = f"never injected: {', '.join(report.missing_kinds)}"
    return report


def _process(seeds: range, args: Args) -> Report:
    from tests.simulation import process

    kills, sales = args.kills or process.KILLS, args.sales or process.SALES
    report: Report = process.run(seeds, kills=kills, sales=sales, tell=print)
    return report


def _alerts(seeds: range, args: Args) -> Report:
    from tests.simulation import alerts

    kills, people = args.kills or alerts.KILLS, args.people or alerts.PEOPLE
    report: Report = alerts.run(seeds, kills=kills, people=people, tell=print)
    return report


DEPTHS: Mapping[str, Callable[[range, Args], Report]] = {
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
        return _replay(args)
    return _all(args)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=2_000, help="how many seeds of the core depth (default 2000)"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--depth", choices=[*DEPTHS, "all"], default="all")
    parser.add_argument(
        "--seed",
        type=int,
        help="run this one seed (depth core unless given). Core and whole tell every step; process and alerts "
        "repeat the orders and the kills, and tell how it ended",
    )
    parser.add_argument("--kills", type=int, help="how often process (50) and alerts (10) kill, per seed")
    parser.add_argument("--sales", type=int, help="orders of a seed of the process depth (2000)")
    parser.add_argument("--people", type=int, help="people in line in a seed of the alerts depth (10000)")
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


def _all(args: Args) -> int:
    """Every chosen depth, from fast to slow."""
    failed = False
    for name, run in DEPTHS.items():
        if args.depth in (name, "all"):
            count = args.seeds if args.depth == name else -(-args.seeds // SHARES[name])
            failed = bool(_tell(run(range(args.first, args.first + count), args))) or failed
    return int(failed)


def _replay(args: Args) -> int:
    if args.depth in ("core", "all"):
        return _tell(core.replay(args.seed, mutant=args.mutant, tell=print))
    if args.depth == "whole":
        from tests.simulation import whole

        return _tell(whole.replay(args.seed, tell=print))
    return _tell(DEPTHS[args.depth](range(args.seed, args.seed + 1), args))


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
        if each in control_runs.RULES:
            _control_runs(each)
    return 0


def _control_runs(name: str) -> None:
    """The same rule where ours is judged, with the same faults and without any."""
    seeds = range(1_000)
    for serial, told in ((True, "no faults, one sale at a time"), (False, "faults as ours meets them")):
        share = control_runs.wrong_share(name, seeds=seeds, serial=serial)
        print(f"{name:18} in the simulation, {told}: {share:.1%} of {len(seeds)} seeds end wrong", flush=True)


def _exhaustive(size: str) -> int:
    failed = False
    scopes = exhaustive.SMALL if size == "small" else exhaustive.LARGE
    for name, scope in scopes.items():
        found = exhaustive.Explorer(scope).explore()
        failed = failed or bool(found.wrong)
        print(
            f"{name:30} {found.states:9} states, {found.at_rest:6} at rest, {found.frozen:6} frozen, "
            f"{found.wrong} wrong",
            flush=True,
        )
        for example in found.examples[:1]:
            print(f"    {example}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
