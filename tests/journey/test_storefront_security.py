"""What strangers try at the storefront: forged and old signatures, other sites' pages, text that would act."""

import re
from html import escape, unescape
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopify_emulator.storefront.app_proxy import signature
from shopify_emulator.storefront.pages import theme
from stockwright.model import gid_number
from stockwright.shopify.signatures import proxy_request_is_genuine
from stockwright.web.storefront.direct import is_allowed
from stockwright.web.storefront.pages import local_path, without_liquid
from tests.journey.service import DOMAIN, SECRET
from tests.journey.storefront import ADA, PAGE, PROGRAM, Storefront, play, press
from tests.store.rows import NOON

EVIL = "https://evil.example"


# --- the app proxy --------------------------------------------------------------------------------------------

_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
_PAIRS = st.lists(
    st.tuples(_WORDS.filter(lambda name: name not in ("signature", "timestamp")), _WORDS), max_size=8
)


def signed(pairs: list[tuple[str, str]], secret: str = SECRET) -> list[tuple[str, str]]:
    whole = [*pairs, ("timestamp", str(int(NOON.timestamp())))]
    return [*whole, ("signature", signature(whole, secret))]


@given(_PAIRS)
def test_what_shopify_signs_is_genuine_with_repeated_and_empty_values(pairs: list[tuple[str, str]]) -> None:
    assert proxy_request_is_genuine(signed(pairs), ["old", SECRET], now=NOON)
    assert not proxy_request_is_genuine(signed(pairs), ["other"], now=NOON)
    assert not proxy_request_is_genuine(signed(pairs, "other"), [SECRET], now=NOON)


@given(_PAIRS, st.data())
def test_a_change_of_any_value_is_not_genuine(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    whole = signed(pairs)
    at = data.draw(st.integers(0, len(whole) - 1))
    name, value = whole[at]
    changed = [*whole[:at], (name, value + "0"), *whole[at + 1 :]]
    assert not proxy_request_is_genuine(changed, [SECRET], now=NOON)


def test_a_bad_signature_an_old_one_and_an_unknown_shop_are_one_401_and_store_nothing(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        good = store.query("extra=1&extra=2&empty=")
        form = {"variant": store.variant("Small"), "product": gid_number(store.product.gid), "email": ADA}
        bad = [
            "",
            good.replace("extra=2", "extra=3"),
            good.replace("extra=1&extra=2", "extra=2&extra=1"),
            good.replace("&empty=", ""),
            good + "&more=1",
            good + "&signature=" + "0" * 64,
            good.rpartition("&signature=")[0],
            store.query(secret="another secret"),
            store.query(shop="other.myshopify.com"),
            store.query() + f"&shop={DOMAIN}",
            good + "&x=1" * 200,
            "%FF=%FF&shop=" + DOMAIN,
        ]
        answers = [await store.http.post(f"/proxy/notify-me?{query}", data=form) for query in bad]
        old = store.query()
        await store.service.move(91)
        answers.append(await store.http.post(f"/proxy/notify-me?{old}", data=form))
        answers.append(await store.http.get(f"/proxy/notify-me/state?{old}"))
        assert {(one.status_code, one.content) for one in answers} == {(401, answers[0].content)}
        assert await store.people() == await store.counts() == []
        assert (
            await store.http.post(f"/proxy/notify-me?{store.query('extra=1&extra=2&empty=')}", data=form)
        ).status_code == 200

    play(emptied, story)


# --- pages elsewhere ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (f"https://{DOMAIN}", True),
        ("https://www.prints.example", True),
        ("https://WWW.PRINTS.example", True),
        ("https://head.example:8443", True),
        ("http://localhost:3000", True),
        (f"http://{DOMAIN}", False),
        (f"https://{DOMAIN}.evil.example", False),
        (f"https://{DOMAIN}:444", False),
        (f"https://user@{DOMAIN}", False),
        (f"https://{DOMAIN}/", False),
        ("https://evil.example", False),
        ("https://head.example", False),
        ("http://localhost", False),
        ("null", False),
        ("", False),
        ("https://[", False),
        ("https://x:99999999", False),
    ],
)
def test_an_origin_is_allowed_by_scheme_host_and_port(origin: str, allowed: bool) -> None:
    hosts = (DOMAIN, "www.Prints.example ", "head.example:8443", "localhost:3000", "")
    assert is_allowed(origin, hosts) is allowed


@given(st.text())
def test_any_origin_is_judged(origin: str) -> None:
    assert is_allowed(origin, (DOMAIN,)) == (origin == f"https://{DOMAIN}")


