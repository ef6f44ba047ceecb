"""How a wave is handed out: what holds it, how many are told, when it is over; quiet hours; the last check."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwright.model import VariantGid
from stockwright.notify.handout import (
    ON_THE_WAY,
    Candidate,
    Close,
    Give,
    Hold,
    Left,
    Policy,
    Sending,
    Wave,
    WaveVariant,
    before_reading,
    choose,
    people_for,
    turn,
    when_nobody,
)
from stockwright.notify.quiet import quiet_until
from stockwright.notify.recheck import Request, against
from stockwright.notify.restock import Rule
from tests.unit.test_notify_restock import A, B, product

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
UTC_ZONE, PARIS = ZoneInfo("UTC"), ZoneInfo("Europe/Paris")
EVERYONE = Policy(rule=Rule(quantity=3, settle_s=60), per_unit=None, interval=timedelta(hours=1))
PER_UNIT = replace(EVERYONE, per_unit=1.5)
FINE = Sending()


def wave(*variants: VariantGid, told: int = 0, **changes) -> Wave:
    rows = tuple(WaveVariant(variant_id=id, ready_at=NOON, **changes) for id in variants or (A,))
    return Wave(wave_id="w", settle_until=NOON, variants=rows, told=told)


def early(policy: Policy = EVERYONE, sending: Sending = FINE, **changes) -> Hold | Close | None:
    given = {"on_the_way": 0, "now": NOON, "zone": UTC_ZONE, **changes}
    return before_reading(policy, sending, wave(), **given)


@pytest.mark.parametrize(
    ("policy", "sending", "words"),
    [
        (EVERYONE, Sending(plan="free"), "free plan"),
        (EVERYONE, Sending(disabled="No automation."), "No automation"),
        (EVERYONE, Sending(no_server="No mail server."), "No mail server"),
        (EVERYONE, Sending(no_address="No address."), "No address"),
        (EVERYONE, Sending(paused_shop="The shop is paused: why"), "paused: why"),
        (replace(EVERYONE, paused=True), FINE, "Pause all"),
        (replace(EVERYONE, quiet_from="11:00", quiet_until="13:00"), FINE, "Quiet hours until 13:00."),
    ],
)
def test_what_holds_a_wave_says_so(policy: Policy, sending: Sending, words: str) -> None:
    held = early(policy, sending)
    assert isinstance(held, Hold) and held.state == "held" and words in held.reason and held.until > NOON


def test_a_wave_settles_waits_for_the_sender_or_is_dropped() -> None:
    assert early() is None
    assert early(now=NOON - timedelta(seconds=1)) == Hold(
        state="settling", reason="It waits whether the stock stays.", until=NOON
    )
    assert early(on_the_way=ON_THE_WAY - 1) is None
    full = early(on_the_way=ON_THE_WAY)
    assert isinstance(full, Hold) and full.state == "sending"
    assert early(sending=Sending(is_uninstalled=True)) == Close(
        state="dropped", reason="The app was uninstalled from the shop."
    )


def test_everyone_is_told_at_once_while_there_is_enough() -> None:
    given_ = turn(EVERYONE, wave(A, B), product({"A": 3, "B": 9}), {A: 3, B: 9}, now=NOON)
    assert isinstance(given_, Give) and [(one.variant_id, one.most) for one in given_.shares] == [
        (A, None),
        (B, None),
    ]


def test_too_few_hold_the_wave_and_none_ends_it() -> None:
    few = turn(EVERYONE, wave(), product({"A": 2}), {A: 2}, now=NOON)
    assert isinstance(few, Hold) and few.reason == "2 available, at least 3 needed."
    none = turn(EVERYONE, wave(told=5), product({"A": 0}), {A: 0}, now=NOON)
    assert none == Close(state="done", reason="All its variants are sold out again, or deleted.")
    assert isinstance(turn(EVERYONE, wave(), product({}), {}, now=NOON), Close)
    hidden = replace(product({"A": 9}), url="")
    assert turn(EVERYONE, wave(), hidden, {A: 9}, now=NOON) == Hold(
        state="held", reason="The product is not published.", until=NOON + timedelta(minutes=1)
    )


def test_so_many_per_unit_and_turn() -> None:
    first = turn(PER_UNIT, wave(), product({"A": 80}), {A: 80}, now=NOON)
    assert isinstance(first, Give)
    assert (first.shares[0].most, first.shares[0].begins, first.shares[0].turn_limit) == (120, True, 120)
    going = wave(told=100, told_in_turn=100, turn_at=NOON, turn_limit=120)
    more = turn(PER_UNIT, going, product({"A": 40}), {A: 40}, now=NOON + timedelta(minutes=59))
    assert isinstance(more, Give) and (more.shares[0].most, more.shares[0].begins) == (20, False)
    used = wave(told=120, told_in_turn=120, turn_at=NOON, turn_limit=120)
    rests = turn(PER_UNIT, used, product({"A": 40}), {A: 40}, now=NOON + timedelta(minutes=59))
    assert isinstance(rests, Hold) and (rests.state, rests.until) == ("resting", NOON + timedelta(hours=1))
    again = turn(PER_UNIT, used, product({"A": 40}), {A: 40}, now=NOON + timedelta(hours=1))
    assert isinstance(again, Give) and again.shares[0].most == 60


@given(st.integers(1, 10_000), st.floats(0.001, 1000))
def test_at_most_the_rate_times_the_stock_but_somebody(units: int, rate: float) -> None:
    people = people_for(units, rate)
    assert 1 <= people <= max(1.0, units * rate + 1e-6)


def test_one_and_a_half_per_unit_is_not_lost_to_rounding() -> None:
    assert people_for(80, 1.5) == 120 and people_for(3, 1.1) == 3 and people_for(10, 0.7) == 7


def test_a_wave_without_anybody_rests_or_is_over() -> None:
    give = Give(shares=())
    later = NOON + timedelta(minutes=20)
    assert when_nobody(give, Left(), told=3, later=None, now=NOON) == Close(
        state="done", reason="Everybody who waited was told."
    )
    rests = when_nobody(give, Left(people=1, rested_at=later), told=3, later=None, now=NOON)
    assert isinstance(rests, Hold) and rests.until == later
    waits = when_nobody(give, Left(), told=3, later=later, now=NOON)
    assert isinstance(waits, Hold) and waits.until == later
    many = when_nobody(give, Left(too_many=2), told=0, later=None, now=NOON)
    assert isinstance(many, Close) and "2 people want more units" in many.reason
    stuck = when_nobody(give, Left(people=1), told=0, later=None, now=NOON)
    assert isinstance(stuck, Hold) and stuck.until > NOON


_PEOPLE = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([A, B])), max_size=20, unique=True)


@given(_PEOPLE, st.none() | st.integers(0, 6), st.none() | st.integers(0, 6))
def test_chosen_in_order_within_the_shares_and_each_request_once(
    line: list[tuple[int, VariantGid]], most_a: int | None, most_b: int | None
) -> None:
    requests = [
        Candidate(subscriber_id=f"s{no}", address=bytes([who]), variant_id=id)
        for no, (who, id) in enumerate(line)
    ]
    chosen = choose(requests, requests, {A: most_a, B: most_b})
    flat = [one for person in chosen for one in person]
    assert len({one.subscriber_id for one in flat}) == len(flat)
    for person in chosen:
        assert len({one.address for one in person}) == 1
    for id, most in ((A, most_a), (B, most_b)):
        told = [one for one in requests if one.variant_id == id and one in flat]
        waiting = [one for one in requests if one.variant_id == id]
        assert told == waiting[: len(waiting) if most is None else most]


# --- quiet hours ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-11-20T21:59:59", None),
        ("2026-11-20T22:00:00", "2026-11-21T07:00:00"),
        ("2026-11-21T06:59:59", "2026-11-21T07:00:00"),
        ("2026-11-21T07:00:00", None),
    ],
)
def test_quiet_hours_go_over_midnight_in_the_shops_time(now: str, ends: str | None) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=PARIS)
    expected = None if ends is None else datetime.fromisoformat(ends).replace(tzinfo=PARIS).astimezone(UTC)
    assert quiet_until("22:00", "07:00", now=moment, zone=PARIS) == expected


def test_quiet_hours_by_day_when_the_clocks_change_and_when_none_are_set() -> None:
    assert quiet_until("12:00", "14:00", now=NOON, zone=UTC_ZONE) == NOON + timedelta(hours=2)
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # 01:30 in Paris; 02:00 does not exist
    ends = quiet_until("22:00", "02:30", now=spring, zone=PARIS)
    assert ends is not None and spring < ends <= spring + timedelta(hours=1, minutes=1)
    for begins, until in (("", ""), ("22:00", ""), ("22:00", "22:00")):
        assert quiet_until(begins, until, now=NOON, zone=UTC_ZONE) is None


@given(
    st.times().map(lambda t: f"{t:%H:%M}"),
    st.times().map(lambda t: f"{t:%H:%M}"),
    st.integers(0, 525_600).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
)
def test_quiet_hours_end_within_a_day_and_are_over_then(begins: str, ends: str, now: datetime) -> None:
    until = quiet_until(begins, ends, now=now, zone=PARIS)
    if until is not None:
        assert now < until <= now + timedelta(hours=25)
        assert quiet_until(begins, ends, now=until, zone=PARIS) is None


# --- the last check ----------------------------------------------------------------------------------------------------


def request(**changes) -> Request:
    fine = {
        "variant_id": A,
        "quantity": 1,
        "waits": True,
        "has_address": True,
        "is_suppressed": False,
        "is_told": False,
    }
    return Request(**(fine | changes))


def check(
    *requests: Request, level: int | None = 9, policy: Policy = EVERYONE, sending: Sending = FINE, **changes
) -> str:
    shown = changes.get("shown", product({"A": level}))
    stock = {A: level} if shown is not None else {}
    return against(policy, sending, shown, stock, requests or (request(),), now=NOON, zone=UTC_ZONE)


def test_nothing_speaks_against_a_message_that_may_go() -> None:
    assert check() == check(level=None) == check(level=3) == ""


@pytest.mark.parametrize(
    ("one", "why"),
    [
        ({"has_address": False}, "The address was erased."),
        ({"waits": False}, "The person does not wait any more."),
        ({"is_suppressed": True}, "The address is on the suppression list."),
        ({"is_told": True}, "The person was told in this wave already."),
        ({"variant_id": B}, "The variant no longer exists."),
        ({"quantity": 10}, "Not enough in stock any more: 9 available, 10 needed."),
    ],
)
def test_what_speaks_against_a_message_is_named(one: dict, why: str) -> None:
    assert check(request(**one)) == check(request(), request(**one)) == why


def test_stock_product_shop_and_settings_speak_against_it_too() -> None:
    assert check(level=2) == "Not enough in stock any more: 2 available, 3 needed."
    assert check(shown=None) == "The product no longer exists."
    assert check(shown=replace(product({"A": 9}), status="DRAFT")) == "The product is not published."
    assert "free plan" in check(sending=Sending(plan="free"))
    assert "uninstalled" in check(sending=Sending(is_uninstalled=True))
    assert "Pause all" in check(policy=replace(EVERYONE, paused=True))
    assert (
        check(policy=replace(EVERYONE, quiet_from="00:00", quiet_until="23:59")) == "Quiet hours until 23:59."
    )
