"""Where everything of `stockwright demo` is to be, and what its service is told. Starts nothing.

The demo must not touch what somebody has set up for work: neither the database, nor its shops, nor real mail.
"""

import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stockwright.listening import listen
from stockwright.model import StockwrightError
from stockwright.settings import Settings, given_names, load, variable

LOOPBACK = "127.0.0.1"
_PORTS = 50  # that are tried, from the first on
_FIRST_SINK_PORT, _FIRST_SMTP_PORT = 9025, 1025

# What the demo sets unless you did: short waits, so that one can watch them end.
_DEFAULTS = {
    "dead_time_s": "3",
    "order_lag_s": "0",
    "poll_interval_s": "0.2",
    "reconcile_every_s": "30",
    "sweep_every_s": "5",
}
# A story that shows a webhook being lost must not have the loss found in between.
_SCRIPTED = {"reconcile_every_s": "86400"}
_FIXED = {
    "host": LOOPBACK,
    "smtp_host": LOOPBACK,
    "smtp_security": "none",
    "smtp_from": "stock@demo-shop.example",
}
# What would lead out of the demo: to another database, with another key, to real mail.
_LEADING_OUT = ("database_url", "secret_key", "owner_email", "smtp_", "bounce_")


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What the person who starts it chose."""

    scripted: bool
    shop_port: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where everything is to be."""

    environ: Mapping[str, str]  # of the service
    settings: Settings
    unused: tuple[str, ...]  # variables that are set and that the demo leaves alone
    shop_url: str
    shop_port: int
    sink_url: str
    sink_port: int
    smtp_port: int
    token: str
    signing_secret: str


def plan_demo(
    options: DemoOptions, environ: Mapping[str, str], *, env_file: Path | None = Path(".env")
) -> Plan:
    """The demo in a home of its own below the given one, on ports that are free now.

    Raises:
        StockwrightError: a setting cannot be used, or a port.
    """
    unused = {variable(name): "" for name in Settings.model_fields if name.startswith(_LEADING_OUT)}
    given = load({**environ, **unused}, env_file=env_file)
    ports = {
        "port": _given_port(given.port) if environ.get(variable("port")) else _free_port(given.port),
        "smtp_port": _free_port(_FIRST_SMTP_PORT),
    }
    shop_port, sink_port = _free_port(options.shop_port), _free_port(_FIRST_SINK_PORT)
    chosen = {name for name in _DEFAULTS if environ.get(variable(name))}
    own = {
        **{name: text for name, text in _DEFAULTS.items() if name not in chosen},
        **(_SCRIPTED if options.scripted else {}),
        **_FIXED,
        **{name: str(port) for name, port in ports.items()},
        "home": str(given.home / "demo"),
        "public_url": f"http://{LOOPBACK}:{ports['port']}",
    }
    told = {**environ, **unused, **{variable(name): text for name, text in own.items()}}
    return Plan(
        environ=told,
        settings=load(told, env_file=env_file),
        unused=tuple(sorted(given_names(environ, env_file=env_file) & unused.keys())),
        shop_url=f"http://{LOOPBACK}:{shop_port}",
        shop_port=shop_port,
        sink_url=f"http://{LOOPBACK}:{sink_port}",
        sink_port=sink_port,
        smtp_port=ports["smtp_port"],
        token=f"shpat_{secrets.token_hex(16)}",
        signing_secret=secrets.token_hex(16),
    )


def _given_port(port: int) -> int:
    """A port that somebody chose is used or refused, never replaced by another."""
    listen(LOOPBACK, port).close()
    return port


def _free_port(first: int) -> int:
    for port in range(first, first + _PORTS):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                sock.bind((LOOPBACK, port))
                return port
    raise StockwrightError(
        f"No port from {first} to {first + _PORTS - 1} is free on {LOOPBACK}. Choose others with STOCKWRIGHT_PORT "
        "and --shop-port."
    )
