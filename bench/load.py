"""Sending prepared requests: at a steady pace whatever the answers take, or as fast as they come back.

At a pace, time counts from the moment a request was due, so that a server that stalls is not flattered.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from bench.http_client import Connection

_ANSWER_LIMIT_S = 30.0


@dataclass(kw_only=True)
class Answers:
    """What came back."""

    waits_s: list[float] = field(default_factory=list)  # one per answer
    statuses: Counter[int] = field(default_factory=Counter)  # 0: no answer
    took_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return len(self.waits_s) / self.took_s


async def paced(url: str, messages: Sequence[bytes], *, per_s: float, connections: int) -> Answers:
    """Send all messages, `per_s` each second, each on the next free connection."""
    answers, turns, begun = Answers(), iter(range(len(messages))), perf_counter()

    async def work() -> None:
        async with Connection(url) as connection:
            for turn in turns:
                due = begun + turn / per_s
                await asyncio.sleep(max(0.0, due - perf_counter()))
                await _send(connection, messages[turn], answers, since=due)

    await asyncio.gather(*(work() for _ in range(connections)))
    answers.took_s = perf_counter() - begun
    return answers


async def flat_out(url: str, messages: Iterator[bytes], *, for_s: float, connections: int) -> Answers:
    """Keep every connection busy for a time."""
    answers, begun = Answers(), perf_counter()

    async def work() -> None:
        async with Connection(url) as connection:
            while (since := perf_counter()) < begun + for_s:
                await _send(connection, next(messages), answers, since=since)

    await asyncio.gather(*(work() for _ in range(connections)))
    answers.took_s = perf_counter() - begun
    return answers


async def _send(connection: Connection, message: bytes, answers: Answers, *, since: float) -> None:
    try:
        status, _ = await connection.send(message, limit_s=_ANSWER_LIMIT_S)
    except OSError:
        status = 0
    answers.statuses[status] += 1
    answers.waits_s.append(perf_counter() - since)
