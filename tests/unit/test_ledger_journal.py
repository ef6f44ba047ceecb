"""The journal: the only way a state changes, exact on the wire, readable, and quick to notice damage."""

from dataclasses import replace

import pytest

from stockwright.ledger.arithmetic import check, common_stock, goal
from stockwright.ledger.history import describe
from stockwright.ledger.journal import ENTRY_KINDS, apply, checkpointed, replay
from stockwright.ledger.membership import dissolve
from stockwright.ledger.people import review
from stockwright.ledger.state import Entry, LedgerError, Outcome, Policy, PoolState, Resolution
from stockwright.ledger.weighing import weigh
from stockwright.ledger.wire import entry_from_json, entry_to_json, state_from_json, state_to_json
from tests.unit.ledger_shop import START, TinyShop, adopted, level

TITLES = {level("A"): "Framed", level("B"): "Unframed"}


def busy_shop() -> TinyShop:
    """A history that holds every kind of entry."""
    shop = adopted(12, 12, 12)
    shop.move("A", -2)
    shop.observe()
    shop.answer(Outcome.THROTTLED, detail="wait")
    shop.carry()
    shop.move("A", 3)
    shop.carry()
    shop.set("D", 1)
    shop.carry()
    shop.move("B", -1)
    shop.observe()
    shop.carry(shop.answer(Outcome.REFUSED, detail="bundle", offenders="C"))
    shop.move("B", -1)
    shop.observe()
    shop.carry(shop.lose(applied=True))
    shop.take(review(shop.pool, shop.now, by="Ada"))
    shop.move("B", -1)
    shop.observe()
    shop.carry(shop.lose(applied=True))
    shop.take(weigh(shop.pool, shop.pool.assumptions[0], {}, shop.now))
    shop.move("B", -1)
    shop.observe()
    shop.lose(applied=False)
    for name in "ABD":
        shop.move(name, -1)
    shop.wait(31)
    shop.carry()
    shop.move("A", -1)
    shop.observe()
    shop.carry(shop.resolve(Resolution.WAS_NOT_APPLIED))
    folded = checkpoint(shop.pool)
    shop.state, shop.journal = apply(shop.pool, folded), [*shop.journal, folded]
    shop.take(dissolve(shop.pool, shop.now, why="the product no longer exists"))
    return shop


def test_a_long_history_holds_every_kind_and_each_has_a_sentence() -> None:
    shop = busy_shop()
    assert set(shop.kinds()) == ENTRY_KINDS
    for entry in shop.journal:
        assert describe(entry, TITLES)


def test_sentences_name_titles_and_numbers() -> None:
    shop = adopted(12, 12)
    shop.move("A", -2)
    shop.carry()
    told = [describe(entry, TITLES) for entry in shop.journal]
    assert told[0] == "adopted with a shared stock of 12 (equal): Framed at 12, Unframed at 12"
    assert told[1] == "sale or edit of -2 on Framed: 12 -> 10; the stock is 10"
    assert told[2] == "correcting Unframed 12 -> 10"
    assert told[3] == "Unframed corrected 12 -> 10 (Shopify confirmed it)"


def test_a_level_without_a_title_is_named_by_its_number() -> None:
    assert "item A at 1" in describe(adopted(1, 1).journal[0], {})


def test_the_wire_keeps_every_value() -> None:
    shop = busy_shop()
    assert [entry_from_json(entry_to_json(entry)) for entry in shop.journal] == shop.journal
    state: object = None
    for entry in shop.journal:
        state = apply(state, entry)  # type: ignore[arg-type]
        assert state_from_json(state_to_json(state)) == state
    assert state == shop.state


@pytest.mark.parametrize("data", [None, [], {}, {"format": 99}, {"format": 1, "pool_id": 3}])
def test_what_is_no_state_is_refused(data: object) -> None:
    with pytest.raises(LedgerError):
        state_from_json(data)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(LedgerError, match="zone"):
        entry_to_json(Entry(kind="stamped", at=START.replace(tzinfo=None), data={}))


