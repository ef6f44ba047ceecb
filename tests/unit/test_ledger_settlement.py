"""Corrections whose answer was lost: what settles them, what only seems to, and who decides the rest."""

from dataclasses import replace
from datetime import timedelta

import pytest

from stockwright.ledger import protocol
from stockwright.ledger.history import describe
from stockwright.ledger.people import freeze
from stockwright.ledger.state import FreezeCode, Next, Outcome, Policy, Resolution
from tests.unit.ledger_shop import TinyShop, adopted, level

CERTAIN = Policy(on_unknown="certain")


def correcting(*levels: int, policy: Policy | None = None) -> TinyShop:
    shop = adopted(*(levels or (10, 10)), policy=policy)
    shop.move("A", -1)
    assert shop.observe().next is Next.SEND
    return shop


def wait_dead(shop: TinyShop) -> None:
    """Until no request can arrive any more, and the orders of all that moved are listed."""
    shop.wait(max(shop.policy.dead_time_s, shop.policy.order_lag_s + 2))


def frozen_code(shop: TinyShop) -> FreezeCode | None:
    return shop.pool.frozen.code if shop.pool.frozen else None


def test_unknown_reads_at_once_then_waits_the_dead_time() -> None:
    shop = correcting()
    sent_at = shop.intent.sent_at
    assert shop.lose(applied=False).next is Next.READ
    step = shop.observe()
    assert (step.next, step.wake_at) == (Next.REST, sent_at + timedelta(seconds=120))
    shop.wait(60)
    assert shop.observe().entries == ()
    assert shop.tick().next is Next.REST
    shop.wait(61)
    assert shop.tick().next is Next.READ


@pytest.mark.parametrize("policy", [Policy(), CERTAIN])
def test_a_row_unchanged_in_value_and_stamp_was_not_applied(policy: Policy) -> None:
    shop = correcting(policy=policy)
    shop.carry(shop.lose(applied=False))
    assert shop.shown() == (9, 9)
    assert shop.pool.assumed == 0
    assert "intent_not_applied" in shop.kinds()


def test_a_row_that_moved_and_came_back_proves_nothing() -> None:
    shop = correcting(policy=CERTAIN)
    shop.lose(applied=False)
    shop.move("B", 1)
    shop.move("B", -1)
    shop.carry()
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN


def test_settle_assumes_applied_when_the_first_read_shows_every_after_value() -> None:
    shop = correcting()
    shop.lose(applied=True)
    shop.observe()
    shop.move("A", -1)
    shop.carry()
    assert shop.shown() == (8, 8)
    assert shop.pool.assumed == 1


def test_certain_freezes_where_settle_would_assume() -> None:
    shop = correcting(policy=CERTAIN)
    shop.carry(shop.lose(applied=True))
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN
    assert shop.pool.assumed == 0


def test_the_smallest_counterexample_is_frozen_not_guessed() -> None:
    """A sells one, our -1 on B is lost, somebody buys B: 9 is B's after-value, the truth is 8."""
    shop = correcting(policy=CERTAIN)
    shop.lose(applied=False)
    shop.move("B", -1)
    shop.carry(shop.answer(Outcome.STALE))
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN
    both = protocol.hypotheses(shop.pool)
    assert both is not None
    assert (both.if_applied.stock, both.if_not.stock) == (9, 8)
    shop.carry(shop.resolve(Resolution.WAS_NOT_APPLIED))
    assert shop.shown() == (8, 8)


def test_the_counterexample_outside_the_window_is_frozen_by_settle_too() -> None:
    shop = correcting()
    shop.lose(applied=False)
    shop.move("B", -1)
    shop.wait(31)
    shop.carry()
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN


def test_the_counterexample_is_solved_by_orders() -> None:
    shop = correcting()
    shop.lose(applied=False)
    shop.move("B", -1)
    shop.observe(order_moves={"B": -1})
    assert not shop.intent.first_read.all_at_after_value  # type: ignore[union-attr]
    wait_dead(shop)
    shop.carry(shop.observe(order_moves={"B": -1}))
    assert shop.shown() == (8, 8)


@pytest.mark.parametrize("applied", [True, False])
def test_orders_that_fit_exactly_one_hypothesis_decide(applied: bool) -> None:
    shop = correcting(10, 10, 10, policy=CERTAIN)
    shop.lose(applied=applied)
    shop.move("B", -3)
    shop.move("C", -1)
    wait_dead(shop)
    shop.observe()
    shop.carry(shop.observe(order_moves={"B": -3, "C": -1}))
    assert shop.shown() == (5, 5, 5)
    told = [describe(entry, {}) for entry in shop.journal]
    assert any(f"only if it was{'' if applied else ' not'}" in line for line in told)


