"""One template for many recipients: rendered once with marks where they differ, and the marks filled in for each.

A template may do with a name whatever it likes, so a series is tried out first: filled in for made-up people it must
be what rendering for them gives. Where it is not, and for values that are not plain words, each mail is rendered by
itself.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stockwright.mail.templates import SUBJECT_LIMIT, Rendered, one_line, preheader

# What differs from one recipient to the next, by a name of ours; all texts of one line.
Personal = Mapping[str, str]
# Renders with these personal values, and these words after the subject (None: the text's beginning).
Render = Callable[[Personal, str | None], Rendered]

# People who are made up: texts hold what names could hold, addresses what ours hold; both may be short or long.
_TRIED = (
    ('Zo\u00eb "O\'Hara" <b> & Co', "https://example.com/u/Ab-_19"),
    ("Q", "http://127.0.0.1:8000/u/Z"),
    ("Maria del Carmen " * 6 + "I", f"https://notify.stock.example.com/u/{'Ab-_19' * 40}"),
)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A rendered mail with marks; `names` are those of the values that it is filled in with."""

    marked: Rendered
    names: tuple[str, ...]
    render: Render

    def fill(self, personal: Personal) -> Rendered:
        """The mail for one recipient, as rendering gives it; `personal` has every name."""
        subject = one_line(self._filled(self.marked.subject, personal))
        if len(subject) > SUBJECT_LIMIT or not all(_is_plain(personal[name]) for name in self.names):
            return self.render(personal, None)
        text = self._filled(self.marked.text, personal)
        shown = {**personal, _FOREWORD: preheader(text)}
        escaped = {name: html.escape(value, quote=False) for name, value in shown.items()}
        return Rendered(subject=subject, text=text, html=self._filled(self.marked.html, escaped))

    def _filled(self, text: str, values: Personal) -> str:
        """All marks at once: what a value holds is never taken for a mark."""
        marks = {_mark(name): values[name] for name in (*self.names, _FOREWORD) if name in values}
        return re.sub("|".join(marks), lambda found: marks[found[0]], text) if marks else text


_FOREWORD = "foreword"


def series(render: Render, *, texts: tuple[str, ...], links: tuple[str, ...]) -> Series | None:
    """The series of a template; None when it is seen to do more with these values than print them.

    `texts` may hold anything; `links` are addresses of ours, without any character that HTML would escape.

    Raises:
        TemplateFailed: the template cannot be rendered.
    """
    names = (*texts, *links)
    marked = render({name: _mark(name) for name in names}, _mark(_FOREWORD))
    made = Series(marked=marked, names=names, render=render)
    for text, link in _TRIED:
        personal = {name: f"{text if name in texts else link}{no}" for no, name in enumerate(names)}
        if made.fill(personal) != render(personal, None):
            return None
    return made


def is_only_printed(source: str, drop: str, name: str) -> bool:
    """Whether a template prints `drop.name` as it is, or asks whether it is blank, and does nothing else with it.

    In doubt it is not: a capture could hold it, and another name could stand for its drop.
    """
    variable = rf"{re.escape(drop)}\.{re.escape(name)}"
    known = rf"\{{\{{-?\s*{variable}\s*-?\}}\}}|\b{variable}\s*[!=]=\s*blank\b"
    tags = " ".join(re.findall(r"\{[{%].*?[%}]\}", re.sub(known, "", source), re.DOTALL))
    return not re.search(rf"\b({re.escape(drop)}|{re.escape(name)}|capture)\b", tags)


def _is_plain(value: str) -> bool:
    """Whether a value passes through Liquid and HTML unchanged, but for &, < and >."""
    return value.isprintable() and value != "" and value == value.strip()


def _mark(name: str) -> str:
    """A word that no text holds and that nothing on the way to the mail changes."""
    return f"Zq8{name.encode().hex()}8qZ"
