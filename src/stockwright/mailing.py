"""What the steps know of mail: which account a shop's mail goes through, its texts, and how a message is queued.

Sends nothing. Queueing is part of the caller's transaction, so a message exists exactly when its reason does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

import structlog

from stockwright.mail.account import PORTS, Account, Security
from stockwright.mail.dkim import DkimKey
from stockwright.mail.kinds import Kind, Texts, builtin_for, kind_named, locales_for
from stockwright.mail.message import Envelope, Message
from stockwright.mail.smtp import Sender, SmtpSender
from stockwright.mail.templates import Rendered, TemplateFailed, render
from stockwright.model import JsonObject, ShopId, StockwrightError
from stockwright.schedules import time_zone
from stockwright.settings import Settings
from stockwright.store import mail_settings, messages, templates
from stockwright.store.database import Connection
from stockwright.store.mail_settings import MailSettingsRow
from stockwright.store.messages import NewMessage
from stockwright.store.shops import Shop

LOG = structlog.get_logger(__name__)

NO_SERVER = (
    "No mail server is set, so the message waits. Set one for the shop (Mail, Settings) or for all "
    "(STOCKWRIGHT_SMTP_HOST and STOCKWRIGHT_SMTP_FROM)."
)
_IDLE_SENDERS = 8  # open connections that are kept for the next message


class Senders:
    """Open connections to mail servers: lent to one queue at a time, kept open between messages."""

    def __init__(self, connect: Callable[[Account], Sender] = SmtpSender) -> None:
        self._connect = connect
        self._idle: list[tuple[str, Sender]] = []

    @asynccontextmanager
    async def lend(self, account: Account) -> AsyncIterator[Sender]:
        """A sender of this account, for the block alone."""
        sender = self._take(account) or self._connect(account)
        try:
            yield sender
        except BaseException:
            await sender.close()
            raise
        self._idle.append((account.digest, sender))
        while len(self._idle) > _IDLE_SENDERS:
            await self._idle.pop(0)[1].close()

    def _take(self, account: Account) -> Sender | None:
        for no, (digest, sender) in enumerate(self._idle):
            if digest == account.digest:
                del self._idle[no]
                return sender
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all that are not lent."""
        while self._idle:
            await self._idle.pop()[1].close()


def _no_passwords(_sealed: bytes) -> str:
    raise StockwrightError("Passwords of mail accounts cannot be opened here.")


def _no_sealing(_password: str) -> bytes:
    raise StockwrightError("Passwords of mail accounts cannot be sealed here.")


@dataclass(frozen=True, kw_only=True)
class Mailing:
    """What the installation says of mail; the defaults hold all mail."""

    account: Account | None = None  # for shops without one of their own
    owner_email: str = ""
    public_url: str | None = None
    open_password: Callable[[bytes], str] = _no_passwords
    seal_password: Callable[[str], bytes] = _no_sealing
    senders: Senders = field(default_factory=Senders)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


def installation_account(settings: Settings) -> Account | None:
    """The mail service of the settings; None when no host is set.

    Raises:
        StockwrightError: settings that cannot be used.
    """
    if settings.smtp_host is None:
        return None
    if settings.smtp_from is None:
        raise StockwrightError(
            "STOCKWRIGHT_SMTP_HOST is set and STOCKWRIGHT_SMTP_FROM is not: set the address that mail comes from."
        )
    security = Security(settings.smtp_security)
    password = settings.smtp_password
    return Account(
        host=settings.smtp_host,
        port=settings.smtp_port or PORTS[security],
        security=security,
        envelope=Envelope(
            from_address=settings.smtp_from,
            from_name=settings.smtp_from_name,
            reply_to=settings.smtp_reply_to or "",
        ),
        username=settings.smtp_user or "",
        password=password.get_secret_value() if password else "",
        ehlo_name=settings.smtp_ehlo_name,
        ca_file=settings.smtp_ca_file,
        verify=settings.smtp_verify,
        allow_plain=settings.smtp_allow_plain,
        rate_per_minute=settings.smtp_rate_per_minute,
        timeout_s=settings.smtp_timeout_s,
    )


def account_for(mailing: Mailing, shop: Shop, row: MailSettingsRow) -> Account | None:
    """The account that a shop's mail goes through; None: there is none yet.

    Raises:
        StockwrightError: settings that cannot be used.
    """
    general = mailing.account
    if row.host:
        return _own_account(mailing, shop, row)
    if general is None:
        return None
    envelope = Envelope(
        from_address=row.from_address or general.envelope.from_address,
        from_name=row.from_name or general.envelope.from_name or shop.name,
        reply_to=row.reply_to or general.envelope.reply_to,
        bounce_address=row.bounce_address,
    )
    return replace(general, envelope=envelope, dkim=dkim_key(mailing, row))


