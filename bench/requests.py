"""What one sale costs at the Admin API: requests and points, and whether our own echo costs anything."""

import psycopg

from bench.report import Figure, Result
from bench.setting import VARIANTS, settle, synced_shop

NAME = "requests"
_SALES, _QUICK_SALES = 100, 20


def run(*, quick: bool) -> Result:
    """One sale on each of many products."""
    sales = _QUICK_SALES if quick else _SALES
    with synced_shop(sales, rate=2000.0) as (shop, service):
        state = shop.state()
        shop.post("reset-counts", {})
        with psycopg.connect(service.dsn(), autocommit=True) as conn:
            before = _requests(conn)
            for product in state["products"]:
                shop.sell((product["variants"][0]["id"], 1))
            settle(shop, service)
            requests = _requests(conn) - before
        after = shop.state()
    writes = after["requests"]["inventoryAdjustQuantities"]
    figures = (
        Figure(name="webhooks, the echoes of our own writes among them", value=after["webhooks"]["attempts"]),
        Figure(name="requests per corrected product", value=requests / sales, at_most=2),
        Figure(name="writes per corrected product", value=writes / sales, at_most=1),
        Figure(name="points per corrected product", value=after["points_used"] / sales),
        Figure(
            name="requests beyond one read and one write each: the cost of echoes",
            value=requests - 2 * sales,
            at_most=0,
        ),
    )
    fields = ", ".join(f"{name} {count}" for name, count in sorted(after["requests"].items()))
    return Result(
        name=NAME,
        title="requests and points",
        conditions=f"{sales} sales, each on another product of {VARIANTS} variants",
        figures=figures,
        notes=(
            f"Root fields that the shop was asked for (a read asks for two at once): {fields}",
            "Points are those of the bundled shop's cost rule, which fits recorded answers of the real one.",
        ),
    )


def _requests(conn: "psycopg.Connection[tuple[int]]") -> int:
    """Requests that all runs have made so far, failed ones included."""
    row = conn.execute("select coalesce(sum(requests), 0) from runs").fetchone()
    assert row is not None
    return int(row[0])
