"""Checks a template before it is saved: syntax, tags, filters and variables, each with line and column."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from liquid import Environment
from liquid.ast import Node
from liquid.builtin.expressions import LoopExpression, Path
from liquid.exceptions import LiquidError
from liquid.static_analysis import Variable

from stockwright.mail.kinds import Kind, Texts
from stockwright.mail.templates import (
    FORBIDDEN_FILTERS,
    FORBIDDEN_TAGS,
    HTML,
    PLAIN,
    SOURCE_LIMIT,
    TemplateFailed,
    parsed,
    sample_mail,
)
from stockwright.model import Json

_MARKUP = re.compile(r"\{%-?\s*(?P<tag>\w+|#)?.*?-?%\}|\{\{.*?\}\}", re.DOTALL)
_LIQUID_WORDS = ("forloop", "tablerowloop")
_BLOCKS = frozenset(
    {"if", "unless", "for", "case", "capture", "comment", "tablerow", "ifchanged", "raw", "doc"}
)
_BRANCHES = {"elsif": "if", "when": "case"}
_UNKNOWN: Json = object()  # a value whose shape cannot be told before rendering


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with a template."""

    part: str  # subject | text | html
    line: int  # from 1
    column: int  # from 1
    message: str  # what, and what to do

    def __str__(self) -> str:
        return f"{self.part}, line {self.line}, column {self.column}: {self.message}"


def check(kind: Kind, texts: Texts) -> tuple[Problem, ...]:
    """Everything that is wrong with these texts; none: they may be saved."""
    parts = (("subject", texts.subject, PLAIN), ("text", texts.text, PLAIN), ("html", texts.html, HTML))
    found = tuple(problem for part in parts for problem in _check_part(kind, *part))
    return found or _try_out(kind, texts)


def _check_part(kind: Kind, part: str, source: str, sandbox: Environment) -> Iterator[Problem]:
    if not source.strip():
        yield Problem(part=part, line=1, column=1, message="It is empty. Write something, or restore it.")
        return
    if len(source) > SOURCE_LIMIT:
        message = f"It has {len(source)} characters; at most {SOURCE_LIMIT} are allowed."
        yield Problem(part=part, line=1, column=1, message=message)
        return
    if part == "subject" and len(source.strip().splitlines()) > 1:
        yield Problem(part=part, line=2, column=1, message="A subject is one line.")
    try:
        parsed(sandbox, source)
    except LiquidError as error:
        line, column = _place(error, source, sandbox)
        yield Problem(part=part, line=line, column=column, message=_syntax_message(error, sandbox))
        return
    yield from _check_names(kind, part, source, sandbox)


def _try_out(kind: Kind, texts: Texts) -> tuple[Problem, ...]:
    """What only shows when it is rendered, such as a limit or a filter's argument."""
    try:
        sample_mail(kind, texts)
    except TemplateFailed as error:
        message = f"It cannot be rendered with the sample data: {error.why}."
        return (Problem(part=error.part, line=error.line, column=error.column, message=message),)
    return ()


# --- syntax ---------------------------------------------------------------------------------------------------


def _syntax_message(error: LiquidError, sandbox: Environment) -> str:
    text = str(error.message)
    unknown = re.fullmatch(r"unexpected tag '(\w+)'", text)
    if unknown and unknown[1] in FORBIDDEN_TAGS:
        return f"The tag {unknown[1]!r} is not available in mail templates."
    if unknown and not unknown[1].startswith("end"):
        return f"There is no tag {unknown[1]!r}.{_near(unknown[1], list(sandbox.tags))}"
    return f"{text[:1].upper()}{text[1:]}."


def _place(error: LiquidError, source: str, sandbox: Environment) -> tuple[int, int]:
    """Line and column of a syntax error; the library does not know it for every error."""
    if (context := error.context()) is not None:
        return context[0], context[1] + 1
    opened: list[tuple[str, int]] = []
    for found in _MARKUP.finditer(source):
        tag = found["tag"] or ""
        if not _stands_alone(sandbox, found[0], tag):
            return _line_column(source, found.start())
        if tag in _BLOCKS:
            opened.append((tag, found.start()))
        elif tag.startswith("end") and opened and opened[-1][0] == tag.removeprefix("end"):
            opened.pop()
    return _line_column(source, opened[-1][1] if opened else 0)


def _stands_alone(sandbox: Environment, markup: str, tag: str) -> bool:
    """Whether one piece of markup is right by itself, closed or opened as it needs to be."""
    if tag.startswith("end") or tag == "else":
        return True
    if tag in _BRANCHES:
        opening = _BRANCHES[tag]
        inner = "{% if true %}" if opening == "if" else "{% case 1 %}"
        markup = f"{inner}{markup}{{% end{opening} %}}"
    elif tag in _BLOCKS:
        markup = f"{markup}{{% end{tag} %}}"
    try:
        sandbox.from_string(markup)
    except LiquidError:
        return False
    return True


