"""The stock pages without a browser: paging, CSV, decisions against a real shop, and answers that came too late."""

import csv
import io
import re
from collections.abc import Iterator

import pytest

from tests.browser.site import RunningSite, running_site
from tests.browser.stocks import Story, add_automation, assumed_story, at, frozen_story
from tests.journey.listings import add_listing
from tests.journey.test_admin_security import Visitor


@pytest.fixture
def site(database: str) -> Iterator[RunningSite]:
    with running_site(database) as running:
        running.add_user()
        yield running


@pytest.fixture
def ann(site: RunningSite) -> Visitor:
    visitor = Visitor(site)
    assert visitor.sign_in().status_code == 303
    return visitor


@pytest.fixture
def shop_id(site: RunningSite) -> int:
    made = site.add_shop()
    add_automation(site, made)
    return made


def keep(site: RunningSite, shop_id: int, *stories: Story) -> None:
    for story in stories:
        site.run(lambda deps, story=story: story.save(deps, shop_id))


def plain(site: RunningSite, number: int, **given: str) -> Story:
    title = given.pop("title", f"Poster {number}")
    story = Story(
        pool_id=f"pool_{number:03}", title=title, names=["Framed", "Unframed"], at=at(site, minutes=99)
    )
    return story.adopted(12).sold("Framed", 2)


def actions(site: RunningSite) -> list[tuple[str, str]]:
    return site.execute(
        "select action, user_name from audit_log where action like 'stock.%%' order by entry_id"
    )


