"""Metafields of the app installation: JSON only, which is what an app hands its theme extension."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shopify_emulator.state import State

MAX_METAFIELDS = 25
MAX_VALUE_BYTES = 128 * 1024
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{3,255}")
_KEY = re.compile(r"[A-Za-z0-9_-]{2,64}")


@dataclass(frozen=True, kw_only=True)
class Metafield:
    """One metafield with its value as it was parsed."""

    namespace: str
    key: str
    parsed: Any

    @property
    def value(self) -> str:
        return json.dumps(self.parsed, separators=(",", ":"), ensure_ascii=False)

    @property
    def number(self) -> int:
        return zlib.crc32(f"{self.namespace}.{self.key}".encode()) + 1

    @property
    def gid(self) -> str:
        return f"gid://shopify/Metafield/{self.number}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.value.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class SetError:
    """Why one of the metafields of a request was refused; then none was written."""

    index: int
    field: str
    code: str
    message: str


def found(state: State) -> list[Metafield]:
    """All metafields of the installation, in order of their numbers."""
    made = [
        Metafield(namespace=namespace, key=key, parsed=parsed)
        for (namespace, key), parsed in state.app_metafields.items()
    ]
    return sorted(made, key=lambda one: one.number)


def set_all(
    state: State, rows: Sequence[Mapping[str, Any]], *, owner: str, reserved: str
) -> tuple[list[Metafield], list[SetError]]:
    """Write all of them, or none; without a namespace they go into the one that is `reserved` for the app."""
    wanted, errors = [], []
    for index, row in enumerate(rows):
        field = Metafield(namespace=row.get("namespace") or reserved, key=row["key"], parsed=None)
        if error := _fault(state, field, row, owner):
            errors.append(SetError(index=index, field=error[0], code=error[1], message=error[2]))
        else:
            wanted.append(
                Metafield(namespace=field.namespace, key=field.key, parsed=json.loads(row["value"]))
            )
    if not errors:
        state.app_metafields.update({(one.namespace, one.key): one.parsed for one in wanted})
    return ([] if errors else wanted), errors


def _fault(state: State, field: Metafield, row: Mapping[str, Any], owner: str) -> tuple[str, str, str] | None:
    if row["ownerId"] != owner:
        return "ownerId", "INVALID", "Owner does not exist."
    if not _NAMESPACE.fullmatch(field.namespace):
        return "namespace", "INVALID", "Namespace must be 3 to 255 letters, digits, hyphens or underscores."
    if not _KEY.fullmatch(field.key):
        return "key", "INVALID", "Key must be 2 to 64 letters, digits, hyphens or underscores."
    if row.get("type") != "json":
        return "type", "INVALID_TYPE", "The bundled shop keeps metafields of the type json only."
    return _value_fault(state, field, row)


def _value_fault(state: State, field: Metafield, row: Mapping[str, Any]) -> tuple[str, str, str] | None:
    if len(row["value"].encode()) > MAX_VALUE_BYTES:
        return "value", "TOO_LONG", f"Value is larger than {MAX_VALUE_BYTES} bytes."
    try:
        json.loads(row["value"])
    except ValueError as error:
        return "value", "INVALID_VALUE", f"Value is invalid JSON: {error}."
    if "compareDigest" in row and row["compareDigest"] != _digest_now(state, field):
        return "compareDigest", "STALE_OBJECT", "The resource has been updated since it was loaded."
    return None


def _digest_now(state: State, field: Metafield) -> str | None:
    key = (field.namespace, field.key)
    if key not in state.app_metafields:
        return None
    return Metafield(namespace=key[0], key=key[1], parsed=state.app_metafields[key]).digest
