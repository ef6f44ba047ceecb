"""Sales channels, and putting products on them or taking them off. There is no idempotency key: read first.

A request is sent once. Its answer says per product what was refused; an answer that never came is "unknown".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from stockwright.model import Channel, JsonObject, ProductGid, PublicationGid
from stockwright.shopify.budget import Priority
from stockwright.shopify.calls import Caller
from stockwright.shopify.catalogue import MAX_LIST_PAGES
from stockwright.shopify.errors import ErrorCode, ShopifyError
from stockwright.shopify.operations import repeated
from stockwright.shopify.wire import Node, listed, next_cursor

CHANNELS_PER_PAGE = 50  # each costs up to 8 points where a shop counts linearly
MAX_PLACEMENTS = 50  # products of one request: half of the points that one request may cost


class PlacementOutcome(StrEnum):
    """What the answer says of one product."""

    DONE = "done"
    REFUSED = "refused"  # for some channels at least; a read shows what became of the others
    NOT_SENT = "not_sent"  # surely not executed
    UNKNOWN = "unknown"  # executed or not: this answer does not tell


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One product and the channels to publish it to, or to take it off."""

    product_id: ProductGid
    publications: tuple[PublicationGid, ...]


@dataclass(frozen=True, kw_only=True)
class PlacementReply:
    """The answer for one product."""

    outcome: PlacementOutcome
    detail: str = ""  # messages as Shopify sent them
    refused: dict[int, str] = field(default_factory=dict)  # index of a channel -> why it was refused
    product_missing: bool = False
    retry_after_s: float | None = None
    problem: ShopifyError | None = None  # why nothing is known: lets the caller pause a shop that is locked


async def list_channels(caller: Caller) -> tuple[Channel, ...]:
    """Every publication of an app.

    Raises:
        ShopifyError: LIMIT above 5,000.
    """
    found: list[Channel] = []
    after: str | None = None
    for _ in range(MAX_LIST_PAGES):
        data = await caller.read(
            "publications", {"size": CHANNELS_PER_PAGE, "after": after}, priority=Priority.EVENT
        )
        found += listed(data.child("publications"), _channel)
        if (after := next_cursor(data.child("publications"))) is None:
            return tuple(found)
    raise ShopifyError(
        ErrorCode.LIMIT,
        f"The shop has more than {MAX_LIST_PAGES * CHANNELS_PER_PAGE} sales channels; the list was not used.",
        permanent=True,
    )


def _channel(node: Node) -> Channel:
    channels = [one.text("name") for one in node.child("channels").children("nodes")]
    catalog = node.optional_child("catalog")
    apps = catalog.child("apps").children("nodes") if catalog and catalog.has("apps") else []
    titles = [title for app in apps if (title := app.optional_text("title"))]
    names = [*channels, *titles, *([catalog.text("title")] if catalog else [])]
    return Channel(
        id=PublicationGid(node.text("id")),
        name=names[0] if names else "",
        app_title=titles[0] if titles else "",
    )


async def place(
    caller: Caller, name: str, rows: Sequence[Placement], *, priority: Priority
) -> tuple[PlacementReply, ...]:
    """Publish or unpublish products in one request, once; a reply per row. Never raises for what the wire does.

    Raises:
        ValueError: no row, more than 50, or a row without channels or with one twice.
    """
    _check(rows)
    mutation = repeated(name, len(rows))
    try:
        data = await caller.send(mutation, _variables(rows), priority=priority)
        return tuple(_reply(data.optional_child(f"at_{no}")) for no in range(len(rows)))
    except ShopifyError as error:
        return (_failed(error),) * len(rows)


def _check(rows: Sequence[Placement]) -> None:
    if not 1 <= len(rows) <= MAX_PLACEMENTS:
        raise ValueError(f"a request has 1 to {MAX_PLACEMENTS} products, not {len(rows)}")
    for row in rows:
        if not row.publications or len(set(row.publications)) != len(row.publications):
            raise ValueError(f"{row.product_id} names no channel, or one twice")


def _variables(rows: Sequence[Placement]) -> JsonObject:
    variables: dict[str, object] = {}
    for no, row in enumerate(rows):
        variables[f"id_{no}"] = row.product_id
        variables[f"input_{no}"] = [{"publicationId": one} for one in row.publications]
    return variables


def _failed(error: ShopifyError) -> PlacementReply:
    if error.may_have_run:
        outcome = PlacementOutcome.UNKNOWN
    elif error.code in (ErrorCode.ACCESS_DENIED, ErrorCode.INVALID_REQUEST):
        outcome = PlacementOutcome.REFUSED
    else:
        outcome = PlacementOutcome.NOT_SENT
    return PlacementReply(
        outcome=outcome, detail=str(error), retry_after_s=error.retry_after_s, problem=error
    )


def _reply(payload: Node | None) -> PlacementReply:
    if payload is None:
        return PlacementReply(
            outcome=PlacementOutcome.UNKNOWN, detail="the answer has neither result nor errors"
        )
    errors = payload.children("userErrors")
    if not errors:
        return PlacementReply(outcome=PlacementOutcome.DONE)
    refused: dict[int, str] = {}
    for error in errors:
        index = _row_of(error)
        if index is not None:
            refused.setdefault(index, error.text("message")[:300])
    return PlacementReply(
        outcome=PlacementOutcome.REFUSED,
        detail="; ".join(dict.fromkeys(error.text("message")[:300] for error in errors[:5])),
        refused=refused,
        product_missing=any(_path(error) == ["id"] for error in errors),
    )


def _row_of(error: Node) -> int | None:
    path = _path(error)
    is_row = len(path) >= 2 and path[0] == "input" and str(path[1]).isdecimal()
    return int(str(path[1])) if is_row else None


def _path(error: Node) -> list[object]:
    return list(error.values("field")) if error.has("field") else []
