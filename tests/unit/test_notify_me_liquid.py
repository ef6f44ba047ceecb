"""What Liquid renders of the Notify Me extension before any script runs, and what its files may hold."""

import json
import re
import tomllib
from collections.abc import Mapping
from itertools import product as combinations
from pathlib import Path
from typing import Any

import pytest

from shopify_emulator.storefront.blocks import render_block
from shopify_emulator.storefront.liquid_engine import Root, schema_of
from shopify_emulator.storefront.settings import StorefrontSettings
from stockwright.notify.texts import builtin

EXTENSIONS = Path(__file__).parents[2] / "extensions"
EXTENSION = EXTENSIONS / "notify-me"
LOCALES = ("en", "de", "fr", "es", "ja")
PRODUCT, VARIANT, OTHER = 8_000_000_000_064 + 7, 41, 42
MAX_SCRIPT_BYTES = 10_000  # Shopify means compressed; its linter takes the file as it is
MAX_STYLE_BYTES = 100_000
MAX_LOCALE_BYTES = 15_000
BLOCKS = ("block", "embed")


def variant(number: int = VARIANT, **fields: Any) -> dict[str, Any]:
    given = {
        "id": number,
        "title": f"Size <{number}>",
        "inventory_management": "shopify",
        "inventory_policy": "deny",
        "inventory_quantity": 0,
        "available": False,
    }
    return {**given, **fields}


def rendered(
    *variants: Mapping[str, Any],
    listed: Any = "*",
    kind: str = "block",
    locale: str = "en",
    number: int = PRODUCT,
    metafields: Mapping[str, Any] | None = None,
    **settings: Any,
) -> str:
    """The block of a product whose first variant is selected. `listed` is what the app has published of it."""
    shown = {"id": number, "variants": list(variants), "selected_or_first_available_variant": variants[0]}
    published = {f"offers_{number % 64:02d}": {str(number): listed}} if metafields is None else metafields
    app = {"metafields": {"stockwright": {key: {"value": value} for key, value in published.items()}}}
    values = {"request": {"locale": {"iso_code": locale}, "path": "/products/x"}, "product": shown}
    chosen = StorefrontSettings(extension=EXTENSION, block_settings=settings)
    return render_block(chosen, kind, values, product=shown, app=app).html


def is_shown(html: str) -> bool:
    box = re.search(r'<details class="stockwright-notify__box"([^>]*)>', html)
    assert box is not None
    return "hidden" not in box[1]


def first_state(html: str) -> dict[str, Any]:
    found = re.search(r"<script type=\"application/json\" data-first>(.*?)</script>", html, re.DOTALL)
    assert found is not None
    state: dict[str, Any] = json.loads(found[1])
    return state


# --- when the button is shown -----------------------------------------------------------------------------

LISTED: tuple[tuple[Any, bool], ...] = (
    ("*", True),
    ([VARIANT], True),
    ([OTHER, VARIANT], True),
    ([OTHER], False),
    ([VARIANT * 10], False),  # 410 holds "41"
    ([], False),
    (None, False),
)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("policy", ("deny", "continue"))
@pytest.mark.parametrize(
    ("managed", "quantity", "listing"), list(combinations(("shopify", None), (-3, 0, 1, 7), LISTED))
)
def test_the_button_shows_exactly_when_a_listed_tracked_variant_is_at_or_below_zero(
    kind: str, policy: str, managed: str | None, quantity: int, listing: tuple[Any, bool]
) -> None:
    listed, is_listed = listing
    one = variant(inventory_management=managed, inventory_quantity=quantity, inventory_policy=policy)
    html = rendered(one, listed=listed, kind=kind)
    expected = is_listed and managed is not None and quantity <= 0
    assert is_shown(html) is expected
    assert first_state(html)["open"] == ([str(VARIANT)] if expected else [])


def test_without_anything_published_there_is_no_button() -> None:
    assert not is_shown(rendered(variant(), metafields={}))
    assert not is_shown(rendered(variant(), metafields={"offers_07": {"1": "*"}}))


@pytest.mark.parametrize("bucket", (0, 9, 10, 63))
def test_the_key_of_a_product_is_its_number_modulo_64_in_two_digits(bucket: int) -> None:
    number = 64 * 1000 + bucket
    assert is_shown(
        rendered(variant(), number=number, metafields={f"offers_{bucket:02d}": {str(number): "*"}})
    )


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (None, {}),
        ({"*": 3}, {str(VARIANT): 3, str(OTHER): 3}),
        ({str(OTHER): 2}, {str(OTHER): 2}),
        ({"*": 5, str(OTHER): 2}, {str(VARIANT): 5, str(OTHER): 2}),
    ],
)
def test_what_one_order_may_have_ahead_is_told_to_the_script(
    limits: Mapping[str, int] | None, told: Mapping[str, int]
) -> None:
    bucket: dict[str, Any] = {str(PRODUCT): "*"} | ({"limits": {str(PRODUCT): limits}} if limits else {})
    published = {f"offers_{PRODUCT % 64:02d}": bucket}
    html = rendered(variant(), variant(OTHER), variant(43, inventory_quantity=1), metafields=published)
    assert first_state(html)["most"] == told


