"""Offers: what one is, which status follows on what a person or the clock does, and what is wrong with a draft. Pure.

Status and schedule are told apart: `as_of` gives the status that the schedule asks for at a moment, however late
the scheduler comes.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from stockwright.model import Conflicting, Fault

MAX_ITEMS = 10_000  # products and variants of one offer
MAX_LIMIT = 1_000_000_000
MAX_NAME = 200
MAX_DESCRIPTION = 5_000
FIRST_YEAR, LAST_YEAR = 2000, 2200


class Status(StrEnum):
    """Where an offer is."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"


class Pause(StrEnum):
    """Why an offer is paused."""

    NOT = ""
    MANUAL = "manual"
    AUTO = "auto_back_in_stock"
    LIMIT = "limit_reached"


class Mode(StrEnum):
    """When a variant can be ordered ahead."""

    OUT_OF_STOCK = "out_of_stock"  # quantity <= 0; the only mode with Notify Me
    IN_STOCK = "in_stock"  # quantity > 0
    ALWAYS = "always"


class Verb(StrEnum):
    """What a person does with an offer."""

    ACTIVATE = "activate"
    UNSCHEDULE = "unschedule"
    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    ARCHIVE = "archive"
    DELETE = "delete"


ENDED = frozenset({Status.COMPLETED, Status.ARCHIVED})
_FROM = {
    Verb.ACTIVATE: (Status.DRAFT, Status.COMPLETED),
    Verb.UNSCHEDULE: (Status.SCHEDULED,),
    Verb.PAUSE: (Status.ACTIVE,),
    Verb.RESUME: (Status.PAUSED,),
    Verb.COMPLETE: (Status.SCHEDULED, Status.ACTIVE, Status.PAUSED),
    Verb.ARCHIVE: (Status.DRAFT, Status.COMPLETED),
    Verb.DELETE: (Status.DRAFT, Status.COMPLETED, Status.ARCHIVED),
}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a person sets of an offer."""

    name: str
    description: str = ""  # internal
    mode: Mode = Mode.OUT_OF_STOCK
    starts_at: datetime | None = None  # None: at once; starts_at <= now < ends_at
    ends_at: datetime | None = None  # None: no end
    auto_disable: bool = False  # stop the pre-order of a variant that is back; only with OUT_OF_STOCK
    resume: bool = True  # and take it up again when that variant is sold out again
    limit_total: int | None = None  # units of the whole offer; None = unlimited
    limit_per_customer: int | None = None  # units, of customers who are signed in
    limit_per_order: int | None = None  # units
    pause_at_limit: bool = False  # pause when `limit_total` is reached


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An offer: its terms and where it is."""

    offer_id: str
    terms: Terms
    status: Status = Status.DRAFT
    pause: Pause = Pause.NOT

    @property
    def shows_button(self) -> bool:
        """Whether it is one of those that can show Notify Me."""
        return self.status is Status.ACTIVE and self.terms.mode is Mode.OUT_OF_STOCK


@dataclass(frozen=True, kw_only=True)
class Item:
    """A product of an offer, or one variant of it."""

    product_id: str
    variant_id: str = ""  # "" = every variant
    product_title: str = ""
    variant_title: str = ""
    is_missing: bool = False  # the shop has deleted it

    def covers(self, product_id: str, variant_id: str) -> bool:
        """Whether this variant belongs to the offer by this item."""
        return self.product_id == product_id and self.variant_id in ("", variant_id)


# --- what follows on what -----------------------------------------------------------------------------------


def verbs(offer: Offer) -> tuple[Verb, ...]:
    """What a person can do with it now."""
    return tuple(verb for verb, froms in _FROM.items() if offer.status in froms)


def after(offer: Offer, verb: Verb, *, now: datetime, has_items: bool, ordered: int) -> Offer:
    """The offer after a person's deed; `ordered` units count for its total limit. Not for DELETE.

    Raises:
        Conflicting: it cannot be done in this status, or not under these terms.
    """
    check(offer, verb)
    match verb:
        case Verb.ACTIVATE | Verb.RESUME:
            _check_startable(offer, now=now, has_items=has_items, ordered=ordered)
            return as_of(replace(offer, status=Status.SCHEDULED, pause=Pause.NOT), now)
        case Verb.UNSCHEDULE:
            return replace(offer, status=Status.DRAFT)
        case Verb.PAUSE:
            return replace(offer, status=Status.PAUSED, pause=Pause.MANUAL)
        case Verb.COMPLETE:
            return completed(offer)
        case Verb.ARCHIVE:
            return replace(offer, status=Status.ARCHIVED)
        case Verb.DELETE:
            raise AssertionError("a deleted offer has no status")


def check(offer: Offer, verb: Verb) -> None:
    """Refuse what cannot be done in this status.

    Raises:
        Conflicting: told with what can be done instead.
    """
    if offer.status in _FROM[verb]:
        return
    possible = ", ".join(one.value for one in verbs(offer)) or "nothing"
    raise Conflicting(
        f"{offer.terms.name!r} is {offer.status.value}, and {verb.value} is not possible then. Possible now: {possible}."
    )


