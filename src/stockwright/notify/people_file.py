"""A file of people to import: CSV as RFC 4180 has it, in UTF-8, read line by line. Pure; no I/O, no clock.

A line that cannot be used is refused with its number and the reason; it never stops the others.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from stockwright.model import StockwrightError, gid
from stockwright.notify.addresses import AddressRefused, normalise
from stockwright.spreadsheet import text_of

MAX_BYTES = 20_000_000
MAX_ROWS = 100_000

# What each column may be called; case, spaces, hyphens and underscores are alike.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "e mail", "email address", "customer email"),
    "variant_id": ("variant id", "shopify variant id", "product variant id"),
    "subscribed_at": ("subscribed at", "created at", "signed up at", "date"),
    "locale": ("locale", "language"),
    "first_name": ("first name",),
    "quantity": ("quantity", "requested quantity"),
    "customer_id": ("customer id",),
    "status": ("status",),
}
REQUIRED = ("email", "variant_id")
_DELIMITERS = ",;\t"
_VARIANT = re.compile(r"(?:gid://shopify/ProductVariant/)?([1-9][0-9]{0,18})")
_CUSTOMER = re.compile(r"(?:gid://shopify/Customer/)?([1-9][0-9]{0,18})")
_LOCALE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{2,4}))?")
_ROUNDED = re.compile(r"\d([.,]\d+)?[eE]\+?\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_LONGEST_NAME = 100
_MOST_UNITS = 1000
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_SHOWN = 60  # characters of a wrong value


class FileRefused(StockwrightError):
    """The file as a whole cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """A line that can be used."""

    line: int
    email: str  # normalised
    variant_id: str  # gid
    subscribed_at: datetime | None  # None = not said
    locale: str
    first_name: str
    quantity: int
    customer_id: str  # gid; "" = not said


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A line that cannot be used, and why."""

    line: int  # of the file, from 1; a record of several lines goes by its first
    reason: str


@dataclass(frozen=True, kw_only=True)
class PeopleFile:
    """A file whose heading was understood."""

    text: str
    delimiter: str
    places: Mapping[str, int]  # where each known column stands
    unused: tuple[str, ...]  # headings that mean nothing here
    rows: int  # lines of people


def open_file(data: bytes) -> PeopleFile:
    """Understand a file's encoding and heading, and count its rows.

    Raises:
        FileRefused: too large, not UTF-8, no such columns, or no CSV from some line on.
    """
    text = _decoded(data)
    delimiter = _delimiter(text)
    records = _records(text, delimiter)
    try:
        heading = next(records, (1, ()))[1]
        places, unused = _places(heading)
        rows = sum(1 for _line, cells in records if any(cell.strip() for cell in cells))
    except csv.Error as error:
        raise FileRefused(
            f"The file is not CSV: {error}. Look for a quotation mark that is not closed."
        ) from error
    if rows > MAX_ROWS:
        raise FileRefused(f"The file has {rows:,} lines of people; at most {MAX_ROWS:,} are taken. Split it.")
    if not rows:
        raise FileRefused("The file has a heading and no people below it.")
    return PeopleFile(text=text, delimiter=delimiter, places=places, unused=unused, rows=rows)


def people_of(file: PeopleFile, *, zone: ZoneInfo, now: datetime) -> Iterator[Person | Refused]:
    """Every line of people, in order; dates without a zone are of this one."""
    records = _records(file.text, file.delimiter)
    width = len(next(records)[1])
    for line, cells in records:
        if any(cell.strip() for cell in cells):
            yield _person(line, cells, width, file.places, zone, now)


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise FileRefused(f"The file has {len(data):,} bytes; at most {MAX_BYTES:,} are taken. Split it.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileRefused(
            f"The file is not UTF-8 (byte {error.start}). Save it as “CSV UTF-8” in your spreadsheet."
        ) from error
    if "\0" in text:
        raise FileRefused("The file holds NUL characters: it is no CSV file. Save it as “CSV UTF-8”.")
    if not text.strip():
        raise FileRefused("The file is empty.")
    return text


def _delimiter(text: str) -> str:
    """The one that the heading uses most: spreadsheets of some countries write semicolons."""
    heading = text.split("\n", 1)[0]
    return max(_DELIMITERS, key=heading.count)


def _records(text: str, delimiter: str) -> Iterator[tuple[int, Sequence[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    for cells in reader:
        yield line, cells
        line = reader.line_num + 1


def _places(heading: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    named = {name: field for field, names in COLUMNS.items() for name in names}
    places: dict[str, int] = {}
    unused = []
    for place, cell in enumerate(heading):
        field = named.get(re.sub(r"[\s_-]+", " ", cell).strip().lower())
        if field is None:
            unused.append(cell.strip()[:_SHOWN])
        elif field in places:
            raise FileRefused(f"Two columns mean {field}: {heading[places[field]]!r} and {cell!r}.")
        else:
            places[field] = place
    if missing := [name for name in REQUIRED if name not in places]:
        found = ", ".join(cell.strip()[:_SHOWN] for cell in heading if cell.strip()) or "none"
        raise FileRefused(
            f"The first line must name the columns. Missing: {', '.join(missing)}. Found: {found[:300]}."
        )
    return places, tuple(text for text in unused if text)


class _Wrong(Exception):
    """A cell that cannot be used; the text says why."""


def _person(
    line: int,
    cells: Sequence[str],
    width: int,
    places: Mapping[str, int],
    zone: ZoneInfo,
    now: datetime,
) -> Person | Refused:
    if len(cells) > width and any(cell.strip() for cell in cells[width:]):
        return Refused(line=line, reason=f"has {len(cells)} cells, and the heading {width}")
    given = {
        name: text_of(cells[place].strip()) if place < len(cells) else "" for name, place in places.items()
    }
    try:
        return _parsed(line, given, zone, now)
    except (_Wrong, AddressRefused) as error:
        return Refused(line=line, reason=str(error))


def _parsed(line: int, given: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Person:
    status = given.get("status", "").lower()
    if status not in ("", "pending"):
        raise _Wrong(f"this person does not wait: status {_shown(given['status'])}")
    return Person(
        line=line,
        email=normalise(given["email"]),
        variant_id=_variant(given["variant_id"]),
        subscribed_at=_moment(given.get("subscribed_at", ""), zone, now),
        locale=_locale(given.get("locale", "")),
        first_name=_name(given.get("first_name", "")),
        quantity=_quantity(given.get("quantity", "")),
        customer_id=_customer(given.get("customer_id", "")),
    )


def _variant(text: str) -> str:
    if not text:
        raise _Wrong("the variant id is missing")
    if _ROUNDED.fullmatch(text):
        raise _Wrong(f"the variant id {_shown(text)} was rounded by a spreadsheet: format the column as text")
    found = _VARIANT.fullmatch(text)
    if found is None:
        raise _Wrong(f"{_shown(text)} is not the number of a variant")
    return gid("ProductVariant", found[1])


def _customer(text: str) -> str:
    if not text:
        return ""
    found = _CUSTOMER.fullmatch(text)
    if found is None:
        raise _Wrong(f"{_shown(text)} is not the number of a customer")
    return gid("Customer", found[1])


def _moment(text: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(
            text.removesuffix(" UTC") + ("+00:00" if text.endswith(" UTC") else "")
        )
    except ValueError:
        raise _Wrong(f"{_shown(text)} is not a date such as 2026-11-20 or 2026-11-20T14:05:00Z") from None
    at = found if found.tzinfo else found.replace(tzinfo=zone)
    if not _EARLIEST <= at <= now + timedelta(days=1):
        raise _Wrong(f"the date {_shown(text)} is before the year 2000 or in the future")
    return min(at, now).astimezone(UTC)


def _locale(text: str) -> str:
    if not text:
        return ""
    found = _LOCALE.fullmatch(text)
    if found is None:
        raise _Wrong(f"{_shown(text)} is not a language such as fr or pt-BR")
    language, region = found[1].lower(), found[2]
    if not region:
        return language
    return f"{language}-{region.upper() if len(region) == 2 else region.title()}"


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME or _CONTROL.search(text):
        raise _Wrong(f"the first name is longer than {_LONGEST_NAME} characters or has line breaks")
    return text


def _quantity(text: str) -> int:
    if not text:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= _MOST_UNITS):
        raise _Wrong(f"the quantity {_shown(text)} is not a whole number from 1 to {_MOST_UNITS}")
    return int(text)


def _shown(text: str) -> str:
    return f"“{text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}”"
