"""Templates: what they render, and every mistake found before they are saved."""

from html.parser import HTMLParser

import pytest

from stockwright.mail.checks import check
from stockwright.mail.kinds import (
    KINDS,
    STAFF_BACK_IN_STOCK,
    Kind,
    Texts,
    builtin,
    builtin_for,
    kind_named,
    locales_for,
)
from stockwright.mail.templates import TemplateFailed, render, sample_mail
from stockwright.model import StockwrightError

GOOD = Texts(subject="s", text="t", html="h")


def html(source: str) -> Texts:
    return Texts(subject="s", text="t", html=source)


def problems(source: str) -> list[str]:
    return [str(one) for one in check(STAFF_BACK_IN_STOCK, html(source))]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_built_in_templates_have_no_problem(kind: Kind) -> None:
    texts = builtin(kind.name, "en")
    assert texts is not None
    assert check(kind, texts) == ()
    mail = sample_mail(kind, texts)
    assert "\n" not in mail.subject and mail.subject
    for part in (mail.subject, mail.text, mail.html):
        assert "{{" not in part and "undefined" not in part.lower() and "None" not in part


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_variable_has_a_meaning_and_a_sample(kind: Kind) -> None:
    def paths(value, path=""):
        match value:
            case dict():
                for name, inner in value.items():
                    yield from paths(inner, f"{path}.{name}" if path else name)
            case list():
                yield path
                if isinstance(value[0], dict):
                    yield from paths(value[0], f"{path}[]")
            case _:
                yield path

    assert set(paths(kind.sample)) == set(kind.variables)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ shop.nam }}", "html, line 1, column 4: 'shop' has no 'nam'. Did you mean 'name'?"),
        ("a\n {{ product_cont }}", "html, line 2, column 5: There is no variable 'product_cont'. Did you mean 'product_count'?"),
        ("a\n{{ shop.name | upcas }}", "html, line 2, column 16: There is no filter 'upcas'. Did you mean 'upcase'?"),
        ("{% unles a %}{% endunless %}", "html, line 1, column 4: There is no tag 'unles'. Did you mean 'unless'?"),
        ("{% for p in products %}\n{{ p.titel }}{% endfor %}", "html, line 2, column 4: 'p' has no 'titel'. Did you mean 'title'?"),
        ("{% for p in products %}{% for c in p.chanels %}{% endfor %}{% endfor %}", "html, line 1, column 36: 'p' has no 'chanels'. Did you mean 'channels'?"),
        ("{{ products[0].titl }}", "html, line 1, column 4: 'products.0' has no 'titl'. Did you mean 'title'?"),
        ("x\n  {% for p in products %}{{ p.title }}", "html, line 2, column 3: Expected tag endfor, found end of expression."),
        ("a\n b {% if shop.name == %}x{% endif %}", "html, line 2, column 4: Expected a primitive expression, found end of expression."),
        ("{% if true %}\n{% elsif == %}{% endif %}", "html, line 2, column 10: Expected a primitive expression, found eq."),
        ("ab\n{% endif %}", "html, line 2, column 4: Unexpected tag 'endif'."),
        ("ab\n c {{ shop.name", "html, line 2, column 4: Expected '}}', found end of file."),
        ("{% include 'x' %}", "html, line 1, column 4: The tag 'include' is not available in mail templates."),
        ("{{ shop.name | safe }}", "html, line 1, column 16: The filter 'safe' is not available in mail templates: values are always escaped."),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_column(source: str, expected: str) -> None:
    assert expected in problems(source), problems(source)


def test_several_mistakes_are_told_at_once() -> None:
    found = check(STAFF_BACK_IN_STOCK, Texts(subject="{{ a }}", text="{{ b }}\n{{ c }}", html="{{ d }}"))
    assert [(one.part, one.line) for one in found] == [("subject", 1), ("text", 1), ("text", 2), ("html", 1)]


@pytest.mark.parametrize("source", ["", " \n ", "x" * 100_001])
def test_empty_and_huge_parts_are_refused(source: str) -> None:
    assert len(problems(source)) == 1


def test_a_subject_of_two_lines_is_refused() -> None:
    found = check(STAFF_BACK_IN_STOCK, Texts(subject="a\nb", text="t", html="h"))
    assert str(found[0]) == "subject, line 2, column 1: A subject is one line."


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..30000) %}x{% endfor %}",
        "{% for i in (1..300) %}{% for j in (1..300) %}x{% endfor %}{% endfor %}",
        "{% assign a = 'xxxxxxxxxx' %}{% for i in (1..25) %}{% assign a = a | append: a %}{% endfor %}",
        "{% capture a %}{% for i in (1..10000) %}" + "x" * 200 + "{% endfor %}{% endcapture %}",
        "{% if true %}" * 40 + "x" + "{% endif %}" * 40,
    ],
    ids=["loop", "nested loops", "doubling", "output", "depth"],
)
def test_a_template_that_would_eat_the_machine_is_refused(source: str) -> None:
    assert len(problems(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "{% assign x = shop.name %}{{ x }}{{ x.anything }}",
        "{% for p in products %}{{ forloop.index }}{{ p.channels.size }}{{ p.channels | join: ', ' }}{% endfor %}",
        "{{ products.first.title }}{{ products.size }}{{ products.last.channels[0] }}",
        "{% case product_count %}{% when 1 %}a{% else %}b{% endcase %}",
        "{% capture y %}a{% endcapture %}{{ y }}",
        "{% if run.url != blank %}x{% endif %}",
        "{% raw %}{{ anything }}{% endraw %}{% comment %}{{ more }}{% endcomment %}",
    ],
)
def test_what_is_right_is_not_blamed(source: str) -> None:
    assert problems(source) == []


