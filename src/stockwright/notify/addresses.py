"""Mail addresses of shoppers: checked, and in the one form by which the same person is recognised. No look-ups."""

import unicodedata
from enum import StrEnum
from itertools import pairwise

from email_validator import EmailNotValidError, validate_email

from stockwright.model import StockwrightError

_LENGTH_LIMIT = 254  # RFC 5321, with the @
_NAME_LIMIT = 50
_NAME_MARKS = " '’.-"  # besides letters and their accents


class Refusal(StrEnum):
    """What is wrong with an address; the shopper's page words it in her language."""

    EMPTY = "email_missing"
    INVALID = "invalid_email"
    NAME = "name_invalid"


class AddressRefused(StockwrightError):
    """The text is not one mail address."""

    def __init__(self, why: Refusal, message: str) -> None:
        super().__init__(message)
        self.why = why


def normalise(text: str) -> str:
    """The one form of an address: trimmed, in lower case, its domain in ASCII. Twice is the same as once.

    The part before the @ is lower-cased too: no mail service in use tells apart what differs in case only.

    Raises:
        AddressRefused: it is empty, or not one address that mail can be sent to.
    """
    folded = fold(text)
    if not folded:
        raise AddressRefused(Refusal.EMPTY, "The mail address is missing.")
    if len(folded) > _LENGTH_LIMIT:
        raise AddressRefused(Refusal.INVALID, f"A mail address has at most {_LENGTH_LIMIT} characters.")
    try:
        found = validate_email(folded, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        raise AddressRefused(Refusal.INVALID, f"This is not a mail address: {error}") from None
    return f"{found.local_part}@{found.ascii_domain}"


def fold(text: str) -> str:
    """The text trimmed, composed and in lower case; checks nothing."""
    lowered = unicodedata.normalize("NFC", text.strip()).lower()
    return unicodedata.normalize("NFC", lowered)


def checked_name(text: str) -> str:
    """A first name on one line; "" stays "". Anybody may give any address, so a name must not carry a message.

    Raises:
        AddressRefused: it holds more than letters, spaces and the marks of names, or something like a web address.
    """
    name = unicodedata.normalize("NFC", text).strip()
    is_spelled = all(letter in _NAME_MARKS or unicodedata.category(letter)[0] in "LM" for letter in name)
    is_link = any(before == "." and after != " " for before, after in pairwise(name))
    if len(name) > _NAME_LIMIT or not is_spelled or is_link:
        raise AddressRefused(
            Refusal.NAME, f"A first name has at most {_NAME_LIMIT} letters and nothing else."
        )
    return name
