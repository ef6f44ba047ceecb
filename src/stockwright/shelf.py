"""Products as they were read a moment ago, so that a batch of mails costs one read. Reads nothing itself."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from stockwright.model import ShopId
from stockwright.notify.catalogue import ShownProduct

FRESH_FOR = timedelta(seconds=5)
_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class Glance:
    """One read of a product: what it showed (None: deleted), or why the shop did not answer."""

    product: ShownProduct | None
    at: datetime
    trouble: str = ""


class Shelf:
    """The last glances of one process."""

    def __init__(self) -> None:
        self._glances: OrderedDict[tuple[ShopId, str], Glance] = OrderedDict()

    def put(self, shop_id: ShopId, product_id: str, glance: Glance) -> None:
        """Keep a glance; the oldest gives way."""
        self._glances[(shop_id, product_id)] = glance
        self._glances.move_to_end((shop_id, product_id))
        if len(self._glances) > _LIMIT:
            self._glances.popitem(last=False)

    def fresh(self, shop_id: ShopId, product_id: str, *, now: datetime, since: datetime) -> Glance | None:
        """A glance that is at most five seconds old, and not older than `since`."""
        found = self._glances.get((shop_id, product_id))
        if found is None or found.at < since or abs(now - found.at) > FRESH_FOR:
            return None
        return found
