"""Two who change at once, and requests that are sent again: nothing is undone, nothing done twice."""

import pytest

from tests.journey.api_client import SHARE, Api, make_token, play, problem, shared, wrong_fields
from tests.journey.listings import TAG, add_listing

# --- two who change -------------------------------------------------------------------------------------------


def test_a_change_is_refused_when_somebody_was_faster(emptied) -> None:
    async def story(api: Api) -> None:
        path = f"/automations/{(await shared(api))['id']}"
        first = await api.client.get(path)
        tag = {"If-Match": first.headers["etag"]}
        changed = await api.client.ask("PATCH", path, json={"options": {"raise_settle_s": 10}}, headers=tag)
        assert changed.status_code == 200
        assert changed.json()["options"]["raise_settle_s"] == 10
        assert changed.json()["options"]["product_tags"] == [TAG]
        late = await api.client.ask("PATCH", path, json={"name": "Late"}, headers=tag)
        assert problem(late) == (412, "changed-meanwhile")
        assert late.headers["etag"] == changed.headers["etag"] == (await api.client.get(path)).headers["etag"]
        assert problem(await api.client.ask("DELETE", path, headers=tag)) == (412, "changed-meanwhile")
        now = {"If-Match": changed.headers["etag"]}
        assert (await api.client.ask("PATCH", path, json={"name": "In time"}, headers=now)).status_code == 200

    play(emptied, story)


def test_a_change_that_meets_another_on_its_way_does_not_undo_it(emptied) -> None:
    async def story(api: Api) -> None:
        path = f"/automations/{(await shared(api))['id']}"
        met: list[int] = []

        async def meet(point: str) -> None:
            if point == "reading" and not met:
                met.append(0)
                met[0] = (await api.client.ask("PATCH", path, json={"name": "First"})).status_code

        api.service.seam = meet
        second = await api.client.ask("PATCH", path, json={"options": {"raise_settle_s": 10}})
        assert met == [200]
        assert problem(second) == (409, "conflict")
        assert (await api.client.get(path)).json()["name"] == "First"

    play(emptied, story)


def test_an_empty_change_is_refused(emptied) -> None:
    async def story(api: Api) -> None:
        path = f"/automations/{(await shared(api))['id']}"
        assert wrong_fields(await api.client.ask("PATCH", path, json={})) == [("body", "")]

    play(emptied, story)


# --- once only ------------------------------------------------------------------------------------------------


def test_a_request_sent_again_with_its_key_is_done_once_and_answered_alike(emptied) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        add_listing(api.service.shop)
        key = {"Idempotency-Key": "one"}
        first = await api.client.post("/automations", json=SHARE, headers=key)
        again = await api.client.post("/automations", json=SHARE, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content
        assert first.headers["location"] == again.headers["location"]
        assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (
            None,
            "true",
        )
        assert len((await api.client.get("/automations")).json()["items"]) == 1
        run = f"/automations/{first.json()['id']}/run"
        events = {(await api.client.post(run, headers={"Idempotency-Key": "two"})).text for _ in range(3)}
        assert len(events) == 1
        reused = await api.client.post(run, headers=key)
        assert problem(reused) == (422, "idempotency-key-reused")

    play(emptied, story)


def test_a_key_belongs_to_its_token_for_a_day(emptied) -> None:
    async def story(api: Api) -> None:
        run, key = f"/automations/{(await shared(api))['id']}/run", {"Idempotency-Key": "one"}
        first = (await api.client.post(run, headers=key)).json()
        async with api.client_with(await make_token(api.service, "write", "another")) as other:
            assert (await other.post(run, headers=key)).json() != first
        await api.service.wait(86_000)
        assert (await api.client.post(run, headers=key)).json() == first
        await api.service.move(401)
        assert (await api.client.post(run, headers=key)).json() != first

    play(emptied, story)


def test_a_refused_request_leaves_its_key_free(emptied) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        add_listing(api.service.shop)
        key = {"Idempotency-Key": "one"}
        refused = await api.client.post("/automations", json=SHARE | {"shop": "x.myshopify.com"}, headers=key)
        assert wrong_fields(refused) == [("body", "shop")]
        assert (await api.client.post("/automations", json=SHARE, headers=key)).status_code == 201

    play(emptied, story)


def test_two_requests_with_one_key_at_once_do_not_both_act(emptied) -> None:
    async def story(api: Api) -> None:
        api.service.shop.add_location("Toronto")
        add_listing(api.service.shop)
        met = []

        async def meet(point: str) -> None:
            if point == "reading" and not met:
                met.append(None)
                met[0] = problem(await send())

        async def send():
            return await api.client.post("/automations", json=SHARE, headers={"Idempotency-Key": "one"})

        api.service.seam = meet
        assert (await send()).status_code == 201
        assert met == [(409, "idempotency-key-in-use")]

    play(emptied, story)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_a_key_that_cannot_be_one_is_refused(emptied, key) -> None:
    async def story(api: Api) -> None:
        headers = {"Idempotency-Key": key.encode()}
        answer = await api.client.post("/automations/nothing/run", headers=headers)
        assert wrong_fields(answer) == [("header", "Idempotency-Key")]

    play(emptied, story)
