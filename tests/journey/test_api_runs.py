"""Runs by hand through the JSON API: repeated, cancelled."""

from tests.journey.api_client import SHARE, Api, every_page, newest_run, play, problem, shared
from tests.journey.listings import add_listing


def test_a_run_is_repeated_with_its_events_at_once_whatever_the_delay_of_their_topic(emptied) -> None:
    async def story(api: Api) -> None:
        topics = ["mechanic/user/trigger+1.hour"]
        automation = await shared(api, topics=topics)
        await api.client.post(f"/automations/{automation['id']}/run")
        await api.service.settle()
        assert len((await api.client.get("/runs")).json()["items"]) == 1
        await api.service.wait(3600)
        first = (await api.client.get("/runs?limit=1")).json()["items"][0]
        started = await api.client.post(f"/runs/{first['run']}/retry")
        assert started.status_code == 202
        await api.service.settle()
        second = (await api.client.get("/runs?limit=1")).json()["items"][0]
        assert second["run"] != first["run"]
        events = (await api.client.get(f"/runs/{second['run']}")).json()["events"]
        assert [event["event_id"] for event in events] == started.json()["events"]
        assert [event["topic"] for event in events] == ["mechanic/user/trigger"]
        kept = (await api.client.get(f"/runs/{first['run']}")).json()
        assert len(kept["events"]) == 1

    play(emptied, story)


def test_a_run_whose_events_are_gone_is_repeated_by_a_fresh_look(emptied) -> None:
    async def story(api: Api) -> None:
        await shared(api)
        poster = add_listing(api.service.shop, "Second")
        poster.sell("A")
        await api.service.settle()
        run = await newest_run(api)
        async with api.service.database.connection() as conn:
            await conn.execute("delete from work where run_id = %s", (run["run"],))
        await api.client.post(f"/runs/{run['run']}/retry")
        await api.service.settle()
        again = await newest_run(api)
        assert again["subject"] == run["subject"]
        assert again["run"] != run["run"]

    play(emptied, story)


def test_a_run_of_a_disabled_or_removed_automation_is_not_repeated(emptied) -> None:
    async def story(api: Api) -> None:
        automation = await shared(api)
        (run,) = (await api.client.get("/runs")).json()["items"]
        await api.client.post(f"/automations/{automation['id']}/disable")
        refused = await api.client.post(f"/runs/{run['run']}/retry")
        assert problem(refused) == (409, "conflict")
        assert "is disabled" in refused.json()["detail"]
        await api.client.ask("DELETE", f"/automations/{automation['id']}")
        refused = await api.client.post(f"/runs/{run['run']}/retry")
        assert "was removed" in refused.json()["detail"]

    play(emptied, story)


def test_a_scan_is_stopped_between_two_pages_and_keeps_what_it_did(emptied) -> None:
    async def story(api: Api) -> None:
        service = api.service
        service.shop.add_location("Toronto")
        for number in range(60):
            add_listing(service.shop, f"Poster {number:02}")
        await api.client.post("/automations", json=SHARE)
        asked = []

        async def meet(point: str) -> None:
            if point == "shown" and service.requests[-1].operation == "ScanProducts" and not asked:
                asked.append(None)
                (going,) = (await api.client.get("/runs?state=running")).json()["items"]
                refused = await api.client.post(f"/runs/{going['run']}/retry")
                assert problem(refused) == (409, "conflict")
                asked[0] = (await api.client.post(f"/runs/{going['run']}/cancel")).status_code

        service.seam = meet
        await service.settle()
        assert asked == [202]
        scan = (await api.client.get("/runs?state=cancelled")).json()["items"][0]
        done = scan["progress"]["done"]
        assert 0 < done < 60
        assert scan["because"].startswith(f"Cancelled by API token tests after {done} products")
        assert len(await every_page(api, "/pools")) == done
        assert problem(await api.client.post(f"/runs/{scan['run']}/cancel")) == (409, "conflict")

    play(emptied, story)


def test_a_scan_that_nothing_works_on_any_more_is_closed_at_once(emptied) -> None:
    async def story(api: Api) -> None:
        automation = await shared(api)
        async with api.service.database.connection() as conn:
            await conn.execute(
                """insert into runs (shop_id, run_id, automation_id, kind, subject, state, started_at)
                   values (%s, 'run_left', %s, 'k', '*', 'running', now())""",
                (api.service.shop_id, automation["id"]),
            )
        answer = await api.client.post("/runs/run_left/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
        assert "no worker was at it" in answer.json()["because"]

    play(emptied, story)