def _line_column(source: str, index: int) -> tuple[int, int]:
    before = source[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


# --- names ----------------------------------------------------------------------------------------------------


@dataclass
class _Names:
    """What a name may stand for: shapes of values; `_UNKNOWN` accepts everything."""

    shapes: dict[str, list[Json]] = field(default_factory=dict)

    def add(self, name: str, shape: Json) -> None:
        self.shapes.setdefault(name, []).append(shape)

    def all(self) -> list[str]:
        return sorted(self.shapes)


def _check_names(kind: Kind, part: str, source: str, sandbox: Environment) -> Iterator[Problem]:
    template = parsed(sandbox, source)
    analysis = template.analyze(include_partials=False)
    for name, spans in analysis.filters.items():
        if name not in sandbox.filters:
            message = _filter_message(name, sandbox)
            yield from (_problem(part, source, span.index, message) for span in spans)
    names = _known(kind, template.nodes, analysis.locals)
    for variables in analysis.variables.values():
        for variable in variables:
            wrong = _wrong(variable, names)
            if wrong is not None:
                yield _problem(part, source, variable.span.index, wrong)


def _filter_message(name: str, sandbox: Environment) -> str:
    if name in FORBIDDEN_FILTERS:
        return f"The filter {name!r} is not available in mail templates: values are always escaped."
    return f"There is no filter {name!r}.{_near(name, list(sandbox.filters))}"


def _problem(part: str, source: str, index: int, message: str) -> Problem:
    line, column = _line_column(source, index)
    return Problem(part=part, line=line, column=column, message=message)


def _known(kind: Kind, nodes: Sequence[Node], made: Mapping[str, Any]) -> _Names:
    names = _Names()
    for name, shape in kind.sample.items():
        names.add(name, shape)
    for name in (*made, *_LIQUID_WORDS):
        names.add(name, _UNKNOWN)
    for node in _walk(nodes):
        loop = getattr(node, "expression", None)
        if isinstance(loop, LoopExpression):
            names.add(str(loop.identifier), _item_of(loop, names))
    return names


def _walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """Every node, outer ones first: a loop's variable is known before the loops inside it."""
    for node in nodes:
        yield node
        children = node.children(None, include_partials=False)  # type: ignore[arg-type]  # unused without partials
        yield from _walk(tuple(children))


def _item_of(loop: LoopExpression, names: _Names) -> Json:
    if not isinstance(loop.iterable, Path):
        return _UNKNOWN
    path = [segment if isinstance(segment, str | int) else [segment] for segment in loop.iterable.path]
    for shape in names.shapes.get(str(path[0]), [_UNKNOWN]):
        found = _follow(shape, path[1:])
        if isinstance(found, list) and found:
            return found[0]
    return _UNKNOWN


class _Missing(Exception):
    """A path leads nowhere."""

    def __init__(self, depth: int, choices: Sequence[str]) -> None:
        super().__init__(depth, choices)
        self.depth = depth  # the segment that does not exist
        self.choices = choices


def _wrong(variable: Variable, names: _Names) -> str | None:
    """Why a variable does not exist, or None."""
    first, *rest = variable.segments
    if not isinstance(first, str) or first not in names.shapes:
        return f"There is no variable {str(first)!r}.{_near(str(first), names.all())}"
    missing = None
    for shape in names.shapes[first]:
        try:
            _follow_strictly(shape, rest)
        except _Missing as one:
            missing = one
        else:
            return None
    assert missing is not None, "a known name has a shape"
    name = str(rest[missing.depth])
    owner = ".".join([first, *(str(segment) for segment in rest[: missing.depth])])
    return f"{owner!r} has no {name!r}.{_near(name, missing.choices)}"


def _follow(shape: Json, segments: Sequence[Any]) -> Json:
    try:
        return _follow_strictly(shape, segments)
    except _Missing:
        return _UNKNOWN


def _follow_strictly(shape: Json, segments: Sequence[Any]) -> Json:
    for depth, segment in enumerate(segments):
        if shape is _UNKNOWN or isinstance(segment, list):
            return _UNKNOWN
        choices = _choices(shape)
        if isinstance(shape, list) and isinstance(segment, int):
            shape = shape[0]
        elif segment not in choices:
            raise _Missing(depth, list(choices))
        else:
            shape = choices[segment]
    return shape


def _choices(shape: Json) -> Mapping[Any, Json]:
    match shape:
        case dict():
            return {**shape, "size": 0}
        case list():
            return {"size": 0, "first": shape[0], "last": shape[0]}
        case str():
            return {"size": 0}
        case _:
            return {}


def _near(name: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" There is: {', '.join(sorted(choices))}." if 0 < len(choices) <= 15 else ""
