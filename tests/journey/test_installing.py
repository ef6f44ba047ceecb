"""Installing automations: what is refused and why, at saving and at run time; disabling, exporting, previewing."""

import pytest

from stockwright import installing, previewing
from stockwright.deps import refresh_shop
from stockwright.model import FaultyFields, StockwrightError
from stockwright.store import runs
from tests.journey.listings import TAG, TYPE, add_listing
from tests.journey.service import Service, play
from tests.journey.test_shared_stock import ACROSS, WITHIN, start, stored_pools


async def refusal(service: Service, kind: str, **options) -> str:
    with pytest.raises(StockwrightError) as caught:
        await service.add(kind, **options)
    return str(caught.value)


def test_a_second_automation_for_the_same_stock_is_refused_naming_both(emptied) -> None:
    async def story(service: Service) -> None:
        await start(service, ACROSS)
        message = await refusal(service, WITHIN[0])
        assert "'Keep inventory levels in sync within products'" in message
        assert "'Sync inventory across product variants'" in message
        assert "'Poster'" in message
        assert "disable" in message

    play(emptied, story)


def test_the_same_products_at_other_locations_may_be_shared_by_another_automation(emptied) -> None:
    async def story(service: Service) -> None:
        toronto, montreal = service.shop.add_location("Toronto"), service.shop.add_location("Montreal")
        poster = add_listing(service.shop)
        await service.add(WITHIN[0], location_names=["Toronto"])
        await service.add(WITHIN[0], location_names=["Montreal"])
        poster.sell("A", location=toronto)
        poster.sell("B", location=montreal, count=2)
        await service.wait(30)
        assert (poster.levels(toronto), poster.levels(montreal)) == ([9, 9, 9], [8, 8, 8])

    play(emptied, story)


def test_a_stock_that_becomes_claimed_twice_later_is_refused_at_the_run_naming_the_other(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop, tags=("a",))
        await service.add(ACROSS[0], product_tags=["a"])
        other = await installing.add(
            service.deps, service.shop_id, kind=ACROSS[0], options={"product_tags": ["b"]}, name="The second"
        )
        service.shop.set_tags(poster.gid, ["a", "b"])
        await installing.trigger(service.deps, other)
        await service.settle()
        poster.sell("A")
        await service.wait(60)
        assert poster.levels() == [9, 9, 9]
        async with service.database.connection() as conn:
            found = await runs.list_runs(conn, shop_id=service.shop_id, automation_id=other.automation_id)
        errors = [run.error["message"] for run in found if run.error and run.subject == poster.gid]
        assert errors
        assert "already share stock in the automation Sync inventory across product variants" in errors[0]
        assert len(await stored_pools(service)) == 1

    play(emptied, story)


