"""A small service that answers the storefront's questions as the test says, and remembers what it was sent.

It takes only what the bundled shop has signed. The real service has tests of its own; here the page is tested.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from stockwright.shopify.signatures import proxy_request_is_genuine

THANKS = "Thank you. We will email you when it is back."


@dataclass(kw_only=True)
class StandIn:
    """What is answered, and what came. A test changes the first and reads the second."""

    url: str = ""
    secret: str = ""
    states: dict[str, Any] = field(
        default_factory=dict
    )  # by product number; one that is not here is answered 503
    reply: tuple[int, Mapping[str, Any]] = (200, {"ok": True, "message": THANKS})
    hold: threading.Event = field(default_factory=threading.Event)  # answers wait until it is set
    asked: list[dict[str, str]] = field(default_factory=list)
    posted: list[dict[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # what was not signed, or had a cookie

    def answer(self, method: str, path: str, query: str, body: str) -> tuple[int, Mapping[str, Any]]:
        if method == "POST" and path == "/proxy/notify-me":
            self.posted.append(
                {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}
            )
            return self.reply
        if method == "GET" and path == "/proxy/notify-me/state":
            asked = dict(parse_qsl(query))
            self.asked.append(asked)
            state = self.states.get(asked["product"])
            return (503, {"ok": False}) if state is None else (200, state)
        return 404, {"ok": False}


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn

    def do_GET(self) -> None:
        self._serve("")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("content-length", "0"))).decode())

    def _serve(self, body: str) -> None:
        parts = urlsplit(self.path)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        genuine = proxy_request_is_genuine(pairs, [self.stand_in.secret], now=datetime.now(UTC))
        if not genuine or "cookie" in self.headers:
            self.stand_in.refused.append(self.path)
        self.stand_in.hold.wait(20)
        status, told = self.stand_in.answer(self.command, parts.path, parts.query, body)
        if "text/html" in self.headers.get("accept", ""):
            self._send(status, "text/html; charset=utf-8", f"<!doctype html><p>{told.get('message')}</p>")
        else:
            self._send(status, "application/json", json.dumps(told))

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said on the terminal."""


@contextmanager
def running_stand_in() -> Iterator[StandIn]:
    """A service on a free loopback port, which answers at once until the test says otherwise."""
    stand_in = StandIn()
    stand_in.hold.set()
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="stand-in")
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