def test_pages_follow_one_another_with_every_stock_once_and_frozen_ones_first(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    keep(site, shop_id, *(plain(site, number) for number in range(70)), frozen_story(at(site, minutes=60)))
    path, seen = "/stock", []
    while path:
        text = ann.client.get(path).text
        seen += re.findall(r'<th scope="row"><a href="/stock/(pool_\w+)"', text)
        older = re.search(r'href="([^"]+)" rel="next"', text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == ["pool_frozen", *(f"pool_{number:03}" for number in range(70))]


def test_the_list_is_a_csv_file_in_which_no_title_is_a_formula(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    keep(site, shop_id, plain(site, 1, title='=HYPERLINK("https://evil.example")'))
    answer = ann.client.get("/stock?format=csv")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert answer.headers["content-type"].startswith("text/csv")
    assert row["title"].startswith("'=")
    assert (row["stock"], row["levels"], row["differences"]) == ("10", "Framed 10; Unframed 10", "")


def test_a_product_is_found_by_its_number_its_gid_and_a_part_of_its_title(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    keep(site, shop_id, plain(site, 1), plain(site, 2))
    gid = site.execute("select product_id from pools where pool_id = 'pool_002'")[0][0]
    for product in (gid, gid.rsplit("/", 1)[1], "POSTER 2"):
        text = ann.client.get("/stock", params={"product": product}).text
        assert re.findall(r'href="/stock/(pool_\d+)"', text) == ["pool_002"]


def test_old_history_is_reached_page_by_page_and_as_a_file(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    story = plain(site, 1)
    for _ in range(80):
        story.sold("Framed", 1)
    keep(site, shop_id, story)
    first = ann.client.get("/stock/pool_001").text
    assert "adopted with" not in first
    older = re.search(r'href="(/stock/pool_001\?before=\d+)" rel="next"', first)
    assert older is not None
    assert "adopted with a shared stock of 12" in ann.client.get(older[1]).text
    rows = list(csv.DictReader(io.StringIO(ann.client.get("/stock/pool_001?format=csv").text)))
    assert "adopted with a shared stock of 12" in rows[-1]["what"]


def test_levels_are_adopted_from_the_shop_with_the_stock_that_a_person_gives(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    poster = add_listing(
        site.shop, "Nyhavn", titles=("Framed", "Unframed"), levels=(5, 4), product_type="Art print"
    )
    items, location = [poster.item("Framed"), poster.item("Unframed")], poster.first_location
    keep(
        site, shop_id,
        frozen_story(at(site, minutes=60), product_id=poster.gid, item_ids=items, location_id=location),
    )  # fmt: skip
    answer = ann.form(
        "/stock/pool_frozen/resolve?answer=adopt_levels&stock=5", answer="adopt_levels", stock="5"
    )
    assert answer.status_code == 303
    assert "Booked for Nyhavn at dawn" in ann.client.get("/stock/pool_frozen").text
    assert site.execute("select stock, status from pools") == [(5, "active")]
    assert actions(site) == [("stock.resolve", "ann")]


def test_an_answer_to_an_earlier_freeze_is_refused(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    keep(site, shop_id, frozen_story(at(site, minutes=60)))
    token = ann.token("/stock/pool_frozen/resolve?answer=was_applied")
    form = {"_csrf": token, "answer": "was_applied", "since": "2026-01-01T00:00:00+00:00"}
    ann.client.post("/stock/pool_frozen/resolve", data=form)
    assert "froze anew since you looked" in ann.client.get("/stock/pool_frozen").text
    assert site.execute("select status from pools") == [("frozen",)]
    assert actions(site) == []


def test_nothing_is_decided_about_a_stock_that_is_not_frozen(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    keep(site, shop_id, plain(site, 1))
    answer = ann.client.get("/stock/pool_001/resolve?answer=was_applied")
    assert answer.status_code == 400
    assert "not frozen any more" in answer.text


def test_a_review_changes_no_number_and_keeps_the_pools_wake_up_time(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    keep(site, shop_id, assumed_story(at(site, minutes=60)))
    site.execute("update pools set wake_at = now() + interval '1 hour'")
    before = site.execute("select stock, wake_at, version from pools")[0]
    token = ann.token("/stock/pool_assumed")
    ann.client.post("/stock/pool_assumed/review", data={"_csrf": token})
    stock, wake_at, version = site.execute("select stock, wake_at, version from pools")[0]
    assert (stock, wake_at, version) == (before[0], before[1], before[2] + 1)
    assert site.execute("select assumed from pools") == [(0,)]
    assert actions(site) == [("stock.review", "ann")]
    again = ann.client.post("/stock/pool_assumed/review", data={"_csrf": token})
    assert again.status_code == 303
    assert "There is nothing to review." in ann.client.get("/stock/pool_assumed").text


@pytest.mark.parametrize("path", ["/stock/no_such", "/stock/no_such/resolve?answer=was_applied"])
def test_a_stock_that_is_not_there_is_a_page_that_says_so(ann: Visitor, path: str) -> None:
    answer = ann.client.get(path)
    assert answer.status_code == 404
    assert "There is no such shared stock" in answer.text


def test_odd_addresses_are_no_fault(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    keep(site, shop_id, plain(site, 1))
    odd = (
        "/stock?before=zzz:1",
        "/stock?shop=999999999999999999999&state=x",
        "/stock/pool_001?before=0",
        "/stock/pool_001?before=²",
    )
    assert {ann.client.get(path).status_code for path in odd} == {200}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("harbour", ["Harbour at dawn, 50 × 70"]),
        ("DAWN harb", ["Harbour at dawn, 50 × 70"]),
        ("50x70", []),
        ("× 70", ["Harbour at dawn, 50 × 70"]),
        ("élé", ["L’Éléphant: tome-2"]),
        ("tome 2", ["L’Éléphant: tome-2"]),
        ("harbour élé", []),
        ("'; & | ! :* <->", []),
        ("\\", []),
    ],
)
def test_a_title_is_found_by_words_or_their_beginnings(
    site: RunningSite, ann: Visitor, shop_id: int, typed: str, found: list[str]
) -> None:
    keep(site, shop_id, plain(site, 1, title="Harbour at dawn, 50 × 70"), plain(site, 2, title="Old"))
    site.execute("update pools set title = 'L’Éléphant: tome-2' where title = 'Old'")
    text = ann.client.get("/stock?format=csv", params={"product": typed, "format": "csv"}).text
    assert [row["title"] for row in csv.DictReader(io.StringIO(text))] == found


def test_a_dissolved_stock_leaves_no_words_behind(site: RunningSite, shop_id: int) -> None:
    keep(site, shop_id, plain(site, 1))
    assert site.execute("select count(*) from pool_words") == [(1,)]
    site.execute("delete from pools")
    assert site.execute("select count(*) from pool_words") == [(0,)]
