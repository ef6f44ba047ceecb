"""Is a posted form one of ours, sent by the browser that we gave it to? Two independent checks, both needed."""

import hmac
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from stockwright.web.admin.visits import visit_of

FIELD = "_csrf"


def refuse_forgery(request: Request) -> None:
    """Let a POST through only with this session's form token and from one of our own pages.

    Raises:
        HTTPException: 403, with what to do.
    """
    if not _is_from_here(request):
        raise HTTPException(
            403, "This form was sent from another site, so nothing was done. Use the form on this site."
        )
    visit = visit_of(request)
    given = str(visit.form.get(FIELD, ""))
    if not hmac.compare_digest(given.encode(), visit.csrf.encode()):
        raise HTTPException(
            403,
            "This form belongs to an earlier session, so nothing was done. Go back, reload the page and send it "
            "again. If that does not help, let your browser accept cookies from this site.",
        )


def _is_from_here(request: Request) -> bool:
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    public_url = visit_of(request).site.own.settings.public_url
    if public_url and origin == origin_of(public_url):
        return True
    return urlsplit(origin).netloc == request.headers.get("host", "") != ""


def origin_of(url: str) -> str:
    """Scheme and host of an address, as browsers send them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
