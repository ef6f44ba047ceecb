"""Lists of the JSON API: pages, cursors, filters, searches."""

from stockwright.store import messages
from tests.journey.api_client import SHARE, Api, a_message, every_page, play, shared, wrong_fields
from tests.journey.listings import add_listing
from tests.journey.service import DOMAIN, Service


async def add_runs(service: Service, count: int, title: str = "filler") -> None:
    """Finished runs, one a second, oldest first."""
    async with service.database.connection() as conn:
        await conn.execute(
            """insert into runs (shop_id, run_id, automation_id, kind, subject, title, state, because, started_at)
               select %s, 'run_' || lpad(n::text, 20, '0'), 'aut_1', 'k', 's',
                      case when n = 1 then 'Winter Birches' else %s end,
                      case when n %% 10 = 0 then 'failed' else 'succeeded' end, '',
                      timestamptz '2026-01-01' + n * interval '1 second'
               from generate_series(1, %s) n""",
            (service.shop_id, title, count),
        )


def test_pages_hold_everything_once_in_order_whatever_their_size(emptied) -> None:
    async def story(api: Api) -> None:
        await add_runs(api.service, 57)
        whole = await every_page(api, "/runs?limit=200")
        assert len(whole) == 57
        assert [run["run"] for run in whole] == sorted((run["run"] for run in whole), reverse=True)
        for size in (1, 7, 19, 57):
            assert await every_page(api, f"/runs?limit={size}") == whole, size
        failed = await every_page(api, "/runs?state=failed&limit=2")
        assert failed == [run for run in whole if run["state"] == "failed"]

    play(emptied, story)


def test_every_list_goes_on_where_its_page_ended(emptied) -> None:
    async def story(api: Api) -> None:
        service = api.service
        service.shop.add_location("Toronto")
        for number in range(5):
            add_listing(service.shop, f"Poster {number}")
        for number in range(4):
            await api.client.post("/automations", json=SHARE | {"enabled": False, "name": f"No {number}"})
        await api.client.post("/automations", json=SHARE)
        await service.settle()
        async with service.database.connection() as conn, conn.transaction():
            for number in range(5):
                await messages.insert(conn, service.shop_id, a_message(number), service.clock.now())
            for number in range(4):
                await conn.execute(
                    "insert into shops (domain, api_url, auth_mode, secrets) values (%s, '', 'access_token', '')",
                    (f"shop-{number}.myshopify.com",),
                )
        for address in ("/pools", "/automations", "/messages", "/shops"):
            whole = (await api.client.get(address)).json()
            assert (len(whole["items"]), whole["next"]) == (5, None), address
            assert await every_page(api, f"{address}?limit=2") == whole["items"]
        assert len(await every_page(api, "/automations?enabled=false&limit=1")) == 4
        assert len(await every_page(api, f"/pools?shop={DOMAIN.upper()}&frozen=false&limit=1")) == 5
        product = (await api.client.get("/pools")).json()["items"][0]["product_id"]
        number = product.rsplit("/", 1)[-1]
        for text in (product, number):
            (one,) = (await api.client.get("/pools", params={"product": text})).json()["items"]
            assert one["product_id"] == product

    play(emptied, story)


def test_a_cursor_of_another_list_is_refused(emptied) -> None:
    async def story(api: Api) -> None:
        await add_runs(api.service, 3)
        following = (await api.client.get("/runs?limit=1")).json()["next"]
        cursor = following.partition("cursor=")[2]
        assert wrong_fields(await api.client.get(f"/pools?cursor={cursor}")) == [("query", "cursor")]

    play(emptied, story)


def test_runs_are_found_by_time_and_by_text_however_far_back(emptied) -> None:
    async def story(api: Api) -> None:
        await add_runs(api.service, 20_100)
        first = (await api.client.get("/runs?search=birches")).json()
        assert first["items"] == []
        (found,) = await every_page(api, "/runs?search=birches")
        assert found["about"] == "Winter Birches"
        assert await every_page(api, "/runs?search=nowhere&state=failed&limit=1") == []
        filler = (await api.client.get("/runs?search=FILLER&limit=3")).json()
        assert len(filler["items"]) == 3

    play(emptied, story)


def test_runs_since_a_time_include_it_and_nothing_older(emptied) -> None:
    async def story(api: Api) -> None:
        automation = await shared(api)
        runs = []
        for _ in range(3):
            await api.service.wait(60)
            await api.client.post(f"/automations/{automation['id']}/run")
            await api.service.settle()
            runs.append((await api.client.get("/runs?limit=1")).json()["items"][0])
        newer = await every_page(api, f"/runs?since={runs[1]['started_at']}")
        ids = [run["run"] for run in newer]
        assert runs[1]["run"] in ids
        assert runs[0]["run"] not in ids
        assert all(run["started_at"] >= runs[1]["started_at"] for run in newer)
        own = await every_page(api, f"/runs?automation={automation['id']}&shop={DOMAIN}")
        assert own == await every_page(api, "/runs")
        assert await every_page(api, "/runs?automation=aut_other") == []
        assert await every_page(api, "/runs?since=9999-12-31T23:59:59-14:00") == []
        assert await every_page(api, "/runs?since=0001-01-01T00:00:00%2B14:00") == own

    play(emptied, story)
