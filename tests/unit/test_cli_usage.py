"""What commands say about wrong usage, and how they print; none of these needs a database."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from typing import Any

import pytest
import typer

from stockwright.adding import shop_domain
from stockwright.cli import COMMANDS, main
from stockwright.cli.automations import read_pairs
from stockwright.cli.output import Form, counted, print_pages, print_rows
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
        ("runs", "--state", "faild"),
        ("automation", "run", "aut_1", "--wait-limit-s", "0"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(arguments: tuple[str, ...]) -> None:
    status, out, err = ran(*arguments)
    assert status == 2
    assert "Error:" in err
    assert not out


def test_a_state_that_runs_do_not_have_is_refused_with_those_they_have() -> None:
    _, _, err = ran("runs", "--state", "faild")
    for state in ("running", "succeeded", "failed", "cancelled"):
        assert state in err


_SENTENCE = "says in one sentence that it was done; the exit status says the same"
_RUNS_ON = "runs until it is stopped and prints for a person, or logs as the settings say"
WITHOUT_JSON = {
    "demo": _RUNS_ON,
    "serve": _RUNS_ON,
    "web": _RUNS_ON,
    "worker": _RUNS_ON,
    "migrate": _SENTENCE,
    "shop set": _SENTENCE,
    "shop remove": _SENTENCE,
    "automation enable": _SENTENCE,
    "automation disable": _SENTENCE,
    "automation remove": _SENTENCE,
    "offer activate": _SENTENCE,
    "offer unschedule": _SENTENCE,
    "offer pause": _SENTENCE,
    "offer resume": _SENTENCE,
    "offer complete": _SENTENCE,
    "offer archive": _SENTENCE,
    "offer delete": _SENTENCE,
    "mail retry": _SENTENCE,
    "mail cancel": _SENTENCE,
    "mail resume": _SENTENCE,
    "user add": _SENTENCE,
    "user password": _SENTENCE,
    "token revoke": _SENTENCE,
}


def commands_below(group: Any, *above: str) -> Iterator[tuple[str, Any]]:
    """Every command of the tree with its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_below(command, *above, name)
        else:
            yield " ".join((*above, name)), command


TREE = dict(commands_below(typer.main.get_command(COMMANDS)))


@pytest.mark.parametrize("words", TREE)
def test_a_command_prints_json_when_asked_or_has_a_reason_not_to(words: str) -> None:
    options = {text for parameter in TREE[words].params for text in parameter.opts}
    assert ("--json" in options) != (words in WITHOUT_JSON)


def test_every_reason_to_print_no_json_belongs_to_a_command() -> None:
    assert set(WITHOUT_JSON) <= set(TREE)


@pytest.mark.parametrize(
    "words",
    [
        "stock show",
        "stock history",
        "automation run",
        "automation preview",
        "automation import",
        "shop check",
    ],
)
def test_the_commands_of_the_first_day_have_an_example(words: str) -> None:
    assert f"Example: stockwright {words} " in ran(*words.split(), "--help")[1]


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


async def in_pages(*sizes: int) -> AsyncIterator[list[dict[str, Any]]]:
    for number, size in enumerate(sizes):
        yield [{"page": number, "row": row, "name": "two\nlines"} for row in range(size)]


@pytest.mark.parametrize("sizes", [(), (0,), (1,), (2, 0), (2, 1), (3, 3, 2)])
@pytest.mark.parametrize("form", [Form(as_json=True), Form(as_json=False, as_csv=True), Form(as_json=False)])
def test_rows_in_pages_are_printed_as_if_they_had_come_together(
    capsys: pytest.CaptureFixture[str], form: Form, sizes: tuple[int, ...]
) -> None:
    asyncio.run(print_pages(in_pages(*sizes), form, empty="There is none."))
    printed = capsys.readouterr().out

    async def together() -> list[dict[str, Any]]:
        return [row async for page in in_pages(*sizes) for row in page]

    rows = asyncio.run(together())
    print_rows(rows, form, empty="There is none.")
    assert printed == capsys.readouterr().out


def test_long_work_is_counted_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    hear = counted("products looked at", every=100)
    for done in (40, 80, 120, 160, 1250):
        hear(done, 1250)
    counted("people written", every=100)(200, None)
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "120 of 1,250 products looked at ...",
        "1,250 of 1,250 products looked at ...",
        "200 people written ...",
    ]
    assert not told.out


def test_json_and_csv_together_are_refused() -> None:
    with pytest.raises(typer.BadParameter, match="not both"):
        Form(as_json=True, as_csv=True)
