"""What orders say later of a correction that was assumed to be applied, and what becomes of the assumption."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwright.ledger import weighing
from stockwright.ledger.history import describe
from stockwright.ledger.people import review
from stockwright.ledger.state import Assumption, LedgerError, Policy, Step
from stockwright.ledger.weighing import Witness
from tests.unit.ledger_shop import TinyShop, adopted, level

LAG = timedelta(seconds=Policy().order_lag_s)


def assuming(*levels: int, applied: bool = True) -> TinyShop:
    """A sells one. The correction of the others is assumed; where it was not applied, they sold one each instead."""
    shop = adopted(*(levels or (10, 10, 10)))
    shop.move("A", -1)
    shop.observe()
    shop.lose(applied=applied)
    for row in () if applied else ("B", "C"):
        shop.move(row, -1)
    shop.carry()
    assert shop.pool.assumed == 1
    return shop


def the_one(shop: TinyShop) -> Assumption:
    (found,) = shop.pool.assumptions
    return found


def weigh(shop: TinyShop, *, after: timedelta = LAG, **moves: int) -> Step:
    """Orders are asked; what is journaled must replay, as every other step."""
    one = the_one(shop)
    by_level = {level(name): by for name, by in moves.items()}
    return shop.take(weighing.weigh(shop.pool, one, by_level, one.at + after))


def test_orders_that_moved_nothing_confirm_it_and_nothing_is_left_to_review() -> None:
    shop = assuming()
    step = weigh(shop)
    assert "confirm that item B by -1, item C by -1 was applied" in step.because
    assert (shop.pool.assumed, shop.pool.assumptions, shop.pool.stock) == (0, (), 9)


def test_orders_that_moved_every_row_by_as_much_contradict_it_with_the_true_stock() -> None:
    shop = assuming(applied=False)
    step = weigh(shop, B=-1, C=-1)
    assert "The shared stock is 7 then, and not 9" in step.because
    assert (shop.pool.assumed, shop.pool.assumptions) == (1, ())  # a person still has to look
    assert shop.pool.stock == 9, "nothing is written by this"
    assert "compared with orders: they say that item B by -1" in describe(shop.journal[-1], {})


def test_sales_that_were_booked_since_are_no_contradiction() -> None:
    shop = assuming()
    shop.move("B", -2)
    shop.carry()
    assert weighing.witness(shop.pool, the_one(shop), {level("B"): -2}) is Witness.CONFIRMED
    assert (
        weighing.witness(shop.pool, the_one(shop), {level("B"): -3, level("C"): -1}) is Witness.CONTRADICTED
    )
    assert weighing.stock_if_not_applied(shop.pool, the_one(shop)) == 5


@pytest.mark.parametrize("moves", [{"B": -1}, {"B": -2, "C": -1}, {"A": 1, "C": 2}])
def test_what_fits_neither_is_asked_again_and_given_up_after_an_hour(moves: dict[str, int]) -> None:
    shop = assuming()
    assert weigh(shop, **moves).entries == ()
    assert weigh(shop, after=weighing.PATIENCE - timedelta(seconds=1), **moves).entries == ()
    assert weigh(shop, after=weighing.PATIENCE, **moves).entries != ()
    assert (shop.pool.assumed, shop.pool.assumptions) == (1, ())


def test_orders_that_cannot_be_read_say_nothing() -> None:
    shop = assuming()
    assert weighing.witness(shop.pool, the_one(shop), None) is Witness.UNCLEAR


def test_orders_are_asked_when_their_list_has_had_time_and_every_movement_is_booked() -> None:
    shop = assuming()
    since = the_one(shop).at
    assert weighing.due(shop.pool, since + LAG - timedelta(seconds=1), shop.policy) == ()
    assert weighing.due(shop.pool, since + LAG, shop.policy) == shop.pool.assumptions
    shop.wait(200)
    shop.move("C", -1)
    shop.observe()
    assert weighing.due(shop.pool, since + 2 * LAG, shop.policy) == (), "a correction is under way"
    shop.deliver()
    moved_at = shop.now
    assert weighing.due(shop.pool, since + LAG, shop.policy) == ()
    assert weighing.due(shop.pool, moved_at + LAG, shop.policy) == shop.pool.assumptions
    shop.move("A", 3)
    shop.observe()
    assert weighing.due(shop.pool, moved_at + 2 * LAG, shop.policy) == (), "a rise settles"


def test_a_level_that_leaves_takes_the_question_with_it_and_not_the_review() -> None:
    shop = assuming()
    shop.set("B", None)
    shop.carry()
    assert (shop.pool.assumed, shop.pool.assumptions) == (1, ())


def test_a_review_ends_the_question() -> None:
    shop = assuming()
    shop.take(review(shop.pool, shop.now, by="Ada"))
    assert (shop.pool.assumed, shop.pool.assumptions) == (0, ())


def test_an_assumption_is_weighed_once() -> None:
    shop = assuming()
    one = the_one(shop)
    weigh(shop)
    with pytest.raises(LedgerError, match="holds no assumption"):
        weighing.weigh(shop.pool, one, {}, one.at + LAG)


@given(
    sales=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 3)), max_size=4),
    applied=st.booleans(),
)
def test_orders_that_tell_all_always_tell_the_truth(sales: list[tuple[str, int]], applied: bool) -> None:
    """Only sales move the levels; whatever is sold afterwards, the verdict and its number are right."""
    shop = assuming(applied=applied)
    ordered = dict.fromkeys("ABC", 0) if applied else {"A": 0, "B": -1, "C": -1}
    for name, units in sales:
        shop.move(name, -units)
        ordered[name] -= units
        shop.carry()
    one, moves = the_one(shop), {level(name): by for name, by in ordered.items()}
    found = weighing.witness(shop.pool, one, moves)
    assert found is (Witness.CONFIRMED if applied else Witness.CONTRADICTED)
    true_stock = 10 - 1 + sum(ordered.values())
    stock = shop.pool.stock if applied else weighing.stock_if_not_applied(shop.pool, one)
    assert stock == true_stock
