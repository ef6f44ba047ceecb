"""The command line as a person uses it: real commands, the real bundled shop, with and without a running service."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stockwright.postgres.place import known_place
from stockwright.postgres.processes import living_postmaster
from tests.commands import run_command
from tests.real_processes import DOMAIN, RunningShop, Service, running_shop, temporary_home, wait_until

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
    file = Path(service.home, "prints.json")
    done(run("automation", "export", id, "--file", str(file)))
    done(run("automation", "import", str(file), "--shop", DOMAIN))
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
        done(run("stock", "resolve", frozen["pool"], *way, "--yes"))
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
