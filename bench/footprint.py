"""What the whole service costs at rest: memory of each process, and processor time."""

import time

from bench.report import Figure, Result
from bench.setting import settle, synced_shop
from bench.usage import cpu_s, memory

NAME = "footprint"
_PRODUCTS = 50
_REST_S, _QUICK_REST_S = 45.0, 5.0
_GOAL_MB = 250.0


def run(*, quick: bool) -> Result:
    """A service with a shop of fifty products and nothing to do. Linux only: it reads /proc."""
    rest_s = _QUICK_REST_S if quick else _REST_S
    with synced_shop(_PRODUCTS, rate=2000.0) as (shop, service):
        settle(shop, service)
        time.sleep(rest_s)  # until the connections that adoption needed are given back
        rested = service.pids().values()
        before = {pid: cpu_s([pid]) for pid in rested}
        time.sleep(rest_s)
        pids = service.pids()
        busy = sum(cpu_s([pid]) - before[pid] for pid in pids.values() if pid in before) / rest_s
        held = {name: memory(pid) for name, pid in pids.items()}
    backends = {name: use for name, use in held.items() if name.startswith("postgres ")}
    parts = {name: use for name, use in held.items() if name not in backends}
    figures = (
        *(Figure(name=f"{name}: PSS", value=use.pss_mb, unit="MB") for name, use in parts.items()),
        *(Figure(name=f"{name}: RSS", value=use.rss_mb, unit="MB") for name, use in parts.items()),
        Figure(
            name=f"{len(backends)} PostgreSQL backends: PSS",
            value=sum(use.pss_mb for use in backends.values()),
            unit="MB",
        ),
        Figure(
            name="whole service: PSS",
            value=sum(use.pss_mb for use in held.values()),
            unit="MB",
            at_most=_GOAL_MB,
        ),
        Figure(name="processor at rest", value=busy * 100, unit="% of a core"),
    )
    conditions = f"stockwright serve with {_PRODUCTS} products, {rest_s:g} s at rest"
    note = "PSS counts a page that n processes share as 1/n, so it may be summed; RSS may not."
    return Result(
        name=NAME, title="the service at rest", conditions=conditions, figures=figures, notes=(note,)
    )
