#!/usr/bin/env bash
# Runs every test; without Chromium it says which it leaves out and how to bring it.
set -uo pipefail
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$chromium" ] || [ ! -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] || chromium="/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
skip=()
if [ -z "$chromium" ]; then
  echo "Chromium is not installed: the browser tests (tests/browser) are left out."
  echo "To run them too: apt-get install -y chromium    (macOS: brew install --cask google-chrome)"
  skip=(--ignore=tests/browser)
fi
STOCKWRIGHT_TEST_CHROMIUM="$chromium" exec .venv/bin/python -m pytest "${skip[@]+"${skip[@]}"}" "$@"
