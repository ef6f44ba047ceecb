"""Resolvers of the app installation's metafields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shopify_emulator.fields.connections import Fields, page, refuse
from shopify_emulator.fields.shop import installation_gid
from shopify_emulator.metafields import MAX_METAFIELDS, Metafield, SetError, found, set_all
from shopify_emulator.paging import Connection, RequestRefused
from shopify_emulator.request import Identity, request_of


def set_metafields(_root: Any, info: Any, *, metafields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if len(metafields) > MAX_METAFIELDS:
        message = f"The input array size of {len(metafields)} is greater than the maximum allowed of {MAX_METAFIELDS}."
        raise RequestRefused(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED", "path": ["metafields"]})
    parts = request_of(info).parts
    owner = installation_gid(parts.identity)
    done, errors = set_all(parts.state, metafields, owner=owner, reserved=_reserved(parts.identity))
    return {"metafields": None if errors else done, "userErrors": [_error(one) for one in errors]}


def _error(one: SetError) -> dict[str, Any]:
    return {
        "code": one.code,
        "elementIndex": one.index,
        "field": ["metafields", str(one.index), one.field],
        "message": one.message,
    }


def _reserved(identity: Identity) -> str:
    return f"app--{identity.client_id}"


def one_metafield(
    identity: Identity, info: Any, *, key: str, namespace: str | None = None
) -> Metafield | None:
    wanted = (namespace or _reserved(identity), key)
    rows = found(request_of(info).state)
    return next((row for row in rows if (row.namespace, row.key) == wanted), None)


def all_metafields(_identity: Identity, info: Any, **arguments: Any) -> Connection:
    refuse(arguments, "keys")
    namespace = arguments.get("namespace")
    rows = [row for row in found(request_of(info).state) if namespace in (None, row.namespace)]
    return page(info, rows, arguments)


METAFIELD: Fields = {
    "compareDigest": lambda m, _i: m.digest,
    "id": lambda m, _i: m.gid,
    "jsonValue": lambda m, _i: m.parsed,
    "key": lambda m, _i: m.key,
    "legacyResourceId": lambda m, _i: str(m.number),
    "namespace": lambda m, _i: m.namespace,
    "ownerType": lambda _m, _i: "API_PERMISSION",
    "sizeInBytes": lambda m, _i: len(m.value.encode()),
    "type": lambda _m, _i: "json",
    "value": lambda m, _i: m.value,
}
