"""The must-pass scenarios that concern the ledger, each played against a tiny shop."""

from dataclasses import replace
from datetime import timedelta

import pytest

from stockwright.ledger import protocol
from stockwright.ledger.state import LedgerError, MemberId, Next, Outcome, Policy, Seen
from tests.unit.ledger_shop import TinyShop, adopted, level


def test_1_one_sale_is_carried_to_all() -> None:
    shop = adopted(10, 10, 10)
    shop.move("A", -1)
    shop.carry()
    assert shop.shown() == (9, 9, 9)
    assert shop.writes == 1


@pytest.mark.parametrize("members", [3, 10])
@pytest.mark.parametrize("failure", [Outcome.NOT_SENT, Outcome.PREVIOUS_FAILED, Outcome.THROTTLED])
def test_2_a_correction_that_was_not_carried_out_is_owed(members: int, failure: Outcome) -> None:
    shop = adopted(*[10] * members)
    shop.move("A", -1)
    shop.observe()
    shop.carry(shop.answer(failure))
    assert set(shop.shown()) == {9}


def test_3_applied_but_the_record_was_lost() -> None:
    shop = adopted(10, 10, 10)
    shop.move("A", -1)
    shop.observe()
    shop.carry(shop.lose(applied=True))
    assert shop.shown() == (9, 9, 9)
    assert shop.pool.stock == 9


def test_4_a_sale_between_read_and_write_is_kept() -> None:
    shop = adopted(10, 10, 10)
    shop.move("A", -1)
    step = shop.observe()
    shop.move("B", -1)
    shop.carry(step)
    assert shop.shown() == (8, 8, 8)


def test_5_a_joining_level_brings_no_stock_along() -> None:
    shop = adopted(10, 10, 10)
    shop.set("D", 0)
    shop.carry()
    assert shop.shown() == (10, 10, 10, 10)


def test_6_one_level_edited_by_hand_moves_all() -> None:
    shop = adopted(10, 10, 10)
    shop.set("A", 20)
    shop.carry()
    assert shop.shown() == (20, 20, 20)


@pytest.mark.parametrize(("bulk_raise", "stock"), [("once", 20), ("sum", 40)])
def test_6_all_three_edited_by_hand(bulk_raise: str, stock: int) -> None:
    shop = adopted(10, 10, 10, policy=Policy(bulk_raise=bulk_raise))  # type: ignore[arg-type]
    for name in "ABC":
        shop.set(name, 20)
        shop.observe()
        shop.wait(1)
    shop.carry()
    assert shop.shown() == (stock, stock, stock)


def test_7_a_restock_whose_write_failed_is_carried_later() -> None:
    shop = adopted(10, 10, 10, 10)
    shop.move("A", 5)
    shop.observe()
    shop.wait(5)
    assert shop.observe().next is Next.SEND
    shop.carry(shop.answer(Outcome.NOT_SENT))
    assert shop.shown() == (15, 15, 15, 15)


def test_9_a_net_zero_difference_is_made_equal() -> None:
    shop = adopted(10, 10, 10)
    shop.set("A", 9)
    shop.set("B", 11)
    shop.carry()
    assert shop.shown() == (10, 10, 10)


def test_10_two_members_sold_in_one_order_cost_two() -> None:
    shop = adopted(10, 10, 10)
    shop.move("A", -1)
    shop.move("B", -1)
    shop.carry()
    assert shop.shown() == (8, 8, 8)


def test_11_a_late_echo_undoes_nothing() -> None:
    shop = adopted(10, 10)
    shop.move("A", -1)
    shop.carry()
    shop.move("A", -1)
    shop.carry()
    assert not protocol.is_echo(shop.pool, level("B"), 9)
    before = shop.writes
    shop.carry()
    assert shop.shown() == (8, 8)
    assert shop.writes == before


def test_12_another_location_is_never_corrected() -> None:
    shop = adopted(10, 10)
    elsewhere = MemberId(level("A").item_id, "gid://shopify/Location/montreal")
    shop.move("A", -1)
    shop.observe()
    assert elsewhere not in {row.member for row in shop.intent.rows}
    assert [row.member for row in shop.intent.rows] == [level("B")]


def test_13_a_hundred_orders_cost_exactly_a_hundred() -> None:
    shop = adopted(200, 200, 200)
    for order in range(100):
        shop.move("ABC"[order % 3], -1)
        if order % 7 == 0:
            step = shop.observe()
            if step.next is Next.SEND:
                shop.deliver()
    shop.carry()
    assert shop.shown() == (100, 100, 100)


def test_14_a_level_without_a_value_sits_out() -> None:
    shop = adopted(10, 10, 10)
    shop.set("C", None)
    shop.move("A", -1)
    shop.carry()
    assert shop.shown() == (9, 9, None)
    shop.set("C", 4)
    shop.carry()
    assert shop.shown() == (9, 9, 9)


def test_15_the_same_answer_five_times_counts_once() -> None:
    shop = adopted(10, 10)
    shop.move("A", -1)
    shop.observe()
    key = shop.intent.key
    shop.deliver()
    for _ in range(5):
        step = shop.answer(Outcome.APPLIED, key=key)
        assert step.entries == ()
    assert shop.shown() == (9, 9)
    assert shop.pool.stock == 9


