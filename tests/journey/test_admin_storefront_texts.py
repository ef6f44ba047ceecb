"""The pages of storefront texts: every language can be changed, copied and restored, and shoppers read the result."""

from collections.abc import Iterator

import pytest

from stockwright.notify.texts import NAMES
from tests.browser.site import RunningSite, running_site
from tests.journey.test_admin_mail import actions
from tests.journey.test_admin_security import Visitor

HREF = "/mail/storefront-texts"


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
    return site.add_shop()


def own(site: RunningSite) -> list[tuple[str, str, str]]:
    return site.execute("select locale, name, text from storefront_texts order by locale, name")


def test_a_text_is_changed_shown_as_own_and_restored_by_emptying_it(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    path = f"{HREF}/{shop_id}/de"
    assert ann.form(path, button="  Sagt\nmir Bescheid ", confirmed="Fertig: {item}").status_code == 303
    assert own(site) == [("de", "button", "Sagt mir Bescheid"), ("de", "confirmed", "Fertig: {item}")]
    page = ann.client.get(path).text
    assert "Sagt mir Bescheid" in page and "Built in: Benachrichtigen" in page
    assert "2 of your own" in ann.client.get(HREF).text
    ann.form(path, button="", confirmed="Fertig: {item}")
    assert own(site) == [("de", "confirmed", "Fertig: {item}")]
    assert actions(site) == ["storefront_texts.change"] * 2


def test_saving_what_is_built_in_stores_nothing(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    assert ann.form(f"{HREF}/{shop_id}/en", button="Notify me", close="x").status_code == 303
    assert own(site) == [] and actions(site) == []


def test_a_wrong_text_is_refused_beside_it_and_nothing_is_stored(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    answer = ann.form(f"{HREF}/{shop_id}/fr", button="Oui", submit="{item}", heading="x" * 501)
    assert answer.status_code == 422
    assert "{item} is not filled in here" in answer.text and "at most 500 characters" in answer.text
    assert own(site) == []


def test_a_language_is_copied_made_and_removed(site: RunningSite, ann: Visitor, shop_id: int) -> None:
    ann.form(f"{HREF}/{shop_id}/de", button="Sagt mir Bescheid")
    assert ann.form(f"{HREF}/{shop_id}/copy", source="de", target="nl").status_code == 303
    assert len([one for one in own(site) if one[0] == "nl"]) == len(NAMES)
    assert ("nl", "button", "Sagt mir Bescheid") in own(site)
    assert "(nl) get English then" in ann.client.get(f"{HREF}/{shop_id}/nl/restore").text
    ann.form(f"{HREF}/{shop_id}/nl/restore")
    assert own(site) == [("de", "button", "Sagt mir Bescheid")]
    assert ann.client.get(f"{HREF}/{shop_id}/nl").status_code == 404


@pytest.mark.parametrize(
    ("source", "target"), [("de", "nonsense!"), ("xx", "nl"), ("de", "de"), ("de", ""), ("", "nl")]
)
def test_a_copy_that_makes_no_sense_is_refused(
    site: RunningSite, ann: Visitor, shop_id: int, source: str, target: str
) -> None:
    assert ann.form(f"{HREF}/{shop_id}/copy", source=source, target=target).status_code == 422
    assert own(site) == []


def test_texts_are_shown_as_text_and_given_to_translators(
    site: RunningSite, ann: Visitor, shop_id: int
) -> None:
    path = f"{HREF}/{shop_id}/en"
    ann.form(path, button="<script>alert(1)</script>", submit="=1+1")
    assert "<script>alert(1)" not in ann.client.get(path).text
    lines = ann.client.get(f"{path}?format=csv").text.splitlines()
    assert len(lines) == len(NAMES) + 1 and "submit,'=1+1" in lines
    assert (
        ann.client.get(f"{HREF}/{shop_id}/EN").status_code
        == ann.client.get(f"{HREF}/999/en").status_code
        == 404
    )
