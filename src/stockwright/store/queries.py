"""Reads named SQL from `sql/<noun>.sql`: a block starts with `-- name: what it is for`."""

import re
from functools import cache
from importlib.resources import files
from types import SimpleNamespace

_NAME = re.compile(r"^-- ([a-z][a-z0-9_]*): .+$", re.MULTILINE)


@cache
def queries(noun: str) -> SimpleNamespace:
    """The statements of a noun as attributes, each the text under its `-- name: why` line."""
    text = files("stockwright.store").joinpath("sql", f"{noun}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return SimpleNamespace(
        **{name: sql.strip().encode() for name, sql in zip(parts[::2], parts[1::2], strict=True)}
    )
