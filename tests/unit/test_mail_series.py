"""A mail filled in from a series is, letter by letter, the mail that rendering gives for that person alone."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stockwright.mail.kinds import Texts, builtin, kind_named
from stockwright.mail.series import Render, is_only_printed, series
from stockwright.mail.templates import Rendered, render
from stockwright.notify.texts import LOCALES

SHOPPERS = ("signup_confirmation", "double_opt_in", "back_in_stock", "unsubscribed")
LINK = "https://stock.example.com/u/Ab-_19"
MARK = f"Zq8{b'link'.hex()}8qZ"
HOSTILE = (
    "", " ", "\u3000", "\u00a0", " Ada ", "A\u00a0B", "A\r\nBcc: eve@example.com", "A\rB", "\x00", "\x0c", "\x1f", "\x7f",
    "\ufeff", "\u200d", "\u202eadA", "\u2028", "\ufffe", "<b>Ada</b>", "</title><script>", "&amp;", "&nbsp;", '"O\'Hara"',
    "{{ links.unsubscribe }}", "{% if %}", "\\1\\g<0>", MARK, "Zq8666f7265776f72648qZ", "Zq8", "A" * 300, "é" * 150, "a b  c",
)  # fmt: skip
NAMES = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(categories=("L", "M", "Zs")), max_size=60),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=3).map("".join),
)


def renderer(name: str, locale: str, texts: Texts) -> Render:
    """Renders a kind's sample for a person with this name and this link."""
    kind = kind_named(name)

    def made(personal, foreword) -> Rendered:
        data = {**kind.sample, "customer": {"first_name": personal.get("first_name", "")}}
        if "links" in data:
            data["links"] = dict.fromkeys(data["links"], personal["link"])
        return render(kind, texts, data, locale=locale, foreword=foreword)

    return made


def same_as_alone(render_one: Render, name: str, *, without_name: bool = False) -> None:
    """Filled in is as rendered; `without_name`: the series of those who gave none."""
    made = series(render_one, texts=() if without_name else ("first_name",), links=("link",))
    assert made is not None
    personal = {"first_name": name, "link": LINK}
    assert made.fill(personal) == render_one(personal, None)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", SHOPPERS)
def test_every_built_in_template_fills_in_hostile_names_as_it_renders_them(kind: str, locale: str) -> None:
    texts = builtin(kind, locale)
    assert texts is not None
    render_one = renderer(kind, locale, texts)
    for name in HOSTILE:
        same_as_alone(render_one, name)
    same_as_alone(render_one, "", without_name=True)
    assert all(is_only_printed(part, "customer", "first_name") for part in vars(texts).values())


@pytest.mark.parametrize("locale", LOCALES)
@given(name=NAMES)
@example(name="")
def test_any_name_is_filled_in_as_it_is_rendered(locale: str, name: str) -> None:
    texts = builtin("back_in_stock", locale)
    assert texts is not None
    same_as_alone(renderer("back_in_stock", locale, texts), name)


@given(name=NAMES)
def test_a_name_at_the_ends_of_a_template_and_in_the_subject_is_filled_in_as_it_is_rendered(
    name: str,
) -> None:
    where = "{{ customer.first_name }}"
    texts = Texts(
        subject=f"{where}, {'word ' * 34}{where}", text=f"{where}\n{where}", html=f"{where}<p>x</p>{where}"
    )
    render_one = renderer("back_in_stock", "en", texts)
    made = series(render_one, texts=("first_name",), links=("link",))
    if made is not None:
        personal = {"first_name": name, "link": LINK}
        assert made.fill(personal) == render_one(personal, None)


def test_ordinary_names_do_not_need_rendering() -> None:
    texts = builtin("back_in_stock", "en")
    assert texts is not None
    render_one, asked = renderer("back_in_stock", "en", texts), []

    def counting(personal, foreword) -> Rendered:
        asked.append(personal)
        return render_one(personal, foreword)

    made = series(counting, texts=("first_name",), links=("link",))
    assert made is not None
    asked.clear()
    for name in (
        "Ada",
        "Zoë",
        unicodedata.normalize("NFC", "あかり"),
        "Anne-Marie",
        "D’Arcy",
        "Maria del Mar",
    ):
        made.fill({"first_name": name, "link": LINK})
    assert asked == []


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("Hello {{ customer.first_name }}, {{customer.first_name}} {{- customer.first_name -}}", True),
        (
            "{% if customer.first_name != blank %}Hello {{ customer.first_name }}{% endif %}, dear customer",
            True,
        ),
        ("{% unless customer.first_name == blank %}x{% endunless %}", True),
        ("no name", True),
        ("{{ customer.first_name | upcase }}", False),
        ("{% if customer.first_name == 'Ann' %}x{% endif %}", False),
        ("{% assign who = customer %}{{ who.first_name }}", False),
        ("{% capture who %}{{ customer.first_name }}{% endcapture %}{{ who | slice: 0, 40 }}", False),
        ("{{ customer['first_name'] }}", False),
        ("{% for letter in customer.first_name %}{{ letter }}{% endfor %}", False),
    ],
)
def test_what_a_template_does_with_a_name_is_seen_in_its_source(source: str, printed: bool) -> None:
    assert is_only_printed(source, "customer", "first_name") is printed
