"""Rises settle before they count; falls never wait; an equal rise of all may be one restock."""

from datetime import timedelta

import pytest

from stockwright.ledger.history import describe
from stockwright.ledger.raises import asks_for_refunds
from stockwright.ledger.state import Next, Outcome, Policy
from tests.unit.ledger_shop import adopted


def test_a_rise_waits_until_the_levels_were_quiet() -> None:
    shop = adopted(10, 10, policy=Policy(raise_settle_s=5))
    shop.move("A", 5)
    step = shop.observe()
    assert step.next is Next.REST
    assert step.wake_at == shop.now + timedelta(seconds=5)
    shop.wait(4.9)
    assert shop.observe().entries == ()
    shop.wait(0.2)
    assert shop.observe().next is Next.SEND


def test_a_changing_rise_starts_the_wait_again_at_most_three_times_as_long() -> None:
    shop = adopted(10, 10, 10, policy=Policy(raise_settle_s=5))
    first = shop.now
    for _ in range(20):
        shop.move("A", 1)
        if shop.observe().next is Next.SEND:
            break
        shop.wait(2)
    assert 15 <= (shop.now - first).total_seconds() < 18


def test_without_a_wait_a_rise_counts_at_once() -> None:
    shop = adopted(10, 10, policy=Policy(raise_settle_s=0))
    shop.move("A", 5)
    assert shop.observe().next is Next.SEND


def test_a_tick_before_the_settle_rests_and_after_it_reads() -> None:
    shop = adopted(10, 10)
    shop.move("A", 5)
    wake_at = shop.observe().wake_at
    assert wake_at is not None
    assert (shop.tick().next, shop.tick().wake_at) == (Next.REST, wake_at)
    shop.now = wake_at
    assert shop.tick().next is Next.READ


def test_a_fall_is_carried_at_once_under_a_settling_rise_which_stays_on_top() -> None:
    shop = adopted(10, 10, 10)
    shop.move("A", 5)
    shop.observe()
    shop.move("B", -1)
    step = shop.observe()
    assert {(row.from_quantity, row.delta) for row in shop.intent.rows} == {(15, -1), (10, -1)}
    assert step.next is Next.SEND
    assert shop.deliver().wake_at is not None
    assert shop.shown() == (14, 9, 9)
    assert shop.observe().entries[0].kind == "stamped", "our own write is no change of the rise"
    shop.carry()
    assert shop.shown() == (14, 14, 14)


def test_a_rise_that_goes_away_is_forgotten() -> None:
    shop = adopted(10, 10)
    shop.move("A", 5)
    shop.observe()
    shop.move("A", -5)
    shop.carry()
    assert shop.pool.raise_wait is None
    assert (shop.shown(), shop.writes) == ((10, 10), 0)


def test_an_equal_rise_of_all_counts_once_and_the_identities_hold() -> None:
    shop = adopted(10, 10, 10)
    for name in "ABC":
        shop.move(name, 10)
    shop.carry()
    assert shop.shown() == (20, 20, 20)
    assert (shop.pool.t, shop.writes) == (-20, 0)


def test_a_recount_of_packs_and_singles_is_one_restock() -> None:
    shop = adopted(9, 4, units=(1, 2))
    shop.set("A", 20)
    shop.set("B", 10)
    shop.carry()
    assert shop.shown() == (20, 10)


def test_unequal_rises_are_summed() -> None:
    shop = adopted(10, 10, 10)
    for name, by in zip("ABC", (1, 2, 3), strict=True):
        shop.move(name, by)
    shop.carry()
    assert shop.shown() == (16, 16, 16)


def test_equal_rises_of_some_are_summed() -> None:
    shop = adopted(10, 10, 10)
    shop.move("A", 10)
    shop.move("B", 10)
    shop.carry()
    assert shop.shown() == (30, 30, 30)


def test_the_only_member_of_a_pool_is_no_bulk_edit() -> None:
    shop = adopted(10)
    shop.move("A", 10)
    shop.carry()
    assert shop.pool.stock == 20


def test_equal_falls_are_always_summed() -> None:
    shop = adopted(10, 10, 10)
    for name in "ABC":
        shop.move(name, -2)
    shop.carry()
    assert shop.shown() == (4, 4, 4)


def test_a_level_that_joins_in_the_same_bulk_edit_does_not_make_it_a_sum() -> None:
    shop = adopted(10, 10)
    for name in "ABC":
        shop.set(name, 20)
    shop.carry()
    assert shop.shown() == (20, 20, 20)
    assert shop.writes == 0


