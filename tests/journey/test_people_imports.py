"""Files of people through the service: checked, imported, interrupted, refused line by line."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shopify_emulator import Fault
from stockwright import importing
from stockwright.model import Conflicting
from stockwright.notify.people_file import FileRefused
from stockwright.people import erase
from stockwright.people_files import people_csv
from stockwright.store import imports
from stockwright.store.audit import COMMAND_LINE
from stockwright.store.people import Wanted
from tests.journey.alerts import Alerts, play
from tests.journey.people import add_person, import_now, number, people_now, send_file, shop_of

ANN, BOB, CEO = "ann@example.com", "bob@example.com", "ceo@example.com"


async def refused(it: Alerts, import_id: str) -> list[tuple[int, str]]:
    service = it.service
    async with service.database.connection() as conn:
        found = await imports.refusals(conn, service.shop_id, import_id, limit=100)
    return [(one.line, one.reason) for one in found]


def test_a_checked_file_adds_nobody_and_starting_it_adds_everybody_once(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        variant = number(it.sell_out().variants[0])
        text = f"email,variant_id,subscribed_at\n{ANN},{variant},2026-01-05\n{BOB},{variant},2026-01-04\nnobody,{variant}\n{ANN},{variant}\n"
        row = await send_file(it.service, text, check=True)
        assert (row.state, row.added, row.doubles, row.refused) == ("checked", 2, 1, 1)
        assert await people_now(it.service) == []
        assert [line for line, _ in await refused(it, row.import_id)] == [4]
        await importing.start(it.service.deps, row, consent="kept", by=COMMAND_LINE)
        await importing.go_on(it.service.deps)
        row = await import_now(it.service, row.import_id)
        assert (row.state, row.added, row.doubles, row.refused, row.has_file) == ("done", 2, 1, 1, False)
        assert await people_now(it.service) == [(BOB, "pending", "Pending"), (ANN, "pending", "Pending")]
        with pytest.raises(Conflicting):
            await importing.start(it.service.deps, row, consent="kept", by=COMMAND_LINE)

    play(emptied, story)


def test_the_original_date_decides_the_place_in_line_and_titles_come_from_the_shop(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        product = it.sell_out("Harbour", variants=("Framed", "Unframed"))
        framed = number(product.variants[0])
        await send_file(it.service, f"email,variant_id,date,language\n{ANN},{framed},2026-01-05T10:00:00Z,fr")
        [row] = await it.rows(
            "select created_at, product_title, variant_title, product_id, locale, source, consent ->> 'file' from subscribers"
        )
        assert row == (
            datetime(2026, 1, 5, 10, tzinfo=UTC), "Harbour", "Framed", product.gid, "fr", "import", "people.csv",
        )  # fmt: skip

    play(emptied, story)


def test_lines_about_what_nobody_can_wait_for_are_refused(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        poster = it.sell_out()
        card = it.sell_out("Gift card", is_gift_card=True)
        deleted = it.sell_out("Gone")
        it.shop.remove_product(deleted.gid)
        await erase(it.service.deps, await shop_of(it.service), CEO, by=COMMAND_LINE)
        lines = [
            f"{ANN},{number(card.variants[0])}",
            f"{ANN},{number(deleted.variants[0])}",
            f"{CEO},{number(poster.variants[0])}",
            f"{ANN},{number(poster.variants[0])}",
        ]
        row = await send_file(it.service, "\n".join(["email,variant_id", *lines]))
        assert (row.state, row.added, row.refused) == ("done", 1, 3)
        told = dict(await refused(it, row.import_id))
        assert "gift card" in told[2] and "no variant" in told[3] and "suppression list" in told[4]

    play(emptied, story)


def test_who_waits_already_is_left_as_they_are_and_sending_the_file_twice_adds_nobody(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        variant = it.sell_out().variants[0]
        await add_person(it.service, ANN, variant, first_name="Ann")
        text = f"email,variant_id,first name\nANN@example.com,{number(variant)},Other\n{BOB},{number(variant)},Bob"
        first = await send_file(it.service, text)
        second = await send_file(it.service, text)
        assert (first.added, first.doubles) == (1, 1)
        assert (second.added, second.doubles) == (0, 2)
        assert await it.rows("select first_name from subscribers order by email") == [("Ann",), ("Bob",)]

    play(emptied, story)


def test_imported_people_are_told_at_the_next_restock(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await send_file(it.service, f"email,variant_id\n{ANN},{number(poster.variants[0])}")
        await it.service.settle()
        assert it.told == []
        await it.restock(poster, A=5)
        await it.wait(60)
        assert it.told == [ANN]

    play(emptied, story)


def test_people_who_are_asked_get_one_mail_and_wait_once_they_confirm(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install()
        poster = it.sell_out()
        await send_file(it.service, f"email,variant_id\n{ANN},{number(poster.variants[0])}", consent="asked")
        await it.wait(60)
        assert it.told == [ANN]
        assert "/u/confirm/" in it.mails[0].text
        await it.restock(poster, A=5)
        await it.wait(3600)
        assert it.told == [ANN]
        assert await people_now(it.service) == [(ANN, "unconfirmed", "Pending")]

    play(emptied, story)


def test_nobody_is_asked_without_a_public_address(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        text = f"email,variant_id\n{ANN},{number(it.sell_out().variants[0])}"
        with pytest.raises(Conflicting, match="STOCKWRIGHT_PUBLIC_URL"):
            await send_file(it.service, text, consent="asked")
        row = await send_file(it.service, text, check=True)
        with pytest.raises(Conflicting, match="STOCKWRIGHT_PUBLIC_URL"):
            await importing.start(it.service.deps, row, consent="asked", by=COMMAND_LINE)

    play(emptied, story, public_url=None)


def test_a_crash_between_two_batches_loses_and_repeats_nobody(emptied: str) -> None:
    class Killed(Exception):
        pass

    async def story(it: Alerts) -> None:
        variant = number(it.sell_out().variants[0])
        lines = [f"p{no}@example.com,{variant}" for no in range(1200)]
        row = await importing.begin(
            it.service.deps, await shop_of(it.service), name="many.csv", check=False, by=COMMAND_LINE,
            data="\n".join(["email,variant_id", *lines]).encode(),
        )  # fmt: skip

        def die(lines_done: int) -> None:
            if lines_done == 500:
                raise Killed

        with pytest.raises(Killed):
            await importing.work_through(it.service.deps, row.shop_id, row.import_id, hear=die)
        assert len(await people_now(it.service)) == 500
        await importing.go_on(it.service.deps)  # the dead worker's lease still holds
        assert len(await people_now(it.service)) == 500
        await it.service.move(121)
        await importing.go_on(it.service.deps)
        row = await import_now(it.service, row.import_id)
        assert (row.state, row.added, row.doubles, row.next_row) == ("done", 1200, 0, 1200)
        assert len(await people_now(it.service)) == 1200

    play(emptied, story)


def test_two_workers_never_import_a_line_twice(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        variant = number(it.sell_out().variants[0])
        text = "\n".join(["email,variant_id", *(f"p{no}@example.com,{variant}" for no in range(900))])
        row = await importing.begin(
            it.service.deps,
            await shop_of(it.service),
            name="m.csv",
            data=text.encode(),
            check=False,
            by=COMMAND_LINE,
        )
        both = [
            importing.work_through(it.service.deps, row.shop_id, row.import_id),
            importing.work_through(it.service.deps, row.shop_id, row.import_id),
        ]
        await asyncio.gather(*both)
        row = await import_now(it.service, row.import_id)
        assert (row.state, row.added, row.next_row) == ("done", 900, 900)

    play(emptied, story)


def test_a_shop_that_does_not_answer_puts_an_import_off_and_a_day_later_ends_it(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        variant = number(it.sell_out().variants[0])
        it.shop.faults.next("*", Fault.SERVER_ERROR_BEFORE, count=3)
        row = await send_file(it.service, f"email,variant_id\n{ANN},{variant}")
        assert row.state == "importing"
        assert row.reason
        await it.service.move(61)
        await importing.go_on(it.service.deps)
        assert (await import_now(it.service, row.import_id)).state == "done"
        it.shop.faults.next("*", Fault.SERVER_ERROR_BEFORE, count=30)
        row = await send_file(it.service, f"email,variant_id\n{BOB},{variant}")
        await it.service.move(timedelta(hours=25).total_seconds())
        await importing.go_on(it.service.deps)
        row = await import_now(it.service, row.import_id)
        assert (row.state, row.has_file) == ("failed", False)

    play(emptied, story)


def test_a_cancelled_import_stops_and_keeps_who_is_there(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        variant = number(it.sell_out().variants[0])
        row = await send_file(it.service, f"email,variant_id\n{ANN},{variant}", check=True)
        await importing.cancel(it.service.deps, row, by=COMMAND_LINE)
        with pytest.raises(Conflicting):
            await importing.cancel(it.service.deps, row, by=COMMAND_LINE)
        row = await import_now(it.service, row.import_id)
        assert (row.state, row.has_file) == ("cancelled", False)
        assert await people_now(it.service) == []

    play(emptied, story)


def test_a_file_that_is_none_is_not_stored(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        with pytest.raises(FileRefused):
            await send_file(it.service, "name,age\nAnn,9")
        assert await it.rows("select count(*) from people_imports") == [(0,)]

    play(emptied, story)


def test_checked_files_are_forgotten_after_a_day_and_imports_after_a_week(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        variant = number(it.sell_out().variants[0])
        row = await send_file(it.service, f"email,variant_id\n{ANN},{variant}", check=True)
        await it.service.move(timedelta(hours=23).total_seconds())
        await importing.forget_old(it.service.deps)
        assert (await import_now(it.service, row.import_id)).has_file
        await it.service.move(timedelta(hours=2).total_seconds())
        await importing.forget_old(it.service.deps)
        row = await import_now(it.service, row.import_id)
        assert (row.state, row.has_file) == ("cancelled", False)
        await it.service.move(timedelta(days=7).total_seconds())
        await importing.forget_old(it.service.deps)
        assert await it.rows("select count(*) from people_imports") == [(0,)]

    play(emptied, story)


def test_an_export_is_imported_again_as_it_was(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        product = it.sell_out("=HYPERLINK(1)", variants=("Framed",))
        await add_person(
            it.service, "+ann@example.com", product.variants[0], first_name="@Ann", quantity=3, locale="fr",
            created_at=datetime(2026, 1, 5, 10, tzinfo=UTC),
        )  # fmt: skip
        await add_person(it.service, BOB, product.variants[0], state="sent")
        parts = [part async for part in people_csv(it.service.deps, Wanted(shop_id=it.service.shop_id))]
        text = "".join(parts)
        assert "'+ann@example.com" in text and "'=HYPERLINK(1)" in text and "'@Ann" in text
        before = await it.rows(
            "select email, first_name, quantity, locale, created_at, variant_id from subscribers where state = 'pending'"
        )
        await it.execute("delete from subscribers")
        row = await send_file(it.service, text)
        assert (row.added, row.refused) == (1, 1)  # who was told does not wait
        after = await it.rows(
            "select email, first_name, quantity, locale, created_at, variant_id from subscribers"
        )
        assert after == before

    play(emptied, story)
