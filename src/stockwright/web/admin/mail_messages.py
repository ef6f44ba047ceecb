"""Mail, Messages: what was sent, what waits, what failed and why; one message with every try; sending again."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from stockwright.mail.kinds import KINDS
from stockwright.mail_desk import queue_status
from stockwright.model import Conflicting, Json
from stockwright.store import messages, shops
from stockwright.store.audit import audit
from stockwright.store.messages import MessageRow
from stockwright.store.shops import Shop
from stockwright.web.admin.choices import by_id, chosen, shop_chosen
from stockwright.web.admin.mail_framing import framed, with_frames
from stockwright.web.admin.pages import Crumb, confirm, go, not_found, page
from stockwright.web.admin.routing import get, post
from stockwright.web.admin.site import Tab
from stockwright.web.admin.tables import csv_response, cursor_of, listing, rows_wanted, wants_csv
from stockwright.web.admin.visits import actor_of, deps_of, flash, visit_of

HREF = "/mail/messages"
TAB = Tab(title="Messages", href=HREF)
SAMPLES = (HREF, HREF + "/{message}", HREF + "/{failed_message}", HREF + "/{unknown_message}/retry")
STATES = {
    "pending": "waiting",
    "sending": "being sent",
    "sent": "sent",
    "failed": "failed",
    "unknown": "perhaps sent",
    "held": "held",
    "cancelled": "cancelled",
}
_AGAIN = ("failed", "unknown", "held", "cancelled")  # offered; what else is refused, the store knows
_WAITING = ("pending", "held")
_CRUMBS: tuple[Crumb, ...] = (("Mail", "/mail"), ("Messages", HREF))
_COLUMNS = (
    "message",
    "shop",
    "created_at",
    "kind",
    "to",
    "subject",
    "state",
    "reason",
    "attempts",
    "sent_at",
)


async def show_all(request: Request) -> Response:
    """The list, newest first."""
    async with deps_of(request).database.connection() as conn:
        found = await shops.list_all(conn)
        shop = shop_chosen(request, found)
        rows = await messages.list_messages(
            conn,
            shop_id=shop.shop_id if shop else None,
            state=chosen(request, "state", list(STATES)) or None,
            kind=chosen(request, "kind", list(KINDS)) or None,
            recipient=request.query_params.get("to", "").strip()[:320] or None,
            before=cursor_of(request),
            limit=rows_wanted(request),
        )
        counts = await messages.counts(conn, shop.shop_id if shop else None)
    if wants_csv(request):
        return csv_response("mail", [_csv_row(row, found) for row in rows], header=_COLUMNS)
    return page(
        request,
        "mail/messages.html",
        title="Mail",
        messages=listing(request, rows, cursor=lambda row: row.message_id),
        shops=found,
        names={shop.shop_id: shop.name or shop.domain for shop in found},
        states=STATES,
        kinds=KINDS,
        counts=counts,
        standing=await _standing(request, shop or (found[0] if len(found) == 1 else None)),
        is_filtered=any(request.query_params.get(name) for name in ("shop", "state", "kind", "to", "before")),
    )


async def _standing(request: Request, shop: Shop | None) -> dict[str, Json] | None:
    """Why a shop's mail does not go out; None while it does, or while no single shop is meant."""
    if shop is None:
        return None
    status = await queue_status(deps_of(request), shop)
    href = f"/mail/settings/{shop.shop_id}"
    if status.problem:
        return {"kind": "warn", "text": f"Mail is held: {status.problem}", "href": href}
    if status.queue.stopped_at is not None:
        return {"kind": "bad", "text": f"Mail is stopped: {status.queue.stop_reason}", "href": href}
    if status.queue.paused_until is not None and status.queue.paused_until > status.now:
        return {"kind": "warn", "text": f"Mail pauses: {status.queue.pause_reason}", "href": href}
    return None


