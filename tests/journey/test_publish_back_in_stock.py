"""Publishing through the whole service: webhooks, schedule and Run; refusals, lost answers, crashes; the mail."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest

from shopify_emulator import Fault, VariantSpec, WebhookFault
from stockwright import installing
from stockwright.model import StockwrightError
from stockwright.previewing import preview
from stockwright.store import restocks, runs, stats
from stockwright.web.admin.home import MEASURES
from tests.journey.listings import Listing, add_listing
from tests.journey.service import Service, play

KIND = "publish-back-in-stock"
STAFF = "stock@example.com"
ONLINE = "Online Store"
PUBLISH = "publishablePublish"


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One message in the queue."""

    recipient: str
    subject: str
    text: str
    html: str


async def install(service: Service, **options):
    given = {"sales_channel_names": [ONLINE], "email": STAFF, **options}
    row = await service.add(KIND, **given)
    service.requests.clear()
    return row


def hidden(service: Service, title: str = "Poster", **options) -> Listing:
    return add_listing(service.shop, title, **{"levels": 0, "published_on": (), **options})


def channels_of(service: Service, listing: Listing) -> list[str]:
    """Names of the channels where the shop has the product."""
    names = {one.gid: one.name for one in service.shop.publications()}
    return [names[gid] for gid in names if gid in listing.product.publications]


def channel(service: Service, title: str) -> str:
    return next(one.gid for one in service.shop.publications() if one.name == title)


async def mails(service: Service) -> list[Mail]:
    async with service.database.connection() as conn:
        cursor = await conn.execute("select recipient, subject, text, html from messages order by message_id")
        return [
            Mail(recipient=recipient, subject=subject, text=text, html=html)
            for recipient, subject, text, html in await cursor.fetchall()
        ]


def publishes(service: Service):
    return [one for one in service.requests if one.operation.startswith("PublishProduct")]


def reads(service: Service):
    return [one for one in service.requests if not one.operation.startswith(("Publish", "Unpublish"))]


async def runs_about(service: Service, subject: str):
    async with service.database.connection() as conn:
        found = await runs.list_runs(conn, shop_id=service.shop_id, limit=1000)
    return [run for run in found if run.subject == subject]


async def newest(service: Service, subject: str):
    return (await runs_about(service, subject))[0]


# --- one restock ----------------------------------------------------------------------------------------


