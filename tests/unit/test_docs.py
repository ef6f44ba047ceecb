"""The documentation is whole: pages written from the code are current, dependencies explained, links lead somewhere."""

import asyncio
import itertools
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx2

from shopify_emulator import Fault, WebhookFault, switch_modes
from shopify_emulator.__main__ import arguments, build, serving
from shopify_emulator.control import control_routes

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_pages_written_from_the_code_are_current() -> None:
    ran = subprocess.run(
        [sys.executable, "scripts/write_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def direct_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.split(r"[\[<>=!~; ]", text, maxsplit=1)[0] for group in groups for text in group}


def test_every_direct_dependency_has_its_sentence() -> None:
    page = (DOCS / "dependencies.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", page, re.MULTILINE))
    assert set(told) == direct_dependencies()
    assert all(why.endswith(".") for why in told.values()), "a reason is a sentence"


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken, "links to nothing: " + ", ".join(broken)


def test_tests_that_pages_name_exist() -> None:
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"`(tests/[a-z0-9_/.]+)`", page.read_text(encoding="utf-8"))
    }
    missing = sorted((page, path) for page, path in named if not (ROOT / path).exists())
    assert not missing, f"named but not there: {missing}"


def test_every_decision_record_is_listed() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    missing = [path.name for path in sorted((DOCS / "decisions").glob("*.md")) if path.name not in page]
    assert not missing, f"docs/architecture.md does not list {missing}"


def test_modules_of_the_package_stand_in_the_architecture() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "stockwright"
    modules = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    missing = sorted(module for module in modules - {"__init__", "__main__"} if f"`{module}`" not in page)
    assert not missing, f"docs/architecture.md does not say what these are for: {missing}"


# --- docs/bundled-shop.md -----------------------------------------------------------------------------------

SHOP_PAGE = (DOCS / "bundled-shop.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading."""
    text = SHOP_PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [re.split(r" ?\| ?", line.strip("| ")) for line in text.splitlines() if line.startswith("| ")]
    return rows[1:]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_bundled_shops_page_has_its_options_and_their_defaults() -> None:
    told = {names(row[0])[0]: (names(row[1]) or [""])[0] for row in table("Run it alone")}
    actions = [action for action in arguments()._actions if action.dest != "help"]
    assert told == {action.option_strings[0]: str(action.default or "") for action in actions} | {
        "--seed": "0"
    }


def test_the_bundled_shops_page_has_every_switch_with_its_modes() -> None:
    assert {names(row[0])[0]: tuple(names(row[1])) for row in table("Switches")} == switch_modes()


def test_the_bundled_shops_page_has_every_fault() -> None:
    told = [name for row in table("Faults") for name in names(row[0])]
    assert sorted(told) == sorted([*Fault, *WebhookFault])


def test_the_bundled_shops_page_has_every_address_of_the_control_api() -> None:
    told = [name for row in table("The control API") for name in names(row[0])]
    there = [f"{'POST' if 'POST' in route.methods else 'GET'} {route.path}" for route in control_routes()]
    assert sorted(told) == sorted(there)


def curls() -> list[list[str]]:
    """The words of every `curl` on the page; a command goes on until the next line that starts one, or the end."""
    blocks = re.findall(r"^```\n(curl .*?)^```$", SHOP_PAGE, re.MULTILINE | re.DOTALL)
    return [
        shlex.split(text)
        for block in blocks
        for text in re.split(r"^(?=curl )", block, flags=re.MULTILINE)
        if text
    ]


def request_of(words: list[str]) -> httpx2.Request:
    """The request that curl makes of these words."""
    options = list(itertools.pairwise(words))
    url = next(word for word in words if word.startswith("http://127.0.0.1:9000/"))
    data = [value for option, value in options if option == "-d"]
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    return httpx2.Request("POST" if data else "GET", url, content="&".join(data), headers=headers)


def test_every_curl_of_the_bundled_shops_page_runs() -> None:
    app = serving(build(arguments().parse_args([])))

    async def story() -> list[tuple[str, httpx2.Response]]:
        transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 5))
        async with httpx2.AsyncClient(transport=transport) as client:
            return [(shlex.join(words), await client.send(request_of(words))) for words in curls()]

    answers = asyncio.run(story())
    failed = [f"{command}\n  {answer.text}" for command, answer in answers if answer.status_code != 200]
    assert not failed, "\n".join(failed)
    assert [answer.text for _, answer in answers if '"errors"' in answer.text] == []
    called = {answer.request.url.path for _, answer in answers}
    assert called >= {route.path for route in control_routes()}, "an address without an example"


def test_every_page_that_the_bundled_shops_addresses_name_is_there() -> None:
    app = serving(build(arguments().parse_args([])))
    pages = [
        name for row in table("Addresses") for name in names(row[0]) if not re.search("admin|[A-Z]", name)
    ]

    async def statuses() -> dict[str, int]:
        transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 5))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:9000") as client:
            return {page: (await client.get(page)).status_code for page in pages}

    assert asyncio.run(statuses()) == dict.fromkeys(pages, 200)
    assert len(pages) >= 5
