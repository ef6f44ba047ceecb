"""What a person does with mail, from the command line or a page: settings, a test, how it stands, going on."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import assert_never

from stockwright.attempt_book import Ready
from stockwright.deps import Deps
from stockwright.mail.account import Account
from stockwright.mail.addresses import checked_address, checked_text
from stockwright.mail.dkim import DkimKey, new_key
from stockwright.mail.outcome import NotSent, Outcome, Sent, Unknown, Yielded
from stockwright.mail.smtp import SmtpSender
from stockwright.mailing import NO_SERVER, account_for, compose, dkim_key, new_message, pace_of, time_text
from stockwright.model import Json, StockwrightError
from stockwright.sending import send_claimed
from stockwright.store import mail_settings, messages, wake
from stockwright.store.audit import COMMAND_LINE, Actor, audit
from stockwright.store.database import Connection
from stockwright.store.ids import new_id
from stockwright.store.mail_settings import MailSettingsRow, Queue
from stockwright.store.shops import Shop

_SECURITIES = ("starttls", "tls", "none")
_TEST_LEASE_S = 300.0


@dataclass(frozen=True, kw_only=True)
class MailStatus:
    """How mail stands for a shop."""

    settings: MailSettingsRow
    server: str  # host:port, "" when there is none
    sender: str
    problem: str  # why all mail is held; "" when it is not
    queue: Queue
    counts: Mapping[str, int]  # messages by state, without those that were sent
    now: datetime


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """What came of a test mail."""

    __test__ = False  # not a test of ours

    sent: bool
    told: str
    conversation: tuple[str, ...]  # C: ours, S: the server's, * what happens; no password


async def queue_status(deps: Deps, shop: Shop) -> MailStatus:
    """How mail stands for a shop."""
    async with deps.database.connection() as conn:
        row = await mail_settings.get(conn, shop.shop_id)
        queue = await mail_settings.queue(conn, shop.shop_id)
        counts = await messages.counts(conn, shop.shop_id)
    account, problem = _account(deps, shop, row)
    return MailStatus(
        settings=row,
        server=account.server if account else "",
        sender=account.envelope.from_address if account else "",
        problem=problem,
        queue=queue,
        counts=counts,
        now=deps.clock(),
    )


def _account(deps: Deps, shop: Shop, row: MailSettingsRow) -> tuple[Account | None, str]:
    try:
        account = account_for(deps.mailing, shop, row)
    except StockwrightError as error:
        return None, str(error)
    return account, "" if account else NO_SERVER


async def change_settings(
    deps: Deps,
    shop: Shop,
    changes: Mapping[str, Json],
    *,
    password: str | None = None,
    dkim_pem: str | None = None,
    actor: Actor = COMMAND_LINE,
) -> MailSettingsRow:
    """Change some of a shop's mail settings (fields of MailSettingsRow) and let its queue try them.

    `port` and `rate_per_minute`: 0 stands for the usual one. `password`: "" removes it, None leaves it. The `host`
    "" goes back to the installation's server, and forgets what belonged to the shop's own. `dkim_pem`: a private key;
    "" removes it, None leaves it.

    Raises:
        StockwrightError: the settings cannot be used; nothing was changed.
    """
    async with deps.database.connection() as conn, conn.transaction():
        row = former = await mail_settings.get(conn, shop.shop_id)
        if changes.get("host") == "":
            row = replace(row, port=None, username="", password=None, security="starttls")
        changed = _checked(replace(row, **_values(changes)))
        if password is not None:
            changed = replace(changed, password=deps.mailing.seal_password(password) if password else None)
        if dkim_pem is not None:
            changed = _with_dkim(deps, changed, dkim_pem)
        if changed.host and not changed.from_address:
            raise StockwrightError(
                "A mail server of the shop's own needs the address that mail comes from (--from)."
            )
        account_for(deps.mailing, shop, changed)
        await mail_settings.save(conn, shop.shop_id, changed, deps.clock())
        await _note_change(conn, actor, shop, was=former, now=changed, dkim_pem=dkim_pem, at=deps.clock())
        await wake.wake(conn, [(messages.queue_key(shop.shop_id), None)])
    return changed


async def _note_change(
    conn: Connection,
    actor: Actor,
    shop: Shop,
    *,
    was: MailSettingsRow,
    now: MailSettingsRow,
    dkim_pem: str | None,
    at: datetime,
) -> None:
    """Write down who changed what; of secrets, only that they changed."""
    changed = [
        field.name
        for field in fields(now)
        if field.name != "updated_at" and getattr(was, field.name) != getattr(now, field.name)
    ]
    detail: dict[str, Json] = {"changed": changed, "host": now.host}
    action = "mail.settings"
    if dkim_pem is not None:
        action = "mail.dkim" if dkim_pem else "mail.dkim.remove"
        detail = {"domain": now.dkim_domain, "selector": now.dkim_selector} if dkim_pem else {}
    await audit(conn, actor, action, shop.domain, detail, at=at)


def _with_dkim(deps: Deps, row: MailSettingsRow, pem: str) -> MailSettingsRow:
    if not pem:
        return replace(row, dkim_key=None, dkim_domain="", dkim_selector="")
    key = DkimKey(domain=row.dkim_domain, selector=row.dkim_selector, pem=pem)
    return replace(row, dkim_key=deps.mailing.seal_password(key.pem))


def dkim_record(deps: Deps, row: MailSettingsRow) -> tuple[str, str] | None:
    """Name and text of the TXT record that receivers look a shop's key up in; None: it has no key."""
    key = dkim_key(deps.mailing, row)
    return (key.record_name, key.record) if key else None


