"""What happens in one seed, line by line with its moment, for whoever replays it. Tells the same for the same seed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shopify_emulator import Shop
from stockwright.model import ShopId
from stockwright.store import pools, runs
from stockwright.store.database import Pool
from tests.journey.service import Request

Tell = Callable[[str], None]


def untold(_line: str) -> None:
    """Nobody listens."""


class Diary:
    """Tells what is new in the shop and among our requests each time it looks."""

    def __init__(self, shop: Shop, tell: Tell) -> None:
        self._shop = shop
        self._told = tell
        self._began = shop.clock.now()
        self._moves = 0
        self._requests = 0
        self._faults: Counter[str] = Counter()

    def tell(self, line: str, *, at: datetime | None = None) -> None:
        """One line, of now or of a moment."""
        if self._told is not untold:
            passed_s = ((at or self._shop.clock.now()) - self._began).total_seconds()
            self._told(f"{passed_s:10.3f} s  {line}")

    def look(self, requests: Sequence[Request]) -> None:
        """Requests, faults and movements since the last look."""
        if self._told is untold:
            return
        for request in requests[self._requests :]:
            self.tell(f"sent: {request.operation} {_corrected(request.variables)}", at=request.at)
        self._requests = len(requests)
        faults = Counter({str(kind): count for kind, count in self._shop.faults.injected.items()})
        for kind, count in sorted((faults - self._faults).items()):
            self.tell(f"fault: {kind}" + (f", {count} times" if count > 1 else ""))
        self._faults = faults
        history = self._shop.history()
        for move in history[self._moves :]:
            where = f"{_short(move.item)} at {_short(move.location)}"
            self.tell(f"moved: {where} by {move.delta:+} to {move.after} ({move.cause})", at=move.at)
        self._moves = len(history)

    async def tell_journals(self, database: Pool, shop_id: ShopId) -> None:
        """What each run gave as its reason, and what the ledger wrote of each pool that is left."""
        if self._told is untold:
            return
        async with database.connection() as conn:
            self.tell("the runs:")
            listed = await runs.list_runs(conn, shop_id=shop_id, limit=10_000)
            for run in sorted(listed, key=lambda run: (run.started_at, run.because)):
                self.tell(f"  {run.state}: {run.because}", at=run.started_at)
            rows = await pools.list_pools(conn, shop_id, product_id=None, only_frozen=False, limit=1_000)
            for row in rows:
                self.tell(f"the journal of {row.title}:")
                for line in await pools.journal(conn, shop_id, row.pool_id):
                    self.tell(f"  {line.kind} {line.data['data']}", at=line.at)


def _short(gid: str) -> str:
    return " ".join(gid.rsplit("/", 2)[-2:])


def _corrected(variables: Mapping[str, Any]) -> str:
    changes = variables.get("input", {}).get("changes", ())
    rows = [
        f"{_short(row['inventoryItemId'])} from {row['changeFromQuantity']} by {row['delta']:+}"
        for row in changes
    ]
    return ", ".join(rows)
