"""The numbered weaknesses of "sync inventory across product variants", each with the right number."""

from dataclasses import replace
from datetime import timedelta

import pytest

from stockwright.automations import KINDS, stock_scan
from stockwright.automations.contract import PagePlan, Tally
from stockwright.automations.options import read_options
from stockwright.automations.sync_across_variants import NO_DATA, Options
from stockwright.ledger.people import freeze
from stockwright.ledger.state import Exclusion, FreezeCode, Outcome
from stockwright.model import ENABLED, PRODUCT_CHECK, SET_CACHE, USER_TRIGGER, StockwrightError
from tests.unit.small_shop import MONTREAL, PRODUCT, TORONTO, SmallShop

KIND = "sync-across-variants"
SCHEDULE = "mechanic/scheduler/10min"


def shop(levels: dict[str, int] | None = None, **options: object) -> SmallShop:
    """Variants in Toronto, adopted by the Run button."""
    named = levels or dict.fromkeys("ABC", 10)
    made = SmallShop(
        kind=KIND,
        options={"product_tags": ["shared"], "raise_settle_s": 0, **options},
        levels={(name, TORONTO): level for name, level in named.items()},
    )
    made.scan(USER_TRIGGER)
    return made


def test_three_items_sold_three_times_each_lower_each_other() -> None:
    s = shop(dict.fromkeys("ABCDE", 20))
    for name in "ABC":
        s.move(name, -3)
    s.scan(SCHEDULE)
    assert s.at() == [11, 11, 11, 11, 11]
    assert s.writes == [{"A": -6, "B": -6, "C": -6, "D": -9, "E": -9}]


def test_it_acts_on_the_event_without_waiting_for_the_schedule() -> None:
    s = shop()
    s.run(s.move("A", -1))
    assert s.at() == [9, 9, 9]


def test_s1_a_failed_adjustment_does_not_change_the_outcome() -> None:
    s = shop()
    s.before_send.append(lambda _: Outcome.NOT_SENT)
    s.run(s.move("A", -1))
    s.wait(600)
    s.scan(SCHEDULE)
    assert s.at() == [9, 9, 9]


def test_s1_ten_members_one_sale_one_failed_adjustment() -> None:
    s = shop(dict.fromkeys("ABCDEFGHIJ", 10))
    s.before_send.append(lambda _: Outcome.NOT_SENT)
    s.run(s.move("A", -1))
    s.wait(600)
    s.scan(SCHEDULE)
    assert s.at() == [9] * 10


def test_s1_a_restock_on_one_of_four_with_a_failed_adjustment() -> None:
    s = shop(dict.fromkeys("ABCD", 10))
    s.before_send.append(lambda _: Outcome.NOT_SENT)
    s.run(s.move("A", 5))
    s.wait(600)
    s.scan(SCHEDULE)
    assert s.at() == [15] * 4


def test_s2_an_adjustment_whose_answer_was_lost_is_not_done_twice() -> None:
    s = shop()

    def applied_but_unanswered(at: SmallShop) -> Outcome:
        at.apply_open_intent()
        return Outcome.UNKNOWN

    s.before_send.append(applied_but_unanswered)
    s.run(s.move("A", -1))
    s.wait(600)
    s.run()
    assert s.at() == [9, 9, 9]
    assert s.pools[TORONTO].state.stock == 9
    assert s.pools[TORONTO].state.assumed == 1


def test_s3_a_sale_between_read_and_write_is_kept() -> None:
    s = shop()

    def sells_b(at: SmallShop) -> None:
        at.move("B", -1)

    s.before_send.append(sells_b)
    s.run(s.move("A", -1))
    assert s.at() == [8, 8, 8]


def test_s4_a_variant_that_joins_with_zero_does_not_lower_the_pool() -> None:
    s = shop()
    s.run(s.put("D", 0))
    assert s.at() == [10, 10, 10, 10]


def test_s5_a_changed_default_location_writes_nothing() -> None:
    s = shop()
    for name in "ABC":
        s.levels[name, MONTREAL] = 0
        s._stamps[name, MONTREAL] = s.now
    s.default_location = MONTREAL
    s.scan(SCHEDULE)
    assert s.writes == []
    assert (s.at(TORONTO), s.at(MONTREAL)) == ([10, 10, 10], [0, 0, 0])


def test_s6_levels_that_differ_at_the_start_are_reported_even_when_their_sum_fits() -> None:
    s = SmallShop(
        kind=KIND,
        options={"product_tags": ["shared"]},
        levels={("A", TORONTO): 10, ("B", TORONTO): 9, ("C", TORONTO): 11},
    )
    plan = s.scan(USER_TRIGGER)
    assert plan.error is not None
    assert plan.error["products_out_of_sync"] == [
        {"product_id": PRODUCT, "title": "Poster, Toronto", "quantities": {"A": 10, "B": 9, "C": 11}}
    ]
    assert (s.writes, s.pools) == ([], {})


