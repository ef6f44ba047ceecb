"""The automation that holds a shop's settings of back-in-stock notifications, and how it is made to look at a product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from stockwright.automations.notify_options import NotifyOptions, notify_options
from stockwright.model import PRODUCT_CHECK, AutomationId, EventId, NewEvent, ShopId, Source
from stockwright.notify import KIND
from stockwright.store import automations, inbox
from stockwright.store.database import Connection
from stockwright.store.ids import new_id

SET_ADDRESS = (
    "Set STOCKWRIGHT_PUBLIC_URL to the https address under which this service is reached, and start it anew."
)


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


async def enabled_of_all(conn: Connection) -> Mapping[ShopId, Enabled]:
    """The automation of the feature of each shop that has one enabled."""
    found: dict[ShopId, Enabled] = {}
    for row in await automations.list_all(conn):
        if row.kind == KIND and row.enabled and row.shop_id not in found:
            found[row.shop_id] = Enabled(automation_id=row.automation_id, options=notify_options(row.options))
    return found


def lost_without_address(options: NotifyOptions) -> str:
    """What does not work while nobody knows the address of this service: mails must have links."""
    if options.double_opt_in and options.sign_ups:
        return (
            "Nobody can sign up to be told of a restock: addresses are to be confirmed, "
            "and without STOCKWRIGHT_PUBLIC_URL there is no link to do so."
        )
    return (
        "Nobody is told of a restock, and no sign-up is confirmed by mail: "
        "without STOCKWRIGHT_PUBLIC_URL there is no link to unsubscribe."
    )


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
