"""`python -m bench [names] [--quick]`: measure on this machine, print tables, write bench/results/<name>.json."""

import argparse
import sys
from collections.abc import Callable, Mapping

from bench import alerts, emulator, footprint, ingest, latency, pages, requests, simulation, start
from bench.machine import Machine, Moment, this_machine
from bench.report import Result, keep, show

Benchmark = Callable[..., Result]

BENCHMARKS: Mapping[str, Benchmark] = {
    module.NAME: module.run
    for module in (latency, requests, ingest, alerts, footprint, start, pages, simulation, emulator)
}


def main() -> int:
    """Run the chosen benchmarks; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"which: {', '.join(BENCHMARKS)} (default all)"
    )
    parser.add_argument("--quick", action="store_true", help="small and short: shows that it works, no more")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    machine = this_machine()
    print(f"{machine}\n", flush=True)
    results = [_measure(BENCHMARKS[name], machine, quick=given.quick) for name in given.names or BENCHMARKS]
    missed = [figure for result in results for figure in result.figures if figure.verdict == "MISSED"]
    return 1 if missed and not given.quick else 0


def _measure(benchmark: Benchmark, machine: Machine, *, quick: bool) -> Result:
    moment = Moment.now()
    result = benchmark(quick=quick)
    print(f"{show(result, moment)}\n", flush=True)
    keep(result, moment, machine)
    return result


if __name__ == "__main__":
    sys.exit(main())