def test_s6_moves_that_cancel_out_are_evened() -> None:
    s = shop(raise_settle_s=0)
    s.move("A", -1)
    s.move("B", 1)
    s.scan(SCHEDULE)
    assert s.at() == [10, 10, 10]


def test_s7_an_equal_rise_of_all_is_one_restock() -> None:
    s = shop()
    s.run(*(s.put(name, 20) for name in "ABC"))
    assert s.at() == [20, 20, 20]


def test_s7_an_equal_rise_of_all_is_summed_when_so_chosen() -> None:
    s = shop(bulk_raise="sum")
    s.run(*(s.put(name, 20) for name in "ABC"))
    assert s.at() == [40, 40, 40]


def test_s8_a_variant_without_a_level_does_not_stop_the_others() -> None:
    s = shop()
    s.levels["C", TORONTO] = None
    s.run(s.move("A", -1))
    assert s.at() == [9, 9, None]


def test_s9_after_sixty_quiet_days_a_sale_is_still_carried_on() -> None:
    s = shop()
    s.wait(60 * 86_400)
    s.run(s.move("A", -1))
    assert s.at() == [9, 9, 9]


def test_s12_sales_race_past_zero_and_the_negative_is_shown() -> None:
    s = shop(dict.fromkeys("AB", 1))
    s.run(s.move("A", -1), s.move("B", -1))
    assert s.at() == [-1, -1]


def test_a_schedule_sends_unknown_products_to_the_custom_event_which_adopts_them() -> None:
    s = SmallShop(
        kind=KIND, options={"product_tags": ["shared"]}, levels={(name, TORONTO): 10 for name in "AB"}
    )
    s.scan(SCHEDULE)
    assert [emit.topic for emit in s.emitted] == [SET_CACHE]
    assert s.pools[TORONTO].state.stock == 10


def test_the_custom_event_without_products_is_an_error() -> None:
    s = shop()
    plan = s.scan(SET_CACHE)
    assert plan.error == {"message": NO_DATA}


def test_the_run_button_adopts_and_a_second_press_finds_all_in_step() -> None:
    s = shop()
    plan = s.scan(USER_TRIGGER)
    assert "1 in step" in plan.because


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"^You must choose to monitor products either by tags or types\.$"),
        (
            {"product_tags": ["a"], "product_types": ["b"]},
            r"^Choose to monitor products either by tags or types, but not both\.$",
        ),
        ({"product_tags": ["a"], "locations": "named"}, "location_names"),
        ({"product_tags": ["a"], "location_names": ["Toronto"]}, "location_names"),
    ],
)
def test_option_rules_are_worded_as_people_know_them(given: dict[str, object], message: str) -> None:
    with pytest.raises(StockwrightError, match=message):
        read_options(Options, given)


def test_tags_match_in_any_case_as_shopify_does() -> None:
    s = shop(product_tags=["SHARED"])
    s.run(s.move("A", -1))
    assert s.at() == [9, 9, 9]


def test_only_active_products_leaves_a_draft_alone() -> None:
    s = shop(only_active_products=True)
    s.status = "DRAFT"
    plan = s.run(s.move("A", -1))
    assert s.at() == [9, 10, 10]
    assert "draft" in plan.because


def test_a_product_that_leaves_and_comes_back_starts_anew() -> None:
    s = shop()
    s.tags = frozenset()
    s.run(s.move("A", -4))
    assert s.pools == {}
    s.tags = frozenset({"shared"})
    for name in "BC":
        s.put(name, 6)
    s.scan(USER_TRIGGER)
    assert s.at() == [6, 6, 6]
    assert s.pools[TORONTO].state.stock == 6


def lost_answer(at: SmallShop) -> Outcome:
    return Outcome.UNKNOWN


def test_a_freeze_outlasts_the_time_out_of_scope() -> None:
    s = shop()
    s.policy = replace(s.policy, on_unknown="certain")
    s.before_send.append(lambda at: (at.apply_open_intent(), Outcome.UNKNOWN)[1])
    s.run(s.move("A", -1))
    s.wait(300)
    s.run()
    frozen = s.pools[TORONTO]
    assert frozen.state.frozen is not None
    s.tags = frozenset()
    plan = s.run(s.event(PRODUCT_CHECK))
    assert "A person must decide" in plan.because
    s.scan(SCHEDULE)
    s.tags = frozenset({"shared"})
    s.scan(USER_TRIGGER)
    assert s.pools[TORONTO].pool_id == frozen.pool_id
    assert s.pools[TORONTO].state.frozen is not None


