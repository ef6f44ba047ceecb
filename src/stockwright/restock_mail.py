"""The staff mail about products that are back in stock: from the decision to a message in the queue.

Everything happens in the caller's transaction: the message, and the mark on each restock that it tells of.
"""

from datetime import datetime

import structlog

from stockwright.automations.contract import RestockMail, Unmailed
from stockwright.deps import Deps
from stockwright.mail.addresses import MailRefused
from stockwright.mail.kinds import STAFF_BACK_IN_STOCK
from stockwright.mailing import queue_mail, run_data
from stockwright.model import EffectId, JsonObject, RunId, gid_number
from stockwright.situations import Loaded
from stockwright.store import restocks
from stockwright.store.database import Connection
from stockwright.store.runs import EffectRow

LOG = structlog.get_logger(__name__)

_LISTED = 100  # as the template promises


async def queue_restock_mail(
    deps: Deps,
    conn: Connection,
    loaded: Loaded,
    mail: RestockMail,
    *,
    run_id: RunId,
    effect_id: EffectId,
    at: datetime,
) -> EffectRow:
    """Queue the mail once and mark what it tells of; the effect as it ended.

    Raises:
        pools.Conflict: another mail tells of one of the products.
    """
    told = [one.wave_id for one in mail.products]
    await restocks.mark_mailed(conn, loaded.key.shop_id, loaded.key.automation_id, told, mail_key=mail.key)
    state, result = await _queue(deps, conn, loaded, mail, run_id, at)
    return EffectRow(
        effect_id=effect_id,
        kind="mail",
        payload={"key": mail.key, "to": mail.to, "products": [one.title for one in mail.products]},
        state=state,
        result=result,
        created_at=at,
        finished_at=at,
    )


async def _queue(
    deps: Deps, conn: Connection, loaded: Loaded, mail: RestockMail, run_id: RunId, at: datetime
) -> tuple[str, JsonObject]:
    """The effect's state and result. An address that mail must not go to is told, and not tried again."""
    kind = STAFF_BACK_IN_STOCK.name
    data = _data(deps, loaded, mail, run_id)
    try:
        queued = await queue_mail(conn, loaded.shop, kind=kind, key=mail.key, to=mail.to, data=data, at=at)
    except MailRefused as error:
        LOG.warning("staff cannot be told of a restock", shop=loaded.shop.domain, error=str(error))
        return "failed", {"detail": str(error)}
    return "done", {"queued": queued}


def _data(deps: Deps, loaded: Loaded, mail: RestockMail, run_id: RunId) -> JsonObject:
    listed = mail.products[:_LISTED]
    return {
        "automation": {"name": loaded.situation.name},
        "run": run_data(deps.mailing, run_id),
        "product_count": len(mail.products),
        "more_count": len(mail.products) - len(listed),
        "products": [_product(loaded.shop.domain, one) for one in listed],
    }


def _product(domain: str, one: Unmailed) -> JsonObject:
    return {
        "title": one.title,
        "admin_url": f"https://{domain}/admin/products/{gid_number(one.product_id)}",
        "quantity": one.quantity,
        "channels": list(one.channels),
    }
