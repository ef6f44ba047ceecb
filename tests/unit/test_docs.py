"""The documentation is whole: pages written from the code are current, dependencies explained, links lead somewhere."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

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
