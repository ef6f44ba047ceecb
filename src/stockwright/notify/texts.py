"""What shoppers read on the storefront and on our pages, per language: built-in texts, and a shop's own over them.

Plain text only; it is escaped where it is shown. The built-in texts are the files `languages/<locale>.toml`.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from stockwright.model import StockwrightError

DEFAULT_LOCALE = "en"
LOCALES = ("en", "de", "fr", "es", "ja")
LONGEST = 500  # characters of one text
_LOCALE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?")
_PLACE = re.compile(r"\{([^{}]*)\}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")

# Where each text is shown, in the order of the admin page.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Button and form": (
        "button", "heading", "email_label", "first_name_label", "quantity_label", "variant_label", "submit",
        "consent", "sending", "failed", "shown", "hidden",
    ),
    "Answers of the form": (
        "signed_up", "check_mail", "in_stock", "in_stock_link", "email_missing", "invalid_email", "name_invalid",
        "too_many", "too_fast", "not_offered", "sign_in_first", "unavailable", "signed_up_title", "go_back",
    ),
    "Page that confirms an address": (
        "confirm_title", "confirm_text", "confirm_button", "confirmed", "confirm_expired", "confirm_again",
        "confirm_sent", "confirm_wait", "confirm_over", "link_title", "link_text",
    ),
    "Page for unsubscribing": (
        "unsubscribe_title", "unsubscribe_text", "unsubscribe_item", "unsubscribe_all", "preferences_title",
        "preferences_none", "erase_title", "erase_text", "erase_button", "unsubscribed_item", "unsubscribed_all",
        "erased", "back_to_shop",
    ),
}  # fmt: skip
NAMES: tuple[str, ...] = tuple(name for group in GROUPS.values() for name in group)
WIDGET = (
    *GROUPS["Button and form"],
    "email_missing",
    "invalid_email",
)  # what the storefront's script is given


@dataclass(frozen=True, kw_only=True)
class Words:
    """All texts in one language."""

    locale: str
    texts: Mapping[str, str]

    def say(self, name: str, **values: str) -> str:
        """A text with its {names} filled in; names without a value stay as they are."""
        return _PLACE.sub(lambda found: values.get(found[1], found[0]), self.texts[name])

    @property
    def consent_version(self) -> str:
        """Changes with the wording that people agree to."""
        return hashlib.sha256(self.texts["consent"].encode()).hexdigest()[:12]


@cache
def builtin(locale: str) -> Mapping[str, str] | None:
    """The built-in texts of exactly this locale, or None."""
    if locale not in LOCALES:
        return None
    source = files("stockwright.notify").joinpath("languages", f"{locale}.toml")
    return {name: str(text) for name, text in tomllib.loads(source.read_text(encoding="utf-8")).items()}


def checked_locale(text: str) -> str:
    """A locale such as fr or fr-CA, as Shopify spells it; the default one for what is none."""
    language, *rest = text.strip().replace("_", "-").split("-")[:3]
    parts = [language.lower(), *(_subtag(part) for part in rest)]
    found = "-".join(parts)
    return found if _LOCALE.fullmatch(found) else DEFAULT_LOCALE


def _subtag(part: str) -> str:
    return part.title() if len(part) == 4 else part.upper()


def chain(locale: str) -> tuple[str, ...]:
    """The locales to look in, best first: fr-CA -> fr-CA, fr, en."""
    parts = locale.split("-")
    found = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
    return tuple(dict.fromkeys([*found, DEFAULT_LOCALE]))


def words(locale: str, own: Mapping[str, Mapping[str, str]]) -> Words:
    """The texts for a locale. `own`: locale -> name -> text, as the shop has them.

    The language is one for all texts: the nearest that has built-in or own texts; what it lacks is English.
    """
    locale = next(one for one in chain(locale) if one in own or builtin(one) is not None)
    texts: dict[str, str] = {}
    for one in reversed(chain(locale)):
        texts.update(builtin(one) or {})
        texts.update(own.get(one, {}))
    return Words(locale=locale, texts=texts)


class TextRefused(StockwrightError):
    """A text that must not be stored."""


def checked_text(name: str, text: str) -> str:
    """A shop's own text on one line.

    Raises:
        TextRefused: an unknown name, an empty or too long text, or a {name} that is never filled in.
    """
    english = builtin(DEFAULT_LOCALE) or {}
    if name not in english:
        raise TextRefused(f"There is no storefront text {name!r}.")
    text = " ".join(text.split())
    if not text:
        raise TextRefused("Write something, or restore the built-in text.")
    if len(text) > LONGEST:
        raise TextRefused(f"Use at most {LONGEST} characters; these are {len(text)}.")
    if _CONTROLS.search(text):
        raise TextRefused("Leave out control characters.")
    known = set(_PLACE.findall(english[name]))
    for place in _PLACE.findall(text):
        if place not in known:
            allowed = ", ".join(f"{{{one}}}" for one in sorted(known)) or "none"
            raise TextRefused(f"{{{place}}} is not filled in here. Possible: {allowed}.")
    return text


def places(name: str) -> tuple[str, ...]:
    """The names that are filled in in a text, such as item."""
    return tuple(dict.fromkeys(_PLACE.findall((builtin(DEFAULT_LOCALE) or {})[name])))
