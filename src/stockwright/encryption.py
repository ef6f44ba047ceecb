"""Encryption of secrets at rest: one key for the installation, held in a file or given as a setting.

Knows nothing of what it encrypts. Must never log or show a key or a clear text.
"""

import base64
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stockwright.model import StockwrightError

KEY_FILE = "secret.key"


class Cipher:
    """Seals texts with the first key and opens what any of its keys has sealed (so keys can be changed)."""

    def __init__(self, keys: Sequence[bytes], *, origin: str) -> None:
        self._keys = tuple(keys)  # 32 bytes each, the newest first
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
        self._origin = origin

    def __repr__(self) -> str:
        return f"Cipher(origin={self._origin!r})"

    def seal(self, text: str) -> bytes:
        """Encrypt and authenticate a text."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """The text that `seal` was given.

        Raises:
            StockwrightError: the bytes were sealed with another key, or altered.
        """
        try:
            return self._fernet.decrypt(bytes(sealed)).decode()
        except InvalidToken:
            raise StockwrightError(
                f"A stored secret cannot be decrypted with the key from {self._origin}. It was encrypted with "
                "another key: put the earlier key back (the newest key first, earlier ones after it, separated "
                "by commas), or remove the shop and add it again."
            ) from None

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """A key of 32 bytes for another purpose from each of its keys, the newest first (RFC 5869)."""
        return tuple(
            HKDF(algorithm=SHA256(), length=32, salt=None, info=f"stockwright {purpose}".encode()).derive(key)
            for key in self._keys
        )


def load_or_create_key(home: Path, given: str | None) -> Cipher:
    """The installation's cipher: from STOCKWRIGHT_SECRET_KEY when given, else from `home`/secret.key.

    The file is made, readable by its owner only, when it does not exist; processes that start at the same
    time agree on one key. A key is 32 bytes in URL-safe base64; several are separated by commas.

    Raises:
        StockwrightError: the key is malformed, or the file cannot be read or made.
    """
    if given:
        return _cipher(given, origin="STOCKWRIGHT_SECRET_KEY")
    path = home / KEY_FILE
    try:
        if not path.exists():
            _create(path)
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StockwrightError(
            f"The secret key file {path} cannot be read or made ({error}). Check its owner and that it is "
            "a plain text file, or set STOCKWRIGHT_SECRET_KEY."
        ) from error
    return _cipher(text, origin=str(path))


def _cipher(text: str, *, origin: str) -> Cipher:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    keys = [_bytes(part) for part in parts]
    if not keys or any(len(key) != 32 for key in keys):
        raise StockwrightError(
            f"The secret key from {origin} is malformed: it must be 32 bytes in URL-safe base64, which is "
            "44 characters. Restore it from a backup; a new key cannot open what is stored."
        )
    return Cipher(keys, origin=origin)


def _bytes(part: str) -> bytes:
    """The bytes of one key; none where it is not base64."""
    try:
        return base64.b64decode(part.encode(), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)  # unlike a rename, never replaces the key that another process just made
    except FileExistsError:
        return
