"""The command line as a person uses it: real commands, the real bundled shop, with and without a running service."""

import csv
import io
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from stockwright.ledger import wire
from stockwright.ledger.state import PoolState
from stockwright.model import PoolId
from stockwright.postgres.place import known_place
from stockwright.postgres.processes import living_postmaster
from tests.commands import run_command
from tests.real_processes import (
    DOMAIN,
    Part,
    RunningShop,
    Service,
    answers,
    running_service,
    running_shop,
    temporary_home,
    wait_until,
)

CATALOGUE = {
    "locations": [{"name": "Toronto", "primary": True}],
    "products": [
        {
            "title": "Harbour",
            "product_type": "Print",
            "tags": ["shared"],
            "levels": 10,
            "variants": [{"title": "Framed"}, {"title": "Unframed"}],
        },
        {
            "title": "Uneven",
            "product_type": "Card",
            "tags": ["uneven"],
            "variants": [{"title": "A", "levels": 5}, {"title": "B", "levels": 7}],
        },
    ],
}
EMPTY_POOL = PoolState(pool_id=PoolId("pool_0"), version=1, s0=4, t=0, members={})
MANY_POOLS = """
insert into pools (shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status)
select shop_id, 'pool_' || lpad(n::text, 6, '0'), 'aut_1', 'gid://shopify/Product/' || n, '*', 'Print ' || n, 1,
       %(state)s, 4, case when n in (7, 449) then 'frozen' else 'active' end
from shops, generate_series(1, %(count)s) n
"""
SECRETS = {"SHOP_TOKEN": "shpat_real", "SHOP_SECRET": "a secret of this run"}
LIMIT_S = 60.0

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningShop]:
    with running_shop(CATALOGUE) as running:
        yield running


@pytest.fixture
def service(database: str) -> Iterator[Service]:
    with temporary_home() as home:
        yield Service(home=home, settings={"DATABASE_URL": database, "STOCKWRIGHT_POLL_INTERVAL_S": "0.2"})


