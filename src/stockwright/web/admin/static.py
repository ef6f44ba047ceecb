"""Our own styles, scripts and the vendored ones: served from here, for ever under an address with their hash."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PATH = "/static"
_FOR_EVER = "public, max-age=31536000, immutable"
_SHORTLY = "public, max-age=300"


class StaticFolder:
    """The files of `web/static`."""

    def __init__(self) -> None:
        self.folder = Path(str(files("stockwright.web").joinpath("static")))
        self.address = cache(self._address)

    def _address(self, name: str) -> str:
        """Where a file is, with its hash."""
        digest = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()[:12]
        return f"{PATH}/{name}?v={digest}"

    def app(self) -> StaticFiles:
        """The application that serves them."""
        return _Files(directory=self.folder)


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        has_hash = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = _FOR_EVER if has_hash else _SHORTLY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response
