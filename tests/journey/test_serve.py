"""`stockwright serve` as real processes: what dies is started again, and what is stopped leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from stockwright.postgres import EmbeddedPostgres
from stockwright.postgres.place import known_place
from stockwright.postgres.processes import living_command, living_postmaster
from tests.real_processes import Part, Service, answers, temporary_home, wait_until

LIMIT_S = 60.0


@pytest.fixture
def service() -> Iterator[Service]:
    with temporary_home() as home:
        service = Service(home=home)
        service.start()
        try:
            yield service
        finally:
            service.stop()


def replaced(service: Service, part: Part, killed: int) -> int:
    """The process that takes the place of a killed one."""

    def other() -> int | None:
        pid = service.pid_of(part)
        return pid if pid != killed else None

    return wait_until(other, limit_s=LIMIT_S, what=f"another {part} process lives")


def run_serve(service: Service) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "stockwright", "serve"],
        env=service.environ,
        cwd=service.home,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_a_request_waits_while_a_killed_web_process_is_replaced(service) -> None:
    killed = service.kill(Part.WEB)
    assert httpx2.get(f"{service.url}/readyz", timeout=LIMIT_S, trust_env=False).status_code == 200
    assert replaced(service, Part.WEB, killed)


def test_killed_workers_and_databases_come_back(service) -> None:
    worker, postmaster = service.kill(Part.WORKER), service.kill(Part.POSTMASTER)
    assert replaced(service, Part.WORKER, worker)
    assert replaced(service, Part.POSTMASTER, postmaster)
    wait_until(lambda: answers(f"{service.url}/readyz"), limit_s=LIMIT_S, what="webhooks can be stored again")
    assert service.is_running


def test_a_request_to_stop_ends_every_process(service) -> None:
    pids = service.pids()
    assert {"web", "worker", "postmaster", "service"} <= set(pids)
    service.stop()
    assert [name for name, pid in pids.items() if living_command(pid)] == []
    assert living_postmaster(known_place(service.home.resolve()).data_dir) is None


def test_children_end_with_a_killed_supervisor_and_the_next_start_goes_on(service) -> None:
    pids = service.pids()
    service.kill(Part.SERVICE)
    for part in (Part.WEB, Part.WORKER):
        wait_until(
            lambda part=part: not living_command(pids[part]),
            limit_s=LIMIT_S,
            what=f"the {part} process has ended by itself",
        )
    service.start()
    assert answers(f"{service.url}/readyz")


def _ready_lines(service: Service) -> list[str]:
    return [line for line in service.log.read_text().splitlines() if line.startswith("Stockwright ")]


def test_one_line_says_that_the_service_is_ready(service) -> None:
    lines = wait_until(
        lambda: _ready_lines(service), limit_s=LIMIT_S, what="the service says that it is ready"
    )
    assert len(lines) == 1
    assert service.url in lines[0]
    assert str(service.home) in lines[0]


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with temporary_home() as home, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        service = Service(home=home, port=other.getsockname()[1])
        ran = run_serve(service)
    assert ran.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{service.port}" in ran.stderr
    assert "STOCKWRIGHT_PORT" in ran.stderr


def test_a_misspelt_setting_is_refused_before_anything_starts() -> None:
    with temporary_home() as home:
        ran = run_serve(Service(home=home, settings={"STOCKWRIGHT_PUBLIC_ULR": "https://example.com"}))
        assert not (home / "postgres").exists()
    assert ran.returncode == 1
    assert "Did you mean STOCKWRIGHT_PUBLIC_URL?" in ran.stderr


@contextmanager
def running(service: Service, command: str) -> Iterator[Path]:
    """A command that runs until it is asked to stop, and must end well then; its log."""
    log = service.home / f"{command}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "stockwright", command],
            env=service.environ,
            cwd=service.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield log
    finally:
        os.kill(process.pid, signal.SIGTERM)
    assert process.wait(LIMIT_S) == 0, log.read_text()


def until_ready(service: Service) -> None:
    wait_until(lambda: answers(f"{service.url}/readyz"), limit_s=LIMIT_S, what="the web role answers")


def test_a_role_alone_stops_when_asked(database) -> None:
    with temporary_home() as home:
        service = Service(home=home, settings={"DATABASE_URL": database})
        with running(service, "web"):
            until_ready(service)


@pytest.mark.parametrize("command", ["web", "serve"])
def test_what_runs_waits_for_a_database_that_is_not_up_yet(command: str) -> None:
    with temporary_home() as home, temporary_home() as elsewhere:
        server = EmbeddedPostgres(elsewhere, log=lambda _: None)
        with server as started:
            dsn = started.dsn
        service = Service(home=home, settings={"DATABASE_URL": dsn})
        with running(service, command) as log:
            wait_until(
                lambda: "Waiting up to 30 s for the database" in log.read_text(),
                limit_s=LIMIT_S,
                what=f"`stockwright {command}` says that it waits",
            )
            with server:
                until_ready(service)


def test_a_role_alone_starts_its_own_killed_database_again() -> None:
    with temporary_home() as home:
        service = Service(home=home)
        with running(service, "web"):
            until_ready(service)
            killed = service.kill(Part.POSTMASTER)
            assert replaced(service, Part.POSTMASTER, killed)
            until_ready(service)
        assert service.pid_of(Part.POSTMASTER) is None
