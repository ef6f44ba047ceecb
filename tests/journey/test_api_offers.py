"""Offers over the JSON API: made, changed, activated, ended; and why a button is shown."""

from shopify_emulator import Product
from stockwright.model import gid
from tests.journey.api_client import Api, every_page, play, problem, wrong_fields
from tests.journey.listings import Listing, add_listing
from tests.journey.service import DOMAIN
from tests.journey.test_offers import enable_notify


def sold_out(api: Api) -> Listing:
    api.service.shop.add_location("Main")
    return add_listing(api.service.shop, levels=0, tags=())


def number(product: Product) -> str:
    return product.gid.rsplit("/", 1)[-1]


async def make(api: Api, **changes) -> dict:
    answer = await api.client.post("/offers", json={"shop": DOMAIN, "name": "Spring", **changes})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].endswith(answer.json()["id"])
    return answer.json()


def test_an_offer_is_made_changed_activated_and_ended(emptied) -> None:
    async def story(api: Api) -> None:
        poster = sold_out(api)
        offer = await make(api, items=[poster.gid], auto_disable=True)
        assert (offer["status"], offer["mode"], offer["products"]) == ("draft", "out_of_stock", 1)
        at = f"/offers/{offer['id']}"
        changed = await api.client.ask(
            "PATCH", at, json={"ends_at": "2099-12-31T23:00:00+01:00", "limit_total": None}
        )
        assert (changed.json()["ends_at"], changed.json()["name"]) == ("2099-12-31T22:00:00Z", "Spring")
        for verb, status in (
            ("activate", "active"), ("pause", "paused"), ("resume", "active"), ("complete", "completed"),
            ("archive", "archived"),
        ):  # fmt: skip
            assert (await api.client.post(f"{at}/{verb}")).json()["status"] == status
        assert problem(await api.client.post(f"{at}/activate")) == (409, "conflict")
        assert (await api.client.ask("DELETE", at)).status_code == 204
        assert problem(await api.client.get(at)) == (404, "not-found")

    play(emptied, story)


def test_items_are_added_listed_and_taken_out(emptied) -> None:
    async def story(api: Api) -> None:
        poster = sold_out(api)
        offer = await make(api)
        at = f"/offers/{offer['id']}"
        variants = [poster.variant(name).gid for name in "AB"]
        assert problem(await api.client.post(f"{at}/activate")) == (409, "conflict")
        done = await api.client.post(f"{at}/add-items", json={"items": variants})
        assert done.json() == {"done": 2, "unchanged": 0}
        listed = (await api.client.get(f"{at}/items")).json()["items"]
        assert [(item["product_title"], item["variant_title"]) for item in listed] == [
            ("Poster", "A"), ("Poster", "B"),
        ]  # fmt: skip
        gone = await api.client.post(f"{at}/remove-items", json={"items": [variants[0], gid("Product", 9)]})
        assert gone.json() == {"done": 1, "unchanged": 1}
        missing = await api.client.post(f"{at}/add-items", json={"items": [poster.gid, gid("Product", 9)]})
        assert wrong_fields(missing) == [("body", "items.1")]

    play(emptied, story)


def test_two_who_change_an_offer_at_once_never_undo_each_other(emptied) -> None:
    async def story(api: Api) -> None:
        offer = await make(api)
        at = f"/offers/{offer['id']}"
        tag = (await api.client.get(at)).headers["etag"]
        first = await api.client.ask("PATCH", at, json={"name": "Mine"}, headers={"If-Match": tag})
        assert first.status_code == 200
        second = await api.client.ask("PATCH", at, json={"name": "Yours"}, headers={"If-Match": tag})
        assert problem(second) == (412, "changed-meanwhile")
        assert (await api.client.get(at)).json()["name"] == "Mine"

    play(emptied, story)


def test_wrong_terms_are_named_with_their_field(emptied) -> None:
    async def story(api: Api) -> None:
        base = {"shop": DOMAIN, "name": "Spring"}
        for changes, path in (
            ({"mode": "always", "auto_disable": True}, "auto_disable"),
            ({"starts_at": "2099-01-02T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z"}, "ends_at"),
            ({"ends_at": "0001-01-01T00:00:00+10:00"}, "ends_at"),
            ({"starts_at": "2099-01-02 00:00"}, "starts_at"),
            ({"pause_at_limit": True}, "pause_at_limit"),
            ({"limit_total": 0}, "limit_total"),
            ({"shop": "nowhere.myshopify.com"}, "shop"),
        ):
            assert wrong_fields(await api.client.post("/offers", json=base | changes)) == [("body", path)]
        assert (await api.client.get("/offers")).json()["items"] == []

    play(emptied, story)


def test_the_list_is_paged_and_filtered(emptied) -> None:
    async def story(api: Api) -> None:
        poster = sold_out(api)
        made = []
        for _ in range(5):
            made.append((await make(api, items=[poster.gid]))["id"])
            await api.service.move(1)
        await api.client.post(f"/offers/{made[0]}/activate")
        whole = (await api.client.get("/offers")).json()["items"]
        assert [offer["id"] for offer in whole] == made[::-1]
        assert await every_page(api, f"/offers?limit=2&shop={DOMAIN}") == whole
        active = (await api.client.get("/offers?status=active")).json()["items"]
        assert [offer["id"] for offer in active] == made[:1]

    play(emptied, story)


def test_the_reason_for_the_button_is_told_per_variant(emptied) -> None:
    async def story(api: Api) -> None:
        poster = sold_out(api)
        poster.edit(B=4)
        await enable_notify(api.service)
        offer = await make(api, items=[poster.gid])
        await api.client.post(f"/offers/{offer['id']}/activate")
        at = f"/shops/{DOMAIN}/products/{number(poster.product)}/notify-me"
        told = {one["title"]: one for one in (await api.client.get(at)).json()["variants"]}
        assert (told["A"]["notify"], told["A"]["offer"]) == (True, offer["id"])
        assert (told["B"]["notify"], told["B"]["reason"], told["B"]["available"]) == (False, "in_stock", 4)
        assert problem(await api.client.get(f"/shops/{DOMAIN}/products/404/notify-me")) == (404, "not-found")

    play(emptied, story)
