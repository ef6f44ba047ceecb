"""What one sale costs at the Admin API: requests and points, and whether our own echo costs anything."""

from collections import Counter

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
        for product in state["products"]:
            shop.sell((product["variants"][0]["id"], 1))
        settle(shop, service)
        after = shop.state()
    made = Counter(after["requests"])
    corrections = made["inventoryAdjustQuantities"]
    figures = (
        Figure(name="sales", value=sales),
        Figure(name="webhooks, the echoes of our own writes among them", value=after["webhooks"]["attempts"]),
        Figure(name="requests per corrected product", value=made.total() / sales, at_most=2),
        Figure(name="writes per corrected product", value=corrections / sales, at_most=1),
        Figure(name="points per corrected product", value=after["points_used"] / sales),
        Figure(name="requests for echoes", value=made.total() - 2 * sales, at_most=0),
    )
    conditions = f"{sales} sales, each on another product of {VARIANTS} variants"
    note = "Requests by root field: " + ", ".join(f"{name} {count}" for name, count in sorted(made.items()))
    return Result(
        name=NAME, title="requests and points", conditions=conditions, figures=figures, notes=(note,)
    )
