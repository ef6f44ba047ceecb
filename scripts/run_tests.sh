#!/usr/bin/env bash
# Runs every test; without Chromium or theme-check it says which it leaves out and how to bring them.
set -uo pipefail
# Chromium without its window takes half the time.
chromium=$(command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$chromium" ] || [ ! -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] || chromium="/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
skip=()
if [ -z "$chromium" ]; then
  echo "Chromium is not installed: the browser tests (tests/browser) are left out."
  echo "To run them too: apt-get install -y chromium    (macOS: brew install --cask google-chrome)"
  skip=(--ignore=tests/browser)
fi
if ! command -v node >/dev/null 2>&1 || [ ! -d tests/theme_check/node_modules ]; then
  echo "Shopify's theme-check is not installed: tests/unit/test_theme_check.py is left out."
  echo "To run it too (needs node): npm ci --prefix tests/theme_check"
fi
unset PYTHONDONTWRITEBYTECODE  # the tests start hundreds of processes, which would compile everything anew
workers=$(.venv/bin/python -c 'import os; print(min(4, os.cpu_count() or 1))')
STOCKWRIGHT_TEST_CHROMIUM="$chromium" exec .venv/bin/python -m pytest -n "$workers" --dist loadfile --no-loadscope-reorder "${skip[@]+"${skip[@]}"}" "$@"