def _own_account(mailing: Mailing, shop: Shop, row: MailSettingsRow) -> Account:
    general = mailing.account
    security = Security(row.security)
    envelope = Envelope(
        from_address=row.from_address,
        from_name=row.from_name or shop.name,
        reply_to=row.reply_to,
        bounce_address=row.bounce_address,
    )
    account = Account(
        host=row.host,
        port=row.port or PORTS[security],
        security=security,
        envelope=envelope,
        username=row.username,
        password=mailing.open_password(row.password) if row.password else "",
        verify=row.verify,
        allow_plain=row.allow_plain,
        dkim=dkim_key(mailing, row),
    )
    if row.rate_per_minute is not None:
        account = replace(account, rate_per_minute=row.rate_per_minute)
    if general is not None:
        account = replace(
            account, ca_file=general.ca_file, ehlo_name=general.ehlo_name, timeout_s=general.timeout_s
        )
    return account


def dkim_key(mailing: Mailing, row: MailSettingsRow) -> DkimKey | None:
    """The key that signs a shop's mail; None: mail is not signed here."""
    if not row.dkim_domain or not row.dkim_key:
        return None
    pem = mailing.open_password(row.dkim_key)
    return DkimKey(domain=row.dkim_domain, selector=row.dkim_selector, pem=pem)


def pace_of(row: MailSettingsRow, shop_id: ShopId) -> int:
    """Whose pace the shop's mail keeps: its own, or the one that shops without a server share."""
    return shop_id if row.host else mail_settings.INSTALLATION


# --- queueing -------------------------------------------------------------------------------------------------


async def queue_mail(
    conn: Connection,
    shop: Shop,
    *,
    kind: str,
    key: str,
    to: str,
    data: JsonObject,
    at: datetime,
    locale: str = "en",
    headers: Mapping[str, str] | None = None,
) -> bool:
    """Render a template and queue the message in the caller's transaction; False: its key is there already.

    Call it last in the transaction. `data` has the shape of the kind's sample, `shop` is filled in here.

    Raises:
        MailRefused: the address or a header must not be used.
    """
    message = await compose(
        conn, shop, kind=kind, key=key, to=to, data=data, locale=locale, headers=headers or {}
    )
    return await messages.enqueue(conn, shop.shop_id, new_message(message), at)


async def compose(
    conn: Connection,
    shop: Shop,
    *,
    kind: str,
    key: str,
    to: str,
    data: JsonObject,
    locale: str = "en",
    headers: Mapping[str, str] | None = None,
) -> Message:
    """A message with the shop's own texts, or the built-in ones."""
    filled = {"shop": shop_data(shop), **data}
    found, texts = await texts_for(conn, shop.shop_id, kind, locale)
    rendered = rendered_for(shop, kind, found, texts, filled)
    return Message(
        kind=kind,
        key=key,
        to=to,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        headers=headers or {},
    )


def rendered_for(
    shop: Shop, kind: str, locale: str, texts: Texts, data: JsonObject, *, foreword: str | None = None
) -> Rendered:
    """A template filled in; by the built-in one where a shop's own fails. `foreword` as for `render`."""
    footer = footer_of(kind_named(kind), shop)
    try:
        return render(kind_named(kind), texts, data, locale=locale, footer=footer, foreword=foreword)
    except TemplateFailed as error:
        LOG.warning(
            "a shop's mail template failed; the built-in one is used",
            shop=shop.domain,
            kind=kind,
            error=str(error),
        )
        found, builtin = builtin_for(kind, locale)
        return render(kind_named(kind), builtin, data, locale=found, footer=footer, foreword=foreword)


async def texts_for(conn: Connection, shop_id: ShopId, kind: str, locale: str) -> tuple[str, Texts]:
    """The texts to use, and their locale: the nearest locale first, a shop's own before the built-in ones."""
    chain = locales_for(locale)
    found, texts = builtin_for(kind, locale)
    own = await templates.get(conn, shop_id, kind, locales=chain)
    if own is None or chain.index(own.locale) > chain.index(found):
        return found, texts
    return own.locale, Texts(subject=own.subject, text=own.text, html=own.html)


def footer_of(kind: Kind, shop: Shop) -> str:
    """The line under a mail; shoppers have asked the shop, and read nothing of us."""
    return "" if kind.to_shoppers else f"Sent by Stockwright for {shop.domain}"


def shop_data(shop: Shop) -> JsonObject:
    """What every template may say of the shop."""
    return {
        "name": shop.name or shop.domain,
        "domain": shop.domain,
        "url": f"https://{shop.primary_host or shop.domain}",
    }


def run_data(mailing: Mailing, run_id: str) -> dict[str, str]:
    """How a mail points to a run."""
    url = mailing.public_url
    return {
        "id": run_id,
        "url": f"{url}/runs/{run_id}" if url else "",
        "command": f"stockwright explain {run_id}",
    }


def time_text(at: datetime, shop: Shop) -> str:
    """A moment in the shop's time zone, e.g. 20 Nov 2026, 14:05 CET."""
    zone = time_zone(shop.timezone) or ZoneInfo("UTC")
    return f"{at.astimezone(zone):%d %b %Y, %H:%M %Z}".lstrip("0")


def new_message(message: Message) -> NewMessage:
    """A checked message as it is stored."""
    return NewMessage(
        key=message.key,
        kind=message.kind,
        to=message.to,
        subject=message.subject,
        text=message.text,
        html=message.html,
        headers=dict(message.headers),
        from_name=message.from_name,
        reply_to=message.reply_to,
    )
