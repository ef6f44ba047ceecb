"""Takes a screenshot of every registered page, at two widths, light and dark, into screenshots/.

Run by `make screenshots`; a name given as argument limits it to pages whose file name contains it.
"""

import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page

from stockwright.access import setup_token
from stockwright.deps import Deps
from stockwright.web.admin import SECTIONS
from tests.browser.chromium import chromium
from tests.browser.conftest import sign_in
from tests.browser.seeding import fill
from tests.browser.site import RunningSite, running_site
from tests.postgres_fixture import throwaway_server

FOLDER = Path(__file__).parents[1] / "screenshots"
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
_HEIGHT = 900
_HIGHEST = 6000  # longer pages are cut: one sees enough


def main(only: str) -> int:
    """Take them; how many are there is said at the end."""
    if not only:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(exist_ok=True)
    with throwaway_server() as server, chromium() as browser:
        with running_site(server.fresh_database()) as empty:
            shots(browser, empty, {"setup": setup_path(empty)}, only, signed=False)
            empty.add_user()
            shots(browser, empty, {"home-empty": "/"}, only)
        with running_site(server.fresh_database()) as site:
            names = fill(site)
            shots(browser, site, {"sign-in": "/sign-in?out=1"}, only, signed=False)
            shots(browser, site, pages(names), only)
    print(f"{len(list(FOLDER.glob('*.png')))} screenshots in {FOLDER}")
    return 0


def setup_path(site: RunningSite) -> str:
    """The page that makes the first user."""

    async def link(deps: Deps) -> str | None:
        async with deps.database.connection() as conn:
            return await setup_token(conn, now=deps.clock())

    return f"/setup/{site.run(link)}"


def pages(names: dict[str, str]) -> dict[str, str]:
    """File names and addresses of all registered pages, and of a page that is not there."""
    paths = [path for section in SECTIONS for path in section.samples]
    named = {_file_name(path): path for path in paths}
    return {name: path.format_map(names) for name, path in named.items()} | {"not-found": "/not/there"}


def _file_name(path: str) -> str:
    """Letters, digits, _ and - only: whoever looks at the files may use any system."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", path.replace("}", "").replace("{", "")).strip("-") or "home"


def shots(
    browser: Browser, site: RunningSite, wanted: dict[str, str], only: str, *, signed: bool = True
) -> None:
    """Visit pages at every width in every scheme."""
    chosen = {name: path for name, path in wanted.items() if only in name}
    for width in WIDTHS:
        for scheme in SCHEMES:
            if not chosen:
                continue
            context = browser.new_context(
                base_url=site.url,
                viewport={"width": width, "height": _HEIGHT},
                color_scheme=scheme,  # type: ignore[arg-type]
                reduced_motion="reduce",
            )
            page = context.new_page()
            if signed:
                sign_in(page)
            for name, path in chosen.items():
                shoot(page, path, FOLDER / f"{name}-{width}-{scheme}.png")
            context.close()


def shoot(page: Page, path: str, file: Path) -> None:
    """One page, whole: in a window as high as the page, so that frames load and bars stand where they belong."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    width, height = page.viewport_size["width"], _HEIGHT  # type: ignore[index]
    whole = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(height, min(whole, _HIGHEST))})
    page.wait_for_load_state("networkidle")
    for frame in page.frames:
        frame.wait_for_load_state("load")
    page.screenshot(path=str(file))
    page.set_viewport_size({"width": width, "height": height})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
