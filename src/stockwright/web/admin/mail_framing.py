"""Mail shown inside a page: the HTML of a message in a frame that can run nothing, load nothing and open nothing.

The frame's document answers from an address of its own, under a policy of its own; the page around it keeps the
site's policy and only may show frames of this site.
"""

from collections.abc import Sequence
from html import escape

from starlette.responses import HTMLResponse, Response

from stockwright.mail.checks import Problem
from stockwright.mail.templates import Rendered
from stockwright.web.admin.pages import HEADERS

_POLICY = "Content-Security-Policy"
# `sandbox` without a word takes scripts, forms, popups and the site's origin (cookies) away, however it is opened.
_FRAME_HEADERS = {
    _POLICY: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'; sandbox",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Opener-Policy": "unsafe-none",  # says nothing in a frame, and Chromium warns of it there
}
_WIDTHS = ((540, "At a desk, 540 pixels"), (360, "On a phone, 360 pixels"))
_FRAME_HEIGHT = 560


def with_frames(response: Response) -> Response:
    """Let a page of ours show frames of this site."""
    response.headers[_POLICY] = f"{HEADERS[_POLICY]}; frame-src 'self'"
    return response


def framed(document: str) -> Response:
    """The HTML of a mail as the document of a frame."""
    return HTMLResponse(document, headers=_FRAME_HEADERS)


def both_widths(mail: Rendered) -> Response:
    """A mail with its subject, side by side at the widths of a desk and of a phone, and its text part."""
    frames = "".join(
        f'<figure><figcaption>{words}</figcaption><iframe sandbox title="{words}" width="{width}" '
        f'height="{_FRAME_HEIGHT}" srcdoc="{escape(mail.html)}"></iframe></figure>'
        for width, words in _WIDTHS
    )
    return _sheet(
        f"<p><strong>Subject:</strong> {escape(mail.subject)}</p><div>{frames}</div>"
        f"<h2>Text part</h2><pre>{escape(mail.text)}</pre>"
    )


def problems_instead(problems: Sequence[Problem]) -> Response:
    """Why there is nothing to show."""
    items = "".join(f"<li>{escape(str(problem))}</li>" for problem in problems)
    return _sheet(f"<p><strong>It cannot be shown yet:</strong></p><ul>{items}</ul>", status=422)


def _sheet(body: str, *, status: int = 200) -> Response:
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Preview</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>:root{color-scheme:light dark}body{margin:0;padding:12px;font:15px/1.5 system-ui,sans-serif}"
        "div{display:flex;flex-wrap:wrap;gap:12px}figure{margin:0;max-width:100%;overflow-x:auto}figcaption{padding:4px 0}"
        "iframe{border:1px solid #8b988f;border-radius:6px;background:#fff}"
        "h2{font-size:16px}pre{white-space:pre-wrap;overflow-wrap:anywhere}p,li{overflow-wrap:anywhere}</style>"
        f"</head><body>{body}</body></html>"
    )
    return HTMLResponse(document, status_code=status, headers=_FRAME_HEADERS)
