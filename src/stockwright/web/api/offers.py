"""/offers: make, change, activate, pause, end offers; and why a button is shown. Rules live in `offer_desk`."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from pydantic import Field

from stockwright import offer_desk, offer_reading
from stockwright.model import Fault, gid
from stockwright.notify.offers import Mode, Terms, Verb
from stockwright.offer_reading import NoSuchProduct
from stockwright.offer_upkeep import subscribe_orders
from stockwright.store import offers, shops
from stockwright.store.database import Connection
from stockwright.store.offers import OfferLine, OfferRow
from stockwright.web.api import offer_shapes as shapes
from stockwright.web.api.operations import AnyOperation, Call, Nothing, Operation, PageQuery, Reply
from stockwright.web.api.paging import decode
from stockwright.web.api.problems import ApiProblem, Kind, invalid, not_found
from stockwright.web.api.shops import shop_named

_TAG = "Offers"


class OffersQuery(PageQuery):
    """Which offers."""

    shop: str | None = Field(
        default=None, max_length=255, description="Only those of this shop (its domain)."
    )
    status: shapes.OfferStatus | None = Field(default=None, description="Only those with this status.")


# --- reading ----------------------------------------------------------------------------------------------------


async def list_offers(call: Call[OffersQuery, Nothing]) -> Reply:
    """One page of offers."""
    query = call.query
    before = decode(call.url_path, query.cursor)
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, query.shop) if query.shop is not None else None
        domains = {one.shop_id: one.domain for one in await shops.list_all(conn)}
        found = await offers.lines(
            conn,
            shop.shop_id if shop else None,
            status=query.status,
            before=before,
            limit=query.limit + 1,
        )
    more = call.next_page(found[query.limit - 1].offer.offer_id) if len(found) > query.limit else None
    items = [_offer(line, domains.get(line.offer.shop_id, "")) for line in found[: query.limit]]
    return Reply(content=shapes.OfferPage(items=items, next=more))


async def get_offer(call: Call[Nothing, Nothing]) -> Reply:
    """One offer, with its ETag."""
    async with call.api.deps.database.connection() as conn:
        line, domain = await _line(conn, call.path["offer_id"])
    return Reply(content=_offer(line, domain), headers={"ETag": _etag(line.offer)})


async def get_items(call: Call[Nothing, Nothing]) -> Reply:
    """What an offer names."""
    async with call.api.deps.database.connection() as conn:
        line, _ = await _line(conn, call.path["offer_id"])
        found = await offers.items(conn, line.offer.shop_id, line.offer.offer_id)
    items = [shapes.OfferItem.model_validate(offer_reading.described_item(item)) for item in found]
    return Reply(content=shapes.OfferItems(items=items))


async def get_gates(call: Call[Nothing, Nothing]) -> Reply:
    """Why the button is or is not shown, for every variant of a product, from its stock now."""
    number = call.path["product_number"]
    if not (number.isascii() and number.isdecimal()):
        raise not_found(f"There is no product {number!r}: its number is digits only.")
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, call.path["domain"].lower())
    try:
        product, found = await offer_reading.gates_of(call.api.deps, shop, gid("Product", number))
    except NoSuchProduct as error:
        raise not_found(str(error)) from error
    variants = [shapes.VariantGate.model_validate(offer_reading.described_gate(one)) for one in found]
    return Reply(content=shapes.ProductGates(product_id=product.id, title=product.title, variants=variants))


def _offer(line: OfferLine, domain: str) -> shapes.Offer:
    return shapes.Offer.model_validate(offer_reading.described(line, domain))


async def _line(conn: Connection, offer_id: str) -> tuple[OfferLine, str]:
    found = await offers.lines(conn, None, offer_id=offer_id, limit=1)
    if not found:
        raise not_found(f"There is no offer {offer_id!r}. See GET /api/v1/offers.")
    shop = await shops.get(conn, found[0].offer.shop_id)
    return found[0], shop.domain if shop else ""


async def _row(call: Call[Any, Any]) -> OfferRow:
    """The offer of the path, as it is at this moment.

    Raises:
        ApiProblem: there is none, or it is not the one of If-Match any more.
    """
    async with call.api.deps.database.connection() as conn:
        line, _ = await _line(conn, call.path["offer_id"])
    row = line.offer
    if call.if_match is not None and not {"*", _etag(row)} & {
        tag.strip() for tag in call.if_match.split(",")
    }:
        detail = f"{row.name!r} was changed since you read it. Read it again, then decide."
        raise ApiProblem(kind=Kind.CHANGED, detail=detail, headers={"ETag": _etag(row)})
    return row


def _etag(row: OfferRow) -> str:
    return f'"{row.offer_id}-{row.version}"'


# --- changing ---------------------------------------------------------------------------------------------------


async def create_offer(call: Call[Nothing, shapes.NewOffer]) -> Reply:
    """Make a draft."""
    body = call.body
    async with call.api.deps.database.connection() as conn:
        shop = await shops.find(conn, body.shop)
    if shop is None:
        message = f"There is no shop {body.shop!r}. See GET /api/v1/shops."
        raise invalid("body", [Fault(path="shop", message=message)])
    given = body.model_dump(exclude={"shop", "items"})
    terms = Terms(**{**given, "mode": Mode(body.mode)})
    row = await offer_desk.create(call.api.deps, shop.shop_id, terms, items=body.items, by=call.actor)
    return await _saved(call, row, new=True)


async def change_offer(call: Call[Nothing, shapes.OfferChange]) -> Reply:
    """Change what is named."""
    body = call.body
    if not body.model_fields_set:
        raise invalid("body", [Fault(path="", message="Name a field: there is nothing to change.")])
    row = await _row(call)
    given = {name: getattr(body, name) for name in body.model_fields_set}
    if "mode" in given:
        given["mode"] = Mode(given["mode"])
    terms = offer_desk.with_changes(row, given)
    return await _saved(call, await offer_desk.change(call.api.deps, row, terms, by=call.actor))


async def delete_offer(call: Call[Nothing, Nothing]) -> Reply:
    """Delete an offer."""
    await offer_desk.delete(call.api.deps, await _row(call), by=call.actor)
    return Reply(content=None)


async def do_with_offer(call: Call[Nothing, Nothing], *, verb: Verb) -> Reply:
    """Activate, pause and the like."""
    return await _saved(call, await offer_desk.do(call.api.deps, await _row(call), verb, by=call.actor))


async def add_items(call: Call[Nothing, shapes.SomeItems]) -> Reply:
    """Add products and variants."""
    done = await offer_desk.add_items(call.api.deps, await _row(call), call.body.items, by=call.actor)
    return Reply(content=shapes.ChangedItems.model_validate(vars(done)))


async def remove_items(call: Call[Nothing, shapes.SomeItems]) -> Reply:
    """Take products and variants out."""
    done = await offer_desk.remove_items(call.api.deps, await _row(call), call.body.items, by=call.actor)
    return Reply(content=shapes.ChangedItems.model_validate(vars(done)))


async def _saved(call: Call[Any, Any], row: OfferRow, *, new: bool = False) -> Reply:
    problem = await subscribe_orders(call.api.deps, row, public_url=call.api.public_url)
    async with call.api.deps.database.connection() as conn:
        line, domain = await _line(conn, row.offer_id)
    location = {"Location": f"/api/v1/offers/{quote(row.offer_id)}"} if new else {}
    warnings = [problem] if problem else []
    content = shapes.SavedOffer(**_offer(line, domain).model_dump(), warnings=warnings)
    return Reply(content=content, headers={"ETag": _etag(line.offer), **location})


# --- the table --------------------------------------------------------------------------------------------------

_SAVING = (Kind.CONFLICT, Kind.INVALID, Kind.SHOP)
_VERBS: tuple[tuple[Verb, str], ...] = (
    (Verb.ACTIVATE, "Start an offer, or schedule it when its start lies ahead."),
    (Verb.UNSCHEDULE, "Make a scheduled offer a draft again."),
    (Verb.PAUSE, "Pause an offer; people who wait keep waiting."),
    (Verb.RESUME, "Go on with a paused offer; stops of auto-disable are lifted."),
    (Verb.COMPLETE, "End an offer."),
    (Verb.ARCHIVE, "Put a draft or completed offer away; it can only be deleted then."),
)


def _doing(verb: Verb, summary: str) -> AnyOperation:
    handler: Callable[[Call[Nothing, Nothing]], Awaitable[Reply]] = partial(do_with_offer, verb=verb)
    return Operation(
        id=f"{verb.value}Offer",
        method="POST",
        path=f"/offers/{{offer_id}}/{verb.value}",
        tag=_TAG,
        scope="write",
        summary=summary,
        handler=handler,
        query=Nothing,
        body=Nothing,
        answer=shapes.SavedOffer,
        problems=(Kind.CONFLICT,),
        takes_if_match=True,
        has_etag=True,
    )


OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        id="listOffers",
        method="GET",
        path="/offers",
        tag=_TAG,
        scope="read",
        summary="List the offers, newest first.",
        handler=list_offers,
        query=OffersQuery,
        body=Nothing,
        answer=shapes.OfferPage,
        problems=(Kind.NOT_FOUND,),
    ),
    Operation(
        id="createOffer",
        method="POST",
        path="/offers",
        tag=_TAG,
        scope="write",
        status=201,
        summary="Make an offer; a draft until it is activated.",
        handler=create_offer,
        query=Nothing,
        body=shapes.NewOffer,
        answer=shapes.SavedOffer,
        problems=_SAVING,
        has_etag=True,
        has_location=True,
        is_repeatable=True,
    ),
    Operation(
        id="getOffer",
        method="GET",
        path="/offers/{offer_id}",
        tag=_TAG,
        scope="read",
        summary="Show an offer.",
        handler=get_offer,
        query=Nothing,
        body=Nothing,
        answer=shapes.Offer,
        has_etag=True,
    ),
    Operation(
        id="changeOffer",
        method="PATCH",
        path="/offers/{offer_id}",
        tag=_TAG,
        scope="write",
        summary="Change an offer; what is not named stays.",
        description="Two who change at once never undo each other: the second gets 412 with If-Match, else 409.",
        handler=change_offer,
        query=Nothing,
        body=shapes.OfferChange,
        answer=shapes.SavedOffer,
        problems=_SAVING,
        takes_if_match=True,
        has_etag=True,
    ),
    Operation(
        id="deleteOffer",
        method="DELETE",
        path="/offers/{offer_id}",
        tag=_TAG,
        scope="write",
        status=204,
        summary="Delete a draft, completed or archived offer; people who wait keep waiting unless chosen else.",
        handler=delete_offer,
        query=Nothing,
        body=Nothing,
        answer=None,
        problems=(Kind.CONFLICT,),
        takes_if_match=True,
    ),
    Operation(
        id="listOfferItems",
        method="GET",
        path="/offers/{offer_id}/items",
        tag=_TAG,
        scope="read",
        summary="List the products and variants that an offer names.",
        handler=get_items,
        query=Nothing,
        body=Nothing,
        answer=shapes.OfferItems,
    ),
    Operation(
        id="addOfferItems",
        method="POST",
        path="/offers/{offer_id}/add-items",
        tag=_TAG,
        scope="write",
        summary="Add products and single variants to an offer; what is there already stays as it is.",
        handler=add_items,
        query=Nothing,
        body=shapes.SomeItems,
        answer=shapes.ChangedItems,
        problems=_SAVING,
        takes_if_match=True,
    ),
    Operation(
        id="removeOfferItems",
        method="POST",
        path="/offers/{offer_id}/remove-items",
        tag=_TAG,
        scope="write",
        summary="Take products and single variants out of an offer.",
        handler=remove_items,
        query=Nothing,
        body=shapes.SomeItems,
        answer=shapes.ChangedItems,
        problems=(Kind.CONFLICT, Kind.INVALID),
        takes_if_match=True,
    ),
    *(_doing(verb, summary) for verb, summary in _VERBS),
    Operation(
        id="getProductGates",
        method="GET",
        path="/shops/{domain}/products/{product_number}/notify-me",
        tag=_TAG,
        scope="read",
        summary="Tell for each variant of a product whether Notify Me is shown now, and why.",
        description="Decided from stock that is read from the shop at this moment.",
        handler=get_gates,
        query=Nothing,
        body=Nothing,
        answer=shapes.ProductGates,
        problems=(Kind.SHOP,),
    ),
)