def test_the_selected_variant_decides_and_the_others_are_told_to_the_script() -> None:
    html = rendered(variant(inventory_quantity=2, available=True), variant(OTHER))
    assert not is_shown(html)
    assert first_state(html) | {"texts": 0} == {
        "variants": [str(VARIANT), str(OTHER)], "open": [str(OTHER)], "most": {}, "own": "", "texts": 0,
    }  # fmt: skip


def test_without_script_a_sold_out_variant_that_is_not_selected_can_be_chosen_in_the_form() -> None:
    html = rendered(variant(inventory_quantity=2, available=True), variant(OTHER))
    plain = re.findall(r"<noscript>(.*?)</noscript>", html, re.DOTALL)
    assert len(plain) == 1
    assert f'<option value="{OTHER}">Size &lt;{OTHER}&gt;</option>' in plain[0]
    assert f'value="{VARIANT}"' not in plain[0]


def test_no_form_stands_where_a_browser_with_script_parses_it() -> None:
    """The block may lie in the theme's product form, which a form of ours would end."""
    html = rendered(variant())
    outside = re.sub(r"<(template|noscript)>.*?</\1>", "", html, flags=re.DOTALL)
    assert "<form" in html
    assert "form" not in re.sub(r'<script type="application/json".*?</script>', "", outside, flags=re.DOTALL)


def test_stock_is_not_in_the_page() -> None:
    html = rendered(variant(inventory_quantity=-987654), variant(OTHER, inventory_quantity=123456))
    assert "987654" not in html
    assert "123456" not in html


# --- texts ------------------------------------------------------------------------------------------------


def texts(locale: str) -> dict[str, str]:
    name = "en.default" if locale == "en" else locale
    found: dict[str, str] = json.loads((EXTENSION / "locales" / f"{name}.json").read_text(encoding="utf-8"))[
        "notify_me"
    ]
    return found


@pytest.mark.parametrize("locale", LOCALES)
def test_the_extension_says_what_the_service_says(locale: str) -> None:
    """The page first shows the extension's text, then the service's: a difference would flicker."""
    own = texts(locale)
    service = builtin(locale)
    assert service is not None
    assert {name: service[name] for name in own} == own


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_of_a_language_is_on_its_page(locale: str) -> None:
    html = rendered(
        variant(), variant(OTHER), locale=locale, ask_first_name=True, ask_quantity=True
    ) + rendered(variant(available=True, inventory_quantity=1), variant(OTHER), locale=locale)
    assert [text for text in texts(locale).values() if text not in html] == []
    assert "Translation missing" not in html


def test_a_language_that_is_not_there_gets_the_default() -> None:
    assert texts("en")["submit"] in rendered(variant(), locale="pt-BR")


def test_a_blocks_text_goes_first_is_escaped_and_is_kept_from_the_services_texts() -> None:
    html = rendered(variant(), button_text="Ring <b>me</b> & go", consent_text='Say "yes"')
    assert "Ring &lt;b&gt;me&lt;/b&gt; &amp; go" in html
    assert "<b>" not in html
    assert first_state(html)["own"] == ",button,consent"
    assert html.count("Say &quot;yes&quot;") + html.count("Say &#34;yes&#34;") >= 2


def test_settings_cannot_break_out_of_their_places() -> None:
    html = rendered(
        variant(), proxy_path='/apps/"><script>', button_class='x"><script>', preorder_selector='"><script>',
        button_color='red"><script>',
    )  # fmt: skip
    assert html.count("<script") == 1


def key_paths(data: Mapping[str, Any], before: str = "") -> set[str]:
    return {
        path
        for name, value in data.items()
        for path in (key_paths(value, f"{before}{name}.") if isinstance(value, dict) else {before + name})
    }


@pytest.mark.parametrize("suffix", ("", ".schema"))
def test_all_languages_have_the_same_keys_and_no_empty_text(suffix: str) -> None:
    keys = {}
    for locale in LOCALES:
        name = f"{locale}.default{suffix}.json" if locale == "en" else f"{locale}{suffix}.json"
        path = EXTENSION / "locales" / name
        data = json.loads(path.read_text(encoding="utf-8"))
        keys[locale] = key_paths(data)
        assert path.stat().st_size <= MAX_LOCALE_BYTES
        assert '""' not in path.read_text(encoding="utf-8")
    assert all(found == keys["en"] for found in keys.values()), keys
    assert len(list((EXTENSION / "locales").glob("*.json"))) == 2 * len(LOCALES)


