"""/messages: mail that waits, was sent or failed; send one again."""

from typing import Any

from pydantic import Field

from stockwright.bouncing import take_report
from stockwright.mail.bounces import NoReport
from stockwright.model import Conflicting, StockwrightError
from stockwright.store import messages, shops
from stockwright.store.audit import audit
from stockwright.store.database import Connection
from stockwright.store.messages import MessageRow
from stockwright.web.api import schemas
from stockwright.web.api.operations import AnyOperation, Call, Nothing, Operation, PageQuery, Reply
from stockwright.web.api.paging import decode
from stockwright.web.api.problems import Kind, not_found
from stockwright.web.api.shops import shop_named

_TAG = "Messages"


class MessagesQuery(PageQuery):
    """Which messages."""

    shop: str | None = Field(
        default=None, max_length=255, description="Only those of this shop (its domain)."
    )
    state: schemas.MessageState | None = Field(default=None, description="Only those in this state.")
    kind: str | None = Field(default=None, max_length=100, description="Only those of this kind.")
    to: str | None = Field(
        default=None, max_length=320, description="Only those to this address, in any case."
    )


async def list_messages(call: Call[MessagesQuery, Nothing]) -> Reply:
    """One page of messages, newest first, without their texts."""
    query = call.query
    before = decode(call.url_path, query.cursor)
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, query.shop) if query.shop is not None else None
        found = await messages.list_messages(
            conn,
            shop_id=shop.shop_id if shop else None,
            state=query.state,
            kind=query.kind,
            recipient=query.to,
            before=before,
            limit=query.limit + 1,
        )
        domains = {one.shop_id: one.domain for one in await shops.list_all(conn)}
    items = [schemas.Message(**_shape(row, domains.get(row.shop_id, ""))) for row in found[: query.limit]]
    more = call.next_page(found[query.limit - 1].message_id) if len(found) > query.limit else None
    return Reply(content=schemas.MessagePage(items=items, next=more))


async def get_message(call: Call[Nothing, Nothing]) -> Reply:
    """One message with its texts and tries."""
    async with call.api.deps.database.connection() as conn:
        row = await _row(conn, call.path["message_id"])
        return Reply(content=await _detail(conn, row))


async def retry_message(call: Call[Nothing, Nothing]) -> Reply:
    """Queue a message once more."""
    deps = call.api.deps
    async with deps.database.connection() as conn, conn.transaction():
        row = await _row(conn, call.path["message_id"])
        detail = {"message_id": row.message_id, "to": row.recipient}
        await audit(conn, call.actor, "message.retry", row.subject, detail, at=deps.clock())
        if not await messages.send_again(conn, row.shop_id, row.message_id):
            raise Conflicting(f"The message {row.message_id} is {row.state}: it cannot be sent again.")
    async with deps.database.connection() as conn:
        return Reply(content=await _detail(conn, await _row(conn, row.message_id)))


async def take_bounce(call: Call[Nothing, schemas.BounceReport]) -> Reply:
    """Take a report of mail that came back."""
    try:
        taken = await take_report(call.api.deps, call.body.raw(), source="relay")
    except NoReport as error:
        raise StockwrightError(f"This mail is no report of returned mail: {error}.") from error
    parts = [
        schemas.BouncePart(to=one.report.recipient, outcome=one.outcome, detail=one.detail) for one in taken
    ]
    return Reply(content=schemas.BounceOutcome(parts=parts))


async def _row(conn: Connection, message_id: str) -> MessageRow:
    row = await messages.get(conn, message_id)
    if row is None:
        raise not_found(f"There is no message {message_id!r}. See GET /api/v1/messages.")
    return row


async def _detail(conn: Connection, row: MessageRow) -> schemas.MessageDetail:
    shop = await shops.get(conn, row.shop_id)
    tries = await messages.attempts(conn, row.shop_id, row.message_id)
    return schemas.MessageDetail(
        **_shape(row, shop.domain if shop else ""),
        text=row.text,
        html=row.html,
        headers=dict(row.headers),
        tries=[schemas.MessageAttempt.model_validate(vars(one)) for one in tries],
    )


def _shape(row: MessageRow, domain: str) -> dict[str, Any]:
    return {
        "message": row.message_id,
        "shop": domain,
        "kind": row.kind,
        "key": row.key,
        "to": row.recipient,
        "subject": row.subject,
        "state": row.state,
        "reason": row.reason,
        "attempts": row.attempts,
        "next_at": row.next_at,
        "created_at": row.created_at,
        "sent_at": row.sent_at,
        "smtp_reply": row.smtp_reply,
    }


OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        id="listMessages",
        method="GET",
        path="/messages",
        tag=_TAG,
        scope="read",
        summary="List the messages, newest first, without their texts.",
        handler=list_messages,
        query=MessagesQuery,
        body=Nothing,
        answer=schemas.MessagePage,
        problems=(Kind.NOT_FOUND,),
    ),
    Operation(
        id="getMessage",
        method="GET",
        path="/messages/{message_id}",
        tag=_TAG,
        scope="read",
        summary="Show a message with its texts and every try to send it.",
        handler=get_message,
        query=Nothing,
        body=Nothing,
        answer=schemas.MessageDetail,
    ),
    Operation(
        id="retryMessage",
        method="POST",
        path="/messages/{message_id}/retry",
        tag=_TAG,
        scope="write",
        status=202,
        summary="Queue a message that was not sent once more, with the same Message-ID.",
        handler=retry_message,
        query=Nothing,
        body=Nothing,
        answer=schemas.MessageDetail,
        problems=(Kind.CONFLICT,),
        is_repeatable=True,
    ),
    Operation(
        id="takeBounce",
        method="POST",
        path="/bounces",
        tag=_TAG,
        scope="write",
        summary="Take a report of mail that came back (RFC 3464) or was called spam (RFC 5965).",
        description="The report names the message by its Message-ID or by the address that it was sent to. Reading one "
        "twice does nothing the second time; a report about no message of ours suppresses nobody.",
        handler=take_bounce,
        query=Nothing,
        body=schemas.BounceReport,
        answer=schemas.BounceOutcome,
    ),
)
