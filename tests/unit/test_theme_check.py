"""Shopify's own linter finds nothing in the theme extension, nor in a theme that uses the plain snippet.

Needs node and the package of tests/theme_check (npm ci). Without them the tests are left out, and say so.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tests" / "theme_check"
EXTENSION = ROOT / "extensions" / "notify-me"
LIMIT_S = 120
LAYOUT = '<!doctype html>\n<html lang="{{ request.locale.iso_code }}"><head>{{ content_for_header }}</head><body>{{ content_for_layout }}</body></html>\n'
SECTION = "{% render 'notify-me', product: product %}\n"


@pytest.fixture(scope="module", autouse=True)
def _tool() -> Iterator[None]:
    if shutil.which("node") is None:
        pytest.skip("node is not installed: Shopify's theme-check is left out")
    if not (TOOL / "node_modules" / "@shopify" / "theme-check-node").exists():
        pytest.skip(
            "theme-check is not installed and left out; to bring it: npm ci --prefix tests/theme_check"
        )
    yield


def findings(folder: Path, config: str, cache: Path) -> list[str]:
    """What theme-check says, one line each. Its cache is empty, so that it uses the documentation of its package."""
    ran = subprocess.run(
        ["node", str(TOOL / "run.cjs"), str(folder), str(TOOL / config)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return [f"{one['file']}:{one['line']} {one['check']}: {one['message']}" for one in found]


def test_theme_check_passes_the_extension(tmp_path: Path) -> None:
    assert findings(EXTENSION, "theme-app-extension.yml", tmp_path) == []


def test_theme_check_passes_a_theme_with_the_plain_snippet(tmp_path: Path) -> None:
    theme = tmp_path / "theme"
    for name in ("layout", "sections", "snippets", "assets"):
        (theme / name).mkdir(parents=True)
    (theme / "layout" / "theme.liquid").write_text(LAYOUT)
    (theme / "sections" / "product.liquid").write_text(SECTION)
    shutil.copy(ROOT / "extensions" / "snippet" / "notify-me.liquid", theme / "snippets")
    shutil.copy(EXTENSION / "snippets" / "notify-me-widget.liquid", theme / "snippets")
    for name in ("notify-me.js", "notify-me.css"):
        shutil.copy(EXTENSION / "assets" / name, theme / "assets")
    assert findings(theme, "theme.yml", tmp_path) == []


def test_theme_check_would_find_a_fault(tmp_path: Path) -> None:
    copy = tmp_path / "extension"
    shutil.copytree(EXTENSION, copy)
    (copy / "snippets" / "notify-me-widget.liquid").write_text("{{ 'no_such_text' | t }}{% if %}")
    assert findings(copy, "theme-app-extension.yml", tmp_path)
