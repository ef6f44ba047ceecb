"""What each answer to a correction does, heard once, twice, or much too late."""

from datetime import timedelta

import pytest

from stockwright.ledger import protocol
from stockwright.ledger.replies import MOST_ATTEMPTS
from stockwright.ledger.state import FreezeCode, Next, Outcome, Policy, Reply, Resolution, Step
from tests.unit.ledger_shop import TinyShop, adopted, level


def correcting(*levels: int, policy: Policy | None = None) -> TinyShop:
    """A pool of 10s where A sold one and the correction of the others is open."""
    shop = adopted(*(levels or (10, 10, 10)), policy=policy)
    shop.move("A", -1)
    assert shop.observe().next is Next.SEND
    return shop


def test_applied_with_nothing_left_rests_without_another_read() -> None:
    shop = correcting()
    assert shop.deliver().next is Next.REST
    assert shop.pool.intent is None


def test_stale_at_the_first_send_was_not_applied_and_is_read_again_with_a_new_key() -> None:
    shop = correcting()
    first = shop.intent.key
    shop.move("B", -1)
    assert shop.deliver().next is Next.READ
    assert shop.pool.stale_streak == 1
    shop.observe()
    assert shop.intent.key != first
    shop.deliver()
    assert (shop.shown(), shop.pool.stale_streak) == ((8, 8, 8), 0)


def test_stale_answers_in_a_row_are_counted_and_slowed_down() -> None:
    shop = correcting()
    steps = []
    for _ in range(7):
        steps.append(shop.answer(Outcome.STALE))
        shop.observe()
    assert shop.pool.stale_streak == 7
    assert [step.next for step in steps] == [Next.READ] * 4 + [Next.REST] * 3
    assert steps[-1].wake_at is not None


def test_not_sent_pauses_longer_each_time() -> None:
    shop = correcting()
    pauses = []
    for _ in range(4):
        step = shop.answer(Outcome.NOT_SENT, detail="connection refused")
        assert step.next is Next.REST
        assert step.wake_at is not None
        pauses.append((step.wake_at - shop.now).total_seconds())
        assert shop.tick().next is Next.READ
        shop.observe()
    assert pauses == [1, 2, 4, 8]
    shop.deliver()
    assert shop.pool.failed_streak == 0


def test_throttled_the_same_rows_go_out_again_with_the_same_key() -> None:
    shop = correcting()
    intent = shop.intent
    step = shop.answer(Outcome.THROTTLED)
    assert step.next is Next.REST
    assert step.wake_at is not None
    assert shop.tick().entries == ()
    shop.now = step.wake_at
    assert shop.tick().next is Next.SEND
    assert (shop.intent.key, shop.intent.rows, shop.intent.sent_at) == (intent.key, intent.rows, shop.now)
    shop.carry(shop.deliver())
    assert shop.shown() == (9, 9, 9)


@pytest.mark.parametrize(("asked_s", "waited_s"), [(0.0, 1), (0.5, 1), (90.0, 90)])
def test_throttled_the_pause_is_what_the_shop_asks_for_when_that_is_longer(
    asked_s: float, waited_s: float
) -> None:
    shop = correcting()
    key = shop.intent.key
    step = shop.feed(Reply(at=shop.now, key=key, outcome=Outcome.THROTTLED, retry_after_s=asked_s))
    assert step.wake_at == shop.now + timedelta(seconds=waited_s)
    shop.now = step.wake_at
    assert shop.tick().next is Next.SEND
    assert shop.intent.key == key


def test_a_read_during_the_pause_is_not_derived_from_but_made_up_for() -> None:
    shop = correcting()
    shop.answer(Outcome.THROTTLED)
    shop.move("A", -1)
    assert shop.observe().entries == ()
    shop.wait(2)
    assert shop.observe().next is Next.SEND
    assert shop.deliver().next is Next.READ
    shop.carry()
    assert shop.shown() == (8, 8, 8)


def throttle(shop: TinyShop, times: int) -> Step:
    step = shop.answer(Outcome.THROTTLED)
    for _ in range(times - 1):
        assert step.wake_at is not None
        shop.now = step.wake_at
        assert shop.tick().next is Next.SEND
        step = shop.answer(Outcome.THROTTLED)
    return step


def test_throttled_for_ever_is_given_up_as_not_applied() -> None:
    shop = correcting()
    step = throttle(shop, MOST_ATTEMPTS)
    assert shop.pool.intent is None
    assert step.wake_at is not None
    shop.carry(step)
    assert shop.shown() == (9, 9, 9)


@pytest.mark.parametrize("applied", [True, False])
def test_after_in_progress_the_levels_are_looked_at_when_it_had_time_to_end(applied: bool) -> None:
    shop = correcting()
    step = shop.answer(Outcome.IN_PROGRESS)
    assert (step.next, shop.intent.unknown_since) == (Next.REST, shop.now)
    assert step.wake_at == shop.now + timedelta(seconds=3)
    if applied:
        shop.execute(shop.intent.rows)
    shop.carry(step)
    assert (shop.shown(), shop.pool.assumed, shop.writes) == ((9, 9, 9), int(applied), 1)


def test_what_is_in_progress_is_not_sent_again_and_so_never_applied_twice() -> None:
    """The running request is applied and somebody brings B back: sent again, it would fit once more."""
    shop = correcting(policy=Policy(on_unknown="certain"))
    step = shop.answer(Outcome.IN_PROGRESS)
    shop.execute(shop.intent.rows)
    shop.move("B", 1)
    shop.carry(step)
    assert (shop.writes, shop.pool.frozen is not None) == (1, True)
    shop.resolve(Resolution.WAS_APPLIED)
    shop.carry()
    assert shop.shown() == (10, 10, 10)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.APPLIED])
