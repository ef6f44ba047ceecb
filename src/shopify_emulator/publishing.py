"""Publishing products and variants to sales channels, and what counts as published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from shopify_emulator.catalogue import touch
from shopify_emulator.model import Gid, Product, Publication, Variant
from shopify_emulator.state import State
from shopify_emulator.stock import UserError

Publishable = Product | Variant
VISIBLE = ("ACTIVE", "UNLISTED")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One input row: where to publish and from when (None: now)."""

    publication: Gid | None
    publish_date: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ResourcePublication:
    publishable: Publishable
    publication: Publication
    publish_date: datetime
    is_published: bool

    @property
    def number(self) -> int:
        return self.publication.number


def product_of(publishable: Publishable) -> Product:
    return publishable if isinstance(publishable, Product) else publishable.product


def is_published(state: State, publishable: Publishable, publication: Gid) -> bool:
    """Published means: placed there, its date has come, and the product is active or unlisted."""
    date = publishable.publications.get(publication)
    visible = product_of(publishable).status in VISIBLE
    return visible and date is not None and date <= state.clock.now()


def publications_of(state: State, publishable: Publishable) -> list[ResourcePublication]:
    """Where it is placed, published or not, by publication."""
    return [
        ResourcePublication(
            publishable=publishable,
            publication=publication,
            publish_date=publishable.publications[gid],
            is_published=is_published(state, publishable, gid),
        )
        for gid, publication in state.publications.items()
        if gid in publishable.publications
    ]


def publish(state: State, publishable: Publishable, placements: Sequence[Placement]) -> tuple[UserError, ...]:
    errors = tuple(_errors(state, publishable, placements))
    if errors:
        return errors
    now = state.clock.now()
    moved = [_place(state, publishable, placement, now) for placement in placements]
    if any(moved):
        touch(state, product_of(publishable))
    return ()


def _place(state: State, publishable: Publishable, placement: Placement, now: datetime) -> bool:
    assert placement.publication is not None
    have = publishable.publications.get(placement.publication)
    date = placement.publish_date or now
    if (
        have is not None
        and placement.publish_date is None
        and have <= now
        and state.switches.republish == "noop"
    ):
        return False
    publishable.publications[placement.publication] = date
    return have != date


def unpublish(
    state: State, publishable: Publishable, placements: Sequence[Placement]
) -> tuple[UserError, ...]:
    errors = tuple(_place_errors(state, placements))
    if errors:
        return errors
    gone = [publishable.publications.pop(p.publication, None) for p in placements if p.publication]
    if any(date is not None for date in gone):
        touch(state, product_of(publishable))
    return ()


def _errors(state: State, publishable: Publishable, placements: Sequence[Placement]) -> Iterator[UserError]:
    yield from _place_errors(state, placements)
    for index, placement in enumerate(placements):
        publication = state.publications.get(placement.publication or "")
        if publication is not None:
            yield from _date_errors(state, publishable, placement, publication, index)


def _place_errors(state: State, placements: Sequence[Placement]) -> Iterator[UserError]:
    seen: set[Gid] = set()
    for index, placement in enumerate(placements):
        field = ("input", str(index), "publicationId")
        if placement.publication is None:
            yield UserError(field=field, message="PublicationId cannot be empty")
        elif placement.publication not in state.publications:
            yield UserError(field=field, message="Publication does not exist or is not publishable")
        elif placement.publication in seen:
            yield UserError(field=field, message="The same publication was specified more than once")
        seen.add(placement.publication or "")


def _date_errors(
    state: State, publishable: Publishable, placement: Placement, publication: Publication, index: int
) -> Iterator[UserError]:
    field = ("input", str(index), "publishDate")
    date = placement.publish_date
    if date is not None and date.year <= 1969:
        yield UserError(field=field, message="Publish date must be a date after the year 1969")
    elif date is not None and date > state.clock.now() and not publication.future_publishing:
        yield UserError(field=field, message="Future publishing is only possible on the online store")
    if product_of(publishable).requires_selling_plan and publication.handle != "online_store":
        message = "A product that requires a selling plan can only be published to the online store"
        yield UserError(field=("input", str(index), "publicationId"), message=message)
