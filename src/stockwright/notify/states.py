"""The states of a subscriber, and the three words that a merchant sees."""

from enum import StrEnum


class State(StrEnum):
    """Where a subscriber is. One that waits is unique per address and variant."""

    UNCONFIRMED = "unconfirmed"  # double opt-in is not answered
    PENDING = "pending"  # waits for a restock
    QUEUED = "queued"  # a wave has made its message
    SENT = "sent"  # the mail server took it
    UNKNOWN = "unknown"  # the connection was lost after the last dot
    FAILED = "failed"
    BOUNCED = "bounced"
    UNSUBSCRIBED = "unsubscribed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"


class Shown(StrEnum):
    """The documented statuses."""

    PENDING = "Pending"
    SENT = "Sent"
    FAILED = "Failed"


WAITING = frozenset({State.UNCONFIRMED, State.PENDING, State.QUEUED})
_SENT = frozenset({State.SENT, State.UNKNOWN})
_FAILED = frozenset({State.FAILED, State.BOUNCED})


def shown(state: State, delivered: str) -> Shown:
    """The word for a state; `delivered` is the last of "sent" and "failed" that was reached, or ""."""
    if state in _SENT:
        return Shown.SENT
    if state in _FAILED:
        return Shown.FAILED
    if state not in WAITING and delivered:
        return Shown.SENT if delivered == "sent" else Shown.FAILED
    return Shown.PENDING