def test_every_text_is_used_and_every_used_text_exists() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in EXTENSION.rglob("*.liquid"))
    used = set(re.findall(r"'notify_me\.(\w+)' \| t", sources))
    assert used == set(texts("en"))
    labels = json.loads((EXTENSION / "locales" / "en.default.schema.json").read_text(encoding="utf-8"))
    assert set(re.findall(r'"t:([\w.]+)"', sources)) == key_paths(labels)


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ("notify-me", "notify-me-embed"))
def test_every_setting_of_a_block_is_read(kind: str) -> None:
    root = Root(EXTENSION)
    source = root.source(f"blocks/{kind}.liquid")
    code = re.sub(r"{% schema %}.*", "", source, flags=re.DOTALL) + root.source("snippets/notify-me.liquid")
    ids = [one["id"] for one in schema_of(source)["settings"] if "id" in one]
    assert [one for one in ids if f"settings.{one}" not in code] == []


def test_targets_of_block_and_embed() -> None:
    root = Root(EXTENSION)
    assert schema_of(root.source("blocks/notify-me.liquid"))["target"] == "section"
    assert schema_of(root.source("blocks/notify-me-embed.liquid"))["target"] == "body"


def test_settings_reach_the_page() -> None:
    html = rendered(
        variant(), button_style="solid", full_width=False, button_color="#123456", button_text_color="#fedcba",
        corner_radius=12, button_class="button--x", proxy_path="/a/other", preorder_selector=".pre", ask_quantity=True,
    )  # fmt: skip
    for part in ("notify--solid", "--stockwright-color: #123456", "--stockwright-text: #fedcba", "radius: 12px",
                 "button--x", 'action="/a/other/notify-me"', 'data-preorder=".pre"', 'name="quantity"'):  # fmt: skip
        assert part in html, part
    assert "stockwright-width" not in html


def test_the_shops_choice_of_the_buttons_place_is_in_the_first_state() -> None:
    metafields = {"settings": {"button": "instead"}}
    assert 'data-button="instead"' in rendered(variant(), metafields=metafields)
    assert 'data-button="alongside"' in rendered(variant())


# --- files ------------------------------------------------------------------------------------------------


def test_script_and_style_are_small() -> None:
    script, style = ((EXTENSION / "assets" / name).read_bytes() for name in ("notify-me.js", "notify-me.css"))
    assert len(script) < MAX_SCRIPT_BYTES
    assert len(style) < MAX_STYLE_BYTES


def test_no_file_names_a_host_or_keeps_anything_in_the_browser() -> None:
    for path in [*EXTENSION.rglob("*.liquid"), *EXTENSION.rglob("*.js"), *EXTENSION.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://", text), path
        assert not re.search(r"\bcookie\s*=|localStorage|sessionStorage|indexedDB|innerHTML|eval\(", text), (
            path
        )


def test_the_extension_says_what_it_is() -> None:
    told = tomllib.loads((EXTENSION / "shopify.extension.toml").read_text(encoding="utf-8"))
    assert told["type"] == "theme"
    assert {path.name for path in EXTENSION.iterdir() if path.is_dir()} == {
        "assets",
        "blocks",
        "locales",
        "snippets",
    }


# --- the plain snippet ------------------------------------------------------------------------------------


def test_the_plain_snippet_gives_the_same_widget(tmp_path: Path) -> None:
    (tmp_path / "snippets").mkdir()
    widget = EXTENSION / "snippets" / "notify-me-widget.liquid"
    (tmp_path / "snippets" / widget.name).write_bytes(widget.read_bytes())
    source = (EXTENSIONS / "snippet" / "notify-me.liquid").read_text(encoding="utf-8")
    one = variant()
    values = {
        "request": {"locale": {"iso_code": "en"}, "path": "/products/x"},
        "product": {"id": PRODUCT, "variants": [one], "selected_or_first_available_variant": one},
        "id": f"app-block-{PRODUCT}",
    }
    theme = Root(tmp_path)

    def bare(html: str) -> str:
        html = re.sub(r'(style|data-preorder)="[^"]*"|value="\d{9,10}"', "", html)
        return re.sub(
            r"\s+", " ", html[html.index("<stockwright-notify") : html.index("</stockwright-notify>")]
        )

    plain = theme.render_text(source, {**values, "offered": "*"})
    assert bare(plain) == bare(rendered(one))
    assert 'href="/theme/notify-me.css"' in plain
    assert 'src="/theme/notify-me.js"' in plain
    assert not is_shown(theme.render_text(source, values)), "a theme knows of no offer: the service says so"
