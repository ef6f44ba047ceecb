"""Decisions about publishing: every scenario by its id, each wave step by step, without database or network."""

import itertools
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from stockwright.automations import kind_named, recording
from stockwright.automations.contract import (
    Facts,
    Place,
    Plan,
    ReadProduct,
    RestockMail,
    Scan,
    Situation,
    Unmailed,
)
from stockwright.automations.options import read_options
from stockwright.automations.places import NameNotFound
from stockwright.automations.restock import (
    ANSWER_LIMIT_S,
    REFUSALS,
    SENDS,
    Answer,
    AnswerKind,
    Memory,
    answered,
)
from stockwright.ledger.state import Policy
from stockwright.model import (
    ENABLED,
    INVENTORY_UPDATE,
    PRODUCT_CHECK,
    STAFF_MAIL,
    USER_TRIGGER,
    WHOLE_SHOP,
    Channel,
    Event,
    EventId,
    ItemGid,
    LevelRead,
    Location,
    LocationGid,
    ProductGid,
    ProductRead,
    PublicationGid,
    ShopRead,
    Source,
    StockwrightError,
    VariantGid,
    VariantRead,
    gid,
)

KIND = "publish-back-in-stock"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRODUCT = ProductGid(gid("Product", 900))
TORONTO, MONTREAL, CLOSED = (LocationGid(gid("Location", number)) for number in (1, 2, 3))
ONLINE, POS, SHOP = (
    Channel(id=PublicationGid(gid("Publication", number)), name=name, app_title=f"{name} app")
    for number, name in ((1, "Online Store"), (2, "Point of Sale"), (3, "Shop"))
)
DONE = Answer(kind=AnswerKind.DONE)
UNKNOWN = Answer(kind=AnswerKind.UNKNOWN, detail="no answer")


@dataclass
class Scene:
    """One product, what is remembered of it, and what the shop shows."""

    options: dict[str, object] = field(default_factory=dict)
    levels: dict[tuple[str, str], int | None] = field(default_factory=lambda: {("A", TORONTO): 0})
    tracked: bool = True
    untracked: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    status: str = "ACTIVE"
    gift_card: bool = False
    on: set[str] = field(default_factory=set)
    channels: tuple[Channel, ...] = (ONLINE, POS, SHOP)
    now: datetime = START
    memory: Memory | None = None
    sent: list[list[str]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)  # of the next sends; then all is done
    unmailed: tuple[Unmailed, ...] = ()
    last: Plan | None = None
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def situation(self, subject: str, *events: Event) -> Situation:
        automation = kind_named(KIND)
        return Situation(
            name="publish",
            subject=subject,
            events=events,
            options=read_options(
                automation.options, {"sales_channel_names": ["Online Store"], **self.options}
            ),
            shop=ShopRead(
                name="Prints",
                timezone="UTC",
                locations=(
                    Location(id=TORONTO, name="Toronto"),
                    Location(id=MONTREAL, name="Montreal"),
                    Location(id=CLOSED, name="Closed", is_active=False),
                ),
                channels=self.channels,
            ),
            policy=Policy(),
            pools=(),
            now=self.now,
            nonce=f"nonce {next(self._numbers)}",
            memories=(self.memory,) if self.memory else (),
            unmailed=self.unmailed,
        )

    def event(self, topic: str = INVENTORY_UPDATE, **payload: object) -> Event:
        return Event(
            event_id=EventId(f"evt_{next(self._numbers)}"),
            topic=topic,
            payload=payload,
            source=Source.SHOPIFY,
            received_at=self.now,
        )

    def product(self) -> ProductRead:
        names = sorted({name for name, _ in self.levels})
        return ProductRead(
            id=PRODUCT,
            title="Poster",
            status=self.status,
            product_type="",
            tags=self.tags,
            is_gift_card=self.gift_card,
            variants=tuple(self._variant(name) for name in names),
            read_at=self.now,
            published_on=frozenset(PublicationGid(one) for one in self.on),
        )

    def _variant(self, name: str) -> VariantRead:
        levels = tuple(
            LevelRead(location_id=LocationGid(place), available=available, stamp=self.now)
            for (owner, place), available in self.levels.items()
            if owner == name
        )
        return VariantRead(
            id=VariantGid(gid("ProductVariant", ord(name))),
            title=name,
            item_id=ItemGid(gid("InventoryItem", ord(name))),
            tracked=self.tracked and name not in self.untracked,
            levels=levels,
        )

    def look(self, *events: Event, exists: bool = True) -> Plan:
        """The product's key runs once: decide, check the record, store, send, take the answer."""
        self.now += timedelta(seconds=1)
        automation = kind_named(KIND)
        situation = self.situation(PRODUCT, *(events or (self.event(),)))
        need = automation.needs(situation)
        read = isinstance(need, ReadProduct)
        facts = Facts(product=self.product() if read and exists else None)
        plan = automation.decide(situation, facts)
        stored = json.loads(json.dumps(recording.record(situation, facts)))
        assert recording.decide_again(KIND, stored) == plan
        for step in plan.remember:
            self.memory = step.memory and replace(step.memory, version=step.was_version + 1)
        for effect in plan.effects:
            assert isinstance(effect, Place)
            self._send(effect)
        self.last = plan
        return plan

    def sleep_on(self) -> Plan:
        """The key runs at its wake-up, without an event."""
        automation = kind_named(KIND)
        situation = self.situation(PRODUCT)
        assert isinstance(automation.needs(situation), ReadProduct), "nothing is due"
        return self.look(self.event(PRODUCT_CHECK))

    def _send(self, effect: Place) -> None:
        self.sent.append([one.name for one in effect.wave.sent])
        answer = self.answers.pop(0) if self.answers else DONE
        if answer.kind is AnswerKind.DONE:
            self._apply(effect)
        assert self.memory is not None
        self.memory = answered(self.memory, answer, self.now).memory

    def _apply(self, effect: Place) -> None:
        ids = {one.id for one in effect.wave.sent}
        self.on = self.on | ids if effect.wave.action == "publish" else self.on - ids

    def put(self, available: int, name: str = "A", place: str = TORONTO) -> None:
        self.levels[name, place] = available