def test_twenty_variants_restocked_within_seconds_are_one_publish_and_one_mail(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        titles = [f"Size {number:02}" for number in range(20)]
        poster = hidden(service, titles=titles)
        await install(service)
        for title in titles:
            poster.edit(**{title: 2})
            await service.wait(0.2)
        await service.wait(120)
        assert channels_of(service, poster) == [ONLINE]
        assert service.shop.request_counts()[PUBLISH] == 1
        assert len(reads(service)) <= 20
        (mail,) = await mails(service)
        assert mail.recipient == STAFF
        assert mail.subject == "Back in stock: Poster"
        assert f"/admin/products/{poster.gid.rsplit('/', 1)[1]}" in mail.html
        assert f"Channels: {ONLINE}" in mail.text

    play(database, story)


def test_P3_three_variants_at_two_locations_are_one_mutation_and_one_mail(database) -> None:
    async def story(service: Service) -> None:
        places = [service.shop.add_location(name) for name in ("Toronto", "Montreal")]
        poster = hidden(service)
        await install(service, sales_channel_names=[ONLINE, "Shop"])
        for title in "ABC":
            for place in places:
                poster.edit(place, **{title: 1})
                await service.wait(0.5)
        await service.wait(60)
        assert channels_of(service, poster) == [ONLINE, "Shop"]
        assert service.shop.request_counts()[PUBLISH] == 1
        assert len(await mails(service)) == 1

    play(database, story)


def test_a_publish_is_counted_for_the_charts_of_home(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service)
        poster.edit(A=3)
        await service.wait(60)
        now = service.clock.now()
        async with service.database.connection() as conn:
            await stats.count_hours(conn, now=now)
            counted = await stats.series(
                conn,
                bucket="day",
                since=now - timedelta(days=2),
                zone="UTC",
                whats=[one.what for one in MEASURES],
            )
        totals = Counter()
        for one in counted:
            totals[one.what] += one.count
        assert (totals["done:publish"], totals["done:correct"]) == (1, 0)
        assert totals["events"] > 0

    play(database, story)


def test_an_event_for_a_published_product_costs_one_read_and_nothing_else(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop)
        await install(service)
        poster.sell("A")
        await service.wait(60)
        assert [one.operation for one in service.requests] == ["ReadProduct"]
        assert await mails(service) == []
        assert "nothing to do" in (await newest(service, poster.gid)).because

    play(database, story)


def test_an_event_at_a_location_that_does_not_count_costs_no_request(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        montreal = service.shop.add_location("Montreal")
        poster = hidden(service)
        await install(service, location_names=["Toronto"])
        poster.edit(montreal, A=50)
        await service.wait(60)
        assert service.requests == []
        assert "does not count" in (await newest(service, poster.gid)).because
        poster.edit(A=1)
        await service.wait(60)
        assert channels_of(service, poster) == [ONLINE]

    play(database, story)


def test_the_next_return_to_stock_is_a_mail_of_its_own(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service)
        for _ in range(2):
            poster.edit(A=3)
            await service.wait(60)
            poster.product.publications.clear()
            poster.edit(A=0)
            await service.wait(60)
        assert len(await mails(service)) == 2
        assert service.shop.request_counts()[PUBLISH] == 2

    play(database, story)


def test_without_an_address_nobody_is_told(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service, email="")
        poster.edit(A=3)
        await service.wait(60)
        assert channels_of(service, poster) == [ONLINE]
        assert await mails(service) == []

    play(database, story)


def test_products_restocked_together_share_one_digest(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        posters = [hidden(service, f"Poster {number}") for number in range(4)]
        await install(service)
        for poster in posters:
            poster.edit(A=2)
            await service.wait(1)
        await service.wait(60)
        (mail,) = await mails(service)
        assert mail.subject == "Back in stock: 4 products"
        assert all(f"Poster {number}" in mail.text for number in range(4))

    play(database, story)


# --- scenarios ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "shown"), [("is_in_stock", [ONLINE]), ("becomes_in_stock", [])])
def test_P1_a_sale_publishes_what_was_hidden_only_where_the_level_counts(database, when, shown) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop, titles=("A",), levels=10)
        row = await install(service, when=when)
        poster.product.publications.clear()  # by hand, in the admin
        poster.sell("A")
        await service.wait(60)
        assert channels_of(service, poster) == shown
        await installing.trigger(service.deps, row)  # a person asks: the level decides
        await service.wait(60)
        assert channels_of(service, poster) == [ONLINE]
        assert len(await mails(service)) == 1

    play(database, story)


def test_P1_a_crossing_publishes_under_becomes_in_stock(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service, when="becomes_in_stock", quantity=3)
        poster.edit(A=1, B=1)
        await service.wait(30)
        assert channels_of(service, poster) == []
        poster.edit(C=1)
        await service.wait(30)
        assert channels_of(service, poster) == [ONLINE]

    play(database, story)


def test_P2_the_mail_names_the_channels_that_worked_and_the_run_those_that_refused(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service, requires_selling_plan=True)
        row = await install(service, sales_channel_names=[ONLINE, "Point of Sale"])
        poster.edit(A=3)
        await service.wait(30)
        assert channels_of(service, poster) == [ONLINE]
        (mail,) = await mails(service)
        assert ONLINE in mail.text
        assert "Point of Sale" not in mail.text
        failed = [run for run in await runs_about(service, poster.gid) if run.error]
        assert "Point of Sale" in failed[-1].error["message"]
        await service.wait(86_400)
        assert service.shop.request_counts()[PUBLISH] == 1 + 4  # the good channel once, the other four times
        for _ in range(2):
            poster.sell("A")
            await service.wait(60)
        poster.edit(A=9)
        await service.wait(60)
        assert service.shop.request_counts()[PUBLISH] == 5  # given up until it comes back once more
        assert len(await mails(service)) == 1
        await installing.trigger(service.deps, row)
        await service.wait(5)
        assert service.shop.request_counts()[PUBLISH] == 6
        assert "Point of Sale" in str((await newest(service, "*")).error)

    play(database, story)


def test_P2_nobody_is_told_of_a_product_that_every_channel_refused(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service, requires_selling_plan=True)
        await install(service, sales_channel_names=["Shop"])
        poster.edit(A=3)
        await service.wait(7200)
        assert await mails(service) == []
        assert channels_of(service, poster) == []

    play(database, story)


@pytest.mark.parametrize("status", ["DRAFT", "ARCHIVED", "UNLISTED"])
def test_P4_only_active_products_are_published_and_the_run_says_so(database, status) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service, status=status)
        await install(service)
        poster.edit(A=3)
        await service.wait(60)
        assert PUBLISH not in service.shop.request_counts()
        assert await mails(service) == []
        assert f"the product is {status.lower()}" in (await newest(service, poster.gid)).because

    play(database, story)


@pytest.mark.parametrize("when", ["is_in_stock", "becomes_in_stock"])
def test_P5_the_schedule_publishes_what_a_lost_webhook_hid(database, when) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service, when=when)
        await service.fire_schedules()
        service.shop.faults.next_webhook(WebhookFault.DROP)
        poster.edit(A=3)
        await service.wait(60)
        assert channels_of(service, poster) == []
        await service.wait(3600)
        await service.fire_schedules()
        await service.wait(30)
        assert channels_of(service, poster) == [ONLINE]
        assert len(await mails(service)) == 1

    play(database, story)


