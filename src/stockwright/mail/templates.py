"""Renders templates: Liquid in a sandbox with limits, the layout around the HTML part, its styles inlined.

Values are filled in by the shape of the kind's sample, never nil: in this Liquid `nil == blank` is false.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from css_inline import CSSInliner
from liquid import BoundTemplate, Environment, Markup
from liquid.exceptions import LiquidError

from stockwright.mail.kinds import Kind, Texts
from stockwright.model import Json, JsonObject, StockwrightError

SOURCE_LIMIT = 100_000  # characters of one part
SUBJECT_LIMIT = 200
_PREHEADER_LIMIT = 140
FORBIDDEN_TAGS = ("include", "render")  # there is nothing to include
FORBIDDEN_FILTERS = ("safe",)  # would let a product's title be read as HTML


class TemplateFailed(StockwrightError):
    """A template could not be rendered; the message says where and why."""

    def __init__(self, why: str, *, part: str, line: int, column: int) -> None:
        super().__init__(
            f"The {part} of the mail template cannot be rendered (line {line}, column {column}): {why}"
        )
        self.why = why
        self.part = part  # subject | text | html
        self.line = line
        self.column = column


class _Sandbox(Environment):
    block_nesting_limit = 20
    context_depth_limit = 20
    loop_iteration_limit = 20_000
    local_namespace_limit = 200_000
    output_stream_limit = 800_000


def _sandbox(*, autoescape: bool) -> Environment:
    made = _Sandbox(autoescape=autoescape)
    for tag in FORBIDDEN_TAGS:
        del made.tags[tag]
    for name in FORBIDDEN_FILTERS:
        del made.filters[name]
    return made


PLAIN = _sandbox(autoescape=False)
HTML = _sandbox(autoescape=True)


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The final parts of a message."""

    subject: str  # one line
    text: str
    html: str  # a whole document


def render(
    kind: Kind,
    texts: Texts,
    data: JsonObject,
    *,
    locale: str = "en",
    footer: str = "",
    foreword: str | None = None,
) -> Rendered:
    """Fill a template in. `data` has the shape of the kind's sample; None stands for "".

    `foreword` stands where the words are that mail programs show after the subject; None: the text's beginning.

    Raises:
        TemplateFailed: a limit was reached, or a filter refused its value.
        ValueError: `data` lacks something that the kind promises.
    """
    values = _filled(kind.sample, data, kind.name)
    subject = one_line(_render(PLAIN, texts.subject, values, "subject"))[:SUBJECT_LIMIT]
    text = _render(PLAIN, texts.text, values, "text").strip() + "\n"
    content = _render(HTML, texts.html, values, "html")
    around = {
        "locale": locale,
        "subject": subject,
        "preheader": preheader(text) if foreword is None else foreword,
        "shop_name": _shop_name(values),
        "content": Markup(content),
        "footer": footer,
    }
    return Rendered(subject=subject, text=text, html=inlined(_layout().render(around)))


def sample_mail(kind: Kind, texts: Texts, *, locale: str = "en") -> Rendered:
    """A template filled in with its sample data, for previews and checks."""
    return render(kind, texts, kind.sample, locale=locale)


def one_line(text: str) -> str:
    """Text with every run of white space as one space: what a subject may hold."""
    return " ".join(text.split())


def preheader(text: str) -> str:
    """The words that mail programs show after the subject."""
    return one_line(text)[:_PREHEADER_LIMIT]


def inlined(document: str) -> str:
    """A document with its styles in the elements; rules for screens and dark mode stay in the head."""
    return _inliner().inline(document)


@cache
def _inliner() -> CSSInliner:
    return CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


@cache
def _layout() -> BoundTemplate:
    source = files("stockwright.mail").joinpath("layout.html").read_text(encoding="utf-8")
    return HTML.from_string(source)


@lru_cache(maxsize=500)
def parsed(sandbox: Environment, source: str) -> BoundTemplate:
    """A template's syntax tree; parsing costs as much as rendering.

    Raises:
        LiquidError: the source is not Liquid.
    """
    return sandbox.from_string(source)


def _render(sandbox: Environment, source: str, values: Mapping[str, Any], part: str) -> str:
    try:
        return parsed(sandbox, source).render(values)
    except LiquidError as error:
        line, column = (error.context() or (1, 0))[:2]
        raise TemplateFailed(str(error.message), part=part, line=line, column=column + 1) from error


def _shop_name(values: Mapping[str, Any]) -> str:
    shop = values.get("shop")
    return str(shop["name"]) if isinstance(shop, Mapping) else ""


def _filled(shape: Json, value: Json, path: str) -> Json:
    """The value in exactly this shape: nothing missing, nothing nil, nothing that the template must not see."""
    match shape:
        case dict():
            missing = [name for name in shape if name not in (value or {})]
            if missing:
                raise ValueError(f"the mail's data lacks {path}.{missing[0]}")
            return {name: _filled(inner, value[name], f"{path}.{name}") for name, inner in shape.items()}
        case list():
            return [_filled(shape[0], one, f"{path}[]") for one in value]
        case _:
            return "" if value is None else value