def test_a_history_without_its_beginning_is_refused() -> None:
    with pytest.raises(LedgerError):
        replay([])
    with pytest.raises(LedgerError, match="begins with"):
        replay(busy_shop().journal[1:])


def test_an_entry_of_unknown_kind_is_refused() -> None:
    entry = Entry(kind="wished", at=START, data={})
    with pytest.raises(LedgerError, match="wished"):
        apply(adopted(1, 1).pool, entry)
    with pytest.raises(LedgerError, match="wished"):
        describe(entry, {})


@pytest.mark.parametrize("lost", ["observed", "joined", "left", "intent_opened", "intent_applied"])
def test_a_history_with_a_lost_entry_does_not_add_up(lost: str) -> None:
    journal = busy_shop().journal
    at = next(i for i, entry in enumerate(journal) if entry.kind == lost)
    tail = [entry for entry in journal[at + 1 :] if entry.kind != "checkpoint"]
    with pytest.raises(LedgerError):
        replay([*journal[:at], *tail])


def test_a_changed_number_is_noticed() -> None:
    journal = busy_shop().journal
    at = next(i for i, entry in enumerate(journal) if entry.kind == "observed")
    journal[at] = replace(journal[at], data={**journal[at].data, "surplus": 1})
    with pytest.raises(LedgerError, match="stock"):
        replay(journal)


def test_a_key_is_never_used_for_two_corrections() -> None:
    shop = adopted(10, 10)
    shop.move("A", -1)
    read = shop.observation()
    shop.feed(read)
    shop.answer(Outcome.NOT_SENT)
    with pytest.raises(LedgerError, match="used before"):
        shop.feed(read)


def checkpoint(pool: PoolState) -> Entry:
    """The sums folded into the stock and the levels. Nothing writes such entries today; they are read."""
    return Entry(kind="checkpoint", at=START, data={"state": state_to_json(checkpointed(pool))})


def test_a_checkpoint_folds_the_sums_and_restores_alone() -> None:
    shop = adopted(10, 10)
    shop.move("A", -1)
    shop.carry()
    entry = checkpoint(shop.pool)
    after = apply(shop.pool, entry)
    assert (after.s0, after.t, after.stock) == (9, 0, 9)
    assert {(m.base, m.confirmed, m.external) for m in after.members.values()} == {(9, 0, 0)}
    assert replay([entry]) == replay([*shop.journal, entry]) == after


def test_a_checkpoint_must_match_the_history_before_it() -> None:
    shop, other = adopted(10, 10), adopted(7, 7)
    for one in (shop, other):
        one.move("A", -1)
        one.carry()
    with pytest.raises(LedgerError, match="does not match"):
        apply(shop.state, checkpoint(other.pool))


def test_there_is_nothing_to_review_without_an_assumption() -> None:
    assert review(adopted(1, 1).pool, START, by="Ada").entries == ()


@pytest.mark.parametrize(
    ("stock", "units", "shown"), [(9, 1, 9), (9, 2, 4), (-1, 2, -1), (-4, 3, -2), (0, 5, 0)]
)
def test_goals_round_towards_minus_infinity(stock: int, units: int, shown: int) -> None:
    assert goal(stock=stock, units=units) == shown


@pytest.mark.parametrize(
    ("levels", "stock"),
    [
        ((), None),
        (((9, 1), (4, 2)), 9),
        (((4, 2), (3, 3)), 9),
        (((10, 1), (9, 1)), None),
        (((-1, 2), (-2, 1)), -2),
    ],
)
def test_the_common_stock_is_what_every_level_shows(levels: tuple[tuple[int, int], ...], stock: int) -> None:
    assert common_stock(levels) == stock


def test_check_refuses_what_no_shop_can_do() -> None:
    pool = adopted(10, 10, policy=Policy()).pool
    member = pool.members[level("A")]
    check(pool)
    with pytest.raises(LedgerError):
        check(replace(pool, members={level("A"): replace(member, units=0)}))
    with pytest.raises(LedgerError):
        check(replace(pool, members={level("B"): member}))
