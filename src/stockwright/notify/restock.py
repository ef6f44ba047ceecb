"""What one look at a product means for the people who wait: which variants are back, and what becomes of the wave.

Pure. A variant is back at the threshold and gone at 0 or fewer; in between it stays what it was, so that a number
which wavers around the threshold is one restock.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stockwright.model import VariantGid
from stockwright.notify.catalogue import ShownProduct, ShownVariant

Stock = Mapping[str, int | None]  # units at the locations that count; None = it never runs out
SETTLE_TIMES = (
    2  # variants that come back later put a wave's start off until this many settle times after its opening
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What the options say of a restock."""

    quantity: int  # back at this many units or more
    settle_s: float

    def is_at_threshold(self, available: int | None) -> bool:
        """Whether there is enough to tell somebody."""
        return available is None or available >= self.quantity


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was last seen of a variant."""

    variant_id: VariantGid
    is_in: bool  # it was at the threshold, and not at 0 since
    wave_seq: int = 0  # restocks so far


@dataclass(frozen=True, kw_only=True)
class InLine:
    """People who wait for one variant and want so many units each."""

    variant_id: VariantGid
    quantity: int
    people: int


@dataclass(frozen=True, kw_only=True)
class OpenWave:
    """The product's wave that is not over."""

    wave_id: str
    state: str  # settling | sending | resting | held
    opened_at: datetime
    settle_until: datetime
    going_on: frozenset[VariantGid]  # its variants that are not over


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the database knows of a product before it is read."""

    watched: tuple[Watched, ...] = ()
    in_line: tuple[InLine, ...] = ()
    wave: OpenWave | None = None
    is_offered: bool = False  # an offer with auto-disable has an eye on it

    @property
    def concerns_anybody(self) -> bool:
        """Whether the product has to be read at all."""
        return bool(self.in_line or self.wave or self.is_offered)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A variant as it is to be stored."""

    variant_id: VariantGid
    title: str  # for people; "" = the product has one variant without a name
    available: int | None
    is_in: bool
    wave_seq: int