def test_after_unknown_only_applied_closes(outcome: Outcome) -> None:
    shop = correcting()
    shop.lose(applied=False)
    step = shop.answer(outcome)
    assert (step.entries, step.next) == ((), Next.READ)
    assert shop.pool.intent is not None


def test_a_late_applied_closes_an_unknown_correction_and_reads() -> None:
    shop = correcting()
    shop.lose(applied=True)
    shop.observe()
    shop.move("A", -1)
    shop.observe()
    assert shop.answer(Outcome.APPLIED).next is Next.READ
    shop.carry()
    assert shop.shown() == (8, 8, 8)


def test_refused_members_leave_and_the_others_are_corrected() -> None:
    shop = correcting()
    step = shop.answer(Outcome.REFUSED, detail="NON_MUTABLE_INVENTORY_ITEM", offenders="B")
    assert step.next is Next.READ
    assert "NON_MUTABLE_INVENTORY_ITEM" in shop.pool.excluded[level("B")].reason
    shop.carry()
    assert shop.shown() == (9, 10, 9)
    assert level("B") not in shop.pool.members


def test_a_refused_member_may_join_again_after_a_day() -> None:
    shop = correcting()
    shop.carry(shop.answer(Outcome.REFUSED, detail="bundle", offenders="B"))
    shop.wait(timedelta(days=1).total_seconds())
    shop.carry()
    assert shop.shown() == (9, 9, 9)
    assert shop.pool.excluded == {}


def test_a_refusal_that_names_nobody_freezes() -> None:
    shop = correcting()
    shop.answer(Outcome.REFUSED, detail="INVALID_REASON: no such reason", offenders="Z")
    assert shop.pool.frozen is not None
    assert shop.pool.frozen.code is FreezeCode.REFUSED
    assert "INVALID_REASON" in shop.pool.frozen.reason
    assert shop.pool.intent is None


def test_while_frozen_without_a_doubt_movements_count_but_nothing_is_written() -> None:
    shop = correcting()
    shop.answer(Outcome.KEY_MISMATCH)
    assert shop.pool.frozen is not None
    assert shop.pool.frozen.code is FreezeCode.KEY_MISMATCH
    shop.move("B", -1)
    assert shop.observe().next is Next.REST
    assert (shop.pool.stock, shop.writes) == (8, 0)
    shop.resolve(Resolution.WAS_NOT_APPLIED)
    shop.carry()
    assert shop.shown() == (8, 8, 8)


def test_a_half_applied_correction_freezes_at_once_and_only_counted_levels_end_it() -> None:
    """B was sold between read and write, to just the value that our refused row would have left."""
    shop = correcting()
    shop.move("B", -1)
    shop.answer(Outcome.PARTIAL, detail="CHANGE_FROM_QUANTITY_STALE: row 0")
    assert shop.pool.frozen is not None
    assert shop.pool.frozen.code is FreezeCode.PARTIAL
    assert "CHANGE_FROM_QUANTITY_STALE" in shop.pool.frozen.reason
    shop.wait(3600)
    assert shop.observe().next is Next.REST
    assert shop.pool.frozen.code is FreezeCode.PARTIAL
    assert shop.resolve(Resolution.WAS_APPLIED).entries == ()
    shop.carry(shop.resolve(Resolution.ADOPT_LEVELS, stock=8, observation=shop.observation()))
    assert shop.shown() == (8, 8, 8)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_answer_heard_twice_changes_nothing(outcome: Outcome) -> None:
    shop = correcting()
    key = shop.intent.key
    shop.answer(outcome, offenders="B")
    assert shop.answer(outcome, key=key, offenders="B").entries == ()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_answer_to_an_unknown_key_is_ignored_with_a_word(outcome: Outcome) -> None:
    shop = correcting()
    step = shop.answer(outcome, key="never-used")
    assert (step.entries, step.next) == ((), Next.REST)
    assert "Ignored" in step.because


def test_an_answer_before_adoption_is_ignored() -> None:
    shop = TinyShop(levels={"A": 1})
    assert shop.answer(Outcome.APPLIED, key="k").entries == ()


def test_applied_after_it_was_booked_as_not_applied_freezes() -> None:
    shop = correcting()
    key = shop.intent.key
    shop.answer(Outcome.NOT_SENT)
    shop.answer(Outcome.APPLIED, key=key)
    assert shop.pool.frozen is not None
    assert shop.pool.frozen.code is FreezeCode.HISTORY_BEHIND
    assert shop.resolve(Resolution.WAS_APPLIED).entries == ()


def test_a_tick_before_adoption_reads_and_at_rest_rests() -> None:
    assert TinyShop(levels={"A": 1}).tick().next is Next.READ
    assert adopted(3, 3).tick().next is Next.REST


class TestMaySend:
    def ask(self, shop: TinyShop, key: str | None = None) -> bool:
        return protocol.may_send(shop.pool, key=key or shop.intent.key, at=shop.now, policy=shop.policy)

    def test_a_fresh_correction_may_leave(self) -> None:
        assert self.ask(correcting())

    def test_a_worker_that_paused_may_not_send(self) -> None:
        shop = correcting()
        shop.wait(31)
        assert not self.ask(shop)

    def test_a_correction_in_doubt_or_waiting_may_not_leave(self) -> None:
        unknown, waiting = correcting(), correcting()
        unknown.answer(Outcome.UNKNOWN)
        waiting.answer(Outcome.THROTTLED)
        assert not self.ask(unknown)
        assert not self.ask(waiting)

    def test_a_closed_or_foreign_key_may_not_leave(self) -> None:
        shop = correcting()
        assert not self.ask(shop, "other")
        key = shop.intent.key
        shop.deliver()
        assert not self.ask(shop, key)
