"""`stockwright subscribers` as a person types it: real commands against the real bundled shop."""

import csv
import io
from pathlib import Path

import pytest

from tests.journey.test_cli import add, data, done, refused, run, service  # noqa: F401 - fixtures
from tests.real_processes import DOMAIN, running_shop

CATALOGUE = {
    "locations": [{"name": "Main", "primary": True}],
    "products": [
        {"title": "Harbour", "levels": 0, "variants": [{"title": "Framed"}, {"title": "Unframed"}]},
    ],
}
SHOP = ("--shop", DOMAIN)


@pytest.fixture(scope="module")
def shop():
    with running_shop(CATALOGUE) as running:
        yield running


@pytest.fixture
def people(run, shop, tmp_path: Path) -> Path:  # noqa: F811
    """A file of two people and a wrong line, for a shop that is added."""
    done(add(run, shop))
    harbour = next(one for one in shop.state()["products"] if one["title"] == "Harbour")
    number = harbour["variants"][0]["id"].rsplit("/", 1)[-1]
    file = tmp_path / "people.csv"
    file.write_text(
        f"email,variant_id,quantity\nann@example.com,{number},2\nbob@example.com,{number},1\nnobody,{number},1\n"
    )
    return file


def test_people_are_checked_imported_listed_exported_and_explained(run, people, tmp_path) -> None:  # noqa: F811
    checked = run("subscribers", "import", str(people), *SHOP, "--dry-run")
    assert "2 would be added, 0 wait already or stand twice, 1 refused." in done(checked)
    assert "line 4: " in checked.stdout
    assert "No subscriber fits" in done(run("subscribers", "list", *SHOP))
    imported = data(run("subscribers", "import", str(people), *SHOP, "--json"))
    assert (imported["state"], imported["added"], imported["refused"]) == ("done", 2, 1)
    assert imported["refused_lines"][0]["line"] == 4
    rows = data(run("subscribers", "list", *SHOP, "--json"))
    assert {row["email"] for row in rows} == {"ann@example.com", "bob@example.com"}
    assert "ann@example.com" in done(run("subscribers", "list", *SHOP, "--email", "ANN@"))
    [bob] = data(run("subscribers", "list", *SHOP, "--email", "bob", "--json"))
    assert "Not sent yet" in done(run("subscribers", "show", bob["subscriber"]))
    [told] = data(run("subscribers", "why", "Bob@example.com", *SHOP, "--json"))
    assert told["because"].startswith("Not sent yet")
    assert "Imported by command line: From people.csv." in done(run("subscribers", "why", bob["subscriber"]))
    exported = tmp_path / "out.csv"
    done(run("subscribers", "export", *SHOP, "--output", str(exported)))
    lines = list(csv.DictReader(io.StringIO(exported.read_text())))
    assert {line["Email"] for line in lines} == {"ann@example.com", "bob@example.com"}
    assert len(data(run("subscribers", "export", *SHOP, "--status", "pending", "--json"))) == 2
    [wanted] = data(run("subscribers", "demand", *SHOP, "--json"))
    assert (wanted["people"], wanted["units"]) == (2, 3)


def test_people_are_cancelled_sent_again_and_erased(run, people) -> None:  # noqa: F811
    done(run("subscribers", "import", str(people), *SHOP))
    [ann] = data(run("subscribers", "list", *SHOP, "--email", "ann", "--json"))
    assert "Done for 1." in done(run("subscribers", "cancel", ann["subscriber"], "--yes"))
    again = data(run("subscribers", "cancel", ann["subscriber"], "--yes", "--json"))
    assert (again["done"], len(again["left"])) == (0, 1)
    assert "Done for 1." in done(run("subscribers", "resend", ann["subscriber"], "--yes"))
    kept = run("subscribers", "data", "ann@example.com", *SHOP)
    assert len(data(kept)["subscriptions"]) == 2
    assert data(run("subscribers", "data", "ann@example.com", *SHOP, "--json")).keys() == data(kept).keys()
    erased = data(run("subscribers", "erase", " ANN@example.com", *SHOP, "--yes", "--json"))
    assert erased == {"subscribers": 2, "messages": 0}
    assert "asked for nothing" in refused(run("subscribers", "why", "ann@example.com", *SHOP))


def test_wrong_use_is_told(run, people, tmp_path) -> None:  # noqa: F811
    assert "no subscriber 'sub_no'" in refused(run("subscribers", "why", "sub_no"))
    assert run("subscribers", "why", "ann@example.com").returncode == 2
    assert "not a mail address" in refused(run("subscribers", "erase", "nobody", *SHOP, "--yes"))
    assert "There is no shop" in refused(run("subscribers", "list", "--shop", "other.myshopify.com"))
    assert "cannot be read" in refused(run("subscribers", "import", str(tmp_path / "no.csv"), *SHOP))
    wrong = tmp_path / "wrong.csv"
    wrong.write_bytes(b"name\nAnn")
    assert "Missing: email, variant_id" in refused(run("subscribers", "import", str(wrong), *SHOP))
    assert run("subscribers", "demand", *SHOP, "--order", "luck").returncode == 2
