"""The templates: where they are, and the filters by which numbers and times read well."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from stockwright.schedules import time_zone
from stockwright.web.admin.static import StaticFolder

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_UTC = ZoneInfo("UTC")


def environment(static: StaticFolder) -> Environment:
    """Jinja with escaping on and unknown names refused."""
    made = Environment(
        loader=PackageLoader("stockwright.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        ago=ago, moment=moment, number=number, span=span, share=share, told=told, sentence=sentence
    )
    made.globals.update(static=static.address)
    return made


@pass_context
def ago(context: Context, at: datetime | None) -> str:
    """How long ago, such as "2 minutes ago"; "never" for None."""
    if at is None:
        return "never"
    seconds = (context["now"] - at).total_seconds()
    if seconds < 0:
        return f"in {span(-seconds)}"
    return "just now" if seconds < 5 else f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """A length of time in its largest unit, such as "3 hours"."""
    for unit, length_s in _UNITS:
        if seconds >= length_s:
            count = int(seconds // length_s)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"


def moment(at: datetime | None, zone: str = "UTC") -> str:
    """A moment in a time zone, such as "2026-11-20 23:04"; "–" for None."""
    if at is None:
        return "–"
    return at.astimezone(time_zone(zone) or _UTC).strftime("%Y-%m-%d %H:%M")


_SNAKE = re.compile(r"\((\w+(?:_\w+)+)\)")
_MINUS = re.compile(r"(?<=[\s(])-(?=\d)")
_GID = re.compile(r" \(gid://\S+\)")


def told(text: str) -> str:
    """A sentence of the ledger or of a run, set for reading: arrows, minus signs, no names of code, no ids."""
    text = _GID.sub("", text.replace("->", "→"))
    return _MINUS.sub("−", _SNAKE.sub(lambda found: f"({found[1].replace('_', ' ')})", text))


def sentence(text: str) -> str:
    """The same with a capital letter, where the first word is one of ours and no title."""
    return text[:1].upper() + told(text)[1:]


def number(value: float) -> str:
    """A number with separators, such as "1,204"."""
    return f"{value:,.0f}"


def share(part: float, whole: float) -> int:
    """A part in percent of the whole, 0 to 100."""
    return max(0, min(100, round(100 * part / whole))) if whole else 0
