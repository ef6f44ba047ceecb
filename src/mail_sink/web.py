"""The web side: a page and a JSON API over the mails, and faults to order. For one's own machine only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mail_sink.faults import Fault
from mail_sink.mailbox import Mail
from mail_sink.server import SmtpSink

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# A mail's own HTML: its styles, nothing else, and no right to anything but opening its links in new tabs.
MAIL_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'",
}
_LINKS_OPEN_TABS = '<base target="_blank">'  # in the frame itself a link could go nowhere
BODY_LIMIT = 100_000


def web_app(sink: SmtpSink) -> Starlette:
    """The page at /, the JSON API under /api."""
    pages = _Pages(sink)
    app = Starlette(
        routes=[
            Route("/", pages.inbox),
            Route("/mails/{number:int}", pages.mail),
            Route("/mails/{number:int}/html", pages.html),
            Route("/mails/{number:int}/source", pages.source),
            Route("/clear", pages.clear, methods=["POST"]),
            Route("/sink.css", pages.style),
            Route("/api/mails", pages.api_list, methods=["GET"]),
            Route("/api/mails", pages.api_clear, methods=["DELETE"]),
            Route("/api/mails/{number:int}", pages.api_mail),
            Route("/api/faults", pages.api_faults, methods=["POST"]),
            Route("/api/state", pages.api_state),
        ]
    )
    app.state.sink = sink
    return app


def _with_base(html: str) -> str:
    """The mail with its links aimed at new tabs; put where a page without a doctype keeps its mode."""
    head = re.search(r"<head[^>]*>", html, re.IGNORECASE)
    at = head.end() if head else len(html)
    return html[:at] + _LINKS_OPEN_TABS + html[at:]


class _Pages:
    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )

    # --- pages -------------------------------------------------------------------------------------------

    async def inbox(self, request: Request) -> Response:
        recipient = request.query_params.get("to", "").strip()
        mails = self._sink.mailbox.newest(recipient=recipient)
        return self._page("inbox.html", mails=mails, recipient=recipient, port=self._sink.port)

    async def mail(self, request: Request) -> Response:
        mail = self._find(request)
        if mail is None:
            return self._page("missing.html", status=404)
        width = "phone" if request.query_params.get("width") == "phone" else "wide"
        return self._page("mail.html", mail=mail, width=width)

    async def html(self, request: Request) -> Response:
        mail = self._find(request)
        if mail is None:
            return self._page("missing.html", status=404)
        shown = mail.html or "<p>This mail has no HTML part.</p>"
        return HTMLResponse(_with_base(shown), headers=MAIL_HEADERS)

    async def source(self, request: Request) -> Response:
        mail = self._find(request)
        if mail is None:
            return self._page("missing.html", status=404)
        return Response(mail.raw, media_type="text/plain; charset=utf-8", headers=HEADERS)

    async def clear(self, _request: Request) -> Response:
        self._sink.mailbox.clear()
        return RedirectResponse("/", status_code=303)

    async def style(self, _request: Request) -> Response:
        text = (HERE / "static" / "sink.css").read_text(encoding="utf-8")
        return Response(text, media_type="text/css", headers=HEADERS)

    def _page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(name).render(**values)
        return HTMLResponse(text, status_code=status, headers=HEADERS)

    def _find(self, request: Request) -> Mail | None:
        return self._sink.mailbox.find(request.path_params["number"])

    # --- JSON --------------------------------------------------------------------------------------------

    async def api_list(self, request: Request) -> Response:
        found = self._sink.mailbox.newest(recipient=request.query_params.get("to", ""), limit=1000)
        whole = request.query_params.get("whole") == "1"
        return JSONResponse([mail.as_json(whole=whole) for mail in found])

    async def api_mail(self, request: Request) -> Response:
        mail = self._find(request)
        if mail is None:
            return JSONResponse({"error": "there is no such mail"}, status_code=404)
        return JSONResponse(mail.as_json(whole=True))

    async def api_clear(self, _request: Request) -> Response:
        self._sink.mailbox.clear()
        return JSONResponse({})

    async def api_faults(self, request: Request) -> Response:
        """`{"next": [{"stage": "RCPT", "reply": "450 4.2.0 later", ...}]}` or `{"clear": true}`."""
        body = await request.body()
        try:
            if len(body) > BODY_LIMIT:
                raise ValueError("the body is too large")
            given = json.loads(body)
            faults = [Fault(**one) for one in given.get("next", [])]
        except (ValueError, TypeError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        if given.get("clear"):
            self._sink.faults.clear()
        self._sink.faults.add(*faults)
        return JSONResponse({"waiting": len(self._sink.faults.waiting)})

    async def api_state(self, _request: Request) -> Response:
        sink = self._sink
        return JSONResponse(
            {
                "port": sink.port,
                "mails": len(sink.mailbox.mails),
                "handed_over": sink.handed_over,
                "connections": sink.connections,
                "faults": len(sink.faults.waiting),
            }
        )
