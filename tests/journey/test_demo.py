"""`stockwright demo`: the scripted story as real processes, its first start and its next, and how it fails."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psycopg

from stockwright.opening import database
from stockwright.settings import load
from tests.real_processes import children_of, clean_environment, free_port, temporary_demo_home, wait_until

LIMIT_S = 180.0
STEPS = 13
A_SHOP = """
insert into shops (domain, api_url, auth_mode, secrets, timezone)
values ('real.myshopify.com', '', 'access_token', '', 'UTC')
"""


def arguments(*more: str) -> list[str]:
    return [sys.executable, "-m", "stockwright", "demo", "--shop-port", str(free_port()), *more]


def environment(home: Path, **more: str) -> dict[str, str]:
    return clean_environment({"STOCKWRIGHT_HOME": str(home), "STOCKWRIGHT_PORT": str(free_port()), **more})


def played(home: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        arguments("--scripted"),
        env=environment(home, **more),
        cwd=home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=LIMIT_S,
        check=False,
    )


def sign_in_as_told(page: str) -> None:
    found = re.search(r"(http\S+)/   sign in as (\S+) with the password (\S+)", page)
    assert found is not None, page
    url, name, password = found.groups()
    with httpx2.Client(base_url=url, trust_env=False) as browser:
        field = re.search(r'name="_csrf" value="(\w+)"', browser.get("/sign-in").text)
        assert field is not None
        form = {"_csrf": field.group(1), "name": name, "password": password}
        assert browser.post("/sign-in", data=form).headers["location"] == "/"
        assert "All is well" in browser.get("/").text


def ask_on_the_page_of_what_is_sold_out(page: str) -> None:
    found = re.search(r"Sold out +((http\S+)/products/\S+\?variant=(\d+))", page)
    assert found is not None, page
    address, shop, variant = found.groups()
    form = {"variant": variant, "email": "ann@example.com", "website": ""}
    with httpx2.Client(trust_env=False, headers={"Accept": "application/json"}) as browser:
        assert f'data-variant="{variant}"' in browser.get(address).text
        answer = browser.post(f"{shop}/apps/stockwright/notify-me", data=form)
    assert (answer.status_code, answer.json()["ok"]) == (200, True), answer.text


def test_every_step_of_the_story_holds_and_is_proved() -> None:
    with temporary_demo_home() as home:
        told = played(home)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("\nok   ") == STEPS
    assert "Every step held." in told.stdout
    ledgers = re.findall(
        r"The ledger of Night Tram No. 4, Toronto, whose shared stock is (\d+):", told.stdout
    )
    assert ledgers == ["60", "59", "57", "59", "29", "28", "25", "23"], "after each step, the ledger"
    assert "The ledger of Winter Birches, Toronto, whose shared stock is 51:" in told.stdout
    assert "sale or edit of -1 on Framed / 8×10 in: 60 -> 59; the stock is 59" in told.stdout
    told_of_ledgers = told.stdout.split("One run, explained")[0].splitlines()
    assert max(len(line) for line in told_of_ledgers if line.startswith(" " * 7)) < 120, (
        "no wider than a terminal"
    )
    assert "It decided:" in told.stdout
    assert "sign in as demo with the password" in told.stdout
    assert "ann@example.com and Tide Calendar, A3: Sent: the mail server took the mail." in told.stdout
    assert "ann@example.com and Tide Calendar, A2: Nothing more is sent" in told.stdout


def test_a_step_that_does_not_hold_fails_the_demo_and_says_what_differed() -> None:
    # A write whose answer is lost cannot be settled before the dead time, which the story does not wait for.
    with temporary_demo_home() as home:
        told = played(home, STOCKWRIGHT_DEAD_TIME_S="3600")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "FAIL 8. A correction whose answer is lost" in told.stdout
    assert "is still in doubt" in told.stdout


@contextmanager
def started(home: Path, *more: str) -> "Iterator[tuple[subprocess.Popen[bytes], Path]]":
    """A demo that goes on, and the file with what it has printed; it must have ended at the end."""
    page = home / "page.txt"
    with page.open("wb") as output:
        demo = subprocess.Popen(
            arguments(*more),
            env=environment(home),
            cwd=home,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield demo, page
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
            demo.wait(LIMIT_S)


def test_a_story_that_is_stopped_before_its_end_is_no_success() -> None:
    with temporary_demo_home() as home:
        with started(home, "--scripted") as (demo, page):
            wait_until(lambda: children_of(demo.pid), limit_s=LIMIT_S, what="its parts start")
            demo.send_signal(signal.SIGINT)
            assert demo.wait(LIMIT_S) == 1
            assert "Stopped before the end of the story." in page.read_text()
            assert "Ready" not in page.read_text()
        with started(home, "--scripted") as (demo, page):
            wait_until(lambda: "\nok   1." in page.read_text(), limit_s=LIMIT_S, what="one step is played")
            demo.send_signal(signal.SIGTERM)
            assert demo.wait(LIMIT_S) == 1
            assert "Stopped before the end of the story." in page.read_text()
            assert children_of(demo.pid) == {}


def test_the_demo_refuses_a_home_with_a_shop_of_somebody_and_leaves_it_alone() -> None:
    with temporary_demo_home() as home:
        mine = load({"STOCKWRIGHT_HOME": str(home / "demo")}, env_file=None)
        with database(mine, log=lambda _: None) as dsn, psycopg.connect(dsn) as conn:
            conn.execute(A_SHOP)
        told = played(home)
        assert told.returncode == 1
        assert "holds shops that are not the demo's: real.myshopify.com" in told.stderr
        assert "Traceback" not in told.stderr
        with database(mine, log=lambda _: None) as dsn, psycopg.connect(dsn) as conn:
            assert conn.execute("select domain from shops").fetchall() == [("real.myshopify.com",)]
            assert conn.execute("select count(*) from users").fetchall() == [(0,)]


def test_the_demo_says_what_to_try_and_ctrl_c_leaves_nothing_behind() -> None:
    with temporary_demo_home() as home:
        with started(home) as (demo, page):
            wait_until(lambda: "Ctrl-C" in page.read_text(), limit_s=LIMIT_S, what="the page is shown")
            assert "Ready in" in page.read_text()
            assert f"STOCKWRIGHT_HOME={home / 'demo'} " in page.read_text()
            sign_in_as_told(page.read_text())
            ask_on_the_page_of_what_is_sold_out(page.read_text())
            children = children_of(demo.pid)
            assert any("shopify_emulator" in command for command in children.values())
            assert any("stockwright.supervising" in command for command in children.values())
        assert demo.returncode == 0, page.read_text()
        assert children_of(demo.pid) == {}


def test_a_port_that_is_given_and_taken_is_refused_at_once() -> None:
    with temporary_demo_home() as home, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        told = played(home, STOCKWRIGHT_PORT=str(other.getsockname()[1]))
    assert told.returncode == 1
    assert "Cannot listen on 127.0.0.1" in told.stderr
    assert "Traceback" not in told.stderr
