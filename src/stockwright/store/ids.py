"""Ids of our rows: a kind, the time and 50 random bits, so that they sort by age and never meet."""

import secrets
from datetime import datetime

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32


def new_id(kind: str, at: datetime) -> str:
    """An id such as run_01k9q2zt7m4h8x2c6v0b: 10 digits of milliseconds, 10 of randomness."""
    milliseconds = int(at.timestamp() * 1000)
    return f"{kind}_{_base32(milliseconds, 10)}{_base32(secrets.randbits(50), 10)}"


def _base32(number: int, length: int) -> str:
    return "".join(_DIGITS[number >> shift & 31] for shift in range(5 * (length - 1), -1, -5))


def earliest_id(kind: str, at: datetime) -> str:
    """No id of this kind that was made at `at` or later sorts before this text. `at` is after 1970."""
    return f"{kind}_{_base32(int(at.timestamp() * 1000), 10)}"
