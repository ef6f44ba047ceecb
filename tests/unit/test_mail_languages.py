"""The mails to shoppers exist in every language of the storefront, say the same, and pass the check at saving."""

import re

import pytest

from stockwright.mail.checks import check
from stockwright.mail.kinds import builtin, kind_named
from stockwright.mail.templates import render
from stockwright.notify.texts import LOCALES

SHOPPERS = ("signup_confirmation", "double_opt_in", "back_in_stock", "unsubscribed")
EVERY = [(name, locale) for name in SHOPPERS for locale in LOCALES]
_VARIABLE = re.compile(r"\{\{-? *([a-z_.\[\]0-9]+)")


def variables(name: str, locale: str) -> dict[str, set[str]]:
    texts = builtin(name, locale)
    assert texts is not None, f"there is no {name} in {locale}"
    return {part: set(_VARIABLE.findall(text)) for part, text in vars(texts).items()}


@pytest.mark.parametrize(("name", "locale"), EVERY)
def test_a_language_uses_the_same_variables(name: str, locale: str) -> None:
    assert variables(name, locale) == variables(name, "en")


@pytest.mark.parametrize(("name", "locale"), EVERY)
def test_a_language_renders_with_nothing_missing_and_nothing_left_in_liquid(name: str, locale: str) -> None:
    texts = builtin(name, locale)
    assert texts is not None
    assert check(kind_named(name), texts) == ()
    shown = render(kind_named(name), texts, kind_named(name).sample, locale=locale)
    assert f'<html lang="{locale}">' in shown.html
    for part in (shown.subject, shown.text, shown.html):
        assert "{{" not in part and "{%" not in part and "undefined" not in part


@pytest.mark.parametrize(("name", "locale"), [one for one in EVERY if one[1] != "en"])
def test_a_language_is_not_english(name: str, locale: str) -> None:
    own, english = builtin(name, locale), builtin(name, "en")
    assert own is not None and english is not None
    assert own.subject != english.subject and own.text != english.text and own.html != english.html


@pytest.mark.parametrize("name", SHOPPERS)
def test_shoppers_read_nothing_of_the_service(name: str) -> None:
    kind, texts = kind_named(name), builtin(name, "en")
    assert texts is not None and kind.to_shoppers
    shown = render(kind, texts, kind.sample)
    assert "Stockwright" not in shown.html + shown.text
    assert 'class="foot"' not in shown.html
