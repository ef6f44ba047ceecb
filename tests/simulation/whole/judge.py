"""The judge: what the shared stock truly is, from the shop's own history, against what ledger and levels say."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from shopify_emulator import Fault, Shop
from stockwright.ledger import wire
from stockwright.ledger.state import Entry, FreezeCode, PoolState
from stockwright.model import ShopId
from stockwright.store import pools
from stockwright.store.database import Connection
from stockwright.store.pools import JournalRow, PoolRow
from tests.simulation.whole.books import Books, Level, Trails, Violation

__all__ = ["Judge", "Judged", "Violation", "WrongLevel"]


class WrongLevel(Violation):
    """A level does not show the truth, but is off by `error`."""

    def __init__(self, message: str, *, error: int) -> None:
        super().__init__(message)
        self.error = error


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One pool, its history, and whether a booking that the rules allow without proof was wrong."""

    row: PoolRow
    state: PoolState
    entries: Sequence[Entry]
    tainted: bool

    @property
    def place(self) -> tuple[str, str]:
        """Its product and location."""
        return self.row.product_id, self.row.location_id


class Judge:
    """Judges one shop.

    Two bookings are allowed without proof and may be wrong: "assumed", where outside moves brought every row to
    its after-value; and "orders", where levels typed by hand look like our correction (not when `orders_only`).
    """

    def __init__(self, shop: Shop, shop_id: ShopId, *, orders_only: bool, once: bool) -> None:
        self._shop = shop
        self._shop_id = shop_id
        self._orders_only = orders_only
        self._once = once
        self.counts: Counter[str] = Counter()

    async def pools(self, conn: Connection) -> list[Judged]:
        """Every pool; I2 and the honesty of bookings are judged on the way."""
        self._judge_twice()
        rows = await pools.list_pools(conn, self._shop_id, product_id=None, only_frozen=False, limit=1_000)
        return [self._judged(row, await pools.journal(conn, self._shop_id, row.pool_id)) for row in rows]

    def applied(self, key: str) -> frozenset[Level]:
        """The levels that the correction with this key has moved."""
        moves = self._shop.history()
        return frozenset((move.item, move.location) for move in moves if move.idempotency_key == key)

    def half_applied(self, judged: Judged, key: str) -> bool:
        """Whether the shop executed some rows of a correction and refused others."""
        return 0 < len(self.applied(key)) < len(self._books(judged.entries).rows[key])

    def _judge_twice(self) -> None:
        ours = Counter(
            (move.idempotency_key, move.item, move.location)
            for move in self._shop.history()
            if move.idempotency_key is not None
        )
        for (key, item, _), times in ours.items():
            if times > 1:
                raise Violation(f"I2: the correction {key} moved {item} {times} times")

    def _books(self, entries: Sequence[Entry]) -> Books:
        books = Books(trails=Trails(self._shop), once=self._once)
        books.read(entries)
        return books

    def _judged(self, row: PoolRow, journal: Sequence[JournalRow]) -> Judged:
        entries = [wire.entry_from_json(line.data) for line in journal]
        state = wire.state_from_json(row.state)
        books, tainted = self._books(entries), False
        for number, entry in enumerate(entries):
            if entry.kind == "adopted":
                _judge_adoption(row, entry, is_first=number == 0)
                tainted = False  # a person has counted
            if entry.kind in ("intent_applied", "intent_not_applied"):
                tainted |= self._judge_booking(row, books, entry)
        self._judge_freeze(row, state)
        if books.doubtful:
            self.counts["joined or left by a lagging read"] += 1
        return Judged(row=row, state=state, entries=entries, tainted=tainted or books.doubtful)

    def _judge_booking(self, row: PoolRow, books: Books, entry: Entry) -> bool:
        key, how = str(entry.data["key"]), str(entry.data.get("how") or entry.data.get("why"))
        self.counts[f"booked {how}"] += 1
        applied = self.applied(key)
        if applied == (books.rows[key] if entry.kind == "intent_applied" else frozenset()):
            return False
        if how == "assumed" or (how == "orders" and not self._orders_only):
            self.counts[f"wrongly booked, {how}"] += 1
            return True
        raise Violation(
            f"I2: {row.title} has {entry.kind} {key} ({how}), and the shop applied {len(applied)} of its "
            f"{len(books.rows[key])} rows"
        )

    def _judge_freeze(self, row: PoolRow, state: PoolState) -> None:
        if state.frozen is None:
            return
        allowed = {FreezeCode.OUTCOME_UNKNOWN, FreezeCode.PARTIAL}
        if self._shop.faults.injected[Fault.KEY_MISMATCH]:
            allowed.add(FreezeCode.KEY_MISMATCH)
        if state.frozen.code not in allowed:
            raise Violation(f"{row.title} froze for {state.frozen.code}: {state.frozen.reason}")
        self.counts[f"frozen {state.frozen.code.value}"] += 1

    def truth(self, judged: Judged) -> int:
        """The shared stock of a pool now: what was adopted and all that others moved since on its members."""
        return self._books(judged.entries).stock

    def judge_at_rest(self, judged: Judged) -> None:
        """I1 and I2 of a pool that has settled: every level shows the truth, and we know what we did."""
        books = self.judge_levels(judged.row.title, judged.entries, ledger=judged.state.stock)
        members = {(id.item_id, id.location_id): member for id, member in judged.state.members.items()}
        for level, member in members.items():
            if member.confirmed != (moved := books.ours(level)):
                raise Violation(f"I2: {judged.row.title} counts {member.confirmed} of ours, the shop {moved}")

    def judge_levels(self, title: str, entries: Sequence[Entry], *, ledger: int) -> Books:
        """I1: every level of a pool with this journal shows the truth."""
        books = self._books(entries)
        errors = {level: self._shop.level(*level) - books.stock for level in books.stays}
        worst = max(errors, key=lambda level: abs(errors[level]), default=None)
        if worst is not None and errors[worst]:
            raise WrongLevel(
                f"I1: {title}: {worst[0]} shows {books.stock + errors[worst]}, the truth is {books.stock}, the "
                f"ledger says {ledger}",
                error=abs(errors[worst]),
            )
        return books

    def judge_members(self, judged: Judged, expected: Collection[Level]) -> None:
        """Who belongs to the pool, but for levels that the shop refused to correct."""
        members = {(id.item_id, id.location_id) for id in judged.state.members}
        refused = {(id.item_id, id.location_id) for id in judged.state.excluded}
        if members - refused != set(expected) - refused:
            raise Violation(
                f"{judged.row.title} has the members {sorted(members)} and should have {sorted(expected)}"
            )


def _judge_adoption(row: PoolRow, entry: Entry, *, is_first: bool) -> None:
    """Once by rule, at the start of the pool; later only by a person."""
    how, stock, by = entry.data["how"], entry.data["stock"], entry.data["by"]
    rows = entry.data["members"]
    assert isinstance(rows, list)
    levels = {member["level"] for member in rows}
    if not by and not is_first:
        raise Violation(f"{row.title} was adopted anew ({how})")
    if how == "equal" and levels != {stock}:
        raise Violation(f"{row.title} was adopted as equal at {stock} with the levels {sorted(levels)}")
    if how == "take_changed" and stock not in levels:
        raise Violation(f"{row.title} took {stock}, which no level showed: {sorted(levels)}")
