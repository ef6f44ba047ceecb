"""Forms over pydantic models: fields for the macro `forms.field`, values from a post, errors by the field.

A model's titles, descriptions, bounds and choices become labels, help, limits and options of the form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from stockwright.model import Json

M = TypeVar("M", bound=BaseModel)

FORM_LIMIT_BYTES = 256 * 1024
_MAX_FIELDS = 1000
_MAX_FILES = 4
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
WHOLE = ""  # the errors that belong to no single field
_CHECKS_LIMIT = 12  # so many suggestions are shown as boxes to tick
_LONG_TEXT = 500
_NAME_SHOWN = 60
_NUL = (
    "The field {name} holds a NUL character, which no text may have. Nothing was done. Go back, type the text anew "
    "instead of pasting it, and send the form again."
)
_TOO_LARGE = "The form is larger than this page accepts ({limit:,} bytes). Nothing was done."


async def receive_form(request: Request, limit_bytes: int) -> FormData:
    """The posted form.

    Raises:
        HTTPException: 413 too large, 400 of another type, malformed, or with a NUL character.
    """
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length[:20]) > limit_bytes:
        raise HTTPException(413, _TOO_LARGE.format(limit=limit_bytes))
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in _FORM_TYPES:
        raise HTTPException(400, "Only forms are accepted here.")
    form = await request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS, max_part_size=limit_bytes)
    for name, value in form.multi_items():
        text = value if isinstance(value, str) else value.filename or ""
        if "\0" in name or "\0" in text:
            shown = name.replace("\0", "").strip() or "without a name"
            raise HTTPException(400, _NUL.format(name=shown[:_NAME_SHOWN]))
    return form


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field as the macro shows it."""

    name: str
    title: str
    help: str
    kind: str  # text | textarea | password | number | boolean | select | list | checks
    value: Json  # a text; a bool; a list of texts for list and checks
    error: str = ""
    choices: Sequence[str] = ()  # of select
    suggestions: Sequence[str] = ()
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    step: str = "any"
    longest: int | None = None

    @property
    def unlisted(self) -> list[str]:
        """Values that are not among the suggestions."""
        return [text for text in self.value if text not in self.suggestions]


@dataclass(frozen=True, kw_only=True)
class Filled(Generic[M]):
    """A form as somebody sent it: a valid model, or errors by field."""

    model: M | None
    values: Mapping[str, Json]
    errors: Mapping[str, str] = field(default_factory=dict)


def read_model(model: type[M], form: FormData) -> Filled[M]:
    """Parse a posted form; every fault is named at its field (or under WHOLE)."""
    values = form_values(model, form)
    try:
        return Filled(model=model.model_validate(values), values=values)
    except ValidationError as error:
        return Filled(model=None, values=values, errors=errors_by_field(error))


def form_values(model: type[BaseModel], form: FormData) -> dict[str, Json]:
    """What a form says of each field of a model: lists as lists, boxes as booleans, empty numbers left out."""
    values: dict[str, Json] = {}
    for name, info in _schema(model).items():
        match _kind(info):
            case "boolean":
                values[name] = name in form
            case "list":
                values[name] = _texts(form, name)
            case "number":
                text = str(form.get(name, "")).strip()
                if text or info.get("nullable"):
                    values[name] = text or None
            case "password":
                values[name] = str(form.get(name, ""))
            case _:
                if name in form:
                    values[name] = str(form[name]).strip() or (None if info.get("nullable") else "")
    return values


def _texts(form: FormData, name: str) -> list[str]:
    given = [part.strip() for text in form.getlist(name) for part in str(text).splitlines()]
    return list(dict.fromkeys(text for text in given if text))


def fields(
    model: type[BaseModel],
    values: Mapping[str, Json],
    *,
    errors: Mapping[str, str] | None = None,
    suggestions: Mapping[str, Sequence[str]] | None = None,
) -> list[Field]:
    """The fields of a model, in its order; what has no value shows the default. Passwords are never shown."""
    errors, suggestions = errors or {}, suggestions or {}
    return [
        _field(name, info, values, errors.get(name, ""), suggestions.get(name, ()))
        for name, info in _schema(model).items()
    ]


