"""What every long-running process of ours needs: a database that answers, a socket, requests to stop. Light."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from time import monotonic

from stockwright.model import StockwrightError
from stockwright.settings import Settings
from stockwright.store.database import Unreachable, wait_for_server

_DATABASE_LIMIT_S = 30.0
_TRY_EVERY_S = 0.25
_BACKLOG = 2048  # connections that wait while the web process is replaced


def wait_for_database(settings: Settings, *, log: Callable[[str], None]) -> None:
    """A process is often started while its database is too: waiting is quicker than ending and one more start.

    Raises:
        StockwrightError: the given database does not answer for half a minute.
    """
    if settings.database_url is None:
        return
    try:
        wait_for_server(settings.database_url.get_secret_value(), limit_s=_DATABASE_LIMIT_S, log=log)
    except Unreachable as error:
        raise StockwrightError(
            f"The database did not answer for {_DATABASE_LIMIT_S:g} s: {error}. Check DATABASE_URL and the server."
        ) from error


async def listen_patiently(host: str, port: int, *, limit_s: float) -> socket.socket:
    """`listen`, trying again while the port is taken: what a killed supervisor left behind ends by itself."""
    limit = monotonic() + limit_s
    while True:
        try:
            return listen(host, port)
        except StockwrightError:
            if monotonic() > limit:
                raise
        await asyncio.sleep(_TRY_EVERY_S)


def listen(host: str, port: int) -> socket.socket:
    """An open, inheritable TCP socket; port 0 takes any.

    Raises:
        StockwrightError: the address cannot be used; the message names the port and the way out.
    """
    try:
        family, kind, proto, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(_BACKLOG)
    except OSError as error:
        raise StockwrightError(
            f"Cannot listen on {host}:{port} ({error.strerror or error}). Another program may use that port: "
            "stop it, or choose another with STOCKWRIGHT_PORT (0 takes any) and STOCKWRIGHT_HOST."
        ) from error
    sock.setblocking(False)
    sock.set_inheritable(True)
    return sock


def address(sock: socket.socket) -> str:
    """The web address of a listening socket, as a person on this machine types it."""
    host, port = sock.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def stop_requests(*, until_stdin_closes: bool) -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, and the end of the process at the other end of stdin if asked."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end, loop, stop)
    return stop


def _stop_at_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()
