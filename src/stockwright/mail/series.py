"""One template for many recipients: rendered once with marks where they differ, and the marks filled in for each.

A template may do with a name whatever it likes, so a series is tried out first: filled in for two made-up people it
must be what rendering for them gives. Where it is not, each mail is rendered by itself.
"""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stockwright.mail.templates import Rendered, one_line, preheader

# What differs from one recipient to the next, by a name of ours; all texts of one line.
Personal = Mapping[str, str]
# Renders with these personal values, and these words after the subject (None: the text's beginning).
Render = Callable[[Personal, str | None], Rendered]

# People who are made up: texts hold what names could hold, addresses what ours hold.
_TRIED = (
    ('Zo\u00eb "O\'Hara" <b> & Co', "https://example.com/u/Ab-_19"),
    ("Q", "http://127.0.0.1:8000/u/Z"),
)
_SUBJECT_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class Series:
    """A rendered mail with marks; `names` are those of the values that it is filled in with."""

    marked: Rendered
    names: tuple[str, ...]

    def fill(self, personal: Personal) -> Rendered:
        """The mail for one recipient; `personal` has every name."""
        text = _filled(self.marked.text, personal, self.names)
        shown = {name: html.escape(personal[name], quote=False) for name in self.names}
        shown[_FOREWORD] = html.escape(preheader(text), quote=False)
        return Rendered(
            subject=one_line(_filled(self.marked.subject, personal, self.names))[:_SUBJECT_LIMIT],
            text=text,
            html=_filled(self.marked.html, shown, (*self.names, _FOREWORD)),
        )


_FOREWORD = "foreword"


def series(render: Render, *, texts: tuple[str, ...], links: tuple[str, ...]) -> Series | None:
    """The series of a template; None when it does more with these values than print them.

    `texts` may hold anything; `links` are addresses of ours, without any character that HTML would escape.

    Raises:
        TemplateFailed: the template cannot be rendered.
    """
    names = (*texts, *links)
    marked = render({name: _mark(name) for name in names}, _mark(_FOREWORD))
    made = Series(marked=marked, names=names)
    for text, link in _TRIED:
        personal = {name: f"{text if name in texts else link}{no}" for no, name in enumerate(names)}
        if made.fill(personal) != render(personal, None):
            return None
    return made


def _mark(name: str) -> str:
    """A word that no text holds and that nothing on the way to the mail changes."""
    return f"Zq8{name.encode().hex()}8qZ"


def _filled(text: str, personal: Personal, names: tuple[str, ...]) -> str:
    for name in names:
        text = text.replace(_mark(name), personal[name])
    return text