def test_pages_of_the_shop_may_sign_up_directly_and_others_not(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        path = f"/storefront/{DOMAIN}/notify-me"
        form = {"variant": store.variant("Small"), "product": gid_number(store.product.gid), "email": ADA}
        home, head = f"https://{DOMAIN}", "https://www.head.example"
        refusals = [
            await store.http.post(path, json=form, headers={"Origin": EVIL}),
            await store.http.post(path, json=form),
            await store.http.post(path, json=form, headers={"Origin": "null"}),
            await store.http.post(path, json=form, headers={"Origin": head}),
            await store.http.options(path, headers={"Origin": EVIL, "Access-Control-Request-Method": "POST"}),
            await store.http.get(path + "/state?product=1", headers={"Origin": EVIL}),
            await store.http.post("/storefront/other.example/notify-me", json=form, headers={"Origin": home}),
        ]
        assert {(one.status_code, one.content) for one in refusals} == {(403, refusals[0].content)}
        assert not any("access-control-allow-origin" in one.headers for one in refusals)
        assert await store.people() == []
        await store.options(storefront_domains=["www.head.example"])
        for origin in (home, head):
            asked = await store.http.options(
                path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            )
            assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, origin)
            assert (
                asked.headers["vary"] == "Origin" and "access-control-allow-credentials" not in asked.headers
            )
        taken = await store.http.post(path, json=form | {"quantity": 2}, headers={"Origin": head, **PROGRAM})
        assert (taken.status_code, taken.json()["ok"]) == (200, True)
        assert taken.headers["access-control-allow-origin"] == head
        wrong = await store.http.post(path, json=form | {"email": "x"}, headers={"Origin": head})
        assert (wrong.status_code, wrong.headers["access-control-allow-origin"]) == (422, head)
        assert await store.rows("select source, quantity, customer_id from subscribers") == [
            ("direct", 2, "")
        ]
        state = await store.http.get(
            path + f"/state?product={gid_number(store.product.gid)}", headers={"Origin": head}
        )
        assert state.json()["variants"][store.variant("Small")]["notify"] is True

    play(emptied, story)


def test_a_direct_request_cannot_say_that_a_customer_is_signed_in(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        form = {"variant": store.variant("Small"), "product": gid_number(store.product.gid), "email": ADA}
        form |= {"logged_in_customer_id": "7", "customer_id": "gid://shopify/Customer/7"}
        path = f"/storefront/{DOMAIN}/notify-me?logged_in_customer_id=7"
        answer = await store.http.post(path, json=form, headers={"Origin": f"https://{DOMAIN}"})
        assert (answer.status_code, answer.json()["reason"]) == (403, "sign_in_first")

    play(emptied, story, guests=False)


# --- bodies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"[]", 400),
        ("application/json", b"{", 400),
        ("application/json", b"[" * 10_000, 400),
        ("application/json", b'"' + b"x" * 20_000 + b'"', 413),
        ("application/x-www-form-urlencoded", b"a=1&" * 60, 400),
        ("application/x-www-form-urlencoded", b"x" * 20_000, 413),
        ("multipart/form-data", b"--x", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno header", 400),
        ("text/plain", b"variant=1", 415),
        ("", b"variant=1", 415),
    ],
)
def test_bodies_that_are_not_small_forms_are_refused(
    emptied: str, kind: str, body: bytes, status: int
) -> None:
    async def story(store: Storefront) -> None:
        for path in (f"/proxy/notify-me?{store.query()}", await link_of(store)):
            answer = await store.http.post(path, content=body, headers={"Content-Type": kind})
            assert answer.status_code == status, answer.text
        assert await store.people() == [(ADA, "pending")]

    play(emptied, story)


async def link_of(store: Storefront) -> str:
    await store.post()
    return (await store.links("signup_confirmation"))[0]


def test_a_body_without_a_length_is_limited_too(emptied: str) -> None:
    async def chunks():
        for _ in range(100):
            yield b"x" * 1000

    async def story(store: Storefront) -> None:
        answer = await store.http.post(
            f"/proxy/notify-me?{store.query()}",
            content=chunks(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 413

    play(emptied, story)


# --- text that would act --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Ada\r\nBcc: eve@example.com",
        "Ada\nBcc: eve@example.com",
        "<script>alert(1)</script>",
        "Win at evil.example",
        "https://evil.example",
        "Ada www.evil.example",
        "{{ shop.name }}",
        "x" * 51,
        "Ada\u202e",
        "50% off!",
    ],
)
def test_a_name_carries_no_header_script_link_or_message(emptied: str, name: str) -> None:
    async def story(store: Storefront) -> None:
        answer = await store.post(first_name=name)
        assert (answer.status_code, answer.json()["field"]) == (422, "first_name")
        assert await store.people() == await store.mails() == []

    play(emptied, story)


@pytest.mark.parametrize(
    "name", ["Ada", "Jean-Luc", "O’Brien", "D'Arcy", "Zoë", "さくら", "Łukasz", "J. R.", ""]
)
def test_names_of_people_are_taken(emptied: str, name: str) -> None:
    async def story(store: Storefront) -> None:
        assert (await store.post(first_name=name)).status_code == 200
        assert await store.rows("select first_name from subscribers") == [(name,)]

    play(emptied, story)


