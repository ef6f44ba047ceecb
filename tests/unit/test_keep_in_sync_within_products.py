"""The numbered weaknesses of "keep inventory levels in sync within products", each with the right number."""

import pytest

from stockwright.automations.contract import Claim
from stockwright.automations.keep_in_sync_within_products import Options
from stockwright.automations.options import read_options
from stockwright.automations.places import NameNotFound
from stockwright.ledger.state import MemberId, Outcome
from stockwright.model import ENABLED, StockwrightError, gid
from tests.unit.small_shop import MONTREAL, PRODUCT, TORONTO, SmallShop

KIND = "keep-in-sync-within-products"


def shop(levels: dict[tuple[str, str], int | None] | None = None, **options: object) -> SmallShop:
    """Three variants at ten in Toronto, adopted, unless told otherwise."""
    levels = levels or {(name, TORONTO): 10 for name in "ABC"}
    made = SmallShop(kind=KIND, options={"raise_settle_s": 0, **options}, levels=levels)
    made.scan(ENABLED)
    return made


def test_a_sale_is_carried_to_all_siblings_with_one_read_and_one_write() -> None:
    s = shop()
    plan = s.run(s.move("A", -1))
    assert s.at() == [9, 9, 9]
    assert (s.reads, len(s.writes)) == (1, 1)
    assert "A" in plan.because


def test_k1_framed_and_unframed_sold_together_lower_all_by_two() -> None:
    s = shop()
    s.run(s.move("A", -1), s.move("B", -1))
    assert s.at() == [8, 8, 8]


def test_k1_two_sales_within_sixty_seconds_in_two_runs_both_count() -> None:
    s = shop()
    s.run(s.move("A", -1))
    s.wait(20)
    s.run(s.move("B", -1))
    assert s.at() == [8, 8, 8]


def test_k2_a_late_echo_does_not_undo_a_sale() -> None:
    s = shop()
    s.run(s.move("A", -1))
    sale = s.move("A", -1)
    late = s.webhook("B", available=9)
    s.run(late)
    s.run(sale)
    assert s.at() == [8, 8, 8]


def test_k3_a_sale_in_toronto_leaves_montreal_untouched() -> None:
    s = shop({("A", TORONTO): 10, ("B", TORONTO): 10, ("A", MONTREAL): 50, ("B", MONTREAL): 50})
    s.run(s.move("A", -1))
    assert s.at(TORONTO) == [9, 9]
    assert s.at(MONTREAL) == [50, 50]


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.PREVIOUS_FAILED])
def test_k4_a_failed_write_is_tried_again_from_a_new_read(outcome: Outcome) -> None:
    s = shop()
    s.before_send.append(lambda _: outcome)
    s.run(s.move("A", -1))
    s.wait(300)
    s.run()
    assert s.at() == [9, 9, 9]


def test_k4_a_throttled_write_is_sent_again_and_nothing_is_lost() -> None:
    s = shop()
    s.before_send.append(lambda _: Outcome.THROTTLED)
    s.run(s.move("A", -1))
    s.wait(300)
    s.run()
    assert s.at() == [9, 9, 9]
    assert s.reads == 2  # reads that came in while it waited were not counted, so one more


def test_k6_a_stale_write_is_recomputed_and_the_sale_between_is_kept() -> None:
    s = shop()

    def sells_b(at: SmallShop) -> None:
        at.move("B", -1)

    s.before_send.append(sells_b)
    s.run(s.move("A", -1))
    assert s.at() == [8, 8, 8]


def test_k7_an_echo_of_our_own_write_costs_no_request_and_says_so() -> None:
    s = shop()
    s.run(s.move("A", -1))
    reads = s.reads
    plan = s.run(s.webhook("B"), s.webhook("C"))
    assert s.reads == reads
    assert len(s.writes) == 1
    assert plan.because.startswith("Echo")


def test_k8_first_event_all_take_the_one_changed_value() -> None:
    s = SmallShop(
        kind=KIND,
        options={"raise_settle_s": 0},
        levels={(n, TORONTO): v for n, v in zip("ABC", (5, 7, 9), strict=True)},
    )
    s.run(s.put("A", 4))
    assert s.at() == [4, 4, 4]


def test_k8_several_changed_values_that_differ_are_reported_and_nothing_is_written() -> None:
    s = SmallShop(kind=KIND, options={"raise_settle_s": 0}, levels={(n, TORONTO): 1 for n in "ABC"})
    plan = s.run(s.put("A", 5), s.put("B", 7), s.put("C", 9))
    assert s.at() == [5, 7, 9]
    assert s.writes == []
    assert plan.error is not None
    assert plan.error["products_out_of_sync"][0]["product_id"] == PRODUCT


