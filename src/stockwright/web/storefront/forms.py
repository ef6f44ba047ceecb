"""Reads a posted form or JSON object as flat texts, within limits, in any of the three ways it can come."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from stockwright.model import gid
from stockwright.notify.texts import checked_locale
from stockwright.signing_up import Wish
from stockwright.web.storefront.site import read_body

_FIELDS_LIMIT = 50
_VALUE_LIMIT = 2000
_NUMBER = re.compile(r"[1-9][0-9]{0,19}")  # of a Shopify object; may exceed 2**53

Texts = Mapping[str, str]


async def read_texts(request: Request) -> Texts:
    """The fields of a form or of a JSON object, each once; what cannot be stored as text is left out.

    Raises:
        HTTPException: 413, 408, 415 of another type, 400 malformed.
    """
    body = await read_body(request)
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    match kind:
        case "application/json":
            found = _from_json(body)
        case "application/x-www-form-urlencoded":
            found = _from_query(body)
        case "multipart/form-data":
            found = await _from_multipart(request, body)
        case _:
            raise HTTPException(415, "Send a form or JSON.")
    return {name: clean(text) for name, text in found.items()}


def clean(text: str) -> str:
    """Text that the database can hold: no NUL, no half characters, not endless."""
    return text[:_VALUE_LIMIT].replace("\0", "").encode("utf-8", "replace").decode()


def _from_json(body: bytes) -> dict[str, str]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise HTTPException(400, "The body is not a JSON object.")
    plain = {name: inner for name, inner in value.items() if isinstance(inner, str | int | float)}
    return {name: str(inner) for name, inner in plain.items() if not isinstance(inner, bool)}


def _from_query(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS_LIMIT
        )
    except ValueError:
        raise HTTPException(400, "The form has too many fields.") from None
    return dict(pairs)


async def _from_multipart(request: Request, body: bytes) -> dict[str, str]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    again = Request(request.scope, receive)
    try:
        async with again.form(max_files=0, max_fields=_FIELDS_LIMIT, max_part_size=_VALUE_LIMIT * 4) as form:
            return {name: value for name, value in form.items() if isinstance(value, str)}
    except (FormParserError, KeyError):
        raise HTTPException(400, "The form cannot be read.") from None


# --- a sign-up ------------------------------------------------------------------------------------------------


def wish_of(texts: Texts, *, source: str, client: str, customer_id: str, now: datetime) -> Wish:
    """What a sign-up form says.

    Raises:
        HTTPException: 400 without a variant.
    """
    variant_id = object_id("ProductVariant", texts.get("variant", ""))
    if not variant_id:
        raise HTTPException(400, "The field `variant` is missing: the number of the variant.")
    return Wish(
        email=texts.get("email", ""),
        variant_id=variant_id,
        product_id=object_id("Product", texts.get("product", "")),
        first_name=texts.get("first_name", ""),
        quantity=_quantity(texts.get("quantity", "")),
        locale=checked_locale(texts.get("locale", "")),
        page=texts.get("page", ""),
        wording=texts.get("wording", ""),
        customer_id=customer_id,
        source=source,
        client=client,
        trap=texts.get("website", ""),
        elapsed_s=_elapsed_s(texts, now),
    )


def object_id(kind: str, text: str) -> str:
    """The gid of a number or gid; "" for anything else."""
    number = text.strip().removeprefix(gid(kind, ""))
    return gid(kind, number) if _NUMBER.fullmatch(number) else ""


def _quantity(text: str) -> int:
    """Units, at least 1; a number that cannot be read is 1."""
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 10 else 1


def _elapsed_s(texts: Texts, now: datetime) -> float | None:
    """From the opening of the form, as the script measured it, or since the page was made; None = not told."""
    if (measured := _number(texts.get("elapsed_ms", ""))) is not None:
        return measured / 1000
    opened_at = _number(texts.get("opened_at", ""))
    return None if opened_at is None else now.timestamp() - opened_at


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if abs(found) < 1e15 else None  # also refuses NaN