def test_16_packs_share_a_stock_and_may_go_negative() -> None:
    shop = adopted(9, 4, units=(1, 2))
    shop.move("B", -1)
    shop.carry()
    assert shop.shown() == (7, 3)
    shop.move("B", -4)
    shop.carry()
    assert shop.shown() == (-1, -1)
    shop.move("A", 2)
    shop.carry()
    assert shop.shown() == (1, 0)


def test_16_two_packs_of_one_base_in_one_order() -> None:
    shop = adopted(9, 4, 3, units=(1, 2, 3))
    shop.move("B", -1)
    shop.move("C", -1)
    shop.carry()
    assert shop.shown() == (4, 2, 1)


def test_17_sixty_quiet_days_change_nothing() -> None:
    shop = adopted(10, 10, 10)
    shop.wait(timedelta(days=60).total_seconds())
    shop.move("C", -1)
    shop.carry()
    assert shop.shown() == (9, 9, 9)


def test_nothing_is_written_when_in_step() -> None:
    shop = adopted(10, 10, 10)
    for _ in range(3):
        step = shop.observe()
        assert (step.next, step.entries, step.wake_at) == (Next.REST, (), None)
    assert shop.writes == 0


def test_observing_twice_changes_nothing() -> None:
    shop = adopted(10, 10)
    shop.move("A", -1)
    shop.carry()
    shop.observe()
    read = shop.observation()
    shop.feed(read)
    assert shop.feed(read).entries == ()


def test_a_pool_larger_than_a_call_works_through_its_rows_in_turn() -> None:
    shop = adopted(*[10] * 7, policy=Policy(rows_per_intent=2))
    shop.reads = 0
    shop.move("A", -1)
    shop.carry()
    assert set(shop.shown()) == {9}
    assert (shop.writes, shop.reads) == (3, 1), "the levels of later rows were read with the first"


def test_a_sale_between_two_calls_of_a_large_pool_is_refused_read_and_counted() -> None:
    shop = adopted(*[10] * 5, policy=Policy(rows_per_intent=2))
    shop.move("A", -1)
    shop.observe()
    assert shop.deliver().next is Next.SEND
    shop.move("D", -3)
    shop.carry(shop.deliver())
    assert set(shop.shown()) == {6}


def test_later_rows_of_a_large_pool_wait_for_a_read_when_it_is_not_known_what_moved() -> None:
    shop = adopted(*[10] * 5, policy=Policy(rows_per_intent=2))
    shop.move("A", -1)
    shop.observe()
    shop.answer(Outcome.THROTTLED)
    shop.wait(2)
    shop.tick()
    assert shop.deliver().next is Next.READ


def test_orders_since_the_one_read_are_weighed_for_every_call_of_a_large_pool() -> None:
    """A sale before a later call was sent would else be unknown, and what it took look like our own write."""
    shop = adopted(*[10] * 5, policy=Policy(rows_per_intent=2))
    shop.move("A", -1)
    shop.observe()
    read_at = shop.intent.opened_at
    shop.wait(10)
    shop.deliver()
    assert shop.intent.opened_at == read_at
    assert shop.intent.sent_at == shop.now, "but the dead time runs from the send"


def test_falls_are_corrected_before_rises() -> None:
    shop = adopted(10, 10, policy=Policy(rows_per_intent=1))
    shop.set("0", 2)
    shop.move("A", -1)
    shop.observe()
    assert [row.member for row in shop.intent.rows] == [level("B")]


def test_the_sentence_of_a_step_holds_the_numbers() -> None:
    shop = adopted(10, 10)
    shop.move("A", -1)
    assert shop.observe().because == "Moved by others: item A 10 -> 9. Stock is 9: correcting item B 10 -> 9."


def test_a_read_older_than_an_accepted_one_is_read_again() -> None:
    shop = adopted(10, 10)
    old = shop.seen("A")
    shop.move("A", -1)
    shop.carry()
    read = shop.observation("B")
    step = shop.feed(replace(read, seen=old + read.seen))
    assert (step.next, step.entries) == (Next.READ, ())


def test_a_read_that_does_not_show_our_confirmed_write_yet_is_read_again() -> None:
    shop = adopted(10, 10)
    shop.move("A", -1)
    shop.observe()
    old = shop.seen("B")
    shop.deliver()
    read = shop.observation("A")
    step = shop.feed(replace(read, seen=read.seen + old))
    assert (step.next, step.entries) == (Next.READ, ())
    assert shop.carry().because == "The shared stock is 9; all 2 levels show it."


def test_a_shop_that_never_renews_stamps_does_not_stop_the_pool() -> None:
    shop = adopted(10, 10)
    shop.move("A", -1)
    shop.observe()
    frozen_stamp = shop.stamps["B"]
    shop.deliver()
    shop.stamps["B"] = frozen_stamp
    assert shop.observe().next is Next.READ
    shop.wait(shop.policy.dead_time_s)
    assert shop.observe().next is Next.REST