def test_P6_a_scan_throttled_at_the_400th_product_keeps_what_is_done_and_resumes(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        posters = [hidden(service, f"Poster {number:03}", levels=2, titles=("A",)) for number in range(600)]
        row = await install(service, location_names=["Toronto"])

        async def throttle_after_eight_pages(point: str) -> None:
            pages = [one for one in service.requests if one.operation == "ScanProducts"]
            if point == "reading" and len(pages) == 9 and service.requests[-1] is pages[-1]:
                service.shop.faults.next("products", Fault.TOO_MANY_REQUESTS, count=3)

        service.seam = throttle_after_eight_pages
        before = service.shop.request_counts().get(PUBLISH, 0)
        await installing.trigger(service.deps, row)
        await service.settle()
        done = [poster for poster in posters if channels_of(service, poster)]
        assert len(done) == 400
        await service.wait(600)
        assert all(channels_of(service, poster) == [ONLINE] for poster in posters)
        firsts = [
            one for one in service.requests if one.operation == "ScanProducts" and one.variables["total"]
        ]
        assert len(firsts) == 1  # it went on; it did not begin again
        assert len(publishes(service)) == 12  # 50 products in each
        assert service.shop.request_counts()[PUBLISH] - before == 600
        assert [mail.subject for mail in await mails(service)] == ["Back in stock: 600 products"]
        whole = next(run for run in await runs_about(service, "*") if run.progress)
        assert whole.state == "succeeded"
        assert "600 products published" in whole.because

    play(database, story)


def test_P7_the_251st_channel_is_found_and_read_whole(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        for number in range(4, 261):
            service.shop.add_publication(f"Channel {number}", handle=f"channel_{number}")
        poster = add_listing(service.shop, levels=5)  # on all 260 of them
        bag = hidden(service, "Bag")
        await install(service, sales_channel_names=["Channel 255"])
        poster.sell("A")
        bag.edit(A=1)
        await service.wait(60)
        assert service.shop.request_counts()[PUBLISH] == 1
        assert channels_of(service, bag) == ["Channel 255"]

    play(database, story)


def test_P8_an_event_of_a_deleted_product_is_skipped(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service)
        poster.edit(A=3)
        service.shop.remove_product(poster.gid)
        await service.wait(60)
        assert PUBLISH not in service.shop.request_counts()
        assert await mails(service) == []
        assert (await newest(service, poster.gid)).because == "The product no longer exists: nothing to do."

    play(database, story)


def test_P11_a_channel_named_twice_is_one_and_a_name_of_two_channels_is_reported(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service, sales_channel_names=[ONLINE, ONLINE])
        poster.edit(A=1)
        await service.wait(30)
        assert channels_of(service, poster) == [ONLINE]
        service.shop.add_publication("Shop", handle="shop_2")
        with pytest.raises(StockwrightError, match="2 sales channels named 'Shop'"):
            await service.add(KIND, sales_channel_names=["Shop"])

    play(database, story)


def test_a_channel_that_does_not_exist_is_refused_with_those_that_do(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        with pytest.raises(StockwrightError) as refused:
            await service.add(KIND, sales_channel_names=["Online store"])
        assert "no sales channel named 'Online store'" in str(refused.value)
        assert "Available sales channels: Online Store, Point of Sale, Shop." in str(refused.value)

    play(database, story)


def test_a_missing_scope_is_refused_by_its_name(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        tokens = service.shop.api.tokens
        tokens.scopes = tokens.scopes - {"write_publications"}
        with pytest.raises(StockwrightError, match="write_publications"):
            await service.add(KIND, sales_channel_names=[ONLINE])

    play(database, story)


# --- what goes wrong on the way ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "mutations"),
    [
        (Fault.DROPPED_AFTER, 1),  # published, though nobody said so: the read shows it
        (Fault.SERVER_ERROR_AFTER, 1),
        (Fault.TIMEOUT_BEFORE, 2),  # never arrived: sent again
        (Fault.CONNECT_REFUSED, 2),
        (Fault.TOO_MANY_REQUESTS, 2),
        (Fault.INTERNAL_ERROR, 2),
    ],
)
def test_a_publish_without_an_answer_is_read_again_and_told_once(database, fault, mutations) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service)
        service.shop.faults.next(PUBLISH, fault)
        poster.edit(A=3)
        await service.wait(120)
        assert channels_of(service, poster) == [ONLINE]
        assert len(publishes(service)) == mutations
        assert len(await mails(service)) == 1
        assert service.errors == []

    play(database, story)


class Died(Exception):
    """The process ends here."""


@pytest.mark.parametrize("point", ["reading", "shown"])
def test_a_crash_around_the_publish_is_one_publish_more_at_most_and_one_mail(database, point) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        await install(service)
        died = []

        async def die(at: str) -> None:
            if at == point and not died and publishes(service):
                died.append(at)
                raise Died

        service.seam = die
        poster.edit(A=3)
        await service.wait(120)
        assert died
        assert channels_of(service, poster) == [ONLINE]
        assert len(publishes(service)) == (2 if point == "reading" else 1)
        assert len(await mails(service)) == 1

    play(database, story)


@pytest.mark.parametrize("point", ["reading", "shown"])
def test_a_scan_that_dies_around_its_batch_publishes_all_and_tells_once(database, point) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        posters = [hidden(service, f"Poster {number:02}", levels=1) for number in range(60)]
        row = await install(service)
        died = []

        async def die(at: str) -> None:
            if at == point and not died and publishes(service):
                died.append(at)
                raise Died

        service.seam = die
        await installing.trigger(service.deps, row)
        await service.wait(600)
        assert died
        assert all(channels_of(service, poster) == [ONLINE] for poster in posters)
        told = [mail.text for mail in await mails(service)]
        assert [sum(f"Poster {number:02}\n" in text for text in told) for number in range(60)] == [1] * 60

    play(database, story)


def test_a_scan_and_an_event_at_once_are_one_mail(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service)
        row = await install(service)
        service.on_the_way("PublishProduct", lambda: poster.edit(B=1))
        poster.edit(A=1)
        await installing.trigger(service.deps, row)
        await service.wait(600)
        assert channels_of(service, poster) == [ONLINE]
        assert len(await mails(service)) == 1

    play(database, story)


# --- scans, preview, taking down --------------------------------------------------------------------------


def test_a_run_of_many_products_is_one_mutation_document_and_one_digest(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        for number in range(30):
            hidden(service, f"Poster {number:02}", levels=2)
        row = await install(service, sales_channel_names=[ONLINE, "Shop"])
        await installing.trigger(service.deps, row)
        await service.wait(60)
        assert [one.operation for one in service.requests] == ["ScanProducts", "PublishProduct30"]
        (mail,) = await mails(service)
        assert mail.subject == "Back in stock: 30 products"
        scan = await newest(service, "*")
        assert scan.requests == 2
        assert scan.because.startswith("Looked at 30 active products: 30 products published")

    play(database, story)


def test_the_first_look_takes_notes_and_publishes_nothing(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = hidden(service, levels=5)
        await install(service)
        assert channels_of(service, poster) == []
        assert "1 in stock and not published yet" in (await newest(service, "*")).because

    play(database, story)


def test_a_preview_names_what_would_be_published_and_writes_nothing(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        hidden(service, "Back", levels=4)
        hidden(service, "Empty")
        add_listing(service.shop, "Shown")
        row = await install(service)
        found = {one.title: one async for one in preview(service.deps, row)}
        assert found["Back"].publishing == ({"action": "publish", "channels": [ONLINE], "available": 12},)
        assert found["Empty"].publishing == found["Shown"].publishing == ()
        assert publishes(service) == []
        async with service.database.connection() as conn:
            assert await restocks.list_waves(conn, service.shop_id, row.automation_id) == []

    play(database, story)


def test_a_product_below_is_taken_down_after_the_grace_time_and_comes_back(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop, levels=1)
        await install(service, quantity=2, unpublish_below=True, unpublish_grace_s=600)
        poster.sell("A", "B")
        await service.wait(590)
        assert ONLINE in channels_of(service, poster)
        await service.wait(30)
        assert channels_of(service, poster) == ["Point of Sale", "Shop"]
        poster.edit(A=5)
        await service.wait(30)
        assert ONLINE in channels_of(service, poster)
        assert len(await mails(service)) == 1

    play(database, story)


def test_a_product_that_comes_back_within_the_grace_time_stays(database) -> None:
    async def story(service: Service) -> None:
        service.shop.add_location("Toronto")
        poster = add_listing(service.shop, levels=1, titles=("A",))
        await install(service, unpublish_below=True, unpublish_grace_s=600)
        order = poster.sell("A")
        await service.wait(300)
        service.shop.cancel(order.gid, restock=True)
        await service.wait(3600)
        assert ONLINE in channels_of(service, poster)
        assert [one.operation for one in service.requests if "Publish" in one.operation] == []

    play(database, story)


def test_P12_untracked_variants_do_not_count_and_wholly_untracked_products_are_left_alone(database) -> None:
    async def story(service: Service) -> None:
        toronto = service.shop.add_location("Toronto")
        specs = [VariantSpec(title="Print"), VariantSpec(title="Digital", tracked=False, levels=50)]
        mixed = service.shop.add_product("Mixed", variants=specs, levels=0, published_on=())
        await install(service)
        service.shop.edit(mixed.variants[1].item.gid, toronto, 60)
        await service.wait(30)
        assert not mixed.publications
        service.shop.edit(mixed.variants[0].item.gid, toronto, 1)
        await service.wait(30)
        assert list(mixed.publications) == [channel(service, ONLINE)]

    play(database, story)
