"""How Chromium is started: the one of the machine, in which nothing calls home."""

import os

from playwright.sync_api import Browser, Playwright

_QUIET = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launch(playwright: Playwright) -> Browser:
    """The browser of STOCKWRIGHT_TEST_CHROMIUM, or Debian's."""
    path = os.environ.get("STOCKWRIGHT_TEST_CHROMIUM") or "/usr/bin/chromium"
    return playwright.chromium.launch(executable_path=path, args=list(_QUIET))