def _field(
    name: str, info: Mapping[str, Any], values: Mapping[str, Json], error: str, suggestions: Sequence[str]
) -> Field:
    kind = _kind(info)
    if kind == "list" and 0 < len(suggestions) <= _CHECKS_LIMIT:
        kind = "checks"
    return Field(
        name=name,
        title=str(info.get("title") or name),
        help=_help(info),
        kind=kind,
        value=_shown(kind, values.get(name, info.get("default"))),
        error=error,
        choices=[str(choice) for choice in info.get("enum", ())],
        suggestions=suggestions,
        required=bool(info.get("required")),
        minimum=info.get("minimum", info.get("exclusiveMinimum")),
        maximum=info.get("maximum", info.get("exclusiveMaximum")),
        step="1" if info.get("type") == "integer" else "any",
        longest=info.get("maxLength"),
    )


def _help(info: Mapping[str, Any]) -> str:
    """The description without the marks of code; choices are named as the form shows them."""
    text = str(info.get("description", "")).replace("`", "")
    for choice in info.get("enum", ()):
        text = text.replace(str(choice), str(choice).replace("_", " "))
    return text


def _shown(kind: str, value: Json) -> Json:
    match kind:
        case "boolean":
            return bool(value)
        case "list" | "checks":
            return [value] if isinstance(value, str) else [str(text) for text in value or ()]
        case "password":
            return ""
        case "number" if isinstance(value, float) and value.is_integer():
            return str(int(value))
        case _:
            return "" if value is None else str(value)


def _kind(info: Mapping[str, Any]) -> str:
    if "enum" in info:
        return "select"
    match info.get("type"):
        case "boolean":
            return "boolean"
        case "integer" | "number":
            return "number"
        case "array":
            return "list"
    if info.get("format") == "password":
        return "password"
    return "textarea" if info.get("maxLength", 0) > _LONG_TEXT else "text"


def _schema(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """JSON Schema of each field, flat: references and "or null" resolved, `required` noted on the field."""
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    return {
        name: {**_plain(info, definitions), "required": name in required}
        for name, info in schema.get("properties", {}).items()
    }


def _plain(info: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    own = dict(info)
    options = [option for option in own.pop("anyOf", ()) if option.get("type") != "null"]
    nullable = "anyOf" in info and len(options) < len(info["anyOf"])
    for part in (*options[:1], *own.pop("allOf", ()), own):
        if reference := part.get("$ref"):
            own = {**definitions[reference.rsplit("/", 1)[-1]], **own}
    merged = {**(options[0] if options else {}), **own}
    return {**merged, "nullable": nullable}


# --- errors -----------------------------------------------------------------------------------------------


def errors_by_field(error: ValidationError) -> dict[str, str]:
    """What is wrong, in words, by the name of the field; what concerns several stands under WHOLE."""
    found: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else WHOLE
        found.setdefault(name, _worded(fault["type"], fault["msg"], fault.get("ctx", {})))
    return found


def _worded(kind: str, message: str, limits: Mapping[str, Any]) -> str:
    match kind:
        case "missing" | "string_too_short":
            least = limits.get("min_length", 1)
            return "Fill this in." if least <= 1 else f"Use at least {least} characters."
        case "int_parsing" | "float_parsing" | "int_type" | "float_type":
            return "Give a number."
        case "int_from_float":
            return "Give a whole number."
        case "string_too_long":
            return f"Use at most {limits['max_length']} characters."
        case "too_long":
            return f"Give at most {limits['max_length']}."
        case "greater_than_equal":
            return f"Give {limits['ge']} or more."
        case "less_than_equal":
            return f"Give {limits['le']} or less."
        case "literal_error":
            return f"Choose one of: {limits['expected']}."
        case "value_error":
            return message.removeprefix("Value error, ")
        case _:
            return message