def test_orders_never_cut_the_dead_time_short() -> None:
    shop = correcting()
    shop.lose(applied=True)
    step = shop.observe(order_moves={})
    assert (step.next, shop.pool.intent is not None) == (Next.REST, True)


def test_a_first_look_is_stored_and_decides_nothing_however_late_it_comes() -> None:
    """Orders take long to read; a worker that dies meanwhile must not lose the look at the levels."""
    shop = correcting()
    shop.lose(applied=False)
    wait_dead(shop)
    step = shop.observe()
    assert (step.next, shop.kinds()[-1]) == (Next.READ, "first_read")
    shop.carry(step)
    assert shop.shown() == (9, 9)


def test_a_first_look_is_not_trusted_where_orders_moved_a_row_and_explain_nothing() -> None:
    """The counterexample again, with an unknown movement that keeps orders from deciding."""
    shop = correcting()
    shop.lose(applied=False)
    shop.move("B", -1)
    shop.observe()
    assert shop.intent.first_read is not None
    assert shop.intent.first_read.all_at_after_value
    shop.move("B", -4)
    wait_dead(shop)
    shop.observe(order_moves={"B": -1})
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN


@pytest.mark.parametrize("policy", [Policy(), CERTAIN])
def test_a_list_of_orders_that_may_be_late_decides_nothing(policy: Policy) -> None:
    """Nothing was applied, and sales moved the levels to where it would have; their orders are not listed yet."""
    shop = correcting(10, 10, 10, policy=policy)
    shop.lose(applied=False)
    shop.observe()
    shop.wait(30)
    shop.move("B", -1)
    shop.move("C", -1)
    shop.wait(100)
    step = shop.observe(order_moves={})
    assert (step.next, shop.pool.frozen) == (Next.REST, None)
    assert step.wake_at is not None
    shop.now = step.wake_at
    shop.carry(shop.observe(order_moves={"B": -1, "C": -1}))
    assert shop.shown() == (7, 7, 7)


def test_levels_that_never_rest_freeze_although_orders_can_be_read() -> None:
    shop = correcting(policy=CERTAIN)
    shop.lose(applied=False)
    shop.observe()
    while shop.pool.frozen is None:
        shop.move("B", -1)
        shop.wait(60)
        shop.observe(order_moves={})
        assert (shop.now - shop.intent.sent_at).total_seconds() < 120 + 3 * 300 + 61


def test_orders_that_fit_neither_leave_it_open() -> None:
    shop = correcting(policy=CERTAIN)
    shop.lose(applied=True)
    shop.move("B", -5)
    wait_dead(shop)
    shop.observe()
    shop.observe(order_moves={"B": -2})
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN


def test_orders_that_explain_half_of_the_rows_as_written_freeze_as_partial() -> None:
    shop = correcting(10, 10, 10)
    intent = shop.intent
    shop.execute(intent.rows[:1])
    shop.answer(Outcome.UNKNOWN)
    wait_dead(shop)
    shop.observe()
    shop.observe(order_moves={})
    assert frozen_code(shop) is FreezeCode.PARTIAL
    shop.observe()
    assert frozen_code(shop) is FreezeCode.PARTIAL
    assert shop.pool.intent is not None, "a row left alone says nothing about the others any more"
    assert shop.resolve(Resolution.WAS_APPLIED).entries == ()


def test_later_orders_end_a_freeze() -> None:
    shop = correcting(policy=CERTAIN)
    shop.carry(shop.lose(applied=True))
    assert shop.pool.frozen is not None
    shop.move("A", -1)
    wait_dead(shop)
    shop.carry(shop.observe(order_moves={}))
    assert shop.pool.frozen is None
    assert shop.shown() == (8, 8)


def test_a_crash_after_storing_is_settled_like_a_lost_answer() -> None:
    shop = correcting()
    step = shop.observe()
    assert shop.intent.unknown_since == shop.now
    shop.carry(step)
    assert shop.shown() == (9, 9)


def test_a_tick_on_an_open_correction_without_an_answer_reads() -> None:
    shop = correcting()
    assert shop.tick().next is Next.READ
    assert shop.intent.unknown_since is not None


def test_a_quick_restart_still_counts_as_the_first_read() -> None:
    shop = correcting()
    shop.execute(shop.intent.rows)
    shop.wait(20)
    shop.carry()
    assert shop.pool.assumed == 1


def test_a_backup_older_than_the_shop_freezes_its_open_correction() -> None:
    shop = correcting()
    shop.execute(shop.intent.rows)
    shop.wait(3600)
    shop.move("A", -1)
    shop.move("B", -1)
    shop.carry()
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN


