"""Addresses and header values: checked before anything is stored, so that no text can add a header or a recipient."""

import re
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from stockwright.model import StockwrightError

_LOCAL_ENDS = (".test", ".localhost", ".local", ".internal", ".example")  # relays of one's own, demos, tests
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]+", re.IGNORECASE)
_VALUE_LIMIT = 2000


class MailRefused(StockwrightError):
    """A message or a part of it must not be sent as it is."""


@lru_cache(maxsize=5_000)  # an address is checked when its message is queued, and again when it is sent
def checked_address(text: str, *, what: str = "address") -> str:
    """The normal form of one mail address: domain in lower case, international domains in punycode.

    The domain is not looked up.

    Raises:
        MailRefused: it is not one address.
    """
    if _CONTROLS.search(text):
        raise MailRefused(f"The {what} {text!r} holds a line break or another control character.")
    try:
        found = validate_email(text.strip(), check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        if _is_local(text):
            return text.strip()
        raise MailRefused(f"The {what} {text!r} is not a mail address: {error}") from None
    return f"{found.local_part}@{found.ascii_domain}"


def _is_local(text: str) -> bool:
    """Addresses on names that are reserved: email-validator refuses them, a server in the same house takes them."""
    local, _, domain = text.strip().rpartition("@")
    is_named = domain == "localhost" or domain.endswith(_LOCAL_ENDS)
    if not is_named:
        return False
    try:
        validate_email(f"{local}@example.com", check_deliverability=False, strict=True)
    except EmailNotValidError:
        return False
    return _DOMAIN.fullmatch(domain) is not None


def checked_text(value: str, *, what: str) -> str:
    """A header value on one line.

    Raises:
        MailRefused: it holds a line break or another control character, or is too long.
    """
    if _CONTROLS.search(value):
        raise MailRefused(f"The {what} {value[:80]!r} holds a line break or another control character.")
    if len(value) > _VALUE_LIMIT:
        raise MailRefused(f"The {what} has {len(value)} characters; at most {_VALUE_LIMIT} are sent.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MailRefused(f"The {what} {value[:80]!r} holds half of a character.") from None
    return value


def checked_name(name: str) -> str:
    """A header name.

    Raises:
        MailRefused: it is none.
    """
    if not _HEADER_NAME.fullmatch(name):
        raise MailRefused(f"{name[:80]!r} is not the name of a header.")
    return name
