"""The truth table of the button: mode x stock x status x plan, and everything else that speaks against it."""

from datetime import UTC, datetime, timedelta
from itertools import product as every

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwright.model import ItemGid, ProductGid, VariantGid
from stockwright.notify.catalogue import ShownProduct, ShownVariant
from stockwright.notify.gating import Counts, Gate, Shopwide, Standing, Why, excluded_by, gates
from stockwright.notify.offers import Item, Mode, Offer, Pause, Status, Terms

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PREMIUM = Shopwide(is_premium=True, is_enabled=True)
BLACK, WHITE = VariantGid("gid://shopify/ProductVariant/11"), VariantGid("gid://shopify/ProductVariant/12")
PRODUCT = ProductGid("gid://shopify/Product/1")
WHOLE = (Item(product_id=PRODUCT),)
QUANTITIES = {-3: "out", 0: "out", 1: "in", 50: "in", None: "untracked"}


def shirt(**changes) -> ShownProduct:
    variants = tuple(
        ShownVariant(id=id, title=title, item_id=ItemGid(f"item-{title}"), tracked=True)
        for id, title in ((BLACK, "Black"), (WHITE, "White"))
    )
    given_ = {"title": "Shirt", "handle": "shirt", "status": "ACTIVE", "is_gift_card": False}
    return ShownProduct(id=PRODUCT, read_at=NOON, **(given_ | {"variants": variants} | changes))


def standing(status: Status = Status.ACTIVE, *, id: str = "off_1", items=WHOLE, **changes):
    given_ = {"stopped": frozenset(), "counts": Counts(), "pause": Pause.NOT}
    terms = {name: changes.pop(name) for name in list(changes) if name not in given_}
    given_ |= changes
    if status is Status.PAUSED and not given_["pause"]:
        given_["pause"] = Pause.MANUAL
    offer = Offer(offer_id=id, terms=Terms(name="Spring", **terms), status=status, pause=given_["pause"])
    return Standing(offer=offer, items=tuple(items), stopped=given_["stopped"], counts=given_["counts"])


def judge(*standings: Standing, available: int | None = 0, shop: Shopwide = PREMIUM, **changes) -> Gate:
    return gates(shirt(**changes), {BLACK: available, WHITE: 5}, standings, shop, NOON)[BLACK]


@pytest.mark.parametrize(
    ("mode", "quantity", "status", "is_premium"), list(every(Mode, QUANTITIES, Status, (True, False)))
)
def test_case_03_the_button_is_there_exactly_when_offer_mode_stock_and_plan_say_so(
    mode: Mode, quantity: int | None, status: Status, is_premium: bool
) -> None:
    shop = Shopwide(is_premium=is_premium, is_enabled=True)
    starts = NOON + HOUR if status is Status.SCHEDULED else None
    found = judge(standing(status, mode=mode, starts_at=starts), available=quantity, shop=shop)
    is_out = quantity is not None and quantity <= 0
    is_active = status is Status.ACTIVE
    assert found.notify == (is_active and mode is Mode.OUT_OF_STOCK and is_out and is_premium)
    fits = {Mode.OUT_OF_STOCK: is_out, Mode.IN_STOCK: not is_out, Mode.ALWAYS: True}[mode]
    assert found.preorder == (is_active and fits)  # on any plan
    assert found.why
    assert found.preorder_why


@pytest.mark.parametrize(
    ("shop", "reason"),
    [
        (Shopwide(is_premium=False, is_enabled=True), Why.PLAN),
        (Shopwide(is_premium=True, is_enabled=False), Why.OFF),
        (Shopwide(is_premium=True, is_enabled=True, is_installed=False), Why.OFF),
        (Shopwide(is_premium=True, is_enabled=True, takes_sign_ups=False), Why.OFF),
        (Shopwide(is_premium=True, is_enabled=True, exclude_tags=("NO-ALERT",)), Why.EXCLUDED),
    ],
)
def test_case_03_sign_ups_can_be_off_for_the_shop_and_for_products_with_a_tag(
    shop: Shopwide, reason: Why
) -> None:
    found = judge(standing(), shop=shop, tags=frozenset({"no-alert"}))
    assert (found.notify, found.reason) == (False, reason)
    assert found.preorder, "what is ordered ahead is another matter"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_gift_card": True}, Why.GIFT_CARD),
        ({"status": "DRAFT"}, Why.NOT_SOLD),
        ({"status": "ARCHIVED"}, Why.NOT_SOLD),
    ],
)
def test_case_01_gift_cards_and_products_that_are_not_sold_are_refused(changes: dict, reason: Why) -> None:
    found = judge(standing(), **changes)
    assert (found.notify, found.reason) == (False, reason)


def test_case_01_bundle_parents_are_refused_and_other_variants_are_not() -> None:
    parent = ShownVariant(id=BLACK, title="Set", item_id=ItemGid("i"), tracked=True, requires_components=True)
    single = ShownVariant(id=WHITE, title="One", item_id=ItemGid("j"), tracked=True)
    bundle = shirt(variants=(parent, single))
    found = gates(bundle, {BLACK: 0, WHITE: 0}, [standing()], PREMIUM, NOON)
    assert found[BLACK].reason is Why.BUNDLE
    assert found[WHITE].notify


