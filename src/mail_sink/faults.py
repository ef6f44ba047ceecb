"""Faults to order: which command is to fail, how, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

STAGES = ("greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "body", "dot", "QUIT")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong `count` times.

    `stage`: a command, "greeting", "body" (while the message comes in) or "dot" (after its final dot).
    """

    stage: str
    reply: str = ""  # e.g. "450 4.2.0 try later"; "" = no answer
    drop: bool = False  # close the connection, after the reply if there is one
    keep: bool = False  # at "dot": the message is kept although the sender is not told
    slow_s: float = 0.0  # wait before the answer
    recipient: str = ""  # only for this recipient (from RCPT on)
    count: int = 1

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"There is no stage {self.stage!r}. Stages: {', '.join(STAGES)}.")
        if not (self.reply or self.drop or self.slow_s):
            raise ValueError("A fault needs a reply, drop or slow_s.")
        if any(ord(one) < 32 and one != "\t" for one in self.reply):
            raise ValueError("A reply is one line.")


@dataclass
class Faults:
    """Faults that are still to come, in their order."""

    waiting: list[Fault] = field(default_factory=list)

    def add(self, *faults: Fault) -> None:
        """Let these come true at the next occasions."""
        self.waiting.extend(faults)

    def clear(self) -> None:
        """Let nothing more go wrong."""
        self.waiting.clear()

    def take(self, stage: str, recipients: Sequence[str] = ()) -> Fault | None:
        """The next fault of this stage, used up by one."""
        for no, fault in enumerate(self.waiting):
            if fault.stage == stage and (not fault.recipient or fault.recipient in recipients):
                if fault.count > 1:
                    self.waiting[no] = replace(fault, count=fault.count - 1)
                else:
                    del self.waiting[no]
                return fault
        return None
