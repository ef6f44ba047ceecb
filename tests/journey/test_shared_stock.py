"""Shared stock through the whole service: inbox, engine, ledger and client against the bundled shop.

The levels in the shop are the proof. After each story every journal is replayed and every decision repeated.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from shopify_emulator import Fault, VariantSpec
from stockwright.deps import refresh_shop
from stockwright.store import automations, pools, runs
from tests.journey.listings import TAG, Listing, add_listing
from tests.journey.service import Service, play

ACROSS = ("sync-across-variants", {"product_tags": [TAG]})
WITHIN = ("keep-in-sync-within-products", {})
BOTH = pytest.mark.parametrize("kind", [ACROSS, WITHIN], ids=["across", "within"])


async def start(service: Service, kind=ACROSS, *, locations=("Toronto",), options=None, **listing) -> Listing:
    """One product under one automation, adopted; counting starts after that."""
    for name in locations:
        service.shop.add_location(name)
    made = add_listing(service.shop, **listing)
    await service.add(kind[0], **kind[1], **(options or {}))
    service.requests.clear()
    return made


async def stored_pools(service: Service):
    async with service.database.connection() as conn:
        return await pools.list_pools(conn, service.shop_id, product_id=None, only_frozen=False, limit=10_000)


async def installed(service: Service):
    async with service.database.connection() as conn:
        return await automations.list_all(conn, service.shop_id)


async def told(service: Service) -> list[str]:
    """What the runs said, newest first."""
    async with service.database.connection() as conn:
        return [run.because for run in await runs.list_runs(conn, shop_id=service.shop_id, limit=10_000)]


def sent(service: Service) -> list[str]:
    return [request.operation for request in service.requests]


# --- the promise --------------------------------------------------------------------------------------------


@BOTH
def test_a_sale_of_one_variant_lowers_all_others_with_two_requests(emptied, kind) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, kind)
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [9, 9, 9]
        assert sent(service) == ["ReadProduct", "AdjustQuantities"]

    play(emptied, story)


@BOTH
def test_the_echo_of_our_own_write_costs_no_request_and_says_so(emptied, kind) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, kind)
        poster.sell("A")
        await service.settle()
        await service.wait(600)
        assert sent(service) == ["ReadProduct", "AdjustQuantities"]
        newest, *_ = await told(service)
        assert newest.startswith("Echo:")
        assert "nothing was read" in newest

    play(emptied, story)


def test_three_variants_sold_three_times_each_all_lose_nine(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        for title in "ABC":
            poster.sell(title, count=3)
        await service.settle()
        assert poster.levels() == [1, 1, 1]
        assert len(service.writes) == 1

    play(emptied, story)


@BOTH
def test_two_variants_sold_within_a_minute_both_count(emptied, kind) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, kind)
        poster.sell("A")
        await service.wait(20)
        poster.sell("B")
        await service.wait(20)
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


@BOTH
def test_two_lines_of_one_stock_in_one_order_both_count(emptied, kind) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, kind)
        poster.sell("A", "B", count=2)
        await service.settle()
        assert poster.levels() == [6, 6, 6]

    play(emptied, story)


def test_a_refund_counts_when_it_restocks_and_only_then(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        kept, returned = poster.sell("A", count=2), poster.sell("B", count=3)
        await service.settle()
        assert poster.levels() == [5, 5, 5]
        service.shop.refund(kept.gid, restock=False)
        service.shop.refund(returned.gid, restock=True)
        await service.wait(30)
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def test_an_order_that_is_edited_or_cancelled_counts_as_it_ends(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        edited, cancelled = poster.sell("A", count=2), poster.sell("B")
        service.shop.edit_order(edited.gid, [(poster.variant("C").gid, 2)])
        await service.settle()
        assert poster.levels() == [5, 5, 5]
        service.shop.edit_order(edited.gid, [(poster.variant("A").gid, -1)])
        service.shop.cancel(cancelled.gid, restock=True)
        await service.wait(30)
        assert poster.levels() == [7, 7, 7]

    play(emptied, story)


def test_a_hundred_orders_in_one_second_are_exactly_a_hundred(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, levels=500)
        for number in range(100):
            poster.sell("ABC"[number % 3])
            if number % 7 == 0:
                await service.shop.settle_webhooks()
                await service.run_job()
        await service.wait(60)
        assert poster.levels() == [400, 400, 400]

    play(emptied, story, round_trip_s=0.01)


# --- what goes wrong on the way -----------------------------------------------------------------------------


@BOTH
def test_a_sale_between_read_and_write_is_seen_and_passed_on(emptied, kind) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, kind)
        poster.sell("A")
        service.on_the_way("AdjustQuantities", lambda: poster.sell("B"))
        await service.settle()
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def test_a_sale_of_the_variant_that_is_not_written_lands_between_and_still_counts(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        poster.sell("A")
        service.on_the_way("AdjustQuantities", lambda: poster.sell("A"))
        await service.settle()
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def test_net_zero_changes_are_brought_back_in_step(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        poster.edit(A=9, B=11)
        await service.wait(60)
        assert poster.levels() == [10, 10, 10]

    play(emptied, story)


def test_a_late_echo_never_undoes_a_sale(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        poster.sell("A")
        one = service.shop.pending_webhooks()[0]
        await service.settle()
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [8, 8, 8]
        late = replace(one, webhook_id="late")
        body = _levels_webhook(poster, "B", available=9)
        assert await service.deliver("", service.shop.outbox.headers(late, body), body) == 200
        service.requests.clear()
        await service.wait(60)
        assert sent(service) == ["ReadProduct"]  # it looked, and found nothing to do
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def _levels_webhook(poster: Listing, title: str, *, available: int) -> bytes:
    item, place = poster.variant(title).item.number, poster.shop.locations()[0].number
    return f'{{"inventory_item_id": {item}, "location_id": {place}, "available": {available}}}'.encode()


@BOTH
def test_each_location_has_a_stock_of_its_own(emptied, kind) -> None:
    async def story(service: Service) -> None:
        options = {"locations": "all"} if kind is ACROSS else {}
        service.shop.add_location("Toronto")
        montreal = service.shop.add_location("Montreal")
        poster = add_listing(service.shop, at={service.shop.locations()[0].gid: 10, montreal: 50})
        await service.add(kind[0], **kind[1], **options)
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [9, 9, 9]
        assert poster.levels(montreal) == [50, 50, 50]
        poster.edit(location=montreal, B=49)
        await service.settle()
        assert (poster.levels(), poster.levels(montreal)) == ([9, 9, 9], [49, 49, 49])

    play(emptied, story)


def test_another_primary_location_writes_nothing(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, locations=("Toronto",))
        montreal = service.shop.add_location("Montreal")
        for title in "ABC":
            service.shop.connect(poster.item(title), montreal, available=0)
        service.shop.set_primary(montreal)
        await refresh_shop(service.deps, service.shop_id)
        await service.reconcile()
        await service.wait(1_300)
        assert poster.levels() == [10, 10, 10]
        assert poster.levels(montreal) == [0, 0, 0]
        assert service.writes == []
        (pool,) = await stored_pools(service)
        assert (pool.location_id, pool.stock) == (montreal, 0)
        (said,) = [one for one in await told(service) if "Dissolved" in one]
        assert "the location is not chosen any more" in said
        assert "Poster, Montreal: Adopted 3 levels with a shared stock of 0" in said

    play(emptied, story)


# --- people -------------------------------------------------------------------------------------------------


@BOTH
def test_a_level_typed_by_hand_counts_as_the_difference(emptied, kind) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, kind)
        poster.edit(B=20)
        await service.wait(60)
        assert poster.levels() == [20, 20, 20]

    play(emptied, story)


def test_the_same_restock_typed_into_every_variant_counts_once(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        poster.edit(A=20, B=20, C=20)
        await service.wait(60)
        assert poster.levels() == [20, 20, 20]

    play(emptied, story)


def test_the_same_restock_typed_into_every_variant_is_summed_on_request(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, options={"bulk_raise": "sum"})
        poster.edit(A=20, B=20, C=20)
        await service.wait(60)
        assert poster.levels() == [40, 40, 40]

    play(emptied, story)


def test_a_restock_of_one_of_four_whose_write_failed_reaches_all(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, titles=("A", "B", "C", "D"))
        await service.wait(60)  # levels that were set just now prove nothing by being unchanged
        service.shop.faults.next("inventoryAdjustQuantities", Fault.SERVER_ERROR_BEFORE)
        poster.edit(A=15)
        await service.wait(300)
        assert poster.levels() == [15, 15, 15, 15]

    play(emptied, story)


def test_stock_below_zero_is_shown_exactly(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, levels=1)
        poster.sell("A", count=2)
        poster.sell("B")
        await service.settle()
        assert poster.levels() == [-2, -2, -2]

    play(emptied, story)


def test_after_sixty_quiet_days_a_sale_is_passed_on(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        await service.move(timedelta(days=60).total_seconds())
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [9, 9, 9]
        assert service.errors == []

    play(emptied, story)


# --- who belongs to a stock ---------------------------------------------------------------------------------


def test_a_new_variant_with_no_stock_takes_the_stock_of_the_others(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.add_variant(poster.gid, VariantSpec(title="D", policy="CONTINUE"), levels=0)
        await service.reconcile()
        assert poster.levels() == [10, 10, 10, 10]

    play(emptied, story)


def test_the_first_event_of_a_new_variant_finds_its_product(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.add_variant(poster.gid, VariantSpec(title="D", policy="CONTINUE"), levels=10)
        poster.sell("D", count=4)
        await service.wait(30)
        # Its sale came before anybody knew it: what it brings along is never added to the stock.
        assert poster.levels() == [10, 10, 10, 10]
        poster.sell("D")
        await service.settle()
        assert poster.levels() == [9, 9, 9, 9]

    play(emptied, story)


def test_a_variant_that_is_removed_leaves_the_stock_as_it_was(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        poster.sell("C", count=2)
        await service.settle()
        service.shop.remove_variant(poster.variant("C").gid)
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [7, 7]

    play(emptied, story)


def test_a_product_that_is_deleted_frees_its_stock(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.remove_product(poster.gid)
        await service.reconcile()
        assert await stored_pools(service) == []
        assert service.errors == []

    play(emptied, story)


def test_an_untracked_variant_is_left_alone_and_comes_back_as_it_joins(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        service.shop.set_tracked(poster.item("C"), tracked=False)
        poster.sell("A")
        await service.settle()
        assert poster.levels()[:2] == [9, 9]
        assert poster.levels()[2] == 10
        service.shop.set_tracked(poster.item("C"), tracked=True)
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def test_a_variant_without_a_level_here_is_left_out_and_never_stocked(emptied) -> None:
    async def story(service: Service) -> None:
        toronto, montreal = service.shop.add_location("Toronto"), service.shop.add_location("Montreal")
        poster = add_listing(service.shop, at={toronto: 10, montreal: 10})
        service.shop.add_variant(poster.gid, VariantSpec(title="D", levels={montreal: 3}))
        await service.add(*ACROSS[:1], **ACROSS[1])
        poster.sell("A")
        await service.settle()
        assert [service.shop.level(poster.item(title), toronto) for title in "ABC"] == [9, 9, 9]
        assert toronto not in poster.variant("D").item.levels
        assert service.errors == []

    play(emptied, story)


def test_a_gift_card_shares_no_stock(emptied) -> None:
    async def story(service: Service) -> None:
        card = await start(service, WITHIN, title="Gift card", is_gift_card=True)
        card.edit(A=3)
        await service.wait(60)
        assert card.levels() == [3, 10, 10]
        assert service.writes == []
        assert any("gift card" in because for because in await told(service))

    play(emptied, story)


def test_a_bundle_whose_stock_follows_its_parts_is_left_alone(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        bundle = service.shop.add_variant(
            poster.gid, VariantSpec(title="Set", requires_components=True, levels=None), levels=4
        )
        await service.add(*WITHIN[:1], **WITHIN[1])
        poster.sell("A")
        await service.settle()
        assert poster.levels()[:3] == [9, 9, 9]
        assert service.shop.level(bundle.item.gid, poster.first_location) == 4

    play(emptied, story)


def test_an_item_that_nobody_knows_is_routed_to_its_product(emptied) -> None:
    async def story(service: Service) -> None:
        await start(service, WITHIN)
        mug = add_listing(service.shop, "Mug", levels=5)
        mug.sell("A")
        await service.wait(30)
        assert "ProductOfItem" in sent(service)
        # The first event of an unknown product: the one variant that is known to have changed is taken.
        assert mug.levels() == [4, 4, 4]

    play(emptied, story)


def test_an_item_that_was_deleted_meanwhile_leads_to_nothing(emptied) -> None:
    async def story(service: Service) -> None:
        await start(service, WITHIN)
        mug = add_listing(service.shop, "Mug", levels=5)
        mug.sell("A")
        service.shop.remove_product(mug.gid)
        await service.settle()
        assert service.errors == []
        assert any("belongs to no product" in because for because in await told(service))

    play(emptied, story)


# --- sizes --------------------------------------------------------------------------------------------------


def test_six_hundred_variants_are_corrected_to_the_last_one(emptied) -> None:
    async def story(service: Service) -> None:
        titles = [f"V{number}" for number in range(600)]
        poster = await start(service, titles=titles, levels=10)
        poster.sell("V0")
        poster.sell("V599", count=2)
        await service.wait(120)
        assert set(poster.levels()) == {7}
        assert max(len(request.variables["input"]["changes"]) for request in service.writes) == 250
        # I5: one look, in as many pages as 600 variants take, and one write for each 250 rows.
        assert sent(service) == ["ReadProduct"] * 3 + ["ReadItems"] + ["AdjustQuantities"] * 3

    play(emptied, story)


def test_a_stale_row_among_two_hundred_and_fifty_holds_up_neither_its_own_stock_nor_another(emptied) -> None:
    """Scenario 14: and a member without a level among them is left out."""

    async def story(service: Service) -> None:
        titles = [f"V{number}" for number in range(251)]
        service.shop.add_location("Toronto")
        montreal = service.shop.add_location("Montreal")
        poster = add_listing(service.shop, titles=titles, levels=10)
        mug = add_listing(service.shop, "Mug", levels=5)
        await service.add(ACROSS[0], **ACROSS[1])
        assert service.shop.level(poster.item("V7"), montreal) == 10
        service.shop.disconnect(poster.item("V7"), poster.first_location)
        poster.sell("V0")
        mug.sell("A")
        service.on_the_way("AdjustQuantities", lambda: poster.sell("V200"))
        await service.wait(60)
        levels = [
            service.shop.level(poster.item(title), poster.first_location) for title in titles if title != "V7"
        ]
        assert set(levels) == {8}
        assert mug.levels() == [4, 4, 4]
        assert service.errors == []

    play(emptied, story)


def test_no_more_is_oversold_than_was_sold_elsewhere_before_a_sale_could_be_passed_on(emptied) -> None:
    """I4, S12: one unit is left and each variant is sold while the sale of the first is on its way."""

    async def story(service: Service) -> None:
        poster = await start(service, levels=1)
        poster.sell("A")
        service.on_the_way("AdjustQuantities", lambda: poster.sell("B"))
        await service.settle()
        assert poster.levels() == [-1, -1, -1]  # the window held one sale of another variant: one oversold

    play(emptied, story)


@BOTH
def test_sales_one_after_the_other_oversell_nothing(emptied, kind) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, kind, levels=2)
        for title in "AB":
            poster.sell(title)
            await service.settle()
        assert poster.levels() == [0, 0, 0]

    play(emptied, story)


def test_a_run_says_of_two_places_which_was_corrected_and_which_differs(emptied) -> None:
    async def story(service: Service) -> None:
        toronto, montreal = service.shop.add_location("Toronto"), service.shop.add_location("Montreal")
        poster = add_listing(service.shop)
        poster.edit(location=montreal, A=3)
        await service.add(WITHIN[0], unequal_at_start="report")
        poster.sell("A", location=toronto)
        await service.settle()
        assert (poster.levels(toronto), poster.levels(montreal)) == ([9, 9, 9], [3, 10, 10])
        said = next(one for one in await told(service) if "correcting" in one)
        assert "Poster, Toronto: Moved by others: A 10 -> 9." in said
        assert "Poster, Montreal: The levels differ at the start" in said

    play(emptied, story)


def test_forty_locations_are_forty_stocks(emptied) -> None:
    async def story(service: Service) -> None:
        places = [service.shop.add_location(f"Store {number:02}") for number in range(40)]
        poster = add_listing(service.shop, titles=("A", "B"), levels=10)
        await service.add(*WITHIN[:1])
        for place in places:
            poster.sell("A", location=place)
        await service.wait(60)
        assert [poster.levels(place) for place in places] == [[9, 9]] * 40

    play(emptied, story)


def test_one_stale_product_does_not_hold_the_others_back(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings = [add_listing(service.shop, f"Poster {number}") for number in range(12)]
        await service.add(*ACROSS[:1], **ACROSS[1])
        for listing in listings:
            listing.sell("A")
        service.on_the_way("AdjustQuantities", lambda: listings[0].sell("B"))
        service.requests.clear()
        await service.settle()
        assert listings[0].levels() == [8, 8, 8]
        assert all(listing.levels() == [9, 9, 9] for listing in listings[1:])
        assert len(service.requests) <= 2 * (len(listings) + 1)

    play(emptied, story)
