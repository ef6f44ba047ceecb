"""The Notify Me button on the bundled shop's pages, rendered from the extension's own Liquid, in Chromium."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.conftest import DESK, PHONE, overflow, serious_findings
from tests.browser.notify_stand_in import THANKS, StandIn, running_stand_in
from tests.real_processes import RunningShop, running_shop

pytestmark = pytest.mark.browser

SMALL_PHONE = {"width": 320, "height": 640}
PLACE = [{"name": "Toronto", "primary": True}]


def variants(*stock: tuple[str, int], **fields: Any) -> list[dict[str, Any]]:
    return [{"title": title, "levels": {"Toronto": count}, **fields} for title, count in stock]


CATALOGUE = {
    "locations": PLACE,
    "products": [
        {
            "title": "Birches",
            "option_names": ["Size"],
            "variants": variants(("Small", 3), ("Medium", 0), ("Large", 0)),
        },
        {"title": "Tram", "option_names": ["Size"], "variants": variants(("Small", 0), ("Large", 4))},
        {"title": "Postcards", "variants": variants(("Default Title", 0))},
        {"title": "Calendar", "variants": variants(("Default Title", 0), policy="CONTINUE")},
        {
            "title": "Notebook",
            "option_names": ["Color"],
            "variants": variants(("Red", -1), ("Blue", 0), ("Green", 9), policy="CONTINUE"),
        },
    ],
}


@pytest.fixture(scope="module")
def service() -> Iterator[StandIn]:
    with running_stand_in() as running:
        yield running


@pytest.fixture(scope="module")
def running(service: StandIn) -> Iterator[RunningShop]:
    with running_shop(CATALOGUE, arguments=("--proxy-url", f"{service.url}/proxy")) as shop:
        service.secret = shop.webhook_secret
        yield shop


@pytest.fixture
def shop(running: RunningShop, service: StandIn) -> Iterator[RunningShop]:
    """Every product is in an offer, the service agrees with the stock, the theme is as it was installed."""
    service.asked.clear()
    service.posted.clear()
    service.reply = (200, {"ok": True, "message": THANKS})
    service.hold.set()
    running.post("theme", {"placement": "block", "inside_form": False, "block_settings": {}})
    by_bucket: dict[str, dict[str, Any]] = {}
    for product in products(running).values():
        bucket = f"offers_{number(product) % 64:02d}"
        by_bucket.setdefault(bucket, {})[str(number(product))] = "*"
        service.states[str(number(product))] = {
            "variants": judged(product),
            "button": "alongside",
            "texts": {},
        }
    for key, value in by_bucket.items():
        running.post("app-metafield", {"key": key, "value": value})
    yield running
    assert service.refused == [], "a request was not signed, or had a cookie"


def products(shop: RunningShop) -> dict[str, dict[str, Any]]:
    return {one["title"]: one for one in shop.state()["products"]}


def number(thing: dict[str, Any]) -> int:
    return int(thing["id"].rpartition("/")[2])


def variant_of(shop: RunningShop, product: str, title: str) -> str:
    return str(number(next(one for one in products(shop)[product]["variants"] if one["title"] == title)))


def judged(product: dict[str, Any]) -> dict[str, Any]:
    out = {str(number(one)): sum(one["levels"].values()) <= 0 for one in product["variants"]}
    return {variant: {"notify": is_out, "preorder": is_out} for variant, is_out in out.items()}


@pytest.fixture
def open_page(chromium: Browser, shop: RunningShop, service: StandIn) -> Iterator[Callable[..., Page]]:
    """Opens pages of the shop; a script error, a refused resource or a request elsewhere fails the test."""
    contexts, problems = [], []

    def make(path: str, **options: Any) -> Page:
        context = chromium.new_context(**{"base_url": shop.url, "viewport": DESK, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: _note(problems, said.type, said.text))
        page.on("request", lambda request: _is_ours(problems, request.url, shop.url))
        page.goto(path)
        return page

    yield make
    assert [cookie for context in contexts for cookie in context.cookies()] == []
    for context in contexts:
        context.close()
    assert problems == []


def _note(problems: list[str], kind: str, text: str) -> None:
    if kind in ("error", "warning") and "Failed to load resource" not in text:  # answers of 4xx, on purpose
        problems.append(text)


def _is_ours(problems: list[str], url: str, own: str) -> None:
    if not url.startswith((own + "/", "data:")):
        problems.append(f"a request to another host: {url}")


def button(page: Page | Locator) -> Locator:
    return page.locator("stockwright-notify summary")


def answered(page: Page, path: str = "**/notify-me/state*") -> Any:
    return page.expect_response(path)


def email_field(page: Page | Locator) -> Locator:
    return page.get_by_role("textbox", name="Email")


def choose(page: Page | Locator, variant: str) -> None:
    page.get_by_role("radio", name=variant).check()


def sign_up(page: Page | Locator, email: str = "ann@example.com") -> None:
    button(page).click()
    email_field(page).fill(email)
    page.get_by_role("button", name="Notify me when available").click()


# --- when it is shown -------------------------------------------------------------------------------------


def test_in_stock_there_is_no_button(open_page: Callable[..., Page]) -> None:
    page = open_page("/products/birches")
    expect(page.get_by_role("button", name="Add to cart")).to_be_visible()
    expect(button(page)).to_be_hidden()
    assert page.locator("stockwright-notify").bounding_box()["height"] < 1  # type: ignore[index]


def test_at_zero_the_button_is_there_before_the_service_answers(
    open_page: Callable[..., Page], service: StandIn
) -> None:
    service.hold.clear()
    page = open_page("/products/postcards")
    expect(button(page)).to_be_visible()
    expect(page.locator("p.out")).to_have_text("Sold out")
    service.hold.set()


def test_what_the_service_says_goes_before_what_liquid_knew(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    state = service.states[str(number(products(shop)["Postcards"]))]
    state["variants"] = {variant: {"notify": False, "preorder": False} for variant in state["variants"]}
    page = open_page("/products/postcards")
    expect(button(page)).to_be_hidden()


def test_without_an_answer_the_first_state_stays(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    service.states.clear()
    page = open_page("/products/tram?variant=" + variant_of(shop, "Tram", "Small"))
    expect(button(page)).to_be_visible()
    choose(page, "Large")
    expect(button(page)).to_be_hidden()


# --- variants ---------------------------------------------------------------------------------------------


def test_the_button_follows_the_variant_that_is_chosen_and_tells_it(
    open_page: Callable[..., Page], shop: RunningShop, service: StandIn
) -> None:
    page = open_page("/products/birches")
    status = page.get_by_role("status")
    choose(page, "Medium")
    expect(button(page)).to_be_visible()
    expect(status).to_have_text("Sold out. You can ask to be notified when it is back.")
    choose(page, "Small")
    expect(button(page)).to_be_hidden()
    expect(status).to_have_text("In stock.")
    choose(page, "Large")
    sign_up(page)
    expect(status).to_have_text(THANKS)
    assert service.posted[0]["variant"] == variant_of(shop, "Birches", "Large")


def test_a_sign_up_belongs_to_its_variant(open_page: Callable[..., Page]) -> None:
    page = open_page("/products/birches")
    choose(page, "Medium")
    sign_up(page)
    status = page.get_by_role("status")
    expect(status).to_have_text(THANKS)
    choose(page, "Large")
    expect(status).to_have_text("")
    expect(email_field(page)).to_be_visible()
    choose(page, "Medium")
    expect(status).to_have_text(THANKS)
    expect(email_field(page)).to_be_hidden()


def test_the_address_selects_the_variant(open_page: Callable[..., Page], shop: RunningShop) -> None:
    page = open_page("/products/birches?variant=" + variant_of(shop, "Birches", "Large"))
    expect(button(page)).to_be_visible()


FORMLESS = "document.querySelector('form[action$=\"cart/add\"]').remove()"
HIDDEN_FIELD = """(id) => {
  const form = document.querySelector('form[action$="cart/add"]');
  for (const radio of form.querySelectorAll('[name="id"]')) radio.remove();
  form.insertAdjacentHTML('beforeend', `<input type="hidden" name="id" value="${id}" disabled>`);
}"""
SELECT_FIELD = """(ids) => {
  const form = document.querySelector('form[action$="cart/add"]');
  for (const radio of form.querySelectorAll('[name="id"]')) radio.remove();
  const options = ids.map((id) => `<option value="${id}">${id}</option>`).join('');
  form.insertAdjacentHTML('beforeend', `<select name="id" aria-label="Size">${options}</select>`);
}"""


def test_a_hidden_field_that_a_theme_changes_is_followed(
    open_page: Callable[..., Page], shop: RunningShop
) -> None:
    page = open_page("/products/birches")
    page.evaluate(HIDDEN_FIELD, variant_of(shop, "Birches", "Small"))
    field = "document.querySelector('[name=id]').value ="
    page.evaluate(f"{field} '{variant_of(shop, 'Birches', 'Large')}'")
    expect(button(page)).to_be_visible()
    page.evaluate(f"{field} ''")  # a combination that does not exist
    expect(button(page)).to_be_hidden()
    page.evaluate(f"{field} '{variant_of(shop, 'Birches', 'Medium')}'")
    expect(button(page)).to_be_visible()


def test_a_list_of_variants_is_followed(open_page: Callable[..., Page], shop: RunningShop) -> None:
    page = open_page("/products/birches")
    page.evaluate(SELECT_FIELD, [variant_of(shop, "Birches", title) for title in ("Small", "Large")])
    page.get_by_label("Size", exact=True).select_option(variant_of(shop, "Birches", "Large"))
    expect(button(page)).to_be_visible()


@pytest.mark.parametrize(
    "event", ["variant:change", "variant:changed", "variantChange", "theme:variant:change"]
)
def test_events_of_themes_are_followed(open_page: Callable[..., Page], shop: RunningShop, event: str) -> None:
    page = open_page("/products/birches")
    page.evaluate(FORMLESS)
    send = (
        "([name, id]) => document.dispatchEvent(new CustomEvent(name, {detail: {variant: {id: Number(id)}}}))"
    )
    page.evaluate(send, [event, variant_of(shop, "Birches", "Large")])
    expect(button(page)).to_be_visible()
    page.evaluate(send, [event, "12345"])  # of another product
    expect(button(page)).to_be_visible()


def test_the_event_of_shopifys_newer_themes_is_followed(
    open_page: Callable[..., Page], shop: RunningShop
) -> None:
    page = open_page("/products/birches")
    page.evaluate(FORMLESS)
    page.evaluate(
        "(id) => document.dispatchEvent(new CustomEvent('variant:update', {detail: {resource: {id}}}))",
        variant_of(shop, "Birches", "Large"),
    )
    expect(button(page)).to_be_visible()


def test_going_back_and_forth_in_the_history_is_followed(
    open_page: Callable[..., Page], shop: RunningShop
) -> None:
    page = open_page("/products/birches?variant=" + variant_of(shop, "Birches", "Small"))
    page.evaluate(FORMLESS)
    page.evaluate(
        "(id) => history.pushState(null, '', `?variant=${id}`)", variant_of(shop, "Birches", "Large")
    )
    expect(button(page)).to_be_visible()
    page.go_back()
    expect(button(page)).to_be_hidden()


def test_several_products_on_one_page_do_not_mix(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    page = open_page("/pages/featured?handles=birches,tram,postcards")
    birches, tram, postcards = (
        page.get_by_role("region", name=name) for name in ("Birches", "Tram", "Postcards")
    )
    expect(button(birches)).to_be_hidden()
    expect(button(tram)).to_be_hidden()
    expect(button(postcards)).to_be_visible()
    choose(tram, "Small")
    expect(button(tram)).to_be_visible()
    expect(button(birches)).to_be_hidden()
    sign_up(postcards)
    expect(postcards.get_by_role("status")).to_have_text(THANKS)
    expect(tram.get_by_role("status")).not_to_have_text(THANKS)
    assert [one["product"] for one in service.posted] == [str(number(products(shop)["Postcards"]))]
    assert sorted(one["product"] for one in service.asked) == sorted(
        str(number(products(shop)[name])) for name in ("Birches", "Tram", "Postcards")
    )


# --- signing up -------------------------------------------------------------------------------------------


def test_what_is_sent(open_page: Callable[..., Page], service: StandIn, shop: RunningShop) -> None:
    settings = {"ask_first_name": True, "ask_quantity": True}
    shop.post("theme", {"block_settings": settings})
    page = open_page("/de/products/postcards?from=mail")
    button(page).click()
    page.get_by_label("Vorname").fill("Ann")
    page.get_by_label("Wie viele").fill("3")
    page.get_by_label("E-Mail", exact=True).fill("  ann@example.com ")
    page.get_by_role("button", name="Bei Verfügbarkeit benachrichtigen").click()
    expect(page.get_by_role("status")).to_have_text(THANKS)
    (sent,) = service.posted
    assert int(sent.pop("elapsed_ms")) > 0
    assert sent == {
        "variant": variant_of(shop, "Postcards", "Default Title"),
        "product": str(number(products(shop)["Postcards"])),
        "email": "ann@example.com",
        "first_name": "Ann",
        "quantity": "3",
        "locale": "de",
        "page": "/de/products/postcards?from=mail",
        "website": "",
        "wording": "Wir schreiben Ihnen nur zu diesem Artikel. Sie können sich jederzeit abmelden.",
    }


@pytest.mark.parametrize("email", ["", "ann", "ann@"])
def test_a_wrong_address_is_told_beside_the_field(
    open_page: Callable[..., Page], service: StandIn, email: str
) -> None:
    page = open_page("/products/postcards")
    sign_up(page, email)
    field = email_field(page)
    expect(page.get_by_role("alert")).to_have_text("Enter an email address, such as name@example.com.")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("Enter an email address, such as name@example.com. We will email "
                                                 "you about this item only. You can unsubscribe at any time.")  # fmt: skip
    assert service.posted == []
    field.fill("ann@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(THANKS)
    expect(page.locator("[name=email]")).not_to_have_attribute("aria-invalid", "true")


def test_an_answer_that_comes_late_leaves_what_was_said_of_the_address(
    open_page: Callable[..., Page], service: StandIn
) -> None:
    page = open_page("/products/no-such-product")
    held: list[Route] = []
    page.route("**/notify-me/state*", lambda route: held.append(route))  # noqa: PLW0108 - no builtin
    page.goto("/products/postcards")
    sign_up(page, "ann@")
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("Enter an email address, such as name@example.com.")
    with page.expect_response("**/notify-me/state*") as state:
        held[0].continue_()
    state.value.finished()
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(alert).to_have_text("Enter an email address, such as name@example.com.")
    expect(email_field(page)).to_have_attribute("aria-invalid", "true")


def test_a_refusal_of_the_service_is_told_and_can_be_mended(
    open_page: Callable[..., Page], service: StandIn
) -> None:
    service.reply = (422, {"ok": False, "field": "email", "message": "This address takes no mail."})
    page = open_page("/products/postcards")
    sign_up(page)
    expect(page.get_by_role("alert")).to_have_text("This address takes no mail.")
    expect(email_field(page)).to_be_focused()
    service.reply = (200, {"ok": True, "message": THANKS})
    page.get_by_role("button", name="Notify me when available").click()
    expect(page.get_by_role("status")).to_have_text(THANKS)


@pytest.mark.parametrize("reply", ["html", "abort"])
def test_no_usable_answer_is_told(open_page: Callable[..., Page], reply: str) -> None:
    page = open_page("/products/postcards")

    def answer(route: Route) -> None:
        if reply == "abort":
            route.abort()
        else:
            route.fulfill(status=502, content_type="text/html", body="<p>no</p>")

    page.route("**/apps/stockwright/notify-me", answer)
    sign_up(page)
    expect(page.get_by_role("alert")).to_have_text(
        "This could not be sent. Check your connection and try again."
    )
    expect(email_field(page)).to_have_value("ann@example.com")
    expect(page.get_by_role("button", name="Notify me when available")).to_be_enabled()


def test_an_item_that_is_in_stock_now_is_linked_below_the_answer(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    there = "/products/postcards?variant=" + variant_of(shop, "Postcards", "Default Title")
    service.reply = (
        409,
        {
            "ok": False,
            "message": "It is in stock now.",
            "link": shop.url + there,
            "link_text": "See <b>it</b>",
        },
    )
    page = open_page("/products/postcards")
    sign_up(page)
    said = page.get_by_role("alert")
    expect(said).to_contain_text("It is in stock now.")
    link = said.get_by_role("link", name="See <b>it</b>")
    answer, below = said.bounding_box(), link.bounding_box()
    assert answer is not None and below is not None and below["y"] > answer["y"] + 16
    link.click()
    expect(page).to_have_url(shop.url + there)


def test_while_it_is_sent_it_is_not_sent_again(open_page: Callable[..., Page], service: StandIn) -> None:
    page = open_page("/products/postcards")
    with answered(page):
        page.reload()
    service.hold.clear()
    sign_up(page)
    expect(page.get_by_role("status")).to_have_text("Sending…")
    email_field(page).press("Enter")
    email_field(page).press("Enter")
    service.hold.set()
    expect(page.get_by_role("status")).to_have_text(THANKS)
    assert len(service.posted) == 1


def test_what_the_service_sends_is_shown_as_text(open_page: Callable[..., Page], service: StandIn) -> None:
    service.reply = (200, {"ok": True, "message": "<img src=x onerror=alert(1)>"})
    page = open_page("/products/postcards")
    sign_up(page)
    expect(page.get_by_role("status")).to_have_text("<img src=x onerror=alert(1)>")


def test_texts_of_block_service_and_language_go_in_that_order(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    shop.post("theme", {"block_settings": {"submit_text": "Of the block"}})
    state = service.states[str(number(products(shop)["Postcards"]))]
    state["texts"] = {"button": "Of the service", "submit": "Of the service too", "consent": "Own wording"}
    page = open_page("/products/postcards")
    expect(button(page)).to_have_text("Of the service")
    button(page).click()
    email_field(page).fill("ann@example.com")
    page.get_by_role("button", name="Of the block").click()
    expect(page.get_by_role("status")).to_have_text(THANKS)
    assert service.posted[0]["wording"] == "Own wording"
    state["texts"] = {}


# --- beside the pre-order button --------------------------------------------------------------------------


def preorder(page: Page) -> Locator:
    return page.get_by_role("button", name="Pre-order")


def test_notify_me_stands_alongside_the_pre_order_button(open_page: Callable[..., Page]) -> None:
    page = open_page("/products/calendar")
    expect(button(page)).to_be_visible()
    expect(preorder(page)).to_be_visible()


def test_or_instead_of_it(open_page: Callable[..., Page], service: StandIn, shop: RunningShop) -> None:
    service.states[str(number(products(shop)["Calendar"]))]["button"] = "instead"
    page = open_page("/products/calendar")
    expect(preorder(page)).to_be_hidden()
    expect(button(page)).to_be_visible()


def quantity(page: Page) -> Locator:
    return page.get_by_role("spinbutton", name="Quantity")


@pytest.fixture
def notebook(shop: RunningShop, service: StandIn) -> dict[str, Any]:
    """What the service says of the variants of a product of which an order may have 2 red ones ahead."""
    said: dict[str, Any] = service.states[str(number(products(shop)["Notebook"]))]["variants"]
    said[variant_of(shop, "Notebook", "Red")]["most_units"] = 2
    return said


def test_an_order_cannot_have_more_ahead_than_the_offer_allows(
    open_page: Callable[..., Page], notebook: dict[str, Any]
) -> None:
    page = open_page("/products/notebook")
    choose(page, "Green")
    expect(quantity(page)).to_have_attribute("max", "99")
    quantity(page).fill("3")
    choose(page, "Red")
    expect(quantity(page)).to_have_attribute("max", "2")
    page.get_by_role("button", name="Pre-order").click()  # the browser says why not
    assert quantity(page).evaluate(
        "(field) => field.validity.rangeOverflow && field === document.activeElement"
    )
    expect(page.get_by_role("heading", name="Notebook")).to_be_visible()
    choose(page, "Blue")
    expect(quantity(page)).to_have_attribute("max", "99")
    choose(page, "Red")
    choose(page, "Green")
    expect(quantity(page)).to_have_attribute("max", "99")
    choose(page, "Red")
    quantity(page).fill("2")
    page.get_by_role("button", name="Pre-order").click()
    expect(page.get_by_text("2 × Notebook · Red")).to_be_visible()


def test_where_a_theme_lets_the_browser_check_nothing_the_quantity_is_brought_down(
    open_page: Callable[..., Page], notebook: dict[str, Any]
) -> None:
    page = open_page("/products/notebook")
    page.evaluate("document.querySelector('form[action$=\"cart/add\"]').noValidate = true")
    choose(page, "Green")
    expect(quantity(page)).to_have_attribute("max", "99")
    quantity(page).fill("3")
    choose(page, "Red")
    expect(quantity(page)).to_have_value("2")
    quantity(page).fill("7")
    page.get_by_role("button", name="Pre-order").click()
    expect(page.get_by_text("2 × Notebook · Red")).to_be_visible()


def test_a_lower_limit_of_the_theme_stays(open_page: Callable[..., Page], notebook: dict[str, Any]) -> None:
    page = open_page("/products/notebook")
    page.evaluate("document.querySelector('[name=quantity]').max = 1")
    choose(page, "Red")
    expect(quantity(page)).to_have_attribute("max", "1")
    choose(page, "Blue")
    expect(quantity(page)).to_have_attribute("max", "1")


def test_a_quantity_that_a_theme_draws_anew_is_limited_too(
    open_page: Callable[..., Page], notebook: dict[str, Any], shop: RunningShop
) -> None:
    page = open_page("/products/notebook?variant=" + variant_of(shop, "Notebook", "Red"))
    expect(quantity(page)).to_have_attribute("max", "2")
    page.evaluate(
        "document.querySelector('[name=quantity]').outerHTML = '<input type=number name=quantity value=7>'"
    )
    expect(page.locator("form[action$='cart/add'] [name=quantity]")).to_have_attribute("max", "2")


def test_the_theme_knows_the_limit_while_the_service_is_silent(
    open_page: Callable[..., Page], shop: RunningShop, service: StandIn
) -> None:
    product = str(number(products(shop)["Notebook"]))
    value = {product: "*", "limits": {product: {"*": 3}}}
    shop.post("app-metafield", {"key": f"offers_{int(product) % 64:02d}", "value": value})
    service.states.clear()
    page = open_page("/products/notebook?variant=" + variant_of(shop, "Notebook", "Red"))
    expect(quantity(page)).to_have_attribute("max", "3")
    choose(page, "Green")
    expect(quantity(page)).to_have_attribute("max", "99")


def test_pre_order_is_hidden_when_the_offer_has_ended_it(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    state = service.states[str(number(products(shop)["Calendar"]))]
    state["variants"] = {variant: {"notify": True, "preorder": False} for variant in state["variants"]}
    page = open_page("/products/calendar")
    expect(preorder(page)).to_be_hidden()
    expect(button(page)).to_be_visible()


def test_a_theme_that_draws_its_buttons_anew_does_not_bring_it_back(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    service.states[str(number(products(shop)["Calendar"]))]["button"] = "instead"
    page = open_page("/products/calendar")
    expect(preorder(page)).to_be_hidden()
    page.evaluate("""() => {
      const row = document.querySelector('[data-row]');
      row.innerHTML = '<button data-stockwright-preorder id="new">Pre-order</button>';
    }""")
    expect(page.locator("#new")).to_be_hidden()


def test_what_no_offer_covers_is_left_alone(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    service.states[str(number(products(shop)["Calendar"]))] |= {"variants": {}, "button": "instead"}
    page = open_page("/products/calendar")
    expect(button(page)).to_be_hidden()
    expect(preorder(page)).to_be_visible()


# --- where it stands --------------------------------------------------------------------------------------


def test_the_embed_moves_behind_the_product_form(open_page: Callable[..., Page], shop: RunningShop) -> None:
    shop.post("theme", {"placement": "embed"})
    page = open_page("/products/postcards")
    expect(page.locator("form[action$='cart/add'] + stockwright-notify")).to_be_visible()
    sign_up(page)
    expect(page.get_by_role("status")).to_have_text(THANKS)


def test_the_embed_goes_where_the_merchant_says(open_page: Callable[..., Page], shop: RunningShop) -> None:
    shop.post("theme", {"placement": "embed", "block_settings": {"place_after": "h1"}})
    page = open_page("/products/postcards")
    expect(page.locator("h1 + stockwright-notify")).to_be_visible()


def test_inside_the_themes_form_neither_form_disturbs_the_other(
    open_page: Callable[..., Page], shop: RunningShop, service: StandIn
) -> None:
    shop.post("theme", {"inside_form": True})
    page = open_page("/products/birches")
    expect(page.locator("form[action$='cart/add'] stockwright-notify")).to_have_count(1)
    choose(page, "Medium")
    sign_up(page)
    expect(page.get_by_role("status")).to_have_text(THANKS)
    assert page.url.endswith(variant_of(shop, "Birches", "Medium"))
    choose(page, "Small")
    page.get_by_role("button", name="Add to cart").click()
    expect(page.get_by_role("heading", name="Your cart")).to_be_visible()
    page.get_by_role("button", name="Place the order").click()
    expect(page.get_by_role("status")).to_contain_text("is placed")


# --- without a mouse, without script, on a phone ----------------------------------------------------------


def test_the_keyboard_is_enough(open_page: Callable[..., Page], service: StandIn) -> None:
    page = open_page("/products/birches")
    page.locator("input[name=id]").first.focus()
    page.keyboard.press("ArrowDown")
    expect(button(page)).to_be_visible()
    page.keyboard.press("Tab")
    expect(button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(email_field(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(button(page)).to_be_focused()
    expect(email_field(page)).to_be_hidden()
    page.keyboard.press("Space")
    expect(email_field(page)).to_be_focused()
    page.keyboard.type("ann@example.com")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Notify me when available")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(THANKS)
    expect(page.get_by_role("status")).to_be_focused()


def test_the_field_for_robots_is_out_of_reach(open_page: Callable[..., Page]) -> None:
    page = open_page("/products/postcards")
    button(page).click()
    trap = page.locator("[name=website]")
    assert trap.get_attribute("tabindex") == "-1"
    expect(page.get_by_label("Website")).to_have_count(1)  # named for robots ...
    assert page.get_by_role("textbox").count() == 1  # ... and absent for screen readers


@pytest.mark.parametrize("locale", ["", "/de", "/fr", "/ja"])
def test_at_320_pixels_nothing_is_cut_off_and_targets_are_large(
    open_page: Callable[..., Page], locale: str
) -> None:
    page = open_page(f"{locale}/products/postcards", viewport=SMALL_PHONE)
    button(page).click()
    page.locator("stockwright-notify [name=email]").press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert overflow(page) == 0
    for target in page.locator(
        "stockwright-notify :is(summary, button, input:not([type=hidden], [name=website]))"
    ).all():
        box = target.bounding_box()
        assert box is not None
        assert box["width"] >= 24
        assert box["height"] >= 24
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320


def test_twice_as_large_a_text_still_fits(open_page: Callable[..., Page]) -> None:
    page = open_page("/products/postcards", viewport={"width": 640, "height": 800})
    page.add_style_tag(content="html { font-size: 200% } stockwright-notify { font-size: 200% !important }")
    button(page).click()
    assert overflow(page) == 0


def test_without_script_the_form_is_a_plain_form(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    page = open_page("/products/postcards", java_script_enabled=False)
    button(page).click()
    email_field(page).fill("ann@example.com")
    page.get_by_role("button", name="Notify me when available").click()
    expect(page.get_by_text(THANKS)).to_be_visible()
    (sent,) = service.posted
    assert sent["variant"] == variant_of(shop, "Postcards", "Default Title")
    assert int(sent["opened_at"]) > 1_700_000_000
    assert "elapsed_ms" not in sent


def test_without_script_the_variant_is_chosen_in_the_form(
    open_page: Callable[..., Page], service: StandIn, shop: RunningShop
) -> None:
    page = open_page("/products/birches", java_script_enabled=False)
    button(page).locator("visible=true").click()
    page.get_by_label("Which one?").select_option("Large")
    email_field(page).fill("ann@example.com")
    page.get_by_role("button", name="Notify me when available").click()
    expect(page.get_by_text(THANKS)).to_be_visible()
    assert service.posted[0]["variant"] == variant_of(shop, "Birches", "Large")


@pytest.mark.parametrize("viewport", [DESK, PHONE, SMALL_PHONE], ids=["desk", "phone", "small phone"])
def test_no_serious_fault_for_people_with_disabilities(
    open_page: Callable[..., Page], service: StandIn, viewport: dict[str, int]
) -> None:
    page = open_page("/products/birches", viewport=viewport)
    found = {"in stock": serious_findings(page)}
    choose(page, "Medium")
    found["closed"] = serious_findings(page)
    button(page).click()
    found["open"] = serious_findings(page)
    page.get_by_role("button", name="Notify me when available").click()
    found["refused"] = serious_findings(page)
    email_field(page).fill("ann@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(THANKS)
    found["done"] = serious_findings(page)
    assert {state: faults for state, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "path", ["/collections/all", "/pages/featured", "/products/none", "/cart/{variant}:1"]
)
def test_the_other_pages_of_the_storefront_are_sound(
    open_page: Callable[..., Page], shop: RunningShop, path: str
) -> None:
    page = open_page(path.format(variant=variant_of(shop, "Tram", "Large")), viewport=SMALL_PHONE)
    assert serious_findings(page) == []
    assert overflow(page) == 0


def test_less_motion_is_respected(open_page: Callable[..., Page]) -> None:
    page = open_page("/products/postcards", reduced_motion="reduce")
    assert button(page).evaluate("(node) => getComputedStyle(node).transitionDuration") == "0s"


def test_it_speaks_the_language_of_the_page(open_page: Callable[..., Page]) -> None:
    texts = {"de": "Benachrichtigen", "fr": "Me prévenir", "es": "Avisarme", "ja": "再入荷を知らせる"}
    page = open_page("/products/postcards")
    for locale, text in texts.items():
        page.goto(f"/{locale}/products/postcards")
        expect(button(page)).to_have_text(text)
        assert json.loads(page.locator("[data-first]").inner_text())["variants"]
