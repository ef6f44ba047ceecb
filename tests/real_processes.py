"""The bundled shop and the service as real processes, for tests, simulations and benchmarks.

Each has a temporary folder and a free loopback port, and all that was started is ended by its process id.
Nothing here knows what is tested.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psycopg

from stockwright.postgres import EmbeddedPostgres
from stockwright.postgres.place import known_place
from stockwright.postgres.processes import living_command, living_postmaster
from stockwright.postgres.server import answering_server
from tests.commands import run_command

T = TypeVar("T")
Json = dict[str, Any]

DOMAIN = "real-shop.myshopify.com"
_TOKEN = "shpat_real"
_SECRET = "a secret of this run"
_HISTORY_PAGE = 1000  # movements in one answer of the shop
_POLL_S = 0.02
_CALL_LIMIT_S = 60.0
_CLI_LIMIT_S = 120.0
_STOP_LIMIT_S = 45.0
READY_LIMIT_S = 90.0


class RealProcessError(AssertionError):
    """A process did not do what it should; the message holds the end of its log."""


def wait_until(found: Callable[[], T | None], *, limit_s: float, what: str) -> T:
    """Ask until the answer is true, and return it.

    Raises:
        RealProcessError: it is not within `limit_s`; `what` says what was waited for.
    """
    deadline = time.monotonic() + limit_s
    while not (answer := found()):
        if time.monotonic() > deadline:
            raise RealProcessError(f"waited {limit_s:g} s in vain until {what}")
        time.sleep(_POLL_S)
    return answer


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This environment without settings of the user's own service, and with these."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("STOCKWRIGHT_") and name != "DATABASE_URL"
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder for a service, gone at the end with the database in it."""
    home = Path(tempfile.mkdtemp(prefix="stockwright-test-"))
    try:
        yield home
    finally:
        EmbeddedPostgres(home, log=lambda _: None).erase()
        shutil.rmtree(home)


@contextmanager
def temporary_demo_home() -> Iterator[Path]:
    """A folder for the demo, which lives in one of its own below it."""
    with temporary_home() as home:
        try:
            yield home
        finally:
            EmbeddedPostgres(home / "demo", log=lambda _: None).erase()


# --- processes ------------------------------------------------------------------------------------------


def children_of(parent: int) -> dict[int, str]:
    """The living children of a process: command lines by process id."""
    pids = [pid for pid, its_parent in _parents().items() if its_parent == parent]
    return {pid: command for pid in pids if (command := living_command(pid))}


def _parents() -> dict[int, int]:
    """The parent of every process; from /proc, which small images have where they lack ps."""
    if not Path("/proc/self/stat").exists():
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        return {int(pid): int(parent) for pid, parent in map(str.split, listing.stdout.splitlines())}
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {pid: parent for pid in pids if (parent := _parent_in_proc(pid)) is not None}


def _parent_in_proc(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return None  # it ended meanwhile


def end(process: "subprocess.Popen[bytes]", *, limit_s: float = _STOP_LIMIT_S) -> None:
    """Ask a child to stop; kill it when it does not."""
    process.terminate()
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-25:]) if log.exists() else ""


# --- the shop -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RunningShop:
    """The bundled shop as a process, and its control API."""

    url: str
    domain: str
    pid: int
    control: httpx2.Client
    access_token: str = _TOKEN
    webhook_secret: str = _SECRET

    def state(self) -> Json:
        """Everything the shop tells of itself."""
        found: Json = self.control.get("/_emulator/state").raise_for_status().json()
        return found

    def history(self, *, since: int = 0) -> list[Json]:
        """Every movement of stock from number `since` on, oldest first."""
        movements: list[Json] = []
        while True:
            answer = self.control.get("/_emulator/history", params={"since": since + len(movements)})
            page = answer.raise_for_status().json()
            movements += page
            if len(page) < _HISTORY_PAGE:
                return movements

    def post(self, path: str, body: Json) -> Json:
        """One act on the shop, such as `sell`."""
        answer = self.control.post(f"/_emulator/{path}", json=body)
        if answer.status_code != 200:
            raise RealProcessError(f"the shop refused {path} {body}: {answer.status_code} {answer.text}")
        found: Json = answer.json()
        return found

    def sell(self, *lines: tuple[str, int]) -> Json:
        """One order of (variant, quantity) lines."""
        return self.post("sell", {"lines": [{"variant": id, "quantity": count} for id, count in lines]})