class TestEcho:
    def test_our_own_write_is_known(self) -> None:
        shop = adopted(10, 10)
        shop.move("A", -1)
        shop.carry()
        assert protocol.is_echo(shop.pool, level("B"), 9)

    @pytest.mark.parametrize("available", [None, 8, 10])
    def test_anything_else_wakes_the_pool(self, available: int | None) -> None:
        assert not protocol.is_echo(adopted(9, 9).pool, level("A"), available)

    def test_a_level_that_is_no_member_wakes_the_pool(self) -> None:
        assert not protocol.is_echo(adopted(9, 9).pool, level("Z"), 9)

    def test_an_open_correction_wakes_the_pool(self) -> None:
        shop = adopted(10, 10)
        shop.move("A", -1)
        shop.observe()
        assert not protocol.is_echo(shop.pool, level("A"), 9)

    def test_an_owed_correction_wakes_the_pool(self) -> None:
        shop = adopted(10, 10)
        shop.move("A", -1)
        shop.observe()
        shop.answer(Outcome.NOT_SENT)
        assert not protocol.is_echo(shop.pool, level("A"), 9)

    def test_a_settling_rise_wakes_the_pool(self) -> None:
        shop = adopted(10, 10)
        shop.move("A", 5)
        shop.observe()
        assert not protocol.is_echo(shop.pool, level("B"), 10)


class TestAdoption:
    def test_levels_of_equal_sum_are_not_in_step(self) -> None:
        shop = TinyShop(levels={"A": 10, "B": 9, "C": 11})
        step = shop.observe()
        assert (step.state, step.entries, step.next) == (None, (), Next.REST)
        assert step.unequal == shop.seen()
        assert "item B at 9" in step.because

    @pytest.mark.parametrize(("choice", "stock"), [("take_lowest", 5), ("take_highest", 9)])
    def test_a_rule_decides(self, choice: str, stock: int) -> None:
        shop = TinyShop(levels={"A": 5, "B": 7, "C": 9}, policy=Policy(unequal_at_start=choice))  # type: ignore[arg-type]
        shop.carry()
        assert set(shop.shown()) == {stock}

    def test_the_changed_level_decides(self) -> None:
        shop = TinyShop(levels={"A": 5, "B": 7, "C": 9}, policy=Policy(unequal_at_start="take_changed"))
        shop.carry(shop.observe(changed="B"))
        assert set(shop.shown()) == {7}

    @pytest.mark.parametrize("changed", ["", "AB"])
    def test_no_or_differing_changed_levels_are_reported(self, changed: str) -> None:
        shop = TinyShop(levels={"A": 5, "B": 7, "C": 9}, policy=Policy(unequal_at_start="take_changed"))
        step = shop.observe(changed=changed)
        assert (step.entries, len(step.unequal)) == ((), 3)

    def test_packs_are_compared_by_the_stock_they_show(self) -> None:
        shop = TinyShop(levels={"A": 9, "B": 4}, units={"B": 2})
        shop.observe()
        assert shop.pool.stock == 9

    def test_levels_that_cannot_be_members_are_left_out_and_named(self) -> None:
        shop = TinyShop(levels={"A": 9, "B": None}, why_not={"A": "untracked"})
        step = shop.observe()
        assert step.state is None
        assert "item A untracked, item B has no level" in step.because

    def test_a_pool_of_one_waits_for_others_which_are_corrected(self) -> None:
        shop = adopted(9)
        shop.set("B", 3)
        shop.carry()
        assert shop.shown() == (9, 9)


class TestMembership:
    def test_what_a_leaving_level_sold_stays_counted(self) -> None:
        shop = adopted(10, 10, 10)
        shop.move("A", -2)
        shop.carry()
        del shop.levels["A"]
        shop.carry()
        assert shop.pool.stock == 8
        assert shop.shown() == (8, 8)

    def test_coming_back_is_joining(self) -> None:
        shop = adopted(10, 10)
        shop.why_not["A"] = "untracked"
        shop.set("A", 50)
        shop.carry()
        shop.move("B", -1)
        shop.carry()
        shop.why_not.clear()
        shop.carry()
        assert shop.shown() == (9, 9)

    def test_a_pool_without_members_keeps_its_stock(self) -> None:
        shop = adopted(10, 10)
        shop.why_not = {"A": "inactive", "B": "inactive"}
        shop.carry()
        assert shop.pool.members == {}
        shop.why_not.clear()
        shop.move("A", 3)
        shop.carry()
        assert shop.shown() == (10, 10)

    def test_a_changed_pack_size_is_no_movement(self) -> None:
        shop = adopted(9, 9)
        shop.move("B", -1)
        shop.carry()
        shop.units["B"] = 2
        shop.carry()
        assert shop.shown() == (8, 4)
        assert shop.pool.stock == 8

    def test_one_read_that_contradicts_itself_is_refused(self) -> None:
        shop = adopted(10, 10)
        twice = (*shop.seen(), Seen(id=level("A"), units=1, available=3, stamp=None))
        with pytest.raises(LedgerError, match="both as"):
            shop.feed(replace(shop.observation(), seen=twice))
