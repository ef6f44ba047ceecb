"""The kinds of automation. A kind is one module and one line in `KINDS`."""

from typing import Any

from stockwright.automations.contract import Automation
from stockwright.automations.keep_in_sync_within_products import KeepInSyncWithinProducts
from stockwright.automations.notify_back_in_stock import NotifyBackInStock
from stockwright.automations.publish_back_in_stock import PublishBackInStock
from stockwright.automations.sync_across_variants import SyncAcrossVariants
from stockwright.model import StockwrightError

KINDS: dict[str, Automation[Any]] = {
    kind.kind: kind
    for kind in (KeepInSyncWithinProducts(), SyncAcrossVariants(), PublishBackInStock(), NotifyBackInStock())
}


def kind_named(kind: str) -> Automation[Any]:
    """The automation of this kind.

    Raises:
        StockwrightError: there is none; the message lists those that exist.
    """
    found = KINDS.get(kind)
    if found is None:
        raise StockwrightError(f"There is no automation kind {kind!r}. Kinds: {', '.join(KINDS)}.")
    return found
