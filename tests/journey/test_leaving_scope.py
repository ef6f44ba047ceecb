"""How a shared stock ends: out of scope, deleted, another choice of places, another automation; and when it must not."""

import re

import pytest

from shopify_emulator import Fault, ManualClock
from stockwright import installing
from stockwright.ledger import journal, wire
from stockwright.ledger.state import Resolution
from stockwright.model import PRODUCT_CHECK, Conflicting
from stockwright.resolving import Decision, resolve_pool
from stockwright.store import pools, runs
from tests.commands import run_command
from tests.journey.listings import TAG, add_listing
from tests.journey.service import Service, new_shop, play
from tests.journey.test_shared_stock import ACROSS, WITHIN, installed, start, stored_pools, told
from tests.journey.test_shared_stock_faults import ADJUST, WITHOUT_ORDERS, set_rule
from tests.real_processes import Service as Processes
from tests.real_processes import temporary_home


async def last_words(service: Service, pool_id: str) -> tuple[str, str]:
    """Kind and reason of the last entry of a stock that ended; its journal replays to the end."""
    async with service.database.connection() as conn:
        lines = await pools.journal(conn, service.shop_id, pool_id)
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    journal.replay(wire.entry_from_json(line.data) for line in lines)
    assert lines[-1].kind == wire.entry_from_json(lines[-1].data).kind
    return lines[-1].kind, wire.entry_from_json(lines[-1].data).data.get("why", "")


async def freeze(service: Service, listing):
    """A sale whose correction is applied without an answer, where orders cannot be read: only a person knows."""
    await set_rule(service, "certain")
    await service.wait(30)
    service.shop.faults.next(ADJUST, Fault.SERVER_ERROR_AFTER)
    listing.sell("A")
    await service.wait(400)
    (frozen,) = await stored_pools(service)
    assert frozen.status == "frozen"
    return frozen


def without_orders():
    return new_shop(ManualClock(), scopes=WITHOUT_ORDERS)


async def errors_about(service: Service, listing) -> list[str]:
    """What the failed runs of a product said, newest first."""
    async with service.database.connection() as conn:
        found = await runs.list_runs(conn, shop_id=service.shop_id, limit=1_000)
    return [run.error["message"] for run in found if run.error and run.subject == listing.gid]


async def look_at(service: Service, listing) -> None:
    (row,) = await installed(service)
    await service.emit(row, PRODUCT_CHECK, {}, subject=listing.gid)


# --- a freeze and a correction in doubt outlast the scope ------------------------------------------------------


def test_a_frozen_stock_waits_for_a_person_in_and_out_of_scope(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, options={"only_active_products": True})
        frozen = await freeze(service, poster)
        service.shop.set_status(poster.gid, "DRAFT")
        await look_at(service, poster)
        await service.reconcile()
        service.shop.set_status(poster.gid, "ACTIVE")
        await service.reconcile()
        (kept,) = await stored_pools(service)
        assert (kept.pool_id, kept.status) == (frozen.pool_id, "frozen")
        service.shop.set_status(poster.gid, "DRAFT")
        await resolve_pool(
            service.deps, kept, Decision(resolution=Resolution.WAS_APPLIED, stock=None, by="Ada")
        )
        await service.settle()
        assert await stored_pools(service) == []
        assert poster.levels() == [9, 9, 9]
        kind, why = await last_words(service, kept.pool_id)
        assert (kind, "draft" in why) == ("dissolved", True)

    play(emptied, story, shop=without_orders())