def hidden_with(available: int, **options: object) -> Scene:
    return Scene(options=options, levels={("A", TORONTO): available})


# --- scenarios ------------------------------------------------------------------------------------------


def test_P1_a_level_publishes_by_default_and_a_crossing_only_when_asked_so() -> None:
    level, crossing = hidden_with(10), hidden_with(10, when="becomes_in_stock")
    for scene in (level, crossing):
        scene.look()
        scene.put(9)
        scene.look()
    assert (level.sent, crossing.sent) == ([["Online Store"]], [])
    assert "stays hidden" in crossing.last.because
    crossing.put(0)
    crossing.look()
    crossing.put(1)
    crossing.look()
    assert crossing.sent == [["Online Store"]]


def test_P1_the_first_observation_is_no_crossing_and_a_person_who_asks_gets_the_level() -> None:
    s = hidden_with(10, when="becomes_in_stock")
    s.look()
    assert s.sent == []
    s.look(s.event(PRODUCT_CHECK, asked_by=USER_TRIGGER))
    assert s.sent == [["Online Store"]]


def test_P1_another_choice_of_locations_begins_anew() -> None:
    s = Scene(options={"when": "becomes_in_stock"}, levels={("A", TORONTO): 0, ("A", MONTREAL): 5})
    s.options["location_names"] = ["Toronto"]
    s.look()
    s.options["location_names"] = ["Montreal"]
    s.look()
    assert s.sent == []


def test_P2_only_what_was_confirmed_counts_as_published() -> None:
    s = hidden_with(3, sales_channel_names=["Online Store", "Point of Sale"], email="a@example.com")
    s.answers = [Answer(kind=AnswerKind.REFUSED, detail="no", refused={1: "no"})]
    s.look()
    wave = s.memory.wave
    assert wave.confirmed == ()
    assert [one.channel.name for one in wave.refused] == ["Point of Sale"]
    s.sleep_on()
    assert s.sent == [["Online Store", "Point of Sale"], ["Online Store"]]
    assert [one.name for one in s.memory.wave.confirmed] == ["Online Store"]


def test_P2_a_refused_channel_is_tried_again_later_each_time_and_then_left_alone() -> None:
    s = hidden_with(3)
    s.answers = [Answer(kind=AnswerKind.REFUSED, detail="no", refused={0: "no"})] * 20
    s.look()
    pauses = []
    while s.memory.wave is not None:
        due = s.memory.wave.retry_refused_at
        pauses.append((due - s.now).total_seconds())
        assert s.look().because.startswith("Under way")
        s.now = due
        s.sleep_on()
    assert pauses == [60, 300, 1500]
    assert len(s.sent) == REFUSALS
    assert "refused it again and again (Online Store: no)" in s.look().because
    s.put(0)
    s.look()
    s.put(1)
    s.answers = []
    s.look()
    assert s.on == {ONLINE.id}


