"""The API of a real service, over HTTP: reached with a token from the command line, and saying what that says."""

import json
from collections.abc import Iterator
from datetime import datetime

import httpx2
import pytest

from tests.real_processes import DOMAIN, RunningShop, Service, running_service, running_shop

CATALOGUE = {
    "locations": [{"name": "Toronto", "primary": True}],
    "products": [
        {
            "title": "Harbour",
            "tags": ["shared"],
            "levels": 10,
            "variants": [{"title": "Framed"}, {"title": "Unframed"}],
        }
    ],
}
SHARE = {"shop": DOMAIN, "kind": "sync-across-variants", "options": {"product_tags": ["shared"]}}


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningShop]:
    with running_shop(CATALOGUE) as running:
        yield running


@pytest.fixture(scope="module")
def service(shop: RunningShop) -> Iterator[Service]:
    with running_service() as running:
        running.add_shop(shop)
        yield running


@pytest.fixture(scope="module")
def api(service: Service) -> Iterator[httpx2.Client]:
    token = service.command("token", "create", "tests", "--write").splitlines()[-1].strip()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(
        base_url=f"{service.url}/api/v1", headers=headers, trust_env=False, timeout=30
    ) as client:
        made = client.post("/automations", json=SHARE)
        assert made.status_code == 201, made.text
        service.until_adopted(1)
        service.until_idle()
        yield client


def items(client: httpx2.Client, path: str) -> list[dict]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def printed(service: Service, *command: str) -> list[dict]:
    found = json.loads(service.command(*command, "--json"))
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("shop", "list"), "/shops"),
        (("automation", "list"), "/automations"),
        (("automation", "kinds"), "/automation-kinds"),
        (("runs",), "/runs"),
        (("stock", "show", "--shop", DOMAIN), "/pools"),
    ],
)
def test_lists_have_every_field_that_the_command_line_prints(service, api, command, path) -> None:
    told, shown = printed(service, *command), items(api, path)
    assert len(told) == len(shown) > 0
    assert set(told[0]) <= set(shown[0])


def test_a_stock_has_one_shape_on_the_command_line_and_in_the_api(service, api) -> None:
    (printed_one,), (item,) = printed(service, "stock", "show", "--shop", DOMAIN), items(api, "/pools")
    moment = "updated_at"
    assert {**printed_one, moment: None} == {**item, moment: None}
    assert datetime.fromisoformat(printed_one[moment]) == datetime.fromisoformat(item[moment])


def test_single_things_have_every_field_that_the_command_line_prints(service, api) -> None:
    (automation,), (pool,) = items(api, "/automations"), items(api, "/pools")
    (shown,) = printed(service, "automation", "show", automation["id"])
    assert shown == {name: automation[name] for name in shown}
    (history,) = printed(service, "stock", "history", pool["pool"])
    told = api.get(f"/pools/{pool['pool']}/history").json()
    assert set(history) == set(told)
    assert [line["text"] for line in history["lines"]] == [line["text"] for line in told["lines"]]
    exported = json.loads(service.command("automation", "export", automation["id"]))
    assert exported == api.get(f"/automations/{automation['id']}/export").json()
    (run, *_) = items(api, "/runs")
    (story,) = printed(service, "explain", run["run"])
    assert set(story) - {"again"} <= set(api.get(f"/runs/{run['run']}").json())


def test_the_api_answers_beside_the_admin_site(service, api) -> None:
    described = api.get(f"{service.url}/api/openapi.json").json()
    assert described["info"]["title"] == "Stockwright"
    missing = api.get(f"{service.url}/api/v1/nothing")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    (entry,) = [run for run in items(api, "/runs?state=succeeded") if run["subject"] == "*"][:1]
    assert entry["shop"] == DOMAIN