def test_case_18_a_variant_that_sells_on_is_asked_about_unless_that_counts_as_in_stock() -> None:
    sells_on = ShownVariant(id=BLACK, title="B", item_id=ItemGid("i"), tracked=True, continue_selling=True)
    one = shirt(variants=(sells_on,))
    for counts in (False, True):
        shop = Shopwide(is_premium=True, is_enabled=True, continue_selling_counts=counts)
        found = gates(one, {BLACK: 0}, [standing()], shop, NOON)[BLACK]
        assert found.notify is not counts
        assert found.preorder, "what is ordered ahead goes by its stock"
        assert (found.reason is Why.IN_STOCK) is counts


def test_an_offer_of_one_variant_says_nothing_of_its_sibling() -> None:
    only_black = standing(items=(Item(product_id=PRODUCT, variant_id=BLACK),))
    found = gates(shirt(), {BLACK: 0, WHITE: 0}, [only_black], PREMIUM, NOON)
    assert found[BLACK].notify
    assert (found[WHITE].notify, found[WHITE].reason) == (False, Why.NO_OFFER)


def test_a_product_without_any_offer_has_no_button() -> None:
    assert judge().reason is Why.NO_OFFER


@pytest.mark.parametrize(
    ("starts", "ends", "shows"),
    [
        (None, None, True),
        (NOON, None, True),
        (NOON + timedelta(microseconds=1), None, False),
        (None, NOON, False),
        (None, NOON + timedelta(microseconds=1), True),
    ],
)
def test_the_schedule_holds_to_the_moment_however_late_the_scheduler_comes(
    starts: datetime | None, ends: datetime | None, shows: bool
) -> None:
    for status in (Status.SCHEDULED, Status.ACTIVE):
        assert judge(standing(status, starts_at=starts, ends_at=ends)).notify is shows


def test_of_several_offers_the_one_that_allows_most_decides() -> None:
    weak = standing(Status.DRAFT, id="off_1")
    always = standing(id="off_2", mode=Mode.ALWAYS)
    good = standing(id="off_3")
    found = judge(weak, always, good)
    assert (found.notify, found.preorder, found.offer_id) == (True, True, "off_3")
    assert judge(weak, always).offer_id == "off_2"


def test_a_stopped_variant_is_not_ordered_ahead_and_keeps_its_button_when_it_is_out_again() -> None:
    gone = {"auto_disable": True, "stopped": frozenset({BLACK})}
    final = judge(standing(**gone, resume=False), available=0)
    assert (final.preorder, final.notify) == (False, True)
    assert judge(standing(**gone, resume=True), available=0).preorder


def test_a_reached_limit_hides_the_pre_order_and_leaves_the_button() -> None:
    full = judge(standing(limit_total=10, counts=Counts(total=10)))
    assert (full.preorder, full.notify, full.most_units) == (False, True, None)
    mine = judge(standing(limit_per_customer=2, counts=Counts(total=9, by_customer=2)))
    assert (mine.preorder, mine.notify) == (False, True)


def test_the_least_of_the_limits_is_what_one_order_may_have() -> None:
    limits = {"limit_total": 10, "limit_per_customer": 4, "limit_per_order": 3}
    assert judge(standing(**limits)).most_units == 3
    assert judge(standing(**limits, counts=Counts(total=8))).most_units == 2
    assert judge(standing(**limits, counts=Counts(total=3, by_customer=3))).most_units == 1
    assert judge(standing()).most_units is None


def test_on_the_free_plan_the_nearer_reason_is_told_when_there_is_one() -> None:
    free = Shopwide(is_premium=False, is_enabled=True)
    assert judge(standing(Status.DRAFT), shop=free).reason is Why.NOT_ACTIVE
    assert judge(standing(), available=0, shop=free).reason is Why.PLAN


@given(tags=st.lists(st.text(max_size=5), max_size=4), excluded=st.lists(st.text(max_size=5), max_size=4))
def test_tags_exclude_in_any_case(tags: list[str], excluded: list[str]) -> None:
    found = excluded_by(tags, excluded)
    shared = {tag.casefold() for tag in tags} & {tag.casefold() for tag in excluded}
    assert bool(found) <= bool(shared)
    assert not shared or found.casefold() in shared


@given(
    mode=st.sampled_from(Mode),
    status=st.sampled_from(Status),
    available=st.none() | st.integers(-5, 5),
    total=st.integers(0, 5),
    limit=st.none() | st.integers(1, 5),
)
def test_notify_never_shows_without_its_three_conditions(mode, status, available, total, limit) -> None:
    terms = {
        "mode": mode,
        "limit_total": limit,
        "starts_at": NOON + HOUR if status is Status.SCHEDULED else None,
    }
    found = judge(standing(status, counts=Counts(total=total), **terms), available=available)
    if found.notify:
        assert status is Status.ACTIVE
        assert mode is Mode.OUT_OF_STOCK
        assert available is not None
        assert available <= 0
    assert found.most_units is None or found.most_units > 0
