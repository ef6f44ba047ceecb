"""Auto-disable: which variants' pre-orders stop when stock is back, and when the whole offer pauses or resumes. Pure.

Only a return stops a pre-order: a variant that never ran out under the offer is left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stockwright.notify.gating import Stock
from stockwright.notify.offers import Offer, Pause, Status


@dataclass(frozen=True, kw_only=True)
class SeenVariant:
    """What was last seen of a variant under an offer."""

    is_out: bool  # sold out, and not back since
    is_stopped: bool = False


Seen = Mapping[str, SeenVariant]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at a product of an offer."""

    seen: Seen  # all its variants that the offer covers, as they are to be stored
    stopped: tuple[str, ...] = ()  # variant ids whose pre-order stops now
    resumed: tuple[str, ...] = ()  # and those that are taken up again


def look(before: Seen, stock: Stock, *, back_at: int, resumes: bool) -> Look:
    """Compare the stock of an offer's variants of one product with what was last seen.

    A variant is out at 0 or fewer and back at `back_at` units or more; in between it stays what it was. One whose
    inventory is not tracked is never out.
    """
    seen = {id: _seen(before.get(id), available, back_at, resumes=resumes) for id, available in stock.items()}
    was = {id: before[id].is_stopped if id in before else False for id in seen}
    return Look(
        seen=seen,
        stopped=tuple(id for id, one in seen.items() if one.is_stopped and not was[id]),
        resumed=tuple(id for id, one in seen.items() if was[id] and not one.is_stopped),
    )


def _seen(before: SeenVariant | None, available: int | None, back_at: int, *, resumes: bool) -> SeenVariant:
    if available is not None and available <= 0:
        return SeenVariant(is_out=True, is_stopped=bool(before and before.is_stopped and not resumes))
    if before is None:
        return SeenVariant(is_out=False)
    if before.is_out and (available is None or available >= back_at):
        return SeenVariant(is_out=False, is_stopped=True)
    return before


def offer_after(offer: Offer, one: Look, *, all_back: bool) -> Offer:
    """The offer after a look: paused when it stopped the last of its variants, resumed when one is out again."""
    if offer.status is Status.ACTIVE and one.stopped and all_back:
        return replace(offer, status=Status.PAUSED, pause=Pause.AUTO)
    is_any_out = any(variant.is_out for variant in one.seen.values())
    if offer.pause is Pause.AUTO and offer.terms.resume and is_any_out:
        return replace(offer, status=Status.ACTIVE, pause=Pause.NOT)
    return offer
