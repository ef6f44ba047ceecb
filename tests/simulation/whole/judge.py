"""The judge: what the shared stock truly is, from the shop's own history, against what ledger and levels say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shopify_emulator import Movement, Shop
from stockwright.ledger import wire
from stockwright.ledger.state import FreezeCode, PoolState
from stockwright.model import ShopId
from stockwright.store import pools
from stockwright.store.database import Connection
from stockwright.store.pools import JournalRow, PoolRow

ALLOWED_FREEZES = (FreezeCode.OUTCOME_UNKNOWN, FreezeCode.PARTIAL)


class Violation(Exception):
    """An invariant does not hold. The message names it and shows the numbers."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One pool, its history, and whether a booking that the rules allow without proof was wrong."""

    row: PoolRow
    state: PoolState
    since: datetime  # when its levels were adopted, by a rule or later by a person
    tainted: bool


class Judge:
    """Judges one shop. `stock` is what every level showed when the pools were adopted.

    Two bookings are allowed without proof and may be wrong: "assumed", where outside moves brought every row to
    its after-value; and "orders", where levels typed by hand look like our correction (not when `orders_only`).
    """

    def __init__(self, shop: Shop, shop_id: ShopId, *, stock: int, orders_only: bool) -> None:
        self._shop = shop
        self._shop_id = shop_id
        self._stock = stock
        self._orders_only = orders_only
        self.counts: Counter[str] = Counter()

    async def pools(self, conn: Connection) -> list[Judged]:
        """Every pool; I2 and the honesty of bookings are judged on the way."""
        ours = self._applied()
        rows = await pools.list_pools(conn, self._shop_id, product_id=None, only_frozen=False, limit=1_000)
        return [
            self._judged(row, await pools.journal(conn, self._shop_id, row.pool_id), ours) for row in rows
        ]

    def applied(self, key: str) -> bool:
        """Whether the shop applied the correction with this key."""
        return key in self._applied()

    def _applied(self) -> dict[str, list[Movement]]:
        ours: dict[str, list[Movement]] = {}
        for move in self._shop.history():
            if move.idempotency_key is not None:
                ours.setdefault(move.idempotency_key, []).append(move)
        for key, moves in ours.items():
            if len({(move.item, move.location) for move in moves}) < len(moves):
                raise Violation(f"I2: the correction {key} moved a level twice")
        return ours

    def _judged(self, row: PoolRow, journal: Sequence[JournalRow], ours: dict[str, list[Movement]]) -> Judged:
        entries = [wire.entry_from_json(line.data) for line in journal]
        state = wire.state_from_json(row.state)
        tainted = False
        for entry in entries:
            if entry.kind == "adopted" and entry.data["how"] != "equal" and entry.data["by"] == "":
                raise Violation(f"{row.title} was adopted anew ({entry.data['how']})")
            if entry.kind in ("intent_applied", "intent_not_applied"):
                tainted |= self._judge_booking(
                    row, str(entry.data["key"]), entry.kind, dict(entry.data), ours
                )
        self._judge_freeze(row, state)
        adopted = [entry.at for entry in entries if entry.kind == "adopted"]
        return Judged(row=row, state=state, since=adopted[-1], tainted=tainted)

    def _judge_booking(
        self, row: PoolRow, key: str, kind: str, data: dict[str, object], ours: dict[str, list[Movement]]
    ) -> bool:
        booked, how = kind == "intent_applied", str(data.get("how") or data.get("why"))
        self.counts[f"booked {how}"] += 1
        if booked == (key in ours):
            return False
        if how == "assumed" or (how == "orders" and not self._orders_only):
            self.counts[f"wrongly booked, {how}"] += 1
            return True
        raise Violation(
            f"I2: {row.title} booked {key} as {'applied' if booked else 'not applied'} ({how}), the shop did not agree"
        )

    def _judge_freeze(self, row: PoolRow, state: PoolState) -> None:
        if state.frozen is None:
            return
        if state.frozen.code not in ALLOWED_FREEZES:
            raise Violation(f"{row.title} froze for {state.frozen.code}: {state.frozen.reason}")
        self.counts[f"frozen {state.frozen.code.value}"] += 1

    def truth(self, judged: Judged) -> int:
        """The shared stock of a pool now: what was adopted and all that others moved since."""
        members = {(id.item_id, id.location_id) for id in judged.state.members}
        return self._stock + sum(
            move.delta
            for move in self._shop.history()
            if move.cause != "api" and (move.item, move.location) in members
        )

    def judge_at_rest(self, judged: Judged) -> None:
        """I1 and I2 of a pool that has settled: every level shows the truth, and we know what we did."""
        truth = self.truth(judged)
        for id, member in judged.state.members.items():
            level = self._shop.level(id.item_id, id.location_id)
            if level != truth:
                raise Violation(
                    f"I1: {judged.row.title}: {id.item_id} shows {level}, the truth is {truth}, the ledger says "
                    f"{judged.state.stock}"
                )
            moved = sum(
                move.delta
                for move in self._shop.history()
                if move.at > judged.since
                and move.cause == "api"
                and (move.item, move.location) == (id.item_id, id.location_id)
            )
            if member.confirmed != moved:
                raise Violation(f"I2: {judged.row.title} counts {member.confirmed} of ours, the shop {moved}")