@pytest.fixture
def run(service: Service) -> Command:
    """Runs a command against the service's database; nothing of the service runs."""

    def run(*arguments: str, secrets: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        environ = {**service.environ, **(secrets or {})}
        return run_command(*arguments, env=environ, cwd=service.home, limit_s=LIMIT_S)

    return run


def add(run: Command, shop: RunningShop, *more: str, **secrets: str) -> "subprocess.CompletedProcess[str]":
    return run(
        *("shop", "add", DOMAIN, "--api-url", shop.url),
        *("--access-token-env", "SHOP_TOKEN", "--webhook-secret-env", "SHOP_SECRET", *more),
        secrets={**SECRETS, **secrets},
    )


def done(ran: "subprocess.CompletedProcess[str]") -> str:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def refused(ran: "subprocess.CompletedProcess[str]") -> str:
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr


def data(ran: "subprocess.CompletedProcess[str]") -> Any:
    return json.loads(done(ran))


# --- shops ------------------------------------------------------------------------------------------------


def test_a_shop_is_added_checked_and_removed(run, shop, service) -> None:
    told = done(add(run, shop))
    assert "Added real-shop.myshopify.com" in told
    assert "Toronto" in told
    listed = data(run("shop", "list", "--json"))
    assert [(row["domain"], row["status"]) for row in listed] == [(DOMAIN, "active")]
    findings = {row["about"]: row["verdict"] for row in data(run("shop", "check", DOMAIN, "--json"))}
    assert findings["connection"] == findings["scopes"] == findings["clock"] == findings["webhooks"] == "ok"
    assert findings["last webhook"] == "warn"
    done(run("shop", "remove", DOMAIN, "--yes"))
    assert data(run("shop", "list", "--json")) == []
    assert not any(one["uri"].startswith(service.url) for one in shop.state()["subscriptions"])


def test_secrets_are_neither_shown_nor_stored_in_the_clear(run, shop, database) -> None:
    shown = done(add(run, shop)) + done(run("shop", "list", "--json")) + done(run("settings"))
    with psycopg.connect(database) as conn:
        (row,) = conn.execute("select shops::text, encode(secrets, 'escape') from shops").fetchall()
    for secret in SECRETS.values():
        assert secret not in shown
        assert secret not in "".join(row)


def test_a_shop_that_refuses_the_token_is_not_stored(run, shop) -> None:
    assert "refused the access token" in refused(add(run, shop, SHOP_TOKEN="shpat_wrong"))
    assert data(run("shop", "list", "--json")) == []


def test_secrets_of_another_shop_are_refused(run, shop) -> None:
    ran = run(
        *("shop", "add", "other", "--api-url", shop.url, "--access-token-env", "SHOP_TOKEN"), secrets=SECRETS
    )
    assert f"belong to {DOMAIN}" in refused(ran)


def test_plain_http_to_another_machine_is_refused(run) -> None:
    ran = run(
        *("shop", "add", "other", "--api-url", "http://192.0.2.1", "--access-token-env", "SHOP_TOKEN"),
        secrets=SECRETS,
    )
    assert "plain http" in refused(ran)


def test_client_credentials_open_a_shop_too(run, shop) -> None:
    ran = run(
        *("shop", "add", DOMAIN, "--api-url", shop.url),
        *("--client-id", "demo-client", "--client-secret-env", "SHOP_SECRET"),
        secrets=SECRETS,
    )
    assert "Added" in done(ran)
    assert data(run("shop", "check", DOMAIN, "--json"))[1]["verdict"] == "ok"


def test_a_shop_that_is_there_is_not_added_again_and_an_unknown_one_is_not_found(run, shop) -> None:
    done(add(run, shop))
    assert "is there already" in refused(add(run, shop))
    message = refused(run("stock", "show", "--shop", "nobody"))
    assert "There is no shop nobody.myshopify.com" in message
    assert DOMAIN in message


# --- automations ------------------------------------------------------------------------------------------


def installed(run: Command, *more: str) -> str:
    ran = run(
        *("automation", "add", "sync-across-variants", "--shop", DOMAIN, "--json"),
        *("--option", "product_tags=shared", *more),
    )
    return str(data(ran)["id"])


def test_an_automation_is_installed_changed_exported_and_imported(run, shop, service) -> None:
    done(add(run, shop))
    id = installed(run, "--disabled", "--name", "Prints")
    assert "is disabled" in refused(run("automation", "run", id))
    done(run("automation", "set", id[-6:], "raise_settle_s=2", "--name", "Wall prints"))
    shown = data(run("automation", "show", id, "--json"))
    assert (shown["name"], shown["options"]["raise_settle_s"], shown["enabled"]) == ("Wall prints", 2, False)
    assert data(run("automation", "set", id, "raise_settle_s=3", "--json"))["options"]["raise_settle_s"] == 3
    file = Path(service.home, "prints.json")
    done(run("automation", "export", id, "--file", str(file)))
    assert data(run("automation", "export", id, "--json")) == json.loads(file.read_text())
    imported = data(run("automation", "import", str(file), "--shop", DOMAIN, "--json"))
    assert (imported["name"], imported["enabled"]) == ("Wall prints", False)
    rows = data(run("automation", "list", "--json"))
    assert [row["name"] for row in rows] == ["Wall prints", "Wall prints"]
    done(run("automation", "enable", id))
    copy = next(row["id"] for row in rows if row["id"] != id)
    assert "would both hold the stock of 'Harbour'" in refused(run("automation", "enable", copy))
    assert run("automation", "remove", copy).returncode == 1, "it asks, and nobody answers"
    done(run("automation", "remove", copy, "--yes"))
    done(run("automation", "disable", id))
    assert [row["enabled"] for row in data(run("automation", "list", "--json"))] == [False]


def test_wrong_options_are_named(run, shop) -> None:
    done(add(run, shop))
    base = ("automation", "add", "sync-across-variants", "--shop", DOMAIN)
    assert "by tags or types" in refused(run(*base))
    assert "There is no option 'colour'" in refused(run(*base, "-o", "product_tags=a", "-o", "colour=red"))
    places = ("-o", "locations=named", "-o", "location_names=Nowhere")
    assert "Available locations: Toronto" in refused(run(*base, "-o", "product_tags=a", *places))


def test_a_run_that_nobody_performs_is_waited_for_only_so_long(run, shop) -> None:
    done(add(run, shop))
    waited = run("automation", "run", installed(run), "--wait", "--wait-limit-s", "1", "--json")
    assert waited.returncode == 1
    assert json.loads(waited.stdout) | {"event": ""} == {
        "event": "", "ended": False, "run": None, "state": None, "because": None, "error": None
    }  # fmt: skip
    assert "Not at its end after 1 s" in waited.stderr


def test_more_stocks_than_one_page_are_all_shown_frozen_ones_first(run, shop, database) -> None:
    done(add(run, shop))
    with psycopg.connect(database) as conn:
        conn.execute(MANY_POOLS, {"state": Jsonb(wire.state_to_json(EMPTY_POOL)), "count": 450})
    shown = data(run("stock", "show", "--shop", DOMAIN, "--json"))
    assert len({one["pool"] for one in shown}) == len(shown) == 450
    assert [one["title"] for one in shown if one["state"] == "frozen"] == ["Print 7", "Print 449"]
    assert [one["state"] for one in shown[:3]] == ["frozen", "frozen", "active"]
    table = done(run("stock", "show", "--shop", DOMAIN))
    assert table.count("pool_") == 450 + 2 * 2, "a row each, and what to decide of the frozen ones"
    assert (
        len(list(csv.DictReader(io.StringIO(done(run("stock", "show", "--shop", DOMAIN, "--csv")))))) == 450
    )


def test_a_product_whose_stock_is_not_shared_is_told_as_that(run, shop) -> None:
    done(add(run, shop))
    told = done(run("stock", "show", "--shop", DOMAIN, "--product", "17"))
    assert f"No stock of gid://shopify/Product/17 is shared in {DOMAIN}: no automation has it" in told
    assert "nothing waits for a person" in done(run("stock", "show", "--shop", DOMAIN, "--frozen"))
    assert "Install an automation" in done(run("stock", "show", "--shop", DOMAIN))
    assert data(run("stock", "show", "--shop", DOMAIN, "--product", "17", "--json")) == []


def test_a_token_and_a_shop_are_told_as_json(run, shop) -> None:
    added = data(add(run, shop, "--json"))
    assert (added["domain"], added["locations"], added["status"]) == (DOMAIN, ["Toronto"], "active")
    token = data(run("token", "create", "reporting", "--write", "--json"))
    assert (token["name"], token["scope"], token["token"].startswith("stockwright_")) == (
        "reporting",
        "write",
        True,
    )


def test_a_preview_of_many_products_is_counted_on_stderr(run, database) -> None:
    products = [
        {
            "title": f"Print {n}",
            "product_type": "Card",
            "levels": 1,
            "variants": [{"title": "A"}, {"title": "B"}],
        }
        for n in range(120)
    ]
    with running_shop({"locations": CATALOGUE["locations"], "products": products}) as shop:
        done(add(run, shop))
        ran = run(
            *("automation", "add", "keep-in-sync-within-products", "--shop", DOMAIN, "--disabled", "--json"),
            *("-o", "product_types=Card"),
        )
        previewed = run("automation", "preview", data(ran)["id"], "--json")
    assert len(data(previewed)) == 120
    assert " of 120 products looked at ..." in previewed.stderr


def test_preview_tells_what_would_be_written(run, shop) -> None:
    done(add(run, shop))
    ran = run(
        *("automation", "add", "keep-in-sync-within-products", "--shop", DOMAIN, "--disabled", "--json"),
        *("-o", "product_types=Card", "-o", "unequal_at_start=take_lowest"),
    )
    id = data(ran)["id"]
    assert "B: 7 -> 5" in done(run("automation", "preview", id))
    assert shop.state()["requests"].get("inventoryAdjustQuantities", 0) == 0


# --- with the service ---------------------------------------------------------------------------------------


def until(run: Command, *arguments: str, holds: Callable[[Any], bool]) -> Any:
    """What a command with --json prints, once it holds."""

    def found() -> Any:
        printed = data(run(*arguments, "--json"))
        return (printed,) if holds(printed) else None

    return wait_until(found, limit_s=LIMIT_S, what=f"`{' '.join(arguments)}` shows it")[0]


def test_a_sale_is_corrected_and_explained(run, shop, service) -> None:
    done(add(run, shop))
    id = installed(run)
    service.start()
    try:
        until(run, "stock", "show", "--shop", DOMAIN, holds=lambda pools: len(pools) == 1)
        product = shop.state()["products"][0]
        before = sum(product["variants"][0]["levels"].values())
        shop.sell((product["variants"][0]["id"], 2))
        shown = until(
            run, "stock", "show", "--shop", DOMAIN, holds=lambda pools: pools[0]["stock"] == before - 2
        )
        until(run, "stock", "show", "--shop", DOMAIN, holds=lambda pools: pools[0]["state"] == "active")
        history = done(run("stock", "history", shown[0]["pool"]))
        assert f"sale or edit of -2 on Framed: {before} -> {before - 2}" in history
        assert f"Unframed corrected {before} -> {before - 2}" in history
        assert history == done(run("stock", "history", "--product", product["id"].rsplit("/", 1)[-1]))
        corrected = next(
            row["run"]
            for row in data(run("runs", "--automation", id, "--json"))
            if "correcting" in row["because"]
        )
        told = done(run("explain", corrected, "--again"))
        assert f"correct Unframed {before} -> {before - 2}: done" in told
        assert "today's code makes the same decision" in told
        waited = run("automation", "run", id, "--wait")
        assert "succeeded: Looked at 1 products in scope" in done(waited)
        waited = data(run("automation", "run", id, "--wait", "--json"))
        assert (waited["ended"], waited["state"], waited["error"]) == (True, "succeeded", None)
        findings = {row["about"]: row["verdict"] for row in data(run("shop", "check", DOMAIN, "--json"))}
        assert set(findings.values()) == {"ok"}
        assert data(run("doctor", "--json"))
    finally:
        service.stop()


@pytest.mark.parametrize("way", [("--not-applied",), ("--adopt-levels", "--stock", "4")])
def test_a_frozen_stock_is_shown_and_resolved(run, shop, service, way: tuple[str, ...]) -> None:
    done(add(run, shop))
    installed(run)
    service.start()
    try:
        until(run, "stock", "show", "--shop", DOMAIN, holds=lambda pools: len(pools) == 1)
        product = shop.state()["products"][0]
        before = sum(product["variants"][0]["levels"].values())
        shop.post("faults", {"next": [{"fault": "key_mismatch", "operation": "inventoryAdjustQuantities"}]})
        shop.sell((product["variants"][0]["id"], 1))
        (frozen,) = until(run, "stock", "show", "--shop", DOMAIN, "--frozen", holds=bool)
        assert "our key was used for something else" in frozen["reason"]
        assert "FROZEN Harbour" in done(run("stock", "show", "--shop", DOMAIN))
        checked = run("shop", "check", DOMAIN)
        assert (checked.returncode, "1 frozen" in checked.stdout) == (1, True)
        assert run("stock", "resolve", frozen["pool"], *way).returncode == 1, "it asks, and nobody answers"
        assert "could have been applied" in refused(
            run("stock", "resolve", frozen["pool"], "--applied", "--yes")
        )
        resolved = data(run("stock", "resolve", frozen["pool"], *way, "--yes", "--json"))
        assert (resolved["pool"], resolved["told"].startswith("Booked for Harbour")) == (frozen["pool"], True)
        wanted = 4 if "--stock" in way else before - 1
        until(
            run,
            *("stock", "show", "--shop", DOMAIN),
            holds=lambda pools: pools[0]["stock"] == wanted and pools[0]["state"] == "active",
        )
        wait_until(
            lambda: levels(shop) == [wanted, wanted], limit_s=LIMIT_S, what=f"both variants show {wanted}"
        )
    finally:
        service.stop()


def levels(shop: RunningShop) -> list[int]:
    product = shop.state()["products"][0]
    return [sum(variant["levels"].values()) for variant in product["variants"]]


# --- the database -------------------------------------------------------------------------------------------


def test_commands_start_a_server_of_their_own_and_stop_it(tmp_path) -> None:
    with temporary_home() as home:
        service = Service(home=home)
        assert json.loads(service.command("shop", "list", "--json")) == []
        assert living_postmaster(known_place(home.resolve()).data_dir) is None


def ran_alone(*arguments: str, url: str) -> "subprocess.CompletedProcess[str]":
    """A command, in a home of its own, with this DATABASE_URL."""
    with temporary_home() as home:
        environ = Service(home=home, settings={"DATABASE_URL": url}).environ
        return run_command(*arguments, env=environ, cwd=home, limit_s=LIMIT_S)


def test_a_command_shares_the_server_of_the_service_and_leaves_it_running() -> None:
    with running_service() as service:
        server = service.pid_of(Part.POSTMASTER)
        for command in (("shop", "list", "--json"), ("runs", "--json"), ("doctor", "--json")):
            run_command(*command, env=service.environ, cwd=service.home, limit_s=LIMIT_S)
            assert service.pid_of(Part.POSTMASTER) == server
        name = ("user", "add", "ann", "--password-env", "PASSWORD")
        assert "Added ann" in service.command(*name, secrets={"PASSWORD": "correct horse battery"})
        with psycopg.connect(service.dsn()) as conn:
            assert conn.execute("select name from users").fetchall() == [("ann",)]
        assert answers(f"{service.url}/readyz")
        assert service.is_running


def test_a_database_that_does_not_answer_is_an_error_with_advice() -> None:
    message = refused(ran_alone("shop", "list", url="postgresql://nobody@127.0.0.1:1/none"))
    assert "the database does not answer" in message
    assert "stockwright doctor" in message


@pytest.mark.parametrize("url", ["mysql://joe:hush@db/stock", "notaurl-hush"])
def test_an_address_that_is_no_database_is_told_by_every_command_without_its_password(url: str) -> None:
    for command in (("shop", "list"), ("migrate",), ("settings",)):
        message = refused(ran_alone(*command, url=url))
        assert "Error: DATABASE_URL cannot be used: must look like postgresql://" in message
        assert "hush" not in message
    looked = ran_alone("doctor", "--json", url=url)
    found = {row["about"]: row for row in json.loads(looked.stdout)}
    assert (looked.returncode, found["settings"]["verdict"]) == (1, "fail")
    assert "hush" not in looked.stdout + looked.stderr


def test_a_database_that_refuses_what_a_command_needs_is_told_without_a_traceback(run, service) -> None:
    database = service.settings["DATABASE_URL"]
    with psycopg.connect(database) as conn:
        conn.execute("revoke select on shops from current_user")
    message = refused(run("shop", "list"))
    assert "the database refuses it: permission denied for table shops" in message
    assert "permission denied for table shops" in run("doctor").stdout
    with psycopg.connect(database) as conn:
        conn.execute("grant select on shops to current_user")


def test_a_file_that_cannot_be_written_is_not_blamed_on_the_database(run, service) -> None:
    Path(service.home, "secret.key").mkdir()
    message = refused(run("shop", "list"))
    assert "database" not in message


def test_doctor_says_that_the_database_is_away() -> None:
    ran = ran_alone("doctor", "--json", url="postgresql://nobody@127.0.0.1:1/none")
    assert ran.returncode == 1
    findings = {row["about"]: row["verdict"] for row in json.loads(ran.stdout)}
    assert findings["database"] == "fail"
    assert findings["home"] == "ok"