@contextmanager
def running_shop(
    catalogue: Json,
    *,
    rate: float = 2000.0,
    module: str = "shopify_emulator",
    arguments: Sequence[str] = (),
) -> Iterator[RunningShop]:
    """The bundled shop with a catalogue (see `shopify_emulator.demo`), restoring `rate` points per second."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="stockwright-shop-") as folder:
        file, log = Path(folder, "catalogue.json"), Path(folder, "shop.log")
        file.write_text(json.dumps(catalogue))
        options = {
            "port": port,
            "domain": DOMAIN,
            "catalogue": file,
            "rate": rate,
            "access-token": _TOKEN,
            "client-secret": _SECRET,
        }
        given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-m", module, *given, *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=clean_environment({}))
        url = f"http://127.0.0.1:{port}"
        try:
            with httpx2.Client(base_url=url, timeout=_CALL_LIMIT_S, trust_env=False) as control:
                shop = RunningShop(url=url, domain=DOMAIN, pid=process.pid, control=control)
                wait_until(
                    lambda: _answers(process, log, f"{url}/_emulator/history?since=1000000000"),
                    limit_s=READY_LIMIT_S,
                    what=f"the shop at {url} answers",
                )
                yield shop
        finally:
            end(process)


def _answers(process: "subprocess.Popen[bytes]", log: Path, url: str) -> bool:
    if process.poll() is not None:
        raise RealProcessError(f"{url} is served by nobody: status {process.returncode}.\n{_tail(log)}")
    return answers(url)


def answers(url: str) -> bool:
    """Whether a GET is answered with 200 now."""
    try:
        return httpx2.get(url, timeout=2.0, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


# --- the service ----------------------------------------------------------------------------------------


class Part(StrEnum):
    """What can be killed."""

    WEB = "web"
    WORKER = "worker"
    POSTMASTER = "postmaster"
    SERVICE = "service"  # the supervisor: what `stockwright serve` started as


_IDLE = """
select not exists (select from work where done_at is null) and not exists (select from pools where in_doubt)
   and not exists (select from procrastinate_jobs where status = 'doing')
