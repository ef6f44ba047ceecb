"""The automation that holds a shop's settings of back-in-stock notifications, and how it is made to look at a product."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stockwright.automations.notify_options import NotifyOptions, notify_options
from stockwright.model import PRODUCT_CHECK, AutomationId, EventId, NewEvent, ShopId, Source
from stockwright.store import automations, inbox
from stockwright.store.database import Connection
from stockwright.store.ids import new_id

KIND = "notify-back-in-stock"


@dataclass(frozen=True, kw_only=True)
class Enabled:
    """The automation that is in force."""

    automation_id: AutomationId
    options: NotifyOptions


async def enabled(conn: Connection, shop_id: ShopId) -> Enabled | None:
    """The shop's automation of the feature; None when none is enabled. Of several the oldest counts."""
    for row in await automations.list_all(conn, shop_id):
        if row.kind == KIND and row.enabled:
            return Enabled(automation_id=row.automation_id, options=notify_options(row.options))
    return None


async def look_at(
    conn: Connection,
    shop_id: ShopId,
    found: Enabled,
    product_ids: Sequence[str],
    *,
    at: datetime,
    because: str = "somebody signed up",
) -> None:
    """Have these products looked at, in the caller's transaction: somebody waits who did not before, or an offer has it.

    So a restock between the look that let the person sign up and the commit is not missed. Wakes keys: call it late.
    """
    events = [
        NewEvent(
            shop_id=shop_id,
            event_id=EventId(new_id("evt", at)),
            topic=PRODUCT_CHECK,
            payload={"because": because},
            source=Source.PERSON,
            subject=product_id,
            automation_id=found.automation_id,
        )
        for product_id in product_ids
    ]
    await inbox.receive(conn, events)