def test_no_movement_is_folded_while_in_doubt_but_the_levels_are_kept() -> None:
    shop = correcting(policy=CERTAIN)
    shop.carry(shop.lose(applied=True))
    shop.move("A", -4)
    shop.observe()
    assert shop.pool.stock == 9
    assert shop.pool.frozen is not None
    assert shop.pool.frozen.levels == {level("A"): 5, level("B"): 9}
    assert shop.observe().entries == ()


def test_a_frozen_pool_tells_both_hypotheses_with_numbers() -> None:
    shop = correcting(policy=CERTAIN)
    shop.carry(shop.lose(applied=True))
    assert shop.pool.frozen is not None
    assert "item B 10 -> 9, now 9" in shop.pool.frozen.reason
    assert "If it was applied, the stock is 9; if it was not, 8" in shop.pool.frozen.reason


@pytest.mark.parametrize(("rounded", "frozen"), [(True, True), (False, False)])
def test_a_stamp_of_whole_seconds_proves_nothing_in_its_own_second(rounded: bool, frozen: bool) -> None:
    shop = adopted(10, 10, policy=CERTAIN)
    shop.whole_second_stamps = rounded
    shop.move("B", -1)
    shop.move("A", -1)
    shop.observe()
    shop.carry(shop.lose(applied=False))
    assert (shop.pool.frozen is not None) is frozen


def test_old_stamps_of_whole_seconds_do_prove() -> None:
    shop = adopted(10, 10, policy=CERTAIN)
    shop.whole_second_stamps = True
    shop.move("B", -1)
    shop.carry()
    shop.wait(60)
    shop.move("B", -1)
    shop.observe()
    shop.carry(shop.lose(applied=False))
    assert shop.shown() == (8, 8)


def test_levels_without_stamps_prove_nothing() -> None:
    shop = correcting(policy=CERTAIN)
    shop.stamps = {}
    shop.carry(shop.lose(applied=False))
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN


def test_a_level_that_vanished_proves_nothing_until_it_is_back() -> None:
    shop = correcting(policy=CERTAIN)
    shop.lose(applied=False)
    shop.levels["B"] = None
    shop.carry()
    assert frozen_code(shop) is FreezeCode.OUTCOME_UNKNOWN
    shop.levels["B"] = 10
    shop.carry()
    assert shop.shown() == (9, 9)


def test_an_after_value_under_the_stamp_from_before_the_send_is_not_assumed() -> None:
    shop = correcting()
    shop.lose(applied=False)
    stamp = shop.stamps["B"] = shop.now
    intent = shop.intent
    rows = tuple(replace(row, stamp=stamp) for row in intent.rows)
    shop.state = replace(shop.pool, intent=replace(intent, rows=rows))
    shop.levels["B"] = 9
    step = protocol.step(shop.state, shop.observation(), shop.policy, pool_id="pool")
    assert step.state is not None
    assert step.state.intent is not None
    assert step.state.intent.first_read is not None
    assert not step.state.intent.first_read.all_at_after_value


def test_a_sale_and_our_write_in_one_second_share_a_stamp_of_whole_seconds() -> None:
    """Both members were sold just before the correction: its rows carry the stamp that it will leave."""
    shop = adopted(10, 10)
    shop.whole_second_stamps = True
    shop.move("A", -1)
    shop.move("B", -1)
    shop.observe()
    stamps = dict(shop.stamps)
    shop.carry(shop.lose(applied=True))
    assert (shop.stamps, shop.shown(), shop.pool.assumed) == (stamps, (8, 8), 1)


def test_an_operators_freeze_waits_for_the_correction_on_its_way() -> None:
    shop = correcting()
    freeze_by_operator(shop)
    assert shop.observe().next is Next.REST
    assert shop.pool.intent is not None, "unchanged levels prove nothing before the dead time"
    refused = shop.resolve(Resolution.ADOPT_LEVELS, stock=9, observation=shop.observation())
    assert (refused.entries, "may still arrive" in refused.because) == ((), True)
    wait_dead(shop)
    shop.observe()
    assert shop.pool.intent is None
    assert shop.pool.frozen is not None, "the operator's reason is not answered by it"


def test_a_frozen_pool_has_no_echo() -> None:
    shop = adopted(10, 10)
    freeze_by_operator(shop)
    assert not protocol.is_echo(shop.pool, level("A"), 10)


