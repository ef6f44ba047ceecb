"""Scans through the whole service: adoption, the report of what differs, set_cache, and a crash in the middle."""

import pytest

from shopify_emulator import Fault
from stockwright import installing
from stockwright.model import SET_CACHE, WHOLE_SHOP, Key
from stockwright.store import automations, runs, wake
from stockwright.store.automations import AutomationRow
from tests.journey.listings import TAG, TYPE, add_listing
from tests.journey.service import Service, play
from tests.journey.test_shared_stock import ACROSS, WITHIN, stored_pools


async def newest_scan(service: Service):
    async with service.database.connection() as conn:
        found = await runs.list_runs(conn, shop_id=service.shop_id, limit=1_000)
        return await runs.get(conn, next(run.run_id for run in found if run.subject == "*"))


def listings(service: Service, count: int, *, unequal: tuple[int, ...] = ()):
    return [
        add_listing(service.shop, f"Poster {number:02}", levels=(10, 9, 11) if number in unequal else 10)
        for number in range(count)
    ]


def test_sixty_products_are_adopted_and_those_that_differ_listed_in_one_error(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        posters = listings(service, 60, unequal=(7, 31, 58))
        await service.add(ACROSS[0], **ACROSS[1])
        scan = await newest_scan(service)
        assert scan.state == "failed"
        assert "not in sync for these products" in scan.error["message"]
        listed = scan.error["products_out_of_sync"]
        assert sorted(one["title"].partition(",")[0] for one in listed) == [
            "Poster 07",
            "Poster 31",
            "Poster 58",
        ]
        assert listed[0]["quantities"] == {"A": 10, "B": 9, "C": 11}
        assert len(await stored_pools(service)) == 57
        assert scan.progress == {"done": 60, "total": 60, "unit": "products"}
        for poster in posters:
            poster.sell("A")
        await service.wait(60)
        kept = [poster.levels() for poster in posters]
        assert kept.count([9, 9, 9]) == 57
        assert kept.count([9, 9, 11]) == 3  # nobody touched those that differ

    play(emptied, story)


def test_a_product_made_equal_is_adopted_by_the_next_schedule_through_set_cache(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        (poster,) = listings(service, 1, unequal=(0,))
        await service.add(ACROSS[0], **ACROSS[1])
        await service.fire_schedules()
        assert await stored_pools(service) == []
        service.shop.subscriptions.clear()  # no webhook tells of it
        poster.edit(A=10, B=10, C=10)
        await service.wait(601)
        assert await stored_pools(service) == []
        await service.fire_schedules()
        await service.settle()
        async with service.database.connection() as conn:
            cursor = await conn.execute("select count(*) from events where topic = %s", (SET_CACHE,))
            assert await cursor.fetchone() == (1,)
        assert len(await stored_pools(service)) == 1
        await service.subscribe()
        poster.sell("B")
        await service.settle()
        assert poster.levels() == [9, 9, 9]

    play(emptied, story)


def test_the_schedule_sends_a_new_product_to_set_cache_which_adopts_it(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings(service, 1)
        await service.add(ACROSS[0], **ACROSS[1])
        await service.fire_schedules()
        mug = add_listing(service.shop, "Mug", levels=4)
        await service.wait(601)
        assert len(await stored_pools(service)) == 1
        await service.fire_schedules()
        await service.settle()
        async with service.database.connection() as conn:
            cursor = await conn.execute("select payload from events where topic = %s", (SET_CACHE,))
            ((payload,),) = await cursor.fetchall()
        assert [product["title"] for product in payload["products"]] == ["Mug"]
        assert len(await stored_pools(service)) == 2
        mug.sell("A")
        await service.settle()
        assert mug.levels() == [3, 3, 3]

    play(emptied, story)


def test_set_cache_without_products_says_so(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings(service, 1)
        row = await service.add(ACROSS[0], **ACROSS[1])
        await service.emit(row, SET_CACHE, {})
        scan = await newest_scan(service)
        assert scan.error == {"message": "No products with missing cache were passed to this event."}

    play(emptied, story)


def test_a_scan_that_finds_nothing_says_which_search_it_made(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        add_listing(service.shop, tags=("other",))
        await service.add(ACROSS[0], **ACROSS[1])
        scan = await newest_scan(service)
        assert "No matching product variants found!" in scan.error["message"]
        assert scan.error["search_query"] == f'tag:"{TAG}"'

    play(emptied, story)


def test_a_scan_goes_on_where_a_failure_stopped_it(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings(service, 120)

        async def fail_the_second_page(point: str) -> None:
            pages = [one for one in service.requests if one.operation == "ScanProducts"]
            if point == "reading" and len(pages) == 2:
                service.shop.faults.next("products", Fault.SERVER_ERROR_BEFORE, count=3)

        service.seam = fail_the_second_page
        await installing.add(service.deps, service.shop_id, kind=ACROSS[0], options=ACROSS[1])
        await service.wait(120)
        assert len(service.errors) == 1
        assert len(await stored_pools(service)) == 120
        firsts = [
            one for one in service.requests if one.operation == "ScanProducts" and one.variables["total"]
        ]
        assert len(firsts) == 1  # the first page was read once

    play(emptied, story)


@pytest.mark.parametrize("way", ["disabling", "removing"])
def test_a_scan_ends_when_its_automation_is_disabled_or_removed(emptied, way) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings(service, 120)
        row = await installing.add(service.deps, service.shop_id, kind=ACROSS[0], options=ACROSS[1])
        is_over = False

        async def interfere(point: str) -> None:
            nonlocal is_over
            pages = [one for one in service.requests if one.operation == "ScanProducts"]
            if point == "reading" and len(pages) == 2 and not is_over:
                is_over = True
                await end(service, row, way)

        service.seam = interfere
        await service.settle()
        scan = await newest_scan(service)
        assert (scan.state, scan.finished_at is not None) == ("cancelled", True)
        assert f"Cancelled by {way} the automation after" in scan.because
        assert len([one for one in service.requests if one.operation == "ScanProducts"]) == 2
        assert service.errors == []
        if way == "removing":
            assert await stored_pools(service) == []
            return
        found = await stored_pools(service)
        assert 0 < len(found) < 120
        await installing.change(service.deps, await stored_row(service), enabled=True)
        await service.settle()
        assert (await newest_scan(service)).state == "succeeded"
        assert len(await stored_pools(service)) == 120

    play(emptied, story)


async def end(service: Service, row: AutomationRow, way: str) -> None:
    if way == "removing":
        await installing.remove(service.deps, row)
    else:
        await installing.change(service.deps, await stored_row(service), enabled=False)


async def stored_row(service: Service) -> AutomationRow:
    async with service.database.connection() as conn:
        (row,) = await automations.list_all(conn, service.shop_id)
    return row


def test_an_automation_that_is_disabled_leaves_no_run_that_goes_on(emptied) -> None:
    """Also when no worker is at it: it died, or waits for its next try."""

    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings(service, 120)
        await installing.add(service.deps, service.shop_id, kind=ACROSS[0], options=ACROSS[1])
        service.shop.faults.next("products", Fault.SERVER_ERROR_BEFORE, count=3)
        await service.settle()
        assert len(service.errors) == 1
        await end(service, await stored_row(service), "disabling")
        async with service.database.connection() as conn:
            assert await runs.list_runs(conn, shop_id=service.shop_id, state="running") == []

    play(emptied, story)


def test_a_quiet_scan_reads_two_hundred_products_in_few_requests_and_writes_nothing(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings(service, 200)
        row = await service.add(ACROSS[0], **ACROSS[1])
        service.requests.clear()
        await installing.trigger(service.deps, row)
        await service.wait(60)
        assert {one.operation for one in service.requests} == {"ScanProducts"}
        assert len(service.requests) <= 5
        assert "200 in step" in (await newest_scan(service)).because

    play(emptied, story)


def test_a_scan_finds_every_change_that_no_webhook_told(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        posters = listings(service, 30)
        row = await service.add(ACROSS[0], **ACROSS[1])
        service.shop.subscriptions.clear()
        for poster in posters[::3]:
            poster.sell("C", count=2)
        service.requests.clear()
        await installing.trigger(service.deps, row)
        await service.wait(60)
        assert [poster.levels() for poster in posters] == [[8, 8, 8], [10, 10, 10], [10, 10, 10]] * 10
        assert len(service.requests) == 1 + 2 * 10

    play(emptied, story)


def test_a_product_that_leaves_the_scope_is_freed_and_comes_back_unequal(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        (poster,) = listings(service, 1)
        await service.add(ACROSS[0], **ACROSS[1])
        service.shop.set_tags(poster.gid, ["other"])
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [9, 10, 10]
        assert await stored_pools(service) == []
        service.shop.set_tags(poster.gid, [TAG])
        await service.reconcile()
        assert (await newest_scan(service)).error["products_out_of_sync"][0]["product_id"] == poster.gid

    play(emptied, story)


def test_types_are_matched_in_any_case_and_all_products_by_default(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster, mug = add_listing(service.shop), add_listing(service.shop, "Mug", product_type="Mug")
        await service.add(WITHIN[0], product_types=[TYPE])
        poster.sell("A")
        mug.sell("A")
        await service.wait(30)
        assert (poster.levels(), mug.levels()) == ([9, 9, 9], [9, 10, 10])

    play(emptied, story)


def test_a_wake_up_of_the_whole_shop_with_nothing_to_do_leaves_no_run(emptied) -> None:
    """After a crash a key may be woken although its work was done."""

    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        listings(service, 1)
        row = await service.add(ACROSS[0], **ACROSS[1])
        before = await newest_scan(service)
        key = Key(shop_id=service.shop_id, automation_id=row.automation_id, subject=WHOLE_SHOP)
        async with service.database.connection() as conn:
            await wake.wake(conn, [(key, None)])
        await service.settle()
        assert (await newest_scan(service)).run_id == before.run_id

    play(emptied, story)
