"""A message's bytes: header fields and MIME parts, written out directly. Pure.

The standard library's `EmailMessage` takes some milliseconds for one message and wraps a long address in
List-Unsubscribe into encoded words, which no mail program reads as an address (RFC 8058 wants it as it is).
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from functools import lru_cache

_LINE = 76  # characters of a body's line, and of a header's where it can be folded
_LONGEST = 998  # characters that any line may have (RFC 5322, 2.1.1)
_KEPT = 2_000
_SEVEN_BITS = SMTP.clone(cte_type="7bit")  # needs no extension of the server
_UTF8 = SMTPUTF8.clone(cte_type="7bit")


def written(
    headers: Sequence[tuple[str, str]], text: str, html: str, *, seed: str, needs_utf8: bool
) -> bytes:
    """The message with CRLF line ends. `headers` are checked: no control characters; `seed` makes the boundary."""
    lines = [_header(name, value, needs_utf8=needs_utf8) for name, value in headers]
    lines.append(b"MIME-Version: 1.0\r\n")
    parts = [_part("plain", text)]
    if html:
        parts.append(_part("html", html))
    if len(parts) == 1:
        return b"".join(lines) + parts[0]
    boundary = _boundary(seed, parts)
    lines.append(b'Content-Type: multipart/alternative; boundary="' + boundary + b'"\r\n\r\n')
    inside = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return b"".join(lines) + inside + b"--" + boundary + b"--\r\n"


def mailbox(address: str, name: str = "") -> str:
    """An address with a name, as a header has it before it is folded."""
    local, _, domain = address.rpartition("@")
    return str(Address(name, local, domain))


# --- header fields ----------------------------------------------------------------------------------------------


def _header(name: str, value: str, *, needs_utf8: bool) -> bytes:
    line = f"{name}: {value}"
    is_plain = value.isascii() and "=?" not in value and value == value.strip()
    if is_plain and (len(line) <= _LINE or (" " not in value and len(line) <= _LONGEST)):
        return f"{line}\r\n".encode()
    return _folded(name, value, needs_utf8)


@lru_cache(maxsize=_KEPT)
def _folded(name: str, value: str, needs_utf8: bool) -> bytes:  # noqa: FBT001 - lru_cache keys
    """A header that has to be encoded or folded: by the library, which knows how each field is folded."""
    mail = EmailMessage(policy=_UTF8 if needs_utf8 else _SEVEN_BITS)
    mail[name] = value
    return mail.as_bytes().removesuffix(b"\r\n")


# --- bodies -----------------------------------------------------------------------------------------------------


def _part(subtype: str, body: str) -> bytes:
    encoding, data = _encoded(body)
    charset = "us-ascii" if body.isascii() else "utf-8"
    head = (
        f'Content-Type: text/{subtype}; charset="{charset}"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    )
    return head.encode() + data


def _encoded(body: str) -> tuple[str, bytes]:
    """The body in short lines of ASCII: as it is where it can be, else in the shorter of the two encodings."""
    body = body.replace("\r\n", "\n").replace("\r", "\n")
    raw = body.encode()
    if body.isascii() and _has_short_lines(body):
        return "7bit", _crlf(raw)
    printable = binascii.b2a_qp(raw, istext=True)
    if len(printable) <= len(raw) * 1.5:
        return "quoted-printable", _crlf(printable)
    return "base64", _crlf(base64.encodebytes(_crlf(raw)))


def _has_short_lines(body: str) -> bool:
    return max(map(len, body.split("\n"))) <= _LINE


def _crlf(data: bytes) -> bytes:
    ended = data if data.endswith(b"\n") else data + b"\n"
    return ended.replace(b"\n", b"\r\n")


def _boundary(seed: str, parts: Sequence[bytes]) -> bytes:
    for number in range(1000):
        digest = hashlib.sha256(f"{seed} {number}".encode()).hexdigest()[:32]
        boundary = f"=_{digest}".encode()
        if not any(boundary in part for part in parts):
            return boundary
    raise AssertionError("a message holds a thousand digests of its own id")
