"""The API about people: pages, filters, a story, wishes, one address, imports; and who may do what."""

import pytest

from stockwright import importing
from tests.journey.api_client import Api, every_page, make_token, play, problem, wrong_fields
from tests.journey.listings import add_listing
from tests.journey.people import add_person, number, people_now
from tests.journey.service import DOMAIN

ANN, BOB = "ann@example.com", "bob@example.com"
PEOPLE = f"/shops/{DOMAIN}/subscribers"


async def furnish(api: Api, *emails: str, **columns: object) -> list[str]:
    api.service.shop.add_location("Toronto")
    poster = add_listing(api.service.shop, levels=0)
    return [await add_person(api.service, email, poster.variant("A"), **columns) for email in emails]


def test_people_come_in_pages_and_filters_stay_with_the_pages(emptied: str) -> None:
    async def story(api: Api) -> None:
        ids = await furnish(api, *(f"p{no:02}@example.com" for no in range(23)))
        await add_person(api.service, ANN, add_listing(api.service.shop, "Print").variant("A"), state="sent")
        found = await every_page(api, f"{PEOPLE}?status=Pending&limit=5")
        assert sorted(one["subscriber"] for one in found) == sorted(ids)
        assert {one["status"] for one in found} == {"Pending"}
        [one] = (await api.client.get(f"{PEOPLE}?email=P07@")).json()["items"]
        assert one["email"] == "p07@example.com"
        variant = one["variant_id"].rsplit("/", 1)[1]
        assert len(await every_page(api, f"{PEOPLE}?variant_id={variant}")) == 23
        assert problem(await api.client.get("/shops/no.myshopify.com/subscribers")) == (404, "not-found")
        assert wrong_fields(await api.client.get(f"{PEOPLE}?status=Lost")) == [("query", "status")]

    play(emptied, story)


def test_one_person_is_told_cancelled_and_put_in_line_again(emptied: str) -> None:
    async def story(api: Api) -> None:
        [ann] = await furnish(api, ANN)
        found = (await api.client.get(f"/subscribers/{ann}")).json()
        assert found["because"].startswith("Not sent yet")
        assert found["notified_at"] is None and found["shop"] == DOMAIN
        assert (await api.client.post(f"/subscribers/{ann}/cancel")).json()["state"] == "cancelled"
        assert problem(await api.client.post(f"/subscribers/{ann}/cancel")) == (409, "conflict")
        headers = {"Idempotency-Key": "once"}
        first = await api.client.post(f"/subscribers/{ann}/resend", headers=headers)
        again = await api.client.post(f"/subscribers/{ann}/resend", headers=headers)
        assert first.status_code == again.status_code == 202
        assert again.headers["idempotent-replayed"] == "true"
        assert [state for _, state, _ in await people_now(api.service)] == ["cancelled", "pending"]
        assert problem(await api.client.post(f"/subscribers/{ann}/resend")) == (409, "conflict")
        events = (await api.client.get(f"/subscribers/{ann}")).json()["events"]
        assert events[-1]["by"] == "API token tests"

    play(emptied, story)


def test_one_address_is_exported_and_erased(emptied: str) -> None:
    async def story(api: Api) -> None:
        await furnish(api, ANN, BOB)
        body = {"email": " Ann@Example.com "}
        data = (await api.client.post(f"/shops/{DOMAIN}/people/export", json=body)).json()
        assert [one["email"] for one in data["subscriptions"]] == [ANN]
        erased = (await api.client.post(f"/shops/{DOMAIN}/people/erase", json=body)).json()
        assert erased == {"subscribers": 1, "messages": 0}
        assert sorted(email for email, _, _ in await people_now(api.service)) == ["", BOB]
        wrong = await api.client.post(f"/shops/{DOMAIN}/people/erase", json={"email": "nobody"})
        assert wrong_fields(wrong) == [("body", "")]

    play(emptied, story)


def test_people_are_checked_and_imported(emptied: str) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        variant = add_listing(api.service.shop, levels=0).variant("A")
        csv = f"email,variant_id\n{ANN},{number(variant)}\nnobody,{number(variant)}"
        made = await api.client.post(f"/shops/{DOMAIN}/subscriber-imports", json={"csv": csv, "check": True})
        assert made.status_code == 202 and made.json()["state"] == "checking"
        here = f"/subscriber-imports/{made.json()['import_id']}"
        await importing.go_on(api.service.deps)
        found = (await api.client.get(here)).json()
        assert (found["state"], found["added"], found["refused"]) == ("checked", 1, 1)
        assert [one["line"] for one in found["refused_lines"]] == [3]
        assert (await api.client.post(f"{here}/start", json={})).json()["state"] == "importing"
        await importing.go_on(api.service.deps)
        assert (await api.client.get(here)).json()["state"] == "done"
        assert problem(await api.client.post(f"{here}/cancel")) == (409, "conflict")
        wrong = await api.client.post(f"/shops/{DOMAIN}/subscriber-imports", json={"csv": "name\nAnn"})
        assert problem(wrong) == (422, "invalid") and "Missing: email" in wrong.json()["detail"]

    play(emptied, story)


def test_the_demand_is_reported(emptied: str) -> None:
    async def story(api: Api) -> None:
        await furnish(api, ANN, BOB, quantity=2)
        found = (await api.client.get(f"/shops/{DOMAIN}/demand")).json()
        assert (found["variants"], found["people"], found["units"], found["revenue"]) == (1, 2, 4, {})
        assert found["items"][0]["price"] is None
        wrong = await api.client.get(f"/shops/{DOMAIN}/demand?order=luck")
        assert wrong_fields(wrong) == [("query", "order")]

    play(emptied, story)


@pytest.mark.parametrize(
    "path",
    ["/subscribers/{ann}/cancel", "/subscribers/{ann}/resend", f"/shops/{DOMAIN}/people/erase",
     f"/shops/{DOMAIN}/subscriber-imports"],
)  # fmt: skip
def test_a_token_that_may_only_read_changes_nothing(emptied: str, path: str) -> None:
    async def story(api: Api) -> None:
        [ann] = await furnish(api, ANN)
        async with api.client_with(await make_token(api.service, "read", "reader")) as reader:
            answer = await reader.post(path.format(ann=ann), json={"email": ANN, "csv": "x"})
        assert problem(answer) == (403, "scope-missing")
        assert await people_now(api.service) == [(ANN, "pending", "Pending")]

    play(emptied, story)