def test_a_correction_in_doubt_is_settled_before_its_stock_ends_and_its_late_write_is_no_sale() -> None:
    s = shop()
    s.before_send.append(lost_answer)
    s.run(s.move("A", -1))
    s.tags = frozenset()
    plan = s.run(s.event(PRODUCT_CHECK))
    assert "It ends when that is settled" in plan.because
    s.apply_open_intent()  # it arrives late, within the dead time
    s.tags = frozenset({"shared"})
    s.scan(USER_TRIGGER)
    assert TORONTO in s.pools
    s.wait(300)
    s.run()
    assert s.at() == [9, 9, 9]
    assert s.pools[TORONTO].state.frozen is not None  # levels alone cannot tell it from three sales


def test_a_stock_out_of_scope_ends_when_its_lost_correction_is_settled_without_a_new_one() -> None:
    s = shop()
    s.wait(60)
    s.before_send.append(lost_answer)
    s.run(s.move("A", -1))
    s.tags = frozenset()
    s.wait(300)
    s.run(s.event(PRODUCT_CHECK))
    assert s.pools == {}
    assert s.writes == []
    assert s.at() == [9, 10, 10]


def test_a_frozen_stock_whose_levels_all_leave_waits_for_a_person_all_the_same() -> None:
    s = shop()
    pool = s.pools[TORONTO]
    step = freeze(pool.state, s.now, code=FreezeCode.HISTORY_BEHIND, reason="a backup was restored")
    s.pools[TORONTO] = replace(pool, state=step.state)
    s.untracked.update("ABC")
    s.run(s.event(PRODUCT_CHECK))
    assert s.pools[TORONTO].state.frozen is not None


def test_a_refused_level_is_looked_at_again_by_a_scan_after_its_day() -> None:
    s = shop()
    pool = s.pools[TORONTO]
    (member, *_) = pool.state.members
    until = s.now + timedelta(days=1)
    members = {id: one for id, one in pool.state.members.items() if id != member}
    state = replace(pool.state, members=members, excluded={member: Exclusion(reason="refused", until=until)})
    s.pools[TORONTO] = replace(pool, state=state)
    s.scan(SCHEDULE)
    assert member not in s.pools[TORONTO].state.members
    s.wait(86_400)
    s.scan(SCHEDULE)
    assert set(s.pools[TORONTO].state.members) == set(pool.state.members)


def test_products_that_a_narrower_scope_does_not_find_any_more_are_let_go() -> None:
    s = SmallShop(
        kind=KIND,
        options={"product_types": ["Print", "Mug"], "raise_settle_s": 0},
        levels={(name, TORONTO): 10 for name in "AB"},
    )
    s.scan(USER_TRIGGER)
    assert TORONTO in s.pools
    s.options = {"product_types": ["Mug"]}
    s.scan(ENABLED)
    assert s.pools == {}


def test_s8_a_variant_that_is_left_out_is_counted_by_the_scan_and_named_by_the_run() -> None:
    s = SmallShop(
        kind=KIND,
        options={"product_tags": ["shared"], "raise_settle_s": 0},
        levels={("A", TORONTO): 10, ("B", TORONTO): 10, ("C", TORONTO): None},
    )
    assert "1 variants of those adopted were left out" in s.scan(USER_TRIGGER).because
    s.levels["B", TORONTO] = None
    assert "B left: not stocked here" in s.run(s.move("A", -1)).because


def test_s7_rises_of_some_are_summed_and_the_run_says_that_they_look_like_one() -> None:
    s = shop()
    plan = s.run(s.put("A", 50), s.put("B", 50))
    assert s.at() == [90, 90, 90]
    assert "2 levels rose by 40 each and all of it was counted, 80;" in plan.because
    assert "counted" not in s.run(s.put("A", 95)).because


def test_s11_a_variant_that_the_search_index_does_not_show_stays_a_member() -> None:
    s = shop()
    kept, reads = s.pools[TORONTO].state, s.reads
    s.is_missing_from_search = True
    s.scan(SCHEDULE)
    assert s.reads == reads + 1  # looked at by its id
    assert s.pools[TORONTO].state == kept
    s.is_missing_from_search = False
    s.run(s.move("A", -1))
    assert s.at() == [9, 9, 9]


def test_products_that_could_not_be_read_whole_are_listed_in_the_error() -> None:
    sharing = KINDS[KIND]._sharing(shop()._situation("*", []))  # type: ignore[attr-defined]
    unread = [{"product_id": PRODUCT, "title": "Poster", "reason": "more than 1,000 locations"}]
    tally = stock_scan.add(Tally(), PagePlan(in_scope=3, in_step=3), seen=4, unread=unread)
    plan = stock_scan.conclude(sharing, tally)
    assert plan.error == {"message": stock_scan.NOT_READ, "products_not_read": unread}
