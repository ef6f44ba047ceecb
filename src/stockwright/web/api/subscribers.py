"""/subscribers: who waits, who was told and why; cancel and send again."""

from pydantic import Field

from stockwright import people as service
from stockwright import resending
from stockwright.model import Conflicting, gid
from stockwright.notify.addresses import fold
from stockwright.people_files import person_json
from stockwright.people_told import story_of
from stockwright.store import people, shops
from stockwright.store.database import Connection
from stockwright.store.people import PersonRow, Wanted
from stockwright.web.api import schemas_people as schemas
from stockwright.web.api.operations import AnyOperation, Call, Nothing, Operation, PageQuery, Reply
from stockwright.web.api.paging import decode
from stockwright.web.api.problems import Kind, not_found
from stockwright.web.api.shops import shop_named

_TAG = "Subscribers"


class SubscribersQuery(PageQuery):
    """Which subscribers of the shop."""

    status: schemas.Status | None = Field(default=None, description="Only those with this status.")
    state: schemas.State | None = Field(default=None, description="Only those in this finer state.")
    variant_id: str | None = Field(
        default=None, max_length=100, description="Only for this variant: a gid or its number."
    )
    product_id: str | None = Field(
        default=None, max_length=100, description="Only for this product: a gid or its number."
    )
    offer: str | None = Field(default=None, max_length=100, description="Only those of this offer's id.")
    locale: str | None = Field(default=None, max_length=35, description="Only those in this language.")
    email: str | None = Field(
        default=None, max_length=320, description="Only addresses that begin so, in any case."
    )


async def list_subscribers(call: Call[SubscribersQuery, Nothing]) -> Reply:
    """One page of a shop's subscribers, newest first."""
    query = call.query
    before = decode(call.url_path, query.cursor)
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, call.path["domain"].lower())
        wanted = Wanted(
            shop_id=shop.shop_id,
            status=query.status,
            state=query.state,
            variant_id=_gid("ProductVariant", query.variant_id),
            product_id=_gid("Product", query.product_id),
            offer_id=query.offer,
            locale=query.locale,
            address=fold(query.email) if query.email else None,
        )
        found = await people.people(conn, wanted, before=before, limit=query.limit + 1)
    more = call.next_page(found[query.limit - 1].subscriber_id) if len(found) > query.limit else None
    items = [shape(row) for row in found[: query.limit]]
    return Reply(content=schemas.SubscriberPage(items=items, next=more))


def _gid(kind: str, text: str | None) -> str | None:
    return gid(kind, text) if text and text.isascii() and text.isdigit() else text


def shape(row: PersonRow) -> schemas.Subscriber:
    """A subscriber as the API gives it."""
    return schemas.Subscriber.model_validate(person_json(row))


async def get_subscriber(call: Call[Nothing, Nothing]) -> Reply:
    """One subscriber with everything that happened."""
    deps = call.api.deps
    async with deps.database.connection() as conn:
        row = await _row(conn, call.path["subscriber_id"])
        shop = await shops.get(conn, row.shop_id)
    story = await story_of(deps, row)
    content = schemas.SubscriberStory(
        **shape(row).model_dump(),
        because=story.because,
        shop=shop.domain if shop else "",
        events=[
            schemas.SubscriberEvent(at=one.at, text=one.text, detail=one.detail, by=one.by)
            for one in story.told
        ],
        notifications=[
            schemas.Telling(
                wave=one.wave_id,
                message=one.message_id,
                state=one.state,
                reason=one.reason,
                smtp_reply=one.smtp_reply,
                created_at=one.created_at,
                finished_at=one.finished_at,
            )
            for one in story.notifications
        ],
    )
    return Reply(content=content)


async def cancel_subscriber(call: Call[Nothing, Nothing]) -> Reply:
    """End the waiting of one."""
    deps = call.api.deps
    async with deps.database.connection() as conn:
        row = await _row(conn, call.path["subscriber_id"])
    done = await service.cancel(deps, row.shop_id, [row.subscriber_id], by=call.actor)
    if not done.done:
        raise Conflicting(
            f"The subscriber {row.subscriber_id} does not wait, or is being mailed this moment."
        )
    async with deps.database.connection() as conn:
        return Reply(content=shape(await _row(conn, row.subscriber_id)))


async def resend_subscriber(call: Call[Nothing, Nothing]) -> Reply:
    """Send to one again."""
    deps = call.api.deps
    async with deps.database.connection() as conn:
        row = await _row(conn, call.path["subscriber_id"])
    told = await resending.send_one_again(deps, row.shop_id, row.subscriber_id, by=call.actor)
    async with deps.database.connection() as conn:
        row = await _row(conn, row.subscriber_id)
    return Reply(content=schemas.Resent(told=told, subscriber=shape(row)))


async def _row(conn: Connection, subscriber_id: str) -> PersonRow:
    row = await people.get(conn, subscriber_id)
    if row is None:
        raise not_found(
            f"There is no subscriber {subscriber_id!r}. See GET /api/v1/shops/{{domain}}/subscribers."
        )
    return row


OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        id="listSubscribers",
        method="GET",
        path="/shops/{domain}/subscribers",
        tag=_TAG,
        scope="read",
        summary="List the people who ask to be told when a variant is back, newest first.",
        handler=list_subscribers,
        query=SubscribersQuery,
        body=Nothing,
        answer=schemas.SubscriberPage,
    ),
    Operation(
        id="getSubscriber",
        method="GET",
        path="/subscribers/{subscriber_id}",
        tag=_TAG,
        scope="read",
        summary="Show a subscriber with everything that happened: why this was, or was not, sent.",
        handler=get_subscriber,
        query=Nothing,
        body=Nothing,
        answer=schemas.SubscriberStory,
    ),
    Operation(
        id="cancelSubscriber",
        method="POST",
        path="/subscribers/{subscriber_id}/cancel",
        tag=_TAG,
        scope="write",
        summary="End the waiting of a subscriber; nothing is mailed for it.",
        handler=cancel_subscriber,
        query=Nothing,
        body=Nothing,
        answer=schemas.Subscriber,
        problems=(Kind.CONFLICT,),
    ),
    Operation(
        id="resendSubscriber",
        method="POST",
        path="/subscribers/{subscriber_id}/resend",
        tag=_TAG,
        scope="write",
        status=202,
        summary="Send a failed mail once more, or put an ended request in line again.",
        handler=resend_subscriber,
        query=Nothing,
        body=Nothing,
        answer=schemas.Resent,
        problems=(Kind.CONFLICT,),
        is_repeatable=True,
    ),
)