async def set_dkim_key(
    deps: Deps, shop: Shop, *, domain: str, selector: str, pem: str = "", actor: Actor = COMMAND_LINE
) -> MailSettingsRow:
    """Sign a shop's mail with this private key in place of the one that it has; "" makes one of 2,048 bits.

    Raises:
        StockwrightError: no key, no DNS names, or the sender's address is not of the domain.
    """
    names = {"dkim_domain": domain.strip().lower(), "dkim_selector": selector.strip().lower()}
    if not pem:
        pem = (await asyncio.to_thread(new_key, names["dkim_domain"], names["dkim_selector"])).pem
    return await change_settings(deps, shop, names, dkim_pem=pem, actor=actor)


def _values(changes: Mapping[str, Json]) -> dict[str, Json]:
    usual = {name: changes[name] or None for name in ("port", "rate_per_minute") if name in changes}
    texts = {name: value.strip() for name, value in changes.items() if isinstance(value, str)}
    return {**changes, **texts, **usual}


def _checked(row: MailSettingsRow) -> MailSettingsRow:
    if row.security not in _SECURITIES:
        raise StockwrightError(f"The security {row.security!r} is not one of {', '.join(_SECURITIES)}.")
    if not row.host and (row.username or row.port):
        raise StockwrightError(
            "A port and a user belong to a mail server of the shop's own: give --host too."
        )
    checked_text(row.from_name, what="sender's name")
    checked_text(row.postal_address, what="postal address")
    return replace(
        row,
        bounce_address=_address(row.bounce_address, "address for mail that comes back"),
        from_address=_address(row.from_address, "sender's address"),
        reply_to=_address(row.reply_to, "reply address"),
        owner_email=_address(row.owner_email, "owner's address"),
    )


def _address(text: str, what: str) -> str:
    return checked_address(text, what=what) if text else ""


async def resume(deps: Deps, shop: Shop, *, actor: Actor = COMMAND_LINE) -> None:
    """Forget a stop or a pause, and wake the queue."""
    async with deps.database.connection() as conn, conn.transaction():
        await mail_settings.clear(conn, shop.shop_id)
        await audit(conn, actor, "mail.resume", shop.domain, {}, at=deps.clock())
        await wake.wake(conn, [(messages.queue_key(shop.shop_id), None)])


async def send_test(deps: Deps, shop: Shop, *, to: str, actor: Actor = COMMAND_LINE) -> TestResult:
    """Send a test mail now, past the queue, over a connection of its own; it is kept like any other message.

    A stopped queue goes on when the test gets through.

    Raises:
        StockwrightError: there are no settings, or they cannot be used, or the address is none.
    """
    heard: list[str] = []
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        row = await mail_settings.get(conn, shop.shop_id)
        account, problem = _account(deps, shop, row)
        if account is None:
            raise StockwrightError(problem)
        data = {
            "server": account.server,
            "sender": account.envelope.from_address,
            "security": account.security.value,
            "sent_at": time_text(now, shop),
        }
        key = new_id("test", now)
        message = await compose(conn, shop, kind="test_mail", key=key, to=to, data=data)
        message_id = await messages.insert(conn, shop.shop_id, new_message(message), now)
        await audit(conn, actor, "mail.test", shop.domain, {"to": to, "server": account.server}, at=now)
        claimed = await messages.claim(
            conn, shop.shop_id, limit=1, lease_s=_TEST_LEASE_S, message_id=message_id
        )
        queue = await mail_settings.queue(conn, shop.shop_id)
    sender = SmtpSender(account, hear=heard.append)
    ready = Ready(account=account, pace=pace_of(row, shop.shop_id), queue=queue)
    try:
        outcome = await send_claimed(deps, sender, ready, claimed[0])
    finally:
        await sender.close()
    await _end_test(deps, shop, str(message_id), outcome)
    return TestResult(sent=isinstance(outcome, Sent), told=_told(outcome, to), conversation=tuple(heard))


async def _end_test(deps: Deps, shop: Shop, message_id: str, outcome: Outcome) -> None:
    """A test is not sent later: somebody looks at the answer now."""
    async with deps.database.connection() as conn, conn.transaction():
        if isinstance(outcome, Sent):
            await wake.wake(conn, [(messages.queue_key(shop.shop_id), None)])
        else:
            await messages.cancel(
                conn, shop.shop_id, message_id, reason="A test is not tried again by itself."
            )


def _told(outcome: Outcome, to: str) -> str:
    match outcome:
        case Sent(reply=reply):
            return f"Sent to {to}: {reply}"
        case Unknown(reply=reply):
            return f"Nobody knows whether it was sent to {to}: {reply}"
        case NotSent(failure=failure, reply=reply):
            return f"Not sent ({failure.value}): {reply}"
        case Yielded():
            return "Not sent: another process took the message over."
        case _:
            assert_never(outcome)