def test_a_restored_backup_stays_frozen_also_where_it_was_frozen_for_a_lost_answer() -> None:
    """The proof that answers the old question says nothing of the history that is missing."""
    shop = correcting(policy=CERTAIN)
    shop.carry(shop.lose(applied=True))
    assert shop.pool.frozen is not None
    freeze_by_operator(shop)
    wait_dead(shop)
    shop.observe(order_moves={})
    assert shop.pool.intent is None, "the old question is answered"
    assert shop.pool.frozen is not None
    assert shop.pool.frozen.code is FreezeCode.HISTORY_BEHIND


def freeze_by_operator(shop: TinyShop) -> None:
    step = freeze(shop.pool, shop.now, code=FreezeCode.HISTORY_BEHIND, reason="restored from Monday")
    shop.state, shop.journal = step.state, [*shop.journal, *step.entries]


class TestResolve:
    def doubtful(self, *, applied: bool) -> TinyShop:
        shop = correcting(policy=CERTAIN)
        shop.lose(applied=applied)
        shop.move("B", -1)
        shop.carry()
        assert shop.pool.frozen is not None
        return shop

    @pytest.mark.parametrize("applied", [True, False])
    def test_a_person_says_which_it_was(self, applied: bool) -> None:
        shop = self.doubtful(applied=applied)
        said = Resolution.WAS_APPLIED if applied else Resolution.WAS_NOT_APPLIED
        assert shop.resolve(said).next is Next.READ
        shop.carry()
        assert shop.shown() == (8, 8)
        assert any(entry.data.get("by") == "Ada" for entry in shop.journal)

    def test_levels_that_differ_are_adopted_only_with_a_stock(self) -> None:
        shop = correcting(policy=CERTAIN)
        shop.lose(applied=False)
        shop.move("B", -3)
        shop.carry()
        refused = shop.resolve(Resolution.ADOPT_LEVELS, observation=shop.observation())
        assert (refused.entries, refused.next) == ((), Next.REST)
        assert "item A at 9, item B at 7" in refused.because
        shop.carry(shop.resolve(Resolution.ADOPT_LEVELS, stock=6, observation=shop.observation()))
        assert shop.shown() == (6, 6)
        assert shop.pool.frozen is None

    def test_equal_levels_are_adopted_as_they_are(self) -> None:
        shop = correcting(policy=CERTAIN)
        shop.carry(shop.lose(applied=True))
        shop.carry(shop.resolve(Resolution.ADOPT_LEVELS, observation=shop.observation()))
        assert (shop.shown(), shop.pool.stock, shop.pool.intent) == ((9, 9), 9, None)

    def test_a_read_that_lags_is_not_adopted(self) -> None:
        shop = adopted(10, 10)
        old = shop.observation()
        shop.move("A", -1)
        shop.carry()
        step = shop.resolve(Resolution.ADOPT_LEVELS, stock=10, observation=old)
        assert (step.entries, "older" in step.because) == ((), True)

    def test_adopting_needs_a_read(self) -> None:
        assert self.doubtful(applied=True).resolve(Resolution.ADOPT_LEVELS).entries == ()

    def test_nothing_is_adopted_while_a_correction_may_arrive(self) -> None:
        shop = correcting()
        step = shop.resolve(Resolution.ADOPT_LEVELS, stock=3, observation=shop.observation())
        assert step.entries == ()
        assert "may still arrive" in step.because

    def test_a_pool_that_is_not_frozen_has_nothing_to_resolve(self) -> None:
        for shop in (adopted(1, 1), correcting()):
            assert shop.resolve(Resolution.WAS_APPLIED).entries == ()

    def test_a_reported_pool_is_adopted_by_a_person(self) -> None:
        shop = TinyShop(levels={"A": 4, "B": 7})
        assert shop.observe().state is None
        assert shop.resolve(Resolution.WAS_NOT_APPLIED).entries == ()
        shop.carry(shop.resolve(Resolution.ADOPT_LEVELS, stock=7, observation=shop.observation()))
        assert shop.shown() == (7, 7)

    def test_a_person_lets_refused_levels_join_again(self) -> None:
        shop = correcting(10, 10, 10)
        shop.carry(shop.answer(Outcome.REFUSED, offenders="B"))
        shop.carry(shop.resolve(Resolution.ADOPT_LEVELS, stock=9, observation=shop.observation()))
        assert shop.shown() == (9, 9, 9)


def test_a_restored_backup_is_frozen_and_left_only_by_adopting() -> None:
    shop = adopted(10, 10)
    freeze_by_operator(shop)
    shop.move("A", -2)
    assert shop.observe().next is Next.REST
    assert shop.resolve(Resolution.WAS_NOT_APPLIED).entries == ()
    shop.carry(shop.resolve(Resolution.ADOPT_LEVELS, stock=8, observation=shop.observation()))
    assert shop.shown() == (8, 8)
