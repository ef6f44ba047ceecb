"""What the owner of shared stock reads where options are wrong: the same words by code, command, API and form."""

import html
import json
from collections.abc import Mapping, Sequence

import pytest

from stockwright import installing
from stockwright.model import StockwrightError
from tests.journey.api_client import play as play_api
from tests.journey.listings import add_listing
from tests.journey.service import DOMAIN, play
from tests.journey.service import Service as Journey
from tests.journey.test_admin_automations import ann, shop_id, site  # noqa: F401 - fixtures
from tests.journey.test_cli import DOMAIN as REAL_DOMAIN
from tests.journey.test_cli import add, done, refused, run, service, shop  # noqa: F401 - fixtures

ACROSS, WITHIN = "sync-across-variants", "keep-in-sync-within-products"

# The reference's own words, letter by letter.
CHOOSE_ONE = "You must choose to monitor products either by tags or types."
NOT_BOTH = "Choose to monitor products either by tags or types, but not both."

Options = Mapping[str, Sequence[str] | str]
CASES: tuple[tuple[str, Options, str], ...] = (
    (ACROSS, {}, CHOOSE_ONE),
    (ACROSS, {"product_tags": ["a"], "product_types": ["Print"]}, NOT_BOTH),
    (
        ACROSS,
        {"product_tags": ["a"], "locations": "named", "location_names": ["Rome"]},
        "Available locations: Toronto.",
    ),
    (WITHIN, {"location_names": ["Rome"]}, "Available locations: Toronto."),
    (ACROSS, {"product_types": ["Mug"]}, "No product has the type 'Mug'. Product types of this shop: "),
    (WITHIN, {"product_types": ["Mug"]}, "No product has the type 'Mug'. Product types of this shop: "),
)
WRONG = pytest.mark.parametrize(
    ("kind", "options", "says"),
    CASES,
    ids=["neither", "both", "across-place", "within-place", "across-type", "within-type"],
)


def furnish(journey: Journey) -> None:
    journey.shop.add_location("Toronto")
    add_listing(journey.shop)


@WRONG
def test_by_code(emptied, kind: str, options: Options, says: str) -> None:
    async def story(journey: Journey) -> None:
        furnish(journey)
        with pytest.raises(StockwrightError) as refusal:
            await journey.add(kind, **options)
        assert says in str(refusal.value)

    play(emptied, story)


@WRONG
def test_by_api(emptied, kind: str, options: Options, says: str) -> None:
    async def story(api) -> None:
        furnish(api.service)
        wanted = {"shop": DOMAIN, "kind": kind, "options": options}
        answer = await api.client.post("/automations", json=wanted)
        assert answer.status_code == 422
        assert says in json.dumps(answer.json())
        assert (await api.client.get("/automations")).json()["items"] == []

    play_api(emptied, story)


@WRONG
def test_by_form(ann, shop_id, kind: str, options: Options, says: str) -> None:  # noqa: F811
    lists = {name: value if isinstance(value, str) else ", ".join(value) for name, value in options.items()}
    values = {"_csrf": ann.token(), "shop": str(shop_id), **lists}
    answer = ann.client.post(f"/automations/add/{kind}", data=values)
    assert answer.status_code == 422
    assert says in html.unescape(answer.text)


def test_by_command(run, shop) -> None:  # noqa: F811
    done(add(run, shop))
    for kind, options, says in CASES:
        given = [
            part
            for name, value in options.items()
            for part in ("-o", f"{name}={value if isinstance(value, str) else ','.join(value)}")
        ]
        assert says in " ".join(
            refused(run("automation", "add", kind, "--shop", REAL_DOMAIN, *given)).split()
        )


def test_a_list_of_numbers_is_a_list_of_names(run, shop) -> None:  # noqa: F811
    done(add(run, shop))
    shown = done(run("automation", "add", ACROSS, "--shop", REAL_DOMAIN, "-o", "product_tags=2024", "--json"))
    assert json.loads(shown)["options"]["product_tags"] == ["2024"]


def test_a_number_for_a_list_is_told_in_words(emptied) -> None:
    async def story(journey: Journey) -> None:
        furnish(journey)
        with pytest.raises(StockwrightError, match="product_tags: Give a list of names"):
            await journey.add(ACROSS, product_tags=2024)

    play(emptied, story)


def test_a_deactivated_location_is_refused_and_one_deactivated_later_stops_no_other(emptied) -> None:
    async def story(journey: Journey) -> None:
        toronto, montreal = journey.shop.add_location("Toronto"), journey.shop.add_location("Montreal")
        poster = add_listing(journey.shop)
        row = await journey.add(WITHIN, location_names=["Toronto", "Montreal"])
        for title in "ABC":
            journey.shop.edit(poster.item(title), montreal, 0)
        await journey.wait(60)
        journey.shop.set_location_active(montreal, active=False)
        with pytest.raises(StockwrightError, match=r"'Montreal' is deactivated.*Active locations: Toronto\."):
            await installing.change(journey.deps, row, options={"raise_settle_s": 1})
        poster.sell("A", location=toronto)
        await journey.settle()
        assert poster.levels(toronto) == [9, 9, 9]

    play(emptied, story)


def test_a_shop_with_many_types_is_told_only_some_of_them(emptied) -> None:
    async def story(journey: Journey) -> None:
        journey.shop.add_location("Toronto")
        for number in range(60):
            add_listing(journey.shop, f"Poster {number}", product_type=f"Type {number:02}")
        with pytest.raises(StockwrightError, match=r"Type 49 and 10 more\.$"):
            await journey.add(WITHIN, product_types=["Mug"])

    play(emptied, story)
