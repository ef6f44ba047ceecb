"""Mail that came back: a report is matched with the message that it is about, and the right address is mailed no more.

Reports come by IMAP, by the API and by a command. Reading one twice does nothing the second time.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import structlog

from stockwright.deps import Deps
from stockwright.mail.bounces import NoReport, Report, Verdict, read_report
from stockwright.mail.imap import PORTS, Mailbox, read_unseen
from stockwright.mail.message import message_id
from stockwright.settings import Settings
from stockwright.store import bounces, suppressions
from stockwright.store.bounces import BounceRow, ReturnedMessage
from stockwright.store.database import Connection

LOG = structlog.get_logger(__name__)

SOFT_LIMIT = 3  # messages that bounced softly ...
SOFT_WITHIN = timedelta(days=30)  # ... within this time, after which an address is mailed no more
KEPT = timedelta(days=90)
_TAKE_LIMIT_S = 60.0  # for one report to be stored
_DELETE_BATCH, _DELETE_BATCHES = 500, 200


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What came of one recipient's part of a report."""

    report: Report
    outcome: Literal["suppressed", "counted", "noted", "read before", "not ours"]
    detail: str


async def take_report(deps: Deps, data: bytes, *, source: str) -> tuple[Taken, ...]:
    """Read a report and do what it calls for, in one transaction. `source`: imap, relay or command.

    Raises:
        NoReport: the mail is none.
    """
    reports = read_report(data)
    async with deps.database.connection() as conn, conn.transaction():
        return tuple([await _take(deps, conn, one, source) for one in reports])


async def _take(deps: Deps, conn: Connection, report: Report, source: str) -> Taken:
    message = await bounces.message_of(conn, report.number) if report.number else None
    if message is None or not _is_genuine(report, message):
        return Taken(report=report, outcome="not ours", detail="It names no message that was sent from here.")
    if not message.recipient:
        return Taken(report=report, outcome="noted", detail="The address was erased meanwhile.")
    if not await bounces.record(conn, _row(deps, report, message, source)):
        return Taken(report=report, outcome="read before", detail="This report was read before.")
    await suppressions.hold(conn, [_hash(deps, message)])
    taken = await _follow(deps, conn, report, message)
    LOG.info("mail came back", message=message.message_id, verdict=report.verdict, outcome=taken.outcome)
    return taken


def _is_genuine(report: Report, message: ReturnedMessage) -> bool:
    """Whether the Message-ID is the one that we made for it, whatever the sender's domain was then.

    A report that names no Message-ID was sent to an address with our id in it, which cannot be guessed.
    """
    if not report.message_id:
        return True
    domain = report.message_id.rpartition("@")[2].rstrip(">")
    return message_id(message.message_id, sender=f"x@{domain}") == report.message_id


def _row(deps: Deps, report: Report, message: ReturnedMessage, source: str) -> BounceRow:
    return BounceRow(
        shop_id=message.shop_id,
        bounce_id=report.digest,
        address_hash=_hash(deps, message),
        message_id=message.message_id,
        action=report.action,
        status=report.status,
        diagnostic=report.diagnostic,
        is_hard=report.verdict is Verdict.HARD,
        source=source,
        at=deps.clock(),
    )


def _hash(deps: Deps, message: ReturnedMessage) -> bytes:
    return deps.keyring.address_hash(message.shop_id, message.recipient)


async def _follow(deps: Deps, conn: Connection, report: Report, message: ReturnedMessage) -> Taken:
    match report.verdict:
        case Verdict.HARD:
            return await _give_up(deps, conn, report, message)
        case Verdict.SOFT:
            return await _count(deps, conn, report, message)
        case Verdict.COMPLAINT:
            return await _complained(deps, conn, report, message)
        case Verdict.DELAYED:
            return Taken(report=report, outcome="noted", detail="The receiving server still tries.")
        case Verdict.NONE:
            return Taken(report=report, outcome="noted", detail="Nothing went wrong.")


async def _give_up(deps: Deps, conn: Connection, report: Report, message: ReturnedMessage) -> Taken:
    """The mailbox does not exist, or has not taken mail for long: never again."""
    reason = f"The mail came back: {report.diagnostic or report.status or report.action}"
    at, address = deps.clock(), _hash(deps, message)
    await bounces.mark_bounced(conn, message, reason=reason, diagnostic=report.diagnostic, at=at)
    await bounces.suppress(conn, message.shop_id, address, "bounced", detail=reason, at=at)
    await bounces.end_waiting(conn, message.shop_id, address, "suppressed", reason=reason, at=at)
    return Taken(report=report, outcome="suppressed", detail=reason)


async def _count(deps: Deps, conn: Connection, report: Report, message: ReturnedMessage) -> Taken:
    since = deps.clock() - SOFT_WITHIN
    found = await bounces.soft_since(conn, message.shop_id, _hash(deps, message), since)
    if found >= SOFT_LIMIT:
        return await _give_up(deps, conn, report, message)
    reason = f"The mail came back for now: {report.diagnostic or report.status}"
    await bounces.mark_bounced(conn, message, reason=reason, diagnostic=report.diagnostic, at=deps.clock())
    detail = f"{found} of {SOFT_LIMIT} soft bounces in {SOFT_WITHIN.days} days; then the address is mailed no more."
    return Taken(report=report, outcome="counted", detail=detail)


async def _complained(deps: Deps, conn: Connection, report: Report, message: ReturnedMessage) -> Taken:
    """Who calls it spam wants none of it."""
    reason = "The recipient reported the mail as spam."
    at, address = deps.clock(), _hash(deps, message)
    await bounces.suppress(conn, message.shop_id, address, "complained", detail=reason, at=at)
    await bounces.end_waiting(conn, message.shop_id, address, "unsubscribed", reason=reason, at=at)
    return Taken(report=report, outcome="suppressed", detail=reason)


async def delete_old(deps: Deps) -> None:
    """Delete reports that are kept no longer, in small transactions."""
    for _ in range(_DELETE_BATCHES):
        async with deps.database.connection() as conn:
            if (
                await bounces.delete_old(conn, before=deps.clock() - KEPT, limit=_DELETE_BATCH)
                < _DELETE_BATCH
            ):
                return


def bounce_mailbox(settings: Settings) -> Mailbox | None:
    """The mailbox that mail comes back to; None when none is set.

    Raises:
        StockwrightError: settings that cannot be used.
    """
    if settings.bounce_imap_host is None:
        return None
    password = settings.bounce_imap_password
    return Mailbox(
        host=settings.bounce_imap_host,
        port=settings.bounce_imap_port or PORTS[settings.bounce_imap_security],
        security=settings.bounce_imap_security,
        user=settings.bounce_imap_user,
        password=password.get_secret_value() if password else "",
        folder=settings.bounce_imap_folder,
    )


async def read_mailbox(deps: Deps, mailbox: Mailbox) -> int:
    """Read what came back since the last visit; how many mails. Each is marked as seen once it was dealt with.

    Raises:
        MailboxUnreachable: it could not be read; the next visit goes on there.
    """
    loop = asyncio.get_running_loop()

    def take(data: bytes) -> None:
        asyncio.run_coroutine_threadsafe(_take_mail(deps, data), loop).result(_TAKE_LIMIT_S)

    return await asyncio.to_thread(read_unseen, mailbox, take)


async def _take_mail(deps: Deps, data: bytes) -> None:
    try:
        await take_report(deps, data, source="imap")
    except NoReport as error:
        LOG.info("a mail in the mailbox for returned mail is no report", reason=str(error))