@dataclass(frozen=True, kw_only=True)
class Back:
    """A variant whose people are to be told: a row of the wave. Unique by variant and `seq`."""

    variant_id: VariantGid
    title: str
    seq: int
    available: int | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look led to; `because` is one sentence for people."""

    because: str
    seen: tuple[Seen, ...] = ()
    gone: tuple[VariantGid, ...] = ()  # variants that the product has no more, though people wait or waited
    wave_id: str = ""  # of the wave that is opened or goes on; "" = none
    opens: bool = False
    back: tuple[Back, ...] = ()  # start or join that wave
    ready_at: datetime | None = None  # when those that are back may be told of
    settle_until: datetime | None = None  # a wave that is still settling begins then
    over: Mapping[str, str] = field(default_factory=dict)  # variants that leave the wave, and why
    is_product_gone: bool = False

    @property
    def touches_wave(self) -> bool:
        """Whether a wave is opened, changed or to be looked at."""
        return bool(self.wave_id)


def look(rule: Rule, known: Known, product: ShownProduct, stock: Stock, *, now: datetime, nonce: str) -> Look:
    """Compare what was read with what was known. `stock` has every variant of the product."""
    before = {one.variant_id: one for one in known.watched}
    wave = known.wave
    seen = {one.id: _seen(rule, before.get(one.id), one, stock[one.id]) for one in product.variants}
    gone = _gone(known, product)
    over = _over(wave, seen, stock, gone)
    back = tuple(
        _back(seen[one.id])
        for one in product.variants
        if _is_back(rule, known, one.id, seen[one.id]) and not _goes_on(wave, one.id)
    )
    stored = {one.variant_id: one.seq for one in back}
    kept = tuple(
        Seen(**{**vars(one), "wave_seq": stored.get(one.variant_id, one.wave_seq)}) for one in seen.values()
    )
    found = Look(because=_because(rule, known, product, back, over, gone), seen=kept, gone=gone)
    return _with_wave(found, rule, wave, back, over, product=product, now=now, nonce=nonce)


def product_gone(known: Known) -> Look:
    """The product was deleted: nobody can be told, and nobody waits any more."""
    concerned = {one.variant_id for one in known.watched} | {one.variant_id for one in known.in_line}
    wave = known.wave
    people = sum(one.people for one in known.in_line)
    return Look(
        because=f"The product no longer exists: {_count(people, 'person waits', 'people wait')} for it no more.",
        gone=tuple(sorted(concerned | (wave.going_on if wave else frozenset()))),
        wave_id=wave.wave_id if wave else "",
        over=dict.fromkeys(sorted(wave.going_on), "the product no longer exists") if wave else {},
        is_product_gone=True,
    )


# --- one variant ----------------------------------------------------------------------------------------------


def _seen(rule: Rule, before: Watched | None, variant: ShownVariant, available: int | None) -> Seen:
    is_in = rule.is_at_threshold(available)
    if not is_in and before is not None and available is not None and available > 0:
        is_in = before.is_in
    return Seen(
        variant_id=variant.id,
        title=variant.name,
        available=available,
        is_in=is_in,
        wave_seq=before.wave_seq if before else 0,
    )


def _is_back(rule: Rule, known: Known, variant_id: VariantGid, seen: Seen) -> bool:
    """In stock, and somebody waits who can be told: a crossing, or one that was missed."""
    if not rule.is_at_threshold(seen.available):
        return False
    return _served(known, variant_id, seen.available) > 0


def _served(known: Known, variant_id: VariantGid, available: int | None) -> int:
    """People who wait for the variant and want no more than there is."""
    in_line = (one for one in known.in_line if one.variant_id == variant_id)
    return sum(one.people for one in in_line if available is None or one.quantity <= available)


def _goes_on(wave: OpenWave | None, variant_id: VariantGid) -> bool:
    return wave is not None and variant_id in wave.going_on


def _back(seen: Seen) -> Back:
    return Back(variant_id=seen.variant_id, title=seen.title, seq=seen.wave_seq + 1, available=seen.available)


def _gone(known: Known, product: ShownProduct) -> tuple[VariantGid, ...]:
    there = {one.id for one in product.variants}
    held = {one.variant_id for one in known.watched} | {one.variant_id for one in known.in_line}
    held |= known.wave.going_on if known.wave else frozenset()
    return tuple(sorted(held - there))


# --- the wave ---------------------------------------------------------------------------------------------------


def _over(
    wave: OpenWave | None, seen: Mapping[VariantGid, Seen], stock: Stock, gone: Sequence[VariantGid]
) -> dict[str, str]:
    if wave is None:
        return {}
    again = (
        "it is sold out again within the settle time" if wave.state == "settling" else "it is sold out again"
    )
    left = {id: f"{again} ({stock[id]} available)" for id, one in seen.items() if not one.is_in}
    left |= dict.fromkeys(gone, "the variant no longer exists")
    return {id: why for id, why in left.items() if id in wave.going_on}


def _with_wave(
    found: Look,
    rule: Rule,
    wave: OpenWave | None,
    back: tuple[Back, ...],
    over: Mapping[str, str],
    *,
    product: ShownProduct,
    now: datetime,
    nonce: str,
) -> Look:
    values = {**vars(found), "back": back, "over": over}
    settled_at = now + timedelta(seconds=rule.settle_s)
    if wave is None:
        if not back:
            return found
        opened = {"wave_id": wave_id(nonce, product.id), "opens": True}
        return Look(**{**values, **opened, "ready_at": settled_at, "settle_until": settled_at})
    values["wave_id"] = wave.wave_id
    if not back:
        return Look(**values)
    if wave.state != "settling":
        return Look(**{**values, "ready_at": settled_at})
    latest = wave.opened_at + timedelta(seconds=rule.settle_s * SETTLE_TIMES)
    starts_at = max(wave.settle_until, min(settled_at, latest))
    return Look(**{**values, "ready_at": starts_at, "settle_until": starts_at})


def wave_id(nonce: str, product_id: str) -> str:
    """The id of a new wave: the same when the same decision is made again."""
    digest = hashlib.sha256(f"{nonce} {product_id}".encode()).hexdigest()
    return f"alr_{digest[:24]}"


# --- in words ---------------------------------------------------------------------------------------------------


def _because(
    rule: Rule,
    known: Known,
    product: ShownProduct,
    back: Sequence[Back],
    over: Mapping[str, str],
    gone: Sequence[VariantGid],
) -> str:
    said = [_told_back(rule, known, product, back)] if back else []
    said += [f"{_named(product, id)} is told of no more: {why}." for id, why in over.items()]
    said += (
        [f"{_count(len(gone), 'variant was', 'variants were')} deleted; nobody waits for it."] if gone else []
    )
    return " ".join(said) or _told_nothing(rule, known, product)


def _told_back(rule: Rule, known: Known, product: ShownProduct, back: Sequence[Back]) -> str:
    was_in = {one.variant_id: one.is_in for one in known.watched}
    people = sum(_served(known, one.variant_id, one.available) for one in back)
    names = ", ".join(f"{_named(product, one.variant_id)} ({_units(one.available)})" for one in back[:5])
    more = f" and {len(back) - 5} more" if len(back) > 5 else ""
    missed = all(was_in.get(one.variant_id, False) for one in back)
    how = "is in stock while people wait" if missed else "is back in stock"
    waits = "they join the open wave" if known.wave else f"they are told after {rule.settle_s:g} s"
    return f"{names}{more} {how}: {_count(people, 'person waits', 'people wait')}; {waits}."


def _told_nothing(rule: Rule, known: Known, product: ShownProduct) -> str:
    people = sum(one.people for one in known.in_line)
    if known.wave is not None:
        return f"The wave of {product.title!r} goes on; {_count(people, 'person waits', 'people wait')}."
    if people:
        waits = _count(people, "person waits", "people wait")
        return f"{waits} for {product.title!r}; none of what they want is there (at least {rule.quantity} needed)."
    return f"Nobody waits for {product.title!r}."


def _named(product: ShownProduct, variant_id: str) -> str:
    variant = product.variant(variant_id)
    return repr(" - ".join(part for part in (product.title, variant.name if variant else variant_id) if part))


def _units(available: int | None) -> str:
    return "not tracked" if available is None else f"{available} available"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
