"""Texts of the storefront: complete in every language, and a shop's own are checked."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwright.notify.texts import (
    LOCALES,
    LONGEST,
    NAMES,
    TextRefused,
    builtin,
    checked_locale,
    checked_text,
    words,
)


@pytest.mark.parametrize("locale", LOCALES)
def test_each_language_has_every_text_with_the_same_names_in_it(locale: str) -> None:
    texts, english = builtin(locale), builtin("en")
    assert texts is not None and english is not None
    assert set(texts) == set(NAMES)
    for name, text in texts.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[name])), name
        assert checked_text(name, text) == text


def test_languages_are_not_copies_of_each_other() -> None:
    for name in NAMES:
        if name != "email_label":  # the word is the same in several
            assert len({(builtin(locale) or {})[name] for locale in LOCALES}) == len(LOCALES), name


@pytest.mark.parametrize(
    ("given_text", "locale"),
    [
        ("de", "de"), ("fr-ca", "fr-CA"), ("fr_CA", "fr-CA"), (" PT-br ", "pt-BR"), ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"), ("", "en"), ("../../etc", "en"), ("english", "en"), ("de'--", "en"), ("<b>", "en"),
    ],
)  # fmt: skip
def test_a_locale_is_what_looks_like_one(given_text: str, locale: str) -> None:
    assert checked_locale(given_text) == locale


@given(st.text())
def test_any_text_gives_words_in_some_language(text: str) -> None:
    assert words(checked_locale(text), {}).locale in LOCALES


def test_the_nearest_language_wins_and_a_shop_s_own_text_over_it() -> None:
    own = {"fr": {"button": "Prévenez-moi"}, "nl": {"button": "Houd mij op de hoogte"}}
    assert words("fr-CA", own).say("button") == "Prévenez-moi"
    assert words("fr-CA", own).say("submit") == "Me prévenir de la disponibilité"
    assert (words("nl", own).locale, words("nl", own).say("button")) == ("nl", "Houd mij op de hoogte")
    assert words("nl", own).say("submit") == "Notify me when available"
    assert words("pl", own).locale == "en"


def test_names_are_filled_in_and_other_braces_stay() -> None:
    said = words("en", {"en": {"confirmed": "{item} {shop} {"}}).say("confirmed", item="{shop} <b>")
    assert said == "{shop} <b> {shop} {"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("nothing", "x", "no storefront text"),
        ("button", " \n ", "Write something"),
        ("button", "x" * (LONGEST + 1), "at most 500"),
        ("button", "a\0b", "control"),
        ("button", "Tell me of {item}", "{item} is not filled in here. Possible: none"),
        ("confirmed", "{shop}", "Possible: {item}"),
    ],
)
def test_a_text_that_would_look_wrong_is_refused(name: str, text: str, why: str) -> None:
    with pytest.raises(TextRefused, match=re.escape(why)):
        checked_text(name, text)


def test_the_version_of_the_consent_changes_with_its_wording() -> None:
    one, two = words("en", {}), words("en", {"en": {"consent": "Only this once."}})
    assert one.consent_version != two.consent_version
    assert one.consent_version == words("en", {"en": {"button": "Tell me"}}).consent_version
