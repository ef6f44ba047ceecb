"""Cursors: where a list goes on, as text that clients pass back unread. Checked, never trusted as more than a place."""

import base64
import binascii
import json
import zlib
from collections.abc import Sequence

from stockwright.model import Fault
from stockwright.web.api.problems import ApiProblem, invalid

_LONGEST_PLACE = 300  # characters of one part


def encode(path: str, place: Sequence[str]) -> str:
    """A cursor for the list at `path` that goes on after `place`."""
    text = json.dumps([_mark(path), *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(path: str, cursor: str | None) -> str | None:
    """The place of a cursor with one part; None: from the start.

    Raises:
        ApiProblem: it was not made for this list.
    """
    if cursor is None:
        return None
    place = _parts(cursor)
    if len(place) != 2 or place[0] != _mark(path):
        raise _wrong()
    if not 0 < len(place[1]) <= _LONGEST_PLACE or "\0" in place[1]:
        raise _wrong()
    return place[1]


def _parts(cursor: str) -> list[str]:
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _wrong() from error
    return [part for part in found if isinstance(part, str)] if isinstance(found, list) else []


def _mark(path: str) -> str:
    """Tells cursors of different lists apart."""
    return f"{zlib.crc32(path.encode()):08x}"


def _wrong() -> ApiProblem:
    message = "This is not a cursor of this list. Take `next` of a page as it is, or begin without a cursor."
    return invalid("query", [Fault(path="cursor", message=message)])
