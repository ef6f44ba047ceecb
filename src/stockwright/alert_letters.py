"""The mail that tells a person of a restock: rendered once for all who get the same, and filled in for each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from stockwright.deps import Deps
from stockwright.guarding import NO_ADDRESS
from stockwright.mail.kinds import BACK_IN_STOCK
from stockwright.mail.message import Message
from stockwright.mail.series import Personal, Series, is_only_printed, series
from stockwright.mail.templates import Rendered
from stockwright.mailing import rendered_for, shop_data, texts_for
from stockwright.model import JsonObject, StockwrightError
from stockwright.notify.catalogue import ShownProduct
from stockwright.notify.links import contact_url, unsubscribe_headers
from stockwright.notify.mail_data import product_data
from stockwright.store import mail_settings
from stockwright.store.database import Connection
from stockwright.store.shops import Shop

_LIMIT = 100  # series that are kept


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """One person, and what she is told of."""

    key: str  # of the message
    subscriber_id: str  # of the first of her requests: what the links in the mail are about
    address: str
    address_hash: bytes
    first_name: str
    locale: str
    variant_ids: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What makes two mails alike but for the names and links in them."""

    product_id: str
    read_at: datetime
    variant_ids: frozenset[str]
    locale: str
    has_name: bool


@dataclass(frozen=True, kw_only=True)
class _Made:
    """How mails of a kind are made."""

    series: Series | None  # None: the template does more with a name than print it
    render: Callable[[Personal, str | None], Rendered]


class Letters:
    """Makes the messages of one hand-out."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._made: dict[_Kind, _Made] = {}

    async def message(self, conn: Connection, shop: Shop, product: ShownProduct, to: Recipient) -> Message:
        """The message for one person.

        Raises:
            MailRefused: the address or a text must not be used.
            StockwrightError: this installation has no public address.
        """
        base = self._deps.mailing.public_url
        if base is None:
            raise StockwrightError(NO_ADDRESS)
        token = self._deps.keyring.unsubscribe_token(shop.shop_id, to.subscriber_id, to.address_hash)
        link = contact_url(base, token)
        made = await self._of_kind(conn, shop, product, to)
        personal = {"first_name": to.first_name, "unsubscribe": link}
        rendered = made.series.fill(personal) if made.series else made.render(personal, None)
        return Message(
            kind=BACK_IN_STOCK.name,
            key=to.key,
            to=to.address,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            headers=unsubscribe_headers(link),
        )

    async def _of_kind(self, conn: Connection, shop: Shop, product: ShownProduct, to: Recipient) -> _Made:
        kind = _Kind(
            product_id=product.id,
            read_at=product.read_at,
            variant_ids=to.variant_ids,
            locale=to.locale,
            has_name=bool(to.first_name),
        )
        if kind not in self._made:
            if len(self._made) >= _LIMIT:
                self._made.clear()
            self._made[kind] = await _make(conn, shop, product, kind)
        return self._made[kind]


async def _make(conn: Connection, shop: Shop, product: ShownProduct, kind: _Kind) -> _Made:
    locale, texts = await texts_for(conn, shop.shop_id, BACK_IN_STOCK.name, kind.locale)
    settings = await mail_settings.get(conn, shop.shop_id)
    data: JsonObject = {
        "shop": shop_data(shop),
        "products": [product_data(product, kind.variant_ids, url=product.url)],
        "postal_address": settings.postal_address,
    }

    def render(personal: Personal, foreword: str | None) -> Rendered:
        name, link = personal.get("first_name", ""), personal["unsubscribe"]
        filled = {
            **data,
            "customer": {"first_name": name},
            "links": {"unsubscribe": link, "unsubscribe_all": link},
        }
        return rendered_for(shop, BACK_IN_STOCK.name, locale, texts, filled, foreword=foreword)

    names = ("first_name",) if kind.has_name else ()
    is_alike = not names or all(
        is_only_printed(one, "customer", "first_name") for one in vars(texts).values()
    )
    made = series(render, texts=names, links=("unsubscribe",)) if is_alike else None
    return _Made(series=made, render=render)
