"""Messages in every state for pages to show, with tries and what servers said."""

from datetime import timedelta

from stockwright.deps import Deps
from stockwright.mail.kinds import ERROR_REPORT, STAFF_BACK_IN_STOCK, builtin_for
from stockwright.mail.templates import sample_mail
from stockwright.model import ShopId
from stockwright.store import messages
from stockwright.store.messages import NewMessage
from tests.browser.site import RunningSite

STATES = ("sent", "failed", "unknown", "held", "cancelled", "pending")
REPLIES = {
    "sent": "250 2.0.0 Ok: queued as 9F2C1",
    "failed": "550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
    "unknown": "the connection was closed while the server had the message",
}


def fill_mail(site: RunningSite, shop_id: int) -> dict[str, str]:
    """Sixty messages; the values of the placeholders in the samples of Mail."""

    async def work(deps: Deps) -> list[str]:
        ids = []
        now = deps.clock()
        async with deps.database.connection() as conn, conn.transaction():
            for number in range(60):
                kind = ERROR_REPORT if number % 3 else STAFF_BACK_IN_STOCK
                rendered = sample_mail(kind, builtin_for(kind.name, "en")[1])
                message = NewMessage(
                    key=f"sample:{number}", kind=kind.name, to="warehouse-and-front-desk@prints.example.com",
                    subject=rendered.subject, text=rendered.text, html=rendered.html,
                )  # fmt: skip
                at = now - timedelta(minutes=7 * (60 - number))
                message_id = await messages.insert(conn, ShopId(shop_id), message, at)
                assert message_id is not None
                ids.append(message_id)
        return ids

    ids = site.run(work)
    for number, message_id in enumerate(ids):
        put_in_state(site, message_id, STATES[number % len(STATES)])
    return {"message": ids[0], "failed_message": ids[1], "unknown_message": ids[2]}


def put_in_state(site: RunningSite, message_id: str, state: str) -> None:
    """As the queue leaves a message behind."""
    reply = REPLIES.get(state, "")
    reason = {"held": "No mail server is set, so the message waits.", "cancelled": "ann cancelled it."}.get(
        state, reply
    )
    site.execute(
        "update messages set state = %s, reason = %s, smtp_reply = %s, attempts = %s,"
        " sent_at = case when %s = 'sent' then created_at + interval '3 seconds' end,"
        " next_at = case when %s = 'pending' then now() + interval '1 hour' end where message_id = %s",
        state, "" if state in ("sent", "pending") else reason, reply, 1 if reply else 0, state, state, message_id,
    )  # fmt: skip
    if reply:
        site.execute(
            "insert into message_attempts (shop_id, message_id, attempt, fence, server, started_at, finished_at, outcome, reply)"
            " select shop_id, message_id, 1, 1, 'smtp.example.com:587', created_at, created_at + interval '3 seconds', %s, %s"
            " from messages where message_id = %s",
            {"failed": "recipient"}.get(state, state), reply, message_id,
        )  # fmt: skip