EVIL = '<script>alert(1)</script>" onmouseover="x {{ shop.domain }}'


def tags_of(document: str) -> set[tuple[str, tuple[str, ...]]]:
    """Every tag with the names of its attributes."""
    found = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.add((tag, tuple(sorted(name for name, _ in attributes))))

    Reader().feed(document)
    return found


def sample_html() -> str:
    texts = builtin(STAFF_BACK_IN_STOCK.name, "en")
    assert texts is not None
    return sample_mail(STAFF_BACK_IN_STOCK, texts).html


def test_a_products_title_cannot_write_html_or_liquid() -> None:
    products = [{**STAFF_BACK_IN_STOCK.sample["products"][0], "title": EVIL}]
    data = {**STAFF_BACK_IN_STOCK.sample, "products": products, "product_count": 1}
    texts = builtin(STAFF_BACK_IN_STOCK.name, "en")
    assert texts is not None
    mail = render(STAFF_BACK_IN_STOCK, texts, data)
    tags = tags_of(mail.html)
    assert "script" not in {tag for tag, _ in tags} and tags_of(sample_html()).issuperset(tags)
    assert "&lt;script&gt;" in mail.html and "{{ shop.domain }}" in mail.html
    assert EVIL in mail.text


def test_a_title_with_line_breaks_makes_a_subject_of_one_line() -> None:
    data = {**STAFF_BACK_IN_STOCK.sample, "product_count": 1}
    data["products"] = [{**STAFF_BACK_IN_STOCK.sample["products"][0], "title": "a\r\nBcc: eve@example.com"}]
    texts = builtin(STAFF_BACK_IN_STOCK.name, "en")
    assert texts is not None
    assert render(STAFF_BACK_IN_STOCK, texts, data).subject == "Back in stock: a Bcc: eve@example.com"


def test_nothing_is_nil_so_blank_means_what_it_says() -> None:
    data = {**STAFF_BACK_IN_STOCK.sample, "run": {"id": None, "url": None, "command": ""}}
    source = "{% if run.url == blank %}none{% else %}some{% endif %}[{{ run.id }}]"
    assert render(STAFF_BACK_IN_STOCK, Texts(subject="s", text=source, html="h"), data).text == "none[]\n"


def test_data_that_lacks_what_the_kind_promises_is_a_fault_of_the_program() -> None:
    data = {name: value for name, value in STAFF_BACK_IN_STOCK.sample.items() if name != "products"}
    with pytest.raises(ValueError, match=r"staff_back_in_stock\.products"):
        render(STAFF_BACK_IN_STOCK, GOOD, data)


def test_the_template_sees_nothing_but_its_variables() -> None:
    source = "{{ shop.__class__ }}{{ shop.secret }}{{ products.__class__ }}"
    data = {**STAFF_BACK_IN_STOCK.sample, "shop": {**STAFF_BACK_IN_STOCK.sample["shop"], "secret": "hush"}}
    assert render(STAFF_BACK_IN_STOCK, Texts(subject="s", text=source, html="h"), data).text.strip() == ""


def test_a_limit_that_is_reached_when_sending_says_where() -> None:
    with pytest.raises(TemplateFailed, match=r"html .*line 2, column 4"):
        render(
            STAFF_BACK_IN_STOCK, html("\n{% for i in (1..30000) %}x{% endfor %}"), STAFF_BACK_IN_STOCK.sample
        )


def test_styles_are_in_the_elements_and_nothing_is_loaded_from_elsewhere() -> None:
    document = sample_html()
    assert '<h1 style="' in document and "prefers-color-scheme: dark" in document
    assert "<img" not in document and "<link" not in document and "url(" not in document
    assert document.startswith("<!DOCTYPE html>") and '<html lang="en">' in document


@pytest.mark.parametrize(
    ("locale", "chain"),
    [("fr-CA", ("fr-CA", "fr", "en")), ("fr_CA", ("fr-CA", "fr", "en")), ("en", ("en",)), ("", ("en",)),
     ("zh-Hant-TW", ("zh-Hant-TW", "zh-Hant", "zh", "en"))],
)  # fmt: skip
def test_a_locale_falls_back_to_its_language_and_then_to_english(locale: str, chain: tuple) -> None:
    assert locales_for(locale) == chain
    assert builtin_for("test_mail", locale)[0] == "en"


@pytest.mark.parametrize("locale", ["..", "../en", "en/", "de"])
def test_a_locale_is_no_path(locale: str) -> None:
    assert builtin("test_mail", locale) is None


def test_an_unknown_kind_is_told_with_those_that_there_are() -> None:
    with pytest.raises(StockwrightError, match="error_report"):
        kind_named("welcome")