def test_an_unknown_location_is_refused_with_the_names_that_exist(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        service.shop.add_location("Montreal")
        message = await refusal(service, WITHIN[0], location_names=["toronto"])
        assert "no location named 'toronto'" in message
        assert "Available locations: Montreal, Toronto." in message

    play(emptied, story)


def test_a_location_renamed_later_is_reported_by_the_run_with_the_names_that_exist(emptied) -> None:
    async def story(service: Service) -> None:
        toronto = service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        await service.add(WITHIN[0], location_names=["Toronto"])
        service.shop.rename_location(toronto, "Toronto West")
        await refresh_shop(service.deps, service.shop_id)
        poster.sell("A")
        await service.settle()
        async with service.database.connection() as conn:
            newest, *_ = await runs.list_runs(conn, shop_id=service.shop_id)
        assert newest.error["available_location_names"] == ["Toronto West"]
        assert poster.levels() == [9, 10, 10]

    play(emptied, story)


def test_an_unknown_product_type_is_refused_with_the_types_that_exist(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        add_listing(service.shop)
        message = await refusal(service, ACROSS[0], product_types=["Mug"])
        assert f"Product types of this shop: {TYPE}." in message

    play(emptied, story)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "You must choose to monitor products either by tags or types."),
        ({"product_tags": [TAG], "product_types": [TYPE]}, "but not both"),
        ({"product_tags": [TAG], "locations": "named"}, "Give location_names together with"),
        ({"product_tags": [TAG], "colour": "red"}, "There is no option 'colour'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_stored(emptied, options, says) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        assert says in await refusal(service, ACROSS[0], **options)
        async with service.database.connection() as conn:
            cursor = await conn.execute("select count(*) from automations")
            assert (await cursor.fetchone())[0] == 0

    play(emptied, story)


def test_a_topic_with_two_delays_is_refused(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")

        async def adding(*topics: str) -> None:
            await installing.add(
                service.deps, service.shop_id, kind=ACROSS[0], options=ACROSS[1], topics=topics
            )

        twice = ("mechanic/user/trigger", "user/a/b+1.hour", "user/a/b+2.hours")
        with pytest.raises(FaultyFields, match="named twice") as caught:
            await adding(*twice)
        assert [fault.path for fault in caught.value.faults] == ["topics.2"]
        await adding("user/a/b+1.hour", "user/a/b+60.minutes")

    play(emptied, story)


def test_a_disabled_automation_does_nothing_and_catches_up_when_enabled(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        row = await service.add(ACROSS[0], **ACROSS[1])
        off = await installing.change(service.deps, row, enabled=False)
        service.requests.clear()
        poster.sell("A", count=3)
        await service.wait(60)
        assert poster.levels() == [7, 10, 10]
        assert service.requests == []
        with pytest.raises(StockwrightError, match="is disabled"):
            await installing.trigger(service.deps, off)
        await installing.change(service.deps, off, enabled=True)
        await service.wait(60)
        assert poster.levels() == [7, 7, 7]

    play(emptied, story)


def test_a_removed_automation_frees_its_stock_for_another(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        row = await service.add(ACROSS[0], **ACROSS[1])
        await installing.remove(service.deps, row)
        assert await stored_pools(service) == []
        await service.add(WITHIN[0])
        poster.sell("B")
        await service.wait(30)
        assert poster.levels() == [9, 9, 9]

    play(emptied, story)


def test_options_changed_while_levels_are_shared_apply_to_what_follows(emptied) -> None:
    async def story(service: Service) -> None:
        toronto, montreal = service.shop.add_location("Toronto"), service.shop.add_location("Montreal")
        poster = add_listing(service.shop)
        row = await service.add(WITHIN[0], location_names=["Toronto"])
        poster.sell("A", location=montreal)
        await service.wait(30)
        assert poster.levels(montreal) == [9, 10, 10]
        poster.edit(location=montreal, B=9, C=9)
        await installing.change(service.deps, row, options={"location_names": ["Montreal"]})
        await service.wait(30)
        poster.sell("A", location=montreal)
        poster.sell("A", location=toronto)
        await service.wait(30)
        assert (poster.levels(toronto), poster.levels(montreal)) == ([9, 10, 10], [8, 8, 8])

    play(emptied, story)


def test_all_chosen_locations_can_be_one_stock(emptied) -> None:
    async def story(service: Service) -> None:
        toronto, montreal = service.shop.add_location("Toronto"), service.shop.add_location("Montreal")
        poster = add_listing(service.shop)
        await service.add(WITHIN[0], locations_as_one=True)
        poster.sell("A", location=toronto)
        poster.sell("C", location=montreal)
        await service.wait(30)
        assert (poster.levels(toronto), poster.levels(montreal)) == ([8, 8, 8], [8, 8, 8])

    play(emptied, story)


def test_an_exported_automation_is_imported_disabled_and_works_when_enabled(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        row = await service.add(ACROSS[0], **ACROSS[1])
        file = installing.export(row)
        await installing.remove(service.deps, row)
        imported = await installing.import_one(service.deps, service.shop_id, file)
        assert not imported.enabled
        await service.settle()
        assert await stored_pools(service) == []
        await installing.change(service.deps, imported, enabled=True)
        await service.settle()
        poster.sell("A")
        await service.settle()
        assert poster.levels() == [9, 9, 9]
        with pytest.raises(StockwrightError, match="not an exported automation"):
            await installing.import_one(service.deps, service.shop_id, {"kind": "x"})

    play(emptied, story)


def test_a_preview_names_each_correction_and_writes_nothing_anywhere(emptied) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster, mug = add_listing(service.shop), add_listing(service.shop, "Mug", levels=(1, 2, 3))
        row = await service.add(ACROSS[0], unequal_at_start="report", **ACROSS[1])
        service.shop.subscriptions.clear()
        poster.sell("A")
        before = await stored_pools(service)
        shown = {one.title: one async for one in previewing.preview(service.deps, row)}
        assert [(one["level"], one["from"], one["to"]) for one in shown["Poster"].corrections] == [
            ("B", 10, 9),
            ("C", 10, 9),
        ]
        assert "not in sync" in shown["Mug"].error["message"]
        assert mug.levels() == [1, 2, 3]
        assert service.writes == []
        assert await stored_pools(service) == before

    play(emptied, story)
