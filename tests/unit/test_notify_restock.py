"""What a look at a product means for those who wait: edges, hysteresis, missed crossings, waves that are joined."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stockwright.model import ItemGid, LevelRead, LocationGid, ProductGid, VariantGid, gid
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.notify.restock import (
    InLine,
    Known,
    Look,
    OpenWave,
    Rule,
    Watched,
    look,
    product_gone,
    wave_id,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRODUCT = ProductGid(gid("Product", 1))
RULE = Rule(quantity=3, settle_s=60)
PLACE = LocationGid(gid("Location", 1))


def variant_gid(name: str) -> VariantGid:
    return VariantGid(gid("ProductVariant", ord(name)))


A, B = variant_gid("A"), variant_gid("B")


def product(levels: Mapping[str, int | None]) -> ShownProduct:
    return ShownProduct(
        id=PRODUCT,
        title="Poster",
        handle="poster",
        status="ACTIVE",
        is_gift_card=False,
        url="https://shop.example/products/poster",
        read_at=NOON,
        variants=tuple(
            ShownVariant(
                id=variant_gid(name),
                title=name,
                item_id=ItemGid(gid("InventoryItem", ord(name))),
                tracked=level is not None,
                levels=(LevelRead(location_id=PLACE, available=level, stamp=None),),
            )
            for name, level in levels.items()
        ),
    )


@dataclass
class Memory:
    """What the database would hold of the product between two looks."""

    rule: Rule = RULE
    people: dict[VariantGid, int] = field(default_factory=dict)  # who wait, each for one unit
    known: Known = field(default_factory=Known)
    now: datetime = NOON
    opened: list[tuple[VariantGid, int]] = field(default_factory=list)  # (variant, seq) of every wave row

    def see(self, **levels: int | None) -> Look:
        self.now += timedelta(seconds=10)
        in_line = tuple(InLine(variant_id=id, quantity=1, people=n) for id, n in self.people.items() if n)
        known = replace(self.known, in_line=in_line)
        shown = product(levels)
        stock = {one.id: one.available([PLACE]) for one in shown.variants}
        found = look(self.rule, known, shown, stock, now=self.now, nonce=str(self.now))
        self._keep(found)
        return found

    def _keep(self, found: Look) -> None:
        watched = tuple(
            Watched(variant_id=one.variant_id, is_in=one.is_in, wave_seq=one.wave_seq) for one in found.seen
        )
        wave = self.known.wave
        if found.opens:
            assert wave is None and found.settle_until is not None
            wave = OpenWave(
                wave_id=found.wave_id,
                state="settling",
                opened_at=self.now,
                settle_until=found.settle_until,
                going_on=frozenset(),
            )
        if wave is not None:
            going_on = (wave.going_on - set(found.over)) | {one.variant_id for one in found.back}
            wave = replace(wave, going_on=going_on, settle_until=found.settle_until or wave.settle_until)
            wave = wave if going_on else None
        self.opened += [(one.variant_id, one.seq) for one in found.back]
        self.known = Known(watched=watched, wave=wave)

    def tell_everybody(self) -> None:
        """The wave is handed out and over."""
        wave = self.known.wave
        for id in wave.going_on if wave else ():
            self.people[id] = 0
        self.known = replace(self.known, wave=None)


def test_a_variant_is_back_at_the_threshold_and_not_below() -> None:
    it = Memory(people={A: 1})
    assert not it.see(A=0).back and not it.see(A=2).back
    found = it.see(A=3)
    assert [one.variant_id for one in found.back] == [A] and found.opens
    assert (
        "'Poster - A' (3 available) is back in stock: 1 person waits; they are told after 60 s."
        in found.because
    )
    assert found.ready_at == found.settle_until == it.now + timedelta(seconds=60)


def test_nobody_waits_so_nothing_opens_but_it_is_noted() -> None:
    it = Memory()
    it.see(A=0)
    found = it.see(A=5)
    assert not found.touches_wave and found.seen[0].is_in
    assert found.because == "Nobody waits for 'Poster'."


def test_between_nothing_and_the_threshold_a_variant_stays_what_it_was() -> None:
    it = Memory(people={A: 1})
    it.see(A=3)
    for level in (2, 3, 1, 4):
        found = it.see(A=level)
        assert not found.back and not found.over and found.seen[0].is_in
    assert it.see(A=0).over == {A: "it is sold out again within the settle time (0 available)"}
    assert not it.see(A=2).seen[0].is_in


def test_people_who_wait_while_it_is_in_stock_are_told_after_a_missed_edge() -> None:
    it = Memory()
    it.see(A=9)
    it.people[A] = 2
    found = it.see(A=9)
    assert found.opens and "is in stock while people wait: 2 people wait" in found.because


def test_who_wants_more_than_there_is_opens_no_wave() -> None:
    known = Known(in_line=(InLine(variant_id=A, quantity=5, people=1),))
    shown = product({"A": 4})
    assert not look(RULE, known, shown, {A: 4}, now=NOON, nonce="n").back
    assert look(RULE, known, shown, {A: 5}, now=NOON, nonce="n").back
    assert look(RULE, known, shown, {A: None}, now=NOON, nonce="n").back


def test_an_untracked_variant_never_runs_out() -> None:
    it = Memory(people={A: 1})
    assert it.see(A=None).back
    assert not it.see(A=None).over


def test_a_sibling_joins_the_open_wave_and_settles_too_but_not_for_ever() -> None:
    it = Memory(people={A: 1, B: 1})
    first = it.see(A=3, B=0)
    second = it.see(A=3, B=3)
    assert second.wave_id == first.wave_id and not second.opens
    assert second.settle_until == it.now + timedelta(seconds=60)
    for _ in range(12):
        it.see(A=3, B=0)
        it.people[B] = 1
        it.see(A=3, B=3)
    wave = it.known.wave
    assert wave is not None and wave.settle_until <= wave.opened_at + timedelta(seconds=120)


def test_a_sibling_that_comes_back_later_settles_alone() -> None:
    it = Memory(people={A: 1, B: 1})
    it.see(A=3, B=0)
    assert it.known.wave is not None
    it.known = replace(it.known, wave=replace(it.known.wave, state="sending"))
    found = it.see(A=3, B=4)
    assert found.settle_until is None and found.ready_at == it.now + timedelta(seconds=60)


def test_deleted_variants_and_products_end_the_waiting() -> None:
    it = Memory(people={A: 1, B: 2})
    it.see(A=3, B=3)
    found = it.see(A=3)
    assert found.gone == (B,) and found.over == {B: "the variant no longer exists"}
    whole = product_gone(replace(it.known, in_line=(InLine(variant_id=A, quantity=1, people=4),)))
    assert whole.is_product_gone and A in whole.gone and set(whole.over) == {A}
    assert "4 people wait for it no more" in whole.because


def test_a_wave_has_the_same_id_when_the_same_decision_is_made_again() -> None:
    assert wave_id("n", PRODUCT) == wave_id("n", PRODUCT) != wave_id("m", PRODUCT)


_LEVELS = st.lists(
    st.tuples(
        st.integers(-2, 6) | st.none(),
        st.integers(-2, 6) | st.none(),
        st.sampled_from(["", "hand out", "A", "B"]),
    ),
    max_size=30,
)


@given(_LEVELS, st.integers(1, 4))
def test_whatever_happens_every_restock_of_a_variant_is_in_one_wave_once(
    story: list[tuple[int | None, int | None, str]], quantity: int
) -> None:
    it = Memory(rule=Rule(quantity=quantity, settle_s=60), people={A: 1})
    for level_a, level_b, what in story:
        found = it.see(A=level_a, B=level_b)
        levels = {A: level_a, B: level_b}
        for one in found.back:
            level = levels[one.variant_id]
            assert level is None or level >= quantity
            assert it.people.get(one.variant_id), "a wave is for people"
        for id in found.over:
            level = levels[VariantGid(id)]
            assert level is not None and level <= 0
        assert found.because
        if what == "hand out":
            it.tell_everybody()
        elif what:
            it.people[variant_gid(what)] = 1
    assert len(it.opened) == len(set(it.opened)), "a variant and its restock number are unique"
    for id in (A, B):
        assert [seq for one, seq in it.opened if one == id] == list(
            range(1, 1 + sum(one == id for one, _ in it.opened))
        )


@given(_LEVELS)
def test_nobody_who_can_be_told_waits_without_an_open_wave(
    story: list[tuple[int | None, int | None, str]],
) -> None:
    it = Memory(people={A: 1, B: 1})
    for level_a, level_b, what in story:
        it.see(A=level_a, B=level_b)
        for id, level in ((A, level_a), (B, level_b)):
            there = level is None or level >= RULE.quantity
            if there and it.people[id]:
                assert it.known.wave is not None and id in it.known.wave.going_on
        if what == "hand out":
            it.tell_everybody()
        elif what:
            it.people[variant_gid(what)] = 1


@given(_LEVELS)
def test_the_same_look_is_decided_the_same_twice(story: list[tuple[int | None, int | None, str]]) -> None:
    one, two = Memory(people={A: 1}), Memory(people={A: 1})
    for level_a, level_b, _ in story:
        assert one.see(A=level_a, B=level_b) == two.see(A=level_a, B=level_b)