def _check_startable(offer: Offer, *, now: datetime, has_items: bool, ordered: int) -> None:
    name, terms = offer.terms.name, offer.terms
    if not has_items:
        raise Conflicting(f"{name!r} has no products. Add products or variants, then activate it.")
    if terms.ends_at is not None and terms.ends_at <= now:
        raise Conflicting(f"{name!r} has ended by its schedule. Set a later end or none, then try again.")
    if terms.pause_at_limit and _is_full(terms, ordered):
        raise Conflicting(
            f"{name!r} has reached its limit: {ordered} of {terms.limit_total} units. "
            "Raise the limit or leave it empty, then try again."
        )


def completed(offer: Offer) -> Offer:
    """The offer after its end."""
    return replace(offer, status=Status.COMPLETED, pause=Pause.NOT)


def as_of(offer: Offer, now: datetime) -> Offer:
    """The offer as its schedule wants it at `now`: started, not yet started or ended."""
    terms = offer.terms
    if offer.status not in (Status.SCHEDULED, Status.ACTIVE, Status.PAUSED):
        return offer
    if terms.ends_at is not None and terms.ends_at <= now:
        return completed(offer)
    if offer.status is Status.PAUSED:
        return offer
    has_begun = terms.starts_at is None or terms.starts_at <= now
    return replace(offer, status=Status.ACTIVE if has_begun else Status.SCHEDULED)


def at_limit(offer: Offer, ordered: int) -> Offer:
    """The offer when `ordered` units count for its total: paused if it is full and that was chosen."""
    if offer.status is Status.ACTIVE and offer.terms.pause_at_limit and _is_full(offer.terms, ordered):
        return replace(offer, status=Status.PAUSED, pause=Pause.LIMIT)
    return offer


def _is_full(terms: Terms, ordered: int) -> bool:
    return terms.limit_total is not None and ordered >= terms.limit_total


def changed(offer: Offer, terms: Terms, *, now: datetime) -> Offer:
    """The offer under new terms. A pause by auto-disable ends when auto-disable is taken away."""
    lifts = offer.pause is Pause.AUTO and not terms.auto_disable
    lifted = replace(offer, status=Status.ACTIVE, pause=Pause.NOT) if lifts else offer
    return as_of(replace(lifted, terms=terms), now)


# --- what is wrong with terms -----------------------------------------------------------------------------


def faults(terms: Terms) -> tuple[Fault, ...]:
    """All that is wrong with the terms of an offer, by field; none = they can be saved."""
    return tuple(Fault(path=path, message=message) for path, message in _faults(terms) if message)


def _faults(terms: Terms) -> tuple[tuple[str, str], ...]:
    return (
        ("name", _name_fault(terms.name)),
        ("description", _too_long(terms.description, MAX_DESCRIPTION)),
        ("starts_at", _year_fault(terms.starts_at)),
        ("ends_at", _year_fault(terms.ends_at) or _schedule_fault(terms)),
        ("auto_disable", _auto_disable_fault(terms)),
        ("limit_total", _limit_fault(terms.limit_total)),
        ("limit_per_customer", _limit_fault(terms.limit_per_customer)),
        ("limit_per_order", _limit_fault(terms.limit_per_order)),
        ("pause_at_limit", _pause_fault(terms)),
    )


def _name_fault(name: str) -> str:
    if not name.strip():
        return "Give the offer a name."
    if any(ord(letter) < 32 for letter in name):
        return "The name holds a line break or another control character. Use one line of plain text."
    return _too_long(name, MAX_NAME)


def _too_long(text: str, limit: int) -> str:
    if "\0" in text:
        return "The text holds a NUL character. Take it out."
    return f"It has {len(text)} characters; at most {limit} are kept." if len(text) > limit else ""


def _year_fault(at: datetime | None) -> str:
    if at is None or FIRST_YEAR <= at.year <= LAST_YEAR:
        return ""
    return f"The year {at.year} is out of range. Use {FIRST_YEAR} to {LAST_YEAR}."


def _schedule_fault(terms: Terms) -> str:
    if terms.starts_at is None or terms.ends_at is None or terms.starts_at < terms.ends_at:
        return ""
    return "The end is not after the start. Choose a later end, or leave one of them empty."


def _auto_disable_fault(terms: Terms) -> str:
    if terms.auto_disable and terms.mode is not Mode.OUT_OF_STOCK:
        return "Auto-disable works only with the mode “allow when out of stock”. Choose that mode, or switch it off."
    return ""


def _limit_fault(limit: int | None) -> str:
    if limit is None or 1 <= limit <= MAX_LIMIT:
        return ""
    return f"A limit is a number from 1 to {MAX_LIMIT}; empty means unlimited."


def _pause_fault(terms: Terms) -> str:
    if terms.pause_at_limit and terms.limit_total is None:
        return "Pausing at the limit needs a total limit. Set one, or switch it off."
    return ""
