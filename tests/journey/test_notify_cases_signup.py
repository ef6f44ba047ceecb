"""Signing up, case by case: who may ask for what, who is told the same, and what is stored once."""

import asyncio
from datetime import timedelta

import pytest

from shopify_emulator import VariantSpec
from stockwright.jobs.chores import Retention, delete_old
from stockwright.model import gid_number
from tests.journey.storefront import ADA, EVE, PAGE, Storefront, offer, play, press
from tests.store.rows import until

THANKS = "Thank you. We will email you when this item is back in stock."
CHECK_MAIL = "Almost done. Please open the link in the email that we have just sent you."


async def said(store: Storefront, *arguments, **options) -> tuple[int, str]:
    """Status and message of a sign-up."""
    answer = await store.post(*arguments, **options)
    return answer.status_code, answer.json()["message"]


async def taken(store: Storefront, *arguments, **options) -> None:
    assert await said(store, *arguments, **options) == (200, THANKS)


# --- what may be asked about ----------------------------------------------------------------------------------


def test_case_01_only_variants_that_exist_and_can_run_out(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        shop = store.service.shop
        card = shop.add_product("Gift card", is_gift_card=True, levels={store.shelf: 0})
        bundle = shop.add_product(
            "Set", variants=[VariantSpec(title="Set", requires_components=True)], levels={store.shelf: 0}
        )
        stranger = shop.add_product("In no offer", levels={store.shelf: 0})
        for product in (card, bundle):
            await offer(store, product)
        for product in (card, bundle, stranger):
            ids = {"product": gid_number(product.gid), "variant": gid_number(product.variants[0].gid)}
            answer = await store.post(**ids)
            assert (answer.status_code, answer.json()["reason"]) == (409, "not_offered"), product.title
        for ids in ({"variant": "99"}, {"variant": "99", "product": None}, {"product": "99"}):
            assert (await store.post(**ids)).status_code == 409, ids
        for variant in ("", "-1", "1e3", "x", "0", "9" * 30, "gid://shopify/Product/1"):
            assert (await store.post(variant=variant)).status_code == 400, variant
        assert await store.people() == await store.mails() == await store.counts() == []

    play(emptied, story)


def test_case_01_a_variant_without_its_product_is_looked_up(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store, product=None)
        assert await store.people() == [(ADA, "pending")]

    play(emptied, story)


def test_case_02_stock_is_read_on_the_server_whatever_the_page_shows(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        store.stock("Small", 3)
        answer = await store.post()
        body = answer.json()
        assert (answer.status_code, body["ok"], body["reason"]) == (409, False, "in_stock")
        assert body["message"] == "Good news: this item is in stock now."
        assert body["link"].endswith(f"/products/harbour?variant={store.variant('Small')}")
        assert await store.people() == []
        await taken(store, title="Large")
        assert (await store.post(title="Poster")).json()["reason"] == "in_stock"  # not tracked: never out
        store.stock("Small", 0)
        await taken(store)
        store.stock("Small", -2)  # sold ahead
        await taken(store, EVE)

    play(emptied, story)


def test_case_02_while_the_shop_is_silent_nobody_is_lost(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        store.stock("Large", 2)
        await store.state()  # the last that is known: Small is out, Large is in stock
        store.silence()
        await taken(store)
        assert (await store.post(EVE, title="Large")).json()["reason"] == "in_stock"
        assert await store.rows("select email, product_title, variant_title from subscribers") == [
            (ADA, "Harbour", "Small")
        ]

    play(emptied, story)


def test_case_02_a_shop_that_was_never_read_and_is_silent_loses_nobody(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        store.silence()
        await taken(store)
        watched = (
            "insert into watched_variants (shop_id, variant_id, product_id, product_title, variant_title, is_in, seen_at)"
            " values (%s, %s, %s, 'Harbour', 'Large', true, now())"
        )
        large = next(one.gid for one in store.product.variants if one.title == "Large")
        await store.sql(watched, store.service.shop_id, large, store.product.gid)
        assert (await store.post(EVE, title="Large")).json()["reason"] == "in_stock"
        assert (await store.post(EVE, variant="77", product="78")).json()["reason"] == "not_offered"

    play(emptied, story)


def test_case_02_a_slow_shop_keeps_nobody_waiting_and_its_answer_serves_the_next(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        answering = asyncio.Event()

        async def held_up(point: str) -> None:
            if point == "reading":
                await answering.wait()

        store.service.seam = held_up
        await taken(store)
        answering.set()
        store.stock("Large", 5)
        await until(lambda: _seen_in_stock(store))
        assert (await store.post(EVE, title="Large")).json()["reason"] == "in_stock"
        assert await store.people() == [(ADA, "pending")]

    async def _seen_in_stock(store: Storefront) -> bool:
        return not await store.button("Large")

    play(emptied, story, shop_limit_s=0.2)


def test_case_03_sign_ups_can_be_off_for_all_for_a_product_and_for_guests(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        assert await store.button()
        await store.options(sign_ups=False)
        assert not await store.button()
        assert (await store.post()).json()["reason"] == "not_offered"
        await store.options(sign_ups=True, exclude_tags=["Unique"])
        assert await store.button()
        store.service.shop.set_tags(store.product.gid, ["unique"])
        assert not await store.button()
        assert (await store.post()).json()["reason"] == "not_offered"
        await store.options(exclude_tags=[], guests=False)
        assert not await store.button() and await store.button(customer_id="7")
        answer = await store.post()
        assert (answer.status_code, answer.json()["reason"]) == (403, "sign_in_first")
        await taken(store, customer_id="7")
        assert await store.rows("select customer_id from subscribers") == [("gid://shopify/Customer/7",)]

    play(emptied, story)


@pytest.mark.parametrize(
    "change",
    [
        "update shops set plan = 'free'",
        "update shops set status = 'uninstalled'",
        "update automations set enabled = false",
        "delete from automations",
        "update offers set status = 'paused', pause_reason = 'manual'",
        "update offers set mode = 'always'",
        "delete from offer_items",
    ],
)
def test_case_03_without_plan_automation_or_active_offer_nobody_can_sign_up(
    emptied: str, change: str
) -> None:
    async def story(store: Storefront) -> None:
        await taken(store)
        await store.sql(change)
        assert not await store.button()
        assert (await store.post(EVE)).json()["reason"] == "not_offered"
        assert await store.people() == [(ADA, "pending")]  # who waits is kept

    play(emptied, story)


# --- whose address it is --------------------------------------------------------------------------------------


def test_case_04_the_address_is_normalised_and_another_case_is_the_same_person(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store, "  Ada@EXAMPLE.com ")
        await taken(store, "ADA@example.com")
        assert await store.people() == [(ADA, "pending")]
        for wrong, reason in (
            ("", "email_missing"),
            ("ada@", "invalid_email"),
            ("a@b.com,c@d.com", "invalid_email"),
        ):
            answer = await store.post(wrong)
            body = answer.json()
            assert (answer.status_code, body["reason"], body["field"]) == (422, reason, "email")

    play(emptied, story)


def test_case_05_who_waits_gets_the_same_answer_no_row_no_mail_and_uses_no_limit(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store)
        before = [await store.people(), await store.mails(), await store.counts()]
        assert before[1] == [("signup_confirmation", ADA)]
        for _ in range(5):
            await taken(store)
        assert [await store.people(), await store.mails(), await store.counts()] == before

    play(emptied, story, limit_per_client=1, limit_per_address=1)


def test_case_06_unconfirmed_and_signed_up_again_is_asked_to_look_at_the_mail(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        assert await said(store) == (200, CHECK_MAIL)
        before = [await store.people(), await store.mails(), await store.counts()]
        assert before[:2] == [[(ADA, "unconfirmed")], [("double_opt_in", ADA)]]
        assert await said(store) == (200, CHECK_MAIL)
        assert [await store.people(), await store.mails(), await store.counts()] == before

    play(emptied, story, double_opt_in=True)


def test_case_06_and_becomes_active_once_when_opt_in_was_switched_off_since(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await said(store)
        await store.options(double_opt_in=False)
        for _ in range(2):
            await taken(store)
        assert await store.people() == [(ADA, "pending")]
        steps = "select what from subscriber_steps order by step_no"
        assert await store.rows(steps) == [("signed_up",), ("asked_to_confirm",), ("confirmed",)]

    play(emptied, story, double_opt_in=True)


@pytest.mark.parametrize("state", ["sent", "cancelled", "unsubscribed", "failed"])
def test_case_07_again_after_an_end_is_one_new_row(emptied: str, state: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store)
        await store.sql("update subscribers set state = %s, ended_at = now()", state)
        await asyncio.gather(*(taken(store) for _ in range(50)))
        assert await store.rows("select state, cycle from subscribers order by cycle") == [
            (state, 1), ("pending", 2),
        ]  # fmt: skip
        assert await store.mails() == [("signup_confirmation", ADA)] * 2

    play(emptied, story)


@pytest.mark.parametrize(("double_opt_in", "kind"), [(False, "signup_confirmation"), (True, "double_opt_in")])
def test_case_07_50_parallel_posts_are_one_row_and_one_mail(
    emptied: str, double_opt_in: bool, kind: str
) -> None:
    async def story(store: Storefront) -> None:
        answers = await asyncio.gather(*(store.post(["Ada@example.com", ADA][no % 2]) for no in range(50)))
        assert {(one.status_code, one.json()["message"]) for one in answers} == {
            (200, CHECK_MAIL if double_opt_in else THANKS)
        }
        assert len(await store.people()) == 1
        assert await store.mails() == [(kind, ADA)]

    play(emptied, story, double_opt_in=double_opt_in, limit_per_client=1, limit_per_address=1)


def test_case_08_the_answer_is_the_same_whatever_is_known_of_the_address(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        known = {
            "waiting@example.com": None,
            "sent@example.com": "update subscribers set state = 'sent' where email = %s",
            "gone@example.com": "update subscribers set state = 'unsubscribed' where email = %s",
        }
        for email, change in known.items():
            await taken(store, email)
            if change:
                await store.sql(change, email)
        reasons = ("unsubscribed", "bounced", "complained", "refused", "erased")
        for reason in reasons:
            email = f"{reason}@example.com"
            digest = store.own.deps.keyring.address_hash(store.service.shop_id, email)
            await store.sql(
                "insert into suppressions (shop_id, address_hash, reason, at) values (%s, %s, %s, now())",
                store.service.shop_id, digest, reason,
            )  # fmt: skip
        everybody = [*known, *(f"{reason}@example.com" for reason in reasons), "new@example.com"]
        answers = [await store.post(email) for email in everybody]
        assert len({(one.status_code, one.content, str(sorted(one.headers.items()))) for one in answers}) == 1

    play(emptied, story)


def test_case_08_who_asked_to_stop_must_confirm_and_who_cannot_be_mailed_is_not(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        reasons = {"unsubscribed": "unconfirmed", "erased": "unconfirmed"} | dict.fromkeys(
            ("bounced", "complained", "refused"), "suppressed"
        )
        for reason in reasons:
            email = f"{reason}@example.com"
            digest = store.own.deps.keyring.address_hash(store.service.shop_id, email)
            await store.sql(
                "insert into suppressions (shop_id, address_hash, reason, at) values (%s, %s, %s, now())",
                store.service.shop_id, digest, reason,
            )  # fmt: skip
            await taken(store, email)
            await taken(store, email)
        assert dict(await store.people()) == {
            f"{reason}@example.com": state for reason, state in reasons.items()
        }
        assert len(await store.people()) == len(reasons)
        assert await store.mails() == [
            ("double_opt_in", "unsubscribed@example.com"), ("double_opt_in", "erased@example.com"),
        ]  # fmt: skip
        link = (await store.links("double_opt_in"))[0]
        assert (await press(store, link, action="confirm")).status_code == 200
        assert ("unsubscribed@example.com", "pending") in await store.people()
        left = await store.rows("select reason from suppressions order by reason")
        assert left == [("bounced",), ("complained",), ("erased",), ("refused",)]

    play(emptied, story)


def test_case_08_a_full_limit_of_the_client_tells_nothing_of_an_address(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store, ADA, client="198.51.100.1")
        await taken(store, EVE)
        known, unknown = await store.post(ADA), await store.post("nobody@example.com")
        assert known.status_code == unknown.status_code == 429
        assert known.content == unknown.content
        await taken(store, EVE)  # her own sign-up is answered as before

    play(emptied, story, limit_per_client=1)


# --- limits ---------------------------------------------------------------------------------------------------


def test_case_09_limits_per_client_and_per_address_are_independent(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store, "a@example.com")
        await taken(store, "b@example.com")
        refused = await store.post("c@example.com")
        assert refused.status_code == 429 and 0 < int(refused.headers["retry-after"]) <= 3601
        await taken(store, "c@example.com", client="198.51.100.1")
        assert (await store.post("c@example.com", title="Large", client="198.51.100.2")).status_code == 429
        assert [email for email, _ in await store.people()] == [f"{name}@example.com" for name in "abc"]
        await store.service.move(3600)
        await taken(store, "d@example.com")

    play(emptied, story, limit_per_client=2, limit_per_address=1)


def test_case_09_at_a_full_limit_nothing_is_stored_and_the_other_limit_is_not_used(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store, ADA)
        before = await store.everything(), await store.counts()
        assert (await store.post(ADA, title="Large", client="198.51.100.1")).status_code == 429
        assert (await store.everything(), await store.counts()) == before

    play(emptied, story, limit_per_client=5, limit_per_address=1)


def test_case_09_parallel_posts_do_not_pass_a_limit(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        answers = await asyncio.gather(*(store.post(f"p{no}@example.com") for no in range(20)))
        assert sorted(one.status_code for one in answers) == [200] * 3 + [429] * 17
        assert len(await store.people()) == len(await store.mails()) == 3

    play(emptied, story, limit_per_client=3)


def test_case_09_counters_are_kept_for_a_day(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store)
        now = store.service.clock.now()
        await delete_old(store.service.database, now + timedelta(hours=23), Retention())
        assert len(await store.counts()) == 3
        await delete_old(store.service.database, now + timedelta(hours=26), Retention())
        assert await store.counts() == []

    play(emptied, story)


def test_case_09_limits_that_are_off_write_nothing(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        for no in range(25):
            await taken(store, f"p{no}@example.com")
        assert await store.counts() == []

    play(emptied, story, limit_per_client=0, limit_per_address=0)


def test_case_09_settings_that_cannot_be_read_are_the_defaults(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        for no in range(20):
            await taken(store, f"p{no}@example.com")
        assert (await store.post("p20@example.com")).status_code == 429

    play(emptied, story, limit_per_client="plenty", limit_per_address=[])


def test_case_09_a_client_without_an_address_is_limited_by_mail_address_only(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store, ADA, client="unknown")
        await taken(store, EVE, client="unknown")
        assert (await store.post(ADA, title="Large", client="unknown")).status_code == 429

    play(emptied, story, limit_per_client=1, limit_per_address=1)


# --- robots, forms without script, what is kept ---------------------------------------------------------------


def test_robots_are_thanked_and_hurried_people_asked_to_wait(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store, website="https://spam.example")
        for hurried in ({"elapsed_ms": 300}, {"opened_at": store.service.clock.now().timestamp() - 0.2}):
            answer = await store.post(**hurried)
            assert (answer.status_code, answer.json()["reason"]) == (422, "too_fast")
        assert await store.people() == []
        await taken(store, elapsed_ms=1200)
        await taken(store, EVE, opened_at=store.service.clock.now().timestamp() - 30)

    play(emptied, story)


def test_what_was_agreed_to_is_kept_with_wording_version_language_time_page_and_source(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        shown = "Only this once."
        await store.post(
            locale="de", page="/de/products/harbour?utm=1&name=ada", quantity=3, first_name="Ada"
        )
        await store.post(EVE, wording=shown)
        kept = await store.rows(
            "select consent, page, source, locale, quantity, first_name, offer_id from subscribers order by created_at"
        )
        consent, *rest = kept[0]
        assert rest == ["/de/products/harbour", "proxy", "de", 3, "Ada", "off_1"]
        assert consent["wording"].startswith("Wir schreiben Ihnen nur zu diesem Artikel.")
        assert (consent["locale"], consent["at"]) == (
            "de",
            (await store.rows("select created_at from subscribers"))[0][0].isoformat(),
        )
        assert kept[1][0]["wording"] == shown
        assert kept[1][0]["version"] != consent["version"]

    play(emptied, story)


def test_a_form_without_script_is_answered_with_a_page_in_its_language(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        answer = await store.post(headers=PAGE, locale="fr-CA", page="/fr/products/harbour?variant=1")
        assert answer.headers["content-type"] == "application/liquid"  # for the shop's theme around it
        assert "content-security-policy" not in answer.headers  # the theme has its own
        assert 'lang="fr"' in answer.text and "<html" not in answer.text
        assert "Merci. Nous vous écrirons quand cet article sera de nouveau en stock." in answer.text
        assert 'href="/fr/products/harbour?variant=1"' in answer.text
        wrong = await store.post("ada@", headers=PAGE)
        assert wrong.status_code == 200 and "Enter an email address" in wrong.text
        store.stock("Large", 1)
        there = await store.post(EVE, title="Large", headers=PAGE)
        assert f"/products/harbour?variant={store.variant('Large')}" in there.text

    play(emptied, story)


def test_a_sign_up_has_the_product_looked_at_so_that_no_restock_is_missed(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await taken(store)
        assert await store.rows("select topic, subject, automation_id from events") == [
            ("stockwright/product/check", store.product.gid, "aut_notify")
        ]

    play(emptied, story)


def test_the_state_tells_buttons_texts_and_place_and_no_numbers(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        store.stock("Large", 12345)
        await store.sql(
            "insert into storefront_texts (shop_id, locale, name, text) values (%s, 'de', 'button', 'Sagt mir Bescheid')",
            store.service.shop_id,
        )
        state = await store.state(locale="de-AT")
        assert state["product"] == int(gid_number(store.product.gid))
        small, large, poster = (
            state["variants"][store.variant(title)] for title in ("Small", "Large", "Poster")
        )
        assert (small["notify"], large["notify"], poster["notify"]) == (True, False, False)
        assert (state["button"], state["locale"]) == ("instead", "de")
        assert state["texts"]["button"] == "Sagt mir Bescheid"
        assert state["texts"]["submit"] == "Bei Verfügbarkeit benachrichtigen"
        assert "12345" not in str(state)

    play(emptied, story, button="instead")


def test_the_state_tells_how_many_one_order_may_have_ahead(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        store.stock("Large", 3)
        await store.sql("update offers set limit_per_order = 4")
        told = (await store.state())["variants"]
        assert told[store.variant("Small")] == {"notify": True, "preorder": True, "most_units": 4}
        assert told[store.variant("Large")] == {"notify": False, "preorder": False}
        await store.sql("update offers set limit_per_order = null")
        told = (await store.state())["variants"]
        assert told[store.variant("Small")] == {"notify": True, "preorder": True}

    play(emptied, story)


def test_buttons_asked_for_at_the_same_time_are_one_request_to_the_shop(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await asyncio.gather(*(store.state() for _ in range(20)))
        reads = [one for one in store.service.requests if one.operation == "ReadShownProduct"]
        assert len(reads) < 5

    play(emptied, story)
