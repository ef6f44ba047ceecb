"""Offers: statuses, schedule, limits and auto-disable, as pure rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwright.model import Conflicting
from stockwright.notify.offers import (
    MAX_NAME,
    Mode,
    Offer,
    Pause,
    Status,
    Terms,
    Verb,
    after,
    as_of,
    at_limit,
    changed,
    faults,
    verbs,
)
from stockwright.notify.stopping import SeenVariant, look, offer_after

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def offer(status: Status = Status.DRAFT, pause: Pause = Pause.NOT, **terms) -> Offer:
    return Offer(offer_id="off_1", terms=Terms(name="Spring", **terms), status=status, pause=pause)


def do(one: Offer, verb: Verb, *, has_items: bool = True, ordered: int = 0) -> Offer:
    return after(one, verb, now=NOON, has_items=has_items, ordered=ordered)


# --- statuses -----------------------------------------------------------------------------------------------


def test_an_offer_goes_from_draft_to_archive_by_a_persons_hand() -> None:
    active = do(offer(), Verb.ACTIVATE)
    paused = do(active, Verb.PAUSE)
    assert (active.status, paused.status, paused.pause) == (Status.ACTIVE, Status.PAUSED, Pause.MANUAL)
    again = do(paused, Verb.RESUME)
    assert (again.status, again.pause) == (Status.ACTIVE, Pause.NOT)
    done = do(again, Verb.COMPLETE)
    assert do(done, Verb.ARCHIVE).status is Status.ARCHIVED


def test_activation_before_the_start_schedules_and_can_be_taken_back() -> None:
    waiting = do(offer(starts_at=NOON + HOUR), Verb.ACTIVATE)
    assert waiting.status is Status.SCHEDULED
    assert do(waiting, Verb.UNSCHEDULE).status is Status.DRAFT


@pytest.mark.parametrize(
    ("one", "told", "rest"),
    [
        (offer(), "has no products", {"has_items": False}),
        (offer(ends_at=NOON), "has ended by its schedule", {}),
        (offer(limit_total=5, pause_at_limit=True), "has reached its limit: 5 of 5", {"ordered": 5}),
    ],
)
def test_an_offer_that_could_show_nothing_is_not_activated(one: Offer, told: str, rest: dict) -> None:
    with pytest.raises(Conflicting, match=told):
        do(one, Verb.ACTIVATE, **rest)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("verb", Verb)
def test_what_is_not_offered_is_refused_with_what_is_possible(status: Status, verb: Verb) -> None:
    pause = Pause.MANUAL if status is Status.PAUSED else Pause.NOT
    one = offer(status, pause)
    if verb in verbs(one):
        return
    with pytest.raises(Conflicting) as refused:
        do(one, verb)
    assert all(possible.value in str(refused.value) for possible in verbs(one))


def test_a_running_offer_is_not_deleted_and_an_archived_one_only_that() -> None:
    assert Verb.DELETE not in verbs(offer(Status.ACTIVE))
    assert verbs(offer(Status.ARCHIVED)) == (Verb.DELETE,)


# --- the schedule -------------------------------------------------------------------------------------------


def test_the_schedule_catches_up_after_downtime() -> None:
    scheduled = offer(Status.SCHEDULED, starts_at=NOON - HOUR, ends_at=NOON + HOUR)
    assert as_of(scheduled, NOON - 2 * HOUR).status is Status.SCHEDULED
    assert as_of(scheduled, NOON - HOUR).status is Status.ACTIVE
    assert as_of(scheduled, NOON + HOUR).status is Status.COMPLETED, "start and end were both missed"


def test_a_paused_offer_ends_by_its_schedule_and_does_not_start_by_it() -> None:
    paused = offer(Status.PAUSED, Pause.MANUAL, starts_at=NOON - HOUR, ends_at=NOON)
    assert as_of(paused, NOON - HOUR) == paused
    assert as_of(paused, NOON) == replace(paused, status=Status.COMPLETED, pause=Pause.NOT)


def test_drafts_and_ended_offers_do_not_move_with_the_clock() -> None:
    for status in (Status.DRAFT, Status.COMPLETED, Status.ARCHIVED):
        one = offer(status, starts_at=NOON - HOUR, ends_at=NOON + HOUR)
        assert as_of(one, NOON) == one


@given(st.sampled_from(Status), st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3))
def test_two_looks_at_the_clock_are_as_good_as_the_last(
    status: Status, start: int, end: int, first: int, later: int
) -> None:
    pause = Pause.MANUAL if status is Status.PAUSED else Pause.NOT
    one = offer(status, pause, starts_at=NOON + start * HOUR, ends_at=NOON + end * HOUR)
    then, now = NOON + first * HOUR, NOON + (first + later) * HOUR
    assert as_of(as_of(one, then), now) == as_of(one, now)


# --- changes ------------------------------------------------------------------------------------------------


def test_new_terms_move_an_active_offer_back_to_its_start_or_to_its_end() -> None:
    active = offer(Status.ACTIVE)
    later = changed(active, Terms(name="S", starts_at=NOON + HOUR), now=NOON)
    assert later.status is Status.SCHEDULED
    over = changed(active, Terms(name="S", ends_at=NOON), now=NOON)
    assert over.status is Status.COMPLETED


def test_taking_auto_disable_away_ends_its_pause_and_no_other() -> None:
    auto = offer(Status.PAUSED, Pause.AUTO, auto_disable=True)
    assert changed(auto, Terms(name="S"), now=NOON).status is Status.ACTIVE
    manual = offer(Status.PAUSED, Pause.MANUAL, auto_disable=True)
    assert changed(manual, Terms(name="S"), now=NOON).status is Status.PAUSED


def test_the_total_limit_pauses_only_if_that_was_chosen() -> None:
    assert at_limit(offer(Status.ACTIVE, limit_total=5), 5).status is Status.ACTIVE
    chosen = offer(Status.ACTIVE, limit_total=5, pause_at_limit=True)
    assert at_limit(chosen, 4) == chosen
    assert at_limit(chosen, 5).pause is Pause.LIMIT


@pytest.mark.parametrize(
    ("terms", "path"),
    [
        (Terms(name=" "), "name"),
        (Terms(name="a\nb"), "name"),
        (Terms(name="a" * (MAX_NAME + 1)), "name"),
        (Terms(name="a", description="\0"), "description"),
        (Terms(name="a", starts_at=NOON, ends_at=NOON), "ends_at"),
        (Terms(name="a", mode=Mode.ALWAYS, auto_disable=True), "auto_disable"),
        (Terms(name="a", limit_total=0), "limit_total"),
        (Terms(name="a", limit_per_order=-1), "limit_per_order"),
        (Terms(name="a", limit_per_customer=10**10), "limit_per_customer"),
        (Terms(name="a", pause_at_limit=True), "pause_at_limit"),
    ],
)
def test_each_fault_is_named_with_its_field(terms: Terms, path: str) -> None:
    assert [fault.path for fault in faults(terms)] == [path]


def test_sound_terms_have_no_fault() -> None:
    terms = Terms(name="Spring", starts_at=NOON, ends_at=NOON + HOUR, auto_disable=True, limit_total=1)
    assert faults(terms) == ()


# --- auto-disable -------------------------------------------------------------------------------------------


def looks(*stocks: dict[str, int | None], back_at: int = 1, resumes: bool = True):
    seen: dict[str, SeenVariant] = {}
    for stock in stocks:
        one = look(seen, stock, back_at=back_at, resumes=resumes)
        seen = dict(one.seen)
    return one


def test_only_a_return_stops_a_pre_order() -> None:
    assert looks({"a": 5}, {"a": 9}).stopped == ()
    assert looks({"a": 0}, {"a": 5}).stopped == ("a",)
    assert looks({"a": 0}, {"a": 5}, {"a": 6}).stopped == ()


def test_between_nothing_and_enough_nothing_changes() -> None:
    assert looks({"a": 0}, {"a": 4}, back_at=5).stopped == ()
    assert looks({"a": 0}, {"a": 4}, {"a": 5}, back_at=5).stopped == ("a",)
    assert looks({"a": 0}, {"a": 5}, {"a": 1}, back_at=5).resumed == ()


def test_sold_out_again_takes_the_pre_order_up_again_unless_that_is_off() -> None:
    assert looks({"a": 0}, {"a": 5}, {"a": 0}).resumed == ("a",)
    final = looks({"a": 0}, {"a": 5}, {"a": 0}, resumes=False)
    assert (final.resumed, final.seen["a"].is_stopped) == ((), True)


def test_a_variant_whose_tracking_ends_is_back_and_one_never_tracked_is_never_out() -> None:
    assert looks({"a": 0}, {"a": None}).stopped == ("a",)
    assert looks({"a": None}, {"a": 3}).stopped == ()


def test_trap_12_the_offer_pauses_only_when_its_last_variant_is_back() -> None:
    active = offer(Status.ACTIVE, auto_disable=True)
    half = looks({"a": 0, "b": 0}, {"a": 5, "b": 0})
    assert offer_after(active, half, all_back=False) == active
    whole = looks({"a": 0, "b": 0}, {"a": 5, "b": 0}, {"a": 5, "b": 2})
    assert offer_after(active, whole, all_back=True).pause is Pause.AUTO


def test_an_offer_whose_stock_never_ran_out_is_not_paused() -> None:
    active = offer(Status.ACTIVE, auto_disable=True)
    assert offer_after(active, looks({"a": 5, "b": 5}), all_back=True) == active


def test_an_auto_paused_offer_resumes_and_a_manually_paused_one_does_not() -> None:
    out = looks({"a": 0}, {"a": 5}, {"a": 0})
    auto = offer(Status.PAUSED, Pause.AUTO, auto_disable=True)
    assert offer_after(auto, out, all_back=False).status is Status.ACTIVE
    manual = offer(Status.PAUSED, Pause.MANUAL, auto_disable=True)
    assert offer_after(manual, out, all_back=False) == manual
    stays = offer(Status.PAUSED, Pause.AUTO, auto_disable=True, resume=False)
    assert offer_after(stays, out, all_back=False) == stays


@given(st.lists(st.integers(-2, 8), min_size=1, max_size=12), st.integers(1, 5))
def test_a_stop_is_held_exactly_from_the_return_to_the_next_sell_out(stocks: list[int], back_at: int) -> None:
    seen: dict[str, SeenVariant] = {}
    was_out = is_stopped = False
    for quantity in stocks:
        seen = dict(look(seen, {"a": quantity}, back_at=back_at, resumes=True).seen)
        if quantity <= 0:
            was_out, is_stopped = True, False
        elif was_out and quantity >= back_at:
            was_out, is_stopped = False, True
        assert seen["a"] == SeenVariant(is_out=was_out, is_stopped=is_stopped)
