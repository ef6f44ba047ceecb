"""What commands say about wrong usage, and how they print; none of these needs a database."""

import csv
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime

import pytest
import typer

from stockwright.adding import shop_domain
from stockwright.cli import main
from stockwright.cli.automations import read_pairs
from stockwright.cli.output import Form, print_rows
from stockwright.cli.shops import secret_from
from stockwright.model import StockwrightError


def ran(*arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(list(arguments))
    return status, out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("shop", "add"),
        ("shop", "add", "example"),
        ("shop", "add", "example", "--access-token-env", "A", "--client-id", "b"),
        ("shop", "add", "example", "--client-id", "b"),
        ("shop", "add", "example", "--access-token-env", "A", "--plan", "gold"),
        ("shop", "list", "--json", "--csv"),
        ("automation", "add", "sync-across-variants"),
        ("automation", "set", "aut_1"),
        ("stock", "history"),
        ("stock", "history", "pool_1", "--product", "1"),
        ("stock", "resolve", "pool_1"),
        ("stock", "resolve", "pool_1", "--applied", "--not-applied"),
        ("stock", "resolve", "pool_1", "--applied", "--stock", "4"),
        ("runs", "--limit", "0"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(arguments: tuple[str, ...]) -> None:
    status, out, err = ran(*arguments)
    assert status == 2
    assert "Error:" in err
    assert not out


def test_a_missing_secret_variable_is_named_and_nothing_is_asked() -> None:
    status, _, err = ran("shop", "add", "example", "--access-token-env", "STOCK_NO_SUCH_VARIABLE")
    assert status == 1
    assert "STOCK_NO_SUCH_VARIABLE is not set" in err


def test_an_unreadable_import_is_an_error_without_a_traceback() -> None:
    status, _, err = ran("automation", "import", "/nowhere/file.json", "--shop", "example")
    assert status == 1
    assert "/nowhere/file.json cannot be read as JSON" in err
    assert "Traceback" not in err


def test_kinds_are_listed_with_their_options_for_people_and_programs() -> None:
    status, out, _ = ran("automation", "kinds")
    assert status == 0
    assert "sync-across-variants" in out
    assert "unequal_at_start" in out
    kinds = json.loads(ran("automation", "kinds", "--json")[1])
    assert {"keep-in-sync-within-products", "sync-across-variants"} <= {kind["kind"] for kind in kinds}
    assert "raise_settle_s" in kinds[0]["options"]["properties"]


def test_settings_are_shown_with_their_meaning() -> None:
    rows = json.loads(ran("settings", "--json")[1])
    assert {"name", "value", "default", "meaning"} == set(rows[0])
    assert any(row["name"] == "STOCKWRIGHT_PUBLIC_URL" for row in rows)


# --- reading arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        ("example", "example.myshopify.com"),
        ("Example.MyShopify.com", "example.myshopify.com"),
        ("https://example.myshopify.com/admin/products", "example.myshopify.com"),
        (" shop-2.myshopify.com ", "shop-2.myshopify.com"),
    ],
)
def test_a_domain_is_read_as_people_type_it(typed: str, domain: str) -> None:
    assert shop_domain(typed) == domain


@pytest.mark.parametrize("typed", ["", "https://", "a b.myshopify.com", "../x", "exa_mple", "-x"])
def test_what_is_no_domain_is_refused(typed: str) -> None:
    with pytest.raises(StockwrightError, match="not the domain of a shop"):
        shop_domain(typed)


def test_options_are_read_as_lists_numbers_and_texts() -> None:
    read = read_pairs(
        "sync-across-variants",
        ["product_tags=a,b", "raise_settle_s=2.5", "only_active_products=true", 'location_names=["A, B"]'],
    )
    assert read == {
        "product_tags": "a,b",
        "raise_settle_s": 2.5,
        "only_active_products": True,
        "location_names": ["A, B"],
    }


def test_an_option_without_a_value_is_refused() -> None:
    with pytest.raises(StockwrightError, match="is not KEY=VALUE"):
        read_pairs("sync-across-variants", ["product_tags"])


def test_a_secret_comes_from_the_named_variable() -> None:
    assert secret_from("TOKEN", {"TOKEN": "hush"}) == "hush"
    assert secret_from(None, {}) is None
    with pytest.raises(StockwrightError, match="TOKEN is not set"):
        secret_from("TOKEN", {"TOKEN": ""})


# --- printing ---------------------------------------------------------------------------------------------

ROWS = [
    {"name": "Framed, 8×10", "level": 4, "at": datetime(2026, 11, 20, 9, 14, tzinfo=UTC), "tags": ["a", "b"]},
    {"name": "[red]Unframed", "level": 4, "at": None, "tags": []},
]


def test_rows_as_json_keep_their_types(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, Form(as_json=True), empty="none")
    found = json.loads(capsys.readouterr().out)
    assert found[0] == {
        "name": "Framed, 8×10",
        "level": 4,
        "at": "2026-11-20T09:14:00+00:00",
        "tags": ["a", "b"],
    }


def test_rows_as_csv_are_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, Form(as_json=False, as_csv=True), empty="none")
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert found[0]["name"] == "Framed, 8×10"
    assert found[0]["at"] == "2026-11-20T09:14:00+00:00"
    assert len(found) == 2


def test_a_table_shows_titles_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, Form(as_json=False), empty="none")
    assert "[red]Unframed" in capsys.readouterr().out


def test_no_rows_are_a_sentence_for_people_and_an_empty_list_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_rows([], Form(as_json=False), empty="There is none.")
    print_rows([], Form(as_json=True), empty="There is none.")
    assert capsys.readouterr().out == "There is none.\n[]\n"


def test_json_and_csv_together_are_refused() -> None:
    with pytest.raises(typer.BadParameter, match="not both"):
        Form(as_json=True, as_csv=True)