def test_P3_the_second_event_of_a_restock_finds_nothing_to_do() -> None:
    s = Scene(levels={(name, place): 0 for name in "ABC" for place in (TORONTO, MONTREAL)})
    s.look()
    for name, place in list(s.levels):
        s.put(1, name, place)
        s.look()
    assert s.sent == [["Online Store"]]


@pytest.mark.parametrize("status", ["DRAFT", "ARCHIVED", "UNLISTED"])
def test_P4_only_active_products_are_published(status: str) -> None:
    s = hidden_with(5)
    s.status = status
    assert s.look().because == (
        f"Left alone: the product is {status.lower()}, and only active products are published."
    )
    assert s.sent == []


def test_P5_a_schedule_sees_a_crossing_that_no_webhook_told() -> None:
    s = hidden_with(0, when="becomes_in_stock")
    s.look()
    s.put(4)
    page = scan(s, "mechanic/scheduler/hourly")
    assert [effect.wave.quantity for effect in page.effects] == [4]
    assert page.counts == {"publish": 1}


@pytest.mark.parametrize("quantity", [0, -1, "none"])
def test_P8_a_threshold_below_one_is_refused(quantity: object) -> None:
    with pytest.raises(StockwrightError, match="quantity"):
        Scene(options={"quantity": quantity}).situation(PRODUCT)


def test_P8_a_text_of_a_number_is_the_number() -> None:
    assert Scene(options={"quantity": "3"}).situation(PRODUCT).options.quantity == 3


def test_P8_a_product_that_is_gone_is_forgotten() -> None:
    s = hidden_with(5)
    s.look()
    plan = s.look(exists=False)
    assert (plan.because, s.memory) == ("The product no longer exists: nothing to do.", None)


@pytest.mark.parametrize(
    ("include", "exclude", "tags", "sent"),
    [
        (["Sale"], [], {"sale"}, 1),
        (["sale"], [], {"SALE"}, 1),
        (["Sale"], [], {"other"}, 0),
        ([], ["Hidden"], {"hidden"}, 0),
        (["Sale"], ["No"], {"sale", "NO"}, 0),  # exclusion wins
        ([], [], set(), 1),
    ],
)
def test_P9_tags_are_compared_without_case(
    include: list[str], exclude: list[str], tags: set[str], sent: int
) -> None:
    s = hidden_with(5, include_tags=include, exclude_tags=exclude)
    s.tags = frozenset(tags)
    plan = s.look()
    assert len(s.sent) == sent
    assert plan.because.startswith("5 available" if sent else "Left alone: it has")


def test_P10_one_tag_is_one_filter_of_the_search() -> None:
    one, two, none = (
        kind_named(KIND).needs(Scene(options={"include_tags": tags}).situation(WHOLE_SHOP))
        for tags in (["a b"], ["a", 'b"'], [])
    )
    assert one == Scan(searches=('status:active AND tag:"a b"',), channels=3)
    assert two == Scan(searches=('status:active AND (tag:"a" OR tag:"b\\"")',), channels=3)
    assert none == Scan(searches=("status:active",), channels=3)


def test_P11_channels_are_compared_as_sets_and_an_ambiguous_name_is_reported() -> None:
    s = hidden_with(5, sales_channel_names=["Shop", "Online Store", "Shop"])
    s.look()
    assert s.sent == [["Online Store", "Shop"]]
    s.channels = (*s.channels, Channel(id=PublicationGid("other"), name="Shop"))
    with pytest.raises(NameNotFound, match="2 sales channels named 'Shop'") as error:
        s.look()
    assert error.value.detail == {
        "available_sales_channel_names": ["Online Store", "Point of Sale", "Shop", "Shop"]
    }


def test_a_channel_may_be_named_by_its_app() -> None:
    s = hidden_with(5, sales_channel_names=["Shop app"])
    s.look()
    assert s.sent == [["Shop"]]


def test_a_wrong_location_is_told_with_those_that_exist() -> None:
    with pytest.raises(NameNotFound, match="Available locations: Closed, Montreal, Toronto"):
        hidden_with(5, location_names=["toronto"]).look()


def test_P12_untracked_products_and_gift_cards_are_left_alone_with_the_reason() -> None:
    untracked, card = hidden_with(5), hidden_with(5)
    untracked.tracked = False
    card.gift_card = True
    assert untracked.look().because == "Left alone: its inventory is not tracked."
    assert card.look().because == "Left alone: gift cards have no stock that could come back."


def test_P12_only_tracked_variants_of_a_mixed_product_count() -> None:
    s = Scene(levels={("A", TORONTO): 0, ("B", TORONTO): 50}, untracked=("B",))
    assert s.look().because.startswith("0 available (1 untracked variant(s) not counted)")
    s.put(1)
    s.look()
    assert s.sent == [["Online Store"]]


