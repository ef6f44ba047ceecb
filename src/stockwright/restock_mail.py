"""The staff mail about products that are back in stock: from the decision to a message in the queue.

Everything happens in the caller's transaction: the message, and the mark on each restock that it tells of.
"""

from collections.abc import Mapping
from datetime import datetime

import structlog

from stockwright.automations.contract import RestockMail, Unmailed
from stockwright.mail.kinds import STAFF_BACK_IN_STOCK, Texts, builtin_for, locales_for
from stockwright.mail.message import Message
from stockwright.mail.templates import Rendered, TemplateFailed, render
from stockwright.model import EffectId, JsonObject, RunId, gid_number
from stockwright.situations import Loaded
from stockwright.store import messages, restocks, templates
from stockwright.store.database import Connection
from stockwright.store.messages import NewMessage
from stockwright.store.runs import EffectRow

LOG = structlog.get_logger(__name__)

_LOCALE = "en"
_LISTED = 100  # as the template promises


async def queue_mail(
    conn: Connection, loaded: Loaded, mail: RestockMail, run_id: RunId, effect_id: EffectId, at: datetime
) -> EffectRow:
    """Queue the mail once and mark what it tells of; the effect, done.

    Raises:
        pools.Conflict: another mail tells of one of the products.
    """
    shop_id, automation_id = loaded.key.shop_id, loaded.key.automation_id
    told = [one.wave_id for one in mail.products]
    await restocks.mark_mailed(conn, shop_id, automation_id, told, mail_key=mail.key)
    rendered = await _rendered(conn, loaded, _data(loaded, mail, run_id))
    message = Message(
        kind=STAFF_BACK_IN_STOCK.name,
        key=mail.key,
        to=mail.to,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )
    queued = await messages.enqueue(conn, shop_id, _new_message(message), at)
    return EffectRow(
        effect_id=effect_id,
        kind="mail",
        payload={"key": mail.key, "to": mail.to, "products": [one.title for one in mail.products]},
        state="done",
        result={"queued": queued, "subject": message.subject},
        created_at=at,
        finished_at=at,
    )


def _new_message(message: Message) -> NewMessage:
    return NewMessage(
        key=message.key,
        kind=message.kind,
        to=message.to,
        subject=message.subject,
        text=message.text,
        html=message.html,
    )


async def _rendered(conn: Connection, loaded: Loaded, data: JsonObject) -> Rendered:
    """The shop's own template; one that fails gives way to the built-in one, so that the mail goes out."""
    locales = locales_for(_LOCALE)
    own = await templates.get(conn, loaded.key.shop_id, STAFF_BACK_IN_STOCK.name, locales=locales)
    if own is not None:
        try:
            texts = Texts(subject=own.subject, text=own.text, html=own.html)
            return render(STAFF_BACK_IN_STOCK, texts, data, locale=own.locale)
        except TemplateFailed as error:
            LOG.warning(
                "the shop's mail template failed; the built-in one is used",
                shop=loaded.shop.domain,
                template=STAFF_BACK_IN_STOCK.name,
                error=str(error),
            )
    locale, texts = builtin_for(STAFF_BACK_IN_STOCK.name, _LOCALE)
    return render(STAFF_BACK_IN_STOCK, texts, data, locale=locale)


def _data(loaded: Loaded, mail: RestockMail, run_id: RunId) -> JsonObject:
    shop, listed = loaded.shop, mail.products[:_LISTED]
    return {
        "shop": {"name": shop.name or shop.domain, "domain": shop.domain, "url": f"https://{shop.domain}"},
        "automation": {"name": loaded.situation.name},
        "run": {"id": run_id, "url": "", "command": f"stockwright explain {run_id}"},
        "product_count": len(mail.products),
        "more_count": len(mail.products) - len(listed),
        "products": [_product(shop.domain, one) for one in listed],
    }


def _product(domain: str, one: Unmailed) -> Mapping[str, object]:
    return {
        "title": one.title,
        "admin_url": f"https://{domain}/admin/products/{gid_number(one.product_id)}",
        "quantity": one.quantity,
        "channels": list(one.channels),
    }