def test_whatever_a_page_posts_is_stored_as_text_and_shown_as_text(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        script = "<script>alert(1)</script>"
        answer = await store.post(
            page=f"/products/{script}?x='\"><img>", wording=script + "\0", locale="<b>", headers=PAGE
        )
        assert answer.status_code == 200 and "<script" not in answer.text and "<img" not in answer.text
        assert 'lang="en"' in answer.text
        await store.sql("update subscribers set product_title = %s", script)
        link = (await store.links("signup_confirmation"))[0]
        page = await store.http.get(link)
        assert "<script" not in page.text and "&lt;script&gt;" in page.text

    play(emptied, story)


HOSTILE = "{{ shop.name }}{% raw %}{%- layout none -%}{{{{ '</div><script>' }}"


@given(st.text() | st.text("{}%-'\" |abc&;#<>"))
def test_no_text_is_run_as_liquid_in_the_shops_theme(text: str) -> None:
    safe = without_liquid(f"<p>{escape(text)}</p>")
    assert theme().render_text(safe, {"request": {"locale": {"iso_code": "en"}}}) == safe
    assert unescape(safe) == unescape(f"<p>{escape(text)}</p>")


def test_what_shoppers_and_merchants_wrote_is_shown_as_text_in_the_shops_theme(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        shop = store.service.shop
        await store.sql(
            "insert into storefront_texts (shop_id, locale, name, text) values (%s, 'en', 'in_stock', %s)",
            store.service.shop_id,
            HOSTILE + " {item}",
        )
        store.product.title = "Harbour {{ 7 | times: 7 }}"
        store.stock("Small", 1)
        answer = await store.post(headers=PAGE, page=f"/{HOSTILE}?{HOSTILE}", first_name="Ada")
        assert "{" not in answer.text and "}" not in answer.text
        rendered = theme().render_text(
            answer.text, {"request": {"locale": {"iso_code": "en"}}, "shop": {"name": shop.domain}}
        )
        assert rendered == answer.text
        assert HOSTILE + " Harbour {{ 7 | times: 7 }} – Small" in unescape(rendered)
        assert "<script" not in rendered
        store.stock("Small", 0)
        back = await store.post(headers=PAGE, page=f"/{HOSTILE}?{HOSTILE}")
        assert 'href="/%7B%7B' in back.text and "{" not in back.text

    play(emptied, story)


def test_pages_load_nothing_run_nothing_and_are_kept_nowhere(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        link = await link_of(store)
        for answer in (
            await store.http.get(link),
            await press(store, link, what="item"),
            await store.http.get("/u/x"),
        ):
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'sha256-") and "script-src" not in policy
            assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
            assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == (
                "no-store",
                "no-referrer",
            )
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-robots-tag"].startswith("noindex")
            assert not re.search(r"<script|<link|<img|src=|@import|url\(|\son\w+=", answer.text)
            assert "set-cookie" not in answer.headers

    play(emptied, story)


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("/products/harbour?variant=1", "/products/harbour?variant=1"),
        ("https://evil.example/x", "/x"),
        ("//evil.example/x", "/x"),
        ("///evil.example/x", "/evil.example/x"),
        ("/\\evil.example", "/evil.example"),
        ("\\\\evil.example", "/evil.example"),
        ("https:evil.example", "/evil.example"),
        ("javascript:alert(1)", "/alert(1)"),
        ("data:text/html,x", "/text/html,x"),
        ("https://a//evil.example", "/evil.example"),
        ("/a b\"><script>", "/a%20b%22%3E%3Cscript%3E"),
        ("https://[", "/"),
        ("", "/"),
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(page: str, link: str) -> None:
    assert local_path(page) == link


@given(st.text())
def test_a_way_back_is_always_a_path_of_the_same_site(page: str) -> None:
    found = local_path(page)
    assert re.fullmatch(r"/(?!/)[\x21-\x7e]*", found) and "\\" not in found and '"' not in found


def test_a_way_back_leads_to_the_shop_from_the_direct_endpoint(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        form = {"variant": store.variant("Small"), "product": gid_number(store.product.gid), "email": ADA}
        answer = await store.http.post(
            f"/storefront/{DOMAIN}/notify-me",
            content=urlencode(form | {"page": f"{EVIL}/products/harbour"}),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": f"https://{DOMAIN}",
                **PAGE,
            },
        )
        assert f'href="https://{DOMAIN}/products/harbour"' in answer.text and "evil" not in answer.text

    play(emptied, story)


def test_a_token_of_another_shop_does_nothing_here(emptied: str) -> None:
    async def story(store: Storefront) -> None:
        await link_of(store)
        (subscriber,) = (await store.rows("select subscriber_id from subscribers"))[0]
        await store.sql(
            "insert into shops (domain, api_url, auth_mode, secrets) values ('two.myshopify.com', '', 'access_token', '')"
        )
        (other,) = (await store.rows("select shop_id from shops where domain = 'two.myshopify.com'"))[0]
        keys = store.own.deps.keyring
        theirs = keys.unsubscribe_token(other, subscriber, keys.address_hash(other, ADA))
        assert (await press(store, f"/u/{theirs}", what="all")).status_code == 200
        assert await store.people() == [(ADA, "pending")]
        assert await store.rows("select shop_id, reason from suppressions") == [(other, "unsubscribed")]

    play(emptied, story)
