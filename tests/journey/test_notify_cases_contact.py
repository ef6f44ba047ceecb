"""Links in mail, case by case: what confirms, what stops, and what changes nothing."""

import asyncio

import pytest

from stockwright.model import ShopId
from stockwright.notify.tokens import Keyring, Purpose
from stockwright.people_upkeep import purge
from tests.journey.service import KEYRING
from tests.journey.storefront import ADA, EVE, Storefront, offer, play, press

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
SENDS_NEW = "We have sent you a new link."
WAIT = "We have just sent you a link."


async def confirm_link(store: Storefront, email: str = ADA, title: str = "Small") -> str:
    """Sign up where addresses must be confirmed; the path of the link in the mail."""
    answer = await store.post(email, title)
    assert answer.status_code == 200, answer.text
    return (await store.links("double_opt_in"))[-1]


async def contact_link(store: Storefront, email: str = ADA, title: str = "Small") -> str:
    """Sign up; the path of the link in the confirmation."""
    answer = await store.post(email, title)
    assert answer.status_code == 200, answer.text
    return (await store.links("signup_confirmation"))[-1]


# --- confirming -----------------------------------------------------------------------------------------------


def test_case_10_opt_in_on_is_one_mail_and_unconfirmed_off_is_waiting(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await store.post()
        assert (await store.people(), await store.mails()) == (
            [(ADA, "unconfirmed")],
            [("double_opt_in", ADA)],
        )
        await store.options(double_opt_in=False, confirmation_mail=False)
        await store.post(EVE)
        assert (EVE, "pending") in await store.people()
        assert await store.mails() == [("double_opt_in", ADA)]

    play(emptied, story, double_opt_in=True)


def test_case_11_the_right_key_confirms_once_and_for_all(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await confirm_link(store)
        assert (
            "Press the button, and we will email you when Harbour – Small is back"
            in (await store.http.get(link)).text
        )
        for _ in range(2):
            answer = await press(store, link, action="confirm")
            assert answer.status_code == 200 and "Thank you." in answer.text
        assert await store.people() == [(ADA, "pending")]
        assert await store.rows("select confirmed_at = now(), confirm_hash from subscribers") == [
            (True, None)
        ]
        checks = await store.rows("select subject from events where topic = 'stockwright/product/check'")
        assert checks == [(store.product.gid,)]  # restocked meanwhile: found now

    play(emptied, story, double_opt_in=True)


@pytest.mark.parametrize(
    "form", [{}, {"action": ""}, {"action": "CONFIRM!"}, {"action": "unsubscribe"}, {"what": "all"}]
)
def test_case_11_an_unknown_or_empty_action_changes_nothing(emptied: str, form: dict[str, str]) -> None:
    async def story(store: Storefront) -> None:
        link = await confirm_link(store)
        before = await store.everything()
        assert (await press(store, link, **form)).status_code == 400
        assert await store.everything() == before

    play(emptied, story, double_opt_in=True)


def test_case_11_wrong_and_missing_tokens_change_and_tell_nothing(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await confirm_link(store)
        shop_id, secret = store.service.shop_id, b"x" * 20
        tokens = [
            link.removeprefix("/u/confirm/")[:-1],
            "x",
            "%00",
            "A" * 300,
            KEYRING.unsubscribe_token(shop_id, "sub_1", secret),
            Keyring(b"of another installation").confirm_token(shop_id, "sub_1", secret),
            KEYRING.confirm_token(ShopId(999), "sub_1", secret),
        ]
        before = await store.everything()
        pages = set()
        for token in tokens:
            for answer in (
                await store.http.get(f"/u/confirm/{token}"),
                await press(store, f"/u/confirm/{token}", action="confirm"),
            ):
                assert answer.status_code == 404
                pages.add(answer.text)
        assert len(pages) == 1
        assert ADA not in pages.pop()
        assert await store.everything() == before

    play(emptied, story, double_opt_in=True)


def test_case_11_an_expired_key_confirms_nothing_and_a_new_one_can_be_had(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await confirm_link(store)
        await store.service.move(7 * 86_400)
        for answer in (await store.http.get(link), await press(store, link, action="confirm")):
            assert "This link is no longer good." in answer.text and 'value="again"' in answer.text
        assert await store.people() == [(ADA, "unconfirmed")]
        assert SENDS_NEW in (await press(store, link, action="again")).text
        await press(store, (await store.links("double_opt_in"))[-1], action="confirm")
        assert await store.people() == [(ADA, "pending")]

    play(emptied, story, double_opt_in=True)


def test_case_12_a_confirm_key_does_not_unsubscribe_nor_the_reverse(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        confirm = await confirm_link(store)
        await store.options(double_opt_in=False)
        stop = await contact_link(store, EVE)
        before = await store.everything()
        swapped = [confirm.replace("/u/confirm/", "/u/"), stop.replace("/u/", "/u/confirm/")]
        for path in swapped:
            for form in ({"what": "all"}, {"action": "confirm"}, ONE_CLICK):
                assert (await press(store, path, **form)).status_code == 404
        assert await store.everything() == before
        await press(store, stop, what="item")
        assert (await press(store, confirm, action="confirm")).status_code == 200
        assert dict(await store.people()) == {ADA: "pending", EVE: "unsubscribed"}

    play(emptied, story, double_opt_in=True)


def test_case_13_only_a_hash_is_stored_and_a_new_key_voids_the_old(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        old = await confirm_link(store)
        (kept,) = (await store.rows("select confirm_hash from subscribers"))[0]
        assert len(kept) == 32 and kept.hex() not in old
        await store.service.move(61)
        await press(store, old, action="again")
        assert "no longer good" in (await press(store, old, action="confirm")).text
        assert await store.people() == [(ADA, "unconfirmed")]
        await press(store, (await store.links("double_opt_in"))[-1], action="confirm")
        assert await store.people() == [(ADA, "pending")]

    play(emptied, story, double_opt_in=True)


def test_case_14_a_link_is_sent_again_after_60_s_and_not_before(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await confirm_link(store)
        await store.service.move(58)
        assert WAIT in (await press(store, link, action="again")).text
        await store.service.move(2)
        answers = await asyncio.gather(*(press(store, link, action="again") for _ in range(10)))
        assert sorted(SENDS_NEW in one.text for one in answers) == [False] * 9 + [True]
        assert await store.mails() == [("double_opt_in", ADA)] * 2

    play(emptied, story, double_opt_in=True)


def test_case_14_signing_up_again_sends_it_too_and_a_mailbox_is_not_flooded(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await confirm_link(store)
        for _ in range(10):
            await store.service.move(61)
            assert (await store.post()).status_code == 200
        assert len(await store.mails()) <= 1 + 2 * 5  # of an hour five, and here two hours may meet

    play(emptied, story, double_opt_in=True, limit_per_client=0, limit_per_address=0)


def test_case_14_confirmed_is_refused_and_one_person_s_link_is_useless_for_another(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        ada, eve = await confirm_link(store), await confirm_link(store, EVE)
        await press(store, ada, action="confirm")
        await store.service.move(61)
        assert "nothing to confirm any more" in (await press(store, ada, action="again")).text
        assert await store.people() == [(ADA, "pending"), (EVE, "unconfirmed")]
        token = KEYRING.read_token(ada.removeprefix("/u/confirm/"), Purpose.CONFIRM)
        eves = (await store.rows(f"select subscriber_id from subscribers where email = '{EVE}'"))[0][0]
        assert token is not None
        forged = KEYRING.confirm_token(token.shop_id, eves, token.content)  # had she our key, not even then
        assert "no longer good" in (await press(store, f"/u/confirm/{forged}", action="confirm")).text
        assert (EVE, "unconfirmed") in await store.people()
        assert eve != ada

    play(emptied, story, double_opt_in=True)


# --- unsubscribing --------------------------------------------------------------------------------------------


def test_case_15_one_click_ends_everything_and_may_be_repeated(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await contact_link(store)
        await store.post(title="Large")
        await store.post(EVE)
        for _ in range(2):
            answer = await press(store, link, **ONE_CLICK)
            assert answer.status_code == 200 and "set-cookie" not in answer.headers
        assert await store.people() == [(ADA, "unsubscribed"), (ADA, "unsubscribed"), (EVE, "pending")]
        assert await store.rows("select reason from suppressions") == [("unsubscribed",)]

    play(emptied, story)


def test_case_15_one_click_takes_both_kinds_of_form_and_the_headers_name_it(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await contact_link(store)
        ((headers,),) = await store.rows("select headers from messages where kind = 'signup_confirmation'")
        assert headers == {
            "List-Unsubscribe": f"<https://stock.example.com{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        whole = await store.http.post(link, files={"List-Unsubscribe": (None, "One-Click")})
        assert whole.request.headers["content-type"].startswith("multipart/form-data")
        assert whole.status_code == 200
        assert await store.people() == [(ADA, "unsubscribed")]

    play(emptied, story)


def test_case_15_one_click_of_one_item_where_the_shop_says_so(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        other = store.service.shop.add_product("Lighthouse", levels={store.shelf: 0})
        await offer(store, other)
        link = await contact_link(store)
        await store.post(variant=other.variants[0].gid, product=other.gid)
        await press(store, link, **ONE_CLICK)
        assert await store.rows("select product_title, state from subscribers order by created_at") == [
            ("Harbour", "unsubscribed"), ("Lighthouse", "pending"),
        ]  # fmt: skip
        assert await store.rows("select 1 from suppressions") == []

    play(emptied, story, unsubscribe_scope="item")


def test_case_15_looking_changes_nothing_however_often(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        stop = await contact_link(store)
        await store.options(double_opt_in=True)
        confirm = await confirm_link(store, EVE)
        before = await store.everything()
        for path in (stop, confirm):
            for method in ("GET", "HEAD"):
                answer = await store.http.request(method, path, params={"what": "all", "action": "confirm"})
                assert answer.status_code == 200
        assert (await store.http.get(stop, headers={"List-Unsubscribe": "One-Click"})).status_code == 200
        assert await store.everything() == before

    play(emptied, story)


@pytest.mark.parametrize("form", [{}, {"what": ""}, {"what": "everything"}, {"List-Unsubscribe": "Twice"}])
def test_case_15_an_unknown_wish_changes_nothing(emptied: str, form: dict[str, str]) -> None:
    async def story(store: Storefront) -> None:
        link = await contact_link(store)
        before = await store.everything()
        assert (await press(store, link, **form)).status_code == 400
        assert await store.everything() == before

    play(emptied, story)


def test_one_item_is_stopped_and_another_of_the_same_person_from_the_list(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        other = store.service.shop.add_product("Lighthouse", levels={store.shelf: 0})
        await offer(store, other)
        link = await contact_link(store)
        await store.post(variant=other.variants[0].gid, product=other.gid)
        await store.post(EVE)
        page = (await store.http.get(link)).text
        assert "Harbour – Small" in page and "Lighthouse" in page and ADA not in page
        eves = (await store.rows(f"select subscriber_id from subscribers where email = '{EVE}'"))[0][0]
        await press(store, link, what="item", subscriber=eves)  # not hers: nothing happens
        adas = await store.rows("select subscriber_id from subscribers where product_title = 'Lighthouse'")
        done = await press(store, link, what="item", subscriber=adas[0][0])
        assert "Done. You get no more emails about Lighthouse." in done.text
        assert await store.people() == [(ADA, "pending"), (ADA, "unsubscribed"), (EVE, "pending")]
        await press(store, link, what="item")
        assert await store.people() == [(ADA, "unsubscribed"), (ADA, "unsubscribed"), (EVE, "pending")]
        assert (await store.post()).status_code == 200  # asked for anew: no confirmation is needed
        assert (await store.people())[-1] == (ADA, "pending")

    play(emptied, story)


def test_a_request_that_was_told_keeps_its_status_and_is_marked_unsubscribed(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await contact_link(store)
        await store.sql("update subscribers set state = 'sent', delivered = 'sent', ended_at = now()")
        await press(store, link, what="all")
        found = await store.rows("select status, state, unsubscribed_at is not null from subscribers")
        assert found == [("Sent", "sent", True)]

    play(emptied, story)


def test_erasing_leaves_no_address_and_no_mail_and_works_when_all_is_gone(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await contact_link(store)
        await store.post(EVE)
        for _ in range(2):
            assert "Your data is deleted" in (await press(store, link, what="erase")).text
        assert await store.people() == [("", "cancelled"), (EVE, "pending")]
        assert await store.rows("select recipient from messages where recipient like 'ada%'") == []
        assert await store.rows("select reason from suppressions") == [("erased",)]
        await store.sql("delete from subscribers")
        assert (await press(store, link, what="all")).status_code == 200
        assert (await press(store, link, **ONE_CLICK)).status_code == 200

    play(emptied, story)


def test_an_address_is_stopped_even_when_its_request_is_not_kept_any_more(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await contact_link(store)
        await store.sql("delete from subscribers")
        assert (await store.http.get(link)).status_code == 200
        await press(store, link, **ONE_CLICK)
        assert await store.rows("select reason from suppressions") == [("unsubscribed",)]

    play(emptied, story)


def test_a_last_mail_is_sent_where_the_shop_wants_it_and_never_after_one_click(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await contact_link(store)
        for _ in range(2):
            await press(store, link, what="all")
        eve = await contact_link(store, EVE)
        await press(store, eve, **ONE_CLICK)
        assert [one for one in await store.mails() if one[0] == "unsubscribed"] == [("unsubscribed", ADA)]

    play(emptied, story, unsubscribed_mail=True)


# --- what nobody confirms -------------------------------------------------------------------------------------


def test_case_16_old_unconfirmed_sign_ups_go_and_younger_ones_stay(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await confirm_link(store)
        await store.service.move(6 * 86_400)
        await confirm_link(store, EVE)
        await store.service.move(2 * 86_400)
        await purge(store.own.deps, store.service.shop_id)
        assert await store.people() == [(EVE, "unconfirmed")]

    play(emptied, story, double_opt_in=True, keep_unconfirmed_days=7)


@pytest.mark.parametrize("days", [0, "soon", -3])
def test_case_16_none_go_when_it_is_off_or_cannot_be_read(emptied: str, days: object) -> None:
    async def story(store: Storefront) -> None:
        await confirm_link(store)
        await store.service.move(4000 * 86_400)
        await purge(store.own.deps, store.service.shop_id)
        assert await store.people() == [(ADA, "unconfirmed")]

    play(emptied, story, double_opt_in=True, keep_unconfirmed_days=days)