def test_k9_the_same_webhook_twice_has_one_effect() -> None:
    s = shop()
    sale = s.move("A", -1)
    s.run(sale)
    s.run(sale)
    s.run(sale, sale)
    assert s.at() == [9, 9, 9]
    assert len(s.writes) == 1


def held_by_another() -> SmallShop:
    claimed = Claim(
        member=MemberId(gid("InventoryItem", 100 + ord("B")), TORONTO), automation_name="Shared prints"
    )
    return SmallShop(kind=KIND, options={}, levels={(n, TORONTO): 10 for n in "ABC"}, claims=(claimed,))


def test_k10_a_level_that_another_automation_holds_is_refused_and_both_are_named() -> None:
    s = held_by_another()
    plan = s.run(s.move("A", -1))
    assert plan.error is not None
    assert "Shared prints" in plan.error["message"]
    assert s.levels["B", TORONTO] == 10


def test_an_event_of_a_level_that_another_automation_holds_costs_no_request() -> None:
    s = held_by_another()
    plan = s.run(s.move("B", -1))
    assert s.reads == 0
    assert "Shared prints" in plan.because


def test_chosen_locations_as_one_level_follow_each_other() -> None:
    s = shop(
        {("A", TORONTO): 10, ("B", TORONTO): 10, ("A", MONTREAL): 10, ("B", MONTREAL): 10},
        locations_as_one=True,
    )
    s.run(s.move("A", -1, MONTREAL))
    assert s.at(TORONTO) == s.at(MONTREAL) == [9, 9]


def test_a_location_that_was_not_chosen_is_ignored_without_a_read() -> None:
    s = shop(
        {("A", TORONTO): 10, ("B", TORONTO): 10, ("A", MONTREAL): 50, ("B", MONTREAL): 50},
        location_names=["Toronto"],
    )
    reads = s.reads
    s.run(s.move("A", -1, MONTREAL))
    assert s.at(MONTREAL) == [49, 50]
    assert s.reads == reads


def test_an_unknown_location_name_is_an_error_that_lists_those_that_exist() -> None:
    s = SmallShop(kind=KIND, options={"location_names": ["Torono"]}, levels={("A", TORONTO): 1})
    with pytest.raises(NameNotFound, match=r"'Torono'.*Montreal, Toronto"):
        s.run(s.move("A", -1))


def test_products_of_other_types_are_left_alone() -> None:
    s = shop(product_types=["Poster"])
    plan = s.run(s.move("A", -1))
    assert s.at() == [9, 10, 10]
    assert "product type" in plan.because


def test_untracked_variants_and_gift_cards_are_left_alone() -> None:
    s = shop()
    s.untracked.add("C")
    s.run(s.move("A", -1))
    assert s.at() == [9, 9, 10]
    card = SmallShop(kind=KIND, options={}, levels={(n, TORONTO): 10 for n in "AB"}, gift_card=True)
    card.run(card.move("A", -1))
    assert card.at() == [9, 10]


def test_an_increase_settles_before_it_is_carried_on_and_a_decrease_goes_at_once() -> None:
    s = SmallShop(kind=KIND, options={"raise_settle_s": 30}, levels={(n, TORONTO): 10 for n in "ABC"})
    s.scan(ENABLED)
    s.run(s.move("A", 5))
    assert s.at() == [15, 10, 10]
    s.run(s.move("B", -1))
    assert s.at() == [14, 9, 9]
    s.wait(100)
    s.run()
    assert s.at() == [14, 14, 14]


def test_all_variants_raised_by_hand_are_one_restock() -> None:
    s = SmallShop(kind=KIND, options={"raise_settle_s": 30}, levels={(n, TORONTO): 10 for n in "ABC"})
    s.scan(ENABLED)
    s.run(s.put("A", 20))
    s.run(s.put("B", 20), s.put("C", 20))
    s.wait(120)
    s.run()
    assert s.at() == [20, 20, 20]
    assert s.pools[TORONTO].state.stock == 20


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"location": "Toronto"}, "location"),
        ({"raise_settle_s": -1}, "raise_settle_s"),
        ({"unequal_at_start": "guess"}, "unequal_at_start"),
        ({"locations_as_one": "perhaps"}, "locations_as_one"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(given: dict[str, object], named: str) -> None:
    with pytest.raises(StockwrightError, match=named):
        read_options(Options, given)


def test_lists_may_be_given_as_comma_separated_text() -> None:
    options = read_options(Options, {"product_types": "Print, Canvas,,Print"})
    assert options.model_dump()["product_types"] == ("Print", "Canvas")