# --- what counts ------------------------------------------------------------------------------------------


def test_stock_is_the_sum_over_active_locations_and_a_missing_level_is_nothing() -> None:
    s = Scene(
        options={"quantity": 6},
        levels={
            ("A", TORONTO): 2,
            ("A", MONTREAL): 3,
            ("A", CLOSED): 100,
            ("B", TORONTO): None,
            ("C", TORONTO): -1,
        },
    )
    assert s.look().because == "4 available, at least 6 needed to publish it."
    s.put(1, "C")
    s.look()
    assert s.sent == [["Online Store"]]


def test_two_variants_on_one_item_are_counted_once() -> None:
    s = hidden_with(5, quantity=6)
    product = s.product()
    twice = ProductRead(**{**vars(product), "variants": product.variants * 2})
    plan = kind_named(KIND).decide(s.situation(PRODUCT, s.event()), Facts(product=twice))
    assert "5 available" in plan.because


def test_only_channels_that_lack_it_are_asked_for() -> None:
    s = hidden_with(5, sales_channel_names=["Online Store", "Shop"])
    s.on = {ONLINE.id}
    s.look()
    assert s.sent == [["Shop"]]


def test_an_event_that_tells_nothing_new_stores_nothing() -> None:
    s = hidden_with(5)
    s.on = {ONLINE.id}
    s.look()
    plan = s.look()
    assert (plan.remember, plan.effects, plan.wake_at) == ((), (), None)


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_an_unknown_outcome_that_was_applied_is_confirmed_by_reading() -> None:
    s = hidden_with(5)
    s.answers = [UNKNOWN]
    s.look()
    assert s.memory.wave is not None
    s.on = {ONLINE.id}
    assert s.sleep_on().because.startswith("The shop shows it published to Online Store")
    assert (len(s.sent), s.memory.wave) == (1, None)


def test_an_unknown_outcome_that_was_not_applied_is_sent_again_under_the_same_key() -> None:
    s = hidden_with(5)
    s.answers = [UNKNOWN, UNKNOWN]
    s.look()
    first = s.memory.wave.wave_id
    s.sleep_on()
    assert s.memory.wave.wave_id == first
    assert s.memory.wave.not_before > s.now  # a second silence waits
    assert s.look().because.startswith("Under way")
    assert len(s.sent) == 2


def test_a_request_that_never_gets_an_answer_is_given_up_in_the_end() -> None:
    s = hidden_with(5)
    s.answers = [UNKNOWN] * 100
    s.look()
    for _ in range(100):
        if s.memory.wave is None:
            break
        s.now = max(s.now, s.memory.wave.not_before or s.now)
        s.sleep_on()
    assert len(s.sent) == SENDS
    assert s.memory.given_up[0].message == "no answer came"


def test_stock_that_goes_before_the_second_try_stops_the_wave() -> None:
    s = hidden_with(5)
    s.answers = [UNKNOWN]
    s.look()
    s.put(0)
    assert s.sleep_on().because.startswith("Stopped: only 0 available now.")
    assert (len(s.sent), s.memory.wave) == (1, None)


def test_a_run_that_finds_its_own_unanswered_request_reads_and_goes_on() -> None:
    s = hidden_with(5)
    s._send = lambda effect: s.sent.append([one.name for one in effect.wave.sent])  # type: ignore[method-assign]
    s.look()  # the process dies here
    s.sleep_on()
    assert len(s.sent) == 2


def test_a_product_waits_for_a_scan_that_is_sending_it_until_its_answer_cannot_come() -> None:
    s = hidden_with(5)
    page = scan(s, USER_TRIGGER)
    s.memory = page.remember[0].memory
    assert s.look().because.startswith("Under way")
    assert s.sent == []
    s.now += timedelta(seconds=ANSWER_LIMIT_S)
    s.sleep_on()
    assert s.sent == [["Online Store"]]


def scan(s: Scene, topic: str):
    s.now += timedelta(seconds=1)
    return kind_named(KIND).decide_page(s.situation(WHOLE_SHOP, s.event(topic)), [s.product()], ())


def test_the_first_look_after_enabling_only_takes_notes() -> None:
    s = hidden_with(5)
    page = scan(s, ENABLED)
    assert page.effects == ()
    assert page.counts == {"waiting": 1}
    assert page.remember[0].memory.quantity == 5


# --- taking down --------------------------------------------------------------------------------------------


def test_nothing_is_taken_down_by_default() -> None:
    s = hidden_with(5)
    s.on = {ONLINE.id}
    s.look()
    s.put(0)
    plan = s.look()
    assert (s.sent, plan.wake_at) == ([], None)


