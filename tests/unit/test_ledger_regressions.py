"""Schedules that the simulation found, each as small as it gets. The seed that showed it stands beside it."""

from datetime import timedelta

from stockwright.ledger.state import FreezeCode, Policy
from tests.unit.ledger_shop import TinyShop, adopted

BEHIND = timedelta(seconds=3)


def stamp_behind(shop: TinyShop, *names: str) -> None:
    """Stamps as a shop gives them whose clock is three seconds behind ours: whole seconds."""
    for name in names:
        shop.stamps[name] = (shop.now - BEHIND).replace(microsecond=0)


def test_a_level_that_came_back_within_one_second_of_a_late_clock_proves_nothing_under_settle() -> None:
    """Core seed 100905: the row bore one stamp before our write, after it, and after it was moved back."""
    shop = adopted(10, 10, policy=Policy(on_unknown="settle"))
    shop.wait(60)
    shop.move("A", -1)
    shop.move("B", -1)
    stamp_behind(shop, "A", "B")
    shop.observe()
    assert {row.member.item_id[-1] for row in shop.intent.rows} == {"A", "B"}
    shop.lose(applied=True)
    shop.move("B", 1)
    stamp_behind(shop, "A", "B")
    shop.carry()
    assert shop.pool.frozen is not None
    assert shop.pool.frozen.code is FreezeCode.OUTCOME_UNKNOWN