"""
_MARKS = {Part.WEB: "stockwright.serving", Part.WORKER: "stockwright.working"}


@dataclass(kw_only=True)
class Service:
    """`stockwright serve` in a home of its own. `settings` are more environment variables."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where the web server answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What all processes of the service have said."""
        return self.home / "service.log"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the service and of its commands."""
        given = {
            "STOCKWRIGHT_HOME": str(self.home),
            "STOCKWRIGHT_PORT": str(self.port),
            "STOCKWRIGHT_PUBLIC_URL": self.url,
            **self.settings,
        }
        return clean_environment(given)

    def command(self, *arguments: str, secrets: Mapping[str, str] | None = None) -> str:
        """Run one command; what it printed.

        Raises:
            RealProcessError: it failed.
        """
        ran = run_command(
            *arguments, env={**self.environ, **(secrets or {})}, cwd=self.home, limit_s=_CLI_LIMIT_S
        )
        if ran.returncode != 0:
            raise RealProcessError(
                f"stockwright {' '.join(arguments)}: status {ran.returncode}\n{ran.stdout}{ran.stderr}"
            )
        return ran.stdout

    # --- life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start, and return when webhooks can be stored.

        After a kill -9 the port is taken until the former web process has noticed: then it is tried again, as
        an init system would.
        """
        deadline = time.monotonic() + READY_LIMIT_S
        self._process = self._spawn()
        while not answers(f"{self.url}/readyz"):
            if time.monotonic() > deadline:
                raise RealProcessError(
                    f"the service is not ready after {READY_LIMIT_S:g} s.\n{_tail(self.log)}"
                )
            if self._process.poll() is not None and "Cannot listen" not in _tail(self.log):
                raise RealProcessError(f"the service ended: {self._process.returncode}.\n{_tail(self.log)}")
            if self._process.poll() is not None:
                self._process = self._spawn()
            time.sleep(_POLL_S)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "stockwright", "serve"],
                env=self.environ,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Stop the service if it runs, and whatever of it outlived its supervisor."""
        if self._process is None:
            return
        left = [pid for part in _MARKS if (pid := self.pid_of(part)) is not None]
        end(self._process)
        self._process = None
        for pid in left:
            _kill_if_ours(pid)

    @property
    def is_running(self) -> bool:
        """Whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    def pid_of(self, part: Part) -> int | None:
        """The process of a part now, or None while there is none."""
        if part is Part.POSTMASTER:
            return living_postmaster(known_place(self.home.resolve()).data_dir)
        if self._process is None or self._process.poll() is not None:
            return None
        if part is Part.SERVICE:
            return self._process.pid
        children = children_of(self._process.pid).items()
        return next((pid for pid, command in children if _MARKS[part] in command), None)

    def pids(self) -> dict[str, int]:
        """All processes of the service: supervisor, web, worker, postmaster, and its backends in one family."""
        found = {part.value: pid for part in Part if (pid := self.pid_of(part)) is not None}
        postmaster = found.get(Part.POSTMASTER)
        backends = sorted(children_of(postmaster)) if postmaster else []
        return {**found, **{f"postgres {number}": pid for number, pid in enumerate(backends, 1)}}

    def kill(self, part: Part) -> int:
        """kill -9 a part that lives, or the next that does; its process id."""
        pid = wait_until(lambda: self.pid_of(part), limit_s=READY_LIMIT_S, what=f"the {part} process lives")
        os.kill(pid, signal.SIGKILL)
        if part is Part.SERVICE and self._process is not None:
            self._process.wait()
        return pid

    def dsn(self) -> str:
        """The URL of its database, which must run."""
        folder = known_place(self.home.resolve()).data_dir
        server = wait_until(
            lambda: answering_server(folder), limit_s=READY_LIMIT_S, what="the database answers"
        )
        return server.dsn

    # --- set-up ---------------------------------------------------------------------------------------

    def add_shop(self, shop: RunningShop) -> None:
        """Let the service look after a shop."""
        secrets = {"SHOP_TOKEN": shop.access_token, "SHOP_SECRET": shop.webhook_secret}
        self.command(
            *("shop", "add", shop.domain, "--api-url", shop.url),
            *("--access-token-env", "SHOP_TOKEN", "--webhook-secret-env", "SHOP_SECRET"),
            secrets=secrets,
        )

    def add_automation(self, kind: str, shop: RunningShop, **options: object) -> None:
        """Install an automation with these options."""
        given = [text for name, value in options.items() for text in ("--option", f"{name}={value}")]
        self.command("automation", "add", kind, "--shop", shop.domain, *given)

    def until_adopted(self, pools: int) -> None:
        """Until the service shares this many stocks."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            wait_until(
                lambda: conn.execute("select count(*) = %s from pools", (pools,)).fetchone() == (True,),
                limit_s=READY_LIMIT_S,
                what=f"{pools} shared stocks are adopted",
            )

    def until_idle(self) -> None:
        """Until no event waits and no correction is open."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            wait_until(
                lambda: conn.execute(_IDLE).fetchone() == (True,),
                limit_s=READY_LIMIT_S,
                what="the service has nothing left to do",
            )


def _kill_if_ours(pid: int) -> None:
    command = living_command(pid) or ""
    if any(mark in command for mark in _MARKS.values()):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def running_service(settings: Mapping[str, str] | None = None) -> Iterator[Service]:
    """The service, ready, in a temporary home; gone at the end."""
    with temporary_home() as home:
        service = Service(home=home, settings=settings or {})
        try:
            service.start()
            yield service
        finally:
            service.stop()