def test_a_product_is_taken_down_when_the_grace_time_is_over_and_not_before() -> None:
    s = hidden_with(5, unpublish_below=True, unpublish_grace_s=600)
    s.on = {ONLINE.id, SHOP.id}
    s.look()
    s.put(0)
    plan = s.look()
    fell_at = s.now
    assert plan.wake_at == fell_at + timedelta(seconds=600)
    s.now = fell_at + timedelta(seconds=598)
    assert s.look().effects == ()
    s.now = fell_at + timedelta(seconds=600)
    s.sleep_on()
    assert s.on == {SHOP.id}  # only the chosen channels
    s.put(1)
    s.look()
    assert s.on == {ONLINE.id, SHOP.id}


def test_a_product_that_a_person_shows_again_stays_where_only_crossings_count() -> None:
    s = hidden_with(5, unpublish_below=True, unpublish_grace_s=0, when="becomes_in_stock")
    s.on = {ONLINE.id}
    s.look()
    s.put(0)
    s.look()
    assert s.on == set()
    s.on = {ONLINE.id}
    s.look()
    assert s.on == {ONLINE.id}


# --- events that cost nothing -------------------------------------------------------------------------------


def test_a_level_at_a_location_that_does_not_count_needs_no_read() -> None:
    s = hidden_with(0, location_names=["Toronto"])
    automation = kind_named(KIND)
    elsewhere, here = (
        s.event(location_id=2, inventory_item_id=65),
        s.event(location_id=1, inventory_item_id=65),
    )
    assert not isinstance(automation.needs(s.situation(PRODUCT, elsewhere)), ReadProduct)
    assert isinstance(automation.needs(s.situation(PRODUCT, elsewhere, here)), ReadProduct)
    s.options = {}
    assert isinstance(automation.needs(s.situation(PRODUCT, elsewhere)), ReadProduct)


# --- the mail -----------------------------------------------------------------------------------------------


def confirmed(number: int, seconds: float, *, held: bool = False) -> Unmailed:
    return Unmailed(
        wave_id=f"restock_{number}",
        product_id=ProductGid(gid("Product", number)),
        title=f"Poster {number}",
        quantity=number,
        channels=("Online Store",),
        refused=(),
        confirmed_at=START + timedelta(seconds=seconds),
        held=held,
    )


def mail_at(seconds: float, *unmailed: Unmailed, **options: object) -> Plan:
    s = Scene(options={"email": "a@example.com", **options}, now=START + timedelta(seconds=seconds))
    s.unmailed = unmailed
    return kind_named(KIND).decide(s.situation(STAFF_MAIL), Facts())


def test_a_mail_waits_for_quiet_but_not_for_ever() -> None:
    waits = mail_at(4, confirmed(1, 0))
    assert (waits.effects, waits.wake_at) == ((), START + timedelta(seconds=5))
    assert mail_at(5, confirmed(1, 0)).effects
    stream = [confirmed(number, number * 3) for number in range(21)]
    assert mail_at(59.9, *stream[:20]).effects == ()
    (mail,) = mail_at(60, *stream).effects
    assert isinstance(mail, RestockMail)
    assert (mail.to, len(mail.products)) == ("a@example.com", 21)


def test_a_scan_is_told_of_as_a_whole_unless_it_takes_hours() -> None:
    plan = mail_at(60, confirmed(1, 0, held=True), confirmed(2, 50, held=True))
    assert (plan.effects, plan.wake_at) == ((), START + timedelta(seconds=3600))
    (mail,) = mail_at(3606, confirmed(1, 0, held=True), confirmed(2, 3600, held=True)).effects
    assert [one.title for one in mail.products] == ["Poster 1"]


def test_the_key_of_a_mail_is_that_of_its_restocks_alone() -> None:
    one, again, other = (
        mail_at(100, *found).effects[0].key
        for found in (
            (confirmed(1, 0), confirmed(2, 1)),
            (confirmed(2, 1), confirmed(1, 0)),
            (confirmed(1, 0),),
        )
    )
    assert one == again != other


@pytest.mark.parametrize("address", ["nobody", "a@b", "a@example.com, b@example.com", "a b@example.com"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(StockwrightError, match="e-mail address"):
        Scene(options={"email": address}).situation(PRODUCT)


def test_sales_channels_are_required() -> None:
    with pytest.raises(StockwrightError, match="sales_channel_names"):
        read_options(kind_named(KIND).options, {})
    with pytest.raises(StockwrightError, match="sales_channel_names"):
        read_options(kind_named(KIND).options, {"sales_channel_names": ""})
