"""One step being written: the entries so far and the state they lead to. Also how levels are named.

The only mutable thing in the package; it lives for one call of `step` and never leaves it.
"""

from datetime import datetime, timedelta

from stockwright.ledger.journal import apply
from stockwright.ledger.state import Entry, LedgerError, MemberId, Next, PoolState, Seen, Step


class Draft:
    """Collects entries and applies each at once, so that the next decision sees its effect."""

    def __init__(self, state: PoolState | None, *, pool_id: str, at: datetime) -> None:
        if state is not None and state.pool_id != pool_id:
            raise LedgerError(f"asked about pool {pool_id}, given the state of {state.pool_id}")
        self.state = state
        self.pool_id = pool_id
        self.at = at
        self._entries: list[Entry] = []
        self._notes: list[str] = []

    @property
    def pool(self) -> PoolState:
        """The state, where the caller knows that there is one."""
        if self.state is None:
            raise LedgerError(f"pool {self.pool_id} was not adopted yet")
        return self.state

    def write(self, kind: str, **data: object) -> None:
        entry = Entry(kind=kind, at=self.at, data=data)
        self.state = apply(self.state, entry)
        self._entries.append(entry)

    def note(self, sentence: str) -> None:
        """Say first what was found; the step's own sentence, what is done about it, comes last."""
        self._notes.append(sentence)

    def step(
        self,
        next: Next,
        because: str,
        *,
        wake_at: datetime | None = None,
        unequal: tuple[Seen, ...] = (),
    ) -> Step:
        return Step(
            state=self.state,
            entries=tuple(self._entries),
            next=next,
            because=" ".join((*self._notes, because)),
            wake_at=wake_at,
            unequal=unequal,
        )

    def rest(self, because: str, *, wake_at: datetime | None = None) -> Step:
        return self.step(Next.REST, because, wake_at=wake_at)

    def read(self, because: str) -> Step:
        return self.step(Next.READ, because)

    def send(self, because: str) -> Step:
        return self.step(Next.SEND, because)


def short(id: MemberId) -> str:
    """The name of a level where no title is at hand: the last part of its item's id."""
    return f"item {id.item_id.rsplit('/', 1)[-1]}"


def clock(at: datetime) -> str:
    """A time of day for a sentence, in UTC."""
    return f"{at.hour:02}:{at.minute:02}:{at.second:02} UTC"


def pause(attempt: int) -> timedelta:
    """How long to wait after the n-th failure in a row: 1, 2, 4 ... at most 60 seconds."""
    return timedelta(seconds=min(60, 2 ** min(max(attempt - 1, 0), 6)))
