"""A tiny shop and the driver of one pool, for the ledger's tests: levels, stamps, one clock, no faults
but those a test asks for. Every step is checked: the journal replays to the state, and JSON keeps it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from stockwright.ledger import protocol
from stockwright.ledger.journal import replay
from stockwright.ledger.state import (
    Entry,
    Input,
    Intent,
    IntentRow,
    MemberId,
    Next,
    Observation,
    Outcome,
    Policy,
    PoolState,
    Reply,
    Resolution,
    Resolve,
    Seen,
    Step,
    Tick,
)
from stockwright.ledger.wire import entry_from_json, entry_to_json, state_from_json, state_to_json

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MOMENT_S = 0.010001  # time that every movement takes, so that no two stamps are equal


def level(name: str, location: str = "main") -> MemberId:
    return MemberId(f"gid://shopify/InventoryItem/{name}", f"gid://shopify/Location/{location}")


@dataclass
class TinyShop:
    """Levels by name ("A", "B" ...) and one pool that shares them."""

    levels: dict[str, int | None]
    units: dict[str, int] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    state: PoolState | None = None
    journal: list[Entry] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    why_not: dict[str, str] = field(default_factory=dict)
    whole_second_stamps: bool = False
    writes: int = 0
    now: datetime = START
    reads: int = 0

    def __post_init__(self) -> None:
        self.stamps = dict.fromkeys(self.levels, self.now)

    # --- the world moves --------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def move(self, name: str, by: int) -> None:
        self.set(name, (self.levels[name] or 0) + by)

    def set(self, name: str, to: int | None) -> None:
        self.wait(MOMENT_S)
        self.levels[name] = to
        self.stamps[name] = self.now.replace(microsecond=0) if self.whole_second_stamps else self.now

    def execute(self, rows: tuple[IntentRow, ...]) -> Outcome:
        """The write as Shopify does it: all rows or none."""
        names = {level(name): name for name in self.levels}
        if any(self.levels[names[row.member]] != row.from_quantity for row in rows):
            return Outcome.STALE
        for row in rows:
            self.move(names[row.member], row.delta)
        self.writes += 1
        return Outcome.APPLIED

    # --- the driver --------------------------------------------------------------------------

    def feed(self, input: Input) -> Step:
        before = self.state
        step = protocol.step(before, input, self.policy, pool_id="pool")
        assert protocol.step(before, input, self.policy, pool_id="pool") == step, "not deterministic"
        self.journal += step.entries
        self.state = step.state
        self.steps.append(step)
        self._check()
        return step

    def take(self, step: Step) -> Step:
        """Store a step that no input of the protocol led to."""
        self.journal += step.entries
        self.state = step.state
        self._check()
        return step

    def _check(self) -> None:
        if self.state is None:
            return
        assert self.state.version == len(self.journal)
        assert replay(entry_from_json(entry_to_json(entry)) for entry in self.journal) == self.state
        assert state_from_json(state_to_json(self.state)) == self.state

    def seen(self, *names: str) -> tuple[Seen, ...]:
        return tuple(
            Seen(
                id=level(name),
                units=self.units.get(name, 1),
                available=self.levels[name],
                stamp=self.stamps.get(name),
                why_not=self.why_not.get(name, ""),
            )
            for name in names or self.levels
        )

    def observation(
        self,
        *names: str,
        changed: str = "",
        order_moves: dict[str, int] | None = None,
        refunds: dict[str, int] | None = None,
    ) -> Observation:
        self.reads += 1
        return Observation(
            at=self.now,
            seen=self.seen(*names),
            key=f"key-{self.reads}",
            changed=frozenset(level(name) for name in changed),
            order_moves=_by_level(order_moves),
            refunds=_by_level(refunds),
        )

    def observe(
        self,
        *names: str,
        changed: str = "",
        order_moves: dict[str, int] | None = None,
        refunds: dict[str, int] | None = None,
    ) -> Step:
        self.wait(MOMENT_S)
        return self.feed(self.observation(*names, changed=changed, order_moves=order_moves, refunds=refunds))

    def answer(
        self, outcome: Outcome, *, key: str | None = None, detail: str = "", offenders: str = ""
    ) -> Step:
        self.wait(MOMENT_S)
        if key is None:
            key = self.intent.key
        ids = tuple(level(name) for name in offenders)
        return self.feed(Reply(at=self.now, key=key, outcome=outcome, detail=detail, offenders=ids))

    def tick(self) -> Step:
        return self.feed(Tick(at=self.now))

    def resolve(
        self, resolution: Resolution, *, stock: int | None = None, observation: Observation | None = None
    ) -> Step:
        decision = Resolve(at=self.now, by="Ada", resolution=resolution, stock=stock, observation=observation)
        return self.feed(decision)

    def deliver(self) -> Step:
        """Send the open correction and hear the answer."""
        return self.answer(self.execute(self.intent.rows))

    def lose(self, *, applied: bool) -> Step:
        """Send the open correction; the request or its answer is lost on the way."""
        if applied:
            assert self.execute(self.intent.rows) is Outcome.APPLIED
        return self.answer(Outcome.UNKNOWN, detail="time-out")

    def carry(self, step: Step | None = None, *, patience: int = 60) -> Step:
        """Do what each step says, waiting where it says so, until the pool rests for good."""
        step = step or self.observe()
        for _ in range(patience):
            if step.next is Next.SEND:
                step = self.deliver()
            elif step.next is Next.READ:
                step = self.observe()
            elif step.wake_at is not None:
                self.now = max(self.now, step.wake_at)
                step = self.tick()
            else:
                return step
        raise AssertionError(f"never rests; last: {step.because}")

    # --- what tests ask -----------------------------------------------------------------------

    @property
    def pool(self) -> PoolState:
        assert self.state is not None
        return self.state

    @property
    def intent(self) -> Intent:
        assert self.pool.intent is not None
        return self.pool.intent

    def shown(self) -> tuple[int | None, ...]:
        return tuple(self.levels.values())

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.journal]


def _by_level(numbers: dict[str, int] | None) -> dict[MemberId, int] | None:
    return None if numbers is None else {level(name): number for name, number in numbers.items()}


def adopted(*levels: int, units: tuple[int, ...] = (), policy: Policy | None = None) -> TinyShop:
    """A shop whose levels, named A, B, C ..., are adopted and in step."""
    names = "ABCDEFGHIJKLMNOP"[: len(levels)]
    shop = TinyShop(
        levels=dict(zip(names, levels, strict=True)),
        units=dict(zip(names, units, strict=False)),
        policy=policy or Policy(),
    )
    shop.carry()
    shop.writes = 0
    shop.wait(10)
    return shop
