"""`stockwright offer` as a person types it: real commands against the real bundled shop."""

import psycopg
import pytest

from tests.journey.test_cli import add, data, done, refused, run, service  # noqa: F401 - fixtures
from tests.real_processes import DOMAIN, running_shop

CATALOGUE = {
    "locations": [{"name": "Main", "primary": True}],
    "products": [
        {"title": "Harbour", "levels": 0, "variants": [{"title": "Framed"}, {"title": "Unframed"}]},
        {"title": "Lamp", "variants": [{"title": "Red", "levels": 3}]},
    ],
}
MORE_OFFERS = """
insert into offers (shop_id, offer_id, name, description, status, pause_reason, mode, auto_disable, resume, pause_at_limit,
                    created_at, updated_at)
select shop_id, 'off_z' || lpad(n::text, 6, '0') || '_end', 'Offer ' || n, '', 'draft', '', 'out_of_stock', false, false, false,
       now(), now()
from shops, generate_series(0, %(count)s - 1) n
"""


@pytest.fixture(scope="module")
def shop():
    with running_shop(CATALOGUE) as running:
        yield running


@pytest.fixture
def harbour(run, shop) -> str:  # noqa: F811
    """The number of the product that is sold out, in a shop that is added."""
    done(add(run, shop))
    return product(shop, "Harbour")["id"].rsplit("/", 1)[-1]


def product(shop, title: str) -> dict:
    return next(one for one in shop.state()["products"] if one["title"] == title)


def create(run, harbour: str, *more: str):  # noqa: F811
    return run("offer", "create", "Spring", "--shop", DOMAIN, "--product", harbour, *more)


def test_an_offer_is_made_shown_changed_and_ended(run, harbour) -> None:  # noqa: F811
    made = data(create(run, harbour, "--auto-disable", "--ends", "2099-12-31 23:00", "--activate", "--json"))
    assert (made["status"], made["products"], made["auto_disable"]) == ("active", 1, True)
    assert "No automation “notify-back-in-stock”" in made["notices"][0]
    end = made["id"][-8:]
    assert "Changed 'Summer'" in done(run("offer", "set", end, "--name", "Summer", "--ends", "none"))
    shown = data(run("offer", "show", end, "--json"))
    assert (shown["name"], shown["ends_at"], shown["covers"][0]["product_title"]) == (
        "Summer",
        None,
        "Harbour",
    )
    assert "Harbour" in done(run("offer", "show", end))
    assert "is paused" in done(run("offer", "pause", end))
    assert "is active again" in done(run("offer", "resume", end))
    assert [row["id"] for row in data(run("offer", "list", "--json"))] == [made["id"]]
    assert "delete is not possible" in refused(run("offer", "delete", end, "--yes"))
    assert "is completed" in done(run("offer", "complete", end, "--yes"))
    assert "is archived" in done(run("offer", "archive", end, "--yes"))
    assert data(run("offer", "list", "--json")) == []
    assert len(data(run("offer", "list", "--status", "archived", "--json"))) == 1
    assert "Deleted" in done(run("offer", "delete", end, "--yes"))


def test_items_are_added_and_taken_out_by_number(run, shop, harbour) -> None:  # noqa: F811
    made = data(create(run, harbour, "--json"))
    lamp = product(shop, "Lamp")["id"]
    assert "Added 1; 0 were there already." in done(run("offer", "add-items", made["id"], "--product", lamp))
    assert "Removed 1; 1 was not there." in done(
        run("offer", "remove-items", made["id"], "--product", harbour, "--variant", "404")
    )
    assert [item["product_title"] for item in data(run("offer", "show", made["id"], "--json"))["covers"]] == [
        "Lamp"
    ]


def test_what_is_typed_wrong_is_told_with_what_to_do(run, harbour) -> None:  # noqa: F811
    assert "'soon' is no date and time" in refused(create(run, harbour, "--starts", "soon"))
    assert "'many' is no limit" in refused(create(run, harbour, "--limit-total", "many"))
    assert "The shop has no gid://shopify/Product/404" in refused(create(run, "404"))
    assert "Auto-disable works only" in refused(create(run, harbour, "--mode", "always", "--auto-disable"))
    assert "See them with: stockwright offer list" in refused(run("offer", "show", "nowhere"))
    assert run("offer", "set", "nowhere").returncode == 2
    assert data(run("offer", "list", "--json")) == []


def test_why_tells_each_variants_reason_also_on_the_free_plan(run, harbour) -> None:  # noqa: F811
    done(create(run, harbour, "--activate"))
    rows = data(run("offer", "why", harbour, "--shop", DOMAIN, "--json"))
    assert [(row["title"], row["notify"], row["reason"]) for row in rows] == [
        ("Framed", False, "off"), ("Unframed", False, "off"),
    ]  # fmt: skip
    assert "is on the free plan" in done(run("shop", "set", DOMAIN, "--plan", "free"))
    assert "free plan" in data(run("offer", "why", harbour, "--shop", DOMAIN, "--json"))[0]["why"]
    assert data(run("offer", "list", "--json"))[0]["status"] == "active"
    assert "has no product gid://shopify/Product/404" in refused(run("offer", "why", "404", "--shop", DOMAIN))


def test_an_offer_is_found_by_the_end_of_its_id_and_listed_however_many_there_are(
    run,  # noqa: F811
    harbour,
    database,
) -> None:
    made = data(create(run, harbour, "--json"))
    with psycopg.connect(database) as conn:
        conn.execute(MORE_OFFERS, {"count": 1200})
    listed = data(run("offer", "list", "--shop", DOMAIN, "--json"))
    assert len({row["id"] for row in listed}) == len(listed) == 1201
    assert data(run("offer", "show", made["id"][-8:], "--json"))["id"] == made["id"], "older than all others"
    assert "Several offers end in '_end'" in refused(run("offer", "show", "_end"))
    assert "There is no offer '%end'" in refused(run("offer", "show", "%end"))
    changed = data(run("offer", "set", made["id"][-8:], "--name", "Autumn", "--json"))
    assert (changed["id"], changed["name"]) == (made["id"], "Autumn")
    added = data(run("offer", "add-items", made["id"], "--product", harbour, "--json"))
    assert added == {"id": made["id"], "done": 0, "unchanged": 1}