def test_a_write_that_arrives_late_is_no_sale_after_the_product_was_away_for_a_moment(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        await service.wait(30)
        service.shop.faults.next(ADJUST, Fault.LATE_ARRIVAL)
        poster.sell("A")
        await service.settle()
        (doubtful,) = await stored_pools(service)
        assert doubtful.in_doubt
        service.shop.set_tags(poster.gid, [])
        await look_at(service, poster)
        assert [pool.pool_id for pool in await stored_pools(service)] == [doubtful.pool_id]
        service.shop.set_tags(poster.gid, [TAG])
        await service.wait(400)
        await service.reconcile()
        poster.sell("B")
        await service.wait(60)
        assert poster.levels() == [8, 8, 8]

    play(emptied, story)


def test_a_stock_that_ends_says_why_in_its_journal(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service)
        (pool,) = await stored_pools(service)
        service.shop.set_tags(poster.gid, [])
        await look_at(service, poster)
        assert await stored_pools(service) == []
        assert await last_words(service, pool.pool_id) == ("dissolved", "the product has none of the tags")
        with temporary_home() as home:
            environ = Processes(home=home, settings={"DATABASE_URL": emptied}).environ
            told = run_command("stock", "history", pool.pool_id, env=environ, cwd=home)
        assert told.returncode == 0, told.stderr
        assert "dissolved, its levels are free: the product has none of the tags" in told.stdout

    play(emptied, story)


def test_a_removed_automation_ends_its_stocks_with_a_word_in_each_journal(emptied) -> None:
    async def story(service: Service) -> None:
        await start(service)
        (pool,) = await stored_pools(service)
        (row,) = await installed(service)
        await installing.remove(service.deps, row)
        assert await stored_pools(service) == []
        kind, why = await last_words(service, pool.pool_id)
        assert (kind, "was removed" in why) == ("dissolved", True)

    play(emptied, story)


# --- a scan notices what its search does not find any more -------------------------------------------------------


def test_products_of_a_type_that_is_not_chosen_any_more_are_free_for_another_automation(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        mug = add_listing(service.shop, "Mug", product_type="Mug")
        row = await service.add(WITHIN[0], product_types=["Print", "Mug"])
        assert len(await stored_pools(service)) == 2
        row = await installing.change(service.deps, row, options={"product_types": ["Print"]})
        await service.settle()
        assert [pool.product_id for pool in await stored_pools(service)] == [poster.gid]
        await service.add(WITHIN[0], product_types=["Mug"])
        mug.sell("A")
        await service.settle()
        assert mug.levels() == [9, 9, 9]

    play(emptied, story)


def test_the_schedule_lets_products_go_that_lost_their_tag_and_finds_all_others_in_step(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        posters = [add_listing(service.shop, f"Poster {number}") for number in range(4)]
        await service.add(ACROSS[0], **ACROSS[1])
        await service.fire_schedules()
        service.shop.set_tags(posters[0].gid, [])
        service.requests.clear()
        await service.wait(601)
        await service.fire_schedules()
        await service.settle()
        assert {pool.product_id for pool in await stored_pools(service)} == {one.gid for one in posters[1:]}
        assert [one.operation for one in service.requests] == ["ScanProducts", "ReadProduct"]

    play(emptied, story)


# --- another choice of places ------------------------------------------------------------------------------------


def test_all_places_become_one_stock_and_many_again_at_once(emptied) -> None:
    async def story(service: Service) -> None:
        toronto, montreal = service.shop.add_location("Toronto"), service.shop.add_location("Montreal")
        posters = [add_listing(service.shop, f"Poster {number:02}") for number in range(20)]
        row = await service.add(WITHIN[0])
        row = await installing.change(service.deps, row, options={"locations_as_one": True})
        await service.settle()
        assert {pool.location_id for pool in await stored_pools(service)} == {"*"}
        for poster in posters:
            poster.sell("A")
        await service.settle()
        assert all(poster.levels(montreal) == [9, 9, 9] for poster in posters)
        await installing.change(service.deps, row, options={"locations_as_one": False})
        await service.settle()
        assert len(await stored_pools(service)) == 40
        for poster in posters:
            poster.sell("A", location=toronto)
        await service.settle()
        assert all(
            (poster.levels(toronto), poster.levels(montreal)) == ([8] * 3, [9] * 3) for poster in posters
        )
        assert service.errors == []

    play(emptied, story)


# --- another automation -------------------------------------------------------------------------------------------


def test_the_advice_to_disable_the_other_automation_works_as_it_is_given(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        (pool,) = await stored_pools(service)
        with pytest.raises(Conflicting) as refused:
            await service.add(WITHIN[0])
        found = re.search(r"stockwright automation disable (\w+)", str(refused.value))
        assert found is not None
        (first,) = await installed(service)
        assert found[1] == first.automation_id
        await installing.change(service.deps, first, enabled=False)
        await service.add(WITHIN[0])
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [9, 9, 9]
        kind, why = await last_words(service, pool.pool_id)
        assert (kind, "is disabled" in why) == ("dissolved", True)
        with pytest.raises(Conflicting, match="would both hold the stock"):
            first, _ = await installed(service)
            await installing.change(service.deps, first, enabled=True)

    play(emptied, story)


def test_a_frozen_stock_of_a_disabled_automation_is_not_taken_over_until_that_is_removed(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, ACROSS)
        await freeze(service, poster)
        (first,) = await installed(service)
        await installing.change(service.deps, first, enabled=False)
        second = await service.add(WITHIN[0])
        await look_at_with(service, second, poster)
        message, *_ = await errors_about(service, poster)
        assert "frozen or in doubt" in message
        advised = re.search(r"stockwright automation remove (\w+)", message)
        assert advised is not None
        assert advised[1] == first.automation_id
        first, _ = await installed(service)
        await installing.remove(service.deps, first)
        await service.reconcile()
        poster.sell("B")
        await service.settle()
        assert poster.levels() == [8, 8, 8]

    play(emptied, story, shop=without_orders())


async def look_at_with(service: Service, row, listing) -> None:
    await service.emit(row, PRODUCT_CHECK, {}, subject=listing.gid)


# --- one inventory item in two products, and places that nobody knows ----------------------------------------------


def test_an_item_of_two_products_belongs_to_the_first_and_the_second_says_so(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        row = await service.add(ACROSS[0], **ACROSS[1])
        copy = add_listing(service.shop, "Copy")
        copy.variant("A").item = poster.variant("A").item
        await look_at_with(service, row, copy)
        assert service.errors == []
        errors = await errors_about(service, copy)
        assert (
            "already share stock in the automation Sync inventory across product variants as 'Poster"
            in errors[0]
        )
        poster.sell("B")
        await service.settle()
        assert poster.levels() == [9, 9, 9]

    play(emptied, story)


def test_a_sale_at_a_place_that_was_not_chosen_is_called_that_and_costs_no_request(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(
            service, WITHIN, locations=("Toronto", "Montreal"), options={"location_names": ["Toronto"]}
        )
        poster.sell("A", location=service.shop.locations()[1].gid)
        await service.settle()
        assert service.requests == []
        assert (await told(service))[0].startswith("At Montreal, where this automation shares no stock")

    play(emptied, story)


def test_a_place_that_was_opened_a_moment_ago_is_known_with_its_first_event(emptied) -> None:
    async def story(service: Service) -> None:
        poster = await start(service, WITHIN)
        await service.wait(5)
        montreal = service.shop.add_location("Montreal")
        for title in "ABC":
            service.shop.connect(poster.item(title), montreal, available=5)
        await service.settle()
        poster.sell("A", location=montreal)
        await service.settle()
        assert poster.levels(montreal) == [4, 4, 4]

    play(emptied, story)
