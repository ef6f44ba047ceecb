"""What a process logs: one form for all libraries, and never the variables of a traceback."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys, structlog
from stockwright import log
log.set_up(level="info", style=sys.argv[1])
def sign(secret):
    raise RuntimeError("no luck")
structlog.get_logger("ours").info("hello", shop_id=7)
structlog.get_logger("ours").debug("not wanted")
logging.getLogger("a.library").warning("beware of %s", "dogs")
logging.getLogger("procrastinate.worker").info("not wanted")
try:
    sign("hush")
except RuntimeError:
    structlog.get_logger("ours").exception("failed")
"""


def _logged(style: str) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM, style], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def test_json_is_one_object_per_line_from_us_and_from_libraries() -> None:
    lines = [json.loads(line) for line in _logged("json").splitlines()]
    assert [(line["level"], line["logger"], line["event"]) for line in lines] == [
        ("info", "ours", "hello"),
        ("warning", "a.library", "beware of dogs"),
        ("error", "ours", "failed"),
    ]
    assert lines[0]["shop_id"] == 7
    assert "RuntimeError: no luck" in lines[2]["exception"]


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_shows_no_local_variables(style: str) -> None:
    text = _logged(style)
    assert "no luck" in text
    assert "secret = " not in text
    assert "secret':" not in text


def test_the_form_for_people_has_a_line_for_each_happening() -> None:
    lines = _logged("console").splitlines()
    assert "hello" in lines[0]
    assert "shop_id=7" in lines[0]
    assert "beware of dogs" in lines[1]
    assert "not wanted" not in "".join(lines)


@pytest.mark.parametrize("role", ["supervising", "serving", "working"])
def test_the_services_processes_start_without_what_they_do_not_need_yet(role: str) -> None:
    look = f"import sys, stockwright.{role}; sys.exit(' '.join({{'rich', 'pygments', 'typer', 'graphql'}} & {{*sys.modules}}))"
    ran = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stderr.strip() == ""
