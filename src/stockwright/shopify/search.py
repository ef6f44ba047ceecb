"""Texts for Shopify's search syntax, safely quoted. Pure."""


def quoted(value: str) -> str:
    """A value as a quoted term: quotes and backslashes escaped, control characters made spaces."""
    plain = "".join(character if character.isprintable() else " " for character in value)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def field(name: str, value: str) -> str:
    """One filter, e.g. field("tag", "summer sale") -> tag:"summer sale"."""
    return f"{name}:{quoted(value)}"
