"""Files of people: what is read of them, which lines are refused and why, and that no line stops the others."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stockwright.notify.addresses import AddressRefused, normalise
from stockwright.notify.people_file import FileRefused, PeopleFile, Person, Refused, open_file, people_of
from stockwright.spreadsheet import csv_lines

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TORONTO = ZoneInfo("America/Toronto")
VARIANT = "gid://shopify/ProductVariant/7264016900001"


def read(text: str | bytes) -> list[Person | Refused]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(people_of(open_file(data), zone=TORONTO, now=NOW))


def one(line: str, heading: str = "email,variant_id") -> Person | Refused:
    [found] = read(f"{heading}\n{line}\n")
    return found


def reason(line: str, heading: str = "email,variant_id") -> str:
    found = one(line, heading)
    assert isinstance(found, Refused), found
    return found.reason


def test_a_plain_file_is_read() -> None:
    found = read("email,variant_id\r\nAnn@Example.com,7264016900001\r\n")
    assert found == [
        Person(
            line=2, email="ann@example.com", variant_id=VARIANT, subscribed_at=None, locale="", first_name="",
            quantity=1, customer_id="",
        )
    ]  # fmt: skip


def test_every_column_is_read_by_any_of_its_names_in_any_order() -> None:
    heading = "Requested quantity;First-Name;LANGUAGE;Created_At;Shopify variant ID;E-Mail;Customer ID;Colour"
    found = read(
        f'{heading}\n3;"Zoë; dite Z";pt_br;2026-11-01T10:00:00+01:00;{VARIANT};zoe@example.com;42;red'
    )
    [person] = found
    assert isinstance(person, Person)
    assert person.quantity == 3
    assert person.first_name == "Zoë; dite Z"
    assert person.locale == "pt-BR"
    assert person.subscribed_at == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert person.customer_id == "gid://shopify/Customer/42"
    assert open_file(f"{heading}\na;b;c;d;e;f;g;h".encode()).unused == ("Colour",)


def test_a_byte_order_mark_and_blank_lines_are_no_trouble() -> None:
    found = read(b"\xef\xbb\xbfemail,variant_id\n\n,,\nann@example.com,1\n  \n")
    assert [(person.line, type(person)) for person in found] == [(4, Person)]


def test_a_line_is_named_by_where_it_stands_also_after_a_record_of_several_lines() -> None:
    found = read('email,variant_id,first name\na@example.com,1,"of\ntwo lines"\nnobody,1,\n')
    assert [line.line for line in found] == [2, 4]
    assert all(isinstance(line, Refused) for line in found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"email,variant_id\n", "no people"),
        (b"email\nann@example.com", "Missing: variant_id. Found: email."),
        (b"name,age\na,1", "Missing: email, variant_id. Found: name, age."),
        (b"email,E-mail,variant_id\na,b,1", "Two columns mean email"),
        (b"email,variant_id\nann@example.com,\xff\xfe", "not UTF-8 (byte 33)"),
        ("email,variant_id\na,1".encode("utf-16"), "not UTF-8"),
        (b"email,variant_id\n\x00,1", "NUL"),
        (b'email,variant_id\n"ann@example.com,1\n', "quotation mark"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(text: bytes, told: str) -> None:
    with pytest.raises(FileRefused) as refused:
        open_file(text)
    assert told in str(refused.value)


def test_a_file_with_too_many_lines_is_refused() -> None:
    with pytest.raises(FileRefused, match="at most 100,000"):
        open_file(b"email,variant_id\n" + b"a@example.com,1\n" * 100_001)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nobody,1", "not a mail address"),
        (",1", "missing"),
        ("ann@example.com,", "variant id is missing"),
        ("ann@example.com,7.26402E+12", "rounded by a spreadsheet"),
        ("ann@example.com,“1”", "not the number of a variant"),
        ("ann@example.com,0", "not the number of a variant"),
        ("ann@example.com,gid://shopify/Product/1", "not the number of a variant"),
        ("ann@example.com,1,2", "has 3 cells, and the heading 2"),
    ],
)
def test_a_wrong_line_is_refused_with_the_reason(line: str, told: str) -> None:
    assert told in reason(line)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("quantity", "0", "whole number from 1"),
        ("quantity", "many", "whole number from 1"),
        ("quantity", "٣", "whole number from 1"),
        ("subscribed_at", "yesterday", "not a date"),
        ("subscribed_at", "2031-01-01", "in the future"),
        ("subscribed_at", "1999-01-01", "before the year 2000"),
        ("locale", "klingon!", "not a language"),
        ("status", "Sent", "does not wait"),
        ("customer_id", "ann", "not the number of a customer"),
        ("first_name", "x" * 101, "longer than 100"),
    ],
)
def test_a_wrong_cell_is_refused_with_the_reason(column: str, value: str, told: str) -> None:
    assert told in reason(f"ann@example.com,1,{value}", f"email,variant_id,{column}")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-20", datetime(2026, 11, 20, 5, tzinfo=UTC)),
        ("2026-07-01 08:30", datetime(2026, 7, 1, 12, 30, tzinfo=UTC)),
        ("2026-07-01T08:30:00Z", datetime(2026, 7, 1, 8, 30, tzinfo=UTC)),
        ("2026-07-01 08:30:00 UTC", datetime(2026, 7, 1, 8, 30, tzinfo=UTC)),
        ("2026-11-21", NOW),  # tomorrow in some zone: now
    ],
)
def test_a_date_without_a_zone_is_the_shops(text: str, at: datetime) -> None:
    found = one(f"ann@example.com,1,{text}", "email,variant_id,subscribed_at")
    assert isinstance(found, Person)
    assert found.subscribed_at == at


@given(st.emails())
@example("'@a.af")
@example("'=1@example.com")
def test_an_exported_address_is_read_as_the_same_address(email: str) -> None:
    try:
        address = normalise(email)
    except AddressRefused:
        return
    text = csv_lines([["Email", "Variant ID"], [address, "1"]])
    [found] = read(text)
    assert isinstance(found, Person)
    assert found.email == address


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        file = open_file(text.encode(errors="surrogatepass"))
    except FileRefused as refused:
        assert str(refused)
        return
    assert isinstance(file, PeopleFile)
    assert len(list(people_of(file, zone=TORONTO, now=NOW))) == file.rows


@given(st.lists(st.text(max_size=20), min_size=2, max_size=4))
def test_any_cells_make_a_person_or_a_reason(cells: list[str]) -> None:
    text = csv_lines([["email", "variant_id", "quantity", "subscribed_at"], cells])
    if "\0" in text or not any(cell.strip() for cell in cells):
        return
    found = read(text.encode(errors="replace"))
    assert all(isinstance(line, Person) or line.reason for line in found)
