"""Any order of sales, edits, lost messages and restarts: the identities hold, and rest means the truth."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stockwright.ledger.state import Next, Outcome, Policy, Resolution
from tests.unit.ledger_shop import TinyShop, adopted, level

NAMES = "ABC"
moves = st.tuples(st.just("move"), st.sampled_from(NAMES), st.integers(-3, 3).filter(bool))
acts = st.sampled_from(
    [
        ("observe",),
        ("deliver",),
        ("lose", True),
        ("lose", False),
        ("late",),
        ("answer", Outcome.NOT_SENT),
        ("answer", Outcome.THROTTLED),
        ("answer", Outcome.IN_PROGRESS),
        ("answer", Outcome.PREVIOUS_FAILED),
        ("tick",),
        ("wait", 1),
        ("wait", 6),
        ("wait", 130),
        ("hide", "C"),
        ("show", "C"),
    ]
)
schedules = st.lists(st.one_of(moves, moves, acts, acts), max_size=25)
exactly = Policy(on_unknown="certain", bulk_raise="sum")


class Play:
    """Plays a schedule; keeps the true stock and the request that is still on its way."""

    def __init__(self, shop: TinyShop) -> None:
        self.shop = shop
        self.truth = shop.pool.stock
        self.delayed = None

    def do(self, act) -> None:  # type: ignore[no-untyped-def]
        shop, kind, *rest = self.shop, *act
        open_ = shop.pool.intent
        in_flight = open_ is not None and open_.resend_at is None and open_.unknown_since is None
        match kind, *rest:
            case "move", name, by:
                # What a level does before it joins or after it left is its own affair.
                shop.move(name, by)
                self.truth += shop.units.get(name, 1) * by * (level(name) in shop.pool.members)
            case ("observe",):
                shop.observe()
            case ("tick",):
                shop.tick()
            case "wait", seconds:
                self._arrive()
                shop.wait(seconds)
            case ("deliver",):
                if in_flight:
                    shop.deliver()
            case "lose", applied:
                if in_flight:
                    if applied:
                        shop.execute(open_.rows)
                    shop.answer(Outcome.UNKNOWN)
            case ("late",):
                if in_flight and self.delayed is None:
                    self.delayed = open_.rows
                    shop.answer(Outcome.UNKNOWN)
            case "answer", outcome:
                if in_flight:
                    shop.answer(outcome)
            case "hide", name:
                if open_ is None and not self._unseen(name):
                    shop.why_not[name] = "untracked"
                    shop.observe()
            case "show", name:
                shop.why_not.pop(name, None)

    def _unseen(self, name: str) -> bool:
        """Whether the member moved since it was read: leaving would lose that, by definition."""
        member = self.shop.pool.members.get(level(name))
        return member is None or member.expected != self.shop.levels[name]

    def _arrive(self) -> None:
        """A delayed request arrives while it still can."""
        if self.delayed is not None:
            self.shop.execute(self.delayed)
            self.delayed = None

    def finish(self) -> None:
        self._arrive()
        self.shop.why_not.clear()
        self.shop.wait(130)
        self.shop.carry(patience=200)


def goals(shop: TinyShop, stock: int) -> tuple[int, ...]:
    return tuple(stock // shop.units.get(name, 1) for name in shop.levels)


quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(schedules, st.sampled_from([(1, 1, 1), (1, 2, 1), (1, 2, 3)]))
def test_rest_is_either_the_truth_or_an_honest_freeze(schedule, units) -> None:  # type: ignore[no-untyped-def]
    shop = adopted(*(30 // u for u in units), units=units, policy=exactly)
    play = Play(shop)
    for act in schedule:
        play.do(act)
    play.finish()
    if shop.pool.frozen is None:
        assert shop.pool.stock == play.truth
        assert shop.shown() == goals(shop, play.truth)
    else:
        assert "lost" in shop.pool.frozen.reason


@quick
@given(schedules)
def test_after_rest_nothing_is_written_and_nothing_journaled(schedule) -> None:  # type: ignore[no-untyped-def]
    shop = adopted(30, 30, 30, policy=Policy())
    play = Play(shop)
    for act in schedule:
        play.do(act)
    play.finish()
    shop.observe()
    writes, version = shop.writes, shop.pool.version
    for _ in range(3):
        assert shop.observe().next is Next.REST
    assert (shop.writes, shop.pool.version) == (writes, version)


@quick
@given(schedules)
def test_a_person_can_always_end_a_freeze(schedule) -> None:  # type: ignore[no-untyped-def]
    shop = adopted(30, 30, 30, policy=exactly)
    play = Play(shop)
    for act in schedule:
        play.do(act)
    play.finish()
    shop.wait(130)
    shop.carry(shop.resolve(Resolution.ADOPT_LEVELS, stock=play.truth, observation=shop.observation()))
    assert shop.pool.frozen is None
    assert set(shop.shown()) == {play.truth}


@quick
@given(st.lists(st.sampled_from(list(Outcome)), max_size=8))
def test_any_answers_in_any_order_keep_the_identities(outcomes: list[Outcome]) -> None:
    shop = adopted(10, 10, 10)
    shop.move("A", -1)
    shop.observe()
    key = shop.intent.key
    for outcome in outcomes:
        shop.answer(outcome, key=key, offenders="B")
        assert shop.answer(outcome, key=key, offenders="B").entries == ()
    assert shop.pool.stock == 9
