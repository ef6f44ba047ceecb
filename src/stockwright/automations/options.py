"""Fields that several kinds of automation share, and how option texts from a command line are read."""

import json
from typing import Annotated, Any, Literal, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stockwright.model import Fault, FaultyFields, Json


def _one_by_one(value: Any) -> Any:
    """A list as given, or the parts of a comma-separated text; blanks and repeats dropped."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        raise ValueError("Give a list of names, or one text with commas between them.")
    texts = [part.strip() if isinstance(part, str) else part for part in value]
    return list(dict.fromkeys(text for text in texts if text != ""))


NameList = Annotated[
    tuple[Annotated[str, Field(max_length=255)], ...], BeforeValidator(_one_by_one), Field(max_length=250)
]


class Options(BaseModel):
    """The options of a kind. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SharedStockOptions(Options):
    """What both kinds that share stock can be told."""

    location_names: NameList = Field(
        default=(),
        title="Locations",
        description="Exact names of the locations whose levels are kept in step.",
    )
    product_types: NameList = Field(
        default=(),
        title="Product types",
        description="Only products of these types.",
    )
    raise_settle_s: float = Field(
        default=5.0,
        ge=0,
        le=300,
        title="Settle time of increases, in seconds",
        description="An increase waits this long before it is passed on, so that one read holds a bulk edit "
        "whole. A decrease goes at once: only a decrease can oversell.",
    )
    bulk_raise: Literal["once", "sum"] = Field(
        default="once",
        title="When all members rise by the same amount",
        description="once: it was one restock, entered on each variant. sum: it was one restock per variant. "
        "`once` errs towards underselling; where the app may read orders, refunds that explain the rise of each "
        "level are summed all the same.",
    )


def read_options(model: type[Options], texts: dict[str, Json]) -> Options:
    """Parse options given as texts or JSON values; every fault is named with its option.

    Raises:
        FaultyFields: unknown options, wrong types or a rule of the kind broken.
    """
    try:
        return model.model_validate(texts)
    except ValidationError as error:
        raise _faulty(model, error) from error


def option_from_text(model: type[Options], name: str, text: str) -> Json:
    """One KEY=VALUE of the command line: JSON where it is JSON and the option is no plain text."""
    field = model.model_fields.get(name)
    if field is None or field.annotation is str or _is_plain_list(field.annotation, text):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_plain_list(annotation: Any, text: str) -> bool:
    """Whether it is a list of names given with commas: the type 2024 is no number."""
    return get_origin(annotation) is tuple and not text.lstrip().startswith("[")


def _faulty(model: type[Options], error: ValidationError) -> FaultyFields:
    faults = [_fault(model, dict(detail)) for detail in error.errors(include_url=False)]
    return FaultyFields("\n".join(_line(fault) for fault in faults), faults)


def _line(fault: Fault) -> str:
    is_named = not fault.path or repr(fault.path) in fault.message
    return fault.message if is_named else f"{fault.path}: {fault.message}"


def _fault(model: type[Options], detail: dict[str, Any]) -> Fault:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        names = ", ".join(sorted(model.model_fields))
        return Fault(path=where, message=f"There is no option {where!r}. Options: {names}.")
    message = detail["msg"].removeprefix("Value error, ")
    return Fault(path=where, message=f"{message} (given: {detail['input']!r})" if where else message)
