"""The process tree of one machine: `python -m stockwright.supervising`. Embedded PostgreSQL, one web, one worker.

Starts them, restarts what dies, stops all. Kept light: it imports no role's libraries. It holds the listening
socket, so that connections wait while the web process is replaced instead of being refused.
"""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from time import monotonic

import structlog

from stockwright import log
from stockwright.listening import address, listen_patiently, stop_requests, wait_for_database
from stockwright.model import StockwrightError
from stockwright.postgres import EmbeddedPostgres
from stockwright.postgres.watching import Patience
from stockwright.settings import DATABASE_URL, Settings, load, variable
from stockwright.store.migrations import pending

LOG = structlog.get_logger("stockwright.supervising")

_KILL_AFTER_S = 5.0  # beyond what a role takes itself to stop
_READY_LIMIT_S = 60.0
_PORT_LIMIT_S = 6.0  # for what a killed supervisor left behind to end
_ASK_EVERY_S = 0.1


class TreeError(StockwrightError):
    """A part of the service cannot be kept running."""


@dataclass(kw_only=True)
class Child:
    """One role as a process: started again when it dies, and stopped with the tree."""

    name: str
    arguments: Sequence[str]
    environ: dict[str, str]
    stop_limit_s: float
    pass_fds: Sequence[int] = ()
    patience: Patience = field(default_factory=Patience)
    process: asyncio.subprocess.Process | None = None

    async def keep_running(self) -> None:
        """Run until cancelled.

        Raises:
            TreeError: it died too often in a row.
        """
        while True:
            self.process = await self._start()
            self.patience.restarted(now_s=monotonic())
            status = await self.process.wait()
            if self.patience.is_over:
                raise TreeError(
                    f"The {self.name} process ended {self.patience.limit + 1} times in a row (last status "
                    f"{status}). The lines above say why; the service stops."
                )
            delay_s = self.patience.delay_s(now_s=monotonic())
            LOG.error("a process ended and is started again", process=self.name, status=status, in_s=delay_s)
            await asyncio.sleep(delay_s)

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *self.arguments,
            "--until-stdin-closes",
            stdin=asyncio.subprocess.PIPE,
            env=self.environ,
            pass_fds=tuple(self.pass_fds),
            start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops all in order
        )

    async def stop(self) -> None:
        """Ask the process to stop; end it when it does not."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(self.stop_limit_s):
                await process.wait()
        except TimeoutError:
            LOG.warning("a process did not stop in time and was killed", process=self.name)
            process.kill()
            await process.wait()


# --- the tree ---------------------------------------------------------------------------------------------


async def supervise(settings: Settings, sock: socket.socket, stop: asyncio.Event) -> None:
    """Run the whole service until `stop` is set.

    Raises:
        StockwrightError: a part of it cannot be started or kept running.
    """
    async with AsyncExitStack() as stack:
        embedded, dsn = await _database(settings, stack)
        await _migrate(dsn)
        children = _children(settings, dsn, sock)
        stack.push_async_callback(_stop_all, children)
        tasks = [asyncio.create_task(child.keep_running()) for child in children]
        if embedded is not None:
            tasks.append(asyncio.create_task(embedded.watch()))
        stack.push_async_callback(_end_tasks, tasks)
        tasks.append(asyncio.create_task(_announce(address(sock), settings)))
        await _until(stop, tasks)
        LOG.info("stopping")


async def _database(settings: Settings, stack: AsyncExitStack) -> tuple[EmbeddedPostgres | None, str]:
    if settings.database_url is not None:
        return None, settings.database_url.get_secret_value()
    embedded = EmbeddedPostgres(settings.home, log=LOG.info)
    server = await asyncio.to_thread(embedded.start)
    stack.push_async_callback(asyncio.to_thread, embedded.stop)
    return embedded, server.dsn


async def _migrate(dsn: str) -> None:
    """In a process of its own: what the migrations import would stay in ours."""
    if not await asyncio.to_thread(pending, dsn):
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stockwright", "migrate", env={**os.environ, DATABASE_URL: dsn}
    )
    if await process.wait() != 0:
        raise TreeError("The database could not be brought to this release's schema; see the lines above.")


def _children(settings: Settings, dsn: str, sock: socket.socket) -> list[Child]:
    environ = {**os.environ, DATABASE_URL: dsn, variable("home"): str(settings.home)}
    limit_s = settings.stop_limit_s + _KILL_AFTER_S
    web = ("stockwright.serving", "--listen-fd", str(sock.fileno()))
    return [
        Child(name="web", arguments=web, environ=environ, stop_limit_s=limit_s, pass_fds=(sock.fileno(),)),
        Child(name="worker", arguments=("stockwright.working",), environ=environ, stop_limit_s=limit_s),
    ]


async def _until(stop: asyncio.Event, tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Wait for the request to stop, or for the first part that fails."""
    stopping = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[object]] = {stopping, *tasks}
    try:
        while not stopping.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what ended it
    finally:
        stopping.cancel()


async def _end_tasks(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _stop_all(children: Sequence[Child]) -> None:
    await asyncio.gather(*(child.stop() for child in children))


# --- readiness --------------------------------------------------------------------------------------------


async def _announce(url: str, settings: Settings) -> None:
    """Tell once when webhooks can be stored; a service that is slow to start says so and goes on trying."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        async with asyncio.timeout(_READY_LIMIT_S):
            await _until_ready(host.strip("[]"), int(port))
    except TimeoutError:
        LOG.warning("the web server is not ready yet; the lines above say why", url=f"{url}/readyz")
        return
    where = "the given PostgreSQL" if settings.database_url else f"its own PostgreSQL in {settings.home}"
    sys.stdout.write(
        f"Stockwright {version('stockwright')} is ready: {url} (on {where}). Stop it with Ctrl-C.\n"
    )
    sys.stdout.flush()


async def _until_ready(host: str, port: int) -> None:
    while True:
        if await _is_ready(host, port):
            return
        await asyncio.sleep(_ASK_EVERY_S)


async def _is_ready(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
        status = await reader.readline()
    except OSError:
        return False
    writer.close()
    return b" 200 " in status


def main(texts: Sequence[str]) -> int:
    """Run the service until it is asked to stop; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stockwright.supervising")
    parser.add_argument("--until-stdin-closes", action="store_true")
    given = parser.parse_args(texts)
    try:
        settings = load(os.environ)
        log.set_up(level=settings.log_level, style=settings.log_format)
        wait_for_database(settings, log=LOG.warning)
        asyncio.run(_main(settings, until_stdin_closes=given.until_stdin_closes))
    except StockwrightError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


async def _main(settings: Settings, *, until_stdin_closes: bool) -> None:
    stop = stop_requests(until_stdin_closes=until_stdin_closes)
    sock = await listen_patiently(settings.host, settings.port, limit_s=_PORT_LIMIT_S)
    await supervise(settings, sock, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