def test_a_risen_level_that_leaves_takes_its_rise_along() -> None:
    shop = adopted(10, 10, 10)
    shop.move("A", 5)
    shop.observe()
    shop.why_not["A"] = "untracked"
    shop.carry()
    assert shop.pool.raise_wait is None
    assert shop.pool.stock == 10


@pytest.mark.parametrize("settle_s", [0.0, 5.0])
def test_a_refund_after_a_sale_ends_where_it_began(settle_s: float) -> None:
    shop = adopted(10, 10, policy=Policy(raise_settle_s=settle_s))
    shop.move("A", -1)
    shop.carry()
    shop.move("B", 1)
    shop.carry()
    assert shop.shown() == (10, 10)


def test_a_rise_of_the_last_pack_left_counts_in_full() -> None:
    shop = adopted(9, 4, units=(1, 2))
    del shop.levels["A"]
    shop.move("B", 1)
    shop.carry()
    assert shop.pool.stock == 11


def test_an_equal_rise_counts_once_although_a_correction_is_owed() -> None:
    shop = adopted(10, 10, policy=Policy(raise_settle_s=0))
    shop.move("A", -1)
    shop.observe()
    shop.answer(Outcome.NOT_SENT)
    shop.move("A", 10)
    shop.move("B", 10)
    shop.carry()
    assert shop.shown() == (19, 19)


@pytest.mark.parametrize(
    ("sold", "left"),
    [
        ({"A": 1}, 19),
        ({"A": 10}, 10),  # A stands where it stood before the edit: no rise any more, but it was one
        ({"A": 12}, 8),
        ({"A": 1, "B": 2}, 17),
    ],
)
def test_a_sale_while_a_bulk_edit_settles_does_not_make_it_a_sum(sold: dict[str, int], left: int) -> None:
    shop = adopted(10, 10, 10)
    for name in "ABC":
        shop.set(name, 20)
    shop.observe()
    shop.wait(2)
    for name, by in sold.items():
        shop.move(name, -by)
    shop.carry()
    assert shop.shown() == (left, left, left)


def test_a_sale_between_the_edits_of_a_bulk_edit_does_not_make_it_a_sum() -> None:
    shop = adopted(10, 10, 10)
    shop.set("A", 20)
    shop.observe()
    shop.move("A", -1)
    shop.observe()
    shop.set("B", 20)
    shop.set("C", 20)
    shop.carry()
    assert shop.shown() == (19, 19, 19)


def test_a_bulk_edit_that_is_taken_back_before_it_counted_moves_nothing() -> None:
    shop = adopted(10, 10, 10)
    for name in "ABC":
        shop.set(name, 20)
    shop.observe()
    for name in "ABC":
        shop.set(name, 10)
    shop.carry()
    assert (shop.shown(), shop.writes) == ((10, 10, 10), 0)


def test_a_sale_while_one_restocked_level_settles_is_taken_off_that_restock() -> None:
    shop = adopted(10, 10)
    shop.move("A", 50)
    shop.observe()
    shop.move("A", -2)
    shop.carry()
    assert shop.shown() == (58, 58)


def test_refunds_that_explain_an_equal_rise_make_it_a_sum() -> None:
    shop = adopted(8, 8)
    shop.move("A", 1)
    shop.move("B", 1)
    step = shop.observe()
    assert not asks_for_refunds(shop.pool, shop.now, shop.policy), "it has not settled yet"
    assert step.wake_at is not None
    shop.now = step.wake_at
    assert asks_for_refunds(shop.pool, shop.now, shop.policy)
    step = shop.observe(refunds={"A": 1, "B": 1})
    assert "refunds" in step.because
    assert any("refunds explain it" in describe(entry, {}) for entry in shop.journal)
    shop.carry(step)
    assert shop.shown() == (10, 10)


@pytest.mark.parametrize("refunds", [None, {}, {"A": 1}, {"A": 1, "B": 2}])
def test_refunds_that_do_not_explain_every_level_leave_it_one_restock(refunds: dict[str, int] | None) -> None:
    shop = adopted(8, 8)
    shop.move("A", 1)
    shop.move("B", 1)
    wake_at = shop.observe().wake_at
    assert wake_at is not None
    shop.now = wake_at
    shop.carry(shop.observe(refunds=refunds))
    assert shop.shown() == (9, 9)


def test_nobody_asks_for_refunds_where_a_rise_is_summed_anyway() -> None:
    for policy in (Policy(bulk_raise="sum"), Policy()):
        shop = adopted(8, 8, policy=policy)
        shop.move("A", 1)
        if policy.bulk_raise == "sum":
            shop.move("B", 1)
        wake_at = shop.observe().wake_at
        assert wake_at is not None
        assert not asks_for_refunds(shop.pool, wake_at, policy)