def _csv_row(row: MessageRow, found: Sequence[Shop]) -> dict[str, Json]:
    shop = by_id(found).get(row.shop_id)
    return {
        **{name: getattr(row, name) for name in ("created_at", "kind", "subject", "state", "reason", "attempts", "sent_at")},
        "message": row.message_id,
        "shop": shop.domain if shop else "",
        "to": row.recipient,
    }  # fmt: skip


# --- one message ------------------------------------------------------------------------------------------


async def _message_of(request: Request) -> MessageRow:
    async with deps_of(request).database.connection() as conn:
        row = await messages.get(conn, request.path_params["message_id"])
    if row is None:
        raise not_found("There is no such message. Old ones are deleted after the time set under Retention.")
    return row


async def show(request: Request) -> Response:
    """A message with its parts and every try to send it."""
    row = await _message_of(request)
    async with deps_of(request).database.connection() as conn:
        tries = await messages.attempts(conn, row.shop_id, row.message_id)
        shop = await shops.get(conn, row.shop_id)
    response = page(
        request,
        "mail/message.html",
        title=row.subject,
        crumbs=_CRUMBS,
        message=row,
        tries=tries,
        shop=shop,
        words=STATES[row.state],
        kind=KINDS[row.kind].title if row.kind in KINDS else row.kind,
        may_retry=row.state in _AGAIN,
        may_cancel=row.state in _WAITING,
    )
    return with_frames(response)


async def show_html(request: Request) -> Response:
    """The HTML part, for the frame."""
    return framed((await _message_of(request)).html)


async def ask_retry(request: Request) -> Response:
    """Sending again may mean that it comes twice."""
    row = await _message_of(request)
    consequences = ["The same message goes to the same address, with the same Message-ID."]
    if row.state == "unknown":
        consequences.insert(0, "Perhaps it was delivered: then it comes twice. Ask the recipient first.")
    here = f"{HREF}/{row.message_id}"
    return confirm(
        request,
        title="Send again",
        question=f"Send “{row.subject}” to {row.recipient} again?",
        consequences=consequences,
        action=f"{here}/retry",
        submit="Send it again",
        cancel=here,
        crumbs=(*_CRUMBS, (row.subject, here)),
        danger=row.state == "unknown",
    )


async def retry(request: Request) -> Response:
    """Queue the message once more."""
    row = await _message_of(request)
    async with deps_of(request).database.connection() as conn, conn.transaction():
        detail = {"message_id": row.message_id, "to": row.recipient}
        await audit(conn, actor_of(request), "message.retry", row.subject, detail, at=visit_of(request).now)
        if not await messages.send_again(conn, row.shop_id, row.message_id):
            raise Conflicting(f"The message is {STATES[row.state]}, so it is not sent again.")
    flash(request, "It waits now, and is sent as soon as the mail server takes it.")
    return go(f"{HREF}/{row.message_id}")


async def cancel(request: Request) -> Response:
    """Do not send a message that waits."""
    row = await _message_of(request)
    actor = actor_of(request)
    async with deps_of(request).database.connection() as conn, conn.transaction():
        detail = {"message_id": row.message_id, "to": row.recipient}
        await audit(conn, actor, "message.cancel", row.subject, detail, at=visit_of(request).now)
        reason = f"{actor.name} cancelled it."
        if not await messages.cancel(conn, row.shop_id, row.message_id, reason=reason):
            raise Conflicting(f"The message is {STATES[row.state]}: only what waits can be cancelled.")
    flash(request, "It will not be sent.")
    return go(f"{HREF}/{row.message_id}")


ROUTES = (
    get(HREF, show_all),
    get(HREF + "/{message_id}", show),
    get(HREF + "/{message_id}/html", show_html),
    get(HREF + "/{message_id}/retry", ask_retry),
    post(HREF + "/{message_id}/retry", retry),
    post(HREF + "/{message_id}/cancel", cancel),
)
